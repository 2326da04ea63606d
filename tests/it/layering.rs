//! The architecture's invariants, held to.

use std::fs;
use std::path::{Path, PathBuf};

/// Modules of layer 1: they know neither the clock, nor files, nor any runtime.
const PURE: [&str; 5] = ["labels", "pod", "plan", "hooks", "config"];

/// Modules of layer 2: they share the types of layer 1, and do not know each other.
const MIDDLE: [&str; 7] = ["engine", "plugin", "logs", "watch", "identity", "janitor", "admin"];

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
fn each_foreign_library_has_one_home() {
    let all = [
        "admin",
        "cli",
        "config",
        "engine",
        "hooks",
        "identity",
        "janitor",
        "labels",
        "logs",
        "plan",
        "plugin",
        "pod",
        "shutdown",
        "supervisor",
        "telemetry",
        "watch",
    ];
    for (library, home) in [
        ("bollard::", "engine"),
        ("wasmtime::", "plugin"),
        ("clap::", "cli"),
        ("anyhow::", "cli"),
        ("inotify::", "watch"),
    ] {
        for module in all.iter().filter(|module| **module != home) {
            deny(module, &[library.to_owned()]);
        }
    }
}
