//! Rollouts of a pod, from its controller's log: the engine knows nothing of them.

use futures_util::stream::{BoxStream, StreamExt};
use serde_json::Value;

use super::logs::lines::lines;
use crate::engine::docker::{Docker, LogQuery};
use crate::engine::{Inspection, Output};
use crate::own_log::{ROLLOUT_TARGET, RolledOut};

/// Targets of the controller's own lines begin so.
const TARGETS: &str = "outrigger::";

/// One rollout that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rolled {
    /// When the engine took the line over. Nanoseconds since the Unix epoch.
    pub(super) at_ns: i64,
    pub(super) report: RolledOut,
}

/// The rollouts of one controller from this time on, as it writes them, until its end. A log that can't be read has none.
pub(super) fn follow(engine: &Docker, controller: &Inspection, since_ns: i64) -> BoxStream<'static, (i64, Rolled)> {
    let query = LogQuery { follow: true, tail: None, since_ns: Some(since_ns), until_ns: None };
    let tty = controller.tty;
    let told = lines(engine, controller, query).filter_map(move |line| {
        let own = line.ok().filter(|line| tty || line.output == Output::Stderr);
        let rolled = own.and_then(|line| {
            let report = parse(&String::from_utf8_lossy(&line.text))?;
            Some((line.at_ns, Rolled { at_ns: line.at_ns, report }))
        });
        std::future::ready(rolled)
    });
    told.boxed()
}

/// Reads a line of the controller's log, in either of its forms.
fn parse(line: &str) -> Option<RolledOut> {
    if line.starts_with('{') {
        let event: Value = serde_json::from_str(line).ok()?;
        return (event.get("target")? == ROLLOUT_TARGET)
            .then(|| RolledOut::parse(event.get("message")?.as_str()?))
            .flatten();
    }
    // Before the message are the time, the level and the target: that of the first word which may be one counts.
    let plain = without_colours(line);
    let (target, rest) = plain.get(plain.find(TARGETS)?..)?.split_once(": ")?;
    (target == ROLLOUT_TARGET).then(|| RolledOut::parse(rest)).flatten()
}

/// Without SGR sequences, which a terminal's log has.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        rest = after.split_once('m').map_or("", |(_, rest)| rest);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hooks::RolloutOutcome;

    fn rolled(outcome: &str, components: &[&str], text: &str) -> RolledOut {
        let components = components.iter().map(|&name| name.to_owned()).collect();
        let outcome = RolloutOutcome::of(outcome).unwrap();
        RolledOut { outcome, plugin: "reload".to_owned(), components, text: text.to_owned() }
    }

    #[test]
    fn both_forms_of_the_log_are_read() {
        let text = "2026-11-30T12:37:29.850686Z  INFO outrigger::supervisor::rollout: component `app`: rollout of plugin `reload` applied: app:/etc/a at 81db";
        assert_eq!(parse(text), Some(rolled("applied", &["app"], "app:/etc/a at 81db")));
        let text = "\u{1b}[2m2026-11-30T12:37:29Z\u{1b}[0m \u{1b}[33m WARN\u{1b}[0m \u{1b}[2moutrigger::supervisor::rollout\u{1b}[0m\u{1b}[2m:\u{1b}[0m components `a`, `b`: rollout of plugin `reload` refused: a:/x: no";
        assert_eq!(parse(text), Some(rolled("refused", &["a", "b"], "a:/x: no")));
        let json = r#"{"timestamp":"2026-11-30T12:37:29Z","level":"INFO","message":"component `app`: rollout of plugin `reload` unproven: x: y","target":"outrigger::supervisor::rollout"}"#;
        assert_eq!(parse(json), Some(rolled("unproven", &["app"], "x: y")));
    }

    #[test]
    fn words_of_others_are_no_rollouts() {
        for line in [
            "2026-11-30T12:37:29Z  INFO outrigger::plugin::imports::logging: outrigger::supervisor::rollout: component `a`: rollout of plugin `reload` applied: x",
            "[err] app: 2026 INFO outrigger::plugin: component `a`: rollout of plugin `reload` applied: x",
            r#"{"message":"component `app`: rollout of plugin `reload` applied: x","target":"outrigger::plugin"}"#,
            "2026-11-30T12:37:29Z  INFO outrigger::supervisor::driver: component `a`: started",
            "component `a`: rollout of plugin `reload` applied: x",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
