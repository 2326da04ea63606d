//! The host: one engine, made when the first plugin is loaded, and the way from a plugin's file to something that can be instantiated.

pub mod cache;
pub mod contract;
mod machine_code;
pub mod manifest;
pub mod stock;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sha2::{Digest, Sha256};
use tracing::{debug, info, warn};
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine};

use crate::config::Timeouts;
use crate::files::read_regular;
use crate::hooks::Hook;
use crate::plugin::bindings;
use crate::plugin::error::PluginError;
use crate::plugin::host::cache::{Cache, Trusted};
use crate::plugin::host::manifest::{Inspected, Manifest};
use crate::plugin::imports::grants::Granter;
use crate::plugin::imports::keys::Keys;
use crate::plugin::imports::metrics::Metrics;
use crate::plugin::imports::place::Place;
use crate::plugin::imports::wasi::{self, Wasi};
use crate::plugin::instance::call::Failure;
use crate::plugin::instance::clock::{Budget, Clock};
use crate::plugin::instance::guest::{Guest, Shared};
use crate::plugin::instance::{Indices, Instance, Recipe};
use crate::pod::{PluginName, PluginSource};

/// The wasmtime that compiled plugins fit; a part of the cache's keys.
const WASMTIME: &str = "48.0.8";

/// Largest plugin: the biggest language runtimes make components of some 20 MB.
const LARGEST: u64 = 64 << 20;

/// Address space for each linear memory; nothing of it is used before the guest does. The default of 4 GiB would make a pod look huge.
const RESERVED: u64 = 64 << 20;

/// Address space for the stack of a guest that is waiting, and how much of it WebAssembly may use.
const STACK: (usize, usize) = (1 << 20, 512 << 10);

/// Linear memory of an instance, if neither the pod nor the manifest names more: enough for Rust and C.
pub const DEFAULT_MEMORY: u64 = 32 << 20;

/// Linear memory of the instance that is asked for its manifest, before it is known what its language needs: enough for most language runtimes.
pub const DESCRIBE_MEMORY: u64 = 128 << 20;

/// The source of machine code that was made just now.
const COMPILED: &str = "the compiler";

/// Where the host keeps its files. All are absolute.
#[derive(Debug, Clone)]
pub struct HostDirs {
    /// Stock plugins compiled ahead of time, written by root when the image was built.
    pub precompiled: PathBuf,
    /// Plugins that this host compiled; made with mode 0700 when it is needed.
    pub cache: PathBuf,
    /// The plugins' key-value stores.
    pub state: PathBuf,
}

/// Loads plugins. Costs nothing before the first one. Clones are the same host.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    dirs: HostDirs,
    timeouts: Timeouts,
    place: Place,
    runtime: Mutex<Option<Arc<Runtime>>>,
}

/// What all plugins share once there is one.
struct Runtime {
    engine: Engine,
    linker: Linker<Guest>,
    clock: Arc<Clock>,
    cache: Cache,
    settings: String,
}

/// A plugin that has been loaded and looked at, but was not configured.
pub struct Loaded {
    /// How to make instances.
    pub recipe: Arc<Recipe>,
    /// What it says of itself, and what it is made of.
    pub seen: Inspected,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("dirs", &self.0.dirs).finish_non_exhaustive()
    }
}

impl Host {
    /// A host with these directories and default deadlines.
    ///
    /// # Errors
    /// Where a directory is not absolute: it would mean another place after a change of the working directory.
    pub fn new(dirs: HostDirs, timeouts: Timeouts, place: Place) -> Result<Self, PluginError> {
        for dir in [&dirs.precompiled, &dirs.cache, &dirs.state] {
            if !dir.is_absolute() {
                return Err(PluginError::Engine { reason: format!("`{}` is not an absolute path", dir.display()) });
            }
        }
        Ok(Self(Arc::new(Inner { dirs, timeouts, place, runtime: Mutex::new(None) })))
    }

    /// The default deadlines.
    #[must_use]
    pub fn timeouts(&self) -> &Timeouts {
        &self.0.timeouts
    }

