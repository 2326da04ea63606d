//! Data on standard output.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;
use serde::Serialize;

use super::report::Report;

/// Writes text to standard output. That the reader has gone (`| head`) is no failure.
pub(super) fn text(text: &str) -> Result<(), Report> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done.context("cannot write to standard output")?),
    }
}

/// Tells notes on standard error, a line each.
pub(super) fn notes<T: std::fmt::Display>(notes: &[T]) {
    let text: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
    // Where standard error is closed there is nobody left to tell.
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

/// Adds to an error of another program what to do about it, on standard error.
pub(super) fn hint(hint: &str) {
    io::stderr().write_all(format!("hint: {hint}\n").as_bytes()).unwrap_or_default();
}

/// Writes one JSON document to standard output, indented.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Report> {
    let mut document = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    document.push('\n');
    text(&document)
}

/// Columns of equal width with two spaces between; the last one is as wide as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    crate::plan::render::aligned(rows, "")
}
