//! What the host offers. Each call needs a grant, and answers [`Error::Denied`] without it; those that answer nothing do nothing without it.
//!
//! Natively, in tests, all of it is a stand-in: see [`crate::testing`].

use std::time::Duration;

use crate::{Error, File};

#[cfg(target_family = "wasm")]
mod real {
    pub(super) use crate::bindings::base::outrigger::pod::{
        exec, files, logs, metrics, node, pod, routes, signals, state, watch,
    };
}
#[cfg(not(target_family = "wasm"))]
use crate::testing;

/// A component of the pod, as it was when [`components`] was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The engine's id, once the container has been created.
    pub container_id: Option<String>,
    /// Where it is in its life.
    pub state: State,
}

/// Where a component is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The components of the pod. Needs `pod`; without it there are none.
#[must_use]
pub fn components() -> Vec<Component> {
    #[cfg(target_family = "wasm")]
    return real::pod::components()
        .iter()
        .map(|component| Component {
            name: component.name(),
            image: component.image(),
            container_id: component.container_id(),
            state: match component.state() {
                real::pod::State::Planned => State::Planned,
                real::pod::State::Starting => State::Starting,
                real::pod::State::Running => State::Running,
                real::pod::State::Stopping => State::Stopping,
                real::pod::State::Exited => State::Exited,
                real::pod::State::Removed => State::Removed,
            },
        })
        .collect();
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| host.components.clone())
}

/// A label of a component. Needs `pod`.
#[must_use]
pub fn component_label(component: &str, key: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    return real::pod::components().iter().find(|one| one.name() == component).and_then(|one| one.label(key));
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| host.component_labels.get(&(component.to_owned(), key.to_owned())).cloned())
}

/// The name of the controller's container. Needs `pod`.
#[must_use]
pub fn pod_name() -> String {
    #[cfg(target_family = "wasm")]
    return real::pod::name();
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| host.pod_name.clone())
}

/// A label of the controller's container; Swarm's service, task and node are such. Needs `pod`.
#[must_use]
pub fn pod_label(key: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    return real::pod::label(key);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| host.pod_labels.get(key).cloned())
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
        file.filter(|file| file.content.len() <= limit as usize).ok_or_else(|| {
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

/// The data plane's whole table, as JSON, swapped at once. Needs `routes`, which this version of the host does not serve: a plugin that calls
/// this is refused when it is loaded.
///
/// # Errors
/// Where the table is wrong; the old one stays in place.
pub fn replace_routes(table_json: &str) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::routes::replace(table_json);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.routes = Some(table_json.to_owned());
        Ok(())
    })
}

/// A value of the plugin's own store. Needs `state`.
///
/// # Errors
/// Without the grant.
pub fn get_state(key: &str) -> Result<Option<Vec<u8>>, Error> {
    #[cfg(target_family = "wasm")]
    return real::state::get(key);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| Ok(host.state.get(key).cloned()))
}

/// Sets a value of the plugin's own store: at most 256 keys of 128 bytes, and 1 MiB altogether. Needs `state`.
///
/// # Errors
/// Where it would grow too large.
pub fn set_state(key: &str, value: &[u8]) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::state::set(key, value);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.state.insert(key.to_owned(), value.to_vec());
        Ok(())
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

/// Adds a line of the plugin's own to the components' output. Needs `logs`, which this version of the host does not serve: a plugin that calls this is
/// refused when it is loaded.
pub fn emit(line: &str, fields: &[(&str, &str)]) {
    #[cfg(target_family = "wasm")]
    real::logs::emit(line, &attributes(fields));
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| host.emitted.push(testing::series(line, fields)));
}

/// What is known of the node that the pod runs on. Needs `node`, which this version of the host does not serve: a plugin that calls this is refused when it
/// is loaded.
///
/// # Errors
/// Where the engine does not answer.
pub fn node_facts() -> Result<Vec<(String, String)>, Error> {
    #[cfg(target_family = "wasm")]
    return real::node::facts().map(|facts| facts.into_iter().map(|fact| (fact.key, fact.value)).collect());
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| Ok(host.node_facts.clone()))
}

/// Sets a label of the node, for placement constraints. Needs `node`, which this version of the host does not serve: a plugin that calls this is refused
/// when it is loaded.
///
/// # Errors
/// Where the engine is no Swarm manager.
pub fn set_node_label(key: &str, value: &str) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    return real::node::set_label(key, value);
    #[cfg(not(target_family = "wasm"))]
    testing::with(|host| {
        host.node_labels.insert(key.to_owned(), value.to_owned());
        Ok(())
    })
}

#[cfg(target_family = "wasm")]
fn attributes(pairs: &[(&str, &str)]) -> Vec<crate::Attr> {
    pairs.iter().map(|(key, value)| crate::Attr { key: (*key).to_owned(), value: (*value).to_owned() }).collect()
}

#[cfg(target_family = "wasm")]
fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
