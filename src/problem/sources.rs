//! The texts that a user wrote, and where in them problems are.
//!
//! Problems name a label and a field. [`Sources::locate`] looks both up in the texts, which costs something, and happens only where something is wrong. A label that stands in a
//! stack file is a text within a text: what is wrong in it is shown at its line of the file.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::shown::IN_ALL;
use super::tree::{Hit, Mark, Piece, Style, Tree};
use super::{Place, Position, Problem, Problems, Span};

/// Longest piece of a line that is shown, in characters.
const WIDTH: usize = 120;

/// Characters that are shown before a piece of a line that is longer.
const BEFORE: usize = 40;

/// Texts, and where the labels of pods are in them.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    texts: Vec<Text>,
    roots: Vec<Root>,
}

#[derive(Debug, Clone)]
struct Text {
    /// What problems call it.
    origin: String,
    /// How the user named it; none for a label.
    file: Option<String>,
    text: String,
    tree: OnceCell<Tree>,
}

/// A text by its number, then line and column in it, then line and column in the label that is there.
type Rank = (usize, (usize, usize), (usize, usize));

/// Labels that begin with `prefix` in messages are entries of the map or list at `at`.
#[derive(Debug, Clone)]
struct Root {
    prefix: String,
    at: Place,
}

impl Sources {
    /// Adds a file: `origin` is its name in messages, `file` how the user named it.
    pub fn file(&mut self, origin: &str, file: &str, text: &str) {
        self.add(origin, Some(file.to_owned()), text);
    }

    /// Adds a label that is in no file.
    pub fn label(&mut self, label: &str, text: &str) {
        self.add(label, None, text);
    }

    /// Adds the texts of another collection.
    pub fn extend(&mut self, other: Self) {
        self.texts.extend(other.texts);
        self.roots.extend(other.roots);
    }

    fn add(&mut self, origin: &str, file: Option<String>, text: &str) {
        // The readers pass over a byte order mark as well.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        self.texts.push(Text { origin: origin.to_owned(), file, text, tree: OnceCell::new() });
    }

    /// Says where the labels are that begin with `prefix` in messages: a map, or a list of `label=text`, in one of the files.
    pub fn labels_at(&mut self, prefix: &str, at: Place) {
        self.roots.push(Root { prefix: prefix.to_owned(), at });
    }

    /// Sorts the problems by their places: first those that have none, then by file and line. Adds the line to each that may be shown, if its place is found.
    pub fn locate(&self, problems: &mut Problems) {
        let mut inner: HashMap<(usize, String), Option<Tree>> = HashMap::new();
        problems.0.sort_by_cached_key(|problem| self.place(problem, &mut inner));
        let open = |problem: &&mut Problem| !matches!(problem.position, Position::Found(_));
        for problem in problems.0.iter_mut().take(IN_ALL).filter(open) {
            // It is in a text that the field has made, which is no line of the file.
            if let Position::Point { line, column } = problem.position
                && !problem.field.is_empty()
            {
                problem.what = format!("line {line}, column {column}: {}", problem.what);
                problem.position = Position::Field;
            }
            if let Some(span) = self.span(problem) {
                problem.position = Position::Found(Box::new(span));
            }
        }
    }

    /// The text in which a problem is, and the characters before it there, and within the label that is there. Takes no longer for a long text, so that any number of
    /// problems can be sorted; `inner` has the texts of labels that have been read.
    fn place(&self, problem: &Problem, inner: &mut HashMap<(usize, String), Option<Tree>>) -> Option<Rank> {
        let own = self.texts.iter().enumerate().filter(|(_, text)| text.origin == problem.label);
        let own = own.filter_map(|(at, text)| Some((at, text.tree().rank(problem)?, (0, 0))));
        let roots = self.roots.iter().filter_map(|root| Some((root, problem.label.strip_prefix(&root.prefix)?)));
        own.min().or_else(|| {
            let in_root = |(root, label): (&Root, &str)| {
                let files = self.texts.iter().enumerate().filter(|(_, text)| text.file.is_some());
                let in_file = |(at, text): (usize, &Text)| {
                    let tree = text.tree();
                    let Some((hit, before)) = tree.label(&root.at.field, label) else {
                        // A template has made the label.
                        let service = root.at.field.strip_suffix(".labels").unwrap_or(&root.at.field);
                        let hit = tree.find_key(service).filter(|hit| hit.left == 0 && hit.key.is_some())?;
                        return Some((at, hit.begin(), (0, 0)));
                    };
                    let read = || Some(Tree::of(&hit.scalar?.0.chars().skip(before).collect::<String>()));
                    let tree = inner.entry((at, problem.label.clone())).or_insert_with(read);
                    Some((at, hit.begin(), tree.as_ref().and_then(|tree| tree.rank(problem)).unwrap_or_default()))
                };
                files.filter_map(in_file).min()
            };
            roots.filter_map(in_root).next()
        })
    }

