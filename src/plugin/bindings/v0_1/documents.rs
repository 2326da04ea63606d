//! The JSON texts of version 0.1 (`wit/schemas`), to and from our own types.
//!
//! The host refuses a key that it does not know: an instruction of a newer plugin must not be left out without a word. A plugin ignores such keys.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::hooks::{ComponentEvent, ComponentEventKind, Reaction, RolloutOutcome};
use crate::plugin::answers::said;
use crate::plugin::host::manifest::{Declared, DeclaredWant, Needs};
use crate::plugin::{ComponentState, PodView, schemas};

/// Longest text that a plugin may answer, in bytes.
const LONGEST: usize = 4 << 20;

fn read<T: for<'a> Deserialize<'a>>(name: &str, text: &str) -> Result<T, String> {
    if text.len() > LONGEST {
        return Err(format!("the {name} has {} bytes, but the limit is {LONGEST}", text.len()));
    }
    serde_json::from_str(text).map_err(|error| format!("the {name} is wrong: {error}"))
}

/// A text that the host accepts, for which the published schema is held to.
fn accepted<T>(schema: &str, text: &str, read: T) -> T {
    if cfg!(debug_assertions) {
        let text = serde_json::from_str(text).unwrap_or_default();
        debug_assert_eq!(schemas::mistakes(schema, &text), [""; 0], "{schema}: {text}");
    }
    read
}

