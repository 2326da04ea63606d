//! Lines of the controller's own log that commands read back: `deploy` finds the reason of a failure in them, `events` finds rollouts. The writer and the readers share the words here, and a test reads back each line that the writer can make.

use std::fmt;

use crate::hooks::RolloutOutcome;

/// The message at the end of a pod, with the fields `exit_code` and `outcome`.
pub const POD_ENDED: &str = "the pod has ended";

/// The message of the line that has the last output of a failed component, which is in the field [`LAST_OUTPUT_FIELD`]: in the log's text form the lines follow this one, as JSON they are a list.
pub const LAST_OUTPUT: &str = "last output";

/// The field for the lines. Written as one text with a newline between two lines.
pub const LAST_OUTPUT_FIELD: &str = "last_output";

/// Before each line that continues one of the log's text form, as the lines of a last output do.
pub const OUTPUT_LINE: &str = "  | ";

/// Between the reason why a component ended the pod and the component's last lines, in the log of a controller up to version 0.1.
pub const OLD_LAST_OUTPUT: &str = "; last output:";

/// The target of the lines that report rollouts. Words of plugins and components are written under other targets.
pub const ROLLOUT_TARGET: &str = "outrigger::supervisor::rollout";

/// The report of a rollout that has ended, as one line: ``component `web`: rollout of plugin `reload` applied: …``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledOut {
    /// All components that take part.
    pub components: Vec<String>,
    /// The plugin that asked for the rollout.
    pub plugin: String,
    /// How it ended.
    pub outcome: RolloutOutcome,
    /// The plugin's summary and, if the rollout was not applied, the reason.
    pub text: String,
}

impl fmt::Display for RolledOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.components.len() == 1 { "component" } else { "components" };
        let names: Vec<_> = self.components.iter().map(|name| format!("`{name}`")).collect();
        let Self { plugin, outcome, text, .. } = self;
        write!(f, "{noun} {}: rollout of plugin `{plugin}` {outcome}: {text}", names.join(", "))
    }
}

impl RolledOut {
    /// Reads a message back; none if it is another message.
    #[must_use]
    pub fn parse(message: &str) -> Option<Self> {
        let (names, rest) =
            message.strip_prefix("components ").or_else(|| message.strip_prefix("component "))?.split_once(": ")?;
        let (plugin, rest) = rest.strip_prefix("rollout of plugin `")?.split_once("` ")?;
        let (outcome, text) = rest.split_once(": ")?;
        Some(Self {
            components: names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect(),
            plugin: plugin.to_owned(),
            outcome: RolloutOutcome::of(outcome)?,
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_report_of_a_rollout_is_read_back(
            components in proptest::collection::vec("[a-z][a-z0-9_-]{0,8}", 1..4),
            plugin in "[a-z][a-z0-9-]{0,8}",
            outcome in proptest::sample::select(RolloutOutcome::ALL.to_vec()),
            text in "[ -~é]{0,40}",
        ) {
            let written = RolledOut { components, plugin, outcome, text };
            prop_assert_eq!(RolledOut::parse(&written.to_string()), Some(written));
        }
    }

    #[test]
    fn other_messages_are_no_rollouts() {
        for message in [
            "component `a`: started",
            "component `a`: rollout of plugin `reload` begins: x",
            "rollout of plugin `reload` applied: x",
            "",
        ] {
            assert_eq!(RolledOut::parse(message), None, "{message}");
        }
    }
}
