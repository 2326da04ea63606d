//! Answers questions about the pod.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::status::Status;
use super::wait::{self, Verdict, Waiter, Waiting};
use super::{AdminError, LONGEST_PATH, accept};
use crate::plan::render::clean;
use crate::shutdown::Tasks;

/// Connections served at a time; more wait in the kernel's queue until one of these ends, which [`PATIENCE`] bounds.
const CONNECTIONS: usize = 8;

/// Checks that wait at a time, which are not among the [`CONNECTIONS`]; more are answered at once. The engine has one, or two for a moment.
const WAITERS: usize = 16;

/// For the query, and for each piece of the answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Longest request line, in bytes.
const LONGEST_REQUEST: usize = 64;

/// Opens the socket and serves it in a task until the tasks are told to end; then the file is removed.
///
/// `refresh` fills in what changes too often to be published, before a status is told; `metrics` renders Prometheus' text format; `waiting` is how long checks
/// may be kept waiting.
///
/// A socket that a dead controller left is replaced. The directory is made with mode 0700 where it does not exist, the socket with 0600.
///
/// # Errors
/// [`AdminError`] where the directory can't be written, or another controller answers on the socket.
pub fn serve(
    path: &Path,
    status: watch::Receiver<Arc<Status>>,
    refresh: impl Fn(&mut Status) + Send + Sync + 'static,
    metrics: impl Fn() -> String + Send + Sync + 'static,
    waiting: Waiting,
    tasks: &Tasks,
) -> Result<(), AdminError> {
    let listener = bind(path)?;
    let started = Instant::now();
    let verdicts = watch::Sender::new(Verdict::new(status.borrow().health.state));
    let (followed, following) = (status.clone(), verdicts.clone());
    tasks.spawn("admin-verdicts", |stop| wait::follow(followed, following, stop));
    let room = Arc::new(Semaphore::new(WAITERS));
    let (refresh, metrics) = (Box::new(refresh), Box::new(metrics));
    let answers = Arc::new(Answers { status, refresh, metrics, started, verdicts, waiting, room });
    let owned = Socket(path.to_owned());
    let connections = tasks.clone();
    tasks.spawn("admin", move |stop| async move {
        let socket = owned;
        let accept = |context: &mut Context<'_>| listener.poll_accept(context).map_ok(|(stream, _)| stream);
        let serve = |stream, permit| {
            let answers = Arc::clone(&answers);
            connections.spawn("admin-connection", |stop| answers.serve(stream, permit, stop));
        };
        let failed =
            |error| warn!(%error, socket = %socket.0.display(), "cannot accept connections on the admin socket");
        accept::connections(CONNECTIONS, stop, accept, serve, failed).await;
    });
    Ok(())
}

/// The file of the socket; gone when dropped.
struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            debug!(%error, socket = %self.0.display(), "cannot remove the admin socket");
        }
    }
}

struct Answers {
    status: watch::Receiver<Arc<Status>>,
    refresh: Box<dyn Fn(&mut Status) + Send + Sync>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
    started: Instant,
    verdicts: watch::Sender<Verdict>,
    waiting: Waiting,
    /// For checks that wait.
    room: Arc<Semaphore>,
}

impl Answers {
    async fn serve(self: Arc<Self>, mut stream: UnixStream, permit: OwnedSemaphorePermit, stop: CancellationToken) {
        let arrived = Instant::now();
        let text = match timeout(PATIENCE, request(&mut stream)).await {
            Ok(Ok(request)) => match wait::spent(&request) {
                Some(spent) => {
                    return self.wait(stream, arrived.checked_sub(spent).unwrap_or(arrived), permit, stop).await;
                }
                None => self.of(&request),
            },
            Ok(Err(why)) => format!("error: {why}\n"),
            Err(_) => {
                debug!("a client of the admin socket was too slow");
                return;
            }
        };
        match timeout(PATIENCE, stream.write_all(text.as_bytes())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a client of the admin socket went away"),
            Err(_) => debug!("a client of the admin socket was too slow"),
        }
    }

    /// Keeps a check waiting, beside the connections that [`CONNECTIONS`] counts.
    async fn wait(
        &self,
        mut stream: UnixStream,
        begun: Instant,
        permit: OwnedSemaphorePermit,
        stop: CancellationToken,
    ) {
        let waiter =
            Waiter { status: self.status.clone(), verdicts: self.verdicts.clone(), waiting: self.waiting, begun };
        match self.room.try_acquire() {
            Ok(_room) => {
                drop(permit);
                waiter.wait(stream, stop).await;
            }
            Err(_full) => {
                debug!("{WAITERS} checks are waiting already; a further check is answered immediately");
                waiter.answer(&mut stream).await;
            }
        }
    }

    fn of(&self, request: &str) -> String {
        match request {
            "health" => verdict_of(&self.status.borrow()),
            "status" => {
                let mut status = Status::clone(&self.status.borrow());
                (self.refresh)(&mut status);
                status.uptime_s = self.started.elapsed().as_secs();
                match serde_json::to_string(&status) {
                    Ok(json) => json + "\n",
                    Err(error) => format!("error: {error}\n"),
                }
            }
            "metrics" => {
                let text = (self.metrics)();
                if text.is_empty() { "# no metrics\n".to_owned() } else { text }
            }
            _ => "error: expected `health`, `wait <ms>`, `status` or `metrics`\n".to_owned(),
        }
    }
}

/// The verdict, then its reasons, each on a line.
pub(super) fn verdict_of(status: &Status) -> String {
    let mut text = format!("{}\n", status.health.state);
    // A component's words may hold line ends and escapes, and each line is one reason.
    for reason in &status.health.reasons {
        text.push_str(&clean(&reason.replace('\n', " ")));
        text.push('\n');
    }
    text
}

/// Reads one line, at most [`LONGEST_REQUEST`] bytes; the end of the stream ends it too.
async fn request(stream: &mut UnixStream) -> Result<String, String> {
    let mut buffer = [0_u8; LONGEST_REQUEST];
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err(format!("the request is longer than {LONGEST_REQUEST} bytes"));
        }
        let read = stream.read(room).await.map_err(|error| error.to_string())?;
        filled += read;
        let so_far = buffer.get(..filled).unwrap_or_default();
        let end = so_far.iter().position(|&byte| byte == b'\n');
        if end.is_some() || read == 0 {
            let line = so_far.get(..end.unwrap_or(filled)).unwrap_or_default();
            return Ok(String::from_utf8_lossy(line).trim().to_owned());
        }
    }
}

fn bind(path: &Path) -> Result<UnixListener, AdminError> {
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(AdminError::TooLong { path: path.to_owned() });
    }
    if let Some(directory) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|source| AdminError::Directory { path: directory.to_owned(), source })?;
    }
    let failed = |source| AdminError::Bind { path: path.to_owned(), source };
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // A controller that was killed could not remove its socket: nobody accepts there any more.
            match std::os::unix::net::UnixStream::connect(path) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(failed)?;
                    UnixListener::bind(path)
                }
                Ok(_) => return Err(AdminError::InUse { path: path.to_owned() }),
                Err(error) => Err(error),
            }
        }
        bound => bound,
    }
    .map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}
