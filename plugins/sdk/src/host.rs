//! What the host offers. Each call needs a grant, and answers an error for which [`Error::is_denied`] holds without it; those that answer nothing do nothing without it.
//!
//! Natively, in tests, all of it is a stand-in: see [`crate::testing`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub use crate::setup::{Granted, Host, Setup};
use crate::{Error, File, Judgement, Rollout, Stored};

#[cfg(target_family = "wasm")]
mod real {
    pub(super) use crate::bindings::base::outrigger::pod::{
        contents, exec, files, log, metrics, pod, rollouts, secret, signals, state, verdicts, watch,
    };
}
#[cfg(not(target_family = "wasm"))]
use crate::testing;

/// A component of a [`Pod`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The engine's id, once the container has been created.
    #[serde(default)]
    pub container_id: Option<String>,
    /// Where it is in its life.
    pub state: State,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Where a component is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum State {
    /// Not created yet.
    Planned,
    /// Being created, filled or started.
    Starting,
    /// Its process runs.
    Running,
    /// Asked to stop.
    Stopping,
    /// Its process ended.
    Exited,
    /// Its container is gone.
    Removed,
    /// A state of a later host.
    #[serde(other)]
    Unknown,
}

/// What a command left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// 0 is success.
    pub exit_code: i32,
    /// At most 64 KiB.
    pub stdout: Vec<u8>,
    /// At most 64 KiB.
    pub stderr: Vec<u8>,
    /// Whether there was more.
    pub truncated: bool,
}

/// The pod as it is now. Later hosts add more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Pod {
    /// The name of the controller's container.
    #[serde(default)]
    pub name: String,
    /// Labels of the controller's container; Swarm's service, task and node are such. Those that begin with `pod.` are not there.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The components that the plugin may see, in the pod's order.
    #[serde(default)]
    pub components: Vec<Component>,
}

/// The pod as it is now. Needs `pod`.
///
/// # Errors
/// Without the grant.
pub fn pod() -> Result<Pod, Error> {
    #[cfg(target_family = "wasm")]
    return Ok(serde_json::from_str(&real::pod::view()?)?);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| Ok(host.pod.clone()))
}

/// The rest of the setup with which this instance was configured.
#[must_use]
pub fn setup() -> Setup {
    crate::setup::current()
}

/// How important a line of the plugin's own is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// For developers of the plugin.
    Debug,
    /// Something happened.
    Info,
    /// Something is not as it should be.
    Warn,
    /// Something does not work.
    Error,
}

/// Writes to the controller's log, with the plugin's name. At most 200 lines a second; more are dropped and counted.
pub fn log(level: Level, text: &str) {
    #[cfg(target_family = "wasm")]
    real::log::log(
        match level {
            Level::Debug => real::log::Level::Debug,
            Level::Info => real::log::Level::Info,
            Level::Warn => real::log::Level::Warn,
            Level::Error => real::log::Level::Error,
        },
        text,
    );
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| host.logged.push((level, text.to_owned())));
}

/// Reads at most `length` bytes, itself at most 64 KiB, of a content that the host has; fewer at its end.
///
/// # Errors
/// If the plugin has not got the content in this call.
pub fn read_content(digest: &str, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
    #[cfg(target_family = "wasm")]
    return real::contents::read(digest, offset, length);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        let content = host.contents.get(digest).ok_or_else(|| Error::new("not-found", "there is no such content"))?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let to = from.saturating_add(length as usize).min(content.len());
        Ok(content.get(from..to).unwrap_or_default().to_vec())
    })
}

/// Hands a content to the host, for a file of the answer. At most 8 MiB.
///
/// # Errors
/// If it is too long.
pub fn store_content(bytes: &[u8]) -> Result<Stored, Error> {
    #[cfg(target_family = "wasm")]
    {
        let draft = real::contents::Draft::new();
        for part in bytes.chunks(64 << 10) {
            draft.append(part)?;
        }
        draft.finish()
    }
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        // No SHA-256 without a dependency: the stand-in needs a name only.
        let digest = format!("test-{}", host.contents.len());
        host.contents.insert(digest.clone(), bytes.to_vec());
        Ok(Stored { digest, size: bytes.len() as u64 })
    })
}

/// Sends a signal to a component. Needs `signals` for it.
///
/// # Errors
/// Where there is no such component, or it does not run.
pub fn send_signal(component: &str, signal: u8) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::signals::send(component, signal);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.signals.push((component.to_owned(), signal));
        Ok(())
    })
}

