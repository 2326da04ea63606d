//! Recall and precision on the labelled corpus (`corpus/`), and on lines that are made of notations, values, colours and encodings.
//!
//! A secret counts as found if every byte of it was replaced. A replacement counts as right if it holds a secret and nothing that must stay.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use outrigger_plugin::serde_json::{Value, json};

use crate::redactor::Redactor;

mod made;

const OPEN: char = '\u{e000}';
const CLOSE: char = '\u{e001}';
/// What recall and precision must be, for each pattern and for fields.
const LEAST: f64 = 0.98;

pub(super) fn redactor() -> Redactor {
    let config = json!({
        "fields": ["password", "authorization", "api_key", "secret"],
        "patterns": ["email", "card", "iban", "ipv4", "token"],
        "replacement": format!("{OPEN}{{name}}{CLOSE}"),
    });
    Redactor::new(&outrigger_plugin::serde_json::from_value::<crate::config::Config>(config).unwrap()).unwrap()
}

/// A line with its labels.
#[derive(Debug, Default, Clone)]
pub(super) struct Labelled {
    pub(super) line: String,
    /// What must go: from, to and kind.
    pub(super) secrets: Vec<(usize, usize, &'static str)>,
    /// What may go or stay.
    pub(super) either: Vec<(usize, usize)>,
}

impl Labelled {
    /// Reads the notation of the corpus.
    pub(super) fn read(written: &str) -> Self {
        let mut labelled = Self::default();
        let mut open: Option<(usize, Option<&'static str>)> = None;
        let mut outer = None;
        let mut characters = written.chars();
        while let Some(character) = characters.next() {
            let here = labelled.line.len();
            match character {
                '␛' => labelled.line.push('\u{1b}'),
                '⟦' => {
                    let kind = characters.next().unwrap();
                    assert_eq!(characters.next(), Some('|'), "{written}");
                    outer = open.replace((here, Some(name_of(kind))));
                }
                '⟨' => outer = open.replace((here, None)),
                '⟧' | '⟩' => {
                    let (from, kind) = open.unwrap();
                    match kind {
                        Some(kind) => labelled.secrets.push((from, here, kind)),
                        None => labelled.either.push((from, here)),
                    }
                    open = outer.take();
                }
                other => labelled.line.push(other),
            }
        }
        assert!(open.is_none(), "{written}");
        labelled
    }

    /// With everything at another place, for a line that was changed around and inside.
    pub(super) fn moved(&self, line: String, place: impl Fn(usize) -> usize) -> Self {
        let secrets = self.secrets.iter().map(|&(from, to, kind)| (place(from), place(to), kind)).collect();
        let either = self.either.iter().map(|&(from, to)| (place(from), place(to))).collect();
        Self { line, secrets, either }
    }
}

fn name_of(kind: char) -> &'static str {
    match kind {
        'f' => "field",
        'e' => "email",
        'c' => "card",
        'i' => "iban",
        'p' => "ipv4",
        't' => "token",
        other => panic!("{other}"),
    }
}

/// The line without escape sequences; for each byte where it was; and the sequences. Written for the test alone.
fn colourless(line: &str) -> (String, Vec<usize>, Vec<String>) {
    let (mut text, mut places, mut sequences) = (String::new(), Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(character) = line[at..].chars().next() {
        let slashes = line[at..].len() - line[at..].trim_start_matches('\\').len();
        let word = &line[at + slashes..];
        let written = ["\u{1b}[", "^[[", "#033["].into_iter().filter(|_| slashes == 0);
        let escaped = ["x1b[", "u001b[", "033[", "e["].into_iter().filter(|_| slashes > 0);
        let begun = written.chain(escaped).find(|begun| word.starts_with(begun));
        let end = begun.and_then(|begun| {
            let from = at + slashes + begun.len();
            line[from..].find(|c: char| ('@'..='~').contains(&c)).map(|offset| from + offset + 1)
        });
        if let Some(end) = end {
            sequences.push(line[at..end].to_owned());
            at = end;
            continue;
        }
        text.push(character);
        places.extend((at..).take(character.len_utf8()));
        at += character.len_utf8();
    }
    places.push(line.len());
    (text, places, sequences)
}

/// Which parts of the line became what.
fn replaced(line: &str, out: &str) -> Option<Vec<(usize, usize, String)>> {
    let mut parts = out.split(OPEN);
    let first = parts.next()?;
    let mut chunks = vec![first];
    let mut names = Vec::new();
    for part in parts {
        let (name, chunk) = part.split_once(CLOSE)?;
        names.push(name);
        chunks.push(chunk);
    }
    aligned(line, 0, &chunks, &names)
}

fn aligned(line: &str, from: usize, chunks: &[&str], names: &[&str]) -> Option<Vec<(usize, usize, String)>> {
    let (first, rest) = chunks.split_first()?;
    let Some((name, names)) = names.split_first() else {
        return (&line[from..] == *first).then(Vec::new);
    };
    // A value may have got quotes.
    for quote in ["", "\"", "\\\"", "\\\\\\\"", "\\u0022"] {
        let Some(head) = first.strip_suffix(quote).filter(|head| line[from..].starts_with(*head)) else {
            continue;
        };
        let Some(next) = rest.first().and_then(|next| next.strip_prefix(quote)) else {
            continue;
        };
        let start = from + head.len();
        let mut chunks = rest.to_vec();
        *chunks.first_mut()? = next;
        // Where the next chunk begins: as early as the rest fits behind.
        let bare = next.trim_end_matches(['"', '\\']);
        let tries: Vec<usize> = if names.is_empty() {
            line.len().checked_sub(next.len()).into_iter().collect()
        } else {
            line[start..].match_indices(bare).map(|(offset, _)| start + offset).take(40).collect()
        };
        for end in tries {
            if end < start || !line.is_char_boundary(end) {
                continue;
            }
            if let Some(mut rest) = aligned(line, end, &chunks, names) {
                rest.insert(0, (start, end, (*name).to_owned()));
                return Some(rest);
            }
        }
    }
    None
}

/// What was found and what not, of one kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Score {
    found: usize,
    missed: usize,
    right: usize,
    wrong: usize,
}

impl Score {
    fn recall(&self) -> f64 {
        self.found as f64 / (self.found + self.missed).max(1) as f64
    }

    fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }
}

/// Scores by kind, and the lines that are not as they should be.
#[derive(Debug, Default)]
pub(super) struct Report {
    scores: BTreeMap<&'static str, Score>,
    bad: Vec<String>,
    lines: usize,
}

impl Report {
    pub(super) fn judge(&mut self, redactor: &Redactor, labelled: &Labelled) {
        let mut out = Vec::new();
        let changed = redactor.redact(labelled.line.as_bytes(), &mut out);
        let out = if changed { String::from_utf8(out).unwrap() } else { labelled.line.clone() };
        self.lines += 1;
        let (line, places, sequences) = colourless(&labelled.line);
        let (bare, _, kept) = colourless(&out);
        assert_eq!(sequences, kept, "the colours of {:?}, now {out:?}", labelled.line);
        let Some(parts) = replaced(&line, &bare) else { panic!("{:?} became {out:?}", labelled.line) };
        let at = |place: usize| places.partition_point(|&other| other < place);
        let within = |byte: usize, from: usize, to: usize| (at(from)..at(to)).contains(&byte);
        let mut is_bad = false;
        for &(from, to, kind) in &labelled.secrets {
            let gone = (at(from)..at(to)).all(|byte| parts.iter().any(|(from, to, _)| (*from..*to).contains(&byte)));
            let score = self.scores.entry(kind).or_default();
            if gone {
                score.found += 1
            } else {
                score.missed += 1
            }
            is_bad |= !gone;
        }
        for (from, to, name) in &parts {
            let kind = match name.as_str() {
                "email" => "email",
                "card" => "card",
                "iban" => "iban",
                "ipv4" => "ipv4",
                "token" => "token",
                _ => "field",
            };
            let is_secret = |byte: usize| labelled.secrets.iter().any(|&(from, to, _)| within(byte, from, to));
            let is_either = |byte: usize| labelled.either.iter().any(|&(from, to)| within(byte, from, to));
            let right = (*from..*to).any(is_secret) && (*from..*to).all(|byte| is_secret(byte) || is_either(byte));
            let score = self.scores.entry(kind).or_default();
            if right {
                score.right += 1
            } else {
                score.wrong += 1
            }
            is_bad |= !right;
        }
        if is_bad {
            self.bad.push(format!(
                "{}\n    {}",
                labelled.line.replace('\u{1b}', "␛"),
                out.replace('\u{1b}', "␛").replace(OPEN, "⟪").replace(CLOSE, "⟫")
            ));
        }
    }

    fn table(&self, title: &str) -> String {
        let mut table = format!("{title}, {} lines\n", self.lines);
        for (kind, score) in &self.scores {
            let _ = writeln!(
                table,
                "| `{kind}` | {} | {:.3} | {:.3} | ({score:?})",
                score.found + score.missed,
                score.recall(),
                score.precision()
            );
        }
        table
    }

    /// Prints it, and fails where it is too little.
    fn expect(&self, title: &str, shows: bool) {
        println!("{}", self.table(title));
        if shows {
            for bad in &self.bad {
                println!("{bad}");
            }
        }
        assert_eq!(self.scores.len(), 6, "every kind is in it");
        for (kind, score) in &self.scores {
            assert!(score.recall() >= LEAST, "{title}: recall of {kind} is {:.3}", score.recall());
            assert!(score.precision() >= LEAST, "{title}: precision of {kind} is {:.3}", score.precision());
        }
    }
}

fn of_file(text: &str) -> Report {
    let redactor = redactor();
    let mut report = Report::default();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        report.judge(&redactor, &Labelled::read(line));
    }
    report
}

const TUNING: &str = include_str!("../corpus/tuning.txt");
const HELD_OUT: &str = include_str!("../corpus/held-out.txt");

#[test]
fn the_corpus_is_large_enough() {
    let lines = [TUNING, HELD_OUT].iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with("# "));
    assert!(lines.count() >= 400);
}

