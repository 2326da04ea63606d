//! Stock plugin `reload`: puts changed files into components, and makes them use them; or puts the old ones back.
//!
//! It only decides; the host carries each rollout out as a transaction. What was rolled back is not tried again until it changes.
#![forbid(unsafe_code)]

mod config;
mod rule;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use outrigger_plugin::{Change, ConfigChanged, Error, File, Manifest, Plugin, Rollout, Want, host};

use config::Config;
use rule::{Rule, millis};

/// Longest file of a component that is read, to compare it and to keep its mode and owner, where the new one is not longer: a quarter of the memory that a
/// plugin has.
const COMPARED_BYTES: usize = 4 << 20;
/// Permission bits of a file that the component does not have yet.
const DEFAULT_MODE: u32 = 0o644;
/// So much of a digest tells versions apart for people.
const SHORT_DIGEST: usize = 12;

const WHY_WATCH: &str = "the files and directories that the rules watch";
const WHY_FILES: &str = "the components' files that the rules replace";
const WHY_EXEC: &str = "the commands that validate, apply or verify";
const WHY_SIGNALS: &str = "to make components read changed files";
const WHY_METRICS: &str = "to count rollouts that were applied and refused";

/// The plugin.
#[derive(Debug)]
pub struct Reload {
    rules: Vec<Rule>,
    /// For each rule, what was rolled back, by its path in the component. A watched directory is one thing: what was refused together is tried
    /// again together, once one of its files changes.
    refused: Vec<Pieces>,
    /// Rollouts whose end is not known yet: by rule, what they put in place.
    under_way: VecDeque<BTreeMap<usize, Pieces>>,
}

type Pieces = BTreeMap<String, Piece>;

/// A version of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    digest: String,
    /// None: it is to be removed.
    file: Option<File>,
}

impl Plugin for Reload {
    type Config = Config;

    fn manifest() -> Manifest {
        let summary = "puts changed files into components and makes them use them, or puts the old ones back";
        Manifest::new("reload", env!("CARGO_PKG_VERSION"), summary)
            .schema(include_str!("schema.json"))
            .want(Want::watch("/", WHY_WATCH))
            .want(Want::files("*", "/", WHY_FILES))
            .want(Want::exec("*", WHY_EXEC).optional())
            .want(Want::signals("*", WHY_SIGNALS).optional())
            .want(Want::metrics(WHY_METRICS).optional())
    }

    fn new(config: Config) -> Result<Self, Error> {
        let Config(raw) = config;
        let is_short = raw.len() == 1;
        let place = |number: usize| if is_short { String::new() } else { format!("`rules[{number}]`: ") };
        let rules: Vec<_> = raw
            .into_iter()
            .enumerate()
            .map(|(number, raw)| Rule::new(raw, &place(number)))
            .collect::<Result<_, _>>()?;
        if rules.is_empty() {
            return Err(Error::bad_config("`rules`: is empty"));
        }
        let mut targets = BTreeSet::new();
        for rule in &rules {
            let raw = rule.raw();
            if !targets.insert((&raw.component, &raw.target)) {
                let message = format!("`target`: `{}` of `{}` is there twice", raw.target, raw.component);
                return Err(Error::bad_config(message));
            }
        }
        add_watches(&rules)?;
        let refused = rules.iter().map(|_| Pieces::new()).collect();
        Ok(Self { rules, refused, under_way: VecDeque::new() })
    }

    fn wants(&self) -> Vec<Want> {
        let mut wants: Vec<Want> = Vec::new();
        for want in self.rules.iter().flat_map(Rule::wants) {
            if !wants.iter().any(|have| (&have.capability, &have.scope) == (&want.capability, &want.scope)) {
                wants.push(want);
            }
        }
        wants.push(Want::metrics(WHY_METRICS).optional());
        wants
    }
}

/// One watch for each path: where two rules share it, the shorter times hold.
fn add_watches(rules: &[Rule]) -> Result<(), Error> {
    let mut watches = BTreeMap::new();
    for rule in rules {
        let times = (rule.raw().debounce, rule.max_delay());
        let entry = watches.entry(&rule.raw().watch).or_insert(times);
        *entry = (entry.0.min(times.0), entry.1.min(times.1));
    }
    watches.into_iter().try_for_each(|(path, (debounce, delay))| host::watch(path, debounce, delay.max(debounce)))
}

