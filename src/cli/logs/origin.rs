//! Which component a line of the controller's own stream is from: the controller's formats, read back.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::lines::Line;
use crate::cli::time;
use crate::config::LineFormat;
use crate::engine::Output;
use crate::pod::ComponentName;

/// The name under which the controller's own lines are shown.
pub const CONTROLLER: &str = "controller";

/// A line as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The component, or [`CONTROLLER`]; none if the format leaves out which component it is.
    pub component: Option<String>,
    /// When the component wrote it if the line says so, else when the engine took it over. Nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// The stream of the component.
    pub output: Output,
    /// What plugins made of the line.
    pub text: Vec<u8>,
    /// The fields that plugins added, as a JSON object; in the format `text` they are part of the line.
    pub fields: Option<Map<String, Value>>,
}

impl Entry {
    /// A line of somebody's own log.
    pub fn own(component: &str, line: Line) -> Self {
        let Line { at_ns, output, text, .. } = line;
        Self { component: Some(component.to_owned()), at_ns, output, text, fields: None }
    }
}

/// A line in the format `json`.
#[derive(Deserialize)]
struct Json {
    time: String,
    component: String,
    output: String,
    line: String,
    #[serde(default)]
    fields: Option<Map<String, Value>>,
}

/// Reads the log of one controller's container.
#[derive(Debug, Clone)]
pub struct Reader {
    format: LineFormat,
    /// The controller's own log and the components' lines come in one stream.
    tty: bool,
    /// Of a line that was passed on without its end: whose it is, for each stream of the container.
    cut: [Option<Option<String>>; 2],
}

impl Reader {
    /// Of a controller that writes this format.
    pub fn new(format: LineFormat, tty: bool) -> Self {
        Self { format, tty, cut: [None, None] }
    }

    /// Whose line it is, and what the component's line was.
    pub fn read(&mut self, line: Line) -> Entry {
        let lane = usize::from(line.output == Output::Stderr);
        let (is_whole, earlier) = (line.is_whole, self.cut.get_mut(lane).and_then(Option::take));
        let entry = match earlier {
            Some(component) => {
                let Line { at_ns, output, text, .. } = line;
                Entry { component, at_ns, output, text, fields: None }
            }
            None => self.fresh(line),
        };
        if !is_whole && let Some(cut) = self.cut.get_mut(lane) {
            *cut = Some(entry.component.clone());
        }
        entry
    }

    fn fresh(&self, line: Line) -> Entry {
        // Components' lines go to standard output, the controller's own log to standard error; a terminal has one stream for both.
        if line.output == Output::Stderr {
            return Entry::own(CONTROLLER, line);
        }
        let found = match self.format {
            LineFormat::Text => text(&line),
            LineFormat::Json => json(&line),
            LineFormat::Plain => None,
        };
        found.unwrap_or_else(|| {
            let is_own = self.tty && self.format != LineFormat::Plain;
            let Line { at_ns, output, text, .. } = line;
            Entry { component: is_own.then(|| CONTROLLER.to_owned()), at_ns, output, text, fields: None }
        })
    }
}

/// `[out] name: line`.
fn text(line: &Line) -> Option<Entry> {
    let (output, rest) = match line.text.split_at_checked(5)? {
        (b"[out]", rest) => (Output::Stdout, rest),
        (b"[err]", rest) => (Output::Stderr, rest),
        _ => return None,
    };
    let rest = rest.strip_prefix(b" ")?;
    let colon = memchr::memchr(b':', rest)?;
    let (name, line_text) = rest.split_at_checked(colon)?;
    let name = ComponentName::new(std::str::from_utf8(name).ok()?).ok()?;
    let line_text = line_text.get(1..).unwrap_or_default();
    let line_text = line_text.strip_prefix(b" ").unwrap_or(line_text);
    Some(Entry { component: Some(name.to_string()), at_ns: line.at_ns, output, text: line_text.to_vec(), fields: None })
}

