//! Where in a text of YAML every key and value stands.
//!
//! Made only of a text in which something is wrong: what is right is read without positions. A field is written as in a [`Place`](super::Place): `a.b[0].c`. Keys may hold dots themselves.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use super::{Position, Problem};
use saphyr_parser::{Event, Parser, ScalarStyle, Span as Range};

/// Deepest aliases and merges that are followed for one field.
const DEEPEST: usize = 100;

/// Most items of a list that are looked at for the name of a plugin.
const MOST_ITEMS: usize = 256;

/// A character of a text: its line from 1, its column from 0 and its index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) index: usize,
}

/// From one character to the one behind the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) start: Mark,
    pub(crate) end: Mark,
}

impl From<Range> for Piece {
    fn from(range: Range) -> Self {
        let mark = |it: saphyr_parser::Marker| Mark { line: it.line(), column: it.col(), index: it.index() };
        Self { start: mark(range.start), end: mark(range.end) }
    }
}

/// How a scalar was written, as far as that decides where its characters stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Single,
    Double,
    /// Literal or folded.
    Block,
}

/// A text's values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Keys that their map has already, in the order of the text.
    again: Vec<(String, Entry)>,
    /// The lists of `label=text` in which labels were looked for, by their nodes: the items by their labels.
    listed: RefCell<HashMap<usize, HashMap<String, usize>>>,
}

#[derive(Debug, Clone)]
struct Node {
    piece: Piece,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Scalar { text: String, style: Style },
    List(Vec<usize>),
    Map { entries: HashMap<String, Entry>, merges: Vec<usize> },
    Alias(usize),
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Piece,
    value: usize,
}

/// What was found of a field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit<'t> {
    /// The key, where it is the value of one.
    pub(crate) key: Option<Piece>,
    /// The value; of a list or map in block style the end is where the next key begins.
    pub(crate) value: Piece,
    /// Text and style of a scalar.
    pub(crate) scalar: Option<(&'t str, Style)>,
    /// How many bytes of the field were not found: this is the nearest of what is around it.
    pub(crate) left: usize,
    node: usize,
}

impl Hit<'_> {
    /// Line and column of the key, or of a value without one.
    pub(crate) fn begin(&self) -> (usize, usize) {
        let start = self.key.map_or(self.value.start, |key| key.start);
        (start.line, start.column)
    }
}

impl Tree {
    /// Line and column of a problem of this text; none for the text as a whole.
    pub(crate) fn rank(&self, problem: &Problem) -> Option<(usize, usize)> {
        if let Position::Point { line, column } = problem.position
            && problem.field.is_empty()
        {
            return Some((line, column));
        }
        let hit = self
            .again(problem)
            .or_else(|| self.find_key(&problem.field).filter(|hit| hit.left < problem.field.len()))?;
        Some(hit.begin())
    }

