//! Listens to the kernel: signals to the controller, and the ends of processes that nobody else waits for.

use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::debug;

use crate::shutdown::Tasks;

/// Signals that have not been dealt with yet; when full, further ones of the same burst are lost, as the kernel's own are.
const PENDING: usize = 32;

/// The signals that reach the pod: SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM, SIGCONT, SIGWINCH.
const HEARD: [i32; 8] = [1, 2, 3, 10, 12, 15, 18, 28];

/// Begins to listen. To be called first of all, so that a SIGTERM during start-up is heard.
///
/// # Errors
/// The kernel's refusal to install a handler.
pub fn listen(tasks: &Tasks) -> std::io::Result<mpsc::Receiver<i32>> {
    let (sender, receiver) = mpsc::channel(PENDING);
    for number in HEARD {
        let mut stream = signal(SignalKind::from_raw(number))?;
        let sender = sender.clone();
        tasks.spawn("signal", move |token| async move {
            loop {
                tokio::select! {
                    biased;
                    () = token.cancelled() => return,
                    heard = stream.recv() => if heard.is_none() { return },
                }
                if sender.try_send(number).is_err() {
                    debug!(signal = number, "too many signals at the same time; some were dropped");
                }
            }
        });
    }
    Ok(receiver)
}

/// Waits for processes that have lost their parent: with a shared PID namespace they become children of PID 1, which is the controller, and would stay zombies.
///
/// # Errors
/// The kernel's refusal to install a handler.
pub fn reap(tasks: &Tasks) -> std::io::Result<()> {
    if std::process::id() != 1 {
        return Ok(());
    }
    let mut ended = signal(SignalKind::child())?;
    tasks.spawn("reaper", move |token| async move {
        loop {
            while let Ok(status) = waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
                if status == WaitStatus::StillAlive {
                    break;
                }
                debug!(?status, "collected the exit status of an orphaned process");
            }
            tokio::select! {
                biased;
                () = token.cancelled() => return,
                heard = ended.recv() => if heard.is_none() { return },
            }
        }
    });
    Ok(())
}