    fn span(&self, problem: &Problem) -> Option<Span> {
        let own = self.texts.iter().filter(|text| text.origin == problem.label);
        let own = own.filter_map(|text| text.find(problem));
        let labels = self.roots.iter().filter_map(|root| {
            let label = problem.label.strip_prefix(&root.prefix)?;
            // A service may be in any of several stack files.
            let files = self.texts.iter().filter(|text| text.file.is_some());
            files.filter_map(|text| text.find_in_label(&root.at.field, label, problem)).min_by_key(|(left, _)| *left)
        });
        // Of several files with one name in messages the one that has most of the field.
        let found = own.chain(labels).min_by_key(|(left, _)| *left)?;
        // The whole text is no place.
        (found.0 < problem.field.len() || problem.field.is_empty()).then_some(found.1)
    }
}

impl Text {
    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| Tree::of(&self.text))
    }

    /// The piece, and how much of the field was not found.
    fn find(&self, problem: &Problem) -> Option<(usize, Span)> {
        if let Position::Point { line, column } = problem.position {
            let mark = Mark { line, column: column.saturating_sub(1), index: 0 };
            return Some((0, self.shown(Piece { start: mark, end: mark })));
        }
        if problem.field.is_empty() {
            return None;
        }
        let hit = self.tree().again(problem).or_else(|| self.tree().find(&problem.field))?;
        Some((hit.left, self.shown(piece(&hit, &self.text))))
    }

    /// The same in a label that is one of the values of this text.
    fn find_in_label(&self, labels: &str, label: &str, problem: &Problem) -> Option<(usize, Span)> {
        let Some((hit, before)) = self.tree().label(labels, label) else {
            // A template has made the label: its service is the nearest.
            let service = labels.strip_suffix(".labels").unwrap_or(labels);
            let hit = self.tree().find(service).filter(|hit| hit.left == 0 && hit.key.is_some())?;
            return Some((problem.field.len().saturating_sub(1), self.shown(piece(&hit, &self.text))));
        };
        let whole = || self.shown(piece(&hit, &self.text));
        let Some((value, style)) = hit.scalar else { return Some((0, whole())) };
        let inner: String = value.chars().skip(before).collect();
        let mut left = 0;
        let within = match problem.position {
            Position::Point { line, column } => {
                let mark = Mark { line, column: column.saturating_sub(1), index: 0 };
                Piece { start: mark, end: mark }
            }
            _ if problem.field.is_empty() => return Some((0, whole())),
            _ => {
                let tree = Tree::of(&inner);
                let Some(found) = tree.again(problem).or_else(|| tree.find(&problem.field)) else {
                    return Some((problem.field.len(), whole()));
                };
                left = found.left;
                if left >= problem.field.len() {
                    // Of all of the label, as for a key that is missing in it, the label's own line is the place.
                    return Some((0, whole()));
                }
                piece(&found, &inner)
            }
        };
        let dark =
            value.chars().take(before).filter(|c| !c.is_whitespace()).count() + dark_before(&inner, within.start);
        let Some(start) = self.outer(&hit, style, dark) else { return Some((left, whole())) };
        let length = within.end.column.saturating_sub(within.start.column).max(1);
        let end = Mark { column: start.column + length, ..start };
        Some((left, self.shown(Piece { start, end })))
    }

    /// Where the character stands that comes after so many that are not white space, of a scalar's value: white space is what styles change.
    fn outer(&self, hit: &Hit<'_>, style: Style, dark: usize) -> Option<Mark> {
        let mut at = hit.value.start;
        let mut chars = self.text.chars().skip(at.index).peekable();
        let mut seen = 0;
        let mut is_first = true;
        while let Some(c) = chars.next() {
            let here = at;
            let mut step = |c: char| {
                at.index += 1;
                if c == '\n' {
                    (at.line, at.column) = (at.line + 1, 0);
                } else {
                    at.column += 1;
                }
            };
            step(c);
            let mut is_dark = !c.is_whitespace();
            if std::mem::take(&mut is_first) && matches!(style, Style::Single | Style::Double) {
                continue;
            }
            match (style, c) {
                (Style::Single, '\'') => {
                    step(chars.next()?);
                }
                (Style::Double, '\\') => {
                    let escape = chars.next()?;
                    step(escape);
                    is_dark = match escape {
                        '\n' | 't' | 'n' | 'r' | 'v' | 'f' | ' ' | '\t' | 'N' | '_' | 'L' | 'P' => false,
                        'x' | 'u' | 'U' => {
                            let digits = match escape {
                                'x' => 2,
                                'u' => 4,
                                _ => 8,
                            };
                            let mut number = String::new();
                            for _ in 0..digits {
                                let digit = chars.next()?;
                                step(digit);
                                number.push(digit);
                            }
                            let code = u32::from_str_radix(&number, 16).ok().and_then(char::from_u32);
                            code.is_none_or(|c| !c.is_whitespace())
                        }
                        _ => true,
                    };
                }
                _ => {}
            }
            if is_dark {
                if seen == dark {
                    return Some(here);
                }
                seen += 1;
            }
        }
        None
    }

    /// With the line, cut where it is long.
    fn shown(&self, piece: Piece) -> Span {
        let Piece { start, end } = piece;
        let line = line(&self.text, start.line).trim_end();
        // A generated file may be one line of megabytes.
        let count = if line.is_ascii() { line.len() } else { line.chars().count() };
        let end = if end.line > start.line { count } else { end.column };
        let (from, mark) =
            if count <= WIDTH || start.column <= BEFORE { (0, start.column) } else { (start.column - BEFORE, BEFORE) };
        let cut: String = match line.get(from.min(line.len())..(from + WIDTH).min(line.len())) {
            Some(cut) if line.is_ascii() => cut.to_owned(),
            _ => line.chars().skip(from).take(WIDTH).collect(),
        };
        let text: String = cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let room = WIDTH.min(count.saturating_sub(from)).saturating_sub(mark);
        let length = end.saturating_sub(start.column).clamp(1, room.max(1));
        Span { file: self.file.clone(), line: start.line, column: start.column + 1, text, mark, length }
    }
}

