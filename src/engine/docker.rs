//! The engine of Docker, and of whatever speaks its API. Nothing outside of this module and its children knows bollard.
//!
//! How bollard 0.21 is used, where that is not obvious:
//! - It drops the API version from every request (its `Uri::parse` joins an absolute path), so its own negotiation has no effect. The version that
//!   [`Engine::info`] settled on is put in front of the path here; before that, requests go out without one and the engine takes its newest.
//! - Its timeout holds until the headers of an answer have come, and never for the body: streams are not cut by it. Deadlines of whole calls are kept here.
//! - It opens a connection for each call, so a restarted engine is simply there again.
//! - Its decoder of logs waits for a newline, without limit, where the output is a terminal's, and takes a first byte below 3 for a header. Logs are
//!   therefore read raw, through the call for an export with another path, and taken apart by `frames`; `logs` makes sure that they are complete.

mod access;
mod answer;
pub mod credentials;
mod exec;
mod fault;
mod frames;
mod logs;
mod read;
mod request;
mod swarm;
mod tls;

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bollard::models::NetworkConnectRequest;
use bollard::query_parameters as query;
use bollard::{API_DEFAULT_VERSION, BollardRequest};
use bytes::{Bytes, BytesMut};
use futures_util::TryFutureExt as _;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use tracing::warn;

pub use self::access::Access;
use self::credentials::Found;
use self::fault::Call;
pub use self::read::{History, LogQuery, Revival};
pub use self::swarm::SwarmTask;
use crate::config::{ENGINE_SOCKET, Timeouts};
use crate::engine::{
    ContainerId, ContainerSpec, Engine, EngineError, EngineEvent, EngineInfo, ExecOutput, Fault, Inspection, Listed,
    LogFrame, LogsFrom, PathKind, Reach, Result, VolumeInfo,
};
use crate::pod::life::ExecCommand;

/// Oldest API that is spoken: Docker 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

/// Newest API that is asked for: the one that bollard's types were made from.
const NEWEST_API: (u32, u32) = (1, 53);

/// How Podman calls itself among the parts of the engine.
const PODMAN: &str = "Podman";

/// First pause between two looks at something that the engine is still busy with; doubled up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(200);

/// An archive is sent in slices of so many bytes: the client copies each.
const UPLOAD_SLICE: usize = 64 << 10;

/// The kinds of event that are asked for. Without this list every probe of a health check would send three.
const EVENTS: [&str; 7] = ["start", "die", "oom", "pause", "unpause", "destroy", "health_status"];

/// An engine that speaks Docker's API. Clones share the negotiated version.
#[derive(Debug, Clone)]
pub struct Docker {
    /// Without a version in front of the path.
    bare: bollard::Docker,
    client: bollard::Docker,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: String,
    timeouts: Timeouts,
    credentials: credentials::Places,
    api: Api,
    reach: Reach,
}

/// The negotiated API version; none yet is 0.
#[derive(Debug, Default)]
struct Api(AtomicU64);

impl Api {
    /// Answers whether it is the first.
    fn set(&self, (major, minor): (u32, u32)) -> bool {
        self.0.swap(u64::from(major) << 32 | u64::from(minor), Ordering::Relaxed) == 0
    }

    /// The highest there is where none has been negotiated: a path without a version means the engine's newest.
    fn version(&self) -> (u32, u32) {
        match self.0.load(Ordering::Relaxed) {
            0 => (u32::MAX, 0),
            version => ((version >> 32) as u32, version as u32),
        }
    }

    /// What goes in front of a path: `/v1.41`, or nothing.
    fn prefix(&self) -> String {
        match self.version() {
            (u32::MAX, _) => String::new(),
            (major, minor) => format!("/v{major}.{minor}"),
        }
    }
}

impl Shared {
    /// Puts the API version in front of the path.
    fn versioned(&self, request: BollardRequest) -> BollardRequest {
        let prefix = self.api.prefix();
        with_path(request, |path| format!("{prefix}{path}"))
    }
}

impl Docker {
    /// Prepares to talk to the engine at `address` without TLS, and to pull without credentials; see [`Docker::open`].
    ///
    /// # Errors
    /// As [`Docker::open`].
    pub fn connect(address: Option<&str>, timeouts: &Timeouts) -> Result<Self> {
        Self::open(Access::plain(address), timeouts)
    }

