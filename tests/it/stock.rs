//! The embedded plugins are components that the contract describes.

use outrigger::plugin::host::stock;
use outrigger::plugin::schemas;
use serde_json::{Value, json};
use wasmtime::component::{Component, ComponentExportIndex, Instance, Linker, Val};
use wasmtime::{Engine, Store};

/// Every interface of the contract that the component exports, without package and version.
fn hooks_of(engine: &Engine, component: &Component) -> Vec<String> {
    let kind = component.component_type();
    kind.exports(engine)
        .map(|(name, _)| {
            let name = name.strip_prefix("outrigger:pod/").unwrap_or_else(|| panic!("`{name}` is not of the contract"));
            name.strip_suffix("@0.1.0").unwrap_or_else(|| panic!("`{name}` is of another version")).to_owned()
        })
        .collect()
}

fn component(engine: &Engine, name: &str) -> Component {
    Component::new(engine, stock::wasm(name).unwrap()).unwrap()
}

/// A plugin without a host: whatever it calls traps, except what counts metrics, watches files and seeds hash maps.
struct Lonely {
    store: Store<()>,
    instance: Instance,
}

impl Lonely {
    fn new(name: &str) -> Self {
        let engine = Engine::default();
        let component = component(&engine, name);
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let mut answering = |interface: &str, function: &str, answer: Option<Val>| {
            let mut interface = linker.instance(interface).unwrap();
            let answering = interface.func_new(function, move |_, _, _, results| {
                results.iter_mut().zip(answer.clone()).for_each(|(result, answer)| *result = answer);
                Ok(())
            });
            answering.unwrap();
        };
        answering("outrigger:pod/metrics@0.1.0", "counter-add", None);
        answering("outrigger:pod/watch@0.1.0", "add", Some(Val::Result(Ok(None))));
        for version in ["wasi:random/insecure-seed@0.2.0", "wasi:random/insecure-seed@0.2.6"] {
            answering(version, "insecure-seed", Some(Val::Tuple(vec![Val::U64(1), Val::U64(2)])));
        }
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Self { store, instance }
    }

    fn call(&mut self, interface: &str, function: &str, arguments: &[Val]) -> Val {
        let name = format!("outrigger:pod/{interface}@0.1.0");
        let interface: ComponentExportIndex = self.instance.get_export_index(&mut self.store, None, &name).unwrap();
        let index = self.instance.get_export_index(&mut self.store, Some(&interface), function).unwrap();
        let function = self.instance.get_func(&mut self.store, index).unwrap();
        let mut results = [Val::Bool(false)];
        function.call(&mut self.store, arguments, &mut results).unwrap();
        let [result] = results;
        result
    }
}

fn field<'a>(record: &'a Val, name: &str) -> &'a Val {
    let Val::Record(fields) = record else { panic!("{record:?}") };
    &fields.iter().find(|(have, _)| have == name).unwrap().1
}

fn described(plugin: &mut Lonely) -> Value {
    let Val::String(text) = plugin.call("plugin", "describe", &[]) else { panic!("no text") };
    serde_json::from_str(&text).unwrap()
}

/// A setup as the host writes it.
fn setup(config: &Value) -> Val {
    let setup = json!({
        "name": "p", "config": config, "class": "all", "trial": false, "component": null, "host": {"version": "0.1.0"},
        "granted": [],
    });
    assert_eq!(schemas::mistakes("setup", &setup), [""; 0]);
    Val::String(setup.to_string())
}

#[test]
fn each_exports_its_hooks_and_nothing_else() {
    let engine = Engine::default();
    for (name, expected) in [("reload", "config-changed"), ("signal", "signal"), ("redact", "log-line")] {
        let mut hooks = hooks_of(&engine, &component(&engine, name));
        hooks.sort();
        let mut expected = vec![expected.to_owned(), "plugin".to_owned()];
        expected.sort();
        assert_eq!(hooks, expected, "{name}");
    }
    assert!(stock::wasm("nothing").is_none());
}

#[test]
fn each_imports_only_what_it_uses() {
    let engine = Engine::default();
    for (name, expected) in
        [("reload", &["contents", "files", "metrics", "watch"][..]), ("signal", &["pod"]), ("redact", &["metrics"])]
    {
        let component = component(&engine, name);
        let mut imports: Vec<_> = component
            .component_type()
            .imports(&engine)
            .filter_map(|(name, _)| Some(name.strip_prefix("outrigger:pod/")?.strip_suffix("@0.1.0")?.to_owned()))
            .filter(|name| name != "common")
            .collect();
        imports.sort();
        assert_eq!(imports, expected, "{name}");
    }
}

