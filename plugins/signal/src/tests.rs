use std::collections::BTreeMap;

use outrigger_plugin::host::{Component, State};
use outrigger_plugin::serde_json::{Value, from_str};
use outrigger_plugin::testing::{self, configure};

use super::*;

fn decide(config: &str, signal: u8) -> String {
    let mut plugin: SignalMap = configure(config).unwrap();
    match plugin.on_signal(signal).unwrap() {
        Decision::Forward => "forward".to_owned(),
        Decision::Deliver(list) => {
            let list: Vec<_> = list.iter().map(|one| format!("{}:{}", one.component, one.signal)).collect();
            format!("[{}]", list.join(" "))
        }
    }
}

fn scopes(config: &str) -> Vec<String> {
    let plugin: SignalMap = configure(config).unwrap();
    plugin.wants().iter().map(|want| format!("{} {}", want.capability, want.scope)).collect()
}

fn refused(config: &str) -> String {
    match configure::<SignalMap>(config) {
        Err(problems) => problems.to_string(),
        Ok(plugin) => panic!("{plugin:?}"),
    }
}

#[test]
fn a_signal_that_is_not_named_is_forwarded() {
    assert_eq!(decide(r#"{"map": {}}"#, 10), "forward");
    assert_eq!(decide(r#"{"map": {"USR1": "forward"}}"#, 10), "forward");
}

#[test]
fn names_and_numbers_are_the_same() {
    for name in ["SIGHUP", "HUP", "hup", "1"] {
        assert_eq!(decide(&format!(r#"{{"map": {{"{name}": "swallow"}}}}"#), 1), "[]", "{name}");
    }
}

#[test]
fn translates_and_fans_out() {
    assert_eq!(decide(r#"{"map": {"TERM": {"to": "web", "as": "QUIT"}}}"#, 15), "[web:3]");
    assert_eq!(decide(r#"{"map": {"HUP": {"to": ["web", "cache"]}}}"#, 1), "[web:1 cache:1]");
    let both = r#"{"map": {"HUP": [{"to": "web"}, {"to": ["log"], "as": 10}]}}"#;
    assert_eq!(decide(both, 1), "[web:1 log:10]");
}

#[test]
fn a_star_is_every_component_that_runs() {
    let component = |name: &str, state| Component {
        name: name.into(),
        image: String::new(),
        container_id: None,
        state,
        labels: BTreeMap::new(),
    };
    testing::with(|host| {
        host.pod.components =
            vec![component("web", State::Running), component("init", State::Exited), component("db", State::Running)];
    });
    assert_eq!(decide(r#"{"map": {"USR2": {"to": "*", "as": "HUP"}}}"#, 12), "[web:1 db:1]");
}

#[test]
fn asks_for_what_the_map_needs() {
    let config = r#"{"map": {"HUP": [{"to": "web"}, {"to": ["log", "web"]}], "USR1": "swallow"}}"#;
    assert_eq!(scopes(config), ["on-signals *", "signals log", "signals web"]);
    assert_eq!(scopes(r#"{"map": {"HUP": [{"to": "web"}, {"to": "*"}]}}"#), ["on-signals *", "signals *", "pod *"]);
    assert_eq!(scopes(r#"{"map": {"HUP": "swallow"}}"#), ["on-signals *"]);
    assert_eq!(scopes(r#"{"map": {"HUP": "forward"}}"#), Vec::<String>::new());
}

#[test]
fn bad_configurations_are_named() {
    assert_eq!(refused(r#"{"map": {"UP": "swallow"}}"#), "`map`: `UP` is not a signal");
    let twice = refused(r#"{"map": {"HUP": "swallow", "SIGHUP": "forward"}}"#);
    assert_eq!(twice, "`map`: `SIGHUP` appears twice, under two of its names");
    assert!(refused(r#"{"map": {"HUP": "drop"}}"#).contains("expected `forward`, `swallow`"));
    assert!(refused(r#"{"map": {"HUP": {"to": "a", "signal": "USR1"}}}"#).contains("unknown field `signal`"));
    assert!(refused(r#"{"map": {"HUP": {"to": []}}}"#).contains("no component receives the signal"));
    assert!(refused(r#"{"map": {"HUP": {"to": ["*", "a"]}}}"#).contains("`*` must be the only entry"));
    assert!(refused(r#"{"map": {"TERM": "swallow"}}"#).contains("cannot be swallowed"));
    assert!(refused(r#"{"map": {}, "more": 1}"#).contains("unknown field `more`"));
}

#[test]
fn the_schema_is_json() {
    assert!(from_str::<Value>(&SignalMap::manifest().schema).unwrap().is_object());
}