    /// Reads as much as can be read: `text` may be broken further down.
    pub(crate) fn of(text: &str) -> Self {
        let mut tree = Self::default();
        let mut anchors: HashMap<usize, usize> = HashMap::new();
        // Lists and maps that are open, and the key of the map that waits for its value.
        let mut open: Vec<(usize, Option<(String, Piece)>)> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, range)) = event else { break };
            let piece = Piece::from(range);
            let (anchor, kind) = match event {
                Event::SequenceEnd | Event::MappingEnd => {
                    if let Some(node) = open.pop().and_then(|(node, _)| tree.nodes.get_mut(node)) {
                        node.piece.end = piece.end;
                    }
                    continue;
                }
                Event::Scalar(text, style, anchor, _) => {
                    (anchor, Kind::Scalar { text: text.into_owned(), style: Style::of(style) })
                }
                Event::SequenceStart(anchor, _) => (anchor, Kind::List(Vec::new())),
                Event::MappingStart(anchor, _) => (anchor, Kind::Map { entries: HashMap::new(), merges: Vec::new() }),
                Event::Alias(anchor) => match anchors.get(&anchor) {
                    Some(node) => (0, Kind::Alias(*node)),
                    None => break,
                },
                // Only one document is read.
                Event::DocumentEnd => break,
                _ => continue,
            };
            if let Some((parent, key @ None)) = open.last_mut()
                && matches!(tree.nodes.get(*parent), Some(Node { kind: Kind::Map { .. }, .. }))
            {
                // A list or a map as a key is no key of ours: the reader has refused it.
                let Kind::Scalar { text, .. } = kind else { break };
                *key = Some((text, piece));
                continue;
            }
            let opens = matches!(kind, Kind::List(_) | Kind::Map { .. });
            let node = tree.nodes.len();
            tree.nodes.push(Node { piece, kind });
            if anchor > 0 {
                anchors.insert(anchor, node);
            }
            if let Some((parent, key)) = open.last_mut() {
                tree.adopt(*parent, key.take(), node);
            }
            if opens {
                open.push((node, None));
            }
        }
        tree
    }

    fn adopt(&mut self, parent: usize, key: Option<(String, Piece)>, node: usize) {
        match (self.nodes.get_mut(parent).map(|node| &mut node.kind), key) {
            (Some(Kind::List(items)), _) => items.push(node),
            (Some(Kind::Map { merges, .. }), Some((key, _))) if key == "<<" => merges.push(node),
            (Some(Kind::Map { entries, .. }), Some((name, key))) => {
                let entry = Entry { key, value: node };
                // The first counts, as for the readers.
                match entries.entry(name) {
                    Slot::Vacant(slot) => {
                        slot.insert(entry);
                    }
                    Slot::Occupied(slot) => self.again.push((slot.key().clone(), entry)),
                }
            }
            _ => {}
        }
    }

    /// The value of a field, or the nearest of what is around it; none in an empty text.
    pub(crate) fn find(&self, field: &str) -> Option<Hit<'_>> {
        let found = self.from(self.root()?, field, DEEPEST);
        if found.left < field.len() {
            return Some(found);
        }
        // Plugins name themselves, and not where in the file they are.
        Some(self.plugin(field).unwrap_or(found))
    }

    /// If the problem is a key that its map has once more, that key: the one with this number, or else the first that has the name with which the field ends. Readers follow aliases, and so may
    /// count more of them.
    pub(crate) fn again(&self, problem: &Problem) -> Option<Hit<'_>> {
        let Position::Again(number) = problem.position else { return None };
        let is_meant = |(name, _): &&(String, Entry)| problem.field.ends_with(name.as_str());
        let meant = self.again.get(number).filter(is_meant).or_else(|| self.again.iter().find(is_meant));
        meant.map(|(_, entry)| self.hit(entry.value, Some(entry.key), 0))
    }

    /// As [`find`](Self::find), but in time that does not grow with the text: plugins are not looked for by their names.
    pub(crate) fn find_key(&self, field: &str) -> Option<Hit<'_>> {
        Some(self.from(self.root()?, field, DEEPEST))
    }

    /// A scalar as it is written, without its quotes.
    pub(crate) fn scalar(&self, field: &str) -> Option<&str> {
        self.find(field).filter(|hit| hit.left == 0)?.scalar.map(|(text, _)| text)
    }

    /// The label's text among the labels at `field`, which are a map, or a list of `label=text`. Also how many characters of the scalar are before the text.
    pub(crate) fn label(&self, field: &str, label: &str) -> Option<(Hit<'_>, usize)> {
        let labels = self.find(field).filter(|hit| hit.left == 0)?;
        match self.kind(labels.node, DEEPEST)? {
            (list, Kind::List(items)) => {
                let mut listed = self.listed.borrow_mut();
                let by_label = listed.entry(list).or_insert_with(|| {
                    let label = |node: &usize| {
                        let (label, _) = self.hit(*node, None, 0).scalar?.0.split_once('=')?;
                        Some((label.to_owned(), *node))
                    };
                    // Of several of one name, the first.
                    items.iter().rev().filter_map(label).collect()
                });
                by_label.get(label).map(|node| (self.hit(*node, None, 0), label.chars().count() + 1))
            }
            _ => Some((self.from(labels.node, label, DEEPEST), 0)).filter(|(hit, _)| hit.left == 0),
        }
    }

    fn root(&self) -> Option<usize> {
        (!self.nodes.is_empty()).then_some(0)
    }

    /// What an alias stands for.
    fn kind(&self, node: usize, depth: usize) -> Option<(usize, &Kind)> {
        match &self.nodes.get(node)?.kind {
            Kind::Alias(other) if depth > 0 => self.kind(*other, depth - 1),
            kind => Some((node, kind)),
        }
    }

    fn hit(&self, node: usize, key: Option<Piece>, left: usize) -> Hit<'_> {
        let value = self.nodes.get(node).map(|node| node.piece).unwrap_or_default();
        let scalar = match self.kind(node, DEEPEST) {
            Some((_, Kind::Scalar { text, style })) => Some((text.as_str(), *style)),
            _ => None,
        };
        Hit { key, value, scalar, left, node }
    }

    /// Goes down from a value, as far as the field leads.
    fn from(&self, node: usize, field: &str, depth: usize) -> Hit<'_> {
        let (mut node, mut key, mut rest) = (node, None, field);
        loop {
            let step = match self.kind(node, DEEPEST) {
                _ if rest.is_empty() => None,
                Some((_, Kind::List(items))) => self.item(items, rest),
                Some((map, Kind::Map { .. })) => self.entry(map, rest.strip_prefix('.').unwrap_or(rest), depth),
                _ => None,
            };
            let Some((below, its_key, behind)) = step else { return self.hit(node, key, rest.len()) };
            (node, key, rest) = (below, its_key, behind);
        }
    }

    fn item<'f>(&self, items: &[usize], rest: &'f str) -> Option<(usize, Option<Piece>, &'f str)> {
        let Some(index) = rest.strip_prefix('[') else {
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            return self.named(items, rest);
        };
        let (index, behind) = index.split_once(']')?;
        Some((*items.get(index.parse::<usize>().ok()?)?, None, behind))
    }

    /// The item of a list of plugins that has the name with which `rest` begins.
    fn named<'f>(&self, items: &[usize], rest: &'f str) -> Option<(usize, Option<Piece>, &'f str)> {
        items.iter().take(MOST_ITEMS).find_map(|item| match self.kind(*item, DEEPEST)? {
            (map, Kind::Map { .. }) => self.entry(map, rest, 0),
            (node, Kind::Scalar { text, .. }) => {
                let behind = rest.strip_prefix(text.as_str())?;
                (behind.is_empty() || behind.starts_with('.')).then_some((node, None, behind))
            }
            _ => None,
        })
    }

    /// The entry whose key begins `rest`: the longest, as keys may hold dots.
    fn entry<'f>(&self, map: usize, rest: &'f str, depth: usize) -> Option<(usize, Option<Piece>, &'f str)> {
        let Kind::Map { entries, merges } = &self.nodes.get(map)?.kind else { return None };
        let ends = rest.match_indices(['.', '[']).map(|(end, _)| end);
        let ends = std::iter::once(rest.len()).chain(ends.rev());
        for end in ends {
            let (name, behind) = rest.split_at_checked(end)?;
            if let Some(Entry { key, value }) = entries.get(name) {
                return Some((*value, Some(*key), behind));
            }
        }
        // The settings of a plugin's short form are its configuration.
        if let Some(short) = rest.strip_prefix("config.").filter(|_| depth == 0) {
            return self.entry(map, short, 1);
        }
        merges.iter().filter(|_| depth > 0).find_map(|merge| match self.kind(*merge, DEEPEST)? {
            (map, Kind::Map { .. }) => self.entry(map, rest, depth - 1),
            (_, Kind::List(items)) => {
                items.iter().find_map(|item| self.entry(self.kind(*item, DEEPEST)?.0, rest, depth - 1))
            }
            _ => None,
        })
    }

    /// A plugin of the pod, or of one of its components, by its name.
    fn plugin(&self, field: &str) -> Option<Hit<'_>> {
        let root = self.root()?;
        let Kind::Map { entries, .. } = &self.nodes.get(root)?.kind else { return None };
        let mut lists = vec![self.from(root, "plugins", 0)];
        for part in ["components", "init"] {
            let Some(Entry { value, .. }) = entries.get(part) else { continue };
            let below: Vec<usize> = match self.kind(*value, DEEPEST) {
                Some((_, Kind::List(items))) => items.clone(),
                Some((_, Kind::Map { entries, .. })) => entries.values().map(|entry| entry.value).collect(),
                _ => Vec::new(),
            };
            lists.extend(below.into_iter().map(|component| self.from(component, "plugins", 0)));
        }
        let found = lists.into_iter().filter(|list| list.left == 0).map(|list| self.from(list.node, field, 0));
        found.filter(|hit| hit.left < field.len()).min_by_key(|hit| hit.left)
    }
}

impl Style {
    fn of(style: ScalarStyle) -> Self {
        match style {
            ScalarStyle::Plain => Self::Plain,
            ScalarStyle::SingleQuoted => Self::Single,
            ScalarStyle::DoubleQuoted => Self::Double,
            ScalarStyle::Literal | ScalarStyle::Folded => Self::Block,
        }
    }
}
