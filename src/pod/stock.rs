//! The plugins that ship inside the program. `build.rs` reads this file, too, and builds each from `plugins/<name>`.

/// Their names, as in `plugins:`, in the order of the documentation.
pub const STOCK: [&str; 3] = ["reload", "signal", "redact"];