impl ConfigChanged for Reload {
    fn on_change(&mut self, changes: Vec<Change>) -> Result<Option<Rollout>, Error> {
        let mut parts = BTreeMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let refused = self.refused.get(number).cloned().unwrap_or_default();
            let mut pieces = refused.clone();
            for change in &changes {
                take(rule, change, &mut pieces)?;
            }
            if pieces.is_empty() {
                if let Some(refused) = self.refused.get_mut(number) {
                    refused.clear();
                }
            } else if pieces != refused {
                parts.insert(number, pieces);
            } else if changes.iter().any(|change| rule.target_of(&change.path).is_some()) {
                eprintln!("`{}` is still what was rolled back: waiting for it to change", rule.raw().watch);
            }
        }
        if parts.is_empty() {
            return Ok(None);
        }
        let rollout = self.rollout(&parts);
        self.under_way.push_back(parts);
        Ok(Some(rollout))
    }

    // The host logs it.
    fn on_outcome(&mut self, applied: bool, _text: &str) -> Result<(), Error> {
        let Some(parts) = self.under_way.pop_front() else { return Ok(()) };
        let outcome = if applied { "reload_applied" } else { "reload_refused" };
        let mut components = BTreeSet::new();
        for (number, pieces) in parts {
            if let Some(rule) = self.rules.get(number) {
                components.insert(rule.raw().component.clone());
            }
            if let Some(refused) = self.refused.get_mut(number) {
                *refused = if applied { Pieces::new() } else { pieces };
            }
        }
        for component in &components {
            host::count(outcome, 1.0, &[("component", component)]);
        }
        Ok(())
    }
}

impl Reload {
    fn rollout(&self, parts: &BTreeMap<usize, Pieces>) -> Rollout {
        let mut rollout = Rollout {
            summary: String::new(),
            files: Vec::new(),
            remove: Vec::new(),
            validate: Vec::new(),
            apply: Vec::new(),
            verify: Vec::new(),
            healthy_for_ms: 0,
        };
        let mut summary = Vec::new();
        for (rule, pieces) in parts.iter().filter_map(|(number, pieces)| Some((self.rules.get(*number)?, pieces))) {
            let component = &rule.raw().component;
            let mut targets = Vec::new();
            for (target, piece) in pieces {
                match &piece.file {
                    Some(file) => {
                        rollout.files.push(file.clone());
                        targets.push(target.as_str());
                        let version = piece.digest.get(..SHORT_DIGEST).unwrap_or(&piece.digest);
                        summary.push(format!("{component}:{target} at {version}"));
                    }
                    None => {
                        rollout.remove.push((component.clone(), target.clone()));
                        summary.push(format!("{component}:{target} removed"));
                    }
                }
            }
            rollout.validate.extend(rule.validate(&targets));
            for action in rule.apply() {
                // Two rules may well ask for the same signal.
                if !rollout.apply.contains(&action) {
                    rollout.apply.push(action);
                }
            }
            rollout.verify.extend(rule.verify());
            rollout.healthy_for_ms = rollout.healthy_for_ms.max(millis(rule.raw().healthy_for));
        }
        rollout.summary = summary.join(", ");
        rollout
    }
}

/// Adds what a change means for a rule; what the component has already is taken away.
fn take(rule: &Rule, change: &Change, pieces: &mut Pieces) -> Result<(), Error> {
    let Some(target) = rule.target_of(&change.path) else { return Ok(()) };
    let raw = rule.raw();
    if change.removed {
        if rule.is_below(&change.path) {
            pieces.insert(target, Piece { digest: String::new(), file: None });
        } else {
            eprintln!("`{}` is gone: `{}` keeps what it has", change.path, raw.component);
        }
        return Ok(());
    }
    let limit = change.content.len().max(COMPARED_BYTES);
    let have = match host::read_file(&raw.component, &target, u32::try_from(limit).unwrap_or(u32::MAX)) {
        Ok(file) => Some(file),
        Err(Error::Retry(after)) => return Err(Error::Retry(after)),
        // It is not there, or too long to be the same; if it can't be read, the rollout will say why.
        Err(_) => None,
    };
    let file = File {
        component: raw.component.clone(),
        path: target.clone(),
        mode: raw.mode.map(|mode| mode.0).or(have.as_ref().map(|have| have.mode & 0o7777)).unwrap_or(DEFAULT_MODE),
        uid: raw.uid.or(have.as_ref().map(|have| have.uid)).unwrap_or(0),
        gid: raw.gid.or(have.as_ref().map(|have| have.gid)).unwrap_or(0),
        content: change.content.clone(),
    };
    let is_there = have.is_some_and(|have| {
        have.content == file.content && (have.mode & 0o7777, have.uid, have.gid) == (file.mode, file.uid, file.gid)
    });
    if is_there {
        pieces.remove(&target);
    } else {
        pieces.insert(target, Piece { digest: change.digest.clone(), file: Some(file) });
    }
    Ok(())
}

outrigger_plugin::register!(Reload: ConfigChanged);

#[cfg(test)]
mod tests;
