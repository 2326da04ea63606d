//! One rollout.
//!
//! ```text
//! component runs:  candidates beside their targets ─ validate (those that name a candidate) ─ rename into place ─ validate (the others) ─ apply
//! component down:  files put in place, while nobody starts it ─ start
//! both:            ─ verify ─ components healthy for so long ─▶ applied
//! a step fails ─▶ the last good files are put back and, where the new ones had been applied, applied ─▶ refused
//!              ─▶ what was there before was no better: the new files stay for the next start ─▶ unproven
//! ```
//! A component whose process has ended has no validation: nothing can be run in it. Its next start is the test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::trials::Trials;
use crate::engine::{ContainerId, Engine, EngineError, Fault, PathKind, chain};
use crate::hooks::{Action, Command, File, Hooks, Rollout, limits};
use crate::plan::Planned;
use crate::plan::compile::targets::barred;
use crate::pod::life::ExecCommand;
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::copy::{Was, get, put, put_link};
use crate::supervisor::events::{Event, Phase};
use crate::supervisor::place::{Located, follow, locate};
use crate::supervisor::requests::{permitted, running, unfinished};
use crate::supervisor::shared::{Live, Shared, persist};

/// Largest file that can be kept for a roll-back, in bytes; as much as `watch` reads.
const LARGEST_FILE: usize = limits::LARGEST_FILE as usize;

/// Output of a command that is shown when it fails, in bytes.
const SHOWN: usize = 4 << 10;

/// Longest time that components may be asked to stay healthy.
const LONGEST_WATCH: Duration = Duration::from_millis(limits::LONGEST_HEALTHY_MS as u64);

/// Longest time for a rename, and for a component to come back after a restart.
const STEP: Duration = Duration::from_secs(30);

/// How often a rollout begins again because a component has ended before anything was changed: from then on it stays down until the rollout starts it.
const ATTEMPTS: u32 = 5;

/// How long the news that a component has ended may come after a command that ended because of it.
const NEWS: Duration = Duration::from_secs(2);

/// Pause before a rollout begins again because the engine was away.
const PAUSE: Duration = Duration::from_secs(1);

/// A command that a signal has ended has an exit code above this one.
const SIGNALLED: i64 = 128;

/// Exit codes of a command that the component does not have: 127, and 126 where it can't be run.
const NO_PROGRAM: [i64; 2] = [126, 127];

/// How a rollout has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is in force.
    Applied,
    /// What was in force before still is, or is again. Says why.
    Refused(String),
    /// It is in place for the next start of a component that has not run with it. Says why.
    Unproven(String),
}

/// Why a step failed before anything was changed.
enum Early {
    /// For good.
    Refused(String),
    /// A component has ended meanwhile, or the engine was away: begin again.
    Again(String),
}

impl From<String> for Early {
    fn from(why: String) -> Self {
        Self::Refused(why)
    }
}

/// Why a step failed.
#[derive(Debug)]
struct Why {
    text: String,
    blame: Blame,
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blame {
    /// The new version's, as far as anybody can tell.
    Files,
    /// Perhaps that of a component which has just ended.
    Component,
    /// The engine's, which was away.
    Engine,
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self { text, blame: Blame::Files }
    }
}

/// A target, where links lead to, and what was there before.
#[derive(Debug)]
struct Target {
    component: ComponentName,
    /// As the plugin says it.
    path: String,
    /// Where it really is.
    real: String,
    was: Was,
    /// What is to be there; none: nothing.
    file: Option<File>,
}

/// One rollout, see the [module](self).
pub struct Transaction<'a, E, H> {
    shared: &'a Shared<E, H>,
    plugin: &'a PluginName,
    rollout: &'a Rollout,
    names: &'a BTreeSet<ComponentName>,
    /// Those that were unhealthy already: the new version may be what mends them, so it is not blamed for it.
    ailing: BTreeSet<ComponentName>,
    trials: &'a Trials,
    token: &'a CancellationToken,
}

