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

/// Writes one JSON document to standard output, indented.
pub(super) fn json<T: Serialize>(value: &T) -> Result<(), Report> {
    let mut document = serde_json::to_string_pretty(value).context("cannot write JSON")?;
    document.push('\n');
    text(&document)
}

/// Columns of equal width with two spaces between; the last one is as wide as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let rows = [vec!["a".to_owned(), "long".to_owned(), "x".to_owned()], vec!["bcd".to_owned(), "é".to_owned()]];
        assert_eq!(table(&rows), "a    long  x\nbcd  é\n");
    }
}
