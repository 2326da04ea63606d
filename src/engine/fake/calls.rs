//! The [fake engine](super) as an [`Engine`]: each call is recorded, disturbed as scripted, and carried out on the world.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::FakeEngine;
use super::files::{File, Occasion, below, located, move_files, pack, seen, unpack};
use super::streams::{Step, follow};
use super::world::{Container, World, has_labels, rfc3339};
use crate::engine::{
    ContainerId, ContainerSpec, Engine, EngineError, EngineEvent, EngineEventKind, EngineInfo, ExecOutput, Fault,
    Inspection, Listed, LogFrame, LogsFrom, Output, PathKind, Reach, Result, VolumeInfo,
};
use crate::pod::life::ExecCommand;

/// The signals that end a process which does not handle them, of those that are sent to ask for an end.
const ENDING: [i32; 3] = [2, 3, 15];
const SIGKILL: i32 = 9;

/// How long the caller waits for an answer that is lost.
const LOST_AFTER: Duration = Duration::from_secs(60);

fn refused(verb: &'static str, object: &str, fault: Fault, message: &str) -> EngineError {
    EngineError::Refused { verb, object: format!("`{object}`"), message: message.to_owned(), fault }
}

pub(super) fn unreachable(verb: &'static str, object: &str) -> EngineError {
    let cause = Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
    EngineError::Unreachable { verb, object: format!("`{object}`"), cause }
}

impl FakeEngine {
    /// What every call goes through: delays, outages and scripted failures.
    pub(super) async fn pass(&self, verb: &'static str, name: &str) -> Result<()> {
        let passed = self.pass_noting_nothing(verb, name).await;
        self.reach.note(&passed);
        passed
    }

    async fn pass_noting_nothing(&self, verb: &'static str, name: &str) -> Result<()> {
        let key = (verb, name.to_owned());
        let delay = self.world().disturbances.get(&key).map(|disturbance| disturbance.delay).unwrap_or_default();
        if self.world().away() {
            return Err(unreachable(verb, name));
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut world = self.world();
        if world.away() {
            return Err(unreachable(verb, name));
        }
        let Some(disturbance) = world.disturbances.get_mut(&key) else { return Ok(()) };
        let Some((fault, left)) = disturbance.failures.iter_mut().find(|(_, left)| *left > 0) else { return Ok(()) };
        *left -= 1;
        Err(refused(verb, name, *fault, "as scripted"))
    }

    /// What becomes of the answer to a call that has had its effect.
    async fn answer(&self, verb: &'static str, name: &str) -> Result<()> {
        let is_lost = match self.world().disturbances.get_mut(&(verb, name.to_owned())) {
            Some(disturbance) if disturbance.lost > 0 => {
                disturbance.lost -= 1;
                true
            }
            _ => false,
        };
        if !is_lost {
            return Ok(());
        }
        tokio::time::sleep(LOST_AFTER).await;
        Err(EngineError::Timeout { verb, object: format!("`{name}`"), after: LOST_AFTER })
    }

    fn record(&self, call: String) {
        self.world().calls.push(call);
    }

    /// Records a call on a container, lets it pass, and answers the container's name for messages.
    async fn on(&self, verb: &'static str, id: &ContainerId, rest: &str) -> Result<String> {
        let name = self.world().label_of(id);
        self.record(format!("{verb} {name}{rest}"));
        self.pass(verb, &name).await?;
        Ok(name)
    }

    /// Looks at or changes one container.
    fn with<T>(
        &self,
        verb: &'static str,
        id: &ContainerId,
        work: impl FnOnce(&mut Container) -> Result<T>,
    ) -> Result<T> {
        let mut world = self.world();
        let container =
            world.by_id(id).ok_or_else(|| refused(verb, id.short(), Fault::NotFound, "no such container"))?;
        work(container)
    }

    /// Ends a run, now or later.
    fn dies_after(&self, id: &ContainerId, run: u64, after: Duration, code: i32) {
        if after.is_zero() {
            self.world().die(id, run, code, false);
            self.changed();
            return;
        }
        let (engine, id) = (self.clone(), id.clone());
        self.tasks.spawn("exit", move |_token| async move {
            tokio::time::sleep(after).await;
            engine.world().die(&id, run, code, false);
            engine.changed();
        });
    }
}

impl Engine for FakeEngine {
    fn reach(&self) -> &Reach {
        &self.reach
    }