    /// Prepares to talk to an engine. Nothing is sent yet.
    ///
    /// # Errors
    /// [`EngineError::NoEngine`] where there is no such socket, the address is of another kind, or its certificates can't be read.
    pub fn open(access: Access, timeouts: &Timeouts) -> Result<Self> {
        let Access { address, certificates, credentials } = access;
        let address = address.filter(|address| !address.is_empty()).unwrap_or_else(|| ENGINE_SOCKET.to_owned());
        let no_engine = |source| EngineError::NoEngine { address: address.clone(), source };
        // Only a net below the deadlines that are kept here.
        let seconds =
            [timeouts.engine_call, timeouts.engine_change, timeouts.pull].iter().max().map_or(0, Duration::as_secs)
                + 60;
        let bare = match (address.split_once("://"), &certificates) {
            (Some(("tcp" | "https", _)), Some(directory)) => {
                tls::connect(&address, directory, seconds).map_err(no_engine)?
            }
            (Some(("https", _)), None) => {
                let text = "TLS needs `DOCKER_CERT_PATH`, the directory of `ca.pem`, `cert.pem` and `key.pem`";
                return Err(no_engine(fault::cause(text)));
            }
            (Some(("tcp" | "http", _)), _) => {
                bollard::Docker::connect_with_http(&address, seconds, API_DEFAULT_VERSION)
                    .map_err(|error| no_engine(Box::new(error)))?
            }
            (Some((scheme, _)), _) if scheme != "unix" => {
                let text = format!("`{scheme}` is not supported: expected `unix://` or `tcp://`");
                return Err(no_engine(fault::cause(text)));
            }
            (Some((_, path)), _) => connect_unix(path, seconds).map_err(|error| no_engine(Box::new(error)))?,
            (None, _) => connect_unix(&address, seconds).map_err(|error| no_engine(Box::new(error)))?,
        };
        let (api, reach) = (Api::default(), Reach::default());
        let shared = Arc::new(Shared { address, timeouts: *timeouts, credentials, api, reach });
        let of_requests = Arc::clone(&shared);
        let client = bare.clone().with_request_modifier(move |request| of_requests.versioned(request));
        Ok(Self { bare, client, shared })
    }

    /// Holds a call to a deadline and puts its failure into our words.
    async fn within<T>(
        &self,
        call: Call,
        object: &str,
        limit: Duration,
        work: impl Future<Output = std::result::Result<T, bollard::errors::Error>> + Send,
    ) -> Result<T> {
        let result = match tokio::time::timeout(limit, work).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(fault::classify(call, object, limit, error)),
            Err(_late) => Err(late(call, object, limit)),
        };
        self.shared.reach.note(&result);
        result
    }

    fn look(&self) -> Duration {
        self.shared.timeouts.engine_call
    }

    fn change(&self) -> Duration {
        self.shared.timeouts.engine_change
    }

    /// The deadline for opening a stream. bollard keeps it, and cuts it to whole seconds: half a second would be none at all.
    fn opening(&self) -> Duration {
        let limit = self.look();
        Duration::from_secs(limit.as_secs() + u64::from(limit.subsec_nanos() > 0))
    }

    /// A client whose requests bring these credentials. bollard itself would send them in an alphabet that the engine does not read.
    fn with_credentials(&self, found: &Found) -> bollard::Docker {
        let Some(header) = found.header() else { return self.client.clone() };
        let shared = Arc::clone(&self.shared);
        self.bare.clone().with_request_modifier(move |request| {
            let mut request = shared.versioned(request);
            request.headers_mut().insert(credentials::HEADER, header.clone());
            request
        })
    }

    /// The body of a GET, as it comes: the call for an export with another path.
    fn raw(
        &self,
        id: &ContainerId,
        path: String,
    ) -> BoxStream<'static, std::result::Result<Bytes, bollard::errors::Error>> {
        let client = self.bare.clone().with_timeout(self.opening());
        let client = client.with_request_modifier(move |request| with_path(request, |_| path.clone()));
        client.export_container(&id.0).boxed()
    }
}

fn connect_unix(path: &str, seconds: u64) -> std::result::Result<bollard::Docker, bollard::errors::Error> {
    // bollard would cut `unix://` out of the middle of a path as well.
    if !Path::new(path).exists() {
        return Err(bollard::errors::Error::SocketNotFoundError(path.to_owned()));
    }
    bollard::Docker::connect_with_unix(path, seconds, API_DEFAULT_VERSION)
}

