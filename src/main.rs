//! The `outrigger` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // First of all: components may share the controller's PID namespace, and a process that can be dumped is one whose `/proc/<pid>/root`,
    // with the engine's socket in it, a component's root user could walk into.
    let hardened = nix::sys::prctl::set_dumpable(false);
    let argv: Vec<_> = std::env::args_os().collect();
    if hardened.is_ok() {
        outrigger::idle::hand_over(&argv);
    }
    outrigger::cli::main(argv, std::env::vars_os().collect(), hardened.err())
}
