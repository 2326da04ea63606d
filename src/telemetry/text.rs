//! The text form of an event: its subject first, then the message, then the other fields.
//!
//! `component `web`: stopping signal=15` instead of `stopping component=web signal=15`: an operator reads a log from the left, and wants to know whose line it is.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use crate::own_log::{LAST_OUTPUT_FIELD, OUTPUT_LINE};

/// Fields that name the subject of an event, the most specific first. The first that an event has opens its line; the others stay fields.
const SUBJECTS: [&str; 2] = ["component", "plugin"];

/// Writes the fields of an event, as [`fmt::layer`](tracing_subscriber::fmt::layer) asks for them.
pub(super) struct SubjectFirst;

impl<'writer> FormatFields<'writer> for SubjectFirst {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut found = Found::default();
        fields.record(&mut found);
        found.write(writer)
    }
}

#[derive(Default)]
struct Found {
    message: String,
    /// The last output of a component; its lines follow the line of the event.
    last_output: Option<String>,
    /// Name and text of each other field, in the order of the event.
    fields: Vec<(&'static str, String)>,
}

impl Found {
    fn write(&self, mut writer: Writer<'_>) -> fmt::Result {
        let named = |name: &str| self.fields.iter().position(|(field, _)| *field == name);
        let subject = SUBJECTS.into_iter().find_map(named);
        let mut space = "";
        if let Some((name, value)) = subject.and_then(|at| self.fields.get(at)) {
            // A message that begins with its subject has no need of it twice.
            if !self.message.starts_with(&format!("{name} `{value}`")) {
                write!(writer, "{name} `{value}`:")?;
                space = " ";
            }
        }
        if !self.message.is_empty() {
            write!(writer, "{space}{}", self.message)?;
            space = " ";
        }
        let (italic, dim, plain) =
            if writer.has_ansi_escapes() { ("\x1b[3m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
        for (_, (name, value)) in self.fields.iter().enumerate().filter(|(at, _)| Some(*at) != subject) {
            write!(writer, "{space}{italic}{name}{plain}{dim}={plain}{value}")?;
            space = " ";
        }
        match &self.last_output {
            Some(lines) if lines.is_empty() => write!(writer, ": none"),
            Some(lines) => {
                write!(writer, ":")?;
                lines.lines().try_for_each(|line| write!(writer, "\n{}", format!("{OUTPUT_LINE}{line}").trim_end()))
            }
            None => Ok(()),
        }
    }

    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let mut text = String::new();
        // Writing into a `String` fails only if a value's own `Debug` does; the rest of the line is worth more than the error.
        if write!(Escaping(&mut text), "{value}").is_err() {
            text.push_str("<unreadable>");
        }
        match field.name() {
            "message" => self.message = indented(&text),
            LAST_OUTPUT_FIELD => self.last_output = Some(text),
            name => self.fields.push((name.strip_prefix("r#").unwrap_or(name), joined(&text))),
        }
    }
}

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        if ["message", LAST_OUTPUT_FIELD].contains(&field.name()) || SUBJECTS.contains(&field.name()) {
            self.put(field, format_args!("{value}"));
        } else {
            // Quoted, so that a reader sees where the value ends.
            self.put(field, format_args!("{:?}", joined(value)));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format_args!("{value:?}"));
    }
}

/// A message of several lines, with those that continue it indented: nobody takes them for lines of the log's own.
fn indented(text: &str) -> String {
    let mut lines = text.lines();
    let mut kept = lines.next().unwrap_or_default().to_owned();
    for line in lines.map(str::trim_end).filter(|line| !line.is_empty()) {
        kept.push('\n');
        kept.push_str(if line.starts_with(' ') { "" } else { OUTPUT_LINE });
        kept.push_str(line);
    }
    kept
}

/// The value of a field, behind which others stand, in one line: as reasons of several lines are shown everywhere.
fn joined(text: &str) -> String {
    if !text.contains('\n') {
        return text.to_owned();
    }
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Escapes the first byte of every escape sequence in words of others, so that none moves a terminal's cursor or sets its colours: ESC, and the controls
/// U+0080 to U+009F, which some terminals take for the same.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\x1b' | '\u{80}'..='\u{9f}' => write!(self.0, "\\u{{{:x}}}", u32::from(character))?,
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Shared {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// The lines that `log` writes, without time, level and target.
    fn lines(ansi: bool, log: impl FnOnce()) -> String {
        let out = Shared::default();
        let layer = tracing_subscriber::fmt::layer()
            .without_time()
            .with_target(false)
            .with_level(false)
            .with_ansi(ansi)
            .fmt_fields(SubjectFirst)
            .with_writer(out.clone());
        crate::telemetry::testing::keep_statements();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_component_opens_its_line() {
        let name = "web";
        let told = lines(false, || tracing::info!(component = %name, signal = 15, "stopping"));
        assert_eq!(told, "component `web`: stopping signal=15\n");
    }

    #[test]
    fn of_a_component_and_a_plugin_the_component_is_the_subject() {
        let told = lines(false, || tracing::info!(plugin = "reload", component = "web", why = "busy", "refused"));
        assert_eq!(told, "component `web`: refused plugin=reload why=\"busy\"\n");
        assert_eq!(lines(false, || tracing::info!(plugin = %"reload", "stopped")), "plugin `reload`: stopped\n");
    }

    #[test]
    fn a_message_that_names_its_subject_is_not_told_twice() {
        let told = lines(false, || tracing::warn!(component = %"web", "component `web` exited with code 3"));
        assert_eq!(told, "component `web` exited with code 3\n");
        assert_eq!(lines(false, || tracing::info!(components = 2, "the pod runs")), "the pod runs components=2\n");
    }

    #[test]
    fn words_of_several_lines_are_one_line_or_are_indented() {
        let told = lines(
            false,
            || tracing::warn!(component = %"web", why = "no\n\n  route\n", so = %"a\nb", "first\nsecond\n\n  | third\n"),
        );
        assert_eq!(told, "component `web`: first\n  | second\n  | third why=\"no; route\" so=a; b\n");
    }

    #[test]
    fn the_last_output_follows_its_line() {
        let told =
            |output: &str| lines(false, || tracing::error!(component = %"web", last_output = output, "last output"));
        assert_eq!(told("one\n\n  two\x1b[2J\n"), "component `web`: last output:\n  | one\n  |\n  |   two\\u{1b}[2J\n");
        assert_eq!(told(""), "component `web`: last output: none\n");
    }

    #[test]
    fn words_of_others_bring_no_escape_sequence() {
        let told = lines(false, || tracing::warn!(component = %"web", why = %"\x1b[2Jx\u{9b}1m", "\x1b]0;title\x07"));
        assert_eq!(told, "component `web`: \\u{1b}]0;title\x07 why=\\u{1b}[2Jx\\u{9b}1m\n");
        let coloured = lines(true, || tracing::warn!(component = %"web", why = %"\x1b[2J", "no"));
        assert_eq!(coloured, "component `web`: no \x1b[3mwhy\x1b[0m\x1b[2m=\x1b[0m\\u{1b}[2J\n");
    }
}
