//! Why a plugin can't be used.

use std::io;

/// Why a plugin can't be used; each is told in one sentence that says what to do about it or which side is at fault.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// No stock plugin has this name.
    #[error(
        "there is no stock plugin `{name}`; stock plugins: {known}. For any other plugin, write the path of its file in `source`"
    )]
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
    #[error("cannot read file `{path}`: {source}")]
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
    #[error("the file is not WebAssembly")]
    NotWasm,
    /// Machine code, which is never taken from outside.
    #[error(
        "the file is machine code (`.cwasm`), which Outrigger does not accept from users: use the `.wasm` file from which it was compiled"
    )]
    MachineCode,
    /// A core module.
    #[error(
        "the file is a core WebAssembly module, not a component: build the plugin for `wasm32-wasip2`, or convert the module with `wasm-tools component new`"
    )]
    CoreModule,
    /// Damaged, or uses what this engine does not have.
    #[error("the plugin cannot be compiled: {reason}")]
    Broken {
        /// In the compiler's words.
        reason: String,
    },
    /// Built against a version of the contract that is not served.
    #[error("the plugin was built against `{name}`, but this version of Outrigger supports `outrigger:pod` {served}")]
    OtherVersion {
        /// Interface and version.
        name: String,
        /// Versions that are served.
        served: String,
    },
    /// Imports an interface that this version of the host does not serve yet.
    #[error("the plugin imports `{interface}`, which this version of Outrigger does not support yet")]
    ImportNotServed {
        /// The interface.
        interface: String,
    },
    /// Imports another version of WASI: 0.3 has asynchronous functions, which hooks do not.
    #[error(
        "the plugin imports `{name}`, but this version of Outrigger supports WASI 0.2: build the plugin for `wasm32-wasip2`"
    )]
    OtherWasi {
        /// What it imports.
        name: String,
    },
    /// Imports something unknown.
    #[error("the plugin imports `{name}`, which Outrigger does not have")]
    UnknownImport {
        /// What it imports.
        name: String,
    },
    /// Exports a hook that this version of the host does not call yet.
    #[error("the plugin has the hook `{hook}`, which this version of Outrigger does not call yet")]
    HookNotServed {
        /// The hook.
        hook: &'static str,
    },
    /// Exports an interface of the contract's package that this version does not know.
    #[error(
        "the plugin has the hook `{hook}`, which this version of Outrigger does not know: use a newer version of Outrigger"
    )]
    UnknownHook {
        /// The hook.
        hook: String,
    },
    /// Does not export `plugin`.
    #[error("the plugin does not export `outrigger:pod/plugin`, which is mandatory")]
    NoPlugin,
    /// Exports or imports something with another type than the contract's.
    #[error("the plugin does not match the contract: {reason}")]
    Mismatch {
        /// Which item and how, in the linker's words.
        reason: String,
    },
    /// Trapped, overran or answered an error before any hook was called.
    #[error("the plugin's `{step}` {reason}")]
    Failed {
        /// `start`, `describe` or `configure`.
        step: &'static str,
        /// How.
        reason: String,
    },
    /// Its manifest is wrong.
    #[error("the plugin's manifest is wrong: {what}")]
    Manifest {
        /// What is.
        what: String,
    },
    /// The engine or its ticker can't be made.
    #[error("cannot run WebAssembly here: {reason}")]
    Engine {
        /// Why.
        reason: String,
    },
}