impl<'a, E: Engine, H: Hooks> Transaction<'a, E, H> {
    /// Of a rollout whose components, `names`, the driver has been asked to guard.
    pub fn new(
        shared: &'a Shared<E, H>,
        plugin: &'a PluginName,
        rollout: &'a Rollout,
        names: &'a BTreeSet<ComponentName>,
        trials: &'a Trials,
        token: &'a CancellationToken,
    ) -> Self {
        let ailing = {
            let live = shared.live.borrow();
            names.iter().filter(|name| live.get(*name).is_some_and(|live| live.unhealthy)).cloned().collect()
        };
        Self { shared, plugin, rollout, names, ailing, trials, token }
    }

    /// Carries it out.
    pub async fn carry_out(&self) -> Ended {
        for attempt in 1.. {
            let (down, targets) = match self.prepare().await {
                Ok(prepared) => prepared,
                Err(Early::Again(_)) if attempt < ATTEMPTS => continue,
                Err(Early::Again(why) | Early::Refused(why)) => {
                    return Ended::Refused(format!("{why}; nothing was changed"));
                }
            };
            let good = self.trials.are_good(self.names.iter());
            let trials = self.trials.begin(self.names);
            let mut applied = false;
            let Err(Why { text: why, blame }) = self.commit(&down, &targets, &mut applied).await else {
                return Ended::Applied;
            };
            if self.token.is_cancelled() {
                // The pod is stopping: its containers, and the files in them, are about to go.
                return Ended::Refused(why);
            }
            // A component that ended before it was told to use the new version did not end because of it.
            let innocent = blame == Blame::Engine || (blame == Blame::Component && !applied);
            if !good && !innocent {
                // Going back would bring back what did not work either.
                return Ended::Unproven(format!(
                    "{why}; the new version stays in place for the next start, since no earlier one is known to work"
                ));
            }
            let back = self.roll_back(&targets, applied).await;
            self.trials.restore(trials);
            match back {
                Ok(()) if innocent && attempt < ATTEMPTS => self.pause().await,
                Ok(()) => return Ended::Refused(format!("{why}; rolled back to the last good version")),
                Err(worse) => return Ended::Refused(format!("{why}; and rolling back failed: {worse}")),
            }
        }
        Ended::Refused("it was tried too often".to_owned())
    }

    async fn pause(&self) {
        tokio::select! { () = self.token.cancelled() => {}, () = tokio::time::sleep(PAUSE) => {} }
    }

    /// Everything before the first change: answers which components are down, and the targets as they are.
    async fn prepare(&self) -> Result<(BTreeMap<ComponentName, u32>, Vec<Target>), Early> {
        let down = self.steady().await?;
        let targets = self.locate_all().await?;
        let Err(Why { text, blame }) = self.try_candidates(&down, &targets).await else { return Ok((down, targets)) };
        self.drop_candidates(&targets).await;
        if self.token.is_cancelled() {
            return Err(Early::Refused(text));
        }
        let up = || self.names.iter().filter(|name| !down.contains_key(*name));
        let has_ended = {
            let mut live = self.shared.live.clone();
            let ended =
                live.wait_for(|all| up().any(|name| all.get(name).is_none_or(|live| live.phase != Phase::Running)));
            let patience = if blame == Blame::Files { Duration::ZERO } else { NEWS };
            tokio::select! {
                () = self.token.cancelled() => false,
                ended = tokio::time::timeout(patience, ended) => ended.is_ok(),
            }
        };
        if blame == Blame::Engine && !has_ended {
            self.pause().await;
        }
        Err(if has_ended || blame == Blame::Engine { Early::Again(text) } else { Early::Refused(text) })
    }

    /// Waits until each component either runs, or is down and will stay so until it is told to start. Answers those that are down, with the number of their
    /// restarts.
    async fn steady(&self) -> Result<BTreeMap<ComponentName, u32>, Early> {
        let mut live = self.shared.live.clone();
        let is_steady = |live: &Live| {
            live.gone
                || match live.phase {
                    Phase::Running | Phase::Exited | Phase::BackingOff | Phase::Waiting | Phase::Skipped => {
                        live.guarded
                    }
                    Phase::Launching | Phase::Settling | Phase::Parting | Phase::Stopping | Phase::Asking => false,
                }
        };
        let steady = live.wait_for(|all| self.names.iter().all(|name| all.get(name).is_none_or(is_steady)));
        let all = tokio::select! {
            () = self.token.cancelled() => return Err(Early::Refused("the pod is stopping".to_owned())),
            all = steady => all.map_err(|_| "the pod is over".to_owned())?.clone(),
        };
        let mut down = BTreeMap::new();
        for name in self.names {
            match all.get(name) {
                None => return Err(format!("the pod has no component `{name}`").into()),
                Some(live) if live.gone => {
                    return Err(format!("component `{name}` has ended, and is not started again").into());
                }
                Some(live) if live.phase != Phase::Running => {
                    down.insert(name.clone(), live.restarts);
                }
                Some(_) => {}
            }
        }
        Ok(down)
    }

