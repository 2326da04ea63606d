//! Faults that are none: SIGSEGV and its like, sent by somebody.
//!
//! Components may share the controller's PID namespace, and their root user can send it any signal. The handlers of faults, those of Rust's runtime and of
//! plugins' machine code, run on a small stack of their own, and whatever signals are due at the same moment are handled on top of them: with the
//! registers of today's processors four such frames fill it, and the kernel ends the process. Besides, the runtime's handler gives itself up at
//! the first fault that it can't explain; the next trap of a plugin would then end the pod. [`harden`] lets nothing interrupt these
//! handlers, and nothing reach them but faults.
#![expect(unsafe_code, reason = "handlers of signals are not safe in general; `harden` says why these are")]

use std::ffi::c_void;
use std::sync::OnceLock;

use nix::libc::{c_int, siginfo_t};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use tracing::warn;

/// The signals of faults that somebody may handle, and what did so before.
static FAULTS: [(Signal, OnceLock<SigAction>); 4] = [
    (Signal::SIGSEGV, OnceLock::new()),
    (Signal::SIGBUS, OnceLock::new()),
    (Signal::SIGILL, OnceLock::new()),
    (Signal::SIGFPE, OnceLock::new()),
];

/// Puts itself before all handlers of faults that are installed by now; to be called once plugins are loaded, and before any component is started. Further calls do nothing.
pub fn harden() {
    for (signal, before) in &FAULTS {
        if before.get().is_some() {
            continue;
        }
        // Nothing interrupts it: what comes meanwhile waits until the stack is free.
        let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_RESTART;
        let ours = SigAction::new(SigHandler::SigAction(fault), flags, SigSet::all());
        // SAFETY: `fault` only does what handlers may do: it reads memory that is written once, and calls the handler that was there before with what
        // it would have got. Between the two calls that install `ours` and note what was there, a fault would find nothing noted and be repeated.
        match unsafe { sigaction(*signal, &ours) } {
            Ok(was) if matches!(was.handler(), SigHandler::SigAction(_) | SigHandler::Handler(_)) => {
                let _already = before.set(was);
            }
            // Nobody handles it: the kernel keeps it from PID 1, and ends any other process, as it should be.
            Ok(was) => {
                // SAFETY: what was there a moment ago.
                if let Err(error) = unsafe { sigaction(*signal, &was) } {
                    warn!(%signal, %error, "cannot restore the default action of a signal");
                }
            }
            Err(error) => {
                warn!(%signal, %error, "cannot distinguish faults of the program from signals of other processes")
            }
        }
    }
}

/// Passes a fault on to whoever handled it before.
extern "C" fn fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `info` to handlers with `SA_SIGINFO`.
    let code = unsafe { (*info).si_code };
    // The codes of the kernel are positive, and no other process can send those (sigaction(2), rt_sigqueueinfo(2)).
    if code <= 0 {
        return;
    }
    let before = FAULTS.iter().find(|(fault, _)| *fault as c_int == signal).and_then(|(_, before)| before.get());
    match before.map(SigAction::handler) {
        Some(SigHandler::SigAction(handler)) => handler(signal, info, context),
        Some(SigHandler::Handler(handler)) => handler(signal),
        Some(SigHandler::SigDfl | SigHandler::SigIgn) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn a_fault_that_was_sent_is_none_and_the_handler_stays() {
        harden();
        harden();
        for _ in 0..3 {
            raise(Signal::SIGSEGV).unwrap();
            raise(Signal::SIGBUS).unwrap();
        }
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let caught = u64::from_str_radix(caught.trim(), 16).unwrap();
        for signal in [Signal::SIGSEGV, Signal::SIGBUS] {
            assert_ne!(caught & (1 << (signal as u32 - 1)), 0, "{signal}");
        }
    }
}
