//! Where `run`, `plan` and `check` find their pods.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;

use super::argv::{self, OnlyFlags};
use super::report::Report;
use super::{Env, engine_of};
use crate::config::{self, Flags, Settings};
use crate::engine::{Engine, EngineInfo};
use crate::labels::{self, RawPod, Source};
use crate::plan::{SelfInfo, document, offline};
use crate::pod::{PodSpec, Problem, Problems, lower};

/// Longest input that is read, in bytes: a stack file of hundreds of services.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A pod and what is known of where it would run.
pub(super) struct Pod {
    /// Of the service, the container or the file.
    pub(super) name: String,
    /// What was asked for.
    pub(super) spec: PodSpec,
    /// The controller's container: as it is, or as it would be.
    pub(super) me: SelfInfo,
    /// The engine: as it is, or a current one.
    pub(super) engine: EngineInfo,
    /// How the controller would behave.
    pub(super) settings: Settings,
    /// From where relative paths are taken.
    pub(super) folder: PathBuf,
    /// Whether all of it could be read. What is left of one that could not is good for looking at its plugins only.
    pub(super) is_whole: bool,
}

/// The pods of an input, as far as they could be read, and why the rest could not.
#[derive(Default)]
pub(super) struct Found {
    /// In the order of the input.
    pub(super) pods: Vec<Pod>,
    /// Of all of them.
    pub(super) problems: Problems,
}

/// A file, or standard input for `-`.
pub(super) struct Text {
    /// Its name in messages.
    pub(super) origin: String,
    /// What it holds.
    pub(super) text: String,
    /// From where relative paths are taken.
    pub(super) folder: PathBuf,
}

/// Reads a file, or standard input for `-`.
pub(super) fn text(file: &Path) -> Result<Text, Report> {
    let mut text = String::new();
    let (origin, folder) = if file.as_os_str() == "-" {
        std::io::stdin()
            .take(LONGEST)
            .read_to_string(&mut text)
            .context("cannot read standard input")
            .map_err(Report::input)?;
        ("stdin".to_owned(), std::env::current_dir().context("cannot find the working directory")?)
    } else {
        let failed = || format!("cannot read `{}`", file.display());
        let opened = std::fs::File::open(file).with_context(failed).map_err(Report::input)?;
        opened.take(LONGEST).read_to_string(&mut text).with_context(failed).map_err(Report::input)?;
        let absolute = std::path::absolute(file).with_context(failed).map_err(Report::input)?;
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
        (name, absolute.parent().unwrap_or(Path::new("/")).to_owned())
    };
    if u64::try_from(text.len()).unwrap_or(u64::MAX) >= LONGEST {
        return Err(Report::input(anyhow::anyhow!("`{}` is longer than {LONGEST} bytes", file.display())));
    }
    Ok(Text { origin, text, folder })
}

/// Every pod of a file, or the one of a container.
pub(super) async fn pods(
    file: Option<&Path>,
    container: Option<&str>,
    flags: &Flags,
    env: &Env,
) -> Result<Found, Report> {
    match (container, file) {
        (Some(container), _) => of_container(container, flags, env).await,
        (None, Some(file)) => of_file(file, flags, env),
        (None, None) => Err(Report::usage(anyhow::anyhow!("neither a file nor a container was named"))),
    }
}

fn of_file(file: &Path, flags: &Flags, env: &Env) -> Result<Found, Report> {
    Ok(of_text(super::template::rendered(text(file)?, env)?, flags, env))
}

/// Every pod of a text.
pub(super) fn of_text(text: Text, flags: &Flags, env: &Env) -> Found {
    let Text { origin, text, folder } = text;
    let (sources, problems) = labels::read_sources(&origin, &text);
    let mut found = Found { pods: Vec::new(), problems };
    for source in sources {
        let (pod, more) = of_source(source, flags, env, &folder);
        found.pods.push(pod);
        found.problems.extend(more);
    }
    found
}

/// The one pod of a `pod.yaml`; `name` makes its name of the one that the file says.
pub(super) fn document(text: Text, name: impl FnOnce(Option<&str>) -> String, env: &Env) -> Found {
    let Text { origin, text, folder } = text;
    let (raw, problems) = labels::read_document(&origin, &text);
    // Without anything to run there is nothing to look at.
    if raw == RawPod::default() {
        return Found { pods: Vec::new(), problems };
    }
    let written = raw.controller.as_ref().and_then(|(_, map)| map.get("name")).and_then(|name| name.as_str());
    let name = name(written);
    let (pod, problems) = of_source(Source { name, raw, is_document: true, problems }, &Flags::default(), env, &folder);
    Found { pods: vec![pod], problems }
}

fn of_source(source: Source, flags: &Flags, env: &Env, folder: &Path) -> (Pod, Problems) {
    let Source { name, raw, is_document, mut problems } = source;
    let (spec, more) = lower::lower_partly(&raw);
    problems.extend(more);
    let environment = environment(&spec, env);
    let settings = or_default(settings(&spec, flags, &environment), &mut problems);
    let mut me = SelfInfo::offline(&name, labels::to_labels(&document::of(&spec)));
    me.environment = environment;
    me.container.memory = spec.controller.memory.unwrap_or(0);
    // Elsewhere the engine's own default holds where nothing is written.
    me.container.stop_timeout =
        spec.controller.stop_grace_period.or(is_document.then_some(super::run::container::GRACE));
    let is_whole = problems.is_empty();
    (Pod { name, spec, me, engine: offline::engine(), settings, folder: folder.to_owned(), is_whole }, problems)
}