/// Puts another path (and query) into a request; one that can't be parsed leaves it as it was.
fn with_path(mut request: BollardRequest, change: impl FnOnce(&str) -> String) -> BollardRequest {
    let mut parts = request.uri().clone().into_parts();
    let path = change(parts.path_and_query.as_ref().map_or("/", |path| path.as_str()));
    if let Ok(path) = path.parse() {
        parts.path_and_query = Some(path);
        if let Ok(uri) = hyper::Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

fn late(call: Call, object: &str, after: Duration) -> EngineError {
    EngineError::Timeout { verb: call.verb(), object: format!("`{object}`"), after }
}

fn refused(call: Call, object: &str, fault: Fault, message: impl Into<String>) -> EngineError {
    EngineError::Refused { verb: call.verb(), object: format!("`{object}`"), message: message.into(), fault }
}

/// Names go into paths of requests: whatever could lead elsewhere is refused.
fn checked(call: Call, name: &str) -> Result<&str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b':' | b'@' | b'+');
    let leads_away = name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if leads_away || !name.bytes().all(plain) {
        return Err(refused(call, name, Fault::Permanent, "this is not a valid name"));
    }
    Ok(name)
}

impl Engine for Docker {
    fn reach(&self) -> &Reach {
        &self.shared.reach
    }

    async fn info(&self) -> Result<EngineInfo> {
        let limit = self.look();
        let no_engine = |error| match error {
            EngineError::Unreachable { cause, .. } => {
                EngineError::NoEngine { address: self.shared.address.clone(), source: cause }
            }
            other => other,
        };
        let object = self.shared.address.as_str();
        // Without a version in front: an engine of another age than the last one may be there now.
        let version = self.within(Call::Info, object, limit, self.bare.version()).await.map_err(no_engine)?;
        let api = version.api_version.as_deref().and_then(answer::api_version).ok_or_else(|| {
            refused(Call::Info, object, Fault::Permanent, "the engine did not report the version of its API")
        })?;
        let newest = version.version.unwrap_or_default();
        if api < OLDEST_API {
            return Err(EngineError::TooOld { version: newest, api, needed: OLDEST_API });
        }
        // An engine that has dropped even our newest version is spoken to in its oldest.
        let floor = version.min_api_version.as_deref().and_then(answer::api_version).unwrap_or(OLDEST_API);
        let api = api.min(NEWEST_API.max(floor));
        let first = self.shared.api.set(api);
        let parts = version.components.unwrap_or_default();
        if first && parts.iter().any(|part| part.name.starts_with(PODMAN)) {
            warn!(
                version = newest,
                "this engine is Podman, which differs from Docker in some places; docs/engines.md lists the features that were tested"
            );
        }
        let info = self.within(Call::Info, object, limit, self.client.info()).await.map_err(no_engine)?;
        Ok(EngineInfo {
            version: newest,
            api,
            cgroup_version: answer::cgroup_version(info.cgroup_version),
            cgroup_driver: answer::cgroup_driver(info.cgroup_driver),
            id: info.id.unwrap_or_default(),
            node: info.name.unwrap_or_default(),
            data_root: info.docker_root_dir.unwrap_or_default(),
        })
    }

    async fn inspect(&self, container: &str) -> Result<Inspection> {
        let name = checked(Call::Inspect, container)?;
        // Read raw: bollard refuses the whole answer where a word in it is none of Docker's, as Podman's `stopped`.
        let path = format!("{}/containers/{name}/json", self.shared.api.prefix());
        let body = self.raw(&ContainerId(name.to_owned()), path).try_collect::<BytesMut>();
        let body = self.within(Call::Inspect, name, self.look(), body).await?;
        let seen = answer::parse_inspection(&body);
        Ok(answer::inspection(seen.map_err(|bad| {
            refused(Call::Inspect, name, Fault::Permanent, format!("cannot parse the engine's answer: {bad}"))
        })?))
    }

    async fn list(&self, labels: &[String]) -> Result<Vec<Listed>> {
        let filters = HashMap::from([("label", labels.to_vec())]);
        let options = query::ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let work = self.client.list_containers(Some(options));
        let found = self.within(Call::List, &labels.join("`, `"), self.look(), work).await?;
        Ok(found.into_iter().filter_map(answer::listed).collect())
    }

