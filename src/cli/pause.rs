//! The container that lends its IPC namespace: does nothing, as cheaply as can be.

use anyhow::Context;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::report::{Exit, Report};

/// Waits for SIGTERM or SIGINT, and meanwhile reaps what was orphaned in its PID namespace.
pub(super) fn run() -> Result<Exit, Report> {
    let mut awaited = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD] {
        awaited.add(signal);
    }
    // Blocked signals are kept for `wait`, even for PID 1, whose unhandled signals the kernel would throw away.
    awaited.thread_block().context("cannot block signals")?;
    loop {
        match awaited.wait() {
            Ok(Signal::SIGCHLD) => reap(),
            Ok(_) => return Ok(Exit::Success),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Report::new(anyhow::Error::new(errno).context("cannot wait for signals"))),
        }
    }
}

/// One SIGCHLD may stand for several children.
fn reap() {
    while !matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(_)) {}
}
