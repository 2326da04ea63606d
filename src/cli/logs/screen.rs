//! How lines look on standard output.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};

use anyhow::Context;
use serde::Serialize;
use serde_json::{Map, Value};

use super::origin::Entry;
use crate::cli::report::Report;
use crate::cli::{Env, time};
use crate::engine::{EngineError, Output};

/// Colours of the components, in the order in which they come (the terminal's own palette).
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

/// What stands for a component that is not known.
const NOBODY: &str = "-";

/// Where lines go.
pub struct Screen {
    json: bool,
    times: bool,
    colours: bool,
    width: usize,
    order: BTreeMap<String, usize>,
}

/// A line, as `--json` shows it. The names are part of the interface: see docs/commands.md.
#[derive(Serialize)]
struct Shown<'a> {
    time: String,
    pod: &'a str,
    component: Option<&'a str>,
    output: &'static str,
    line: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<&'a Map<String, Value>>,
}

/// The pod that a line is of.
#[derive(Debug, Clone)]
pub struct PodName {
    /// Name of the controller's container.
    pub name: String,
    /// What stands before the component's name; empty if there is only one pod.
    pub prefix: String,
}

impl PodName {
    /// What a line of this component begins with.
    pub fn title(&self, component: Option<&str>) -> String {
        format!("{}{}", self.prefix, component.unwrap_or(NOBODY))
    }
}

impl Screen {
    /// For lines with these titles, as far as they are known.
    pub fn new(json: bool, times: bool, env: &Env, titles: &[String]) -> Self {
        let set = |name: &str| env.get(name).is_some_and(|value| !value.is_empty());
        let is_plain = set("NO_COLOR") || env.get("TERM").is_none_or(|term| term == "dumb");
        Self {
            json,
            times,
            colours: io::stdout().is_terminal() && !is_plain,
            width: titles.iter().map(|title| title.chars().count()).max().unwrap_or_default(),
            order: titles.iter().enumerate().map(|(place, title)| (title.clone(), place)).collect(),
        }
    }

    /// False if the reader has gone.
    pub fn show(&self, pod: &PodName, entry: &Entry) -> Result<bool, Report> {
        let mut out = io::stdout().lock();
        match out.write_all(&self.bytes(pod, entry)?).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            done => Ok(done.map(|()| true).context("cannot write to standard output")?),
        }
    }

    fn bytes(&self, pod: &PodName, entry: &Entry) -> Result<Vec<u8>, Report> {
        if self.json {
            let shown = Shown {
                time: time::format(entry.at_ns),
                pod: &pod.name,
                component: entry.component.as_deref(),
                output: if entry.output == Output::Stderr { "stderr" } else { "stdout" },
                line: String::from_utf8_lossy(&entry.text),
                fields: entry.fields.as_ref(),
            };
            let mut bytes = serde_json::to_vec(&shown).context("cannot write JSON")?;
            bytes.push(b'\n');
            return Ok(bytes);
        }
        let title = pod.title(entry.component.as_deref());
        let padding = " ".repeat(self.width.saturating_sub(title.chars().count()));
        let colour = self.order.get(&title).and_then(|place| COLOURS.get(place % COLOURS.len()));
        let prefix = match colour.filter(|_| self.colours) {
            Some(colour) => format!("\u{1b}[{colour}m{title}{padding} |\u{1b}[0m "),
            None => format!("{title}{padding} | "),
        };
        let mut bytes = prefix.into_bytes();
        if self.times {
            bytes.extend_from_slice(time::format(entry.at_ns).as_bytes());
            bytes.push(b' ');
        }
        bytes.extend_from_slice(&entry.text);
        if let Some(fields) = &entry.fields {
            bytes.push(b' ');
            bytes.extend_from_slice(&serde_json::to_vec(fields).context("cannot write JSON")?);
        }
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// Says on standard error why somebody's log is not shown.
pub fn complain(title: &str, error: &EngineError) {
    let text = format!("warning: cannot read the log of `{title}`: {error}\n");
    // If standard error is closed there is nobody left to read it.
    io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_and_for_programs() {
        let order = BTreeMap::from([("app".to_owned(), 0)]);
        let screen = Screen { json: false, times: true, colours: false, width: 5, order };
        let pod = PodName { name: "shop".to_owned(), prefix: String::new() };
        let mut entry = Entry {
            component: Some("app".to_owned()),
            at_ns: 0,
            output: Output::Stderr,
            text: b"a \"b\"".to_vec(),
            fields: None,
        };
        let text = |screen: &Screen, pod: &PodName, entry: &Entry| {
            String::from_utf8(screen.bytes(pod, entry).unwrap()).unwrap()
        };
        assert_eq!(text(&screen, &pod, &entry), "app   | 1970-01-01T00:00:00.000000000Z a \"b\"\n");
        let screen = Screen { times: false, colours: true, ..screen };
        assert_eq!(text(&screen, &pod, &entry), "\u{1b}[36mapp   |\u{1b}[0m a \"b\"\n");
        let json = Screen { json: true, ..screen };
        let expected = r#"{"time":"1970-01-01T00:00:00.000000000Z","pod":"shop","component":"app","output":"stderr","line":"a \"b\""}"#;
        assert_eq!(text(&json, &pod, &entry).trim_end(), expected);
        // One of several pods, and a line whose component is not known.
        let pod = PodName { prefix: "web.2/".to_owned(), ..pod };
        entry.component = None;
        entry.fields = serde_json::from_str(r#"{"n":1}"#).unwrap();
        let screen = Screen { json: false, ..json };
        assert_eq!(text(&screen, &pod, &entry), "web.2/- | a \"b\" {\"n\":1}\n");
        let json = Screen { json: true, ..screen };
        assert!(
            text(&json, &pod, &entry)
                .contains(r#""component":null,"output":"stderr","line":"a \"b\"","fields":{"n":1}}"#)
        );
    }
}