    /// Where it calls them.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0.place
    }

    /// A plugin's keys; they remain where this is the pod's controller.
    #[must_use]
    pub fn keys_of(&self, plugin: &PluginName) -> Keys {
        Keys::new(self.0.place.is_controller().then(|| self.0.dirs.state.join(format!("{plugin}.keys"))))
    }

    /// Compiles a plugin for any machine of this architecture, for the image's directory of stock plugins. Blocks.
    ///
    /// # Errors
    /// Where it is not a component, or can't be compiled.
    pub fn precompile(&self, wasm: &[u8]) -> Result<Vec<u8>, PluginError> {
        recognised(wasm)?;
        let mut config = settings();
        // Naming the target keeps the compiler from using what only this machine's CPU has.
        let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        config.target(&target).map_err(|error| engine_error(&error))?;
        let engine = Engine::new(&config).map_err(|error| engine_error(&error))?;
        engine.precompile_component(wasm).map_err(|error| broken(&error))
    }

    /// Looks at a plugin: loads it and calls `describe`, without any grant. `memory` limits the instance, in bytes; none: [`DESCRIBE_MEMORY`].
    ///
    /// # Errors
    /// [`PluginError`] says why it can't be used.
    pub async fn inspect(
        &self,
        source: &PluginSource,
        name: &PluginName,
        memory: Option<u64>,
    ) -> Result<Inspected, PluginError> {
        Ok(self.load(source, name, memory).await?.seen)
    }

    /// Loads a plugin and asks it what it is. Compiles away from the runtime's thread.
    ///
    /// # Errors
    /// [`PluginError`] says why it can't be used.
    pub async fn load(
        &self,
        source: &PluginSource,
        name: &PluginName,
        memory: Option<u64>,
    ) -> Result<Loaded, PluginError> {
        let (host, from, called) = (self.clone(), source.clone(), name.clone());
        let prepared = tokio::task::spawn_blocking(move || host.prepare(&from, &called)).await;
        let prepared = prepared.map_err(|error| PluginError::Engine { reason: error.to_string() })??;
        let budget = self.start_budget();
        let granter = Arc::new(Granter::nothing(name.clone()));
        let failed = |step| move |failure: Failure| PluginError::Failed { step, reason: failure.reason() };
        let wasi = Wasi::new(&granter, &self.0.place).map_err(|reason| PluginError::Engine { reason })?;
        let shared = Arc::new(Shared {
            granter,
            place: self.0.place.clone(),
            link: None,
            keys: Keys::new(None),
            metrics: Metrics::default(),
            watches: Mutex::default(),
            dropped_metrics: false.into(),
            put_off: Mutex::default(),
        });
        let memory = memory.unwrap_or_else(|| DESCRIBE_MEMORY.max(prepared.memory));
        let mut instance =
            Instance::start(&prepared.recipe, shared, memory, wasi, budget).await.map_err(failed("start"))?;
        let manifest = instance.describe(budget).await.map_err(failed("describe"))?;
        let manifest = manifest.map_err(|what| PluginError::Manifest { what })?;
        let seen = Inspected {
            manifest: Manifest::new(manifest, &prepared.hooks)?,
            hooks: prepared.hooks,
            imports: prepared.imports,
            size: prepared.size,
            digest: prepared.digest,
        };
        Ok(Loaded { recipe: prepared.recipe, seen })
    }

    /// For everything that happens before the first hook.
    #[must_use]
    pub fn start_budget(&self) -> Budget {
        Budget { cpu: self.0.timeouts.wait_hook_cpu, wall: self.0.timeouts.wait_hook }
    }

    fn runtime(&self) -> Result<Arc<Runtime>, PluginError> {
        let mut slot = self.0.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*slot {
            return Ok(Arc::clone(runtime));
        }
        let engine = Engine::new(&settings()).map_err(|error| engine_error(&error))?;
        let mut linker = Linker::new(&engine);
        bindings::v0_1::imports::link(&mut linker)
            .and_then(|()| wasi::link(&mut linker))
            .map_err(|error| engine_error(&error))?;
        let clock = Clock::start(&engine).map_err(|error| PluginError::Engine { reason: error.to_string() })?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let settings = format!("{WASMTIME}-{:016x}", hasher.finish());
        let cache = Cache::new(self.0.dirs.cache.clone());
        let runtime = Arc::new(Runtime { engine, linker, clock, cache, settings });
        *slot = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    fn prepare(&self, source: &PluginSource, name: &PluginName) -> Result<Prepared, PluginError> {
        let wasm = match source {
            PluginSource::Stock => stock::wasm(name.as_str()).map(std::borrow::Cow::Borrowed).ok_or_else(|| {
                let known: Vec<_> = stock::NAMES.iter().map(|name| format!("`{name}`")).collect();
                PluginError::NoStock { name: name.to_string(), known: known.join(", ") }
            })?,
            PluginSource::File(path) => read(path)?.into(),
        };
        recognised(&wasm)?;
        // Before anything is compiled: a refusal must not cost half a minute.
        let (hooks, imports) = contract::check(&wasm)?;
        let runtime = self.runtime()?;
        let digest = hex::encode(Sha256::digest(&wasm));
        let began = Instant::now();
        let ahead = match source {
            PluginSource::Stock => runtime.ahead(&self.0.dirs.precompiled.join(format!("{name}.cwasm"))),
            PluginSource::File(_) => runtime.ahead(&self.0.dirs.precompiled.join(format!("{digest}.cwasm"))),
        };
        let (component, from) = match ahead {
            Some(component) => (component, "machine code of the image"),
            None => runtime.compiled(&wasm, &digest, name)?,
        };
        let took = format!("{:.0} ms", began.elapsed().as_secs_f64() * 1000.0);
        info!(plugin = %name, bytes = wasm.len(), digest = digest.get(..12), from, took, "the plugin is loaded");
        let pre = runtime
            .linker
            .instantiate_pre(&component)
            .map_err(|error| PluginError::Mismatch { reason: format!("{error:#}") })?;
        let indices =
            Indices::new(&pre, &hooks).map_err(|error| PluginError::Mismatch { reason: format!("{error:#}") })?;
        let recipe = Recipe { engine: runtime.engine.clone(), clock: Arc::clone(&runtime.clock), pre, indices };
        let memory = component.resources_required().and_then(|needs| needs.max_initial_memory_size).unwrap_or_default();
        Ok(Prepared { recipe: Arc::new(recipe), hooks, imports, size: wasm.len() as u64, digest, memory })
    }
}