#[test]
fn recall_and_precision_on_lines_that_were_looked_at() {
    of_file(TUNING).expect("tuning", true);
}

#[test]
fn recall_and_precision_on_lines_that_were_held_out() {
    // What is wrong is not shown, so that nobody tunes the plugin by it.
    of_file(HELD_OUT).expect("held out", std::env::var_os("SHOW_HELD_OUT").is_some());
}

#[test]
fn recall_and_precision_on_made_lines() {
    made::report(&redactor(), |index| index % 2 == 0).expect("made, looked at", true);
}

#[test]
fn recall_and_precision_on_made_lines_that_were_held_out() {
    made::report(&redactor(), |index| index % 2 == 1).expect("made, held out", false);
}

/// Cookies, of which every pair must go. The corpus has no field for them.
const COOKIES: [&str; 14] = [
    "2026/01/01 12:00:00 Cookie: ⟦f|visitcount=1; SESSION=SECRET⟧",
    "2026/01/01 12:00:00 Cookie: ⟦f|visitcount=1; SESSION=SECRET; a.b=%20⟧ in 3ms",
    "Set-Cookie: ⟦f|a=1; Path=/, refresh=SECRET⟧",
    "got Set-Cookie: ⟦f|a=1; Path=/; HttpOnly, refresh=SECRET; Secure⟧",
    "got Set-Cookie: ⟦f|a=1; Expires=Wed, 09 Jun 2027 10:18:14 GMT; Path=/⟧ from web",
    "DEBUG cookie=⟦f|a=1; b=SECRET⟧",
    "DEBUG cookie=⟦f|a=1;b=SECRET⟧ user=jo",
    "DEBUG req{method=GET, cookie=⟦f|a=1; b=SECRET⟧, host=x}",
    "Cookie: ⟦f|opaque; SESSION=SECRET⟧",
    "curl -H 'Cookie: ⟦f|a=1; b=SECRET⟧' https://api.example.org/",
    "{\"msg\":\"got Cookie: ⟦f|a=1; b=SECRET⟧\"}",
    "db: cookie=⟦f|abc⟧; user=jo",
    "cookie: disabled; retries=3",
    "no cookie; user=jo",
];

#[test]
fn all_cookies_of_a_list_are_found() {
    let config = json!({"fields": ["cookie"], "patterns": [], "replacement": format!("{OPEN}password{CLOSE}")});
    let redactor = Redactor::new(&outrigger_plugin::serde_json::from_value(config).unwrap()).unwrap();
    let mut report = Report::default();
    COOKIES.iter().for_each(|line| report.judge(&redactor, &Labelled::read(line)));
    assert!(report.bad.is_empty(), "{}", report.bad.join("\n"));
}

/// The lines at the end of the tuning corpus, each of which was a miss or nearly a false alarm: none may come back.
#[test]
fn reported_misses_stay_mended() {
    let from = TUNING.find("# SQL without an equals sign").unwrap();
    let report = of_file(&TUNING[from..]);
    assert!(report.lines > 70 && report.bad.is_empty(), "{}", report.bad.join("\n"));
}

#[test]
fn a_name_of_two_words_is_found_before_a_string() {
    let config = json!({"fields": ["identified by"], "patterns": []});
    let redactor = Redactor::new(&outrigger_plugin::serde_json::from_value(config).unwrap()).unwrap();
    let mut out = Vec::new();
    assert!(redactor.redact(b"CREATE USER 'app'@'%' IDENTIFIED BY 'hunter2'", &mut out));
    assert_eq!(String::from_utf8(out).unwrap(), "CREATE USER 'app'@'%' IDENTIFIED BY '[redacted]'");
}

#[test]
fn the_score_notices_misses_and_false_alarms() {
    let config = |patterns: Value| json!({"patterns": patterns, "replacement": format!("{OPEN}{{name}}{CLOSE}")});
    let judge = |patterns: Value, line: &str| {
        let config = outrigger_plugin::serde_json::from_value(config(patterns)).unwrap();
        let mut report = Report::default();
        report.judge(&Redactor::new(&config).unwrap(), &Labelled::read(line));
        let all: Vec<_> = report.scores.iter().map(|(kind, s)| (*kind, s.found, s.missed, s.right, s.wrong)).collect();
        all
    };
    assert_eq!(judge(json!([]), "to ⟦e|a@example.org⟧"), [("email", 0, 1, 0, 0)]);
    assert_eq!(judge(json!(["email"]), "to ⟦e|a@example.org⟧ ok"), [("email", 1, 0, 1, 0)]);
    assert_eq!(judge(json!(["email"]), "to a@example.org"), [("email", 0, 0, 0, 1)]);
    let half = json!([{"name": "password", "regex": "hun."}]);
    assert_eq!(judge(half.clone(), "␛[1m⟦f|hunter2⟧ ok"), [("field", 0, 1, 1, 0)]);
    let more = json!([{"name": "password", "regex": "hunter2.ok"}]);
    assert_eq!(judge(more, "⟦f|hunter2⟧ ok"), [("field", 1, 0, 0, 1)]);
}
