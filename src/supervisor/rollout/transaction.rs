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

mod back;
mod files;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use files::{blank, fill_in, names_candidate};

use super::board::Board;
use super::pauses::{Newer, is_paused, until_unpaused};
use super::trials::Trials;
use super::waiting::Report;
use crate::engine::{ContainerId, Engine, EngineError, Fault, chain};
use crate::hooks::{Action, Command, File, Hooks, Rollout, limits};
use crate::plan::Planned;
use crate::plan::units;
use crate::pod::life::ExecCommand;
use crate::pod::{ComponentName, PluginName};
use crate::supervisor::copy::Was;
use crate::supervisor::events::{Event, Phase};
use crate::supervisor::inside::{self, Undone};
use crate::supervisor::requests::running;
use crate::supervisor::shared::Shared;

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

/// How long the news that a component has ended may come after a command that ended because of it: after an outage the stream of events is opened again
/// some seconds later than commands work again.
const NEWS: Duration = Duration::from_secs(7);

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
    /// It was given up for this report of a newer version, before anything was changed.
    Superseded(Report),
}

/// Why a step failed before anything was changed.
enum Early {
    /// For good.
    Refused(String),
    /// A component has ended meanwhile, or the engine was away: begin again.
    Again(String),
    /// A newer version is known.
    Superseded(Report),
    /// A component is paused.
    Paused,
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
    /// The component's, which has exchanged the directory of a file before anything was changed in it.
    Directory,
    /// The engine's, which was away.
    Engine,
    /// That of whoever has paused the component.
    Pause,
}

impl From<String> for Why {
    fn from(text: String) -> Self {
        Self { text, blame: Blame::Files }
    }
}

impl Why {
    /// With more words in front of the text.
    fn after(self, words: &str) -> Self {
        Self { text: format!("{words}{}", self.text), ..self }
    }
}

/// How far the changes of a rollout have come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// So many of the targets may have been changed.
    touched: usize,
    /// All files are in place.
    placed: bool,
    /// A component may use them.
    applied: bool,
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
    /// The directories above it that do not exist yet.
    made: Vec<String>,
}

/// One rollout, see the [module](self).
pub struct Transaction<'a, E, H> {
    shared: &'a Shared<E, H>,
    board: &'a Board,
    plugin: &'a PluginName,
    rollout: &'a Rollout,
    names: &'a BTreeSet<ComponentName>,
    /// Those that were unhealthy already: the new version may be what mends them, so it is not blamed for it.
    ailing: BTreeSet<ComponentName>,
    trials: &'a Trials,
    newer: &'a Newer<'a>,
    token: &'a CancellationToken,
}

impl<'a, E: Engine, H: Hooks> Transaction<'a, E, H> {
    /// Of a rollout whose components, `names`, the driver has been asked to guard.
    #[expect(clippy::too_many_arguments, reason = "each is a part of its own")]
    pub fn new(
        shared: &'a Shared<E, H>,
        board: &'a Board,
        plugin: &'a PluginName,
        rollout: &'a Rollout,
        names: &'a BTreeSet<ComponentName>,
        trials: &'a Trials,
        newer: &'a Newer<'a>,
        token: &'a CancellationToken,
    ) -> Self {
        let ailing = {
            let live = shared.live.borrow();
            names.iter().filter(|name| live.get(*name).is_some_and(|live| live.unhealthy)).cloned().collect()
        };
        Self { shared, board, plugin, rollout, names, ailing, trials, newer, token }
    }

