//! Loading machine code that wasmtime compiled: with `memory`, one of the three unsafe places of the crate.
//!
//! A `.cwasm` file is native code that runs outside any sandbox, so the caller must know who wrote it. Two places are trusted, and each is checked by
//! [`crate::plugin::host::cache`] before anything is read from it: the cache directory, which only this process's user can write and which only this host fills
//! from WebAssembly that it has validated itself; and the image's plugin directory, which only root can write.
#![expect(unsafe_code, reason = "`Component::deserialize_file` runs what the file holds; see the contract above")]

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::plugin::host::cache::Trusted;

/// Maps a compiled component. Wasmtime itself refuses what another version, another target or other settings made.
///
/// # Errors
/// Where the file can't be read, or does not fit this engine.
pub fn load(engine: &Engine, file: &Trusted) -> wasmtime::Result<Component> {
    let path: &Path = file.path();
    // SAFETY: a `Trusted` is only made for a file that its owner alone can write, in a directory for which the same holds, where the owner is this process's
    // user or root. Both write complete files and rename them into place, and never change one afterwards: the mapping stays what it was.
    unsafe { Component::deserialize_file(engine, path) }
}
