//! What a controller sees of the container around it.
//!
//! All files read here are small and local, or in `/proc`; none waits for anybody.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::proc;
use crate::engine::{CgroupDriver, Engine, EngineError, EngineInfo, Fault, Inspection, VolumeInfo};
use crate::files;
use crate::plan::compile::private_files;
use crate::plan::{MISSING, OwnVolumes, Seen, SelfInfo};
use crate::pod::{Component, PodSpec};

/// Longest `env_file` that is read.
const LONGEST_ENV_FILE: u64 = 1024 * 1024;

/// Podlike's label that gives a volume the name by which components know it.
const VOLUME_REF: &str = "com.github.rycus86.podlike.volume-ref";
/// Set by `docker stack deploy`, whose volumes are called `<stack>_<name>`.
const STACK: &str = "com.docker.stack.namespace";
/// Set by Compose: the name in its file.
const COMPOSE_VOLUME: &str = "com.docker.compose.volume";

/// The texts that [`find`](super::find) works from.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The host name.
    pub hostname: String,
    /// `/proc/self/mountinfo`.
    pub mountinfo: String,
    /// `/proc/self/cgroup`.
    pub cgroup: String,
    /// `/proc/1/cpuset`.
    pub cpuset: String,
    /// `/proc/net/fib_trie`.
    pub fib_trie: String,
    /// `/proc/net/if_inet6`.
    pub if_inet6: String,
    /// Whether an engine left its mark (`/.dockerenv`, `/run/.containerenv`).
    pub marked: bool,
    /// A directory of the container's own root file system, where the nonce is written.
    pub nonce_dir: PathBuf,
}

impl Surroundings {
    /// Those of this process. What can't be read is empty.
    #[must_use]
    pub fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            hostname: nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            mountinfo: text("/proc/self/mountinfo"),
            cgroup: text("/proc/self/cgroup"),
            cpuset: text("/proc/1/cpuset"),
            fib_trie: text("/proc/net/fib_trie"),
            if_inet6: text("/proc/net/if_inet6"),
            marked: ["/.dockerenv", "/run/.containerenv"].iter().any(|path| Path::new(path).exists()),
            nonce_dir: PathBuf::from("/"),
        }
    }

    /// Whether there is any sign of a container. Without one nothing is written anywhere.
    pub(super) fn look_contained(&self) -> bool {
        self.marked
            || !self.cgroup_ids().is_empty()
            || !proc::mountinfo_ids(&self.mountinfo).is_empty()
            || proc::hostname_id(&self.hostname).is_some()
    }

    pub(super) fn cgroup_ids(&self) -> Vec<String> {
        let mut ids = proc::cgroup_ids(&self.cgroup);
        ids.extend(proc::cpuset_ids(&self.cpuset));
        ids
    }

    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        proc::local_addresses(&self.fib_trie, &self.if_inet6)
    }
}

/// A file that nobody else has; gone when dropped.
#[derive(Debug)]
pub(super) struct Nonce {
    path: PathBuf,
    text: String,
}

impl Nonce {
    /// Answers why it can't be written.
    pub(super) fn write(directory: &Path) -> Result<Self, String> {
        let text = fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(|error| error.to_string())?;
        let text = text.trim().to_owned();
        let path = directory.join(format!(".outrigger-{text}"));
        let written = fs::File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        // Made before looking at the outcome, so that a half-written file is removed.
        let nonce = Self { path, text };
        written
            .map(|()| nonce)
            .map_err(|error| format!("the controller's root file system is not writable: {}", why(&error)))
    }

