//! The two commands that only wait, for as long as the pod lives: `pause`, which holds an IPC namespace, and `healthcheck --wait`, the image's HEALTHCHECK.
//!
//! As `/outrigger` each of them would keep 2 MiB resident, most of it addresses that the loader fills in at the start. So the image has a program of its own for them,
//! `/outrigger-idle` (`src/bin/outrigger-idle.rs`), and `/outrigger` hands over to it before it does anything else. `/outrigger` does the same
//! itself if the other program is not there.

mod work;

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;

use nix::unistd::execv;

pub use self::work::{
    Answer, FAILED, HEARTBEAT, PASSED, Role, SOCKET, STATE_DIR, STATE_DIR_VARIABLE, WAIT, WaitError, ask, pause, socket,
};

/// The program of the image that only waits. At the root, where in an image and on a host only root can put one.
const PROGRAM: &str = "/outrigger-idle";

/// Lets `/outrigger-idle` take this process over if the command only waits. Comes back if it is another command, or if that program is not there.
pub fn hand_over(argv: &[OsString]) {
    let Some(role) = Role::of(argv.get(1..).unwrap_or_default()) else { return };
    if role == Role::Pause && work::block().is_err() {
        // A signal that comes before the other program listens would be lost. `pause` meets the same failure, and reports it.
        return;
    }
    let words: Result<Vec<CString>, _> = argv.iter().map(|word| CString::new(word.as_bytes())).collect();
    if let (Ok(words), Ok(program)) = (words, CString::new(PROGRAM)) {
        // It comes back only if it fails; then this program does the work.
        let (Ok(_) | Err(_)) = execv(&program, &words);
    }
}

#[cfg(test)]
mod tests;
