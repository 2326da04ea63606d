//! Builds the stock plugins, so that `src/plugin/host/stock.rs` can embed them.
//!
//! They are a workspace of their own for another target, so a second cargo builds them, in a target directory of its own (cargo locks those).
//! `OUTRIGGER_STOCK_PLUGINS=<directory>` takes ready ones from there instead, for who builds where that target is missing.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "src/pod/stock.rs"]
mod stock;

use stock::STOCK;

const TARGET: &str = "wasm32-wasip2";
const READY: &str = "OUTRIGGER_STOCK_PLUGINS";
/// What of cargo's variables the second cargo may see: where crates come from, and how many jobs may run. All others describe this build, not that one.
const KEPT: [&str; 7] =
    ["CARGO_HOME", "CARGO_MAKEFLAGS", "CARGO_NET_", "CARGO_HTTP_", "CARGO_SOURCE_", "CARGO_REGISTR", "CARGO_TERM_"];
/// Variables of this build that do not begin with `CARGO`.
const SCRUBBED: [&str; 13] = [
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_LINKER",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "TARGET",
    "HOST",
    "PROFILE",
    "OPT_LEVEL",
    "DEBUG",
    "OUT_DIR",
];

fn main() -> Result<(), Box<dyn Error>> {
    for path in
        ["build.rs", "src/pod/stock.rs", "wit", "plugins/Cargo.toml", "plugins/Cargo.lock", ".cargo/config.toml"]
    {
        println!("cargo::rerun-if-changed={path}");
    }
    for name in STOCK.into_iter().chain(["sdk"]) {
        println!("cargo::rerun-if-changed=plugins/{name}/Cargo.toml");
        println!("cargo::rerun-if-changed=plugins/{name}/src");
    }
    println!("cargo::rerun-if-env-changed={READY}");
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let built = match env::var_os(READY) {
        Some(ready) => PathBuf::from(ready),
        None => build(&root, &out)?,
    };
    let mut arms = String::new();
    for name in STOCK {
        let from = built.join(format!("outrigger_plugin_{name}.wasm"));
        // A copy, so that a later build of the plugins can't change what this one embeds.
        let to = out.join(format!("{name}.wasm"));
        fs::copy(&from, &to).map_err(|error| format!("cannot copy `{}`: {error}", from.display()))?;
        arms.push_str(&format!(
            "        {name:?} => Some(include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))),\n"
        ));
    }
    let code = format!(
        "/// The component of a stock plugin; none: there is no such plugin.\n\
         #[must_use]\n\
         pub fn wasm(name: &str) -> Option<&'static [u8]> {{\n    match name {{\n{arms}        _ => None,\n    }}\n}}\n"
    );
    fs::write(out.join("stock.rs"), code)?;
    Ok(())
}

/// Builds them all and answers where they are.
fn build(root: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    check_target()?;
    let target_dir = target_dir(root, out);
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // From inside of the workspace, since cargo looks for its configuration from where it runs.
    cargo.current_dir(root.join("plugins"));
    cargo
        .args(["build", "--workspace", "--locked", "--profile", "plugin", "--target", TARGET, "--target-dir"])
        .arg(&target_dir);
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        let is_kept = KEPT.iter().any(|kept| name.starts_with(kept));
        if (name.starts_with("CARGO") && !is_kept) || SCRUBBED.contains(&name.as_ref()) {
            cargo.env_remove(&key);
        }
    }
    let status = cargo.status().map_err(|error| format!("cannot run cargo for the stock plugins: {error}"))?;
    if !status.success() {
        return Err(format!("the stock plugins did not build ({status}); see cargo's own words above").into());
    }
    Ok(target_dir.join(TARGET).join("plugin"))
}

/// Says what to do about a missing target, before cargo says that it can't find `core`.
fn check_target() -> Result<(), Box<dyn Error>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = Command::new(&rustc).args(["--print", "target-libdir", "--target", TARGET]).output();
    let has_it = asked.is_ok_and(|output| {
        output.status.success() && Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
    });
    if has_it {
        return Ok(());
    }
    println!("cargo::error=the stock plugins need Rust's target {TARGET}: run `rustup target add {TARGET}`");
    println!("cargo::error=or set {READY} to a directory with ready ones (outrigger_plugin_<name>.wasm)");
    Err(format!("target `{TARGET}` is not installed").into())
}

/// `plugins` within this build's own target directory, which is what is above `<profile>/build/<package>/out`; with `--target`, one further up.
fn target_dir(root: &Path, out: &Path) -> PathBuf {
    let above = out.ancestors().nth(4);
    let has_triple = above.and_then(Path::file_name) == env::var_os("TARGET").as_deref().map(OsStr::new);
    let target = if has_triple { above.and_then(Path::parent) } else { above };
    target.map_or_else(|| root.join("target"), Path::to_path_buf).join("plugins")
}
