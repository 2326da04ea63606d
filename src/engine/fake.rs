//! A container engine in memory, for tests on tokio's paused clock.
//!
//! [`FakeEngine`] implements [`Engine`](crate::engine::Engine): containers are created, run, print, fall ill, exit and are removed, and all of it is told as
//! events, on tokio's clock. With `#[tokio::test(start_paused = true)]` a pod lives for hours in no time, and in the same order each time. It must be used
//! inside a tokio runtime. Clones are the same engine.
//!
//! What a container does is scripted by name: the component's (its [`COMPONENT`](crate::plan::ownership::COMPONENT) label) or the container's own. Scripts may
//! be given before or after the container exists; they hold from its next start on, signals and commands from now on. A container without a script runs until
//! it is told to stop.
//!
//! | | without a script |
//! | --- | --- |
//! | start | runs at once; `Start` is told |
//! | SIGTERM, SIGINT, SIGQUIT | exits at once with 128 + n |
//! | SIGKILL | always exits at once with 137 |
//! | other signals | recorded, no effect |
//! | health | none; `Starting` for ever where the specification has a health check |
//! | exec | exit code 0, no output; `mv -f a b` and `rm -f a…` work on the container's files |
//! | upload, download | tar archives of the container's files in memory; every directory exists |
//! | images | all are there |
//!
//! [`calls`](FakeEngine::calls) tells what was asked of it. Only what changes something is recorded, when it is asked, whether or not it fails:
//! `pull <image>`, `create <name>`, `connect <name> <network>`, `start <name>`, `signal <name> <number>`, `remove <name>`, `upload <name> <directory>`, `download <name> <path>`,
//! `exec <name> <argv…>`.
//!
//! ```
//! use std::time::Duration;
//! use outrigger::engine::fake::FakeEngine;
//! use outrigger::engine::Fault;
//!
//! let engine = FakeEngine::new()
//!     .exits_after("app", Duration::from_secs(60), 3)
//!     .ignores("app", 15)
//!     .fails("create", "app", Fault::Transient, 1);
//! assert!(engine.calls().is_empty());
//! ```

mod calls;
mod files;
mod streams;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

pub use self::files::Occasion;
use self::world::{Disturbance, Script, World};
use crate::engine::{CheckResult, EngineHealth, EngineInfo, ExecOutput, Fault, Inspection, Output, Reach};
use crate::shutdown::Tasks;

/// A scripted container engine in memory, see the [module](self).
#[derive(Clone)]
pub struct FakeEngine {
    world: Arc<Mutex<World>>,
    /// Counts changes of the world, so that streams can wait for one.
    changes: watch::Sender<u64>,
    reach: Reach,
    tasks: Tasks,
}

impl Default for FakeEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for FakeEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeEngine").field("calls", &self.calls()).field("leftovers", &self.leftovers()).finish()
    }
}

/// Scripts. All can be chained, and all work while the engine is in use.
impl FakeEngine {
    /// An engine without containers, of version 20.10 on cgroup version 1.
    #[must_use]
    pub fn new() -> Self {
        Self { world: Arc::default(), changes: watch::Sender::new(0), reach: Reach::default(), tasks: Tasks::new() }
    }

    /// Each run of `name` ends by itself after so long, with this code.
    #[must_use]
    pub fn exits_after(self, name: &str, after: Duration, code: i32) -> Self {
        self.script(name, |script| script.exit = Some((after, code)))
    }

    /// Each run of `name` has ended before `start` answers: it was there, and is gone before anyone can look.
    #[must_use]
    pub fn exits_at_once(self, name: &str, code: i32) -> Self {
        self.exits_after(name, Duration::ZERO, code)
    }

    /// From its next start on `name` runs until it is told to stop: takes [`exits_after`](Self::exits_after) back.
    #[must_use]
    pub fn runs_on(self, name: &str) -> Self {
        self.script(name, |script| script.exit = None)
    }

    /// `name` ignores this signal; SIGKILL can't be ignored.
    #[must_use]
    pub fn ignores(self, name: &str, signal: i32) -> Self {
        self.script(name, |script| script.signals.extend([(signal, None)]))
    }

    /// `name` ends on this signal with this code, instead of what it would do.
    #[must_use]
    pub fn exits_on(self, name: &str, signal: i32, code: i32) -> Self {
        self.script(name, |script| script.signals.extend([(signal, Some(code))]))
    }

    /// `name` needs so long from the signal that ends it to its exit; SIGKILL is not slowed down.
    #[must_use]
    pub fn stop_takes(self, name: &str, duration: Duration) -> Self {
        self.script(name, |script| script.stop_takes = duration)
    }

