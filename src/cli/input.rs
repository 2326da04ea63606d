//! Where `run`, `plan` and `check` find their pods.

mod known;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use super::argv::{self, OnlyFlags};
use super::dotenv::DotEnv;
use super::report::Report;
use super::{Env, engine_of};
use crate::config::{self, Flags, Settings};
use crate::engine::{CgroupDriver, ContainerId, Engine, EngineInfo, Fault, Inspection, MountPoint};
use crate::identity;
use crate::labels::{self, Place, RawPod, Source};
use crate::plan::{Seen, SelfInfo, document, offline, ownership};
use crate::pod::{Mount, MountKind, PodSpec, Problem, Problems, lower};
use crate::problem::language;
use crate::problem::sources::Sources;

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
    /// Where it is written.
    origin: Origin,
    /// A note for each variable of a `pod.yaml` that is not set.
    pub(super) unset: Vec<String>,
    /// Whether all of it could be read. What is left of one that could not is good for looking at its plugins only.
    pub(super) is_whole: bool,
    /// What is known of the controller's files, where it does not run yet.
    files: Option<known::Files>,
    /// Whether the settings are those that were written, and not the defaults in the place of wrong ones.
    pub(super) knows_settings: bool,
}

impl Pod {
    /// Whether the controller may have something at this path.
    pub(super) fn reaches(&self, path: &str) -> bool {
        self.files.as_ref().is_none_or(|files| files.reach(path))
    }

    /// Problems in the words of the input.
    pub(super) fn told(&self, problems: Problems) -> Problems {
        self.origin.told(problems)
    }

    /// Notes in the words of the input.
    pub(super) fn notes(&self, notes: Vec<String>) -> Vec<String> {
        match self.origin {
            Origin::Document(_) => notes.iter().map(|note| language::words(note)).collect(),
            Origin::Labels { .. } => notes,
        }
    }
}

/// How a pod was written.
#[derive(Clone)]
enum Origin {
    /// As a `pod.yaml`, which has this name in messages.
    Document(String),
    /// As labels.
    Labels {
        /// What they begin with in messages, where the text holds others too.
        prefix: String,
        /// Where the controller's container is written, if that is known.
        controller: Option<Place>,
    },
}

impl Origin {
    fn told(&self, problems: Problems) -> Problems {
        let one = |problem: Problem| match self {
            Self::Document(origin) => language::document(problem, origin),
            Self::Labels { prefix, .. } if problem.label.starts_with("pod.") => {
                Problem { label: format!("{prefix}{}", problem.label), ..problem }
            }
            Self::Labels { controller: Some(at), .. } if problem.label == "controller" => {
                let at = if problem.field == "flags" { at.key("command") } else { at.clone() };
                Problem { label: at.label, field: at.field, ..problem }
            }
            Self::Labels { .. } => problem,
        };
        Problems(problems.0.into_iter().map(one).collect())
    }
}

/// The pods of an input, as far as they could be read, and why the rest could not.
#[derive(Default)]
pub(super) struct Found {
    /// In the order of the input.
    pub(super) pods: Vec<Pod>,
    /// Of all of them.
    pub(super) problems: Problems,
    /// The texts, in which the problems have their lines.
    pub(super) sources: Sources,
}

impl Found {
    /// The problems, with their lines; or the value where there are none.
    pub(super) fn judged<T>(mut problems: Problems, sources: &Sources, value: T) -> Result<T, Report> {
        sources.locate(&mut problems);
        problems.or(value).map_err(Report::input)
    }
}

/// A file, or standard input for `-`.
#[derive(Clone)]
pub(super) struct Text {
    /// Its name in messages.
    pub(super) origin: String,
    /// What it holds, or what has become of it.
    pub(super) text: String,
    /// From where relative paths are taken.
    pub(super) folder: PathBuf,
    /// As the user has written it.
    pub(super) sources: Sources,
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
    let mut sources = Sources::default();
    let named = if origin == "stdin" { origin.clone() } else { file.to_string_lossy().into_owned() };
    sources.file(&origin, &named, &text);
    Ok(Text { origin, text, folder, sources })
}

