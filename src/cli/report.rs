//! The one place where errors become text, a hint and an exit code.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Error;

use crate::admin::AdminError;
use crate::config::ENGINE_SOCKET;
use crate::engine::EngineError;
use crate::identity::IdentityError;
use crate::pod::{Problem, Problems};
use crate::problem::Span;
use crate::problem::shown::{SCREENFUL, Shown, cut};
use crate::supervisor::boot::BootError;

const NOT_ALLOWED: &str = "this user has no permission to open the engine's socket: on a host, add the user to the group `docker`; the controller must run as root";

const NOT_INSIDE: &str = "without a sub-command, `outrigger` is the controller, which runs only in a container: use `outrigger run FILE`, or see `outrigger --help`";

/// How the process ends. The numbers are part of the interface: see `outrigger --help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Success,
    /// 1: the input has problems, or the pod is not healthy.
    Problems,
    /// 2: the command line or the environment is wrong.
    Usage,
    /// 125: the controller, or the command, failed itself.
    Controller,
    /// As the pod ended: the deciding component's own code, unchanged, or what a signal made of it.
    Pod(u8),
    /// 128 + n: this signal ended the command before there was a pod.
    Signal(i32),
}

impl Exit {
    /// The code that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Problems => 1,
            Self::Usage => 2,
            Self::Controller => 125,
            Self::Pod(code) => code,
            Self::Signal(signal) => u8::try_from(signal).unwrap_or(127).saturating_add(128),
        }
    }

    /// A container's exit code as the engine tells it. What no process can answer counts as a failure, never as success.
    #[must_use]
    pub fn pod(code: i32) -> Self {
        Self::Pod(u8::try_from(code).unwrap_or(255))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command failed, and how the process ends for it.
#[derive(Debug)]
pub struct Report {
    exit: Exit,
    error: Error,
    hint: Option<String>,
    notes: Vec<String>,
}

impl Report {
    /// The command itself failed: 125; or, where [`Problems`] of the input are among the causes, 1.
    #[must_use]
    pub fn new(error: impl Into<Error>) -> Self {
        let error = error.into();
        let exit = if problems(&error).is_some() { Exit::Problems } else { Exit::Controller };
        Self { exit, error, hint: None, notes: Vec::new() }
    }

    /// What the user gave is wrong: 1.
    #[must_use]
    pub fn input(error: impl Into<Error>) -> Self {
        Self { exit: Exit::Problems, ..Self::new(error) }
    }

    /// Something was asked for and did not come true, through no fault of this command: 1.
    #[must_use]
    pub fn failed(error: impl Into<Error>) -> Self {
        Self { exit: Exit::Problems, ..Self::new(error) }
    }

    /// The command line or the environment is wrong: 2.
    #[must_use]
    pub fn usage(error: impl Into<Error>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(error) }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what is known besides the problems, so that whoever mends them does not meet it only then.
    #[must_use]
    pub fn notes(mut self, notes: Vec<String>) -> Self {
        for note in notes {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        self
    }

    /// The same, before the notes that are there.
    #[must_use]
    pub fn notes_before(mut self, notes: Vec<String>) -> Self {
        let own = std::mem::take(&mut self.notes);
        self.notes(notes).notes(own)
    }

    /// What is known besides the problems.
    #[must_use]
    pub fn known(&self) -> &[String] {
        &self.notes
    }

    /// Changes the problems of the input, if the report is about them.
    #[must_use]
    pub fn with_problems(mut self, change: impl FnOnce(&mut Problems)) -> Self {
        if let Some(problems) = self.error.downcast_mut::<Problems>() {
            change(problems);
        }
        self
    }

    /// How the process ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The problems of the input, where they are the cause.
    #[must_use]
    pub fn problems(&self) -> Option<&Problems> {
        problems(&self.error)
    }

    /// Writes it to standard error.
    pub fn print(&self, colours: bool) {
        // Where standard error is closed there is nobody left to tell.
        std::io::stderr().write_all(self.text(colours).as_bytes()).unwrap_or_default();
    }

    /// `error:` and the chain of causes, or one line for each problem; hints below.
    #[must_use]
    pub fn text(&self, colours: bool) -> String {
        let paint = Paint(colours);
        let mut text = String::new();
        if let Some(problems) = self.problems() {
            problems_text(&mut text, problems, paint);
        } else {
            text.push_str(&paint.error("error:"));
            let mut told = String::new();
            for cause in self.error.chain() {
                let cause = cause.to_string();
                // Some libraries repeat their source in their own message.
                if told.is_empty() || !told.contains(&cause) {
                    let separator = if told.is_empty() { " " } else { ": " };
                    text.push_str(separator);
                    text.push_str(&cause);
                    told.push_str(&cause);
                }
            }
            text.push('\n');
        }
        if let Some(hint) = self.hint.clone().or_else(|| known_hint(&self.error)) {
            line(&mut text, format_args!("{} {hint}", paint.hint("hint:")));
        }
        for note in &self.notes {
            line(&mut text, format_args!("note: {}", cut(note)));
        }
        text
    }
}

fn problems(error: &Error) -> Option<&Problems> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

fn problems_text(text: &mut String, problems: &Problems, paint: Paint) {
    let shown = Shown::of(problems, SCREENFUL);
    for problem in shown.problems {
        let field = if problem.field.is_empty() { String::new() } else { format!(", field `{}`", cut(&problem.field)) };
        line(text, format_args!("{} `{}`{field}: {}", paint.error("error:"), cut(&problem.label), cut(&problem.what)));
        if let Some(span) = problem.span() {
            span_text(text, problem, span, paint);
        }
        if !problem.hint.is_empty() {
            line(text, format_args!("  {} {}", paint.hint("hint:"), cut(&problem.hint)));
        }
    }
    let rest = shown.rest().map(|rest| format!("; {rest}")).unwrap_or_default();
    if problems.0.len() > 1 {
        line(text, format_args!("{} problems; nothing was started{rest}", problems.0.len()));
    }
}

/// The line, with a mark below its piece.
fn span_text(text: &mut String, problem: &Problem, span: &Span, paint: Paint) {
    let number = span.line.to_string();
    let margin = " ".repeat(number.len());
    let place = match &span.file {
        Some(file) => format!("{file}:{}:{}", span.line, span.column),
        None => format!("`{}`, line {}, column {}", problem.label, span.line, span.column),
    };
    line(text, format_args!("{margin}{} {place}", paint.place("-->")));
    if span.text.trim().is_empty() {
        return;
    }
    let bar = paint.place("|");
    let before = " ".repeat(span.mark);
    line(text, format_args!("{margin} {bar}"));
    line(text, format_args!("{} {bar} {}", paint.place(&number), span.text));
    line(text, format_args!("{margin} {bar} {before}{}", paint.error(&"^".repeat(span.length))));
}

/// What helps against errors of other modules, by their type.
fn known_hint(error: &Error) -> Option<String> {
    error.chain().find_map(|cause| {
        // A transparent error passes over what it wraps when it is asked for its source.
        match cause.downcast_ref::<BootError>() {
            Some(BootError::Admin(admin)) => return admin_hint(admin),
            Some(BootError::Engine(engine)) => return engine_hint(engine),
            Some(BootError::Identity(IdentityError::NotInContainer | IdentityError::Unknown(_))) => {
                return Some(NOT_INSIDE.to_owned());
            }
            _ => {}
        }
        cause.downcast_ref().and_then(admin_hint).or_else(|| cause.downcast_ref().and_then(engine_hint))
    })
}

fn admin_hint(error: &AdminError) -> Option<String> {
    Some(error.hint().to_owned()).filter(|hint| !hint.is_empty())
}

fn not_there() -> String {
    format!(
        "in a container, mount the engine's socket (`-v {ENGINE_SOCKET}:{ENGINE_SOCKET}`); elsewhere, set `DOCKER_HOST`"
    )
}

fn engine_hint(error: &EngineError) -> Option<String> {
    match error {
        EngineError::NoEngine { source, .. } => {
            let first: &(dyn std::error::Error + 'static) = source.as_ref();
            let denied = std::iter::successors(Some(first), |error| error.source())
                .filter_map(|error| error.downcast_ref::<std::io::Error>())
                .any(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
            Some(if denied { NOT_ALLOWED.to_owned() } else { not_there() })
        }
        EngineError::Timeout { .. } => Some(
            "the engine may be busy; `--timeout` sets the limits, and `outrigger plan --timeouts` lists them"
                .to_owned(),
        ),
        EngineError::Refused { .. } | EngineError::Unreachable { .. } | EngineError::TooOld { .. } => None,
    }
}

fn line(text: &mut String, what: fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    text.write_fmt(what).unwrap_or_default();
    text.push('\n');
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn error(self, word: &str) -> String {
        if self.0 { format!("\x1b[1;31m{word}\x1b[0m") } else { word.to_owned() }
    }

    fn place(self, word: &str) -> String {
        if self.0 { format!("\x1b[1;34m{word}\x1b[0m") } else { word.to_owned() }
    }

    fn hint(self, word: &str) -> String {
        if self.0 { format!("\x1b[36m{word}\x1b[0m") } else { word.to_owned() }
    }
}

impl<E: Into<Error>> From<E> for Report {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_what_the_help_says() {
        assert_eq!(Exit::Success.code(), 0);
        assert_eq!(Exit::Problems.code(), 1);
        assert_eq!(Exit::Usage.code(), 2);
        assert_eq!(Exit::Controller.code(), 125);
        assert_eq!(Exit::pod(255).code(), 255, "podlike turned 255 into 0");
        assert_eq!(Exit::pod(-1).code(), 255, "what no process answers is no success");
        assert_eq!(Exit::pod(256).code(), 255);
        assert_eq!(Exit::Signal(15).code(), 143);
        assert_eq!(Exit::Signal(2).code(), 130);
        assert_eq!(Exit::Signal(1000).code(), 255);
    }

    #[test]
    fn a_chain_is_one_line_and_repeats_nothing() {
        let inner = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let report = Report::new(Error::new(inner).context("cannot read `pod.yaml`")).hint("look again");
        assert_eq!(report.text(false), "error: cannot read `pod.yaml`: no such file\nhint: look again\n");
    }

    #[test]
    fn problems_are_told_one_by_one_with_their_hints() {
        let problems = Problems(vec![
            Problem::new("pod.component.app", "imag", "unknown key").hint("did you mean `image`?"),
            Problem::new("pod.plugins", "", "expected a list"),
        ]);
        let report = Report::input(problems);
        assert_eq!(report.exit(), Exit::Problems);
        assert_eq!(
            report.text(false),
            "error: `pod.component.app`, field `imag`: unknown key\n  hint: did you mean `image`?\n\
             error: `pod.plugins`: expected a list\n2 problems; nothing was started\n"
        );
    }

    #[test]
    fn notes_follow_the_problems_and_each_is_told_once() {
        let notes = |them: &[&str]| them.iter().map(|&note| note.to_owned()).collect();
        let report = Report::input(Problems(vec![Problem::new("pod.plugins", "", "expected a list")]));
        let report = report.notes(notes(&["b", "b"])).notes_before(notes(&["a", "b"])).with_problems(|problems| {
            problems.0[0].hint = "write one".to_owned();
        });
        assert_eq!(report.known(), ["a", "b"]);
        assert_eq!(report.text(false), "error: `pod.plugins`: expected a list\n  hint: write one\nnote: a\nnote: b\n");
    }

    #[test]
    fn a_missing_engine_comes_with_the_remedy() {
        let source = Box::new(std::io::Error::from(std::io::ErrorKind::NotFound));
        let text =
            Report::new(EngineError::NoEngine { address: "/var/run/docker.sock".to_owned(), source }).text(false);
        assert!(text.contains("mount the engine's socket"), "{text}");
        let source = Box::new(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        let text =
            Report::new(EngineError::NoEngine { address: "/var/run/docker.sock".to_owned(), source }).text(false);
        assert!(text.contains("no permission to open"), "{text}");
    }

    #[test]
    fn what_the_boot_wraps_keeps_its_hint_and_its_exit_code() {
        let text = Report::new(BootError::from(IdentityError::NotInContainer)).text(false);
        assert!(text.contains("`outrigger run FILE`") && text.contains("`outrigger --help`"), "{text}");
        let admin = AdminError::InUse { path: "/x".into() };
        let text = Report::new(BootError::from(admin)).text(false);
        assert!(text.contains("its own state directory"), "{text}");
        let source = Box::new(std::io::Error::from(std::io::ErrorKind::NotFound));
        let report = Report::new(BootError::from(EngineError::NoEngine { address: "/x".to_owned(), source }));
        assert!(report.text(false).contains("mount the engine's socket"));
        assert_eq!(report.exit(), Exit::Controller);
        let problems = Problems(vec![Problem::new("pod.component.app", "image", "is missing")]);
        let report = Report::new(BootError::from(problems));
        assert_eq!(report.exit(), Exit::Problems);
        assert_eq!(report.text(false), "error: `pod.component.app`, field `image`: is missing\n");
    }

    #[test]
    fn colours_only_where_asked_for() {
        let report = Report::new(anyhow::anyhow!("x"));
        assert!(!report.text(false).contains('\x1b'));
        assert!(report.text(true).contains('\x1b'));
    }
}