    fn container(&self, component: &ComponentName) -> Result<(ContainerId, &'a Planned), String> {
        let container =
            self.shared.container(component).ok_or_else(|| format!("component `{component}` has no container"))?;
        let planned =
            self.shared.planned(component).ok_or_else(|| format!("the pod has no component `{component}`"))?;
        Ok((container.id, planned))
    }

    /// Follows links, within what the plugin may have, and reads what is there now.
    async fn locate_all(&self) -> Result<Vec<Target>, String> {
        let written = self.rollout.files.iter().map(|file| (&file.component, &file.path, Some(file)));
        let removed = self.rollout.remove.iter().map(|(component, path)| (component, path, None));
        let mut targets = Vec::new();
        for (component, path, file) in written.chain(removed) {
            let (id, planned) = self.container(component)?;
            let Located { path: real, kind } = locate(&self.shared.engine, &id, path, self.token).await?;
            permitted(self.shared, self.plugin, component, path, &real)?;
            let barred = barred(&planned.container, path).or_else(|| barred(&planned.container, &real));
            if let Some(barred) = barred.filter(|_| file.is_some()) {
                return Err(format!("component `{component}`: {}", barred.told()));
            }
            if kind == Some(PathKind::Directory) {
                return Err(format!("`{path}` in component `{component}` is a directory"));
            }
            let was = match kind {
                None => Was::Absent,
                Some(_) => get(&self.shared.engine, &id, component, &real, LARGEST_FILE, self.token).await?,
            };
            if matches!(was, Was::Link(_))
                && follow(&self.shared.engine, &id, &real, self.token).await?.kind == Some(PathKind::Directory)
            {
                return Err(format!("`{path}` in component `{component}` is a link to a directory"));
            }
            let file = file.map(|file| File { path: real.clone(), ..file.clone() });
            targets.push(Target { component: component.clone(), path: path.clone(), real, was, file });
        }
        Ok(targets)
    }

    async fn put(&self, id: &ContainerId, planned: &Planned, file: &File) -> Result<(), String> {
        put(&self.shared.engine, id, planned, file, self.token).await.map_err(|error| chain(&error))
    }

    async fn try_candidates(&self, down: &BTreeMap<ComponentName, u32>, targets: &[Target]) -> Result<(), Why> {
        for Target { component, file, .. } in targets {
            let Some(file) = file.as_ref().filter(|_| !down.contains_key(component)) else { continue };
            let (id, planned) = self.container(component)?;
            self.running(component)?;
            self.put(&id, planned, &File { path: candidate(&file.path), ..file.clone() }).await?;
        }
        for command in self.rollout.validate.iter().filter(|command| names_candidate(command)) {
            if !down.contains_key(&command.component) {
                self.run(command, targets).await?;
            }
        }
        Ok(self.go_on()?)
    }

    /// A candidate stays behind in a component that has ended: hidden, and overwritten by the next one.
    async fn drop_candidates(&self, targets: &[Target]) {
        for Target { component, real, .. } in targets.iter().filter(|target| target.file.is_some()) {
            let Ok(id) = running(self.shared, component) else { continue };
            if let Err(why) = self.remove_file(&id, &candidate(real)).await {
                debug!(%component, path = candidate(real), why, "a candidate may have stayed behind");
            }
        }
    }