    pub(super) fn path(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl Drop for Nonce {
    fn drop(&mut self) {
        let _removed = fs::remove_file(&self.path);
    }
}

/// The cgroup of this process, where it is of version 1 and can be seen: below it the engine can make others (`/docker/<id>`).
#[must_use]
pub fn own_cgroup() -> Option<String> {
    proc::v1_cgroup(&fs::read_to_string("/proc/self/cgroup").ok()?)
}

/// What planning needs to know of the controller: its container, environment, the files that components name, and its volumes.
///
/// # Errors
/// Those of the engine. Files that can't be read are told in the answer.
pub async fn self_info<E: Engine>(
    engine: &E,
    own: Inspection,
    spec: &PodSpec,
    info: &EngineInfo,
) -> Result<SelfInfo, EngineError> {
    let nests = info.cgroup_version == 1 && info.cgroup_driver == CgroupDriver::Cgroupfs;
    // A path that does not end in our id is not ours as the engine sees it (a nested engine, a namespace).
    let cgroup = own_cgroup().filter(|path| nests && path.ends_with(&format!("/{}", own.id.0)));
    let environment = environment();
    let (volume_aliases, mut own_volumes) = own_volumes(engine, &own).await?;
    own_volumes.files = own.mounts.iter().flat_map(|mount| held(Path::new("/"), &mount.target)).collect();
    let components: Vec<&Component> = spec.init.iter().chain(spec.components.values()).collect();
    let volumes = existing_volumes(engine, &components, &volume_aliases).await?;
    let env_files = components
        .iter()
        .flat_map(|component| &component.env_file)
        .map(|file| (file.path.clone(), read_text(Path::new(&file.path))))
        .collect();
    let copy_sources = copy_sources(&components).await;
    Ok(SelfInfo {
        seen: Seen::Within,
        container: own,
        cgroup,
        cgroup_refused: None,
        environment,
        env_files,
        copy_sources,
        volume_aliases,
        volumes,
        own_volumes,
        host_files: BTreeMap::new(),
    })
}

/// The controller's own environment; what is no UTF-8 is replaced.
#[must_use]
pub fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}

/// Whether everything that is to be copied can be. A directory may be large, and its disk slow: the runtime does not wait for it.
async fn copy_sources(components: &[&Component]) -> BTreeMap<String, Result<(), String>> {
    let sources: Vec<String> =
        components.iter().flat_map(|component| &component.copy).map(|copy| copy.source.clone()).collect();
    if sources.is_empty() {
        return BTreeMap::new();
    }
    let looked = tokio::task::spawn_blocking(|| {
        let look =
            |source: &str| files::tree::look(Path::new(source), files::LONGEST_COPY).map_err(|error| plain(&error));
        sources.into_iter().map(|source| (source.clone(), look(&source))).collect()
    });
    // What a look has no answer for is found out when it is copied.
    looked.await.unwrap_or_default()
}

/// The names by which components may know the controller's volumes, and what the engine knows of those.
///
/// # Errors
/// Those of the engine.
pub async fn own_volumes<E: Engine>(
    engine: &E,
    own: &Inspection,
) -> Result<(BTreeMap<String, String>, OwnVolumes), EngineError> {
    let (mut aliases, mut known) = (BTreeMap::new(), OwnVolumes::default());
    for mount in own.mounts.iter().filter(|mount| mount.kind == "volume" && !mount.name.is_empty()) {
        let labels = match engine.volume(&mount.name).await {
            Ok(found) => {
                known.add(&mount.name, &found.driver, &found.options);
                found.labels
            }
            // Of a driver that knows it no more; it is mounted all the same.
            Err(error) if error.fault() == Fault::NotFound => continue,
            Err(error) => return Err(error),
        };
        if let Some(alias) = alias(&mount.name, &labels) {
            aliases.entry(alias).or_insert_with(|| mount.name.clone());
        }
    }
    Ok((aliases, known))
}

/// Files and directories that only the controller may see, as far as they lie in the file system that is mounted at `target`: what another mount below it holds is none of the volume's.
fn held(root: &Path, target: &str) -> Vec<String> {
    let device = |path: &str| fs::metadata(root.join(path.trim_start_matches('/'))).ok().map(|found| found.dev());
    let Some(volume) = device(target) else { return Vec::new() };
    private_files()
        .filter(|path| Path::new(path).starts_with(target) && device(path) == Some(volume))
        .map(str::to_owned)
        .collect()
}

/// Those of the volumes that components say how to make which exist already.
async fn existing_volumes<E: Engine>(
    engine: &E,
    components: &[&Component],
    aliases: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, VolumeInfo>, EngineError> {
    let mut found = BTreeMap::new();
    let made = components.iter().flat_map(|component| &component.volumes).filter(|mount| mount.volume.is_some());
    for name in made.filter_map(|mount| mount.source.as_ref()) {
        let name = aliases.get(name).unwrap_or(name);
        if found.contains_key(name) {
            continue;
        }
        match engine.volume(name).await {
            Ok(volume) => _ = found.insert(name.clone(), volume),
            Err(error) if error.fault() == Fault::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// In podlike's order: its own label, the name without the stack's, Compose's label.
fn alias(volume: &str, labels: &BTreeMap<String, String>) -> Option<String> {
    if let Some(name) = labels.get(VOLUME_REF) {
        return Some(name.clone());
    }
    let in_stack = labels.get(STACK).and_then(|stack| volume.strip_prefix(stack.as_str())?.strip_prefix('_'));
    in_stack.map(str::to_owned).or_else(|| labels.get(COMPOSE_VOLUME).cloned())
}

/// The text of a Compose file in the controller, or why it can't be read.
///
/// # Errors
/// Why not, in words.
pub fn compose_text(path: &str) -> Result<String, String> {
    read_text(Path::new(path))
}

fn read_text(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let file = open_regular(path)?;
    let read = file.take(LONGEST_ENV_FILE + 1).read_to_string(&mut text).map_err(|error| why(&error))?;
    if read as u64 > LONGEST_ENV_FILE { Err(format!("is longer than {LONGEST_ENV_FILE} bytes")) } else { Ok(text) }
}

fn open_regular(path: &Path) -> Result<fs::File, String> {
    files::open_regular(path).map(|(file, _)| file).map_err(|error| plain(&error))
}

/// The kernel's reason in our words, or our own as it is.
fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => why(error),
        None => error.to_string(),
    }
}

/// Without the number that the standard library adds.
fn why(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => MISSING.to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "read-only file system".to_owned(),
        ErrorKind::InvalidData => "is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;
    use crate::engine::fake::FakeEngine;
    use crate::engine::{ContainerSpec, MountPoint};
    use crate::pod::{ComponentName, CopySpec, EnvFile};

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn aliases_in_podlikes_order() {
        let all = labels(&[(VOLUME_REF, "a"), (STACK, "st"), (COMPOSE_VOLUME, "c")]);
        assert_eq!(alias("st_b", &all).as_deref(), Some("a"));
        let two = labels(&[(STACK, "st"), (COMPOSE_VOLUME, "c")]);
        assert_eq!(alias("st_b", &two).as_deref(), Some("b"));
        assert_eq!(alias("stb", &two).as_deref(), Some("c"));
        assert_eq!(alias("x", &labels(&[])), None);
    }

    fn component(name: &str, env_file: &[&Path], copy: &[&Path]) -> Component {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        Component {
            env_file: env_file.iter().map(|path| EnvFile::new(text(path))).collect(),
            copy: copy
                .iter()
                .map(|path| CopySpec { source: text(path), target: "/t".into(), mode: None, uid: None, gid: None })
                .collect(),
            ..Component::new(ComponentName::new(name).unwrap(), "i")
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tells_what_components_name() {
        let dir = tempfile::tempdir().unwrap();
        let (good, binary, missing) = (dir.path().join("good"), dir.path().join("binary"), dir.path().join("missing"));
        let pipe = dir.path().join("pipe");
        let (longest, longer) = (dir.path().join("longest"), dir.path().join("longer"));
        let most = "#".repeat(usize::try_from(LONGEST_ENV_FILE).unwrap());
        fs::write(&longest, &most).unwrap();
        fs::write(&longer, format!("{most}#")).unwrap();
        fs::write(&good, "A=1\n").unwrap();
        fs::write(&binary, [0xff, 0xfe]).unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();

        let engine = FakeEngine::new().with_volume("st_data", &[(STACK, "st")]);
        let (id, _) = engine.create(&ContainerSpec::new("own", "outrigger")).await.unwrap();
        let mut own = engine.inspect(&id.0).await.unwrap();
        let mount = |kind: &str, name: &str| MountPoint {
            kind: kind.into(),
            name: name.into(),
            source: "/s".into(),
            target: "/d".into(),
            writable: true,
        };
        own.mounts = vec![mount("volume", "st_data"), mount("volume", "unknown"), mount("bind", "")];
        let app = component("app", &[&good, &binary, &missing, &longest, &longer], &[&good, dir.path()]);
        let spec = PodSpec {
            init: vec![component("init-1", &[], &[&pipe])],
            components: IndexMap::from([(app.name.clone(), app)]),
            ..PodSpec::default()
        };

        let info = self_info(&engine, own, &spec, &engine.info().await.unwrap()).await.unwrap();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        assert_eq!(info.env_files[&text(&good)], Ok("A=1\n".into()));
        assert_eq!(info.env_files[&text(&binary)], Err("is not UTF-8".into()));
        assert_eq!(info.env_files[&text(&missing)], Err("does not exist".into()));
        assert_eq!(info.env_files[&text(&longest)].as_ref().map(String::len), Ok(1_048_576));
        assert_eq!(info.env_files[&text(&longer)], Err("is longer than 1048576 bytes".into()));
        assert_eq!(info.copy_sources[&text(&good)], Ok(()));
        assert_eq!(info.copy_sources[&text(dir.path())], Ok(()), "a pipe in a directory is left out");
        assert_eq!(info.copy_sources[&text(&pipe)], Err("this is neither a regular file nor a directory".into()));
        assert_eq!(info.volume_aliases, labels(&[("data", "st_data")]));
        assert!(info.environment.contains_key("PATH"));
        // This test does not run in the fake's container.
        assert_eq!(info.cgroup, None);
    }
}
