//! The files of a rollout inside its components: where they are, their candidates, and the renames.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tracing::{debug, warn};

use super::{Blame, LARGEST_FILE, NO_PROGRAM, SHOWN, SIGNALLED, STEP, Target, Transaction, Why, blame};
use crate::engine::{ContainerId, Engine, EngineError, Fault, PathKind, chain};
use crate::hooks::{Command, File, Hooks, NEW_FILE};
use crate::plan::Planned;
use crate::plan::compile::targets::{barred, mount_at};
use crate::pod::ComponentName;
use crate::pod::life::ExecCommand;
use crate::supervisor::copy::{Was, get, put};
use crate::supervisor::inside::{self, Undone};
use crate::supervisor::place::{Located, follow, locate};
use crate::supervisor::requests::{permitted, running};
use crate::supervisor::rollout::pauses::is_paused;
use crate::supervisor::shared::persist;

/// How often a component may not see a candidate that the engine sees, before it is taken for unable to: its process may exchange directories.
const LOOKS: u32 = 3;

/// Pause between two of these.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl<'a, E: Engine, H: Hooks> Transaction<'a, E, H> {
    /// Follows links, within what the plugin may have, and reads what is there now.
    pub(super) async fn locate_all(&self) -> Result<Vec<Target>, String> {
        let written = self.rollout.files.iter().map(|file| (&file.component, &file.path, Some(file)));
        let removed = self.rollout.remove.iter().map(|(component, path)| (component, path, None));
        let (mut targets, mut known) = (Vec::new(), BTreeMap::new());
        for (component, path, file) in written.chain(removed) {
            let (id, planned) = self.container(component)?;
            let Located { path: real, kind } = locate(&self.shared.engine, &id, path, self.token).await?;
            permitted(self.shared, self.plugin, component, path, &real)?;
            let barred = barred(&planned.container, path).or_else(|| barred(&planned.container, &real));
            // Of what is a mount itself, nothing can be taken away either.
            let mount = mount_at(&planned.container, &real).filter(|_| kind != Some(PathKind::Directory));
            if let Some(barred) = mount.or(barred.filter(|_| file.is_some())) {
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
            let file = file.map(|file| File { path: real.clone(), ..file.clone().over(rights(&was)) });
            let made =
                if was == Was::Absent { self.missing(component, &id, &real, &mut known).await? } else { Vec::new() };
            targets.push(Target { component: component.clone(), path: path.clone(), real, was, file, made });
        }
        Ok(targets)
    }

    /// The directories above a file that do not exist yet, the deepest first.
    async fn missing(
        &self,
        component: &'a ComponentName,
        id: &ContainerId,
        real: &str,
        known: &mut BTreeMap<(&'a ComponentName, String), bool>,
    ) -> Result<Vec<String>, String> {
        let (mut missing, mut at) = (Vec::new(), real);
        while let Some((parent, _)) = at.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            let key = (component, parent.to_owned());
            let exists = match known.get(&key) {
                Some(exists) => *exists,
                None => {
                    let seen = persist(self.token, || self.shared.engine.stat(id, parent)).await;
                    seen.map_err(|error| chain(&error))?.is_some()
                }
            };
            known.insert(key, exists);
            if exists {
                break;
            }
            missing.push(parent.to_owned());
            at = parent;
        }
        Ok(missing)
    }

    /// Removes the directories that the rollout has made, if nothing is in them. Only in components that run: nothing can be removed from others.
    pub(super) async fn drop_directories(&self, targets: &[Target]) {
        let made = targets.iter().flat_map(|it| it.made.iter().map(move |directory| (&it.component, directory)));
        // What lies below a directory comes after it.
        for (component, directory) in made.collect::<BTreeSet<_>>().into_iter().rev() {
            let Ok(id) = running(self.shared, component) else { continue };
            let argv = ["rmdir", "--", directory].map(str::to_owned);
            let command = ExecCommand { user: Some("0:0".to_owned()), ..ExecCommand::new(argv) };
            if let Err(undone) = inside::exec(self.shared, component, &id, &command, STEP, SHOWN).await {
                debug!(%component, directory, ?undone, "a directory may remain in the component");
            }
        }
    }

    pub(super) async fn put(&self, id: &ContainerId, planned: &Planned, file: &File) -> Result<(), String> {
        put(&self.shared.engine, id, planned, file, self.token).await.map_err(|error| chain(&error))
    }

    pub(super) async fn try_candidates(
        &self,
        down: &BTreeMap<ComponentName, u32>,
        targets: &[Target],
    ) -> Result<(), Why> {
        for Target { component, file, .. } in targets {
            let Some(file) = file.as_ref().filter(|_| !down.contains_key(component)) else { continue };
            let (id, planned) = self.container(component)?;
            self.running(component)?;
            self.put(&id, planned, &File { path: candidate(&file.path), ..file.clone() }).await?;
        }
        for command in self.rollout.validate.iter().filter(|command| names_candidate(command)) {
            if !down.contains_key(&command.component) {
                self.try_run(command, targets).await?;
            }
        }
        Ok(self.go_on()?)
    }

    /// A candidate stays behind in a component that has ended: hidden, and overwritten by the next one.
    pub(super) async fn drop_candidates(&self, targets: &[Target]) {
        for Target { component, real, .. } in targets.iter().filter(|target| target.file.is_some()) {
            if let Ok(id) = running(self.shared, component) {
                self.drop_candidate(component, &id, real).await;
            }
        }
    }

    async fn drop_candidate(&self, component: &ComponentName, id: &ContainerId, path: &str) {
        let path = candidate(path);
        if let Err(why) = self.remove_file(component, id, &path).await {
            debug!(%component, path, why = why.text, "a candidate file may remain in the component");
        }
    }

    /// Puts a candidate into its place: a rename inside the component, which is atomic. An image without `mv` gets the file written
    /// directly, for an instant of which there is no file.
    pub(super) async fn rename(&self, id: &ContainerId, planned: &Planned, file: &File) -> Result<(), Why> {
        let (name, path) = (&file.component, &file.path);
        let mut unseen = String::new();
        for _ in 0..LOOKS {
            match self.moved(name, id, path).await {
                Ok(()) => return Ok(()),
                Err(Unmoved::Undone(why)) => return Err(why),
                Err(Unmoved::Unable(why)) => {
                    warn!(
                        "component `{name}`: cannot rename files in the component ({why}), so the replacement of `{path}` is not atomic"
                    );
                    self.put(id, planned, file).await?;
                    self.drop_candidate(name, id, path).await;
                    return Ok(());
                }
                Err(Unmoved::Unseen(why)) => {
                    // What the engine does not see there either was put into a directory that is elsewhere by now.
                    let wanted = Located { path: candidate(path), kind: Some(PathKind::File) };
                    if locate(&self.shared.engine, id, &wanted.path, self.token).await? != wanted {
                        let text =
                            format!("component `{name}` replaced the directory of `{path}` during the rollout ({why})");
                        return Err(Why { text, blame: Blame::Directory });
                    }
                    unseen = why;
                    tokio::select! { () = self.token.cancelled() => self.go_on()?, () = tokio::time::sleep(LOOK_AGAIN) => {} }
                }
            }
        }
        Err(Why::from(format!(
            "component `{name}` does not see files that the controller writes beside `{path}` ({unseen}): its process has mounted a file system there, or replaces the \
             directory again and again; mount a volume there instead"
        )))
    }

    /// As root, which owns most directories, then as the component's own user: without capabilities, root can't write to the directories of others.
    async fn moved(&self, component: &ComponentName, id: &ContainerId, path: &str) -> Result<(), Unmoved> {
        let argv = ["mv", "-f", "--", &candidate(path), path].map(str::to_owned);
        let mut why = String::new();
        for user in [Some("0:0".to_owned()), None] {
            let environment = vec!["LC_ALL=C".to_owned()];
            let command = ExecCommand { user, environment, ..ExecCommand::new(argv.clone()) };
            let done = loop {
                self.thaw().await;
                self.go_on().map_err(|why| Unmoved::Undone(why.into()))?;
                let done = inside::exec(self.shared, component, id, &command, STEP, SHOWN).await;
                if !matches!(done, Err(Undone::Engine(_))) || !is_paused(self.shared, component).await {
                    break done;
                }
            };
            match done {
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
                    // The end of a component ends what was run in it, too.
                    if done.exit_code > SIGNALLED {
                        let text = format!("`{}` in `{component}` exited with {}", argv.join(" "), done.exit_code);
                        return Err(Unmoved::Undone(Why { text, blame: Blame::Component }));
                    }
                }
                // An engine that runs no command there can still put a file there.
                Err(Undone::Engine(error)) if self.is_up(id, &error).await => why = chain(&error),
                Err(undone) => return Err(Unmoved::Undone(self.undone(&undone, &argv, component))),
            }
        }
        Err(Unmoved::Unable(why))
    }

    pub(super) async fn remove_file(&self, component: &ComponentName, id: &ContainerId, path: &str) -> Result<(), Why> {
        let argv = ["rm", "-f", "--", path].map(str::to_owned);
        let mut why = String::new();
        for user in [Some("0:0".to_owned()), None] {
            let command = ExecCommand { user, ..ExecCommand::new(argv.clone()) };
            let done = inside::exec(self.shared, component, id, &command, STEP, SHOWN).await;
            let done = done.map_err(|undone| self.undone(&undone, &argv, component))?;
            if done.exit_code == 0 {
                return Ok(());
            }
            why = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        }
        Err(format!("cannot remove `{path}`: {why}").into())
    }

    /// Whether a component runs although a command in it failed so.
    async fn is_up(&self, id: &ContainerId, error: &EngineError) -> bool {
        matches!(error, EngineError::Timeout { .. })
            || (error.fault() != Fault::Transient
                && self.shared.engine.inspect(&id.0).await.is_ok_and(|seen| seen.running))
    }

    /// Why one of our own commands has no answer.
    fn undone(&self, undone: &Undone, argv: &[String], component: &ComponentName) -> Why {
        let blame = match undone {
            Undone::Ended => Blame::Component,
            Undone::Engine(error) => blame(error),
        };
        Why { text: undone.told(&argv.join(" "), component), blame }
    }
}

