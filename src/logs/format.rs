//! How lines look on standard output.

use std::io::Write as _;

use super::stamp;
use crate::config::LineFormat;
use crate::engine::Output;
use crate::pod::ComponentName;

/// Writes lines of one component.
#[derive(Debug)]
pub(crate) struct Formatter {
    format: LineFormat,
    /// What stands before a line of standard output, and of standard error.
    before: [Vec<u8>; 2],
}

impl Formatter {
    pub(crate) fn new(format: LineFormat, component: &ComponentName) -> Self {
        let before = [("out", "stdout"), ("err", "stderr")].map(|(short, long)| match format {
            LineFormat::Text => format!("[{short}] {component}: ").into_bytes(),
            // A component's name is a DNS label: nothing in it needs an escape.
            LineFormat::Json => format!(r#","component":"{component}","output":"{long}","line":"#).into_bytes(),
            LineFormat::Plain => Vec::new(),
        });
        Self { format, before }
    }

    /// Appends a line. `fields` is a JSON object as text, or empty; what is no object is left out. A record with newlines in it, which a
    /// plugin may have made, is one JSON object, and several lines in the other formats. Answers how many lines were written.
    pub(crate) fn line(&self, out: &mut Vec<u8>, output: Output, at_ns: u64, line: &[u8], fields: &[u8]) -> u64 {
        let fields = if fields.is_empty() { Vec::new() } else { compact(fields) };
        if self.format == LineFormat::Json {
            self.one(out, output, at_ns, line, &fields);
            return 1;
        }
        let mut written = 0;
        let mut rest = Some(line);
        while let Some(text) = rest {
            let newline = memchr::memchr(b'\n', text);
            let (first, behind) = text.split_at(newline.unwrap_or(text.len()));
            rest = newline.and_then(|_| behind.get(1..));
            self.one(out, output, at_ns, first, &fields);
            written += 1;
        }
        written
    }

    fn one(&self, out: &mut Vec<u8>, output: Output, at_ns: u64, line: &[u8], fields: &[u8]) {
        let [stdout, stderr] = &self.before;
        let before = match output {
            Output::Stdout => stdout,
            Output::Stderr => stderr,
        };
        match self.format {
            LineFormat::Text => {
                out.extend_from_slice(before);
                out.extend_from_slice(line);
                if !fields.is_empty() {
                    out.push(b' ');
                    out.extend_from_slice(fields);
                }
            }
            LineFormat::Json => {
                out.extend_from_slice(br#"{"time":""#);
                stamp::write(out, at_ns);
                out.push(b'"');
                out.extend_from_slice(before);
                append_json(out, &String::from_utf8_lossy(line));
                if !fields.is_empty() {
                    out.extend_from_slice(br#","fields":"#);
                    out.extend_from_slice(fields);
                }
                out.push(b'}');
            }
            LineFormat::Plain => out.extend_from_slice(line),
        }
        out.push(b'\n');
    }
}

/// The object without needless white space, or nothing where it is none, or an empty one.
fn compact(fields: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(object) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(fields)
        && !object.is_empty()
    {
        append_json(&mut text, &object);
    }
    text
}

fn append_json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let from = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        // Strings and maps with string keys always serialise, and a `Vec` takes everything.
        out.truncate(from);
        out.write_all(b"null").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: LineFormat, line: &[u8], fields: &str, expected: &str) {
        let mut out = Vec::new();
        let formatter = Formatter::new(format, &ComponentName::new("app").unwrap());
        formatter.line(&mut out, Output::Stderr, 1_500_000_000, line, fields.as_bytes());
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn prefixed() {
        check(LineFormat::Text, b"hello", "", "[err] app: hello\n");
        check(LineFormat::Text, b"hello", "{ \"b\": 1, \"a\": 2 }", "[err] app: hello {\"b\":1,\"a\":2}\n");
        check(LineFormat::Text, b"", "{}", "[err] app: \n");
        check(LineFormat::Text, b"one\ntwo", "{\"a\":1}", "[err] app: one {\"a\":1}\n[err] app: two {\"a\":1}\n");
        check(LineFormat::Text, b"hello", "nonsense\n", "[err] app: hello\n");
    }

    #[test]
    fn json() {
        let before = r#"{"time":"1970-01-01T00:00:01.500000000Z","component":"app","output":"stderr","line":"#;
        check(LineFormat::Json, b"a \"b\"\x1b", "", &format!("{before}\"a \\\"b\\\"\\u001b\"}}\n"));
        check(LineFormat::Json, b"one\ntwo", "", &format!("{before}\"one\\ntwo\"}}\n"));
        check(LineFormat::Json, b"\xff!", r#"{"n":1}"#, &format!("{before}\"\u{fffd}!\",\"fields\":{{\"n\":1}}}}\n"));
    }

    #[test]
    fn plain() {
        check(LineFormat::Plain, b"hello", r#"{"n":1}"#, "hello\n");
    }
}
