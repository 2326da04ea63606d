//! Changes files in running components, as one transaction.
//!
//! ```text
//! candidates beside their targets ─ validate (those that name a candidate) ─ rename into place ─ validate (the others)
//!   ─ apply ─ verify ─ components healthy for so long ─▶ applied
//! any step fails ─▶ the last good files are put back and, where the new ones had been applied, applied ─▶ refused
//! ```
//! One rollout at a time; while it runs, an exit of its components is its business, and not the end of the pod.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::status::{RolloutStatus, Status};
use crate::clock::since_epoch;
use crate::engine::{ContainerId, Engine, chain};
use crate::hooks::{Action, Change, Command, File, HookFailure, Hooks, Rollout, limits};
use crate::pod::life::ExecCommand;
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::copy::{get, put};
use crate::supervisor::events::{Event, Phase};
use crate::supervisor::requests::{running, unfinished};
use crate::supervisor::shared::{Live, Shared};

/// Largest file that can be kept for a roll-back, in bytes; as much as `watch` reads.
const LARGEST_FILE: usize = limits::LARGEST_FILE as usize;

/// Output of a command that is shown when it fails, in bytes.
const SHOWN: usize = 4 << 10;

/// Longest time that components may be asked to stay healthy.
const LONGEST_WATCH: Duration = Duration::from_millis(limits::LONGEST_HEALTHY_MS as u64);

/// Longest time for a rename, and for a component to come back after a restart.
const STEP: Duration = Duration::from_secs(30);

/// Ended rollouts that `status` shows.
const REMEMBERED: usize = 10;

/// Takes changes to the plugins that watch them, and carries out what they answer, until told to end.
pub async fn run<E: Engine, H: Hooks>(
    shared: Arc<Shared<E, H>>,
    mut changes: mpsc::Receiver<(PluginName, Vec<Change>)>,
    status: watch::Sender<Arc<Status>>,
    token: CancellationToken,
) {
    loop {
        let (plugin, changes) = tokio::select! {
            biased;
            () = token.cancelled() => return,
            change = changes.recv() => match change { Some(change) => change, None => return },
        };
        if let Err(failure) = one(&shared, &plugin, changes, &status, &token).await {
            shared.tell(Event::PluginFailed(failure)).await;
        }
    }
}

async fn one<E: Engine, H: Hooks>(
    shared: &Shared<E, H>,
    plugin: &PluginName,
    changes: Vec<Change>,
    status: &watch::Sender<Arc<Status>>,
    token: &CancellationToken,
) -> Result<(), HookFailure> {
    let Some(rollout) = shared.hooks.config_changed(plugin, changes).await? else { return Ok(()) };
    let mut files = Vec::new();
    for file in &rollout.files {
        files.extend(shared.hooks.config_copy(&format!("plugin:{plugin}"), file.clone()).await?);
    }
    let rollout = Rollout { files, ..rollout };
    let names: BTreeSet<ComponentName> = involved(&rollout).cloned().collect();
    let ailing = {
        let live = shared.live.borrow();
        names.iter().filter(|name| live.get(*name).is_some_and(|live| live.unhealthy)).cloned().collect()
    };
    shared.tell(Event::Guard(names.clone())).await;
    let ended = Transaction { shared, rollout: &rollout, names: &names, ailing, token }.carry_out().await;
    shared.tell(Event::Unguard).await;
    if token.is_cancelled() {
        return Ok(());
    }
    note(status, plugin, &rollout, &ended);
    let (applied, text) = match ended {
        Ok(()) => {
            info!(%plugin, rollout = rollout.summary, "applied");
            (true, format!("applied: {}", rollout.summary))
        }
        Err(refusal) => {
            warn!(%plugin, rollout = rollout.summary, reason = refusal, "refused");
            (false, refusal)
        }
    };
    shared.hooks.rollout_ended(plugin, applied, text).await
}

/// Shows a rollout's end in `status`.
fn note(status: &watch::Sender<Arc<Status>>, plugin: &PluginName, rollout: &Rollout, ended: &Result<(), String>) {
    let shown = RolloutStatus {
        plugin: plugin.to_string(),
        summary: rollout.summary.clone(),
        outcome: if ended.is_ok() { "applied" } else { "refused" }.to_owned(),
        reason: ended.as_ref().err().cloned().unwrap_or_default(),
        at: since_epoch().as_secs(),
    };
    status.send_modify(|status| {
        let rollouts = &mut Arc::make_mut(status).rollouts;
        if rollouts.len() >= REMEMBERED {
            rollouts.remove(0);
        }
        rollouts.push(shown);
    });
}