    async fn volume(&self, volume: &str) -> Result<VolumeInfo> {
        let name = checked(Call::InspectVolume, volume)?;
        // The engine asks every volume driver for a name that it does not know, and waits 15 s for one that is gone.
        let volume = self.within(Call::InspectVolume, name, self.change(), self.client.inspect_volume(name)).await?;
        Ok(VolumeInfo {
            driver: volume.driver,
            options: answer::sorted(Some(volume.options)),
            labels: answer::sorted(Some(volume.labels)),
        })
    }

    async fn service_grace(&self, service: &str) -> Result<Option<Duration>> {
        self.grace_of(service).await
    }

    async fn has_image(&self, image: &str) -> Result<bool> {
        let name = checked(Call::InspectImage, image)?;
        let work = async {
            match self.client.inspect_image(name).await {
                Ok(_image) => Ok(true),
                // It is there; what the engine tells of it does not matter here.
                Err(bollard::errors::Error::JsonDataError { .. }) => Ok(true),
                Err(error) if fault::status(&error) == Some(404) => Ok(false),
                Err(error) => Err(error),
            }
        };
        self.within(Call::InspectImage, name, self.look(), work).await
    }

    async fn pull(&self, image: &str) -> Result<()> {
        let name = checked(Call::Pull, image)?;
        // Fresh each time: tokens run out, and Swarm's secrets are replaced.
        let found = self.shared.credentials.find(name).await;
        let options = query::CreateImageOptionsBuilder::new().from_image(&with_tag(name)).build();
        let client = self.with_credentials(&found);
        let mut denied = false;
        let work = client.create_image(Some(options), None, None).try_for_each(|_progress| async { Ok(()) });
        let work = work.inspect_err(|error| denied = fault::is_denial(error));
        let pulled = self.within(Call::Pull, name, self.shared.timeouts.pull, work).await;
        pulled.map_err(|error| if denied { found.explain(error) } else { error })
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<(ContainerId, Vec<String>)> {
        let body = request::create_body(spec, self.shared.api.version())
            .map_err(|bad| refused(Call::Create, &spec.name, Fault::Permanent, bad.to_string()))?;
        let options = query::CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let work = self.client.create_container(Some(options), body);
        let made = self.within(Call::Create, &spec.name, self.change(), work).await?;
        Ok((ContainerId(made.id), made.warnings))
    }

    async fn start(&self, id: &ContainerId) -> Result<()> {
        self.within(Call::Start, id.short(), self.change(), self.client.start_container(&id.0, None)).await
    }

    async fn signal(&self, id: &ContainerId, signal: i32) -> Result<()> {
        let options = query::KillContainerOptionsBuilder::new().signal(&signal.to_string()).build();
        let work = self.client.kill_container(&id.0, Some(options));
        self.within(Call::Signal, id.short(), self.look(), work).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<()> {
        let work = async {
            let mut pause = FIRST_PAUSE;
            loop {
                let options = query::RemoveContainerOptionsBuilder::new().force(true).v(true).build();
                match self.client.remove_container(&id.0, Some(options)).await {
                    Ok(()) => return Ok(()),
                    Err(error) => match fault::status(&error) {
                        Some(404) => return Ok(()),
                        // Another removal is under way: it is gone, and its name free, only when that has ended.
                        Some(409) => {}
                        _ => return Err(error),
                    },
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
        };
        self.within(Call::Remove, id.short(), self.change(), work).await
    }

    async fn connect(&self, id: &ContainerId, network: &str) -> Result<()> {
        let name = checked(Call::Connect, network)?;
        let request = NetworkConnectRequest { container: id.0.clone(), ..NetworkConnectRequest::default() };
        self.within(Call::Connect, name, self.change(), self.client.connect_network(name, request)).await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        let options = query::RenameContainerOptionsBuilder::new().name(name).build();
        self.within(Call::Rename, id.short(), self.change(), self.client.rename_container(&id.0, options)).await
    }

    async fn upload(&self, id: &ContainerId, directory: &str, archive: Vec<Bytes>) -> Result<()> {
        let options = query::UploadToContainerOptionsBuilder::new().path(directory).build();
        let slices = archive.into_iter().flat_map(|piece| {
            let starts = (0..piece.len()).step_by(UPLOAD_SLICE);
            starts.map(move |from| piece.slice(from..piece.len().min(from + UPLOAD_SLICE)))
        });
        let body = bollard::body_stream(futures_util::stream::iter(slices));
        let work = self.client.upload_to_container(&id.0, Some(options), body);
        self.within(Call::Upload, id.short(), self.change(), work).await
    }

    async fn exists(&self, id: &ContainerId, path: &str) -> Result<bool> {
        let options = query::ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let looked = self.client.get_container_archive_info(&id.0, Some(options));
        match self.within(Call::Stat, id.short(), self.look(), looked).await {
            Ok(_seen) => Ok(true),
            Err(error) if error.fault() == Fault::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn stat(&self, id: &ContainerId, path: &str) -> Result<Option<PathKind>> {
        let options = query::ContainerArchiveInfoOptionsBuilder::new().path(path).build();
        let looked = self.client.get_container_archive_info(&id.0, Some(options));
        match self.within(Call::Stat, id.short(), self.look(), looked).await {
            Ok(seen) => Ok(Some(answer::path_kind(seen.file_mode, seen.link_target))),
            Err(error) if error.fault() == Fault::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn download(&self, id: &ContainerId, path: &str, limit: usize) -> Result<Bytes> {
        let options = query::DownloadFromContainerOptionsBuilder::new().path(path).build();
        let work = async {
            let mut chunks = pin!(self.client.download_from_container(&id.0, Some(options)));
            let mut archive = BytesMut::new();
            while let Some(chunk) = chunks.try_next().await? {
                if archive.len() + chunk.len() > limit {
                    return Ok(None);
                }
                archive.extend_from_slice(&chunk);
            }
            Ok(Some(archive.freeze()))
        };
        let archive = self.within(Call::Download, id.short(), self.change(), work).await?;
        archive.ok_or_else(|| {
            let message = format!("the archive of `{path}` is longer than {limit} bytes");
            refused(Call::Download, id.short(), Fault::Permanent, message)
        })
    }

    async fn exec(
        &self,
        id: &ContainerId,
        command: &ExecCommand,
        timeout: Duration,
        limit: usize,
    ) -> Result<ExecOutput> {
        self.within(Call::Exec, id.short(), timeout, exec::run(&self.client, id, command, limit)).await
    }

    fn logs(&self, id: &ContainerId, from: LogsFrom) -> BoxStream<'static, Result<LogFrame>> {
        let opening = logs::Following::open(self.clone(), id.clone(), from);
        let frames = |following: logs::Following| {
            stream::unfold(following, |mut following| async move { Some((following.next().await?, following)) })
        };
        stream::once(opening).map_ok(frames).try_flatten().boxed()
    }

    async fn tail(&self, id: &ContainerId, lines: u32, limit: usize) -> Result<Bytes> {
        let options = query::LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&lines.to_string()).build();
        let work = self.client.logs(&id.0, Some(options)).try_fold(BytesMut::new(), |mut all, piece| {
            all.extend_from_slice(&piece.into_bytes());
            // The end is what counts, and a line may be as long as it likes.
            let over = all.len().saturating_sub(limit);
            bytes::Buf::advance(&mut all, over);
            std::future::ready(Ok(all))
        });
        let all = self.within(Call::Logs, id.short(), self.shared.timeouts.engine_call, work).await?;
        Ok(all.freeze())
    }

    fn events(&self, label: &str, since: Option<i64>) -> BoxStream<'static, Result<EngineEvent>> {
        let limit = self.opening();
        let filters = HashMap::from([
            ("type", vec!["container".to_owned()]),
            ("label", vec![label.to_owned()]),
            ("event", EVENTS.map(str::to_owned).to_vec()),
        ]);
        let options = query::EventsOptionsBuilder::new().filters(&filters);
        let options = match since {
            Some(since) => options.since(&since.to_string()),
            None => options,
        };
        let object = label.to_owned();
        self.client
            .clone()
            .with_timeout(limit)
            .events(Some(options.build()))
            .map_err(move |error| fault::classify(Call::Events, &object, limit, error))
            .try_filter_map(|message| std::future::ready(Ok(answer::event(message))))
            .boxed()
    }
}

/// A reference that names neither a tag nor a digest gets `latest`; the engine would pull every tag there is.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if image.contains('@') || last.contains(':') { image.to_owned() } else { format!("{image}:latest") }
}

#[cfg(test)]
mod tests;
