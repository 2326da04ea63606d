//! Back to the last good files, as far as anything has been changed.

use std::collections::{BTreeMap, BTreeSet};

use super::files::candidate;
use super::{LARGEST_FILE, Target, Transaction};
use crate::engine::{ContainerId, Engine, chain};
use crate::hooks::{File, Hooks};
use crate::plan::Planned;
use crate::pod::ComponentName;
use crate::supervisor::copy::{Was, get, put_link};
use crate::supervisor::requests::running;

impl<E: Engine, H: Hooks> Transaction<'_, E, H> {
    /// Puts back what was there before, in those that may have been touched. Answers whether anything had been changed.
    ///
    /// # Errors
    /// Everything that is not as it was.
    pub(super) async fn roll_back(&self, targets: &[Target], touched: usize, applied: bool) -> Result<bool, String> {
        let (mut changed, mut failed) = (applied, Vec::new());
        let mut ended = BTreeSet::new();
        let mut new: BTreeMap<&ComponentName, Vec<&str>> = BTreeMap::new();
        for (number, target) in targets.iter().enumerate() {
            let Target { component, path, real, was, .. } = target;
            let (id, planned) = self.container(component)?;
            let runs = running(self.shared, component).is_ok();
            if !runs {
                ended.insert(component.clone());
            }
            if number >= touched || self.is_as_before(&id, target).await {
                continue;
            }
            changed = true;
            if !runs && *was == Was::Absent {
                // Nothing can be removed from a container that does not run.
                new.entry(component).or_default().push(real);
            } else if let Err(why) = self.put_back(&id, planned, target, runs).await
                && !self.is_as_before(&id, target).await
            {
                failed.push(format!("`{path}` in component `{component}` is not the previous version: {why}"));
            }
        }
        self.drop_candidates(targets).await;
        for component in &ended {
            let began = match new.get(component) {
                None => self.restart(component).await,
                Some(paths) => self.restart_without(component, paths).await.map_err(|why| {
                    format!("`{}` did not exist before the rollout, but could not be removed from component `{component}`: {why}", paths.join("`, `"))
                }),
            };
            failed.extend(began.err());
        }
        self.drop_directories(targets).await;
        if applied && ended.is_empty() {
            let again = self.apply(targets, &BTreeSet::new(), &mut true).await;
            failed.extend(again.err().map(|why| format!("the components may still use the new version: {}", why.text)));
        }
        if failed.is_empty() { Ok(changed) } else { Err(failed.join("; ")) }
    }

    /// Whether what is at a target is what was there before. What can't be read is taken for changed.
    async fn is_as_before(&self, id: &ContainerId, target: &Target) -> bool {
        let Target { component, real, was, .. } = target;
        let is = get(&self.shared.engine, id, component, real, LARGEST_FILE, self.token).await;
        is.is_ok_and(|is| is == *was)
    }

    async fn put_back(&self, id: &ContainerId, planned: &Planned, target: &Target, runs: bool) -> Result<(), String> {
        let Target { component, real, was, .. } = target;
        match was {
            Was::File(file) if runs => {
                self.put(id, planned, &File { path: candidate(real), ..file.clone() }).await?;
                self.rename(id, planned, file).await.map_err(|why| why.text)
            }
            // In a container that does not run nobody reads it meanwhile.
            Was::File(file) => self.put(id, planned, file).await,
            Was::Link(to) => {
                // Nothing of an archive is written through a link at the end of a path: it takes the place of the file.
                let put = put_link(&self.shared.engine, id, planned, real, to, self.token).await;
                put.map_err(|error| chain(&error))
            }
            Was::Absent => self.remove_file(component, id, real).await.map_err(|why| why.text),
        }
    }

    /// Brings back a component that has ended, takes the new files out of it while it runs, and has it begin again without them.
    async fn restart_without(&self, component: &ComponentName, paths: &[&str]) -> Result<(), String> {
        self.restart(component).await?;
        let id = running(self.shared, component)?;
        for path in paths {
            self.remove_file(component, &id, path).await.map_err(|why| why.text)?;
        }
        self.restart(component).await
    }
}
