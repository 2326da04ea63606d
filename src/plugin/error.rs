//! Why a plugin can't be used.

use std::io;

/// Why a plugin can't be used; each is told in one sentence that says what to do about it or which side is at fault.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No stock plugin has this name.
    #[error("no stock plugin is called `{name}`; there are {known}, and for any other plugin `source` names its file")]
    NoStock {
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// There is no such file.
    #[error("file `{path}` does not exist in the controller")]
    Missing {
        /// Its path.
        path: String,
    },
    /// The file can't be read.
    #[error("file `{path}` can't be read: {source}")]
    Unreadable {
        /// Its path.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The file is larger than any plugin.
    #[error("file `{path}` has more than {limit} bytes")]
    TooBig {
        /// Its path.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// Something else than WebAssembly.
    #[error("it is not WebAssembly")]
    NotWasm,
    /// Machine code, which is never taken from outside.
    #[error("it is machine code (`.cwasm`), which is not taken from outside: give the `.wasm` it was made from")]
    MachineCode,
    /// A core module.
    #[error(
        "it is a core WebAssembly module, not a component: build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Damaged, or uses what this engine does not have.
    #[error("it can't be compiled: {reason}")]
    Broken {
        /// In the compiler's words.
        reason: String,
    },
    /// Built against a version of the contract that is not served.
    #[error("it was built against `{name}`, but this Outrigger serves `outrigger:pod` {served}")]
    OtherVersion {
        /// Interface and version.
        name: String,
        /// Versions that are served.
        served: String,
    },
    /// Imports an interface that this version of the host does not serve yet.
    #[error("it imports `{interface}`, which this version of Outrigger does not serve yet")]
    ImportNotServed {
        /// The interface.
        interface: String,
    },
    /// Imports something unknown.
    #[error("it imports `{name}`, which Outrigger does not have")]
    UnknownImport {
        /// What it imports.
        name: String,
    },
    /// Exports a hook that this version of the host does not call yet.
    #[error("it has the hook `{hook}`, which this version of Outrigger does not call yet")]
    HookNotServed {
        /// The hook.
        hook: &'static str,
    },
    /// Does not export `plugin`.
    #[error("it does not export `outrigger:pod/plugin`, which every plugin must")]
    NoPlugin,
    /// Exports or imports something with another type than the contract's.
    #[error("it does not fit the contract: {reason}")]
    Mismatch {
        /// Which item and how, in the linker's words.
        reason: String,
    },
    /// Trapped, overran or answered an error before any hook was called.
    #[error("its `{step}` {reason}")]
    Failed {
        /// `start`, `describe` or `configure`.
        step: &'static str,
        /// How.
        reason: String,
    },
    /// Its manifest is wrong.
    #[error("its manifest is wrong: {what}")]
    Manifest {
        /// What is.
        what: String,
    },
    /// The engine or its ticker can't be made.
    #[error("WebAssembly can't be run here: {reason}")]
    Engine {
        /// Why.
        reason: String,
    },
}
