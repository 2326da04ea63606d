//! What plugins may call: the host's side of `wit/host.wit`. Every function asks the granter first. [`super::bindings`] has what a guest calls, in the types
//! of its version.

pub mod contents;
pub mod grants;
pub mod keys;
pub mod logging;
pub mod metrics;
pub mod place;
pub mod wasi;

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::warn;

use crate::engine::ExecOutput;
use crate::files::read_regular;
use crate::hooks::limits::{DEBOUNCE_MS, LARGEST_FILE, LONGEST_COMMAND_MS, MOST_FILES};
use crate::hooks::{File, FileFacts};
use crate::plugin::answers::Judge;
use crate::plugin::answers::said::{self, FileSaid};
use crate::plugin::imports::grants::Denied;
use crate::plugin::imports::keys::Entry;
use crate::plugin::imports::metrics::Change;
use crate::plugin::instance::clock::Pause;
use crate::plugin::instance::guest::{Guest, Phase, Shared};
use crate::plugin::{PodView, Reply, Request, RequestKind, WatchRequest};
use crate::pod::{Capability, ComponentName};

/// Arguments of `exec.run`, and bytes of them together.
const ARGUMENTS: (usize, usize) = (256, 64 << 10);

/// How long a call waits for an engine that is away or hangs. The wait is not the plugin's time.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// After how many milliseconds a plugin may ask again for something that is not there yet.
const NOT_READY_MS: u32 = 1000;

/// Longest path of a watch, in bytes.
const WATCH_PATH: usize = 4096;

/// Longest secret, in bytes: Swarm's are at most as long.
const SECRET_BYTES: u64 = 512 << 10;

/// Most watches of one plugin.
const WATCHES: usize = 256;

/// The codes of the contract's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The configuration is wrong.
    BadConfig,
    /// A grant is missing, or the call comes too early.
    Denied,
    /// What the call names does not exist.
    NotFound,
    /// Temporary: a later call may succeed.
    NotReady,
    /// A limit on size or number.
    TooBig,
    /// Took too long.
    Timeout,
    /// An argument breaks a rule of the contract.
    Invalid,
    /// Anything else.
    Failed,
}

impl Code {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 8] = [
        Self::BadConfig,
        Self::Denied,
        Self::NotFound,
        Self::NotReady,
        Self::TooBig,
        Self::Timeout,
        Self::Invalid,
        Self::Failed,
    ];

    /// Its word in the contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::BadConfig => "bad-config",
            Self::Denied => "denied",
            Self::NotFound => "not-found",
            Self::NotReady => "not-ready",
            Self::TooBig => "too-big",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }

    /// The code of this word; an unknown one counts as `failed`.
    #[must_use]
    pub fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|code| code.word() == word).unwrap_or(Self::Failed)
    }
}

/// Why a call was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind of error.
    pub code: Code,
    /// The words for the operator.
    pub text: String,
    /// After how many milliseconds another call may succeed.
    pub retry_ms: Option<u32>,
}

impl Refusal {
    /// An error that lasts.
    #[must_use]
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), retry_ms: None }
    }

    fn not_ready(text: &str) -> Self {
        Self { retry_ms: Some(NOT_READY_MS), ..Self::new(Code::NotReady, text) }
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        Self::new(Code::Denied, denied.to_string())
    }
}

fn failed(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::Failed, why)
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::Invalid, why)
}

fn component_name(name: &str) -> Result<ComponentName, Refusal> {
    ComponentName::new(name).map_err(|error| invalid(error.to_string()))
}

/// Who calls. Apart from the store, so that a call may wait without it.
pub struct Caller {
    shared: Arc<Shared>,
    phase: Phase,
    /// None where the hook must not wait.
    pause: Option<Arc<Pause>>,
}

impl Caller {
    fn allowed(&self, capability: Capability, scope: &str) -> Result<(), Refusal> {
        self.running(capability)?;
        Ok(self.shared.granter.check(capability, scope)?)
    }

    /// Before the first hook nothing is granted; whose part a call needs is checked with the call.
    fn running(&self, capability: Capability) -> Result<(), Refusal> {
        if self.phase == Phase::Running {
            return Ok(());
        }
        Err(Refusal::new(Code::Denied, format!("`{capability}` cannot be used before the first hook")))
    }

    async fn ask<T>(&self, kind: impl FnOnce(Reply<T>) -> RequestKind) -> Result<T, Refusal> {
        let Some(link) = &self.shared.link else { return Err(failed("there is no pod")) };
        if !link.served.load(Ordering::Relaxed) {
            return Err(Refusal::not_ready("no component has been created yet"));
        }
        let (reply, answer) = oneshot::channel();
        let request = Request { plugin: self.shared.granter.plugin().clone(), kind: kind(reply) };
        link.requests.send(request).await.map_err(|_| failed("the pod is ending"))?;
        answer.await.map_err(|_| failed("the pod is ending"))?.map_err(failed)
    }

