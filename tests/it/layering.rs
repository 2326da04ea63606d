//! The architecture's invariants, held to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules of layer 1: they know neither the clock, nor files, nor any runtime.
const PURE: [&str; 10] =
    ["problem", "labels", "containers", "pod", "plan", "hooks", "config", "template", "podlike", "own_log"];

/// Modules of layer 2: they share the types of layer 1, and do not know each other.
const MIDDLE: [&str; 10] =
    ["engine", "plugin", "logs", "watch", "identity", "cgroup", "janitor", "processes", "probe", "admin"];

/// Layers 3 and 4, the lower first.
const UPPER: [&str; 2] = ["supervisor", "cli"];

/// Layer 0: small helpers that know the machine, for everybody but layer 1.
const BASE: [&str; 8] = ["clock", "faults", "files", "idle", "memory", "metrics", "shutdown", "telemetry"];

/// What decides without looking at the world, though its module is in a higher layer. A name stands for its file and for the folder beside it.
const PURE_PARTS: [&str; 4] = ["supervisor/state", "supervisor/events", "supervisor/views", "probe/tracker"];

/// What pure code must not name: the clock, files, the process, the network, and the libraries that lead there.
const WORLD: [&str; 17] = [
    "tokio::",
    "tokio_util::",
    "bollard::",
    "wasmtime::",
    "hyper::",
    "ureq::",
    "nix::",
    "inotify::",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::time::Instant",
    "std::time::SystemTime",
];

/// Where something outside is passed in, and tests pass a stand-in: each trait, and the file that declares it. The architecture names the same.
const SEAMS: [(&str, &str); 4] =
    [("Engine", "engine.rs"), ("Hooks", "hooks.rs"), ("Exec", "probe.rs"), ("Sources", "template/fetch.rs")];

/// What reads a clock, wherever the type has come from.
const CLOCK: [&str; 2] = ["::now(", ".elapsed("];

struct Source {
    path: PathBuf,
    /// Without comments and unit tests.
    code: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// What is compiled into the program. Unit tests may do what they like: those at the end of a file are taken out, and only those: a file may begin with
/// `mod tests;`.
fn program(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.starts_with("mod ") && next.ends_with('{')) {
            // The module ends with the first brace that stands at the margin.
            lines.by_ref().find(|line| *line == "}");
        } else if !line.trim_start().starts_with("//") {
            code.push_str(line);
            code.push('\n');
        }
    }
    code
}

/// The files of `module`, a path below `src` without its ending.
fn sources(module: &str) -> Vec<Source> {
    let mut paths = Vec::from([root().join(format!("{module}.rs"))]);
    let mut open = vec![root().join(module)];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(directory) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.ends_with("tests") || path.ends_with("tests.rs") {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                paths.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Source { path, code: program(&text) }
    };
    paths.into_iter().map(read).collect()
}

/// Whether `code` names `path`, which may be the beginning of a longer path but not of a longer word, nor the end of another path.
fn names(code: &str, path: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let ends_in_word = path.ends_with(is_word);
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].strip_suffix("::").unwrap_or(&code[..at]);
        let after = &code[at + path.len()..];
        !(before.ends_with(is_word) || ends_in_word && after.starts_with(is_word))
    })
}

/// The first of `banned` paths that `source` names.
fn breach<'a>(source: &Source, banned: &'a [String]) -> Option<&'a str> {
    banned.iter().map(String::as_str).find(|path| names(&source.code, path))
}

fn deny(module: &str, banned: &[String]) {
    for source in sources(module) {
        if let Some(path) = breach(&source, banned) {
            panic!("{} must not name `{path}`", source.path.display());
        }
    }
}

fn of_crate<'a>(modules: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
    modules.into_iter().map(|module| format!("crate::{module}")).collect()
}

/// What pure code may not name: the world, the engine, and layer 0. What an engine makes and tells is in `containers`, as values.
fn impure() -> Vec<String> {
    let mut banned: Vec<String> = WORLD.map(str::to_owned).into();
    banned.push("crate::engine".to_owned());
    banned.extend(of_crate(&BASE));
    banned
}

fn reads_clock(code: &str) -> bool {
    CLOCK.iter().any(|word| code.contains(word))
}

fn deny_clock(module: &str) {
    for source in sources(module) {
        assert!(!reads_clock(&source.code), "{} must not read a clock", source.path.display());
    }
}