/// A line of a text, counted from 1.
fn line(text: &str, number: usize) -> &str {
    text.split('\n').nth(number.saturating_sub(1)).unwrap_or_default()
}

/// The piece to mark: key and value where both are on one line and the whole field was found, else the key.
fn piece(hit: &Hit<'_>, text: &str) -> Piece {
    let Piece { start, end } = hit.value;
    match hit.key {
        Some(key)
            if hit.left == 0
                && end.line == key.start.line
                && end.index > start.index
                && start.index > key.start.index =>
        {
            Piece { start: key.start, end }
        }
        Some(key) => key,
        None if end.line == start.line => hit.value,
        None => rest_of_line(hit.value, text),
    }
}

/// An item that is a list or a map is marked up to the end of its first line.
fn rest_of_line(from: Piece, text: &str) -> Piece {
    let end = line(text, from.start.line).trim_end().chars().count();
    Piece { start: from.start, end: Mark { column: end.max(from.start.column + 1), ..from.start } }
}

/// How many characters before this one are not white space.
fn dark_before(text: &str, mark: Mark) -> usize {
    let dark = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let before: usize = text.split('\n').take(mark.line.saturating_sub(1)).map(dark).sum();
    let on_line: String = line(text, mark.line).chars().take(mark.column).collect();
    before + dark(&on_line)
}

#[cfg(test)]
mod tests;