/// Whether the flags that were typed can be understood: those of a file are the file's problem.
pub(super) fn typed(flags: &Flags) -> Result<(), Report> {
    config::lower(flags, &Env::new()).map(|_| ()).map_err(Report::usage)
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
    let written = text(file)?;
    let raw = written.clone();
    match super::template::rendered(written, env) {
        Ok(rendered) => Ok(of_text(rendered, flags, env)),
        Err(report) => match report.problems() {
            Some(problems) => Ok(of_others(problems.clone(), raw, flags, env)),
            None => Err(report),
        },
    }
}

/// The pods of a stack file whose templates are wrong: those of its services that need none.
pub(super) fn of_others(mut problems: Problems, raw: Text, flags: &Flags, env: &Env) -> Found {
    let mut others = of_text(raw, flags, env);
    if others.pods.is_empty() {
        return Found { problems, ..others };
    }
    problems.extend_elsewhere(others.problems);
    others.problems = problems;
    others
}

/// Every pod of a text.
pub(super) fn of_text(text: Text, flags: &Flags, env: &Env) -> Found {
    let Text { origin, text, folder, sources } = text;
    let dotenv = DotEnv::beside(&folder, env);
    let (pods, mut problems) = labels::read_sources(&origin, &text, &|name| dotenv.variable(name, env));
    if pods.iter().any(|source| source.is_document) {
        problems.extend(dotenv.problems.clone());
    }
    let mut found = Found { pods: Vec::new(), problems, sources };
    for source in pods {
        if let Some(at) = &source.labels_at {
            found.sources.labels_at(&source.prefix, at.clone());
        }
        let (pod, more) = of_source(source, flags, env, &dotenv, &folder, &origin);
        found.pods.push(pod);
        found.problems.extend(more);
    }
    found
}

/// The one pod of a `pod.yaml`; `name` makes its name of the one that the file says.
pub(super) fn document(text: Text, name: impl FnOnce(Option<&str>) -> String, env: &Env) -> Found {
    let Text { origin, text, folder, sources } = text;
    let dotenv = DotEnv::beside(&folder, env);
    let (raw, mut problems) = labels::read_document(&origin, &text, &|name| dotenv.variable(name, env));
    problems.extend(dotenv.problems.clone());
    // Without anything to run there is nothing to look at.
    if raw == RawPod::default() {
        return Found { pods: Vec::new(), problems, sources };
    }
    let written = raw.controller.as_ref().and_then(|(_, map)| map.get("name")).and_then(|name| name.as_str());
    let name = name(written);
    let source = Source { name, raw, is_document: true, problems, ..Source::default() };
    let (pod, problems) = of_source(source, &Flags::default(), env, &dotenv, &folder, &origin);
    Found { pods: vec![pod], problems, sources }
}

