//! Answers questions about the pod.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::status::Status;
use super::{AdminError, LONGEST_PATH};
use crate::plan::render::clean;
use crate::shutdown::Tasks;

/// Connections served at a time; more wait in the kernel's queue until one of these ends, which [`PATIENCE`] bounds.
const CONNECTIONS: usize = 8;

/// For one connection, from its first byte to its last.
const PATIENCE: Duration = Duration::from_secs(2);

/// Longest request line, in bytes.
const LONGEST_REQUEST: usize = 64;

/// After a failed `accept` (no more file descriptors), before the next one.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the socket and serves it in a task until the tasks are told to end; then the file is removed.
///
/// `refresh` fills in what changes too often to be published, before a status is told; `metrics` renders Prometheus' text format.
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
    tasks: &Tasks,
) -> Result<(), AdminError> {
    let listener = bind(path)?;
    let started = Instant::now();
    let answers = Arc::new(Answers { status, refresh: Box::new(refresh), metrics: Box::new(metrics), started });
    let owned = Socket(path.to_owned());
    let connections = tasks.clone();
    tasks.spawn("admin", move |stop| async move {
        let socket = owned;
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            // Never closed, so an error can't happen; if it did, there would be nothing left to serve.
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let answers = Arc::clone(&answers);
                    connections.spawn("admin-connection", |_token| async move {
                        if timeout(PATIENCE, answers.answer(stream)).await.is_err() {
                            debug!("a client of the admin socket was too slow");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    warn!(%error, socket = %socket.0.display(), "cannot accept on the admin socket");
                    tokio::select! { () = stop.cancelled() => break, () = sleep(PAUSE) => {} }
                }
            }
        }
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
}

impl Answers {
    async fn answer(&self, mut stream: UnixStream) {
        let text = match request(&mut stream).await {
            Ok(request) => self.of(&request),
            Err(why) => format!("error: {why}\n"),
        };
        if let Err(error) = stream.write_all(text.as_bytes()).await {
            debug!(%error, "a client of the admin socket went away");
        }
    }

    fn of(&self, request: &str) -> String {
        match request {
            "health" => {
                let status = Arc::clone(&self.status.borrow());
                let mut text = format!("{}\n", status.health.state);
                // A component's words may hold line ends and escapes, and each line is one reason.
                for reason in &status.health.reasons {
                    text.push_str(&clean(&reason.replace('\n', " ")));
                    text.push('\n');
                }
                text
            }
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
            _ => "error: expected `health`, `status` or `metrics`\n".to_owned(),
        }
    }
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