    /// Asks for something that only the engine has to do. The plugin's clock stands meanwhile, because an outage is not the plugin's fault: each call to the
    /// engine has a deadline of its own, and whoever serves the request repeats the call until the engine is back.
    async fn ask_engine<T>(&self, kind: impl FnOnce(Reply<T>) -> RequestKind) -> Result<T, Refusal> {
        let _paused = self.pause.as_ref().map(Pause::begin);
        let answer = tokio::time::timeout(LONGEST_WAIT, self.ask(kind)).await;
        answer.unwrap_or_else(|_| {
            Err(Refusal::new(Code::Timeout, format!("the engine did not answer within {LONGEST_WAIT:?}")))
        })
    }

    /// `signals.send`.
    ///
    /// # Errors
    /// See [`Refusal`]; so for all of these.
    pub async fn send_signal(&self, component: &str, signal: u8) -> Result<(), Refusal> {
        self.allowed(Capability::Signals, component)?;
        if !(1..=64).contains(&signal) {
            return Err(invalid(format!("there is no signal {signal}")));
        }
        let component = component_name(component)?;
        self.ask_engine(|reply| RequestKind::Signal { component, signal: i32::from(signal), reply }).await
    }

    /// `files.inspect`.
    pub async fn inspect(&self, component: &str, paths: Vec<String>) -> Result<Vec<Option<FileFacts>>, Refusal> {
        if paths.len() > MOST_FILES {
            return Err(Refusal::new(Code::TooBig, format!("a call can describe at most {MOST_FILES} files")));
        }
        for path in &paths {
            self.allowed(Capability::Files, &format!("{component}:{path}"))?;
        }
        let component = component_name(component)?;
        self.ask_engine(|reply| RequestKind::Inspect { component, paths, reply }).await
    }

    /// `files.read`.
    pub async fn read(&self, component: &str, path: String, limit: u32) -> Result<File, Refusal> {
        self.allowed(Capability::Files, &format!("{component}:{path}"))?;
        let component = component_name(component)?;
        let limit = limit.min(LARGEST_FILE) as usize;
        self.ask_engine(|reply| RequestKind::Read { component, path, limit, reply }).await
    }

    /// `files.write`.
    pub async fn write(&self, file: FileSaid) -> Result<(), Refusal> {
        self.allowed(Capability::Files, &format!("{}:{}", file.component, file.path))?;
        let file = file.checked().map_err(invalid)?;
        self.ask_engine(|reply| RequestKind::Write { file, reply }).await
    }

    /// `exec.run`.
    pub async fn run(&self, component: &str, argv: Vec<String>, timeout_ms: u32) -> Result<ExecOutput, Refusal> {
        self.allowed(Capability::Exec, component)?;
        let component = component_name(component)?;
        let bytes: usize = argv.iter().map(String::len).sum();
        if argv.is_empty() || argv.len() > ARGUMENTS.0 || bytes > ARGUMENTS.1 {
            return Err(invalid(format!(
                "a command must have 1 to {} words, and at most {} bytes in total",
                ARGUMENTS.0, ARGUMENTS.1
            )));
        }
        let timeout = Duration::from_millis(u64::from(timeout_ms.min(LONGEST_COMMAND_MS)));
        self.ask(|reply| RequestKind::Exec { component, argv, timeout, reply }).await
    }

    /// `watch.add`.
    pub async fn watch(&self, source: String, debounce_ms: u32, max_delay_ms: u32) -> Result<(), Refusal> {
        match self.phase {
            Phase::Describe => return Err(Refusal::new(Code::Denied, "`watch` cannot be used in `describe`")),
            // What will be granted follows from this very call of `configure`; the next one, with grants, counts.
            Phase::Trial => return Ok(self.shared.granter.check_manifest(Capability::Watch, &source)?),
            Phase::Configure | Phase::Running => self.shared.granter.check(Capability::Watch, &source)?,
        }
        if source.len() > WATCH_PATH {
            return Err(Refusal::new(Code::TooBig, format!("the path of a watch can have at most {WATCH_PATH} bytes")));
        }
        let (least, longest) = DEBOUNCE_MS;
        if !(least..=longest).contains(&debounce_ms) || max_delay_ms < debounce_ms {
            return Err(invalid(format!(
                "`debounce-ms` must be from {least} to {longest}, and `max-delay-ms` at least `debounce-ms`"
            )));
        }
        let request = WatchRequest {
            plugin: self.shared.granter.plugin().clone(),
            source,
            debounce: Duration::from_millis(u64::from(debounce_ms)),
            max_delay: Duration::from_millis(u64::from(max_delay_ms)),
        };
        // Every instance of a plugin is configured alike, and again after a restart: one watch is enough.
        match self.shared.note_watch(&request, WATCHES) {
            None => return Err(Refusal::new(Code::TooBig, format!("a plugin can have at most {WATCHES} watches"))),
            Some(new) if !new || self.phase == Phase::Configure => return Ok(()),
            Some(_) => {}
        }
        let Some(link) = &self.shared.link else { return Err(failed("there is no pod")) };
        link.watches.send(request).await.map_err(|_| failed("the pod is ending"))
    }

