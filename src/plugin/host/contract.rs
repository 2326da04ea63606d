//! Which part of the contract a component was built against, read from its imports and exports before anything of it is compiled.

use wasmparser::{Parser, Payload};

use crate::hooks::Hook;
use crate::plugin::error::PluginError;
use crate::plugin::instance::call::Class;

/// The contract's package.
const PACKAGE: &str = "outrigger:pod/";

/// Versions that this host serves, the newest last; within `0.x` each serves those with the same x.
const SERVED: [&str; 1] = ["0.1.0"];

/// Interfaces that plugins may import.
const IMPORTS: [&str; 13] = [
    "common", "pod", "log", "contents", "signals", "files", "exec", "watch", "verdicts", "rollouts", "state",
    "metrics", "secret",
];

/// Interfaces of the contract that this version of the host does not offer yet.
const NOT_YET: [&str; 6] = ["routes", "logs", "node", "fetch", "connect", "control"];

/// Packages of WASI 0.2 that are linked.
const WASI: [&str; 7] = ["io", "clocks", "random", "cli", "filesystem", "sockets", "http"];

/// Finds a component's hooks and imports in its binary form. Compiles nothing: it takes milliseconds, where the code of a language runtime takes half a minute.
///
/// # Errors
/// The first thing that this host does not serve, or [`PluginError::Broken`] where the file is damaged.
pub fn check(wasm: &[u8]) -> Result<(Vec<Hook>, Vec<String>), PluginError> {
    let Names { imports, exports } = names(wasm).map_err(|error| PluginError::Broken { reason: error.to_string() })?;
    for name in &imports {
        import(name)?;
    }
    let hooks = hooks(&exports)?;
    Ok((hooks, imports))
}

/// The names of the outermost component. The file's size bounds their number.
#[derive(Debug, Default)]
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

fn names(wasm: &[u8]) -> wasmparser::Result<Names> {
    let mut names = Names::default();
    // Modules and components within the component have imports and exports of their own.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth = depth.saturating_add(1),
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    names.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    names.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The interface of a name of this package, where the version is served.
fn interface(name: &str) -> Result<Option<&str>, PluginError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    if SERVED.iter().any(|served| compatible(served, version)) {
        return Ok(Some(interface));
    }
    Err(PluginError::OtherVersion { name: name.to_owned(), served: SERVED.join(", ") })
}

/// Whether one may stand for the other: the same `0.x`, or from 1.0 on the same major version, and no pre-release.
fn compatible(served: &str, asked: &str) -> bool {
    let track = |version: &str| -> Option<(u64, u64)> {
        let mut parts = version.split('.').map(str::parse);
        match (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?, parts.next()) {
            (0, minor, _patch, None) => Some((0, minor)),
            (major, _minor, _patch, None) => Some((major, 0)),
            _ => None,
        }
    };
    track(asked).is_some() && track(asked) == track(served)
}

fn import(name: &str) -> Result<(), PluginError> {
    if let Some(interface) = interface(name)? {
        if NOT_YET.contains(&interface) {
            return Err(PluginError::ImportNotServed { interface: interface.to_owned() });
        }
        if IMPORTS.contains(&interface) {
            return Ok(());
        }
    } else if let Some(rest) = name.strip_prefix("wasi:")
        && let Some((path, version)) = rest.split_once('@')
        && let Some((package, _)) = path.split_once('/')
        && WASI.contains(&package)
    {
        return if compatible("0.2.0", version) {
            Ok(())
        } else {
            Err(PluginError::OtherWasi { name: name.to_owned() })
        };
    }
    Err(PluginError::UnknownImport { name: name.to_owned() })
}

