//! One rule: what is watched, whose file it becomes, and how that is put to use.

use std::time::Duration;

use outrigger_plugin::{Action, Change, Command, Problem, Want};

use crate::config::{Commands, RawRule};

/// What the host takes as debounce time.
const DEBOUNCE: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
/// Longest time that the host lets a command run, and watches over a component's health after a rollout.
const LONGEST: Duration = Duration::from_secs(600);
/// `max-delay`, where it is not given, in debounce times.
const DELAYS: u32 = 10;
/// Stands in a command for the path of the file that will be.
const CANDIDATE: &str = "{candidate}";
/// The same, of a file that is named.
const CANDIDATE_OF: &str = "{candidate:";

/// A rule that makes sense.
#[derive(Debug)]
pub struct Rule {
    raw: RawRule,
}

impl Rule {
    /// Checks it. `place` is its name for messages.
    ///
    /// # Errors
    /// The first field that makes no sense.
    pub fn new(mut raw: RawRule, place: &str) -> Result<Self, Problem> {
        let bad = |field: &str, what: &str| Err(Problem::new(format!("{place}{field}"), what));
        for path in [&mut raw.watch, &mut raw.target] {
            path.truncate(path.trim_end_matches('/').len().max(1));
        }
        if !is_absolute(&raw.watch) {
            return bad("watch", "must be an absolute path without `.`, `..` and `//`");
        }
        if !is_absolute(&raw.target) {
            return bad("target", "must be an absolute path without `.`, `..` and `//`");
        }
        if raw.component.is_empty() {
            return bad("component", "is empty");
        }
        if !DEBOUNCE.contains(&raw.debounce) {
            return bad("debounce", "must be from 10ms to 60s");
        }
        if raw.max_delay.is_some_and(|delay| delay < raw.debounce) {
            return bad("max-delay", "must not be less than `debounce`");
        }
        if raw.healthy_for > LONGEST {
            return bad("healthy-for", "must be at most 10m");
        }
        if millis(raw.timeout) == 0 || raw.timeout > LONGEST {
            return bad("timeout", "must be from 1ms to 10m");
        }
        if raw.exec.first().is_some_and(String::is_empty) {
            return bad("exec", "the program is empty");
        }
        Ok(Self { raw })
    }

    /// As written.
    pub fn raw(&self) -> &RawRule {
        &self.raw
    }

    /// The longest time that changes may put a rollout off.
    pub fn max_delay(&self) -> Duration {
        self.raw.max_delay.unwrap_or(self.raw.debounce * DELAYS)
    }

    /// Where in the component this file of the controller goes; none: it is none of this rule's.
    pub fn target_of(&self, path: &str) -> Option<String> {
        if path == self.raw.watch {
            return Some(self.raw.target.clone());
        }
        let below = path.strip_prefix(self.raw.watch.trim_end_matches('/'))?.strip_prefix('/')?;
        // `..data` and the like are how mounted directories are swapped; they are not files of the user's.
        let is_plain = !below.is_empty() && below.split('/').all(|part| !part.is_empty() && !part.starts_with(".."));
        is_plain.then(|| format!("{}/{below}", self.raw.target.trim_end_matches('/')))
    }

    /// Whether the watched file itself was removed, and not a file of a watched directory: then the component keeps its own.
    pub fn is_gone(&self, change: &Change) -> bool {
        change.is_removal() && change.path == self.raw.watch
    }

    /// Everything that the rule needs.
    pub fn wants(&self) -> Vec<Want> {
        let raw = &self.raw;
        let mut wants = vec![
            Want::watch(&raw.watch, format!("component `{}` gets the changes", raw.component)),
            Want::files(&raw.component, &raw.target, format!("the plugin copies the content of `{}` there", raw.watch)),
        ];
        if !raw.exec.is_empty() || !raw.validate.0.is_empty() || !raw.verify.0.is_empty() {
            wants.push(Want::exec(&raw.component, "to validate, apply or verify a changed file"));
        }
        if raw.signal.is_some() || raw.restart {
            wants.push(Want::signals(&raw.component, "to make the component read a changed file"));
        }
        wants
    }

    /// The commands that must succeed before these files are used. A command that names no candidate runs once, any other once for each file.
    pub fn validate(&self, targets: &[&str]) -> Vec<Command> {
        let mut commands = Vec::new();
        for argv in &self.raw.validate.0 {
            if argv.iter().any(|word| word.contains(CANDIDATE)) {
                commands.extend(targets.iter().map(|target| {
                    let named = format!("{CANDIDATE_OF}{target}}}");
                    self.command(argv.iter().map(|word| word.replace(CANDIDATE, &named)).collect())
                }));
            } else if !targets.is_empty() || !argv.iter().any(|word| word.contains(CANDIDATE_OF)) {
                commands.push(self.command(argv.clone()));
            }
        }
        commands
    }

    /// How many commands and actions its part of a rollout has beside those for each file, and how many it has for each file.
    pub fn steps(&self) -> (usize, usize) {
        let for_each =
            self.raw.validate.0.iter().filter(|argv| argv.iter().any(|word| word.contains(CANDIDATE))).count();
        let once = self.raw.validate.0.len() - for_each + self.apply().len() + self.raw.verify.0.len();
        (once, for_each)
    }

    /// What makes the component use the files.
    pub fn apply(&self) -> Vec<Action> {
        let raw = &self.raw;
        let mut actions = Vec::new();
        if !raw.exec.is_empty() {
            actions.push(Action::Run(self.command(raw.exec.clone())));
        }
        if let Some(signal) = raw.signal {
            actions.push(Action::Signal(raw.component.clone(), signal.0));
        }
        if raw.restart {
            actions.push(Action::Restart(raw.component.clone()));
        }
        actions
    }

    /// The commands that must succeed after that.
    pub fn verify(&self) -> Vec<Command> {
        let Commands(list) = &self.raw.verify;
        list.iter().map(|argv| self.command(argv.clone())).collect()
    }

    fn command(&self, argv: Vec<String>) -> Command {
        Command { component: self.raw.component.clone(), argv, timeout_ms: millis(self.raw.timeout) }
    }
}

/// Durations cross as 32 bits of milliseconds; the parser refuses longer ones.
pub fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

fn is_absolute(path: &str) -> bool {
    let below = path.strip_prefix('/');
    below.is_some_and(|below| below.is_empty() || below.split('/').all(|part| !matches!(part, "" | "." | "..")))
}
