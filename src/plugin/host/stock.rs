//! The plugins that ship inside the binary, as WebAssembly; `build.rs` makes them from `plugins/`.

pub use crate::pod::stock::STOCK as NAMES;

// `fn wasm`, with an arm for each of these names.
include!(concat!(env!("OUT_DIR"), "/stock.rs"));
