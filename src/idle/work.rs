//! What the two commands do. Also the whole of `/outrigger-idle`: [`std`] and [`nix`] only.

use std::ffi::OsStr;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

/// The admin socket's file in the state directory.
pub const SOCKET: &str = "admin.sock";

/// The state directory, if `OUTRIGGER_STATE_DIR` names no other one.
pub const STATE_DIR: &str = "/var/lib/outrigger";

/// The variable that names the state directory.
pub const STATE_DIR_VARIABLE: &str = "OUTRIGGER_STATE_DIR";

/// The query of a check that waits; after it, in milliseconds, the time that the check has spent already.
pub const WAIT: &str = "wait";

/// The first line of the answer to such a check if it is to end with 0, and with 1. Before it come empty lines, one for each [`HEARTBEAT`].
pub const PASSED: &str = "0";
/// See [`PASSED`].
pub const FAILED: &str = "1";

/// Between two signs of life of a controller that has nothing to report yet.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// A controller that is silent for longer hangs. Also how long a controller that is only starting may take until its socket is there.
const SILENCE: Duration = Duration::from_millis(2500);

const _: () = assert!(HEARTBEAT.as_millis() * 2 < SILENCE.as_millis(), "one late heartbeat is no silence");

/// Between two attempts to reach a controller that is only starting.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest answer that is read, in bytes; the rest is left out. The engine keeps 4096 bytes of a check's output.
const LONGEST_ANSWER: usize = 16 * 1024;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `pause`.
    Pause,
    /// `healthcheck --wait`.
    Wait,
}

impl Role {
    /// The role that a command line names, without the program's name; none: it is another command, or has more arguments.
    #[must_use]
    pub fn of<S: AsRef<OsStr>>(arguments: &[S]) -> Option<Self> {
        match arguments {
            [only] if only.as_ref() == "pause" => Some(Self::Pause),
            [check, wait] if check.as_ref() == "healthcheck" && wait.as_ref() == "--wait" => Some(Self::Wait),
            _ => None,
        }
    }
}

/// The controller's answer to a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether the check passes.
    pub passed: bool,
    /// What the check prints: nothing if all is well, else the verdict and its reasons, one on a line.
    pub text: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Nobody listens.
    #[error("no controller answers on `{}`: {source}", path.display())]
    NoController {
        /// Which socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("cannot talk to the controller on `{}`: {source}", path.display())]
    Broken {
        /// Which socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It hangs.
    #[error("the controller on `{}` has been silent for {silence:?}", path.display())]
    Silent {
        /// Which socket.
        path: PathBuf,
        /// For so long.
        silence: Duration,
    },
    /// The answer makes no sense.
    #[error("the controller answered `{answer}` to `{WAIT}`")]
    Refused {
        /// Its first line.
        answer: String,
    },
}

/// The admin socket: in the directory that the environment names, else in the usual one.
#[must_use]
pub fn socket(state_dir: Option<&OsStr>) -> PathBuf {
    let directory = state_dir.filter(|directory| !directory.is_empty()).unwrap_or(OsStr::new(STATE_DIR));
    Path::new(directory).join(SOCKET)
}

/// Asks the controller for the pod's health and waits until there is something new to report, or until the controller says that the engine waits no longer.
///
/// # Errors
/// [`WaitError`] if nobody listens, or if the controller is silent for 2.5 s.
pub fn ask(path: &Path) -> Result<Answer, WaitError> {
    ask_within(path, SILENCE)
}

/// As [`ask`], with another limit for the silence.
pub fn ask_within(path: &Path, silence: Duration) -> Result<Answer, WaitError> {
    let begun = Instant::now();
    let mut stream =
        connect(path, begun, silence).map_err(|source| WaitError::NoController { path: path.to_owned(), source })?;
    let broken = |source: io::Error| match source.kind() {
        // Of a socket with a deadline, either of the two.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => WaitError::Silent { path: path.to_owned(), silence },
        _ => WaitError::Broken { path: path.to_owned(), source },
    };
    stream.set_read_timeout(Some(silence)).map_err(broken)?;
    stream.set_write_timeout(Some(silence)).map_err(broken)?;
    stream.write_all(format!("{WAIT} {}\n", begun.elapsed().as_millis()).as_bytes()).map_err(broken)?;
    let mut answer = Vec::new();
    let mut piece = [0_u8; 512];
    while answer.len() < LONGEST_ANSWER {
        let read = match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        };
        let piece = piece.get(..read).unwrap_or_default();
        let heartbeats = if answer.is_empty() { piece.iter().take_while(|&&byte| byte == b'\n').count() } else { 0 };
        answer.extend_from_slice(piece.get(heartbeats..).unwrap_or_default());
    }
    parse(&String::from_utf8_lossy(&answer))
}

fn parse(answer: &str) -> Result<Answer, WaitError> {
    let (first, text) = answer.split_once('\n').unwrap_or((answer, ""));
    let passed = match first {
        PASSED => true,
        FAILED => false,
        _ => return Err(WaitError::Refused { answer: first.to_owned() }),
    };
    Ok(Answer { passed, text: text.to_owned() })
}

/// Connects; waits for a socket that is not there yet.
#[expect(clippy::disallowed_methods, reason = "this process has one thread, no runtime, and nothing else to do")]
fn connect(path: &Path, begun: Instant, patience: Duration) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
                    && begun.elapsed() < patience =>
            {
                std::thread::sleep(PAUSE);
            }
            connected => return connected,
        }
    }
}

/// Blocks the signals that [`pause`] waits for. Blocked signals are kept, even for PID 1, whose unhandled signals the kernel would throw away; and they stay
/// blocked if another program takes this process over.
///
/// # Errors
/// Of the kernel.
pub fn block() -> Result<SigSet, Errno> {
    let mut awaited = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        awaited.add(signal);
    }
    awaited.thread_block()?;
    Ok(awaited)
}

/// Waits for SIGTERM or SIGINT, and meanwhile reaps orphans of its PID namespace.
///
/// # Errors
/// Of the kernel.
pub fn pause() -> Result<(), Errno> {
    let awaited = block()?;
    loop {
        match awaited.wait() {
            Ok(Signal::SIGCHLD) => reap(),
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// One SIGCHLD may stand for several children.
fn reap() {
    while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(_)) {}
}
