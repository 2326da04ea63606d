//! Columns of text, whatever the length of a cell: names, commands and values come from files, and may be as long as these.

use std::borrow::Cow;

use crate::problem::shown::cut;

/// Between two columns.
const GAP: usize = 2;

/// Widest column, in characters: the others begin behind a longer cell of their own line, and not far away in every line.
const WIDEST: usize = 100;

/// One line for each row, each with this before it. A column is as wide as its widest cell, up to 100 characters; the last one has the width of its own cell. A very long cell is shortened.
#[must_use]
pub fn aligned(rows: &[Vec<String>], before: &str) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> = rows.iter().map(|row| row.iter().map(|cell| cut(cell)).collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (cell, width) in row.iter().zip(&mut widths) {
            *width = (*width).max(cell.chars().count().min(WIDEST));
        }
    }
    let mut lines = String::new();
    for row in &rows {
        let mut line = before.to_owned();
        for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
            line.push_str(cell);
            // A width in a format may be no more than 65,535, and panics above.
            if at + 1 < row.len() {
                line.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + GAP));
            }
        }
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_without_spaces() {
        let rows = [vec!["a".to_owned(), "long".to_owned(), "x".to_owned()], vec!["bcd".to_owned(), "é".to_owned()]];
        assert_eq!(aligned(&rows, ""), "a    long  x\nbcd  é\n");
        assert_eq!(aligned(&rows, "  "), "  a    long  x\n  bcd  é\n");
    }

    #[test]
    fn a_cell_of_any_length_is_a_line_of_moderate_length() {
        for length in [101, 1_999, 65_535, 65_536, 1_000_000] {
            let long = "x".repeat(length);
            for long_at in 0..3 {
                let mut row = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
                row[long_at].clone_from(&long);
                let text = aligned(&[row, vec!["d".to_owned(), "e".to_owned(), "f".to_owned()]], "");
                let lines: Vec<_> = text.lines().collect();
                assert!(lines.len() == 2 && lines[0].len() < 2_200 && lines[1].len() < 220, "{length}, {long_at}");
                assert!(lines[0].contains(&"x".repeat(length.min(2_000))), "{length}, {long_at}");
                assert_eq!(lines[0].contains("more bytes"), length > 2_000, "{length}, {long_at}");
            }
        }
    }
}
