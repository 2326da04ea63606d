//! Containers in our own words: the seam between Outrigger and the container engine.
//!
//! [`docker`] is the only file that knows the engine's API; [`fake`] is the scripted twin of the tests. Both are passed in, never chosen here.
//! The values that calls take and answer are those of [`containers`](crate::containers), which pure code shares.
//! Every call has a deadline of its own ([`Timeouts`](crate::config::Timeouts)); none retries by itself: the caller knows what a repetition means, and
//! [`EngineError::fault`] tells it whether one makes sense.

pub mod docker;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod reach;
mod stream;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;

pub use self::error::{EngineError, Fault, Result, chain};
pub use self::reach::{Away, Reach};
pub use self::stream::{EngineEvent, EngineEventKind, ExecOutput, LogFrame, LogsFrom};
pub(crate) use crate::containers::info::has_start_interval;
pub use crate::containers::info::{CgroupDriver, EngineInfo, VolumeInfo};
pub use crate::containers::{
    CheckResult, CheckTimes, ContainerId, ContainerSpec, EngineHealth, Inspection, Listed, MountPoint, Output, PathKind,
};
use crate::pod::life::ExecCommand;

/// The container engine. Cheap to clone: all clones share one connection pool.
///
/// Cancel safety: a call that is dropped half-way may still have happened. Callers let mutating calls run to their end.
pub trait Engine: Clone + Send + Sync + 'static {
    /// Whether it can be reached, as the last call has shown. Streams that are open already do not count: an engine that shuts down serves them to its end, and
    /// accepts no new call.
    fn reach(&self) -> &Reach;
    /// Negotiates the API version and asks what the engine is.
    fn info(&self) -> impl Future<Output = Result<EngineInfo>> + Send;
    /// Looks at one container, by id or name.
    fn inspect(&self, container: &str) -> impl Future<Output = Result<Inspection>> + Send;
    /// All containers, stopped ones too, that have every one of these labels (`key` or `key=value`).
    fn list(&self, labels: &[String]) -> impl Future<Output = Result<Vec<Listed>>> + Send;
    /// Looks at a volume.
    fn volume(&self, volume: &str) -> impl Future<Output = Result<VolumeInfo>> + Send;
    /// How long a service of Swarm lets its tasks stop, where its specification says so. Only a manager answers; elsewhere this is an error.
    fn service_grace(&self, service: &str) -> impl Future<Output = Result<Option<Duration>>> + Send;
    /// Whether the image is there already.
    fn has_image(&self, image: &str) -> impl Future<Output = Result<bool>> + Send;
    /// Pulls an image; an error in the progress stream is an error.
    fn pull(&self, image: &str) -> impl Future<Output = Result<()>> + Send;
    /// Creates a container and answers its id and the engine's warnings.
    fn create(&self, spec: &ContainerSpec) -> impl Future<Output = Result<(ContainerId, Vec<String>)>> + Send;
    /// Starts it; that it runs already is success.
    fn start(&self, id: &ContainerId) -> impl Future<Output = Result<()>> + Send;
    /// Sends a signal to its main process; [`Fault::AlreadyDone`] where it does not run.
    fn signal(&self, id: &ContainerId, signal: i32) -> impl Future<Output = Result<()>> + Send;
    /// Kills and removes it with its anonymous volumes. That it is gone already, or being removed, is success.
    fn remove(&self, id: &ContainerId) -> impl Future<Output = Result<()>> + Send;
    /// Joins one more network, by name or id.
    fn connect(&self, id: &ContainerId, network: &str) -> impl Future<Output = Result<()>> + Send;
    /// Gives it another name.
    fn rename(&self, id: &ContainerId, name: &str) -> impl Future<Output = Result<()>> + Send;
    /// Unpacks a tar archive, which comes in pieces, into a directory of it.
    fn upload(&self, id: &ContainerId, directory: &str, archive: Vec<Bytes>)
    -> impl Future<Output = Result<()>> + Send;
    /// Whether something is at this path of it. Of a container that runs, the engine answers at once.
    fn exists(&self, id: &ContainerId, path: &str) -> impl Future<Output = Result<bool>> + Send;
    /// What is at this path of it, none if nothing is. Directories on the way are followed within the container's own root, a link at the end is not.
    fn stat(&self, id: &ContainerId, path: &str) -> impl Future<Output = Result<Option<PathKind>>> + Send;
    /// A tar archive of one path of it; an archive longer than `limit` bytes is [`Fault::Permanent`].
    fn download(&self, id: &ContainerId, path: &str, limit: usize) -> impl Future<Output = Result<Bytes>> + Send;
    /// Runs a command in it, and waits at most `timeout` for its end. At most `limit` bytes of each stream are kept.
    fn exec(
        &self,
        id: &ContainerId,
        command: &ExecCommand,
        timeout: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<ExecOutput>> + Send;
    /// Follows its output to the end of its run: where it ends without an error after the run's own end, everything that the engine has kept of it was
    /// delivered, if need be by a second reading.
    fn logs(&self, id: &ContainerId, from: LogsFrom) -> BoxStream<'static, Result<LogFrame>>;
    /// The last lines of its output, at most `limit` bytes of them, as far as there are any yet.
    fn tail(&self, id: &ContainerId, lines: u32, limit: usize) -> impl Future<Output = Result<Bytes>> + Send;
    /// Follows the events of all containers that have this label (`key=value`), from `since` (seconds since the Unix epoch) on where it is given.
    /// The stream ends, or yields an error, when the connection is lost.
    fn events(&self, label: &str, since: Option<i64>) -> BoxStream<'static, Result<EngineEvent>>;
}
