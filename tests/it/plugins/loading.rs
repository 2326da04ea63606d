//! What is refused before anything runs, and with which words.

use std::os::unix::fs::PermissionsExt;

use outrigger::hooks::{Hook, Hooks};
use outrigger::plugin::error::PluginError;
use outrigger::pod::{PluginName, PluginSource};
use serde_json::json;

use super::guests::{describing, naughty, patched};
use super::{Pod, component, plugin};

async fn refused(wasm: &[u8], expected: &str) -> PluginError {
    let pod = Pod::new();
    let error = pod.host.inspect(&pod.file(wasm), &plugin(), None).await.unwrap_err();
    assert!(error.to_string().contains(expected), "expected `{expected}`, got `{error}`");
    error
}

#[tokio::test]
async fn a_plugin_is_inspected_without_grants() {
    let pod = Pod::new();
    let seen = pod.host.inspect(&pod.file(&describing("ask")), &plugin(), None).await.unwrap();
    assert_eq!(seen.manifest.name.as_str(), "naughty");
    assert_eq!(seen.manifest.version, "1.2.3");
    assert_eq!(seen.hooks.len(), 8);
    assert!(seen.hooks.contains(&Hook::LogLine) && !seen.hooks.contains(&Hook::Stopping));
    assert!(seen.imports.iter().any(|name| name == "outrigger:pod/signals@0.1.0"), "{:?}", seen.imports);
    assert_eq!((seen.size, seen.digest.len()), (naughty().len() as u64, 64));
}

#[tokio::test]
async fn files_that_are_no_plugins() {
    assert!(matches!(refused(b"#!/bin/sh\n", "not WebAssembly").await, PluginError::NotWasm));
    assert!(matches!(refused(b"", "not WebAssembly").await, PluginError::NotWasm));
    assert!(matches!(refused(b"\0asm\x01\0\0\0", "core WebAssembly module").await, PluginError::CoreModule));
    assert!(matches!(refused(b"\0asm\x0d\0\x01\0", "does not export").await, PluginError::NoPlugin));
    assert!(matches!(refused(&naughty()[..5000], "cannot be compiled").await, PluginError::Broken { .. }));
    let missing = PluginSource::File("/nonexistent/x.wasm".to_owned());
    let error = Pod::new().host.inspect(&missing, &plugin(), None).await.unwrap_err();
    assert_eq!(error.to_string(), "file `/nonexistent/x.wasm` does not exist in the controller");
    let error = Pod::new().host.inspect(&PluginSource::File("/".to_owned()), &plugin(), None).await.unwrap_err();
    assert!(matches!(error, PluginError::Unreadable { .. }), "{error}");
    let ghost = PluginName::new("ghost").unwrap();
    let error = Pod::new().host.inspect(&PluginSource::Stock, &ghost, None).await.unwrap_err();
    assert!(error.to_string().starts_with("there is no stock plugin `ghost`"), "{error}");
}

#[tokio::test]
async fn machine_code_is_never_taken() {
    let pod = Pod::new();
    let code = pod.host.precompile(naughty()).unwrap();
    assert!(matches!(refused(&code, "machine code").await, PluginError::MachineCode));
}

#[tokio::test]
async fn other_versions_of_the_contract() {
    let old = patched(naughty(), "outrigger:pod/common@0.1.0", "outrigger:pod/common@0.9.0");
    let error = refused(&old, "built against `outrigger:pod/common@0.9.0`").await;
    assert!(error.to_string().ends_with("but this version of Outrigger supports `outrigger:pod` 0.1.0"), "{error}");
    let old = patched(naughty(), "outrigger:pod/tick@0.1.0", "outrigger:pod/tick@2.1.0");
    refused(&old, "built against `outrigger:pod/tick@2.1.0`").await;
}

