//! Hooks that decide about the pod's life are called only with the grant for it.

use std::collections::BTreeMap;

use outrigger::engine::Output;
use outrigger::hooks::{
    Batch, ComponentEvent, ComponentEventKind, File, HealthTrigger, Hook, Hooks, Judgement, Reaction, SignalDecision,
    Status,
};
use outrigger::plugin::set::PluginSet;
use outrigger::pod::{OnError, OnErrors, PluginSource};
use serde_json::json;

use super::{Pod, component, grant, plugin};
use crate::support::guests::{describing, naughty};

/// A plugin that would change whatever it is asked about, with these grants and nothing else.
async fn with(pod: &Pod, grants: &[&str]) -> PluginSet {
    let config = json!({
        "log-line": "drop-all", "config-copy": "skip", "component-event": "stop", "health": "good", "signal": "swallow",
    });
    let mut spec = pod.spec(config, &[]);
    spec.grants = Some(grants.iter().map(|text| grant(text)).collect());
    pod.load(&[spec]).await.unwrap()
}

fn line(of: &str) -> Batch {
    let mut batch = Batch::new(component(of), Output::Stdout);
    batch.data = b"secret".to_vec();
    batch.ends = vec![6];
    batch.times = vec![0];
    batch
}

fn file(of: &str, path: &str) -> File {
    File { component: component(of), path: path.to_owned(), mode: 0o600, uid: 0, gid: 0, content: b"secret"[..].into() }
}

fn exit(of: &str) -> ComponentEvent {
    let kind = ComponentEventKind::Exited { exit_code: 1, oom_killed: false };
    ComponentEvent { component: component(of), kind, at_ns: 0, sequence: 1, restarts: 0 }
}

#[tokio::test]
async fn a_plugin_without_powers_is_never_asked() {
    let pod = Pod::new();
    let set = with(&pod, &[]).await;
    assert_eq!(set.log_lines(line("app")).await.unwrap().keep, line("app"));
    assert_eq!(set.config_copy("/src", file("app", "/etc/x")).await.unwrap(), [file("app", "/etc/x")]);
    assert_eq!(set.component_event(exit("app")).await.unwrap(), Reaction::AsPlanned);
    assert_eq!(set.health(&plugin(), HealthTrigger::Interval).await.unwrap(), []);
    assert_eq!(set.signal(10).await.unwrap(), SignalDecision::Forward);
    for hook in [Hook::LogLine, Hook::ConfigCopy, Hook::ComponentEvent, Hook::Health, Hook::Signal] {
        assert_eq!(set.with(hook), [], "{hook}");
    }
    assert_eq!(set.with(Hook::Tick), [plugin()]);
    assert_eq!(set.standing()[0].calls, 0);
    let told = set.uncalled();
    assert_eq!(told.len(), 5, "{told:?}");
    let expected = "plugin `p` is not called for `log-line`, because the pod does not grant it `lines`: add `lines: true`, or a narrower scope, to the plugin's `grants`";
    assert!(told.iter().any(|told| told == expected), "{told:?}");
}

#[tokio::test]
async fn a_power_reaches_as_far_as_its_scope() {
    let pod = Pod::new();
    let set = with(&pod, &["lines app", "copies app:/etc", "exits app", "verdicts app", "on-signals *"]).await;
    assert_eq!(set.uncalled(), [""; 0]);
    assert!(set.log_lines(line("app")).await.unwrap().keep.is_empty());
    assert_eq!(set.log_lines(line("db")).await.unwrap().keep, line("db"));
    assert_eq!(set.config_copy("/src", file("app", "/etc/x")).await.unwrap(), []);
    for other in [file("app", "/run/secrets/x"), file("db", "/etc/x")] {
        assert_eq!(set.config_copy("/src", other.clone()).await.unwrap(), [other]);
    }
    assert_eq!(set.component_event(exit("app")).await.unwrap(), Reaction::StopPod);
    assert_eq!(set.component_event(exit("db")).await.unwrap(), Reaction::AsPlanned);
    assert_eq!(set.signal(10).await.unwrap(), SignalDecision::Deliver(Vec::new()));
    // It says something of the pod as well.
    let failed = set.health(&plugin(), HealthTrigger::Interval).await.unwrap_err();
    assert!(failed.reason.contains("`verdicts` for `*`: the pod does not grant it"), "{failed}");
    let report = |of: &str| {
        HealthTrigger::EngineReport(Judgement {
            check: String::new(),
            probe: outrigger::hooks::Probe::Liveness,
            component: Some(component(of)),
            status: Status::Healthy,
            reason: String::new(),
        })
    };
    assert_eq!(set.health(&plugin(), report("db")).await.unwrap(), []);
}

#[tokio::test]
async fn a_hook_whose_power_the_manifest_does_not_request_is_a_mistake_of_the_plugin() {
    let pod = Pod::new();
    let source = pod.file(&describing("powerless"));
    let told = pod.host.inspect(&source, &plugin(), None).await.unwrap_err().to_string();
    assert!(told.contains("the plugin has the hook `log-line`, but its manifest does not request `lines`"), "{told}");
    assert!(pod.host.inspect(&pod.file(naughty()), &plugin(), None).await.is_ok());
}

#[tokio::test]
async fn a_stock_plugin_gets_the_powers_that_its_configuration_needs() {
    let pod = Pod::new();
    let stock = |name: &str, config| outrigger::pod::PluginSpec {
        name: outrigger::pod::PluginName::new(name).unwrap(),
        source: PluginSource::Stock,
        grants: None,
        on_error: OnErrors { default: OnError::Fail, hooks: BTreeMap::new() },
        ..pod.spec(config, &[])
    };
    let redact = stock("redact", json!({"components": ["app"], "patterns": ["email"]}));
    let signal = stock("signal", json!({"map": {"USR1": "swallow"}}));
    let idle = stock("signal", json!({"map": {}}));
    let set = pod.load(&[redact, signal]).await.unwrap();
    let granted = |set: &PluginSet, name: &str| {
        let grants = set.grants(&outrigger::pod::PluginName::new(name).unwrap());
        grants.iter().map(|grant| format!("{} {}", grant.capability, grant.scope)).collect::<Vec<_>>()
    };
    assert_eq!(granted(&set, "redact"), ["lines app", "metrics *"]);
    assert_eq!(granted(&set, "signal"), ["on-signals *"]);
    assert_eq!(set.signal(10).await.unwrap(), SignalDecision::Deliver(Vec::new()));
    let set = pod.load(&[idle]).await.unwrap();
    assert_eq!((set.with(Hook::Signal), set.uncalled()), (vec![], vec![]));
    // Written grants are all that it has.
    let mut redact = stock("redact", json!({}));
    redact.grants = Some(vec![grant("metrics *")]);
    let told = pod.load(&[redact]).await.unwrap_err().to_string();
    assert!(told.contains("the plugin needs `lines` for `*`, which is not granted"), "{told}");
    assert!(told.contains("write `grants: {lines: true}`, to replace personal data"), "{told}");
}
