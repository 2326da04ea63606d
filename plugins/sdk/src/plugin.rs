//! The traits: one for every plugin, and one for each hook.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    Batch, Change, Decision, Error, Event, EventKind, File, FileVerdict, Judgement, Manifest, Outcome, Problems,
    Reaction, Rollout, Trigger, Verdict, Want,
};

/// Every plugin.
pub trait Plugin: Sized + 'static {
    /// What users write under `config:`. [`NoConfig`] where there is nothing to configure.
    type Config: DeserializeOwned;

    /// What the plugin is. Pure and quick: `plan`, `check` and `plugin inspect` call it too, without any grant.
    fn manifest() -> Manifest;

    /// Makes an instance, before any hook. There may be several: one for each class of hooks, and a new one after a trap or with a new configuration; they
    /// share no memory, unless [`Manifest::one_instance`] is set. [`crate::host::setup`] has the rest of the setup. Of the host only [`crate::host::watch`] and
    /// [`crate::host::log`] may be called from here: a plan is made, and checked, before there is a pod.
    ///
    /// # Errors
    /// All mistakes that the schema can't find.
    fn new(config: Self::Config) -> Result<Self, Problems>;

    /// The wants that follow from this configuration, each within the manifest's. Asked right after [`Plugin::new`].
    fn wants(&self) -> Vec<Want> {
        Vec::new()
    }

    /// The kinds of events for which [`ComponentEvent`] is called; none: those of a component's life, from `created` to `removed`.
    fn events(&self) -> Option<&[EventKind]> {
        None
    }
}

/// The configuration of a plugin that takes none.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Hook `pre-start`: changes the plan before anything is created.
pub trait PreStart: Plugin {
    /// Gets the plan in the form of `pod.yaml` and answers an overlay of the same form, or nothing. Needs `plan` for each part that it sets.
    ///
    /// # Errors
    /// Ends the start, unless the pod's `on-error` says otherwise.
    fn on_pre_start(&mut self, plan: &Value) -> Result<Option<Value>, Error>;
}

/// Hook `config-copy`: sees every file on its way into a component. Needs `copies`.
pub trait ConfigCopy: Plugin {
    /// `source` is the file's path in the controller, or `plugin:<name>`.
    ///
    /// # Errors
    /// Ends the pod, or, where `on-error` ignores it, copies the file as it is. [`FileVerdict::Skip`] leaves a file out.
    fn on_copy(&mut self, source: &str, file: File) -> Result<FileVerdict, Error>;
}

/// Hook `health`: probes and judges. Needs `verdicts`.
pub trait Health: Plugin {
    /// Answers what changed or holds; the last judgement about each component counts until the next one.
    ///
    /// # Errors
    /// As `on-error` says: the pod ends, the plugin is started again and asked again, or nothing is judged, and what was said before still counts.
    fn on_check(&mut self, why: Trigger) -> Result<Vec<Judgement>, Error>;
}

/// Hook `log-line`: sees every line of the components' output. Needs `lines`.
pub trait LogLine: Plugin {
    /// At most 256 lines or 64 KiB, never older than 20 ms. Answer with [`crate::Edit`]: what it does not name stays as it is and never travels back.
    ///
    /// # Errors
    /// As `on-error` says: the plugin is started again and gets the same batch again, the lines stay as they are, or the pod ends.
    fn on_batch(&mut self, batch: &Batch) -> Result<Verdict, Error>;
}

/// Hook `signal`: decides what a signal to the controller means. Needs `on-signals`.
pub trait Signal: Plugin {
    /// Linux's number. A second SIGTERM or SIGINT is never asked about.
    ///
    /// # Errors
    /// As [`Decision::Forward`], or the pod ends, as `on-error` says.
    fn on_signal(&mut self, signal: u8) -> Result<Decision, Error>;
}

/// Hook `component-event`: sees what happens to the components. Needs `exits`.
pub trait ComponentEvent: Plugin {
    /// The reaction counts only for an exit.
    ///
    /// # Errors
    /// As [`Reaction::AsPlanned`], or the pod ends, as `on-error` says.
    fn on_event(&mut self, event: &Event) -> Result<Reaction, Error>;
}

/// Hook `config-changed`: decides what a changed file means.
pub trait ConfigChanged: Plugin {
    /// All that changed within the debounce time, together; once at the start of the pod, too, for what is there already. The host carries the rollout
    /// out as one transaction.
    ///
    /// # Errors
    /// As `on-error` says: nothing is rolled out and the pod goes on, or the pod ends. For a file that is wrong, answer a rollout whose `validate` says so, or
    /// nothing; an error is for what the plugin itself can't do.
    fn on_change(&mut self, changes: Vec<Change>) -> Result<Option<Rollout>, Error>;

    /// The end of a rollout of this plugin.
    ///
    /// # Errors
    /// Are logged.
    fn on_outcome(&mut self, outcome: &Outcome) -> Result<(), Error> {
        let _ = outcome;
        Ok(())
    }
}

/// Hook `tick`: is called from time to time.
pub trait Tick: Plugin {
    /// Answers after how long to be called next, less than 10 ms counting as 10 ms; none: never again. First called right after the pod has started.
    ///
    /// # Errors
    /// [`Error::retry`] says when to call again.
    fn on_tick(&mut self) -> Result<Option<Duration>, Error>;
}