/// Reads one regular file of a component, of at most `limit` bytes, itself at most 8 MiB. Needs `files` for it.
///
/// # Errors
/// Where there is no such file, or it is longer.
pub fn read_file(component: &str, path: &str, limit: u32) -> Result<File, Error> {
    #[cfg(target_family = "wasm")]
    return real::files::read(component, path, limit);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        let file = host.files.get(&(component.to_owned(), path.to_owned())).cloned();
        file.filter(|file| file.content.len() <= u64::from(limit)).ok_or_else(|| {
            Error::failed(format!("component `{component}` has no file `{path}` of at most {limit} bytes"))
        })
    })
}

/// A file of a component without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// SHA-256 of the content, in hexadecimal.
    pub digest: String,
}

/// Describes up to 256 regular files of one component, in the order of the paths; none for what is not there, is no regular file, is longer than 8 MiB or
/// cannot be read. Needs `files` for each.
///
/// # Errors
/// Where there is no such component, or it has not been created yet.
pub fn inspect_files(component: &str, paths: &[String]) -> Result<Vec<Option<Facts>>, Error> {
    #[cfg(target_family = "wasm")]
    return real::files::inspect(component, paths).map(|found| {
        let facts = |real::files::Facts { mode, uid, gid, digest }| Facts { mode, uid, gid, digest };
        found.into_iter().map(|found| found.map(facts)).collect()
    });
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        if paths.len() > 256 {
            return Err(Error::failed("a call can describe at most 256 files"));
        }
        Ok(paths.iter().map(|path| host.facts.get(&(component.to_owned(), path.clone())).cloned()).collect())
    })
}

/// Writes one file, replacing what is there. Needs `files` for it.
///
/// # Errors
/// Where the component does not exist, or has not been created yet. Directories are made where they are missing.
pub fn write_file(file: &File) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::files::write(file);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.files.insert((file.component.clone(), file.path.clone()), file.clone());
        Ok(())
    })
}

/// Runs a command in a component and waits for it. Needs `exec` for it.
///
/// A program that can't be started is no error either: its exit code is 126 or 127, with the engine's words on standard output, of some engines on standard
/// error.
///
/// # Errors
/// Where the component does not run, or the command overruns: it then runs on in the component, since the engine has no way to end it.
pub fn run(component: &str, argv: &[String], timeout: Duration) -> Result<Done, Error> {
    #[cfg(target_family = "wasm")]
    return real::exec::run(component, argv, millis(timeout)).map(|done| Done {
        exit_code: done.exit_code,
        stdout: done.stdout,
        stderr: done.stderr,
        truncated: done.truncated,
    });
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.commands.push((component.to_owned(), argv.to_vec(), timeout));
        host.answers.pop_front().unwrap_or_else(|| Ok(Done::default()))
    })
}

/// Puts off files of the report that [`crate::ConfigChanged::on_change`] is being called with: they are reported again after its rollout, in their newest
/// version. Needs `watch` for each.
///
/// # Errors
/// Without the grant.
pub fn put_off(paths: &[String]) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::watch::put_off(paths);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.put_off.extend_from_slice(paths);
        Ok(())
    })
}

/// Watches a file, or a directory with what is below it, of the controller. It need not exist yet. Changes arrive at
/// [`crate::ConfigChanged::on_change`]. Needs `watch` for the path. The one call that is allowed in [`crate::Plugin::new`].
///
/// `debounce`: quiet time after a change before it is told, 10 ms to 60 s. `max_delay`: the longest time that a steady stream of changes may put it off.
///
/// # Errors
/// Where the path is not absolute, or a time out of range.
pub fn watch(source: &str, debounce: Duration, max_delay: Duration) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::watch::add(
        source,
        real::watch::Options { debounce_ms: millis(debounce), max_delay_ms: millis(max_delay) },
    );
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.watches.push((source.to_owned(), debounce, max_delay));
        Ok(())
    })
}

/// Judges at any time, as if [`crate::Health`] had answered it. Needs `verdicts` for what is judged.
///
/// # Errors
/// Without the grant, or if there is no such component.
pub fn report(judgements: &[Judgement]) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::verdicts::report(judgements);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.reported.extend_from_slice(judgements);
        Ok(())
    })
}

