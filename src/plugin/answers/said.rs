//! What plugins answer, as they say it and in our own types. Nothing of it is checked: [`crate::plugin::answers`] checks it.

use bytes::Bytes;

use crate::hooks::{NewFile, Probe, Reaction, Status};
use crate::plugin::answers::lines::Verdict;
use crate::pod::ComponentName;
use crate::pod::capability::plain_path;

/// A hook's answer.
#[derive(Debug)]
pub enum Said {
    /// To `pre-start`.
    Overlay(Option<String>),
    /// To `config-copy`.
    Copied(Copied),
    /// To `health`.
    Judgements(Vec<Judgement>),
    /// To `log-line`.
    Lines(Verdict),
    /// To `signal`.
    Decision(Decision),
    /// To `component-event`; there is nothing to check.
    Reaction(Reaction),
    /// To `config-changed`.
    Rollout(Option<Rollout>),
    /// To the end of a rollout.
    Heard,
    /// To `tick`: after how many milliseconds it is called next.
    Next(Option<u32>),
}

/// A file of an answer or of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSaid {
    /// Which component.
    pub component: String,
    /// Path in it.
    pub path: String,
    /// Permission bits; none: those of the file that is there.
    pub mode: Option<u32>,
    /// Owner, by the same rule.
    pub uid: Option<u32>,
    /// Group, by the same rule.
    pub gid: Option<u32>,
    /// The whole content.
    pub content: Bytes,
}

impl FileSaid {
    /// The file, if it can be one.
    ///
    /// # Errors
    /// What is wrong with it: its component's name, its path or its mode.
    pub fn checked(self) -> Result<NewFile, String> {
        let Self { component, path, mode, uid, gid, content } = self;
        let component = ComponentName::new(&component).map_err(|error| error.to_string())?;
        if !plain_path(&path) || path.ends_with('/') {
            return Err(format!("`{path}` is not an absolute path without `.` and `..`"));
        }
        if let Some(mode) = mode
            && mode > 0o7777
        {
            return Err(format!("mode {mode:#o} of `{path}` has more than permission bits"));
        }
        Ok(NewFile { component, path, mode, uid, gid, content })
    }
}

/// What becomes of a file on its way into a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    /// Copy it as it is.
    Keep,
    /// Copy these instead.
    Replace(Vec<FileSaid>),
    /// Do not copy it.
    Skip,
}

/// What a plugin thinks of a component's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// None: the pod as a whole.
    pub component: Option<String>,
    /// The name of the check.
    pub check: String,
    /// The question that the check answers.
    pub probe: Probe,
    /// The verdict.
    pub status: Status,
    /// Why, in the plugin's words.
    pub reason: String,
}

/// What a signal to the controller means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// What the pod does by itself.
    Forward,
    /// These signals instead, each to a component.
    Deliver(Vec<(String, u8)>),
}

/// A command inside a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where it runs.
    pub component: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Longest time, in milliseconds.
    pub timeout_ms: u32,
}

/// How a rollout's files are put to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A signal to a component.
    Signal(String, u8),
    /// A command in a component.
    Run(Command),
    /// Stop the component and start it again.
    Restart(String),
}

/// A transaction on files of components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// One line for the log.
    pub summary: String,
    /// Files to put in place.
    pub files: Vec<FileSaid>,
    /// Files to remove: component and path.
    pub remove: Vec<(String, String)>,
    /// Commands that must succeed before anything is applied.
    pub validate: Vec<Command>,
    /// What makes the components use the files.
    pub apply: Vec<Action>,
    /// Commands that must succeed afterwards.
    pub verify: Vec<Command>,
    /// How long the components must stay healthy afterwards, in milliseconds.
    pub healthy_for_ms: u32,
}

/// A mistake in the configuration, found by the schema or by the plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, as a dotted path with indexes; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub hint: Option<String>,
}
