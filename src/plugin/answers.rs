//! What plugins answer, checked like a user's input and turned into our own words. Whatever is wrong counts as a failure of the plugin.

pub mod lines;
pub mod said;

use serde_json::{Map, Value};

use crate::hooks::limits::{LONGEST_COMMAND_MS, LONGEST_HEALTHY_MS};
use crate::hooks::{Action, Command, File, Judgement, NEW_FILE, NewFile, Rollout, SignalDecision};
use crate::plugin::PodView;
use crate::plugin::answers::said::FileSaid;
use crate::plugin::imports::grants::Granter;
use crate::plugin::instance::call::CopyVerdict;
use crate::pod::{Capability, ComponentName};

/// Most files, commands or judgements of one answer.
const ITEMS: usize = crate::hooks::limits::MOST_FILES;
/// Most bytes of the files of one rollout: they are in memory until it has ended.
const ROLLOUT_BYTES: usize = 32 << 20;
/// Longest reason or summary that is kept, in characters.
const TEXT: usize = 500;
/// Longest name of a check, in bytes.
const CHECK_BYTES: usize = 64;
/// Deepest overlay.
const DEPTH: usize = 32;

/// Checks answers against what a plugin may do and what there is.
pub struct Judge<'a> {
    /// What the plugin may do.
    pub granter: &'a Granter,
    /// The pod as it is now.
    pub view: &'a PodView,
}