#[tokio::test]
async fn a_later_patch_of_a_served_version_is_taken() {
    let newer = patched(naughty(), "outrigger:pod/tick@0.1.0", "outrigger:pod/tick@0.1.7");
    let pod = Pod::new();
    let mut spec = pod.spec(json!({}), &[]);
    spec.source = pod.file(&newer);
    let set = pod.load(&[spec]).await.unwrap();
    assert_eq!(set.tick(&plugin()).await, Ok(Some(10)));
}

#[tokio::test]
async fn interfaces_and_hooks_that_are_not_served_yet() {
    for name in ["logs", "node"] {
        let wasm = patched(naughty(), "outrigger:pod/exec@", &format!("outrigger:pod/{name}@"));
        let error =
            refused(&wasm, &format!("imports `{name}`, which this version of Outrigger does not support yet")).await;
        assert!(matches!(error, PluginError::ImportNotServed { .. }));
    }
    let unknown = patched(naughty(), "outrigger:pod/exec@", "outrigger:pod/evil@");
    assert!(matches!(refused(&unknown, "which Outrigger does not have").await, PluginError::UnknownImport { .. }));
    let sink = patched(naughty(), "outrigger:pod/log-line@", "outrigger:pod/log-sink@");
    let error = refused(&sink, "has the hook `log-sink`, which this version of Outrigger does not call yet").await;
    assert!(matches!(error, PluginError::HookNotServed { hook: "log-sink" }));
    let newer = patched(naughty(), "outrigger:pod/log-line@", "outrigger:pod/new-hook@");
    let error = refused(&newer, "has the hook `new-hook`, which this version of Outrigger does not know").await;
    assert!(matches!(error, PluginError::UnknownHook { .. }));
    let none = patched(naughty(), "outrigger:pod/plugin@", "outrigger:pod/plugon@");
    assert!(matches!(refused(&none, "does not export `outrigger:pod/plugin`").await, PluginError::NoPlugin));
    // Another interface's functions under a name of the contract: of those that it imports, and of those that it exports.
    let swapped = |one: &str, other: &str| {
        let away =
            patched(naughty(), &format!("outrigger:pod/{one}@"), &format!("outrigger:pod/{}@", "x".repeat(one.len())));
        let there = patched(&away, &format!("outrigger:pod/{other}@"), &format!("outrigger:pod/{one}@"));
        patched(&there, &format!("outrigger:pod/{}@", "x".repeat(one.len())), &format!("outrigger:pod/{other}@"))
    };
    let imports = "the plugin does not match the contract: component imports instance `outrigger:pod/metrics@0.1.0`, but a matching implementation was not found";
    refused(&swapped("signals", "metrics"), imports).await;
    let exports = "the plugin does not match the contract: instance export `outrigger:pod/health@0.1.0` does not have export `on-check`";
    refused(&swapped("health", "signal"), exports).await;
}

#[tokio::test]
async fn describe_that_does_not_answer() {
    refused(&describing("trap"), "the plugin's `describe` trapped").await;
    refused(&describing("spin"), "the plugin's `describe` exceeded its CPU time limit of 1000 ms").await;
    refused(&describing("bad-name"), "the plugin's manifest is wrong: `name`").await;
    refused(&describing("bad-version"), "the plugin's manifest is wrong: `version` is `new`").await;
    refused(
        &describing("bad-schema"),
        "the plugin's manifest is wrong: `config_schema` is not a JSON Schema: it must be an object",
    )
    .await;
    refused(&describing("no-json"), "the plugin's manifest is wrong: the text is wrong: EOF while parsing").await;
    refused(&describing("odd-key"), "the plugin's manifest is wrong: the text is wrong: unknown field `colour`").await;
}

#[tokio::test]
async fn configurations_are_checked_against_the_schema_first() {
    let pod = Pod::new();
    let problems = pod.load(&[pod.spec(json!({"tick": 7, "configure": "trap"}), &[])]).await.unwrap_err();
    let told = problems.to_string();
    assert!(told.starts_with("`pod.plugins`, field `p.tick`: 7 is not of type"), "{told}");
    assert_eq!(problems.0.len(), 1);
}