    async fn info(&self) -> Result<EngineInfo> {
        self.pass("info", "").await?;
        Ok(self.world().info.clone())
    }

    async fn inspect(&self, container: &str) -> Result<Inspection> {
        let name = self.world().lookup(container).map(|found| found.label().to_owned());
        self.pass("inspect", name.as_deref().unwrap_or(container)).await?;
        let found = self.world().lookup(container).map(|found| found.seen.clone());
        found.ok_or_else(|| refused("inspect", container, Fault::NotFound, "no such container"))
    }

    async fn list(&self, labels: &[String]) -> Result<Vec<Listed>> {
        self.pass("list", "").await?;
        let world = self.world();
        let fits = |container: &&Container| has_labels(&container.seen.labels, labels);
        let listed = |container: &Container| Listed {
            id: container.seen.id.clone(),
            name: container.seen.name.clone(),
            image: container.seen.image.clone(),
            labels: container.seen.labels.clone(),
            running: container.seen.running,
            paused: container.seen.paused,
        };
        Ok(world.containers.iter().filter(fits).map(listed).collect())
    }

    async fn volume(&self, volume: &str) -> Result<VolumeInfo> {
        self.pass("volume", volume).await?;
        let labels = self.world().volumes.get(volume).cloned();
        let made = |labels| VolumeInfo { driver: "local".to_owned(), labels, ..VolumeInfo::default() };
        labels.map(made).ok_or_else(|| refused("volume", volume, Fault::NotFound, "no such volume"))
    }

    async fn service_grace(&self, service: &str) -> Result<Option<Duration>> {
        self.pass("service_grace", service).await?;
        let not_a_manager = || refused("inspect", service, Fault::Permanent, "this node is not a swarm manager");
        self.world().services.get(service).copied().map(Some).ok_or_else(not_a_manager)
    }

    async fn has_image(&self, image: &str) -> Result<bool> {
        self.pass("has_image", image).await?;
        Ok(!self.world().missing_images.contains(image))
    }