impl Judge<'_> {
    /// A component of the pod that the plugin sees.
    fn component(&self, name: &str) -> Result<ComponentName, String> {
        let found = self.view.components.iter().find(|component| component.name.as_str() == name);
        let found = found.filter(|_| self.granter.sees(name));
        found.map(|component| component.name.clone()).ok_or_else(|| {
            format!(
                "the answer names component `{}`, which the pod does not have or the plugin must not access",
                shortened(name)
            )
        })
    }

    fn may(&self, capability: Capability, scope: &str) -> Result<(), String> {
        self.granter.check(capability, scope).map_err(|denied| format!("a grant is missing: {denied}"))
    }

    /// `pre-start`: an object whose every leaf lies within the `plan` grants.
    pub fn overlay(&self, answer: Option<String>) -> Result<Option<String>, String> {
        let Some(text) = answer else { return Ok(None) };
        let value: Value = serde_json::from_str(&text).map_err(|error| format!("the overlay is not JSON: {error}"))?;
        let Value::Object(object) = &value else { return Err("the overlay is not a JSON object".to_owned()) };
        self.leaves(object, "", 0)?;
        Ok((!object.is_empty()).then_some(text))
    }

    fn leaves(&self, object: &Map<String, Value>, path: &str, depth: usize) -> Result<(), String> {
        if depth >= DEPTH {
            return Err("the overlay is nested too deeply".to_owned());
        }
        for (key, value) in object {
            // A dot in a key (a label's, for instance) would look like two segments and could reach what is not granted.
            let segment = key.replace('.', "\u{2024}");
            let path = if path.is_empty() { segment } else { format!("{path}.{segment}") };
            match value {
                Value::Object(inner) if !inner.is_empty() => self.leaves(inner, &path, depth + 1)?,
                _ => self.leaf(&path)?,
            }
        }
        Ok(())
    }

    fn leaf(&self, path: &str) -> Result<(), String> {
        if let Some(only) = self.granter.only() {
            let mut segments = path.split('.');
            if segments.next() != Some("components") || segments.next() != Some(&only.as_str().replace('.', "\u{2024}"))
            {
                return Err(format!(
                    "the overlay changes `{}`, but the plugin belongs to component `{only}`",
                    shortened(path)
                ));
            }
        }
        self.may(Capability::Plan, path)
    }

    /// `config-copy`.
    pub fn copy(&self, original: &File, answer: said::Copied) -> Result<CopyVerdict, String> {
        let files = match answer {
            said::Copied::Keep => return Ok(CopyVerdict::Keep),
            said::Copied::Skip => return Ok(CopyVerdict::Skip),
            said::Copied::Replace(files) => files,
        };
        limited("files", files.len())?;
        let checked = files.into_iter().map(|file| {
            let itself = file.component == original.component.as_str() && file.path == original.path;
            let had = if itself { (original.mode, original.uid, original.gid) } else { NEW_FILE };
            self.file(file, itself).map(|file| file.over(had))
        });
        checked.collect::<Result<_, _>>().map(CopyVerdict::Replace)
    }

    fn file(&self, file: FileSaid, granted: bool) -> Result<NewFile, String> {
        self.component(&file.component)?;
        if !granted {
            self.may(Capability::Files, &format!("{}:{}", file.component, file.path))?;
        }
        file.checked()
    }

    /// `health`. What a confined plugin says of the pod, it says of its component.
    pub fn judgements(&self, answer: Vec<said::Judgement>) -> Result<Vec<Judgement>, String> {
        limited("judgements", answer.len())?;
        let checked = answer.into_iter().map(|judgement| {
            let component = match judgement.component {
                Some(name) => Some(self.component(&name)?),
                None => self.granter.only().cloned(),
            };
            self.may(Capability::Verdicts, component.as_ref().map_or("*", ComponentName::as_str))?;
            let said::Judgement { check, probe, status, reason, .. } = judgement;
            if check.len() > CHECK_BYTES || check.contains(|c: char| c.is_control()) {
                return Err(format!(
                    "the name of a check must have at most {CHECK_BYTES} bytes and no control characters"
                ));
            }
            Ok(Judgement { component, check, probe, status, reason: shortened(&reason) })
        });
        checked.collect()
    }

    /// `signal`. Who decides about signals may swallow them, too.
    pub fn decision(&self, answer: said::Decision) -> Result<SignalDecision, String> {
        let said::Decision::Deliver(deliveries) = answer else { return Ok(SignalDecision::Forward) };
        limited("deliveries", deliveries.len())?;
        let checked = deliveries.into_iter().map(|(component, signal)| self.signal(&component, signal));
        checked.collect::<Result<_, _>>().map(SignalDecision::Deliver)
    }

    fn signal(&self, component: &str, signal: u8) -> Result<(ComponentName, i32), String> {
        let component = self.component(component)?;
        self.may(Capability::Signals, component.as_str())?;
        if !(1..=64).contains(&signal) {
            return Err(format!("there is no signal {signal}"));
        }
        Ok((component, i32::from(signal)))
    }

    /// `config-changed`.
    pub fn rollout(&self, answer: Option<said::Rollout>) -> Result<Option<Rollout>, String> {
        let Some(raw) = answer else { return Ok(None) };
        limited("files", raw.files.len() + raw.remove.len())?;
        limited("commands", raw.validate.len() + raw.verify.len() + raw.apply.len())?;
        if raw.healthy_for_ms > LONGEST_HEALTHY_MS {
            return Err(format!("`healthy_for_ms` is {}, but the limit is {LONGEST_HEALTHY_MS}", raw.healthy_for_ms));
        }
        let bytes: usize = raw.files.iter().map(|file| file.content.len()).sum();
        if bytes > ROLLOUT_BYTES {
            return Err(format!("the files of the rollout have {bytes} bytes, but the limit is {ROLLOUT_BYTES}"));
        }
        let files = raw.files.into_iter().map(|file| self.file(file, false)).collect::<Result<_, _>>()?;
        let remove = raw.remove.into_iter().map(|(component, path)| {
            self.may(Capability::Files, &format!("{component}:{path}"))?;
            Ok((self.component(&component)?, path))
        });
        let remove = remove.collect::<Result<_, String>>()?;
        let apply = raw.apply.into_iter().map(|action| self.action(action)).collect::<Result<_, _>>()?;
        Ok(Some(Rollout {
            summary: shortened(&raw.summary),
            files,
            remove,
            validate: self.commands(raw.validate)?,
            apply,
            verify: self.commands(raw.verify)?,
            healthy_for_ms: raw.healthy_for_ms,
        }))
    }

    fn commands(&self, raw: Vec<said::Command>) -> Result<Vec<Command>, String> {
        raw.into_iter().map(|command| self.command(command)).collect()
    }

    fn command(&self, raw: said::Command) -> Result<Command, String> {
        let component = self.component(&raw.component)?;
        self.may(Capability::Exec, component.as_str())?;
        if raw.argv.is_empty() || raw.argv.len() > ITEMS {
            return Err(format!("a command must have 1 to {ITEMS} words"));
        }
        if raw.timeout_ms == 0 || raw.timeout_ms > LONGEST_COMMAND_MS {
            return Err(format!("`timeout_ms` is {}, expected 1 to {LONGEST_COMMAND_MS}", raw.timeout_ms));
        }
        Ok(Command { component, argv: raw.argv, timeout_ms: raw.timeout_ms })
    }

    fn action(&self, raw: said::Action) -> Result<Action, String> {
        match raw {
            said::Action::Signal(component, signal) => {
                self.signal(&component, signal).map(|(component, signal)| Action::Signal(component, signal))
            }
            said::Action::Run(command) => self.command(command).map(Action::Run),
            said::Action::Restart(component) => {
                let component = self.component(&component)?;
                // Whoever may end a component may start it again.
                self.may(Capability::Signals, component.as_str())?;
                Ok(Action::Restart(component))
            }
        }
    }
}

/// The plan as a confined plugin sees it: its component and nothing else.
#[must_use]
pub fn plan_of(only: &ComponentName, plan_json: &str) -> String {
    let plan: Value = serde_json::from_str(plan_json).unwrap_or_default();
    let component = plan.get("components").and_then(|components| components.get(only.as_str())).cloned();
    let components: Map<String, Value> = component.map(|spec| (only.to_string(), spec)).into_iter().collect();
    serde_json::json!({ "components": components }).to_string()
}

fn limited(what: &str, count: usize) -> Result<(), String> {
    if count > ITEMS { Err(format!("the answer has {count} {what}, but the limit is {ITEMS}")) } else { Ok(()) }
}

fn shortened(text: &str) -> String {
    // It goes to the log, to `status`, and to what Docker keeps of health checks: there it must not look like a line of its own, or move a terminal.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT).collect()
}

#[cfg(test)]
mod tests;