/// Why a candidate was not renamed.
enum Unmoved {
    /// The component sees no candidate.
    Unseen(String),
    /// It has no `mv`, or may not.
    Unable(String),
    /// The component has ended, or the engine is away.
    Undone(Why),
}

/// An empty file in the place of one that is to be removed.
pub(super) fn blank(component: &ComponentName, path: &str, was: &Was) -> File {
    let (mode, uid, gid) = rights(was);
    File { component: component.clone(), path: path.to_owned(), mode, uid, gid, content: Bytes::new() }
}

/// Mode, owner and group of what is there, or of a new file.
fn rights(was: &Was) -> (u32, u32, u32) {
    match was {
        Was::File(file) => (file.mode, file.uid, file.gid),
        Was::Absent | Was::Link(_) => NEW_FILE,
    }
}

/// Puts candidates' paths in place of `{candidate}` and `{candidate:/path}`.
pub(super) fn fill_in(word: &str, component: &ComponentName, targets: &[Target]) -> String {
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
pub(super) fn candidate(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((directory, name)) => format!("{directory}/.{name}.candidate"),
        None => format!(".{path}.candidate"),
    }
}

pub(super) fn names_candidate(command: &Command) -> bool {
    command.argv.iter().any(|word| word.contains("{candidate"))
}