    /// Carries it out. None: somebody has paused a component before anything was changed; begin again after that.
    pub async fn carry_out(&self) -> Option<Ended> {
        for attempt in 1.. {
            let (down, targets) = match self.prepare().await {
                Ok(prepared) => prepared,
                Err(Early::Again(_)) if attempt < ATTEMPTS => continue,
                Err(Early::Superseded(newer)) => return Some(Ended::Superseded(newer)),
                Err(Early::Paused) => return None,
                Err(Early::Again(why) | Early::Refused(why)) => {
                    return Some(Ended::Refused(format!("{why}; nothing was changed")));
                }
            };
            let good = self.trials.are_good(self.names.iter());
            let trials = self.trials.begin(self.names);
            let mut progress = Progress::default();
            let Err(Why { text: why, blame }) = self.commit(&down, &targets, &mut progress).await else {
                return Some(Ended::Applied);
            };
            let Progress { touched, placed, applied } = progress;
            if self.token.is_cancelled() {
                // The pod is stopping: its containers, and the files in them, are about to go.
                return Some(Ended::Refused(why));
            }
            // A component that ended before it was told to use the new version did not end because of it.
            let innocent = match blame {
                Blame::Engine | Blame::Pause => true,
                Blame::Component | Blame::Directory => !applied,
                Blame::Files => false,
            };
            if !good && !innocent && placed {
                // Going back would bring back what did not work either.
                return Some(Ended::Unproven(format!(
                    "{why}; the new version stays in place for the next start, because no earlier version is known to work"
                )));
            }
            self.thaw().await;
            let back = self.roll_back(&targets, touched, applied).await;
            self.trials.restore(trials);
            let became = match back {
                Ok(_) if innocent && attempt < ATTEMPTS => {
                    self.pause().await;
                    continue;
                }
                Ok(true) => "rolled back to the last good version".to_owned(),
                Ok(false) => "nothing was changed".to_owned(),
                Err(worse) => format!("the rollback failed: {worse}"),
            };
            return Some(Ended::Refused(format!("{why}; {became}")));
        }
        Some(Ended::Refused("the rollback failed too often".to_owned()))
    }

    async fn pause(&self) {
        tokio::select! { () = self.token.cancelled() => {}, () = tokio::time::sleep(PAUSE) => {} }
    }