fn hooks(exports: &[String]) -> Result<Vec<Hook>, PluginError> {
    let mut hooks = Vec::new();
    let mut unknown = None;
    let mut is_plugin = false;
    for name in exports {
        // A plugin may export more, for other hosts.
        let Some(interface) = interface(name)? else { continue };
        if interface == "plugin" {
            is_plugin = true;
        } else if let Some(hook) = Hook::ALL.into_iter().find(|hook| hook.name() == interface) {
            hooks.push(hook);
        } else {
            unknown.get_or_insert(interface);
        }
    }
    if !is_plugin {
        return Err(PluginError::NoPlugin);
    }
    // A filter that is never called would filter nothing.
    if let Some(hook) = unknown {
        return Err(PluginError::UnknownHook { hook: hook.to_owned() });
    }
    if let Some(hook) = hooks.iter().find(|&&hook| Class::of(hook).is_none()) {
        return Err(PluginError::HookNotServed { hook: hook.name() });
    }
    hooks.sort_unstable();
    Ok(hooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn versions_of_the_same_track_are_served() {
        for (version, expected) in
            [("0.1.0", true), ("0.1.9", true), ("0.2.0", false), ("1.1.0", false), ("0.1.0-rc", false), ("", false)]
        {
            assert_eq!(compatible("0.1.0", version), expected, "{version}");
        }
    }

    #[test]
    fn imports_are_known_or_named() {
        for right in ["outrigger:pod/pod@0.1.0", "outrigger:pod/common@0.1.3", "wasi:cli/stdin@0.2.9"] {
            assert!(import(right).is_ok(), "{right}");
        }
        for (wrong, expected) in [
            (
                "outrigger:pod/pod@0.2.0",
                "the plugin was built against `outrigger:pod/pod@0.2.0`, but this version of Outrigger supports `outrigger:pod` 0.1.0",
            ),
            ("outrigger:pod/pod", "the plugin was built against `outrigger:pod/pod`"),
            ("outrigger:pod/routes@0.1.0", "imports `routes`, which this version of Outrigger does not support yet"),
            (
                "outrigger:pod/magic@0.1.0",
                "the plugin imports `outrigger:pod/magic@0.1.0`, which Outrigger does not have",
            ),
            (
                "wasi:cli/stdin@0.3.0",
                "the plugin imports `wasi:cli/stdin@0.3.0`, but this version of Outrigger supports WASI 0.2: build the plugin for `wasm32-wasip2`",
            ),
            ("wasi:nn/graph@0.2.0", "the plugin imports `wasi:nn/graph@0.2.0`"),
            ("env", "the plugin imports `env`"),
        ] {
            let error = import(wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn hooks_are_found_in_order() {
        let found = hooks(&names(&[
            "outrigger:pod/tick@0.1.0",
            "other:package/tick@9.0.0",
            "outrigger:pod/plugin@0.1.0",
            "outrigger:pod/pre-start@0.1.0",
        ]));
        assert_eq!(found.unwrap(), [Hook::PreStart, Hook::Tick]);
        assert!(matches!(hooks(&names(&["outrigger:pod/tick@0.1.0"])), Err(PluginError::NoPlugin)));
        let later = names(&["outrigger:pod/plugin@0.1.0", "outrigger:pod/stopping@0.1.0"]);
        assert!(matches!(hooks(&later), Err(PluginError::HookNotServed { hook: "stopping" })));
        let unknown = names(&["outrigger:pod/plugin@0.1.0", "outrigger:pod/request-filter@0.1.4"]);
        let error = hooks(&unknown).unwrap_err().to_string();
        assert!(error.contains("`request-filter`, which this version of Outrigger does not know"), "{error}");
    }

    /// A component with one section: 10 has imports, 11 exports. Each item is a function of a type that does not exist, so no compiler accepts it.
    fn component(section: u8, name: &str) -> Vec<u8> {
        let length = u8::try_from(name.len()).unwrap();
        let mut body = vec![1, 0, length];
        body.extend(name.as_bytes());
        body.extend(if section == 10 { &[1, 0][..] } else { &[1, 0, 0][..] });
        let mut wasm = b"\0asm\x0d\0\x01\0".to_vec();
        wasm.extend([section, u8::try_from(body.len()).unwrap()]);
        wasm.extend(body);
        wasm
    }

    #[test]
    fn names_are_judged_in_a_file_that_no_compiler_accepts() {
        let refused = |section, name| check(&component(section, name)).unwrap_err();
        assert!(matches!(refused(10, "wasi:nn/graph@0.2.0"), PluginError::UnknownImport { .. }));
        assert!(matches!(refused(10, "wasi:http/client@0.3.0"), PluginError::OtherWasi { .. }));
        assert!(matches!(refused(11, "outrigger:pod/tick@0.2.0"), PluginError::OtherVersion { .. }));
        assert!(matches!(refused(11, "outrigger:pod/tick@0.1.0"), PluginError::NoPlugin));
        let (hooks, imports) = check(&component(11, "outrigger:pod/plugin@0.1.0")).unwrap();
        assert!(hooks.is_empty() && imports.is_empty());
    }

    #[test]
    fn names_of_nested_components_are_not_the_plugins() {
        let inner = component(10, "wasi:nn/graph@0.2.0");
        let mut outer = component(11, "outrigger:pod/plugin@0.1.0");
        outer.extend([4, u8::try_from(inner.len()).unwrap()]);
        outer.extend(inner);
        assert!(check(&outer).is_ok());
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let mut wasm = component(10, "wasi:io/poll@0.2.0");
        wasm.truncate(wasm.len() - 3);
        assert!(matches!(check(&wasm), Err(PluginError::Broken { .. })));
    }
}