fn of_source(
    source: Source,
    flags: &Flags,
    env: &Env,
    dotenv: &DotEnv,
    folder: &Path,
    origin: &str,
) -> (Pod, Problems) {
    let Source { name, raw, prefix, at, is_document, mut problems, labels_at: _, held, is_built, declared } = source;
    let origin = match is_document {
        true => Origin::Document(origin.to_owned()),
        false => Origin::Labels { prefix, controller: at },
    };
    let (mut spec, more) = lower::lower_partly(&raw);
    problems.extend(more);
    if is_document {
        // A variable without a value is passed on, from wherever it is known.
        for (name, value) in spec.controller.environment.iter_mut().filter(|(_, value)| value.is_none()) {
            *value = dotenv.values.get(name).filter(|_| !env.contains_key(name)).cloned();
        }
    }
    let unset: BTreeSet<&str> = raw.unset.iter().map(|(_, name)| name.as_str()).collect();
    let unset = unset.into_iter().map(|name| format!("the variable `{name}` is not set: it is empty")).collect();
    let environment = environment(&spec, env);
    let settings = settings(&spec, flags, &environment);
    let (settings, knows_settings) = or_default(settings, &mut problems);
    spec.warnings.extend(config::lower::unknown_variables(&environment).into_iter().map(|(name, nearest)| {
        let meant = nearest.map(|right| format!("; did you mean `{right}`?")).unwrap_or_default();
        format!("`{name}` is no variable that the controller knows{meant}")
    }));
    let mut me = SelfInfo::offline(&name, labels::to_labels(&document::of(&spec)));
    me.environment = environment;
    me.container.memory = spec.controller.memory.unwrap_or(0);
    // Elsewhere the engine's own default holds where nothing is written.
    me.container.stop_timeout =
        spec.controller.stop_grace_period.or(is_document.then_some(super::run::container::GRACE));
    if let Some(image) = spec.controller.image.clone() {
        me.container.image = image;
    } else if is_document {
        super::run::container::IMAGE.clone_into(&mut me.container.image);
    }
    me.container.mounts = match is_document {
        true => super::run::container::mounts(&spec.controller.volumes, folder, env),
        false => super::run::container::resolved(&spec.controller.volumes, folder),
    }
    .iter()
    .inspect(|mount| {
        if let (MountKind::Volume, Some(name)) = (mount.kind, &mount.source) {
            let made = mount.volume.clone().unwrap_or_default();
            me.own_volumes.add(name, &made.driver, &made.driver_opts);
        }
    })
    .map(point)
    .collect();
    if is_document {
        let gone = super::run::container::missing(&spec.controller.volumes, folder, env);
        spec.warnings.extend(gone.into_iter().map(|source| {
            format!(
                "`controller`, field `volumes`: there is no `{source}` in `{}`, and `run` makes none",
                folder.display()
            )
        }));
    }
    let held = if is_document { Some(me.container.mounts.iter().map(|it| it.target.clone()).collect()) } else { held };
    let files = known::Files { held, is_bare: !is_built && known::is_bare(&me.container.image) };
    problems.extend(known::files(&raw, &mut spec, &mut me, &files));
    if is_document {
        problems.extend(known::volumes_of_document(&raw, &spec));
        if super::run::container::is_local(env) {
            known::beside(&spec, &mut me, folder);
        }
    } else {
        spec.warnings.extend(known::volumes_of_stack(&raw, &spec, &declared));
    }
    let problems = origin.told(problems);
    let is_whole = problems.is_empty();
    let (engine, folder) = (offline::engine(), folder.to_owned());
    let files = Some(files);
    (Pod { name, spec, me, engine, settings, folder, origin, unset, is_whole, knows_settings, files }, problems)
}

/// A mount as the engine will tell of it.
fn point(mount: &Mount) -> MountPoint {
    let source = mount.source.clone().unwrap_or_default();
    let (kind, name, source) = match mount.kind {
        MountKind::Bind => ("bind", String::new(), source),
        MountKind::Volume => ("volume", source, String::new()),
        MountKind::Tmpfs => ("tmpfs", String::new(), String::new()),
    };
    MountPoint { kind: kind.to_owned(), name, source, target: mount.target.clone(), writable: !mount.read_only }
}

/// Wrong settings are told; plugins are looked at with the defaults then.
fn or_default(settings: Result<Settings, Problems>, problems: &mut Problems) -> (Settings, bool) {
    match settings {
        Ok(settings) => (settings, true),
        Err(more) => {
            problems.extend(more);
            (Settings::default(), false)
        }
    }
}