/// One JSON object with `time`, `component`, `output` and `line`. The controller's own log has other keys.
fn json(line: &Line) -> Option<Entry> {
    let read: Json = serde_json::from_slice(&line.text).ok()?;
    let output = match read.output.as_str() {
        "stdout" => Output::Stdout,
        "stderr" => Output::Stderr,
        _ => return None,
    };
    Some(Entry {
        component: Some(read.component),
        at_ns: time::parse(&read.time).unwrap_or(line.at_ns),
        output,
        text: read.line.into_bytes(),
        fields: read.fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::format::Formatter;

    fn line(output: Output, text: &[u8]) -> Line {
        Line { at_ns: 5, output, text: text.to_vec(), is_whole: true }
    }

    fn whose(reader: &mut Reader, output: Output, text: &str) -> (Option<String>, String) {
        let entry = reader.read(line(output, text.as_bytes()));
        (entry.component, String::from_utf8(entry.text).unwrap())
    }

    fn is(component: &str, text: &str) -> (Option<String>, String) {
        (Some(component.to_owned()), text.to_owned())
    }

    #[test]
    fn the_first_name_of_a_text_line_counts() {
        let mut reader = Reader::new(LineFormat::Text, false);
        let mut out = |text: &str| whose(&mut reader, Output::Stdout, text);
        assert_eq!(out("[out] app: hello"), is("app", "hello"));
        assert_eq!(out("[err] app: [out] web: forged"), is("app", "[out] web: forged"));
        assert_eq!(out("[out] app: "), is("app", ""));
        assert_eq!(out("[out] app:"), is("app", ""), "a collector took the space away");
        for odd in ["[out] ", "[out] no name", "[out] A b: c", "[in] app: x", "out of nowhere", ""] {
            assert_eq!(out(odd), (None, odd.to_owned()), "{odd}");
        }
        assert_eq!(whose(&mut reader, Output::Stderr, "[out] app: forged"), is(CONTROLLER, "[out] app: forged"));
        // On a terminal the controller's own log comes the same way.
        let mut reader = Reader::new(LineFormat::Text, true);
        assert_eq!(whose(&mut reader, Output::Stdout, "INFO started"), is(CONTROLLER, "INFO started"));
        assert_eq!(whose(&mut reader, Output::Stdout, "[err] app: x"), is("app", "x"));
    }

    #[test]
    fn plain_lines_are_nobodys() {
        let mut reader = Reader::new(LineFormat::Plain, false);
        assert_eq!(whose(&mut reader, Output::Stdout, "[out] app: hello"), (None, "[out] app: hello".to_owned()));
        assert_eq!(whose(&mut reader, Output::Stderr, "INFO"), is(CONTROLLER, "INFO"));
    }

    #[test]
    fn a_json_line_brings_time_stream_and_fields() {
        let text = br#"{"time":"1970-01-01T00:00:01.5Z","component":"app","output":"stderr","line":"a \"b\"","fields":{"n":1}}"#;
        let entry = Reader::new(LineFormat::Json, false).read(line(Output::Stdout, text));
        assert_eq!(
            (entry.component.as_deref(), entry.at_ns, entry.output),
            (Some("app"), 1_500_000_000, Output::Stderr)
        );
        assert_eq!(entry.text, br#"a "b""#);
        assert_eq!(Value::Object(entry.fields.unwrap()), serde_json::json!({"n": 1}));
        let own = br#"{"time":"1970-01-01T00:00:01.5Z","level":"INFO","message":"started"}"#;
        assert_eq!(
            Reader::new(LineFormat::Json, true).read(line(Output::Stdout, own)).component.as_deref(),
            Some(CONTROLLER)
        );
        assert_eq!(Reader::new(LineFormat::Json, false).read(line(Output::Stdout, own)).component, None);
    }

    #[test]
    fn what_continues_a_line_is_of_the_same_component() {
        let mut reader = Reader::new(LineFormat::Text, false);
        let cut = |output, text: &str| Line { is_whole: false, ..line(output, text.as_bytes()) };
        assert_eq!(reader.read(cut(Output::Stdout, "[out] app: long")).component.as_deref(), Some("app"));
        assert_eq!(whose(&mut reader, Output::Stderr, "between"), is(CONTROLLER, "between"));
        assert_eq!(reader.read(cut(Output::Stdout, "[out] web: er")).component.as_deref(), Some("app"));
        assert_eq!(whose(&mut reader, Output::Stdout, "end"), is("app", "end"));
        assert_eq!(whose(&mut reader, Output::Stdout, "[out] web: next"), is("web", "next"));
    }

    proptest::proptest! {
        /// Whatever a component writes, and whatever fields a plugin adds: what the controller makes of a line is read back as that line.
        #[test]
        fn what_the_controller_writes_is_read_back(
            text in "[^\n]{0,60}",
            is_error in proptest::bool::ANY,
            has_fields in proptest::bool::ANY,
            is_json in proptest::bool::ANY,
        ) {
            let output = if is_error { Output::Stderr } else { Output::Stdout };
            let format = if is_json { LineFormat::Json } else { LineFormat::Text };
            let fields: &[u8] = if has_fields { br#"{"n":1}"# } else { b"" };
            let mut written = Vec::new();
            let formatter = Formatter::new(format, &ComponentName::new("app-1").unwrap());
            formatter.line(&mut written, output, 7, text.as_bytes(), fields);
            written.pop();
            let entry = Reader::new(format, false).read(line(Output::Stdout, &written));
            let expected = if is_json || !has_fields { text } else { format!("{text} {{\"n\":1}}") };
            proptest::prop_assert_eq!(entry.component.as_deref(), Some("app-1"));
            proptest::prop_assert_eq!(String::from_utf8(entry.text).unwrap(), expected);
            proptest::prop_assert_eq!(entry.output, output);
            proptest::prop_assert_eq!(entry.fields.is_some(), is_json && has_fields);
        }
    }
}