    async fn commit(
        &self,
        down: &BTreeMap<ComponentName, u32>,
        targets: &[Target],
        applied: &mut bool,
    ) -> Result<(), Why> {
        for Target { component, path, real, was, file } in targets {
            let (id, planned) = self.container(component)?;
            match (file, down.contains_key(component)) {
                (Some(file), false) => self.rename(&id, planned, file).await?,
                // Nobody reads it meanwhile.
                (Some(file), true) => self.put(&id, planned, file).await?,
                (None, false) => self.remove_file(&id, real).await?,
                // Nothing can be removed from a container that does not run: it starts with an empty file, which goes once it runs.
                (None, true) if *was != Was::Absent => {
                    let blank = blank(component, real, was);
                    self.put(&id, planned, &blank).await.map_err(|why| format!("cannot remove `{path}`: {why}"))?;
                }
                (None, true) => {}
            }
        }
        for command in self.rollout.validate.iter().filter(|command| !names_candidate(command)) {
            if !down.contains_key(&command.component) {
                self.run(command, targets).await?;
            }
        }
        self.go_on()?;
        // Without anything that makes it use them, a component may use its files from now on.
        *applied = !down.is_empty() || self.rollout.apply.is_empty();
        let fresh = self.start(down).await?;
        for Target { component, path, real, file, .. } in targets {
            if file.is_none() && down.contains_key(component) {
                let id = self.running(component)?;
                self.remove_file(&id, real)
                    .await
                    .map_err(|why| format!("`{path}` is empty, but still there: {why}"))?;
            }
        }
        self.apply(targets, &fresh, applied).await?;
        for command in &self.rollout.verify {
            self.run(command, targets).await?;
        }
        Ok(self.stay_healthy().await?)
    }

    /// The container of a component whose process runs.
    fn running(&self, component: &ComponentName) -> Result<ContainerId, Why> {
        running(self.shared, component).map_err(|text| Why { text, blame: Blame::Component })
    }

    /// Starts what was down. Answers those whose process has begun after their files were put in place: they have them without more.
    async fn start(&self, down: &BTreeMap<ComponentName, u32>) -> Result<BTreeSet<ComponentName>, String> {
        let mut fresh = BTreeSet::new();
        for (name, restarts) in down {
            let moved = self.shared.live.borrow().get(name).is_none_or(|live| live.restarts != *restarts);
            // Somebody else, such as a restart of the whole pod, may have started it while its files were being changed.
            if moved {
                self.until_up(name, *restarts).await?;
                let asked = self.rollout.apply.iter().any(|action| component_of(action) == name);
                if !asked {
                    self.restart(name).await?;
                    fresh.insert(name.clone());
                }
                continue;
            }
            self.restart(name).await?;
            fresh.insert(name.clone());
        }
        Ok(fresh)
    }

    fn go_on(&self) -> Result<(), String> {
        if self.token.is_cancelled() { Err("the pod is stopping".to_owned()) } else { Ok(()) }
    }

    /// Puts a candidate into its place: a rename inside the component, which is atomic. An image without `mv` gets the file written
    /// directly, for an instant of which there is no file.
    async fn rename(&self, id: &ContainerId, planned: &Planned, file: &File) -> Result<(), String> {
        let why = match self.moved(id, &file.path).await {
            Ok(()) => return Ok(()),
            Err(Unmoved::Unseen(why)) => {
                let (name, path) = (&file.component, &file.path);
                return Err(format!(
                    "component `{name}` does not see what is put beside `{path}` ({why}): its process has mounted something there; mount a volume there \
                     instead"
                ));
            }
            Err(Unmoved::Unable(why)) => why,
        };
        warn!(
            "component `{}`: no rename in it ({why}): `{}` is replaced, but not atomically",
            file.component, file.path
        );
        self.put(id, planned, file).await
    }

    /// As root, which owns most directories, then as the component's own user: without capabilities, root can't write to the directories of others.
    async fn moved(&self, id: &ContainerId, path: &str) -> Result<(), Unmoved> {
        let argv = ["mv", "-f", "--", &candidate(path), path].map(str::to_owned);
        let mut why = String::new();
        for user in [Some("0:0".to_owned()), None] {
            let environment = vec!["LC_ALL=C".to_owned()];
            let command = ExecCommand { user, environment, ..ExecCommand::new(argv.clone()) };
            match self.shared.engine.exec(id, &command, STEP, SHOWN).await {
                Ok(done) if done.exit_code == 0 => return Ok(()),
                Ok(done) => {
                    let said = if done.stderr.is_empty() { done.stdout } else { done.stderr };
                    why = String::from_utf8_lossy(&said).trim().to_owned();
                    if NO_PROGRAM.contains(&done.exit_code) {
                        return Err(Unmoved::Unable(why));
                    }
                    if why.contains("No such file or directory") {
                        return Err(Unmoved::Unseen(why));
                    }
                }
                Err(error) => why = chain(&error),
            }
        }
        Err(Unmoved::Unable(why))
    }