#[test]
fn each_describes_itself_without_a_host() {
    for name in stock::NAMES {
        let manifest = described(&mut Lonely::new(name));
        assert_eq!(schemas::mistakes("manifest", &manifest), [""; 0]);
        assert_eq!(
            (manifest["name"].as_str(), manifest["version"].as_str()),
            (Some(name), Some(env!("CARGO_PKG_VERSION")))
        );
        let schema = &manifest["config_schema"];
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("schema of `{name}`: {error}"));
    }
}

#[test]
fn schemas_and_plugins_agree() {
    let good = [
        ("redact", r#"{"fields": ["a"], "patterns": ["card", {"name": "x", "regex": "y+"}], "replacement": "-"}"#),
        ("redact", r#"{"components": ["app"]}"#),
        ("signal", r#"{"map": {"HUP": "swallow", "10": {"to": "*", "as": 12}, "USR2": [{"to": ["a", "b"]}]}}"#),
        ("reload", r#"{"watch": "/w", "component": "a", "target": "/t"}"#),
        (
            "reload",
            r#"{"watch": "/w", "component": "a", "target": "/t", "mode": "0640", "validate": ["a", "b"], "verify": [["a"]]}"#,
        ),
        (
            "reload",
            r#"{"rules": [{"watch": "/w", "component": "a", "target": "/t", "max-delay": "1m30s", "signal": 1, "restart": true}]}"#,
        ),
    ];
    let bad = [
        ("redact", r#"{"patterns": ["phone"]}"#),
        ("redact", r#"{"field": ["a"]}"#),
        ("signal", r#"{}"#),
        ("signal", r#"{"map": {"HUP": "drop"}}"#),
        ("signal", r#"{"map": {"HUP": {"to": []}}}"#),
        ("reload", r#"{"watch": "/w", "component": "a"}"#),
        ("reload", r#"{"watch": "/w", "component": "a", "target": "/t", "rules": []}"#),
        ("reload", r#"{"watch": "/w", "component": "a", "target": "/t", "mode": "rw"}"#),
        ("reload", r#"{"watch": "/w", "component": "a", "target": "/t", "debounce": "soon"}"#),
    ];
    for (cases, is_good) in [(&good[..], true), (&bad[..], false)] {
        for (name, config) in cases {
            let mut plugin = Lonely::new(name);
            let manifest = described(&mut plugin);
            let value = serde_json::from_str(config).unwrap();
            assert_eq!(
                jsonschema::is_valid(&manifest["config_schema"], &value),
                is_good,
                "schema of `{name}`: {config}"
            );
            let answer = plugin.call("plugin", "configure", &[setup(&value)]);
            assert_eq!(matches!(answer, Val::Result(Ok(_))), is_good, "`{name}` itself: {config}: {answer:?}");
            if let Val::Result(Ok(Some(needs))) = answer {
                let Val::String(needs) = *needs else { panic!("{needs:?}") };
                assert_eq!(schemas::mistakes("needs", &serde_json::from_str(&needs).unwrap()), [""; 0]);
            }
        }
    }
}

#[test]
fn redact_hides_what_crosses() {
    let mut plugin = Lonely::new("redact");
    let configured = plugin.call("plugin", "configure", &[setup(&Value::Null)]);
    assert!(matches!(configured, Val::Result(Ok(_))), "{configured:?}");
    let bytes = |text: &str| Val::List(text.bytes().map(Val::U8).collect());
    let attr = |key: &str, value: &str| {
        let pair = [("key", key), ("value", value)];
        Val::Record(pair.map(|(name, text)| (name.to_owned(), Val::String(text.to_owned()))).to_vec())
    };
    let numbers = |list: &[u32]| Val::List(list.iter().copied().map(Val::U32).collect());
    let batch = Val::Record(vec![
        ("source".to_owned(), Val::List(vec![attr("component", "app"), attr("output", "stdout")])),
        ("times".to_owned(), Val::List(vec![Val::U64(0), Val::U64(0)])),
        ("ends".to_owned(), numbers(&[5, 14])),
        ("data".to_owned(), bytes("plainto a@b.de")),
        ("field-ends".to_owned(), numbers(&[])),
        ("fields".to_owned(), bytes("")),
        ("again".to_owned(), Val::U32(0)),
        ("flush".to_owned(), Val::Bool(false)),
        ("last".to_owned(), Val::Bool(false)),
    ]);
    let answer = plugin.call("log-line", "on-batch", &[batch]);
    let Val::Result(Ok(Some(verdict))) = &answer else { panic!("{answer:?}") };
    let Val::Variant(case, Some(edit)) = verdict.as_ref() else { panic!("{verdict:?}") };
    assert_eq!(case, "edit");
    assert_eq!(field(edit, "rewrite"), &numbers(&[1]));
    assert_eq!(field(edit, "data"), &bytes("to [redacted]"));
}