    /// Everything before the first change: answers which components are down, and the targets as they are.
    async fn prepare(&self) -> Result<(BTreeMap<ComponentName, u32>, Vec<Target>), Early> {
        let down = self.steady().await?;
        self.is_newest()?;
        let targets = self.locate_all().await?;
        let Err(Why { text, blame }) = self.try_candidates(&down, &targets).await else {
            // Commands may have taken their time.
            if let Err(superseded) = self.is_newest() {
                self.drop_candidates(&targets).await;
                self.drop_directories(&targets).await;
                return Err(superseded);
            }
            return Ok((down, targets));
        };
        self.drop_candidates(&targets).await;
        self.drop_directories(&targets).await;
        if self.token.is_cancelled() {
            return Err(Early::Refused(text));
        }
        if blame == Blame::Pause {
            return Err(Early::Paused);
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

    fn is_newest(&self) -> Result<(), Early> {
        (self.newer)().map_or(Ok(()), |newer| Err(Early::Superseded(newer)))
    }

    fn container(&self, component: &ComponentName) -> Result<(ContainerId, &'a Planned), String> {
        let container =
            self.shared.container(component).ok_or_else(|| format!("component `{component}` has no container"))?;
        let planned =
            self.shared.planned(component).ok_or_else(|| format!("the pod has no component `{component}`"))?;
        Ok((container.id, planned))
    }

    async fn commit(
        &self,
        down: &BTreeMap<ComponentName, u32>,
        targets: &[Target],
        progress: &mut Progress,
    ) -> Result<(), Why> {
        for (number, Target { component, path, real, was, file, .. }) in targets.iter().enumerate() {
            self.thaw().await;
            let (id, planned) = self.container(component)?;
            progress.touched = number + 1;
            match (file, down.contains_key(component)) {
                (Some(file), false) => {
                    let done = self.rename(&id, planned, file).await;
                    if done.as_ref().is_err_and(|why| why.blame == Blame::Directory) {
                        progress.touched = number;
                    }
                    done?;
                }
                // Nobody reads it meanwhile.
                (Some(file), true) => self.put(&id, planned, file).await?,
                (None, false) => self.remove_file(component, &id, real).await?,
                // Nothing can be removed from a container that does not run: it starts with an empty file, which goes once it runs.
                (None, true) if *was != Was::Absent => {
                    let blank = blank(component, real, was);
                    self.put(&id, planned, &blank).await.map_err(|why| format!("cannot remove `{path}`: {why}"))?;
                }
                (None, true) => {}
            }
        }
        progress.placed = true;
        for command in self.rollout.validate.iter().filter(|command| !names_candidate(command)) {
            if !down.contains_key(&command.component) {
                self.run(command, targets).await?;
            }
        }
        self.thaw().await;
        self.go_on()?;
        // Without anything that makes it use them, a component may use its files from now on.
        progress.applied = !down.is_empty() || self.rollout.apply.is_empty();
        let fresh = self.start(down).await?;
        for Target { component, path, real, file, .. } in targets {
            if file.is_none() && down.contains_key(component) {
                let id = self.running(component)?;
                let gone = self.remove_file(component, &id, real).await;
                gone.map_err(|why| why.after(&format!("`{path}` is empty, but could not be removed: ")))?;
            }
        }
        self.apply(targets, &fresh, &mut progress.applied).await?;
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

    /// Waits until no component is paused, once something may have been changed: then no newer version takes the place of this one.
    async fn thaw(&self) {
        until_unpaused(self.shared, self.board, self.plugin, self.names, &|| None, self.token).await;
    }

    /// Runs a command, again if a pause has come in its way.
    async fn run(&self, command: &Command, targets: &[Target]) -> Result<(), Why> {
        loop {
            self.thaw().await;
            match self.try_run(command, targets).await {
                Err(Why { blame: Blame::Pause, .. }) => {}
                done => return done,
            }
        }
    }

    /// Runs a command once.
    async fn try_run(&self, command: &Command, targets: &[Target]) -> Result<(), Why> {
        self.go_on()?;
        let id = self.running(&command.component)?;
        let argv: Vec<String> = command.argv.iter().map(|word| fill_in(word, &command.component, targets)).collect();
        let timeout = Duration::from_millis(command.timeout_ms.into());
        let shown = units::command(&argv);
        let done = inside::exec(self.shared, &command.component, &id, &ExecCommand::new(argv), timeout, SHOWN).await;
        // Nothing can be run in a component that is paused, and what runs in it stands still.
        if let Err(Undone::Engine(error)) = &done
            && is_paused(self.shared, &command.component).await
        {
            return Err(Why { text: chain(error), blame: Blame::Pause });
        }
        let done = done.map_err(|undone| Why {
            blame: match &undone {
                // It was told to end in time, and has not.
                Undone::Engine(EngineError::Timeout { .. }) => Blame::Files,
                Undone::Engine(error) => blame(error),
                Undone::Ended => Blame::Component,
            },
            text: undone.told(&shown, &command.component),
        })?;
        if done.exit_code == 0 {
            return Ok(());
        }
        let said = [done.stderr, done.stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        let said = said.iter().filter(|text| !text.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ");
        let said = if said.is_empty() { " without any output".to_owned() } else { format!(": {said}") };
        let text = format!("`{shown}` in component `{}` exited with code {}{said}", command.component, done.exit_code);
        // The end of a component ends what was run in it, too.
        let blame = if done.exit_code > SIGNALLED { Blame::Component } else { Blame::Files };
        Err(Why { text, blame })
    }

    /// Has the components use the files; those that have `fresh` processes do already. `applied` is set once one may have begun to.
    async fn apply(&self, targets: &[Target], fresh: &BTreeSet<ComponentName>, applied: &mut bool) -> Result<(), Why> {
        for action in self.rollout.apply.iter().filter(|action| !fresh.contains(component_of(action))) {
            // A signal or a restart would end the pause.
            self.thaw().await;
            self.go_on()?;
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

#[cfg(test)]
mod tests {
    use super::files::candidate;
    use super::*;

    /// Whoever may read the file that is taken away may read the empty one, and nobody else.
    #[test]
    fn an_empty_file_has_the_rights_of_the_one_before() {
        let component = ComponentName::new("web").unwrap();
        let before = File {
            component: component.clone(),
            path: "/etc/key".to_owned(),
            mode: 0o640,
            uid: 7,
            gid: 8,
            content: b"secret"[..].into(),
        };
        let empty = File { path: "/etc/real".to_owned(), content: bytes::Bytes::new(), ..before.clone() };
        assert_eq!(blank(&component, "/etc/real", &Was::File(before)), empty);
        let of_a_link = blank(&component, "/etc/real", &Was::Link("elsewhere".into()));
        assert_eq!((of_a_link.mode, of_a_link.uid, of_a_link.gid, of_a_link.content.len()), (0o644, 0, 0, 0));
    }

    #[test]
    fn a_candidate_lies_hidden_beside_its_target() {
        assert_eq!(candidate("/etc/nginx/nginx.conf"), "/etc/nginx/.nginx.conf.candidate");
        assert_eq!(candidate("/a"), "/.a.candidate");
    }
}