async fn of_container(container: &str, flags: &Flags, env: &Env) -> Result<Found, Report> {
    let host = config::lower(flags, env).map_err(Report::usage)?;
    let engine = engine_of(&host, env)?;
    let info = engine.info().await?;
    let found = identity::with_grace(&engine, engine.inspect(container).await?).await;
    let environment: Env =
        found.env.iter().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let (raw, mut problems) = labels::read_labels(&found.labels);
    let (mut spec, more) = lower::lower_partly(&raw);
    problems.extend(more);
    spec.controller.flags.clone_from(&found.command);
    let (settings, knows_settings) = or_default(settings(&spec, flags, &environment), &mut problems);
    let name = found.name.clone();
    let mut me = SelfInfo::offline(&name, found.labels.clone());
    (me.volume_aliases, me.own_volumes) = identity::own_volumes(&engine, &found).await?;
    me.container = found;
    me.environment = environment;
    me.seen = Seen::Outside;
    if let Some(parent) = parent_of_components(&engine, &me.container.id).await? {
        placed(&mut me, &info, parent);
    }
    let folder = std::env::current_dir().context("cannot find the working directory")?;
    let is_whole = problems.is_empty();
    let mut sources = Sources::default();
    for (label, text) in me.container.labels.iter().filter(|(label, _)| label.starts_with("pod.")) {
        sources.label(label, text);
    }
    let origin = Origin::Labels { prefix: String::new(), controller: None };
    let unset = Vec::new();
    let pod =
        Pod { name, spec, me, engine: info, settings, folder, origin, unset, is_whole, knows_settings, files: None };
    Ok(Found { pods: vec![pod], problems, sources })
}

/// The cgroup parent that the components of a running controller have; none where none of them runs.
async fn parent_of_components<E: Engine>(engine: &E, controller: &ContainerId) -> Result<Option<String>, Report> {
    let components = engine.list(&[format!("{}={}", ownership::POD, controller.0)]).await?;
    let Some(running) = components.iter().find(|component| component.running) else { return Ok(None) };
    match engine.inspect(&running.id.0).await {
        Ok(found) => Ok(Some(found.cgroup_parent)),
        // It has ended since.
        Err(error) if error.fault() == Fault::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What the controller has found out about cgroups can be seen in where it has put its components.
fn placed(me: &mut SelfInfo, engine: &EngineInfo, parent: String) {
    if (engine.cgroup_driver, engine.cgroup_version) == (CgroupDriver::Cgroupfs, 1) {
        me.seen = Seen::Within;
        me.cgroup = Some(parent).filter(|parent| parent.ends_with(&format!("/{}", me.container.id.0)));
    } else if parent.is_empty() {
        me.cgroup_refused = Some("its components run without a cgroup of the pod's own".to_owned());
    }
}

/// How a controller behaves that is there: by its own flags and environment. The defaults if these are wrong, since it does not run then.
pub(super) fn settings_of(controller: &Inspection) -> Settings {
    let pairs = controller.env.iter().filter_map(|line| line.split_once('='));
    let environment: Env = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut spec = PodSpec::default();
    spec.controller.flags.clone_from(&controller.command);
    settings(&spec, &Flags::default(), &environment).unwrap_or_default()
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
        let problem = Problem::new("controller", "flags", what);
        Problems(vec![match error.get(ContextKind::SuggestedArg) {
            Some(ContextValue::String(meant)) => problem.hint(format!("did you mean `{meant}`?")),
            _ => problem.hint("`outrigger --help` lists the controller's flags"),
        }])
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

    /// Where a running controller has put its components says what it found out.
    #[test]
    fn the_components_tell_where_they_are() {
        let mut me = SelfInfo::offline("web", Env::new());
        me.seen = Seen::Outside;
        me.container.id = ContainerId("ab12".to_owned());
        let old = EngineInfo { cgroup_version: 1, cgroup_driver: CgroupDriver::Cgroupfs, ..offline::engine() };
        let mut nested = me.clone();
        placed(&mut nested, &old, "/docker/ab12".to_owned());
        assert_eq!((nested.seen, nested.cgroup.as_deref()), (Seen::Within, Some("/docker/ab12")));
        let mut beside = me.clone();
        placed(&mut beside, &old, String::new());
        assert_eq!((beside.seen, beside.cgroup), (Seen::Within, None));
        let mut refused = me.clone();
        placed(&mut refused, &offline::engine(), String::new());
        assert!(refused.cgroup_refused.is_some());
        placed(&mut me, &offline::engine(), "outrigger-ab12.slice".to_owned());
        assert_eq!(me.cgroup_refused, None);
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