/// Begins a rollout after those that wait. Answers its id, which [`crate::Outcome`] has, too. Needs the grants that its files and steps need.
///
/// # Errors
/// Without a grant, or if 4 rollouts of the plugin wait already.
pub fn start_rollout(rollout: Rollout) -> Result<String, Error> {
    #[cfg(target_family = "wasm")]
    return real::rollouts::start(&rollout.into_wit());
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.rollouts.push(rollout);
        Ok(host.rollouts.len().to_string())
    })
}

/// A secret of the controller: Swarm's and Compose's secrets are files below `/run/secrets`. Needs `secret` for the name.
///
/// # Errors
/// Without the grant, or if there is no such secret.
pub fn secret(name: &str) -> Result<Vec<u8>, Error> {
    #[cfg(target_family = "wasm")]
    return real::secret::get(name);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        let secret = host.secrets.get(name).cloned();
        secret.ok_or_else(|| Error::new("not-found", format!("the controller has no secret `{name}`")))
    })
}

/// A value of the plugin's own store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// Greater than 0, and another one after each change of the key.
    pub version: u64,
}

/// A value of the plugin's own store. Needs `state`.
///
/// # Errors
/// Without the grant.
pub fn get_state(key: &str) -> Result<Option<Entry>, Error> {
    #[cfg(target_family = "wasm")]
    return Ok(real::state::get(key)?.map(|real::state::Entry { value, version }| Entry { value, version }));
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| Ok(host.state.get(key).cloned()))
}

/// Sets a value of the plugin's own store: at most 256 keys of 128 bytes, and 1 MiB altogether. Answers the new version. Needs `state`.
///
/// # Errors
/// If the store would grow too large.
pub fn set_state(key: &str, value: &[u8]) -> Result<u64, Error> {
    #[cfg(target_family = "wasm")]
    return real::state::set(key, value);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| Ok(host.set_state(key, value)))
}

/// Sets a value that still has this version, 0 for a key that is not there. Answers the new version, or none if nothing was changed. Needs `state`.
///
/// # Errors
/// If the store would grow too large.
pub fn swap_state(key: &str, version: u64, value: &[u8]) -> Result<Option<u64>, Error> {
    #[cfg(target_family = "wasm")]
    return real::state::swap(key, version, value);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        let is_same = host.state.get(key).map_or(0, |entry| entry.version) == version;
        Ok(is_same.then(|| host.set_state(key, value)))
    })
}

/// Removes a value of the plugin's own store. Needs `state`.
///
/// # Errors
/// Without the grant.
pub fn delete_state(key: &str) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::state::delete(key);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.state.remove(key);
        Ok(())
    })
}

/// The keys of the plugin's own store that begin with `prefix`, in order. Needs `state`.
///
/// # Errors
/// Without the grant.
pub fn state_keys(prefix: &str) -> Result<Vec<String>, Error> {
    #[cfg(target_family = "wasm")]
    return real::state::keys(prefix);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| Ok(host.state.keys().filter(|key| key.starts_with(prefix)).cloned().collect()))
}

/// Adds to a counter, published as `outrigger_plugin_<name>`. Needs `metrics`.
pub fn count(name: &str, delta: f64, labels: &[(&str, &str)]) {
    #[cfg(target_family = "wasm")]
    real::metrics::counter_add(name, delta, &attributes(labels));
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| *host.metrics.entry(testing::series(name, labels)).or_default() += delta);
}

/// Sets a gauge, published as `outrigger_plugin_<name>`. Needs `metrics`.
pub fn gauge(name: &str, value: f64, labels: &[(&str, &str)]) {
    #[cfg(target_family = "wasm")]
    real::metrics::gauge_set(name, value, &attributes(labels));
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.metrics.insert(testing::series(name, labels), value);
    });
}

/// Records one observation of a histogram, published as `outrigger_plugin_<name>`. Needs `metrics`.
pub fn observe(name: &str, value: f64, labels: &[(&str, &str)]) {
    #[cfg(target_family = "wasm")]
    real::metrics::histogram_record(name, value, &attributes(labels));
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| host.observations.entry(testing::series(name, labels)).or_default().push(value));
}

#[cfg(target_family = "wasm")]
fn attributes(pairs: &[(&str, &str)]) -> Vec<crate::Attr> {
    pairs.iter().map(|(key, value)| crate::Attr { key: (*key).to_owned(), value: (*value).to_owned() }).collect()
}

#[cfg(target_family = "wasm")]
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