    async fn pull(&self, image: &str) -> Result<()> {
        self.record(format!("pull {image}"));
        self.pass("pull", image).await?;
        self.world().missing_images.remove(image);
        Ok(())
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<(ContainerId, Vec<String>)> {
        let name = spec.labels.get(crate::plan::ownership::COMPONENT).unwrap_or(&spec.name);
        self.record(format!("create {name}"));
        self.pass("create", name).await?;
        let id = {
            let mut world = self.world();
            if world.missing_images.contains(&spec.image) {
                return Err(refused("create", name, Fault::NotFound, "no such image"));
            }
            if world.containers.iter().any(|container| container.seen.name == spec.name) {
                return Err(refused("create", name, Fault::Permanent, "the name is in use"));
            }
            world.make(spec)
        };
        self.answer("create", name).await?;
        Ok((id, Vec::new()))
    }

    async fn start(&self, id: &ContainerId) -> Result<()> {
        let name = self.on("start", id, "").await?;
        if self.with("start", id, |container| Ok(container.seen.running))? {
            return Ok(());
        }
        let (run, script) = {
            let mut world = self.world();
            (world.start(id), world.script_of(id))
        };
        self.changed();
        for (after, health) in script.health {
            let (engine, id) = (self.clone(), id.clone());
            self.tasks.spawn("health", move |_token| async move {
                tokio::time::sleep(after).await;
                engine.world().judge(&id, run, health);
                engine.changed();
            });
        }
        let judged = script.judge.as_ref().and_then(|judge| {
            let files = self.world().by_id(id).map(|container| seen(&container.files)).unwrap_or_default();
            judge(&files, Occasion::Start)
        });
        if let Some((after, code)) = judged.or(script.exit) {
            self.dies_after(id, run, after, code);
        }
        self.answer("start", &name).await
    }

    async fn signal(&self, id: &ContainerId, signal: i32) -> Result<()> {
        let name = self.on("signal", id, &format!(" {signal}")).await?;
        // As Docker does, a signal ends a pause.
        let (run, was_paused) = self.with("signal", id, |container| {
            if container.seen.running {
                return Ok((container.run, std::mem::take(&mut container.seen.paused)));
            }
            Err(refused("signal", &name, Fault::AlreadyDone, "it is not running"))
        })?;
        if was_paused {
            self.world().tell(id, EngineEventKind::Paused(false));
            self.changed();
        }
        let script = self.world().script_of(id);
        let judged =
            script.judge.as_ref().filter(|_| !ENDING.contains(&signal) && signal != SIGKILL).and_then(|judge| {
                let files = self.world().by_id(id).map(|container| seen(&container.files)).unwrap_or_default();
                judge(&files, Occasion::Signal(signal))
            });
        if let Some((after, code)) = judged {
            self.dies_after(id, run, after, code);
            return Ok(());
        }
        let (code, after) = match (signal, script.signals.get(&signal)) {
            (SIGKILL, _) => (Some(128 + SIGKILL), Duration::ZERO),
            (_, Some(code)) => (*code, script.stop_takes),
            (_, None) if ENDING.contains(&signal) => (Some(128 + signal), script.stop_takes),
            (_, None) => (None, Duration::ZERO),
        };
        if let Some(code) = code {
            self.dies_after(id, run, after, code);
        }
        self.answer("signal", &name).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<()> {
        self.on("remove", id, "").await?;
        self.world().remove(id);
        self.changed();
        Ok(())
    }

    async fn connect(&self, id: &ContainerId, network: &str) -> Result<()> {
        self.on("connect", id, &format!(" {network}")).await?;
        self.with("connect", id, |_container| Ok(()))
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        self.on("rename", id, &format!(" {name}")).await?;
        let taken = |container: &Container| container.seen.name == name && container.seen.id != *id;
        if self.world().containers.iter().any(taken) {
            return Err(refused("rename", name, Fault::Permanent, "the name is in use"));
        }
        self.with("rename", id, |container| {
            name.clone_into(&mut container.seen.name);
            Ok(())
        })
    }

    async fn upload(&self, id: &ContainerId, directory: &str, archive: Vec<Bytes>) -> Result<()> {
        let name = self.on("upload", id, &format!(" {directory}")).await?;
        self.with("upload", id, |container| {
            unpack(directory, &archive.concat(), &mut container.files)
                .map_err(|error| refused("upload", &name, Fault::Permanent, &format!("bad archive: {error}")))
        })
    }

    async fn exists(&self, id: &ContainerId, path: &str) -> Result<bool> {
        self.on("exists", id, &format!(" {path}")).await?;
        let own = self.world().own.as_ref() == Some(&id.0);
        // A container that is gone has nothing at any path, for the engine, too.
        Ok(self.world().by_id(id).is_some_and(|container| {
            !below(path, &container.files).is_empty() || (own && std::path::Path::new(path).exists())
        }))
    }

    async fn stat(&self, id: &ContainerId, path: &str) -> Result<Option<PathKind>> {
        let name = self.world().label_of(id);
        self.pass("stat", &name).await?;
        let mut world = self.world();
        let Some(container) = world.by_id(id) else { return Ok(None) };
        let real = located(path, &container.files, false);
        Ok(match container.files.get(&real) {
            Some(File { link: Some(_), .. }) => Some(PathKind::Link(located(path, &container.files, true))),
            Some(_) => Some(PathKind::File),
            None => (!below(&real, &container.files).is_empty()).then_some(PathKind::Directory),
        })
    }

    async fn download(&self, id: &ContainerId, path: &str, limit: usize) -> Result<Bytes> {
        let name = self.on("download", id, &format!(" {path}")).await?;
        let own = self.world().own.as_ref() == Some(&id.0);
        let archive = self.with("download", id, |container| {
            let mut files = below(&located(path, &container.files, false), &container.files);
            if files.is_empty() && own {
                let read = std::fs::read(path);
                let base = path.rsplit('/').next().unwrap_or(path).to_owned();
                files.extend(read.map(|content| (base, File { content, ..File::default() })));
            }
            if files.is_empty() {
                return Err(refused("download", &name, Fault::NotFound, "no such file"));
            }
            pack(&files).map_err(|error| refused("download", &name, Fault::Permanent, &error.to_string()))
        })?;
        if archive.len() > limit {
            return Err(refused("download", &name, Fault::Permanent, "the archive is longer than asked for"));
        }
        Ok(archive.into())
    }

    async fn exec(
        &self,
        id: &ContainerId,
        command: &ExecCommand,
        timeout: Duration,
        limit: usize,
    ) -> Result<ExecOutput> {
        let argv = command.command.as_slice();
        let words = format!(" {}", argv.join(" "));
        let passing = self.on("exec", id, &words);
        let late =
            |_elapsed| EngineError::Timeout { verb: "exec", object: format!("`{}`", id.short()), after: timeout };
        let name = tokio::time::timeout(timeout, passing).await.map_err(late)??;
        let hangs = self.world().script_of(id).hangs;
        if hangs.is_some_and(|hangs| hangs(argv)) {
            tokio::time::timeout(timeout, std::future::pending::<()>()).await.map_err(late)?;
        }
        let answer = self.world().script_of(id).exec;
        let mut output = answer.map_or_else(|| said(0, ""), |answer| answer(argv));
        let cut = |bytes: &mut Bytes| {
            let longer = bytes.len() > limit;
            bytes.truncate(limit);
            longer
        };
        self.with("exec", id, |container| {
            if !container.seen.running {
                return Err(refused("exec", &name, Fault::Permanent, "it is not running"));
            }
            if container.seen.paused {
                return Err(refused(
                    "exec",
                    &name,
                    Fault::Permanent,
                    "it is paused, unpause the container before exec",
                ));
            }
            if output.exit_code == 0
                && let Some(failure) = move_files(argv, &mut container.files)
            {
                output = failure;
            }
            output.truncated |= cut(&mut output.stdout) | cut(&mut output.stderr);
            Ok(output)
        })
    }

    async fn tail(&self, id: &ContainerId, lines: u32, limit: usize) -> Result<Bytes> {
        self.on("tail", id, "").await?;
        let text = self.with("tail", id, |container| {
            let all: Vec<u8> = container.logs.iter().flat_map(|(_, _, bytes)| bytes.to_vec()).collect();
            Ok(String::from_utf8_lossy(&all).into_owned())
        })?;
        let from = text.lines().rev().take(lines as usize).map(|line| line.len() + 1).sum::<usize>();
        let tail =
            text.get(text.len().saturating_sub(from).max(text.len().saturating_sub(limit))..).unwrap_or_default();
        Ok(Bytes::copy_from_slice(tail.as_bytes()))
    }

    fn logs(&self, id: &ContainerId, from: LogsFrom) -> BoxStream<'static, Result<LogFrame>> {
        let (name, of) = (self.world().label_of(id), id.clone());
        let missing = refused("logs", &name, Fault::NotFound, "no such container");
        let begin = move |world: &mut World| if world.by_id(&of).is_some() { Ok(0) } else { Err(missing) };
        let id = id.clone();
        follow(self, "logs", name, begin, move |world, cursor| read_log(world, &id, from, cursor))
    }

    fn events(&self, label: &str, since: Option<i64>) -> BoxStream<'static, Result<EngineEvent>> {
        let wanted = [label.to_owned()];
        let begin = move |world: &mut World| Ok(if since.is_some() { 0 } else { world.history.len() });
        follow(self, "events", String::new(), begin, move |world, cursor| {
            while let Some((event, labels)) = world.history.get(*cursor) {
                *cursor += 1;
                let late_enough = since.is_none_or(|since| event.at_ns >= since.saturating_mul(1_000_000_000));
                if late_enough && has_labels(labels, &wanted) {
                    return Step::Item(event.clone());
                }
            }
            Step::Wait
        })
    }
}

fn read_log(world: &mut World, id: &ContainerId, from: LogsFrom, cursor: &mut usize) -> Step<LogFrame> {
    let Some(container) = world.by_id(id) else { return Step::End };
    while let Some((at, output, bytes)) = container.logs.get(*cursor) {
        *cursor += 1;
        if *at < from.since.saturating_mul(1_000_000_000) {
            continue;
        }
        let output = if container.seen.tty { Output::Stdout } else { *output };
        let bytes =
            if from.timestamps { [rfc3339(*at).as_bytes(), b" ", bytes].concat().into() } else { bytes.clone() };
        return Step::Item(LogFrame { output, bytes });
    }
    if container.seen.running { Step::Wait } else { Step::End }
}

fn said(exit_code: i64, stderr: &str) -> ExecOutput {
    let stderr = Bytes::copy_from_slice(stderr.as_bytes());
    ExecOutput { exit_code, stdout: Bytes::new(), stderr, truncated: false }
}
