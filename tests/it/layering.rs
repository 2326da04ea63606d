//! The architecture's invariants, held to.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules of layer 1: they know neither the clock, nor files, nor any runtime.
const PURE: [&str; 7] = ["labels", "pod", "plan", "hooks", "config", "template", "podlike"];

/// Modules of layer 2: they share the types of layer 1, and do not know each other.
const MIDDLE: [&str; 9] = ["engine", "plugin", "logs", "watch", "identity", "cgroup", "janitor", "probe", "admin"];

fn sources(module: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut open = vec![root.join(module)];
    files.extend([root.join(format!("{module}.rs"))]);
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            // Unit tests at the end of a file may do what they like.
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default().to_owned();
            let code: String =
                code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            (path, code)
        })
        .collect()
}

fn deny(module: &str, banned: &[String]) {
    let files = sources(module);
    assert!(!files.is_empty(), "module `{module}` has no source: has it been renamed?");
    for (path, code) in files {
        for word in banned {
            assert!(!code.contains(word.as_str()), "{} must not contain `{word}`", path.display());
        }
    }
}

#[test]
fn the_lowest_layer_is_pure() {
    let banned =
        ["tokio::", "bollard::", "wasmtime::", "std::fs", "std::env", "std::net::Tcp", "std::net::Udp", "std::process"]
            .map(str::to_owned);
    for module in PURE {
        deny(module, &banned);
    }
}

#[test]
fn modules_of_the_middle_layer_do_not_know_each_other() {
    for module in MIDDLE {
        // `engine` is a seam: its trait and types are in everybody's hands, its adapters in nobody's.
        let others = MIDDLE.iter().filter(|other| **other != module && **other != "engine");
        let mut banned: Vec<String> = others.map(|other| format!("crate::{other}")).collect();
        if module != "engine" {
            banned.push("engine::docker".to_owned());
        }
        banned.extend(["crate::supervisor", "crate::cli"].map(str::to_owned));
        deny(module, &banned);
    }
}

#[test]
fn the_lowest_layer_imports_nothing_from_above() {
    for module in PURE {
        // The plain types of the `engine` seam are everybody's.
        let above = MIDDLE.iter().filter(|above| **above != "engine").chain(&["supervisor", "cli"]);
        let banned: Vec<String> =
            above.map(|above| format!("crate::{above}")).chain(["engine::docker".to_owned()]).collect();
        deny(module, &banned);
    }
}

#[test]
fn only_the_boot_knows_how_plugins_are_loaded() {
    for (path, code) in sources("supervisor") {
        if !path.ends_with("boot.rs") {
            for word in ["plugin::host", "plugin::set"] {
                assert!(!code.contains(word), "{} must not contain `{word}`", path.display());
            }
        }
    }
}

/// The modules that `lib.rs` declares.
fn modules() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(root).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

#[test]
fn each_foreign_library_has_one_home() {
    let homes = [
        ("bollard::", "engine"),
        ("wasmtime::", "plugin"),
        ("jsonschema::", "plugin"),
        ("clap::", "cli"),
        ("anyhow::", "cli"),
        ("inotify::", "watch"),
        ("h2::", "probe"),
        ("gotmpl::", "template"),
        ("saphyr_parser::", "template"),
        ("ureq::", "cli"),
        ("zbus::", "cgroup"),
    ];
    let modules = modules();
    assert!(modules.len() > 15, "{modules:?}");
    for (library, home) in homes {
        for module in modules.iter().filter(|module| *module != home) {
            deny(module, &[library.to_owned()]);
        }
    }
}
