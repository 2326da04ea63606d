//! Slices, which systemd makes when it is asked over the system's D-Bus.
//!
//! A connection lives as long as what it is for: a pod needs one at its start, at its end, and for each sweep.

use std::fmt::Display;

use tokio::net::UnixStream;
use tracing::debug;
use zbus::Connection;
use zbus::connection::Builder;
use zbus::{OwnedObjectPath, Variant};

use super::{CgroupError, is_owner};
use crate::plan::placement::{GroupLimits, PodGroup, SLICE_PREFIX, SLICE_SUFFIX};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// Before the name of the pod in the description of a slice, and before the key of its engine.
const DESCRIPTION: &str = "Outrigger pod ";
const ENGINE: &str = " on engine ";

/// One of systemd's answers to `ListUnitsByPatterns`: name, description, load, active and sub state, followed, path, job, its type and path.
type Unit = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// A process of a slice: its cgroup, its number, its command line.
type Process = (String, u32, String);

type Properties<'a> = Vec<(&'static str, Variant<'a>)>;

/// Starts the slice with its limits. One that is there already gets them.
pub(super) async fn make(socket: &str, group: &PodGroup) -> Result<(), CgroupError> {
    let connection = connect(socket).await?;
    let name = group.parent();
    let description = format!("{DESCRIPTION}{}{ENGINE}{}", group.pod, group.engine);
    let mut properties = properties(&group.limits);
    properties.push(("Description", Variant::from(description.as_str())));
    // Nothing that waits in vain is in the queue for a slice: `fail` is for clashing jobs.
    let nothing: Vec<(&str, Properties<'_>)> = Vec::new();
    match call(&connection, "StartTransientUnit", &(name.as_str(), "fail", &properties, nothing)).await {
        Err(zbus::Error::MethodError(error, ..)) if error.as_str() == UNIT_EXISTS => {
            debug!(slice = name, "the pod's slice exists already; the controller sets its limits");
            properties.retain(|(key, _)| *key != "Description");
            call(&connection, "SetUnitProperties", &(name.as_str(), true, properties)).await.map_err(refused)?;
        }
        answer => _ = answer.map_err(refused)?,
    }
    Ok(())
}

/// Stops the slice, and with it whatever runs in it; fine where there is none.
pub(super) async fn remove(socket: &str, owner: &str) -> Result<(), CgroupError> {
    let connection = connect(socket).await?;
    let name = format!("{SLICE_PREFIX}{owner}{SLICE_SUFFIX}");
    match call(&connection, "StopUnit", &(name.as_str(), "replace")).await {
        Err(zbus::Error::MethodError(error, ..)) if error.as_str() == NO_SUCH_UNIT => Ok(()),
        answer => answer.map(|_job| ()).map_err(refused),
    }
}

/// Owners of the slices of this engine's pods in which nothing runs.
pub(super) async fn idle(socket: &str, engine: &str) -> Result<Vec<String>, CgroupError> {
    let connection = connect(socket).await?;
    let pattern = format!("{SLICE_PREFIX}*{SLICE_SUFFIX}");
    let (states, patterns): (Vec<&str>, _) = (Vec::new(), vec![pattern.as_str()]);
    let answer = call(&connection, "ListUnitsByPatterns", &(states, patterns)).await.map_err(refused)?;
    let units: Vec<Unit> = answer.body().deserialize().map_err(refused)?;
    let mut idle = Vec::new();
    for (name, description, _, active, ..) in units {
        let Some(owner) = owner(&name).filter(|_| active == "active" && is_of(&description, engine)) else { continue };
        let answer = call(&connection, "GetUnitProcesses", &name).await.map_err(refused)?;
        let processes: Vec<Process> = answer.body().deserialize().map_err(refused)?;
        if processes.is_empty() {
            idle.push(owner.to_owned());
        }
    }
    Ok(idle)
}

fn owner(slice: &str) -> Option<&str> {
    slice.strip_prefix(SLICE_PREFIX)?.strip_suffix(SLICE_SUFFIX).filter(|owner| is_owner(owner))
}

/// Two engines of one host know nothing of each other's containers. Without our description, the engine made it, for a container that came too late.
fn is_of(description: &str, engine: &str) -> bool {
    let ours = description.strip_prefix(DESCRIPTION).and_then(|rest| rest.rsplit_once(ENGINE));
    ours.is_some_and(|(_, on)| on == engine)
}

/// As systemd names them: bytes, microseconds of CPU in each second, tasks; its infinity where there is no limit, since a slice of an earlier run may have
/// had one.
fn properties(limits: &GroupLimits) -> Properties<'static> {
    let cpu = limits.cpus.map(|nano| (nano / 1000).max(1));
    [
        ("MemoryMax", limits.memory),
        ("MemorySwapMax", limits.swap),
        ("CPUQuotaPerSecUSec", cpu),
        ("TasksMax", limits.pids),
    ]
    .into_iter()
    .map(|(key, limit)| (key, Variant::from(limit.unwrap_or(u64::MAX))))
    .collect()
}

async fn connect(socket: &str) -> Result<Connection, CgroupError> {
    let closed = |source| CgroupError::Closed { socket: socket.to_owned(), source };
    let stream = UnixStream::connect(socket).await.and_then(UnixStream::into_std).map_err(closed)?;
    Builder::unix_stream(stream).build().await.map_err(refused)
}

async fn call<B>(connection: &Connection, method: &str, body: &B) -> zbus::Result<zbus::Message>
where
    B: serde::Serialize + zbus::DynamicType,
{
    connection.call_method(Some(SYSTEMD), PATH, Some(MANAGER), method, body).await
}

fn refused(error: impl Display) -> CgroupError {
    CgroupError::Bus(error.to_string())
}