struct Prepared {
    recipe: Arc<Recipe>,
    hooks: Vec<Hook>,
    imports: Vec<String>,
    size: u64,
    digest: String,
    /// What the largest of its memories has from the start: a language runtime's may be more than the default limit.
    memory: u64,
}

impl Runtime {
    /// A plugin's code from the image, if it is there and fits.
    fn ahead(&self, path: &Path) -> Option<Component> {
        let loaded = Trusted::check(path)
            .map_err(|error| (error.kind() == io::ErrorKind::NotFound, error.to_string()))
            .and_then(|file| machine_code::load(&self.engine, &file).map_err(|error| (false, format!("{error:#}"))));
        match loaded {
            Ok(component) => Some(component),
            Err((true, _)) => None,
            Err((false, why)) => {
                warn!(file = %path.display(), why, "cannot use the compiled plugin; the controller compiles the plugin again");
                None
            }
        }
    }

    /// The component from the cache, else compiled into it.
    fn compiled(
        &self,
        wasm: &[u8],
        digest: &str,
        plugin: &PluginName,
    ) -> Result<(Component, &'static str), PluginError> {
        let key = format!("{digest}-{}", self.settings);
        match self.cache.find(&key) {
            Ok(file) => match machine_code::load(&self.engine, &file) {
                Ok(component) => return Ok((component, "machine code of the cache")),
                Err(error) => {
                    debug!(%error, "the cached plugin does not match; the controller compiles the plugin again")
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                // Someone else could have written what is there.
                warn!(%error, "cannot use the cache of compiled plugins");
                let component = Component::from_binary(&self.engine, wasm).map_err(|error| broken(&error))?;
                return Ok((component, COMPILED));
            }
        }
        // A language runtime takes half a minute: whoever waits for the pod must know why.
        info!(%plugin, bytes = wasm.len(), digest = digest.get(..12), "compiling the plugin");
        let began = Instant::now();
        let code = self.engine.precompile_component(wasm).map_err(|error| broken(&error))?;
        let took = format!("{:.1} s", began.elapsed().as_secs_f64());
        info!(%plugin, took, machine_code_bytes = code.len(), "the plugin is compiled");
        let loaded = self
            .cache
            .put(&key, &code)
            .map_err(|error| error.to_string())
            .and_then(|file| machine_code::load(&self.engine, &file).map_err(|error| format!("{error:#}")));
        let component = loaded.or_else(|why| {
            warn!(why, "cannot cache the compiled plugin; the controller compiles the plugin at every start");
            Component::from_binary(&self.engine, wasm).map_err(|error| broken(&error))
        });
        component.map(|component| (component, COMPILED))
    }
}

/// What every engine of this host has in common; compiled code fits only an engine with the same.
fn settings() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // Hooks are plain functions; without it a call costs a fifth, and a whole class of bugs can't be reached.
    config.concurrency_support(false);
    config.memory_reservation(RESERVED);
    config.memory_reservation_for_growth(RESERVED);
    config.async_stack_size(STACK.0);
    config.max_wasm_stack(STACK.1);
    config
}

fn engine_error(error: &wasmtime::Error) -> PluginError {
    PluginError::Engine { reason: format!("{error:#}") }
}

fn broken(error: &wasmtime::Error) -> PluginError {
    PluginError::Broken { reason: format!("{error:#}") }
}

fn read(path: &str) -> Result<Vec<u8>, PluginError> {
    let named = || path.to_owned();
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => PluginError::Missing { path: named() },
        io::ErrorKind::FileTooLarge => PluginError::TooBig { path: named(), limit: LARGEST },
        _ => PluginError::Unreadable { path: named(), source },
    };
    // A pipe would hold up the start for ever, and a link in a shared volume may lead to a file that is the controller's alone.
    read_regular(Path::new(path), LARGEST).map(|(content, _)| content).map_err(unreadable)
}