    async fn remove_file(&self, id: &ContainerId, path: &str) -> Result<(), String> {
        let argv = ["rm", "-f", "--", path].map(str::to_owned);
        let mut why = String::new();
        for user in [Some("0:0".to_owned()), None] {
            let command = ExecCommand { user, ..ExecCommand::new(argv.clone()) };
            let done = self.shared.engine.exec(id, &command, STEP, SHOWN).await.map_err(|error| chain(&error))?;
            if done.exit_code == 0 {
                return Ok(());
            }
            why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        }
        Err(format!("cannot remove `{path}`: {why}"))
    }

    async fn run(&self, command: &Command, targets: &[Target]) -> Result<(), Why> {
        self.go_on()?;
        let id = self.running(&command.component)?;
        let argv: Vec<String> = command.argv.iter().map(|word| fill_in(word, &command.component, targets)).collect();
        let timeout = Duration::from_millis(command.timeout_ms.into());
        let shown = argv.join(" ");
        let done =
            self.shared.engine.exec(&id, &ExecCommand::new(argv), timeout, SHOWN).await.map_err(|error| Why {
                blame: match &error {
                    // It was told to end in time, and has not.
                    EngineError::Timeout { .. } => Blame::Files,
                    error => blame(error),
                },
                text: unfinished(&shown, &command.component, &error),
            })?;
        if done.exit_code == 0 {
            return Ok(());
        }
        let said = [done.stderr, done.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let said = said.iter().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ");
        let text = format!("`{shown}` in `{}` exited with {}: {said}", command.component, done.exit_code);
        // The end of a component ends what was run in it, too.
        let blame = if done.exit_code > SIGNALLED { Blame::Component } else { Blame::Files };
        Err(Why { text, blame })
    }

    /// Has the components use the files; those that have `fresh` processes do already. `applied` is set once one may have begun to.
    async fn apply(&self, targets: &[Target], fresh: &BTreeSet<ComponentName>, applied: &mut bool) -> Result<(), Why> {
        for action in self.rollout.apply.iter().filter(|action| !fresh.contains(component_of(action))) {
            let done = match action {
                Action::Signal(component, signal) => {
                    let id = self.running(component)?;
                    let sent = self.shared.engine.signal(&id, *signal).await;
                    sent.map_err(|error| Why { text: chain(&error), blame: blame(&error) })
                }
                Action::Run(command) => self.run(command, targets).await,
                Action::Restart(component) => self.restart(component).await.map_err(Why::from),
            };
            *applied |= done.as_ref().err().is_none_or(|why| why.blame == Blame::Files);
            done?;
        }
        Ok(())
    }

    /// Restarts a component, or starts one that is down, and waits until it runs again.
    async fn restart(&self, component: &ComponentName) -> Result<(), String> {
        let before = self.shared.live.borrow().get(component).map_or(0, |live| live.restarts);
        self.shared.tell(Event::Restart(component.clone())).await;
        self.until_up(component, before).await
    }

    /// Waits until a component runs that has been started since.
    async fn until_up(&self, component: &ComponentName, restarts: u32) -> Result<(), String> {
        let limit = STEP + self.shared.planned(component).map_or(Duration::ZERO, |planned| planned.grace);
        let mut live = self.shared.live.clone();
        let settled = |live: &Live| {
            let over = matches!(live.phase, Phase::Exited | Phase::Asking | Phase::BackingOff);
            live.restarts > restarts && (live.phase == Phase::Running || over)
        };
        let back = live.wait_for(|all| all.get(component).is_some_and(settled));
        tokio::select! {
            () = self.token.cancelled() => Err("the pod is stopping".to_owned()),
            back = tokio::time::timeout(limit, back) => match back {
                Ok(Ok(all)) if all.get(component).is_some_and(|live| live.phase == Phase::Running) => Ok(()),
                Ok(Ok(_)) => Err(format!("component `{component}` ended with the new version")),
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
                Err(_) => None,
                Ok(answer) => Some(Arc::clone(&*answer.map_err(|_| "the pod is over".to_owned())?)),
            },
        };
        let Some(all) = all else { return self.still_running().await };
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

    /// Asks the engine: where it was away, the news of an end comes late.
    async fn still_running(&self) -> Result<(), String> {
        for name in self.names {
            let (id, _) = self.container(name)?;
            match persist(self.token, || self.shared.engine.inspect(&id.0)).await {
                Ok(seen) if seen.running => {}
                Ok(_) => {
                    let mut live = self.shared.live.clone();
                    let heard = live.wait_for(|all| all.get(name).is_none_or(|live| live.phase != Phase::Running));
                    if tokio::time::timeout(STEP, heard).await.is_err() {
                        warn!("component `{name}`: the engine says that it has ended, and has sent no event of it");
                    }
                    return Err(format!("component `{name}` ended with the new version"));
                }
                Err(error) => return Err(chain(&error)),
            }
        }
        Ok(())
    }

    async fn roll_back(&self, targets: &[Target], applied: bool) -> Result<(), String> {
        let mut ended = BTreeSet::new();
        let mut new: BTreeMap<&ComponentName, Vec<&str>> = BTreeMap::new();
        for Target { component, real, was, .. } in targets {
            let (id, planned) = self.container(component)?;
            let runs = running(self.shared, component).is_ok();
            if !runs {
                ended.insert(component.clone());
            }
            match was {
                Was::File(file) if runs => {
                    self.put(&id, planned, &File { path: candidate(real), ..file.clone() }).await?;
                    self.rename(&id, planned, file).await?;
                }
                // In a container that does not run nobody reads it meanwhile.
                Was::File(file) => self.put(&id, planned, file).await?,
                Was::Link(to) => {
                    // Nothing of an archive is written through a link at the end of a path: it takes the place of the file.
                    let put = put_link(&self.shared.engine, &id, planned, real, to, self.token).await;
                    put.map_err(|error| chain(&error))?;
                }
                Was::Absent if runs => self.remove_file(&id, real).await?,
                // Nothing can be removed from a container that does not run.
                Was::Absent => new.entry(component).or_default().push(real),
            }
        }
        self.drop_candidates(targets).await;
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
            self.apply(targets, &BTreeSet::new(), &mut true).await.map_err(|why| why.text)?;
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
}

/// Why a candidate was not renamed.
enum Unmoved {
    /// The component sees no candidate.
    Unseen(String),
    /// It has no `mv`, or may not.
    Unable(String),
}

/// An empty file in the place of one that is to be removed.
fn blank(component: &ComponentName, path: &str, was: &Was) -> File {
    let (mode, uid, gid) = match was {
        Was::File(file) => (file.mode, file.uid, file.gid),
        Was::Absent | Was::Link(_) => (0o644, 0, 0),
    };
    File { component: component.clone(), path: path.to_owned(), mode, uid, gid, content: Vec::new() }
}

fn blame(error: &EngineError) -> Blame {
    if error.fault() == Fault::Transient { Blame::Engine } else { Blame::Component }
}

fn component_of(action: &Action) -> &ComponentName {
    match action {
        Action::Signal(component, _) | Action::Restart(component) => component,
        Action::Run(command) => &command.component,
    }
}

/// Puts candidates' paths in place of `{candidate}` and `{candidate:/path}`.
fn fill_in(word: &str, component: &ComponentName, targets: &[Target]) -> String {
    let mut filled = word.to_owned();
    let mut own = targets.iter().filter(|target| target.component == *component && target.file.is_some()).peekable();
    if let Some(first) = own.peek() {
        filled = filled.replace("{candidate}", &candidate(&first.real));
    }
    for target in own {
        filled = filled.replace(&format!("{{candidate:{}}}", target.path), &candidate(&target.real));
    }
    filled
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