    /// The engine's health check of `name` says this, so long after each start.
    #[must_use]
    pub fn health(self, name: &str, course: &[(Duration, EngineHealth)]) -> Self {
        self.script(name, |script| script.health = course.to_vec())
    }

    /// `name` prints these pieces at each start, each as a frame of its own.
    #[must_use]
    pub fn prints(self, name: &str, output: Output, pieces: &[&[u8]]) -> Self {
        self.script(name, |script| {
            script.prints.extend(pieces.iter().map(|piece| (output, Bytes::copy_from_slice(piece))));
        })
    }

    /// What commands in `name` answer. Where the answer to `mv -f` or `rm -f` is 0, the files are moved and removed as well.
    #[must_use]
    pub fn exec_answers(self, name: &str, answer: impl Fn(&[String]) -> ExecOutput + Send + Sync + 'static) -> Self {
        self.script(name, |script| script.exec = Some(Arc::new(answer)))
    }

    /// Which commands in `name` never answer, not even when it ends: as an engine may behave if both end at the same moment.
    #[must_use]
    pub fn hangs(self, name: &str, which: impl Fn(&[String]) -> bool + Send + Sync + 'static) -> Self {
        self.script(name, |script| script.hangs = Some(Arc::new(which)))
    }

    /// Whether the process of `name` ends because of its files, after how long and with which code: asked at each start, and at each signal that does not
    /// end it by itself. Links stand for what they lead to.
    #[must_use]
    pub fn judges(
        self,
        name: &str,
        judge: impl Fn(&BTreeMap<String, Vec<u8>>, Occasion) -> Option<(Duration, i32)> + Send + Sync + 'static,
    ) -> Self {
        self.script(name, |script| script.judge = Some(Arc::new(judge)))
    }

    /// The next `times` calls of this verb on `name` (for `pull`: on the image) fail. Verbs are the methods of
    /// [`Engine`](crate::engine::Engine); `info`, `list` and `events` have no name and take `""`.
    #[must_use]
    pub fn fails(self, verb: &'static str, name: &str, fault: Fault, times: usize) -> Self {
        self.disturb(verb, name, |disturbance| disturbance.failures.push((fault, times)))
    }

    /// The next `times` calls of this verb, `create` or `start`, on `name` have their effect, and the answer is lost: after a minute the caller
    /// sees a [`Timeout`](crate::engine::EngineError::Timeout).
    #[must_use]
    pub fn loses_the_answer(self, verb: &'static str, name: &str, times: usize) -> Self {
        self.disturb(verb, name, |disturbance| disturbance.lost = times)
    }

    /// Each call of this verb on `name` takes so long before it has an effect. A command that takes longer than its timeout is given up on.
    #[must_use]
    pub fn slow(self, verb: &'static str, name: &str, duration: Duration) -> Self {
        self.disturb(verb, name, |disturbance| disturbance.delay = duration)
    }

    /// The image is not there until it is pulled.
    #[must_use]
    pub fn without_image(self, image: &str) -> Self {
        self.world().missing_images.insert(image.to_owned());
        self
    }

    /// What [`info`](crate::engine::Engine::info) tells.
    #[must_use]
    pub fn with_info(self, info: EngineInfo) -> Self {
        self.world().info = info;
        self
    }

    /// A volume with these labels.
    #[must_use]
    pub fn with_volume(self, volume: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.world().volumes.insert(volume.to_owned(), labels);
        self
    }

    /// A manager that knows a service with this grace period; no other engine knows any.
    #[must_use]
    pub fn with_service(self, service: &str, grace: Duration) -> Self {
        self.world().services.insert(service.to_owned(), grace);
        self
    }

    /// Downloads from this container, by id, read the file system of the test's own process: it is the container that the test "runs in".
    #[must_use]
    pub fn running_in(self, id: &str) -> Self {
        self.world().own = Some(id.to_owned());
        self
    }

    fn script(self, name: &str, change: impl FnOnce(&mut Script)) -> Self {
        change(self.world().scripts.entry(name.to_owned()).or_default());
        self
    }

    fn disturb(self, verb: &'static str, name: &str, change: impl FnOnce(&mut Disturbance)) -> Self {
        change(self.world().disturbances.entry((verb, name.to_owned())).or_default());
        self
    }
}

/// What happens now.
impl FakeEngine {
    /// The engine is away for so long: every call fails with [`Unreachable`](crate::engine::EngineError::Unreachable), streams end with it. Containers live
    /// on and may exit meanwhile; events of that time are told only to those who ask `since`.
    pub fn goes_away_for(&self, duration: Duration) {
        {
            let mut world = self.world();
            world.away_until = Some(tokio::time::Instant::now() + duration);
            world.outages += 1;
        }
        self.changed();
    }