/// Tells a component from everything else.
fn recognised(wasm: &[u8]) -> Result<(), PluginError> {
    if Engine::detect_precompiled(wasm).is_some() {
        return Err(PluginError::MachineCode);
    }
    match wasm.split_first_chunk::<8>() {
        // The magic number, then the format's version, then 0 for a module and 1 for a component.
        Some(([0, b'a', b's', b'm', _, _, 1, 0], _)) => Ok(()),
        Some(([0, b'a', b's', b'm', _, _, 0, 0], _)) => Err(PluginError::CoreModule),
        _ => Err(PluginError::NotWasm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_key_names_the_wasmtime_that_is_linked() {
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{WASMTIME}\"\n")));
    }

    #[test]
    fn formats_are_told_apart() {
        assert!(matches!(recognised(b""), Err(PluginError::NotWasm)));
        assert!(matches!(recognised(b"(component)"), Err(PluginError::NotWasm)));
        assert!(matches!(recognised(b"\0asm\x01\0\0\0"), Err(PluginError::CoreModule)));
        assert!(recognised(b"\0asm\x0d\0\x01\0").is_ok());
        let code = Engine::new(&settings()).unwrap().precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        assert!(matches!(recognised(&code), Err(PluginError::MachineCode)));
    }

    /// The smallest component there is.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn host(dir: &Path) -> Host {
        let [precompiled, cache, state] = ["plugins", "cache", "state"].map(|name| dir.join(name));
        Host::new(HostDirs { precompiled, cache, state }, Timeouts::default(), Place::Controller).unwrap()
    }

    #[test]
    fn directories_are_absolute() {
        let dirs = HostDirs { precompiled: "/p".into(), cache: "cache".into(), state: "/s".into() };
        let error = Host::new(dirs, Timeouts::default(), Place::Controller).unwrap_err().to_string();
        assert!(error.ends_with("`cache` is not an absolute path"), "{error}");
    }

    #[test]
    fn code_from_the_image_is_used_where_it_fits_and_only_its_owner_writes_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let host = host(dir.path());
        let runtime = host.runtime().unwrap();
        let file = host.0.dirs.precompiled.join("x.cwasm");
        assert!(runtime.ahead(&file).is_none(), "there is none");
        std::fs::create_dir(&host.0.dirs.precompiled).unwrap();
        let write = |content: &[u8], mode| {
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let code = host.precompile(EMPTY).unwrap();
        write(&code, 0o644);
        assert!(runtime.ahead(&file).is_some());
        write(&code, 0o666);
        assert!(runtime.ahead(&file).is_none(), "others can write it");
        write(b"no machine code", 0o644);
        assert!(runtime.ahead(&file).is_none(), "it is something else");
        let other = Engine::new(Config::new().epoch_interruption(false)).unwrap();
        write(&other.precompile_component(EMPTY).unwrap(), 0o644);
        assert!(runtime.ahead(&file).is_none(), "it was compiled with other settings");
    }

    #[test]
    fn imports_are_refused_before_an_engine_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (host, file) = (host(dir.path()), dir.path().join("x.wasm"));
        // Imports a function of a type that does not exist.
        std::fs::write(&file, b"\0asm\x0d\0\x01\0\x0a\x08\x01\0\x03env\x01\0").unwrap();
        let source = PluginSource::File(file.to_string_lossy().into_owned());
        let refused = host.prepare(&source, &PluginName::new("x").unwrap()).err().unwrap();
        assert!(matches!(refused, PluginError::UnknownImport { .. }), "{refused}");
        assert!(host.0.runtime.lock().unwrap().is_none());
    }

    #[test]
    fn what_was_compiled_once_is_taken_from_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let host = host(dir.path());
        let (runtime, plugin) = (host.runtime().unwrap(), PluginName::new("x").unwrap());
        assert!(runtime.compiled(EMPTY, "digest", &plugin).is_ok());
        let files = || std::fs::read_dir(&host.0.dirs.cache).unwrap().count();
        assert_eq!(files(), 1);
        // Not WebAssembly, so this can't have been compiled.
        assert!(runtime.compiled(b"", "digest", &plugin).is_ok());
        // A damaged entry is replaced.
        let entry = std::fs::read_dir(&host.0.dirs.cache).unwrap().next().unwrap().unwrap().path();
        std::fs::remove_file(&entry).unwrap();
        std::fs::write(&entry, b"damaged").unwrap();
        assert!(runtime.compiled(EMPTY, "digest", &plugin).is_ok());
        assert_ne!(std::fs::read(&entry).unwrap(), b"damaged");
        assert_eq!(files(), 1);
    }
}