/// The modules that `lib.rs` declares.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(root().join("lib.rs")).unwrap();
    let declared = text.lines().filter_map(|line| {
        let words = line.strip_suffix(';')?;
        words
            .strip_prefix("pub mod ")
            .or_else(|| words.strip_prefix("mod "))
            .or_else(|| words.strip_prefix("pub(crate) mod "))
    });
    declared.map(str::to_owned).collect()
}

#[test]
fn each_module_is_in_one_layer() {
    let listed: Vec<&str> = PURE.iter().chain(&MIDDLE).chain(&UPPER).chain(&BASE).copied().collect();
    let set: BTreeSet<&str> = listed.iter().copied().collect();
    assert_eq!(set.len(), listed.len(), "a module is in two layers: {listed:?}");
    let modules = modules();
    let declared: BTreeSet<&str> = modules.iter().map(String::as_str).collect();
    assert_eq!(declared, set, "`lib.rs` and the layers of this file have other modules");
}

#[test]
fn the_lowest_layer_is_pure() {
    for module in PURE {
        deny(module, &impure());
        deny_clock(module);
    }
}

#[test]
fn what_decides_is_pure() {
    for part in PURE_PARTS {
        deny(part, &impure());
        deny_clock(part);
    }
}

#[test]
fn the_lowest_layer_imports_nothing_from_above() {
    for module in PURE {
        deny(module, &of_crate(MIDDLE.iter().chain(&UPPER)));
    }
}

#[test]
fn what_users_wrote_is_read_without_knowing_what_it_means() {
    deny("problem", &of_crate(PURE.iter().filter(|other| **other != "problem").chain(&["engine"])));
    deny("labels", &of_crate(PURE.iter().filter(|other| !["problem", "labels"].contains(other)).chain(&["engine"])));
}

#[test]
fn modules_of_the_middle_layer_do_not_know_each_other() {
    for module in MIDDLE {
        // `engine` is a seam: its trait and types are in everybody's hands, its adapters in nobody's.
        let others = MIDDLE.iter().filter(|other| **other != module && **other != "engine");
        let mut banned = of_crate(others.chain(&UPPER));
        if module != "engine" {
            banned.push("crate::engine::docker".to_owned());
        }
        deny(module, &banned);
    }
}

#[test]
fn helpers_and_the_supervisor_know_nothing_above_them() {
    for module in BASE {
        deny(module, &of_crate(MIDDLE.iter().chain(&UPPER)));
    }
    deny("supervisor", &of_crate(&["cli"]));
}

/// The traits that a text declares.
fn traits(code: &str) -> Vec<&str> {
    let name = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
        line.strip_prefix("pub ").unwrap_or(line).strip_prefix("trait ").map(str::len)
    };
    let ends = |c: char| !(c.is_alphanumeric() || c == '_');
    let named = code.lines().filter_map(|line| Some(&line[line.len() - name(line)?..]));
    named.map(|rest| rest.split(ends).next().unwrap_or_default()).collect()
}

#[test]
fn the_seams_are_those_that_are_named() {
    let mut found = BTreeSet::new();
    for module in modules() {
        for source in sources(&module) {
            let file = source.path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.extend(traits(&source.code).into_iter().map(|name| (name.to_owned(), file.clone())));
        }
    }
    let named: BTreeSet<_> = SEAMS.iter().map(|(name, file)| ((*name).to_owned(), (*file).to_owned())).collect();
    assert_eq!(found, named, "a trait of the program is a seam: name it in `SEAMS`, and in docs/architecture.md");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md")).unwrap();
    let told = page.split("the seams are ").nth(1).and_then(|rest| rest.split('.').next()).expect("it has the seams");
    let told: BTreeSet<&str> = told.split('`').skip(1).step_by(2).collect();
    let paths = named.iter().map(|(name, file)| match file.trim_end_matches(".rs") {
        "engine" | "hooks" => name.clone(),
        module => format!("{}::{name}", module.replace('/', "::")),
    });
    assert_eq!(told, paths.collect::<Vec<_>>().iter().map(String::as_str).collect());
}

/// An import that the other checks cannot read would pass them.
fn hides_imports(source: &Source) -> Option<String> {
    let relative = source.path.strip_prefix(root()).unwrap_or(&source.path);
    let to_root = "super::".repeat(relative.components().count());
    ["use crate::{", "use crate::*", "use std::{", "use std::*", &to_root]
        .into_iter()
        .find(|form| source.code.contains(form))
        .map(str::to_owned)
}