    /// `watch.put-off`: only a report has files to put off.
    pub fn put_off(&self, paths: Vec<String>) -> Result<(), Refusal> {
        for path in paths.iter().take(MOST_FILES) {
            self.allowed(Capability::Watch, path)?;
        }
        let mut put_off = self.shared.put_off.lock().unwrap_or_else(PoisonError::into_inner);
        put_off.extend(paths);
        // Of one report only.
        put_off.truncate(MOST_FILES);
        Ok(())
    }

    /// `pod.view`.
    pub fn view(&self) -> Result<Arc<PodView>, Refusal> {
        self.allowed(Capability::Pod, "*")?;
        Ok(self.shared.link.as_ref().map(|link| Arc::clone(&link.pod.borrow())).unwrap_or_default())
    }

    /// `state.get`.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, Refusal> {
        self.allowed(Capability::State, "*")?;
        self.shared.keys.get(key).await
    }

    /// `state.set`.
    pub async fn set(&self, key: String, value: Vec<u8>) -> Result<u64, Refusal> {
        self.allowed(Capability::State, "*")?;
        self.shared.keys.set(key, value).await
    }

    /// `state.swap`.
    pub async fn swap(&self, key: String, version: u64, value: Vec<u8>) -> Result<Option<u64>, Refusal> {
        self.allowed(Capability::State, "*")?;
        self.shared.keys.swap(key, version, value).await
    }

    /// `state.delete`.
    pub async fn delete(&self, key: &str) -> Result<(), Refusal> {
        self.allowed(Capability::State, "*")?;
        self.shared.keys.delete(key).await
    }

    /// `state.keys`.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>, Refusal> {
        self.allowed(Capability::State, "*")?;
        self.shared.keys.keys(prefix).await
    }

    /// `verdicts.report`.
    pub async fn report(&self, judgements: Vec<said::Judgement>) -> Result<(), Refusal> {
        self.running(Capability::Verdicts)?;
        let judgements = self.judged(|judge| judge.judgements(judgements))?;
        self.ask(|reply| RequestKind::Report { judgements, reply }).await
    }

    /// `rollouts.start`.
    pub async fn roll_out(&self, rollout: said::Rollout) -> Result<String, Refusal> {
        self.running(Capability::Files)?;
        let Some(rollout) = self.judged(|judge| judge.rollout(Some(rollout)))? else {
            return Err(invalid("there is no rollout"));
        };
        self.ask(|reply| RequestKind::Rollout { rollout, reply }).await
    }

    /// Checks an argument as the answer of a hook is checked.
    fn judged<T>(&self, check: impl FnOnce(&Judge<'_>) -> Result<T, String>) -> Result<T, Refusal> {
        let view = self.shared.link.as_ref().map(|link| Arc::clone(&link.pod.borrow())).unwrap_or_default();
        check(&Judge { granter: &self.shared.granter, view: &view }).map_err(invalid)
    }

    /// `secret.get`.
    pub async fn secret(&self, name: &str) -> Result<Vec<u8>, Refusal> {
        self.allowed(Capability::Secret, name)?;
        let Some(directory) = self.shared.place.secrets() else {
            return Err(Refusal::new(Code::NotFound, "the plugin gets secrets only in the controller"));
        };
        let path = directory.join(name);
        let read = tokio::task::spawn_blocking(move || read_regular(&path, SECRET_BYTES)).await;
        match read.map_err(io::Error::other).flatten() {
            Ok((content, _)) => Ok(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Refusal::new(Code::NotFound, format!("the controller has no secret `{name}`")))
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(Refusal::new(Code::TooBig, format!("secret `{name}` has more than {SECRET_BYTES} bytes")))
            }
            Err(error) => Err(failed(format!("cannot read secret `{name}`: {error}"))),
        }
    }

    /// `metrics`. What is refused or does not fit is dropped, and logged once.
    pub fn measure(&self, name: &str, labels: &[(String, String)], change: Change) {
        let plugin = self.shared.granter.plugin();
        if let Err(refusal) = self.allowed(Capability::Metrics, "*") {
            if self.shared.say_once() {
                warn!(%plugin, metric = name, why = refusal.text, "metrics of the plugin are dropped");
            }
            return;
        }
        if let Err(why) = self.shared.metrics.change(plugin, name, labels, change)
            && self.shared.say_once()
        {
            warn!(%plugin, metric = name, why, "a metric of the plugin was dropped; further drops are not logged");
        }
    }
}

impl Guest {
    /// Who calls.
    pub fn caller(&self) -> Caller {
        Caller {
            shared: Arc::clone(&self.shared),
            phase: self.phase,
            pause: self.is_patient.then(|| Arc::clone(&self.pause)),
        }
    }
}