#[tokio::test]
async fn all_problems_of_all_plugins_at_once() {
    let pod = Pod::new();
    let mut first = pod.spec(json!({"tick": 7}), &["exec app", "http nonsense"]);
    first.name = PluginName::new("first").unwrap();
    let mut second = pod.spec(json!({}), &[]);
    second.source = PluginSource::File("/nonexistent".to_owned());
    let told = pod.load(&[first, second]).await.unwrap_err().to_string();
    for expected in [
        "`pod.plugins`, field `first.tick`",
        "field `first.grants.exec`: `app` is granted, but the plugin's manifest does not request it",
        "field `first.grants.http`: `nonsense`: expected `host:port`",
        "field `p.source`: file `/nonexistent` does not exist",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn configure_that_fails() {
    for (act, expected) in [
        ("trap", "`configure` trapped: wasm trap"),
        ("spin", "`configure` exceeded its CPU time limit of 1000 ms"),
        ("fail", "field `p`: on purpose"),
        ("hog", "`configure` exceeded its memory limit of 32768 KiB"),
    ] {
        let pod = Pod::new();
        let told = pod.load(&[pod.spec(json!({ "configure": act }), &[])]).await.unwrap_err().to_string();
        assert!(told.contains("field `p`") && told.contains(expected), "{act}: {told}");
    }
}

#[tokio::test]
async fn nothing_but_watch_can_be_used_from_configure() {
    let grants = ["signals *", "state *", "pod *", "watch /watched", "http *", "tcp *"];
    for check in [
        "check signal app 1 => cannot be used before the first hook",
        "check state => cannot be used before the first hook",
        "check watch /watched => ok",
        "check watch /elsewhere => the plugin's manifest does not request it",
        "check tcp 127.0.0.1:1 => PermissionDenied",
    ] {
        let pod = Pod::new();
        let set = pod.load(&[pod.spec(json!({ "configure": check }), &grants)]).await;
        assert!(set.is_ok(), "{check}: {}", set.unwrap_err());
    }
}

#[tokio::test]
async fn wants_lie_within_the_manifest_and_required_ones_are_granted() {
    let pod = Pod::new();
    let load = |config, grants: &'static [&'static str]| {
        let spec = pod.spec(config, grants);
        async { pod.load(&[spec]).await.map(drop).map_err(|problems| problems.to_string()) }
    };
    assert_eq!(load(json!({"wants": ["!signals app"]}), &["signals *"]).await, Ok(()));
    assert_eq!(load(json!({"wants": ["signals app"]}), &[]).await, Ok(()));
    let told = load(json!({"wants": ["!signals app"]}), &["signals db"]).await.unwrap_err();
    assert!(
        told.contains(
            "needs `signals` for `app`, which is not granted (hint: write `grants: {signals: [app]}`, to be naughty)"
        ),
        "{told}"
    );
    let told = load(json!({"wants": ["exec app"]}), &[]).await.unwrap_err();
    assert!(told.contains("requests `exec` for `app`, which its manifest does not request"), "{told}");
    let told = load(json!({"wants": ["files /etc"]}), &[]).await.unwrap_err();
    assert!(told.contains("expected `component:/path/prefix`"), "{told}");

    let mut spec = pod.spec(json!({}), &[]);
    spec.source = pod.file(&describing("needy"));
    let told = pod.load(&[spec.clone()]).await.unwrap_err().to_string();
    assert!(told.contains("needs `exec` for `app`"), "{told}");
    spec.grants = Some(vec![super::grant("exec *")]);
    assert!(pod.load(&[spec]).await.is_ok());
}

#[tokio::test]
async fn what_was_granted_can_be_seen_and_watches_are_told_once() {
    let pod = Pod::new();
    let set = pod.with(json!({"configure": "check watch /watched/a => ok"}), &["watch /watched"]).await;
    let granted = ["watch /watched"].iter().chain(&super::POWERS).map(|text| super::grant(text));
    assert_eq!(set.grants(&plugin()), granted.collect::<Vec<_>>());
    let watches = set.watches();
    assert_eq!(watches.len(), 1, "three instances were configured alike: {watches:?}");
    assert_eq!(watches[0].source, "/watched/a");
}

#[tokio::test]
async fn code_compiled_for_any_machine_loads_here_and_the_cache_is_private() {
    let pod = Pod::new();
    let code = pod.host.precompile(naughty()).unwrap();
    let engine = wasmtime::Engine::new(&wasmtime_settings()).unwrap();
    // The host's own engine has the same settings; this one proves that no CPU feature of the builder is needed.
    #[expect(unsafe_code, reason = "machine code that this very test made")]
    let loaded = unsafe { wasmtime::component::Component::deserialize(&engine, &code) };
    assert!(loaded.is_ok(), "{:#}", loaded.err().unwrap());

    // The directory is made by whoever is first to compile something.
    drop(pod.host.inspect(&pod.file(naughty()), &plugin(), None).await.unwrap());
    let mode = std::fs::metadata(super::shared_cache()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700, "{mode:o}");
    let code = std::fs::read_dir(super::shared_cache()).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
    let modes: Vec<_> = code.map(|meta| meta.permissions().mode() & 0o7777).collect();
    assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
}

fn wasmtime_settings() -> wasmtime::Config {
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true).concurrency_support(false);
    config.memory_reservation(64 << 20).memory_reservation_for_growth(64 << 20);
    config.async_stack_size(1 << 20).max_wasm_stack(512 << 10);
    config
}