/// A text for a plugin.
pub fn written(schema: &str, value: &Value) -> String {
    debug_assert_eq!(schemas::mistakes(schema, value), [""; 0], "{value}");
    value.to_string()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    version: String,
    #[serde(default)]
    summary: String,
    #[serde(default = "no_config")]
    config_schema: Value,
    #[serde(default)]
    wants: Vec<Want>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    memory_mib: Option<u32>,
    #[serde(default)]
    start_ms: Option<u32>,
    #[serde(default)]
    instances: Instances,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Instances {
    #[default]
    PerClass,
    One,
}

fn no_config() -> Value {
    json!({"type": "object", "additionalProperties": false})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Want {
    capability: String,
    #[serde(default = "all")]
    scope: String,
    #[serde(default)]
    reason: String,
    #[serde(default = "yes")]
    required: bool,
}

fn all() -> String {
    "*".to_owned()
}

fn yes() -> bool {
    true
}

fn wants(wants: Vec<Want>) -> Vec<DeclaredWant> {
    let own = |Want { capability, scope, reason, required }| DeclaredWant { capability, scope, reason, required };
    wants.into_iter().map(own).collect()
}

/// `manifest.json`.
///
/// # Errors
/// The first mistake, in words.
pub fn manifest(text: &str) -> Result<Declared, String> {
    let manifest: Manifest = read("text", text)?;
    if !manifest.config_schema.is_object() && !manifest.config_schema.is_boolean() {
        return Err("`config_schema` is not a JSON Schema: it must be an object".to_owned());
    }
    let read = Declared {
        name: manifest.name,
        version: manifest.version,
        summary: manifest.summary,
        config_schema: manifest.config_schema,
        wants: wants(manifest.wants),
        host: manifest.host,
        memory_mib: manifest.memory_mib,
        start_ms: manifest.start_ms,
        one_instance: manifest.instances == Instances::One,
    };
    Ok(accepted("manifest", text, read))
}

/// `needs.json`.
///
/// # Errors
/// The first mistake, in words.
pub fn needs(text: &str) -> Result<Needs, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Text {
        #[serde(default)]
        wants: Vec<Want>,
        #[serde(default)]
        events: Option<Vec<String>>,
    }
    let needs: Text = read("answer", text)?;
    let unknown = |event: &&String| !ComponentEventKind::WORDS.contains(&event.as_str());
    if let Some(event) = needs.events.iter().flatten().find(unknown) {
        return Err(format!("the answer is wrong: there is no event `{event}`"));
    }
    Ok(accepted("needs", text, Needs { wants: wants(needs.wants), events: needs.events }))
}

/// `event.json`.
#[must_use]
pub fn event(event: &ComponentEvent) -> String {
    let mut text = json!({
        "kind": event.kind.word(),
        "component": event.component.as_str(),
        "at_ns": event.at_ns,
        "sequence": event.sequence,
        "run": event.restarts.saturating_add(1),
        "restarts": event.restarts,
    });
    if let ComponentEventKind::Exited { exit_code, oom_killed } = &event.kind
        && let Some(text) = text.as_object_mut()
    {
        text.insert("exit_code".to_owned(), json!(exit_code));
        text.insert("oom_killed".to_owned(), json!(oom_killed));
    }
    written("event", &text)
}

/// `reaction.json`.
///
/// # Errors
/// The first mistake, in words.
pub fn reaction(text: Option<String>) -> Result<Reaction, String> {
    #[derive(Deserialize)]
    #[serde(tag = "action", rename_all = "kebab-case", deny_unknown_fields)]
    enum Text {
        AsPlanned,
        Restart {
            #[serde(default)]
            after_ms: u32,
        },
        StopPod,
        Ignore,
    }
    let Some(text) = text else { return Ok(Reaction::AsPlanned) };
    let read = match read("reaction", &text)? {
        Text::AsPlanned => Reaction::AsPlanned,
        Text::Restart { after_ms } => Reaction::Restart(after_ms),
        Text::StopPod => Reaction::StopPod,
        Text::Ignore => Reaction::Ignore,
    };
    Ok(accepted("reaction", &text, read))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Step {
    Run {
        component: String,
        argv: Vec<String>,
        #[serde(default = "command_ms")]
        timeout_ms: u32,
    },
    Signal {
        component: String,
        signal: u8,
    },
    Restart {
        component: String,
    },
}

/// Ten seconds.
fn command_ms() -> u32 {
    10_000
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Removed {
    component: String,
    path: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    #[serde(default)]
    summary: String,
    #[serde(default)]
    remove: Vec<Removed>,
    #[serde(default)]
    validate: Vec<Step>,
    #[serde(default)]
    apply: Vec<Step>,
    #[serde(default)]
    verify: Vec<Step>,
    #[serde(default)]
    healthy_for_ms: u32,
}

/// `rollout.json`; the files are beside it.
///
/// # Errors
/// The first mistake, in words.
pub fn rollout(text: &str, files: Vec<said::FileSaid>) -> Result<said::Rollout, String> {
    let plan: Plan = read("rollout", text)?;
    let read = said::Rollout {
        summary: plan.summary,
        files,
        remove: plan.remove.into_iter().map(|file| (file.component, file.path)).collect(),
        validate: commands("validate", plan.validate)?,
        apply: plan.apply.into_iter().map(action).collect(),
        verify: commands("verify", plan.verify)?,
        healthy_for_ms: plan.healthy_for_ms,
    };
    Ok(read)
}

fn commands(list: &str, steps: Vec<Step>) -> Result<Vec<said::Command>, String> {
    let each = steps.into_iter().enumerate().map(|(index, step)| match action(step) {
        said::Action::Run(command) => Ok(command),
        said::Action::Signal(..) | said::Action::Restart(_) => {
            Err(format!("the rollout is wrong: `{list}[{index}]` must be a `run` step"))
        }
    });
    each.collect()
}

fn action(step: Step) -> said::Action {
    match step {
        Step::Run { component, argv, timeout_ms } => said::Action::Run(said::Command { component, argv, timeout_ms }),
        Step::Signal { component, signal } => said::Action::Signal(component, signal),
        Step::Restart { component } => said::Action::Restart(component),
    }
}

/// `outcome.json`.
#[must_use]
pub fn outcome(id: Option<&str>, outcome: RolloutOutcome, text: &str) -> String {
    written("outcome", &json!({"id": id, "outcome": outcome.word(), "text": text}))
}

/// `pod-view.json`: the parts of the pod that the plugin may see.
#[must_use]
pub fn pod_view(view: &PodView, sees: impl Fn(&str) -> bool) -> String {
    #[derive(Serialize)]
    struct Component<'a> {
        name: &'a str,
        image: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        container_id: Option<&'a str>,
        state: &'static str,
        labels: &'a std::collections::BTreeMap<String, String>,
    }
    let components = view.components.iter().filter(|component| sees(component.name.as_str()));
    let components: Vec<_> = components
        .map(|component| Component {
            name: component.name.as_str(),
            image: &component.image,
            container_id: component.container_id.as_deref(),
            state: state(component.state),
            labels: &component.labels,
        })
        .collect();
    written("pod-view", &json!({"name": view.name, "labels": *view.labels, "components": components}))
}

fn state(state: ComponentState) -> &'static str {
    match state {
        ComponentState::Planned => "planned",
        ComponentState::Starting => "starting",
        ComponentState::Running => "running",
        ComponentState::Stopping => "stopping",
        ComponentState::Exited => "exited",
        ComponentState::Removed => "removed",
    }
}