#[test]
fn imports_can_be_read_by_these_checks() {
    for module in modules() {
        for source in sources(&module) {
            if let Some(form) = hides_imports(&source) {
                panic!("{} must not have `{form}`: name each path from `crate::`", source.path.display());
            }
        }
    }
}

#[test]
fn only_the_boot_knows_how_plugins_are_loaded() {
    let banned = ["crate::plugin::host", "crate::plugin::set"].map(str::to_owned);
    for source in sources("supervisor") {
        let is_boot = source.path.ends_with("boot.rs");
        let found = breach(&source, &banned);
        assert!(is_boot || found.is_none(), "{} must not name {found:?}", source.path.display());
    }
}

/// A version of the contract is served by one module that converts: whatever else named its generated types would have to change with it.
#[test]
fn generated_types_stay_with_their_version() {
    for source in sources("plugin").iter().filter(|source| !source.path.starts_with(root().join("plugin/bindings"))) {
        for path in ["exports::outrigger", "v0_1::outrigger", "v0_1::convert"] {
            assert!(!source.code.contains(path), "{} must not name `{path}`", source.path.display());
        }
    }
    for module in modules().iter().filter(|module| *module != "plugin") {
        deny(module, &["crate::plugin::bindings".to_owned()]);
    }
}

#[test]
fn each_foreign_library_has_one_home() {
    let homes = [
        ("bollard", "engine"),
        ("wasmtime", "plugin"),
        ("jsonschema", "plugin"),
        ("clap", "cli"),
        ("anyhow", "cli"),
        ("inotify", "watch"),
        ("prometheus_client", "metrics"),
        ("h2", "probe"),
        ("gotmpl", "template"),
        ("ureq", "cli"),
        ("zbus", "cgroup"),
    ];
    for (library, home) in homes {
        for module in modules().iter().filter(|module| *module != home) {
            deny(module, &[format!("{library}::")]);
        }
    }
    // How deep a text nests is looked at below everything that parses.
    for module in modules().iter().filter(|module| !["problem", "template"].contains(&module.as_str())) {
        deny(module, &["saphyr_parser::".to_owned()]);
    }
}

/// The checks themselves: each finds what it is there for.
mod checks {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: root().join(path), code: program(text) }
    }

    #[test]
    fn only_inline_tests_are_passed_over() {
        let declared = "#[cfg(test)]\nmod tests;\n\nuse tokio::time;\n";
        assert!(names(&program(declared), "tokio"));
        let within = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    use tokio::time;\n}\n";
        assert!(!names(&program(within), "tokio"));
        let after = format!("{within}\nuse bollard::Docker;\n");
        assert!(!names(&program(&after), "tokio"));
        assert!(names(&program(&after), "bollard"));
        assert!(!names(&program("// as in tokio::time\n"), "tokio"));
    }

    #[test]
    fn paths_are_found_as_words() {
        assert!(names("use crate::plugin::X;", "crate::plugin"));
        assert!(names("crate::plugin;", "crate::plugin"));
        assert!(!names("use crate::plugins;", "crate::plugin"));
        assert!(!names("use crate::engine::docker;", "docker"));
        assert!(names("use ::bollard::Docker;", "bollard::"));
        assert!(!names("use my_bollard::Docker;", "bollard::"));
        assert!(names("fn a(time: std::time::Instant)", "std::time::Instant"));
    }

    #[test]
    fn traits_are_found() {
        let code = "pub trait One: Send {\n    trait Two {}\npub(crate) trait Three<T> {\nimpl Four for X {}\nuse a::traits;\n";
        assert_eq!(traits(code), ["One", "Two", "Three"]);
    }

    #[test]
    fn clocks_are_found() {
        assert!(reads_clock("let now = SystemTime::now();"));
        assert!(reads_clock("let late = begun.elapsed() > limit;"));
        assert!(!reads_clock("fn due(now: Duration) {}"));
    }

    #[test]
    fn hidden_imports_are_found() {
        for (path, text) in [
            ("pod.rs", "use crate::{engine, plugin};"),
            ("pod/life.rs", "use std::{env, fs};"),
            ("pod/life.rs", "use super::super::plugin::Host;"),
            ("pod.rs", "use super::plugin::Host;"),
        ] {
            assert!(hides_imports(&source(path, text)).is_some(), "{path}: {text}");
        }
        assert_eq!(hides_imports(&source("pod/lower/life.rs", "use super::super::Pod;\nuse super::fields::X;")), None);
    }
}