    /// The engine shuts down: it refuses new calls for so long, and streams that are open go on. What it does to containers is up to the test.
    pub fn shuts_down_for(&self, duration: Duration) {
        self.world().away_until = Some(tokio::time::Instant::now() + duration);
        self.changed();
    }

    /// The engine no longer tells what has happened so far, as one that was started again. Streams that are open must have ended:
    /// see [`goes_away_for`](Self::goes_away_for).
    pub fn forgets_events(&self) {
        self.world().history.clear();
    }

    /// Every running container of this name dies with this code.
    pub fn kill(&self, name: &str, code: i32) {
        self.world().die_by_name(name, code, false);
        self.changed();
    }

    /// As [`kill`](Self::kill) by the kernel, for want of memory: exit code 137.
    pub fn kill_for_memory(&self, name: &str) {
        self.world().die_by_name(name, 137, true);
        self.changed();
    }

    /// The kernel kills a process of every container of this name for want of memory, and not its first one; a report of an end may come before this one.
    pub fn runs_out_of_memory(&self, name: &str) {
        self.world().run_out_by_name(name);
        self.changed();
    }

    /// Every running container of this name prints a frame.
    pub fn say(&self, name: &str, output: Output, bytes: &[u8]) {
        self.world().say(name, output, bytes);
        self.changed();
    }

    /// The engine's health check of every running container of this name changes its mind.
    pub fn judge(&self, name: &str, health: EngineHealth) {
        self.world().judge_by_name(name, health);
        self.changed();
    }

    /// The processes of every running container of this name are frozen, or go on.
    pub fn pause(&self, name: &str, paused: bool) {
        self.world().pause_by_name(name, paused);
        self.changed();
    }

    /// The last check of the health of every container of this name found this.
    pub fn checked(&self, name: &str, exit_code: i64, output: &str) {
        self.world().checked_by_name(name, &CheckResult { exit_code, output: output.to_owned() });
    }

    /// A container that somebody else made. One with the same id is replaced.
    pub fn put_container(&self, inspection: Inspection) {
        self.world().put(inspection);
        self.changed();
    }

    /// Puts a file into every container of this name.
    pub fn put_file(&self, name: &str, path: &str, content: &[u8]) {
        self.world().put_file(name, path, content);
    }

    /// Puts a symbolic link into every container of this name.
    pub fn put_link(&self, name: &str, path: &str, to: &str) {
        self.world().put_link(name, path, to);
    }
}

/// What happened.
impl FakeEngine {
    /// What was asked, in order, see the [module](self).
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.world().calls.clone()
    }

    /// The calls of one verb.
    #[must_use]
    pub fn calls_of(&self, verb: &str) -> Vec<String> {
        self.calls().into_iter().filter(|call| call.split(' ').next() == Some(verb)).collect()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.world().calls.clear();
    }

    /// Names of the containers that still exist and that a controller made: created here, or with an ownership label. Sorted.
    #[must_use]
    pub fn leftovers(&self) -> Vec<String> {
        self.world().leftovers()
    }

    /// The newest container of this name, as [`inspect`](crate::engine::Engine::inspect) would tell.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Inspection> {
        self.world().newest(name).map(|container| container.seen.clone())
    }

    /// What the newest container of this name was created from.
    #[must_use]
    pub fn created(&self, name: &str) -> Option<crate::engine::ContainerSpec> {
        self.world().newest(name).and_then(|container| container.spec.clone())
    }

    /// Files of the newest container of this name: path and content.
    #[must_use]
    pub fn files(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let files = |container: &world::Container| {
            container.files.iter().map(|(path, file)| (path.clone(), file.content.clone())).collect()
        };
        self.world().newest(name).map(files).unwrap_or_default()
    }

    /// Where a symbolic link of the newest container of this name leads to; none if it is none.
    #[must_use]
    pub fn link(&self, name: &str, path: &str) -> Option<String> {
        self.world().newest(name)?.files.get(path)?.link.clone()
    }

    /// Files of the newest container of this name as its process sees them: what a link leads to stands at the link's own path.
    #[must_use]
    pub fn seen_files(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        self.world().newest(name).map(|container| files::seen(&container.files)).unwrap_or_default()
    }

    /// Permission bits, owner and group of a file of the newest container of this name.
    #[must_use]
    pub fn file_mode(&self, name: &str, path: &str) -> Option<(u32, u32, u32)> {
        let world = self.world();
        let file = world.newest(name)?.files.get(path)?;
        Some((file.mode, file.uid, file.gid))
    }
}

impl FakeEngine {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests;
