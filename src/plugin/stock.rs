//! The plugins that ship inside the binary, as WebAssembly; `build.rs` makes them from `plugins/`.

/// Their names, as in `plugins:`, in the order of the documentation.
pub const NAMES: &[&str] = &["reload", "signal", "redact"];

/// The component of a stock plugin; none: there is no such plugin.
#[must_use]
pub fn wasm(name: &str) -> Option<&'static [u8]> {
    match name {
        "reload" => Some(include_bytes!(env!("OUTRIGGER_STOCK_RELOAD"))),
        "signal" => Some(include_bytes!(env!("OUTRIGGER_STOCK_SIGNAL"))),
        "redact" => Some(include_bytes!(env!("OUTRIGGER_STOCK_REDACT"))),
        _ => None,
    }
}
