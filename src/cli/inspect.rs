//! `outrigger plugin inspect` and `outrigger plugin compile`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde_json::{Value, json};

use super::argv::{CompileArgs, InspectArgs};
use super::report::{Exit, Report};
use super::{Env, block_on, output, plugins};
use crate::config::{self, Flags};
use crate::plugin::{Host, HostDirs, stock};

/// Shows what a plugin says of itself, without any grant.
pub(super) fn inspect(args: InspectArgs, env: &Env) -> Result<Exit, Report> {
    let wasm = read(&args.plugin)?;
    let settings = config::lower(&Flags::default(), env).map_err(Report::usage)?;
    let about = block_on(async {
        let host = plugins::host(&settings, env)?;
        host.inspect(&wasm).await.with_context(|| format!("cannot inspect `{}`", args.plugin)).map_err(Report::input)
    })?;
    let wants: Vec<Value> = about
        .wants
        .iter()
        .map(|want| {
            json!({ "capability": want.capability, "scope": want.scope, "reason": want.reason, "required": want.required })
        })
        .collect();
    // A schema that is no JSON is shown as the text that it is.
    let schema: Value =
        serde_json::from_str(&about.config_schema).unwrap_or(Value::String(about.config_schema.clone()));
    if args.json {
        output::json(&json!({
            "name": about.name,
            "version": about.version,
            "summary": about.summary,
            "hooks": about.hooks.iter().map(|hook| hook.name()).collect::<Vec<_>>(),
            "wants": wants,
            "config_schema": schema,
        }))?;
        return Ok(Exit::Success);
    }
    let hooks: Vec<&str> = about.hooks.iter().map(|hook| hook.name()).collect();
    let mut text = format!("{} {}: {}\nhooks: {}\n", about.name, about.version, about.summary, listed(&hooks));
    if about.wants.is_empty() {
        text.push_str("asks for nothing\n");
    } else {
        let head = ["ASKS FOR", "SCOPE", "", "REASON"].map(str::to_owned).to_vec();
        let rows = about.wants.iter().map(|want| {
            let needed = if want.required { "required" } else { "optional" };
            vec![want.capability.clone(), want.scope.clone(), needed.to_owned(), want.reason.clone()]
        });
        text.push('\n');
        text.push_str(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    }
    let schema = serde_json::to_string_pretty(&schema).context("cannot write the schema")?;
    text.push_str(&format!("\nconfiguration:\n{schema}\n"));
    output::text(&text)?;
    Ok(Exit::Success)
}

/// Compiles plugins for this machine's kind of processor; the stock ones where none is named.
pub(super) fn compile(args: CompileArgs) -> Result<Exit, Report> {
    // Only root may write where machine code is loaded from.
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&args.out)
        .with_context(|| format!("cannot make `{}`", args.out.display()))?;
    let plugins: Vec<(String, Vec<u8>)> = if args.files.is_empty() {
        stock::NAMES.iter().map(|name| Ok(((*name).to_owned(), read(name)?))).collect::<Result<_, Report>>()?
    } else {
        args.files.iter().map(|file| Ok((stem(file)?, read_file(file)?))).collect::<Result<_, Report>>()?
    };
    // Nothing is taken from a cache: what is written here comes from these bytes.
    let host = Host::new(HostDirs { precompiled: args.out.clone(), cache: args.out.clone(), state: args.out.clone() })?;
    for (name, wasm) in plugins {
        let code = host.precompile(&wasm).with_context(|| format!("cannot compile `{name}`")).map_err(Report::input)?;
        let path = write(&args.out, &name, &code)?;
        output::text(&format!("{} ({} KiB)\n", path.display(), code.len().div_ceil(1024)))?;
    }
    Ok(Exit::Success)
}

/// Whole or not at all: a controller may be reading the directory.
fn write(dir: &Path, name: &str, code: &[u8]) -> Result<PathBuf, Report> {
    let path = dir.join(format!("{name}.cwasm"));
    let part = dir.join(format!(".{name}.cwasm.{}", std::process::id()));
    fs::write(&part, code)
        .and_then(|()| fs::rename(&part, &path))
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    Ok(path)
}

fn stem(file: &Path) -> Result<String, Report> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    stem.map(str::to_owned).ok_or_else(|| Report::usage(anyhow!("`{}` is not the name of a file", file.display())))
}

/// A stock plugin of this name, or the file of this path.
fn read(plugin: &str) -> Result<Vec<u8>, Report> {
    if let Some(wasm) = stock::wasm(plugin) {
        return Ok(wasm.to_vec());
    }
    let path = Path::new(plugin);
    if path.components().count() == 1 && path.extension().is_none() && !path.exists() {
        let known = stock::NAMES.join("`, `");
        return Err(Report::input(anyhow!("there is no stock plugin and no file `{plugin}`"))
            .hint(format!("stock plugins are `{known}`")));
    }
    read_file(path)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Report> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display())).map_err(Report::input)
}

fn listed(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