fn involved(rollout: &Rollout) -> impl Iterator<Item = &ComponentName> {
    let commands = rollout.validate.iter().chain(&rollout.verify).map(|command| &command.component);
    let actions = rollout.apply.iter().map(|action| match action {
        Action::Signal(component, _) | Action::Restart(component) => component,
        Action::Run(command) => &command.component,
    });
    let removed = rollout.remove.iter().map(|(component, _)| component);
    rollout.files.iter().map(|file| &file.component).chain(removed).chain(commands).chain(actions)
}

/// What a target was before the rollout.
struct Before {
    component: ComponentName,
    path: String,
    file: Option<File>,
}

struct Transaction<'a, E, H> {
    shared: &'a Shared<E, H>,
    rollout: &'a Rollout,
    names: &'a BTreeSet<ComponentName>,
    /// Those that were unhealthy already: the new version may be what mends them, so it is not blamed for it.
    ailing: BTreeSet<ComponentName>,
    token: &'a CancellationToken,
}

impl<E: Engine, H: Hooks> Transaction<'_, E, H> {
    /// The whole transaction. An `Err` says what failed and what is in force now.
    async fn carry_out(&self) -> Result<(), String> {
        for name in self.names {
            running(self.shared, name)?;
        }
        let before = self.remember().await?;
        if let Err(why) = self.try_candidates().await {
            self.drop_candidates().await;
            return Err(format!("{why}; nothing was changed"));
        }
        let mut applied = false;
        let Err(why) = self.commit(&mut applied).await else { return Ok(()) };
        if self.token.is_cancelled() {
            // The pod is stopping: its containers, and the files in them, are about to go.
            return Err(why);
        }
        match self.roll_back(&before, applied).await {
            Ok(()) => Err(format!("{why}; rolled back to the last good version")),
            Err(worse) => Err(format!("{why}; and rolling back failed: {worse}")),
        }
    }

    /// Reads what is there now.
    async fn remember(&self) -> Result<Vec<Before>, String> {
        let written = self.rollout.files.iter().map(|file| (&file.component, &file.path));
        let removed = self.rollout.remove.iter().map(|(component, path)| (component, path));
        let mut before = Vec::new();
        for (component, path) in written.chain(removed) {
            let id = running(self.shared, component)?;
            let file = get(&self.shared.engine, &id, component, path, LARGEST_FILE).await?;
            before.push(Before { component: component.clone(), path: path.clone(), file });
        }
        Ok(before)
    }

    async fn try_candidates(&self) -> Result<(), String> {
        for file in &self.rollout.files {
            let id = running(self.shared, &file.component)?;
            let aside = File { path: candidate(&file.path), ..file.clone() };
            put(&self.shared.engine, &id, &aside).await.map_err(|error| chain(&error))?;
        }
        for command in self.rollout.validate.iter().filter(|command| names_candidate(command)) {
            self.run(command).await?;
        }
        self.go_on()
    }

    async fn drop_candidates(&self) {
        for file in &self.rollout.files {
            let removed = match running(self.shared, &file.component) {
                Ok(id) => self.remove_file(&id, &candidate(&file.path)).await,
                Err(why) => Err(why),
            };
            if let Err(why) = removed {
                warn!(component = %file.component, path = candidate(&file.path), why, "a refused candidate stays behind");
            }
        }
    }

    async fn commit(&self, applied: &mut bool) -> Result<(), String> {
        for file in &self.rollout.files {
            let id = running(self.shared, &file.component)?;
            self.rename(&id, file).await?;
        }
        for (component, path) in &self.rollout.remove {
            let id = running(self.shared, component)?;
            self.remove_file(&id, path).await?;
        }
        for command in self.rollout.validate.iter().filter(|command| !names_candidate(command)) {
            self.run(command).await?;
        }
        self.go_on()?;
        *applied = true;
        self.apply().await?;
        for command in &self.rollout.verify {
            self.run(command).await?;
        }
        self.stay_healthy().await
    }

    fn go_on(&self) -> Result<(), String> {
        if self.token.is_cancelled() { Err("the pod is stopping".to_owned()) } else { Ok(()) }
    }

    /// Puts a candidate into its place: a rename inside the component, which is atomic. An image without `mv` gets the file written
    /// directly, for an instant of which there is no file.
    async fn rename(&self, id: &ContainerId, file: &File) -> Result<(), String> {
        let argv = ["mv", "-f", "--", &candidate(&file.path), &file.path].map(str::to_owned);
        match self.shared.engine.exec(id, &ExecCommand::new(argv), STEP, SHOWN).await {
            Ok(done) if done.exit_code == 0 => return Ok(()),
            Ok(done) => {
                let why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
                warn!(component = %file.component, path = file.path, why, "no rename in the component: the file is replaced, but not atomically");
            }
            Err(error) => {
                warn!(component = %file.component, path = file.path, error = chain(&error), "no rename in the component: the file is replaced, but not atomically");
            }
        }
        put(&self.shared.engine, id, file).await.map_err(|error| chain(&error))
    }

    async fn remove_file(&self, id: &ContainerId, path: &str) -> Result<(), String> {
        let argv = ["rm", "-f", "--", path].map(str::to_owned);
        let done =
            self.shared.engine.exec(id, &ExecCommand::new(argv), STEP, SHOWN).await.map_err(|error| chain(&error))?;
        if done.exit_code == 0 {
            return Ok(());
        }
        Err(format!("cannot remove `{path}`: {}", String::from_utf8_lossy(&done.stderr).trim()))
    }

    async fn run(&self, command: &Command) -> Result<(), String> {
        self.go_on()?;
        let id = running(self.shared, &command.component)?;
        let argv: Vec<String> = command.argv.iter().map(|word| self.fill_in(word, &command.component)).collect();
        let timeout = Duration::from_millis(command.timeout_ms.into());
        let shown = argv.join(" ");
        let done = self
            .shared
            .engine
            .exec(&id, &ExecCommand::new(argv), timeout, SHOWN)
            .await
            .map_err(|error| unfinished(&shown, &command.component, &error))?;
        if done.exit_code == 0 {
            return Ok(());
        }
        let said = [done.stderr, done.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let said = said.iter().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ");
        Err(format!("`{shown}` in `{}` exited with {}: {said}", command.component, done.exit_code))
    }

    /// Puts candidates' paths in place of `{candidate}` and `{candidate:/path}`.
    fn fill_in(&self, word: &str, component: &ComponentName) -> String {
        let mut filled = word.to_owned();
        let mut own = self.rollout.files.iter().filter(|file| file.component == *component).peekable();
        if let Some(first) = own.peek() {
            filled = filled.replace("{candidate}", &candidate(&first.path));
        }
        for file in own {
            filled = filled.replace(&format!("{{candidate:{}}}", file.path), &candidate(&file.path));
        }
        filled
    }

    async fn apply(&self) -> Result<(), String> {
        for action in &self.rollout.apply {
            match action {
                Action::Signal(component, signal) => {
                    let id = running(self.shared, component)?;
                    self.shared.engine.signal(&id, *signal).await.map_err(|error| chain(&error))?;
                }
                Action::Run(command) => self.run(command).await?,
                Action::Restart(component) => self.restart(component).await?,
            }
        }
        Ok(())
    }

    /// Restarts a component and waits until it runs again.
    async fn restart(&self, component: &ComponentName) -> Result<(), String> {
        let limit = STEP + self.shared.planned(component).map_or(Duration::ZERO, |planned| planned.grace);
        let mut live = self.shared.live.clone();
        let before = live.borrow().get(component).map_or(0, |live| live.restarts);
        self.shared.tell(Event::Restart(component.clone())).await;
        let back = live.wait_for(|all| {
            all.get(component).is_some_and(|live| live.restarts > before && live.phase == Phase::Running)
        });
        tokio::select! {
            () = self.token.cancelled() => Err("the pod is stopping".to_owned()),
            back = tokio::time::timeout(limit, back) => match back {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(_)) => Err("the pod is over".to_owned()),
                Err(_) => Err(format!("component `{component}` did not come back within {limit:?}")),
            },
        }
    }

    /// Sees the components with files run, and not be unhealthy, for the time that was asked for.
    async fn stay_healthy(&self) -> Result<(), String> {
        let time = Duration::from_millis(self.rollout.healthy_for_ms.into()).min(LONGEST_WATCH);
        let mut live = self.shared.live.clone();
        let runs: Vec<(&ComponentName, u32)> =
            self.names.iter().map(|name| (name, live.borrow().get(name).map_or(0, |live| live.restarts))).collect();
        let troubled = |name: &ComponentName, restarts: u32, live: &Live| {
            live.phase != Phase::Running || live.restarts != restarts || (live.unhealthy && !self.ailing.contains(name))
        };
        let trouble = live.wait_for(|all| {
            runs.iter().any(|(name, restarts)| all.get(*name).is_none_or(|live| troubled(name, *restarts, live)))
        });
        let all = tokio::select! {
            () = self.token.cancelled() => return Err("the pod is stopping".to_owned()),
            answer = tokio::time::timeout(time, trouble) => match answer {
                Err(_) => return Ok(()),
                Ok(answer) => answer.map_err(|_| "the pod is over".to_owned())?.clone(),
            },
        };
        for (name, restarts) in runs {
            match all.get(name) {
                Some(live) if !troubled(name, restarts, live) => {}
                Some(live) if live.phase == Phase::Running && live.restarts == restarts => {
                    return Err(format!("component `{name}` became unhealthy with the new version"));
                }
                _ => return Err(format!("component `{name}` ended with the new version")),
            }
        }
        Ok(())
    }

    async fn roll_back(&self, before: &[Before], applied: bool) -> Result<(), String> {
        let mut ended = BTreeSet::new();
        let mut new: BTreeMap<&ComponentName, Vec<&str>> = BTreeMap::new();
        for Before { component, path, file } in before {
            let container = self.shared.container(component);
            let id = container.ok_or_else(|| format!("component `{component}` is gone"))?.id;
            let runs = running(self.shared, component).is_ok();
            if !runs {
                ended.insert(component.clone());
            }
            match file {
                Some(file) if runs => {
                    let aside = File { path: candidate(path), ..file.clone() };
                    put(&self.shared.engine, &id, &aside).await.map_err(|error| chain(&error))?;
                    self.rename(&id, file).await?;
                }
                // In a container that does not run nobody reads it meanwhile.
                Some(file) => put(&self.shared.engine, &id, file).await.map_err(|error| chain(&error))?,
                None if runs => self.remove_file(&id, path).await?,
                // Nothing can be removed from a container that does not run.
                None => new.entry(component).or_default().push(path),
            }
        }
        self.drop_candidates_of_running(&ended).await;
        for component in &ended {
            let Some(paths) = new.get(component) else {
                self.restart(component).await?;
                continue;
            };
            self.restart_without(component, paths).await.map_err(|why| {
                format!("`{}`, which was not there before, is still in `{component}`: {why}", paths.join("`, `"))
            })?;
        }
        if applied && ended.is_empty() {
            self.apply().await?;
        }
        Ok(())
    }

    /// Brings back a component that has ended, takes the new files out of it while it runs, and has it begin again without them.
    async fn restart_without(&self, component: &ComponentName, paths: &[&str]) -> Result<(), String> {
        self.restart(component).await?;
        let id = running(self.shared, component)?;
        for path in paths {
            self.remove_file(&id, path).await?;
        }
        self.restart(component).await
    }

    /// A candidate that was never renamed, because an earlier one could not be.
    async fn drop_candidates_of_running(&self, ended: &BTreeSet<ComponentName>) {
        for file in self.rollout.files.iter().filter(|file| !ended.contains(&file.component)) {
            if let Ok(id) = running(self.shared, &file.component)
                && let Err(why) = self.remove_file(&id, &candidate(&file.path)).await
            {
                warn!(component = %file.component, why, "a candidate may have stayed behind");
            }
        }
    }
}

/// Where a file waits until it is renamed: beside its target, so that the rename is atomic, and hidden, so that no `conf.d/*` takes it in.
fn candidate(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((directory, name)) => format!("{directory}/.{name}.candidate"),
        None => format!(".{path}.candidate"),
    }
}

fn names_candidate(command: &Command) -> bool {
    command.argv.iter().any(|word| word.contains("{candidate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_lies_hidden_beside_its_target() {
        assert_eq!(candidate("/etc/nginx/nginx.conf"), "/etc/nginx/.nginx.conf.candidate");
        assert_eq!(candidate("/a"), "/.a.candidate");
    }
}
