//! What a plugin says about itself.

use serde_json::{Value, json};

use crate::EventKind;

/// A plugin's name, version, configuration schema, and everything of the host that it may ever use.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// As in `plugins:`.
    pub name: String,
    /// By semantic versioning.
    pub version: String,
    /// What it does, in one sentence.
    pub summary: String,
    /// JSON Schema (2020-12) of the configuration; the host checks the configuration against it before [`crate::Plugin::new`].
    pub schema: String,
    /// What is not asked for here can't be granted.
    pub wants: Vec<Want>,
    /// The least version of Outrigger that the plugin works with.
    pub host: Option<String>,
    /// Memory that the plugin needs to start, in MiB: 1 to 512. Without it, an instance has 32 MiB, unless the pod says otherwise.
    pub memory_mib: Option<u32>,
    /// Time that the plugin needs to start, in milliseconds: 1 to 60,000.
    pub start_ms: Option<u32>,
    /// Whether all hooks share one instance, and so its memory. A hook that waits then delays all others.
    pub one_instance: bool,
}

impl Manifest {
    /// A manifest that asks for nothing and takes no configuration.
    pub fn new(name: impl Into<String>, version: impl Into<String>, summary: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            summary: summary.into(),
            schema: r#"{"type": "object", "additionalProperties": false}"#.to_owned(),
            wants: Vec::new(),
            host: None,
            memory_mib: None,
            start_ms: None,
            one_instance: false,
        }
    }

    /// Sets the schema of the configuration: JSON text, most often by `include_str!`.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// Asks for something of the host. May be wide (`*`): [`crate::Plugin::wants`] says what a configuration really needs.
    #[must_use]
    pub fn want(mut self, want: Want) -> Self {
        self.wants.push(want);
        self
    }
}

/// Something of the host that a plugin would use. Required, unless [`Want::optional`] is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// A word of the capability table.
    pub capability: String,
    /// In that capability's own form.
    pub scope: String,
    /// In words, for the person who decides about the grant.
    pub reason: String,
    /// A pod that does not grant it is refused before anything starts.
    pub required: bool,
}

impl Want {
    /// Any capability, by its name.
    pub fn new(capability: impl Into<String>, scope: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { capability: capability.into(), scope: scope.into(), reason: reason.into(), required: true }
    }

    /// The plugin does useful work without it, too.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// To read and change the lines of a component, or of all with `*`: without it, [`crate::LogLine`] is not called.
    pub fn lines(component: &str, reason: impl Into<String>) -> Self {
        Self::new("lines", component, reason)
    }

    /// To read and change files on their way into a component (`*` for all) at or below an absolute path: without it, [`crate::ConfigCopy`] is not called.
    pub fn copies(component: &str, prefix: &str, reason: impl Into<String>) -> Self {
        Self::new("copies", format!("{component}:{prefix}"), reason)
    }

    /// To see the events of a component, or of all with `*`, and to decide about its exits: without it, [`crate::ComponentEvent`] is not called.
    pub fn exits(component: &str, reason: impl Into<String>) -> Self {
        Self::new("exits", component, reason)
    }

    /// To judge a component, or with `*` all of them and the pod: without it, [`crate::Health`] is not called.
    pub fn verdicts(component: &str, reason: impl Into<String>) -> Self {
        Self::new("verdicts", component, reason)
    }

    /// To decide about signals that the controller receives: without it, [`crate::Signal`] is not called. Delivering one needs [`Want::signals`], too.
    pub fn on_signals(reason: impl Into<String>) -> Self {
        Self::new("on-signals", "*", reason)
    }

    /// To read the pod's own spec and state.
    pub fn pod(reason: impl Into<String>) -> Self {
        Self::new("pod", "*", reason)
    }

    /// To send signals to a component, or to all with `*`.
    pub fn signals(component: &str, reason: impl Into<String>) -> Self {
        Self::new("signals", component, reason)
    }

    /// To read and write files of a component (`*` for all) at or below an absolute path.
    pub fn files(component: &str, prefix: &str, reason: impl Into<String>) -> Self {
        Self::new("files", format!("{component}:{prefix}"), reason)
    }

    /// To run commands in a component, or in all with `*`.
    pub fn exec(component: &str, reason: impl Into<String>) -> Self {
        Self::new("exec", component, reason)
    }

    /// To be told of changes at or below an absolute path of the controller.
    pub fn watch(prefix: &str, reason: impl Into<String>) -> Self {
        Self::new("watch", prefix, reason)
    }

    /// To change a part of the plan in `pre-start`: a dotted path into `pod.yaml`, such as `components.*.environment`.
    pub fn plan(path: &str, reason: impl Into<String>) -> Self {
        Self::new("plan", path, reason)
    }

    /// A small key-value store that outlives the plugin.
    pub fn state(reason: impl Into<String>) -> Self {
        Self::new("state", "*", reason)
    }

    /// To publish metrics.
    pub fn metrics(reason: impl Into<String>) -> Self {
        Self::new("metrics", "*", reason)
    }

    /// To add records to the components' output. Not served by this version of the host.
    pub fn logs(reason: impl Into<String>) -> Self {
        Self::new("logs", "*", reason)
    }

    /// To see a variable of the controller.
    pub fn env(name: &str, reason: impl Into<String>) -> Self {
        Self::new("env", name, reason)
    }

    /// To read a secret of the controller.
    pub fn secret(name: &str, reason: impl Into<String>) -> Self {
        Self::new("secret", name, reason)
    }

    /// Outgoing HTTP requests to `host:port`; the port may be `*`.
    pub fn http(authority: &str, reason: impl Into<String>) -> Self {
        Self::new("http", authority, reason)
    }
}

impl Want {
    fn json(&self) -> Value {
        let Self { capability, scope, reason, required } = self;
        json!({"capability": capability, "scope": scope, "reason": reason, "required": required})
    }
}

impl Manifest {
    /// As the host reads it (`manifest.json`). A schema that is not JSON is passed on as a text, which the host refuses.
    pub(crate) fn json(&self) -> String {
        let schema = serde_json::from_str(&self.schema).unwrap_or_else(|_| Value::String(self.schema.clone()));
        let mut all = json!({
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "config_schema": schema,
            "wants": self.wants.iter().map(Want::json).collect::<Vec<_>>(),
            "instances": if self.one_instance { "one" } else { "per-class" },
        });
        let optional = [
            ("host", self.host.as_ref().map(|host| json!(host))),
            ("memory_mib", self.memory_mib.map(|memory| json!(memory))),
            ("start_ms", self.start_ms.map(|start| json!(start))),
        ];
        for (key, value) in optional {
            if let (Some(value), Some(all)) = (value, all.as_object_mut()) {
                all.insert(key.to_owned(), value);
            }
        }
        all.to_string()
    }
}

/// The needs of one configuration, as the host reads them (`needs.json`).
pub(crate) fn needs(wants: &[Want], events: Option<&[EventKind]>) -> String {
    let mut all = json!({"wants": wants.iter().map(Want::json).collect::<Vec<_>>()});
    if let (Some(events), Some(all)) = (events, all.as_object_mut()) {
        let words: Vec<&str> = events.iter().map(|event| event.word()).collect();
        all.insert("events".to_owned(), json!(words));
    }
    all.to_string()
}
