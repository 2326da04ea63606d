//! `outrigger plugin inspect` and `outrigger plugin compile`.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::argv::{CompileArgs, InspectArgs};
use super::report::{Exit, Report};
use super::{Env, block_on, output, plugins};
use crate::config::Settings;
use crate::config::{self, Flags};
use crate::plugin::host::manifest::Want;
use crate::plugin::host::stock;
use crate::plugin::host::{Host, HostDirs};
use crate::plugin::imports::place::Place;
use crate::pod::values::size;
use crate::pod::{PluginName, PluginSource};

/// Shows what a plugin says of itself, without any grant.
pub(super) fn inspect(args: InspectArgs, env: &Env) -> Result<Exit, Report> {
    let (source, name) = source(&args.plugin)?;
    let settings = config::lower(&Flags::default(), env).map_err(Report::usage)?;
    let memory = match &args.memory {
        Some(text) => Some(memory(text).map_err(Report::usage)?),
        None => None,
    };
    let seen = block_on(async {
        let host = plugins::host(&settings, env, &Env::new())?;
        let seen = host.inspect(&source, &name, memory).await;
        seen.with_context(|| format!("cannot use `{}`", args.plugin)).map_err(Report::input)
    })?;
    let about = &seen.manifest;
    let hooks: Vec<&str> = seen.hooks.iter().map(|hook| hook.name()).collect();
    // What decides about the pod's life comes first.
    let mut sorted: Vec<&Want> = about.wants.iter().collect();
    sorted.sort_by_key(|want| !want.grant.capability.is_power());
    let wants: Vec<Value> = sorted
        .iter()
        .map(|want| {
            json!({
                "capability": want.grant.capability.name(),
                "scope": want.grant.scope,
                "power": want.grant.capability.is_power(),
                "reason": want.reason,
                "required": want.required,
            })
        })
        .collect();
    if args.json {
        output::json(&json!({
            "name": about.name.as_str(),
            "version": about.version,
            "summary": about.summary,
            "hooks": hooks,
            "wants": wants,
            "config_schema": about.config_schema,
            "memory": about.memory,
            "start_ms": about.start.map(|start| start.as_millis()),
            "one_instance": about.one_instance,
            "imports": seen.imports,
            "size": seen.size,
            "digest": seen.digest,
        }))?;
        return Ok(Exit::Success);
    }
    let mut text = format!("{} {}: {}\n", about.name, about.version, about.summary);
    text.push_str(&format!("hooks: {}\n{} KiB, sha256:{}\n", listed(&hooks), seen.size.div_ceil(1024), seen.digest));
    if let Some(memory) = about.memory {
        text.push_str(&format!("needs {} MiB of memory\n", memory >> 20));
    }
    if let Some(start) = about.start {
        text.push_str(&format!("needs {start:?} to start\n"));
    }
    if about.wants.is_empty() {
        text.push_str("requests no capabilities\n");
    } else {
        let head = ["REQUESTS", "SCOPE", "", "", "REASON"].map(str::to_owned).to_vec();
        let rows = sorted.into_iter().map(|Want { grant, reason, required }| {
            let kind = if grant.capability.is_power() { "power" } else { "" };
            let needed = if *required { "required" } else { "optional" };
            vec![grant.capability.to_string(), grant.scope.clone(), kind.to_owned(), needed.to_owned(), reason.clone()]
        });
        text.push('\n');
        text.push_str(&output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    }
    let schema = serde_json::to_string_pretty(&about.config_schema).context("cannot write the schema")?;
    text.push_str(&format!("\nconfiguration:\n{schema}\n"));
    output::text(&text)?;
    Ok(Exit::Success)
}

/// A limit of memory, in bytes.
fn memory(text: &str) -> anyhow::Result<u64> {
    let bytes = size(text).ok().and_then(|bytes| u64::try_from(bytes).ok()).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| anyhow!("`--memory`: `{text}` is not a size: write for instance `256m`"))
}

/// Compiles plugins for this machine's kind of processor; the stock ones where none is named.
pub(super) fn compile(args: CompileArgs) -> Result<Exit, Report> {
    // Only root may write where machine code is loaded from.
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&args.out)
        .with_context(|| format!("cannot create the directory `{}`", args.out.display()))?;
    let plugins: Vec<(String, Vec<u8>)> = if args.files.is_empty() {
        let wasm = |name: &&str| stock::wasm(name).map(|wasm| ((*name).to_owned(), wasm.to_vec()));
        stock::NAMES.iter().filter_map(wasm).collect()
    } else {
        // By the digest of its file, the controller finds the code of a plugin under whatever name and path a pod has it.
        let by_digest = |file: &PathBuf| {
            let wasm = read_file(file)?;
            Ok((hex::encode(Sha256::digest(&wasm)), wasm))
        };
        args.files.iter().map(by_digest).collect::<Result<_, Report>>()?
    };
    // Nothing is taken from these directories: what is written comes from these bytes.
    let Settings { plugin_dir, cache_dir, state_dir, timeouts, .. } = Settings::default();
    let host = Host::new(
        HostDirs { precompiled: plugin_dir, cache: cache_dir, state: state_dir },
        timeouts,
        Place::Controller,
    )?;
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
    stem.map(str::to_owned).ok_or_else(|| Report::usage(anyhow!("`{}` is not a file name", file.display())))
}

/// A stock plugin of this name, or the file of this path.
fn source(plugin: &str) -> Result<(PluginSource, PluginName), Report> {
    if stock::NAMES.contains(&plugin) {
        return Ok((PluginSource::Stock, PluginName::new(plugin).map_err(Report::usage)?));
    }
    let path = Path::new(plugin);
    if path.components().count() == 1 && path.extension().is_none() && !path.exists() {
        let known = stock::NAMES.join("`, `");
        return Err(Report::input(anyhow!("neither a stock plugin nor a file is called `{plugin}`"))
            .hint(format!("stock plugins: `{known}`")));
    }
    // Looked for here, so that the message names what was typed.
    fs::metadata(path).with_context(|| format!("cannot read `{plugin}`")).map_err(Report::input)?;
    let path = std::path::absolute(path).with_context(|| format!("cannot read `{plugin}`"))?;
    // The name in a pod is the user's to choose; the file's is as good as any where it is one.
    let name = PluginName::new(&stem(&path)?).or_else(|_| PluginName::new("plugin")).map_err(Report::usage)?;
    Ok((PluginSource::File(path.to_string_lossy().into_owned()), name))
}

fn read_file(path: &Path) -> Result<Vec<u8>, Report> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display())).map_err(Report::input)
}

fn listed(words: &[&str]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