/// Wrong settings are told; plugins are looked at with the defaults then.
fn or_default(settings: Result<Settings, Problems>, problems: &mut Problems) -> Settings {
    settings.unwrap_or_else(|more| {
        problems.extend(more);
        Settings::default()
    })
}

async fn of_container(container: &str, flags: &Flags, env: &Env) -> Result<Found, Report> {
    let host = config::lower(flags, env).map_err(Report::usage)?;
    let engine = engine_of(&host, env)?;
    let info = engine.info().await?;
    let found = engine.inspect(container).await?;
    let environment: Env =
        found.env.iter().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let (raw, mut problems) = labels::read_labels(&found.labels);
    let (spec, more) = lower::lower_partly(&raw);
    problems.extend(more);
    let settings = or_default(settings(&spec, flags, &environment), &mut problems);
    let name = found.name.clone();
    let mut me = SelfInfo::offline(&name, found.labels.clone());
    me.container = found;
    me.environment = environment;
    let folder = std::env::current_dir().context("cannot find the working directory")?;
    let is_whole = problems.is_empty();
    Ok(Found { pods: vec![Pod { name, spec, me, engine: info, settings, folder, is_whole }], problems })
}

/// The controller's environment, as `outrigger run` would make it.
pub(super) fn environment(spec: &PodSpec, env: &Env) -> Env {
    spec.controller
        .environment
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone().or_else(|| env.get(name).cloned())?)))
        .collect()
}

/// The controller's settings: `flags` win over `controller.flags`, which win over its environment.
pub(super) fn settings(spec: &PodSpec, flags: &Flags, environment: &Env) -> Result<Settings, Problems> {
    let written = argv::normalise(spec.controller.flags.iter().map(Into::into).collect());
    let written = OnlyFlags::try_parse_from(written).map_err(|error| {
        let told = error.render().to_string();
        let what = told.lines().next().unwrap_or_default().trim_start_matches("error: ").replace('\'', "`");
        Problems(vec![Problem::new("controller", "flags", what)])
    })?;
    config::lower(&over(flags.clone(), written.flags.into()), environment)
}

fn over(first: Flags, second: Flags) -> Flags {
    Flags {
        pids: first.pids.or(second.pids),
        ipc: first.ipc.or(second.ipc),
        volumes: first.volumes.or(second.volumes),
        logs: first.logs.or(second.logs),
        pull: first.pull.or(second.pull),
        keep_failed: first.keep_failed.or(second.keep_failed),
        keep_failed_for: first.keep_failed_for.or(second.keep_failed_for),
        cgroup_mode: first.cgroup_mode.or(second.cgroup_mode),
        own_id: first.own_id.or(second.own_id),
        state_dir: first.state_dir.or(second.state_dir),
        plugin_dir: first.plugin_dir.or(second.plugin_dir),
        cache_dir: first.cache_dir.or(second.cache_dir),
        log_format: first.log_format.or(second.log_format),
        log_level: first.log_level.or(second.log_level),
        allow: if first.allow.is_empty() { second.allow } else { first.allow },
        deny: if first.deny.is_empty() { second.deny } else { first.deny },
        images: if first.images.is_empty() { second.images } else { first.images },
        timeouts: second.timeouts.into_iter().chain(first.timeouts).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sharing;
    use crate::pod::ControllerSpec;

    fn spec(flags: &[&str]) -> PodSpec {
        PodSpec {
            controller: ControllerSpec {
                flags: flags.iter().map(|&f| f.to_owned()).collect(),
                ..ControllerSpec::default()
            },
            ..PodSpec::default()
        }
    }

    #[test]
    fn flags_of_the_file_count_and_typed_ones_win() {
        let file = spec(&["-pids=false", "--ipc=false"]);
        let typed = Flags { ipc: Some("true".to_owned()), ..Flags::default() };
        let settings = settings(&file, &typed, &Env::new()).unwrap();
        assert_eq!(settings.pids, Sharing::Private);
        assert_eq!(settings.ipc, Sharing::Shared);
    }

    #[test]
    fn a_flag_that_does_not_exist_is_a_problem_of_the_file() {
        let problems = settings(&spec(&["-pid=false"]), &Flags::default(), &Env::new()).unwrap_err();
        assert_eq!(problems.0[0].field, "flags");
        assert!(problems.0[0].what.contains("--pid"), "{problems}");
    }

    #[test]
    fn a_variable_without_a_value_is_the_hosts() {
        let mut file = spec(&[]);
        file.controller.environment.insert("REGION".to_owned(), None);
        file.controller.environment.insert("GONE".to_owned(), None);
        file.controller.environment.insert("SET".to_owned(), Some("1".to_owned()));
        let host = Env::from([("REGION".to_owned(), "eu".to_owned()), ("SET".to_owned(), "2".to_owned())]);
        let made = environment(&file, &host);
        assert_eq!(made, Env::from([("REGION".to_owned(), "eu".to_owned()), ("SET".to_owned(), "1".to_owned())]));
    }
}