#[tokio::test]
async fn a_confined_plugin_is_loaded_for_its_component() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({}), &["signals *"]);
    spec.scope = Some(component("app"));
    let set = pod.load(&[spec]).await.unwrap();
    assert_eq!(set.with(Hook::Tick), [plugin()]);
    assert_eq!(set.with(Hook::Stopping), []);
}

/// A stock plugin with this configuration and these grants.
fn stock(pod: &Pod, name: &str, config: serde_json::Value, grants: Option<&[&str]>) -> outrigger::pod::PluginSpec {
    let grants = grants.map(|grants| grants.iter().map(|text| super::grant(text)).collect());
    let name = PluginName::new(name).unwrap();
    outrigger::pod::PluginSpec { name, source: PluginSource::Stock, grants, ..pod.spec(config, &[]) }
}

#[tokio::test]
async fn components_that_the_pod_does_not_have() {
    let pod = Pod::new();
    let rule = |component: &str| json!({"watch": "/w", "component": component, "target": "/t", "signal": "HUP"});
    let spec = stock(&pod, "reload", rule("aap"), None);
    let told = pod.load(std::slice::from_ref(&spec)).await.unwrap_err().to_string();
    let expected = "field `reload.component`: the plugin's configuration names component `aap`, which the pod does not have (hint: did you mean `app`? Known: `app`, `db`)";
    assert_eq!(told.matches(expected).count(), 1, "{told}");

    // A plugin that wants nothing of the component names it all the same.
    let config = json!({"components": ["ap", "app", "*"]});
    let told = pod.load(&[stock(&pod, "redact", config, None)]).await.unwrap_err().to_string();
    let expected = "field `redact.components.0`: the plugin's configuration names component `ap`, which the pod does not have (hint: did you mean `app`? Known: `app`, `db`)";
    assert!(told.contains(expected), "{told}");
    assert!(told.contains("field `redact.components.2`: the plugin's configuration names component `*`"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
    let config = json!({"map": {"HUP": {"to": ["ap"]}}});
    let told = pod.load(&[stock(&pod, "signal", config, None)]).await.unwrap_err().to_string();
    assert!(told.contains("field `signal`: the plugin's configuration names component `ap`"), "{told}");

    // Another plugin may add it before the start.
    let other = pod.spec(json!({}), &["signals ghost"]);
    assert!(pod.load(&[spec, other]).await.is_ok());

    let grants = ["watch *", "files app:/t", "signals dbb"];
    let told = pod.load(&[stock(&pod, "reload", rule("app"), Some(&grants))]).await.unwrap_err().to_string();
    let expected =
        "field `reload.grants.signals`: the pod has no component `dbb` (hint: did you mean `db`? Known: `db`, `app`)";
    assert!(told.contains(expected), "{told}");
}

#[tokio::test]
async fn a_plugin_of_one_component_is_granted_no_other() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({}), &["signals db", "signals *", "files *:/etc"]);
    spec.scope = Some(super::component("app"));
    let told = pod.load(&[spec]).await.unwrap_err().to_string();
    assert!(
        told.contains(
            "`db` is granted, but the plugin belongs to component `app` and has no access to other components"
        ),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[tokio::test]
async fn settings_of_hooks_that_the_plugin_does_not_have() {
    let pod = Pod::new();
    let mut spec = stock(&pod, "redact", json!({}), None);
    spec.on_error.hooks.insert("log-line".to_owned(), outrigger::pod::OnError::Ignore);
    assert!(pod.load(std::slice::from_ref(&spec)).await.is_ok());
    spec.on_error.hooks.insert("tick".to_owned(), outrigger::pod::OnError::Fail);
    spec.health_interval = std::time::Duration::from_secs(3);
    let told = pod.load(&[spec]).await.unwrap_err().to_string();
    for expected in [
        "field `redact.on-error.tick`: the plugin does not have the hook `tick` (hint: hooks of the plugin: `log-line`)",
        "field `redact.health-interval`: the plugin does not have the hook `health`",
    ] {
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn machine_code_of_the_image_is_found_by_digest() {
    // The test's directory must be as an image's: root's alone.
    if !nix::unistd::geteuid().is_root() {
        return crate::support::skip::not_applicable("only root owns the files that machine code is loaded from");
    }
    let pod = Pod::new();
    let directory = pod.dir.path().join("plugins");
    std::fs::create_dir(&directory).unwrap();
    let digest = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(naughty()));
    std::fs::write(directory.join(format!("{digest}.cwasm")), pod.host.precompile(naughty()).unwrap()).unwrap();
    let cache = pod.dir.path().join("cache-of-its-own");
    let dirs = outrigger::plugin::host::HostDirs { precompiled: directory, cache: cache.clone(), state: cache.clone() };
    let host = outrigger::plugin::host::Host::new(
        dirs,
        outrigger::config::Timeouts::default(),
        outrigger::plugin::imports::place::Place::Controller,
    )
    .unwrap();
    let seen = host.inspect(&pod.file(naughty()), &plugin(), None).await.unwrap();
    assert_eq!(seen.digest, digest);
    assert!(!cache.exists(), "nothing was compiled");
}

#[tokio::test]
async fn a_look_at_a_plugin_has_a_limit_of_memory() {
    let pod = Pod::new();
    let source = pod.file(naughty());
    let error = pod.host.inspect(&source, &plugin(), Some(1 << 20)).await.unwrap_err().to_string();
    assert!(error.contains("memory"), "{error}");
    assert!(pod.host.inspect(&source, &plugin(), Some(16 << 20)).await.is_ok());
}

/// A pod that is not told to grant a thing proposes what `configure` wants, not what the manifest might want.
#[tokio::test]
async fn the_narrow_grant_is_proposed() {
    let pod = Pod::new();
    let mut spec = pod.spec(json!({"wants": ["!exec app"]}), &[]);
    spec.source = pod.file(&describing("needy"));
    let problems = pod.load(&[spec]).await.unwrap_err();
    let hints: Vec<_> = problems.0.iter().map(|problem| problem.hint.as_str()).collect();
    assert_eq!(hints, ["write `grants: {exec: [app]}`, to be naughty"]);
    let mut spec = pod.spec(json!({}), &[]);
    spec.source = pod.file(&describing("needy"));
    let told = pod.load(&[spec]).await.unwrap_err().to_string();
    assert!(told.contains("the plugin needs `exec` for `app`"), "{told}");
}
