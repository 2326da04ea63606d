//! `/outrigger-idle` of the image: the two commands that only wait, in a tenth of the memory.
//!
//! `/outrigger pause` and `/outrigger healthcheck --wait` become this program. It is made of `src/idle/work.rs` alone and does not link the library.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

#[path = "../idle/work.rs"]
mod work;

use work::{Answer, Role};

/// A wrong command line: see `outrigger --help`.
const USAGE: u8 = 2;
/// A failure of this program itself.
const FAILED: u8 = 125;

fn main() -> ExitCode {
    // First of all, for the reason that `src/main.rs` gives.
    if let Err(errno) = nix::sys::prctl::set_dumpable(false) {
        return failed(FAILED, &format!("cannot make this process undumpable: {errno}"));
    }
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match Role::of(&arguments) {
        Some(Role::Pause) => match work::pause() {
            Ok(()) => ExitCode::SUCCESS,
            Err(errno) => failed(FAILED, &format!("cannot wait for signals: {errno}")),
        },
        Some(Role::Wait) => wait(),
        None => failed(USAGE, "expected `pause` or `healthcheck --wait`; for all other commands, use `/outrigger`"),
    }
}

/// Ends with 0 and 1 only: the engine reserves all other codes of a health check.
fn wait() -> ExitCode {
    let state_dir = std::env::var_os(work::STATE_DIR_VARIABLE);
    match work::ask(&work::socket(state_dir.as_deref())) {
        Ok(Answer { passed, text }) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) if passed => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        },
        Err(error) => failed(1, &error.to_string()),
    }
}

fn failed(code: u8, why: &str) -> ExitCode {
    // If standard error is closed, nobody is left to read it.
    writeln!(io::stderr(), "error: {why}").unwrap_or_default();
    ExitCode::from(code)
}
