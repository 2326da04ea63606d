//! Contents, changed files, and rollouts.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::bindings::base::outrigger::pod::common as wit;
use crate::{Change, Content, Error, File};

/// Longest content that crosses at once, in bytes. Longer ones stay with the host.
const INLINE: usize = 64 << 10;

impl Content {
    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stored(stored) => stored.size,
        }
    }

    /// Whether there is no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All bytes. They must fit into the plugin's memory; [`crate::host::read_content`] reads a part.
    ///
    /// # Errors
    /// If the call has ended in which the plugin got the content.
    pub fn read(&self) -> Result<Vec<u8>, Error> {
        let stored = match self {
            Self::Bytes(bytes) => return Ok(bytes.clone()),
            Self::Stored(stored) => stored,
        };
        let mut all = Vec::with_capacity(usize::try_from(stored.size).unwrap_or_default());
        loop {
            let part = crate::host::read_content(&stored.digest, all.len() as u64, INLINE as u32)?;
            if part.is_empty() {
                return Ok(all);
            }
            all.extend_from_slice(&part);
        }
    }

    /// A content of these bytes; a long one is handed to the host.
    ///
    /// # Errors
    /// If it is longer than the host allows: 8 MiB.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.len() <= INLINE {
            Ok(Self::Bytes(bytes))
        } else {
            crate::host::store_content(&bytes).map(Self::Stored)
        }
    }
}

impl File {
    /// A file that keeps mode, owner and group of the file that is there.
    pub fn new(component: impl Into<String>, path: impl Into<String>, content: Content) -> Self {
        Self { component: component.into(), path: path.into(), mode: None, uid: None, gid: None, content }
    }
}

impl Change {
    /// Whether the file was removed.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        self.content.is_none()
    }
}

/// A command inside a component. In `argv`, `{candidate}` is the path of the first candidate file of this component, and `{candidate:/etc/x}` is the path of the
/// candidate that will become `/etc/x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The component.
    pub component: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The longest time, in milliseconds: 1 to 600,000.
    pub timeout_ms: u32,
}

/// A step of a rollout that puts files to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends this signal to this component.
    Signal(String, u8),
    /// Runs a command.
    Run(Command),
    /// Stops the component and starts it again.
    Restart(String),
}

/// A transaction on files of components, see the hook `config-changed`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollout {
    /// A description for the log, in one line.
    pub summary: String,
    /// Files to put in place.
    pub files: Vec<File>,
    /// Files to remove, as component and path.
    pub remove: Vec<(String, String)>,
    /// Commands that must succeed before anything is applied.
    pub validate: Vec<Command>,
    /// Steps that make the components use the files.
    pub apply: Vec<Action>,
    /// Commands that must succeed afterwards.
    pub verify: Vec<Command>,
    /// How long the components must then run and not be unhealthy, in milliseconds. At most 600,000.
    pub healthy_for_ms: u32,
}

fn run(Command { component, argv, timeout_ms }: &Command) -> Value {
    json!({"run": {"component": component, "argv": argv, "timeout_ms": timeout_ms}})
}

fn step(action: &Action) -> Value {
    match action {
        Action::Signal(component, signal) => json!({"signal": {"component": component, "signal": signal}}),
        Action::Run(command) => run(command),
        Action::Restart(component) => json!({"restart": {"component": component}}),
    }
}

impl Rollout {
    pub(crate) fn into_wit(self) -> wit::Rollout {
        let remove = self.remove.iter().map(|(component, path)| json!({"component": component, "path": path}));
        let plan = json!({
            "summary": self.summary,
            "remove": remove.collect::<Vec<_>>(),
            "validate": self.validate.iter().map(run).collect::<Vec<_>>(),
            "apply": self.apply.iter().map(step).collect::<Vec<_>>(),
            "verify": self.verify.iter().map(run).collect::<Vec<_>>(),
            "healthy_for_ms": self.healthy_for_ms,
        });
        wit::Rollout { plan: plan.to_string(), files: self.files }
    }
}

/// The end of a rollout.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The id that [`crate::host::start_rollout`] answered; none for a rollout that [`crate::ConfigChanged::on_change`] answered.
    #[serde(default)]
    pub id: Option<String>,
    /// `applied`, `refused`, `unproven` or `superseded`; later hosts may have more words.
    pub outcome: String,
    /// A description of the failure, and the version in force.
    #[serde(default)]
    pub text: String,
}

impl Outcome {
    /// An outcome, for tests.
    pub fn new(outcome: impl Into<String>, text: impl Into<String>) -> Self {
        Self { id: None, outcome: outcome.into(), text: text.into() }
    }

    /// Whether the new version is in force.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        self.outcome == "applied"
    }
}
