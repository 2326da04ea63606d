//! Where `run`, `plan` and `check` find their pods.

mod container;
mod known;
mod settings;
mod stack;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

pub(super) use self::settings::{environment, settings, settings_of};
pub(super) use self::stack::Stack;
use anyhow::Context;

use super::Env;
use super::dotenv::DotEnv;
use super::report::Report;
use crate::config::{self, Flags, Settings};
use crate::engine::{EngineInfo, MountPoint};
use crate::labels::{self, Place, RawPod, Source};
use crate::plan::{SelfInfo, compile, document, offline};
use crate::pod::{Mount, MountKind, PodSpec, Problem, Problems, lower};
use crate::problem::hidden::Hidden;
use crate::problem::language;
use crate::problem::sources::Sources;
use crate::template::Note;

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
    /// Values of variables that no message shows.
    hidden: Hidden,
    /// A note for each variable of a `pod.yaml` that is not set.
    pub(super) unset: Vec<String>,
    /// Whether all of it could be read. What is left of one that could not is good for looking at its plugins only.
    pub(super) is_whole: bool,
    /// Whether all volumes could be read: a copy may need one of them.
    pub(super) knows_mounts: bool,
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
        let mut problems = self.origin.told(problems);
        self.hidden.hide_all(&mut problems);
        self.hidden.hide_of_plugins(&mut problems);
        problems
    }

    /// Notes with the name of the pod, if the input may have several. The name in a `pod.yaml` may be the value of a variable.
    pub(super) fn named(&self, notes: Vec<String>) -> Vec<String> {
        match self.origin {
            Origin::Document(_) => notes,
            Origin::Labels { .. } => notes.iter().map(|note| format!("`{}`: {note}", self.name)).collect(),
        }
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
    /// The stack file, if its variables have been replaced.
    pub(super) stack: Option<Stack>,
}

impl Found {
    /// Gives each note of a rendering to the pod of its service.
    fn note(&mut self, notes: Vec<Note>) {
        for Note { service, text } in notes {
            if let Some(pod) = self.pods.iter_mut().find(|pod| pod.name == service) {
                pod.spec.warnings.push(text);
            }
        }
    }

    /// The problems, with their lines and the variables that are behind them; or the value where there are none.
    pub(super) fn judged<T>(
        mut problems: Problems,
        sources: &Sources,
        stack: Option<&Stack>,
        value: T,
    ) -> Result<T, Report> {
        sources.locate(&mut problems);
        stack.into_iter().for_each(|stack| stack.name(&mut problems));
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
        (Some(container), _) => container::of_container(container, flags, env).await,
        (None, Some(file)) => of_file(file, flags, env),
        (None, None) => Err(Report::usage(anyhow::anyhow!("expected a file or a container, found neither"))),
    }
}

fn of_file(file: &Path, flags: &Flags, env: &Env) -> Result<Found, Report> {
    let written = text(file)?;
    match super::template::of_text(&written, env) {
        Ok(Some(rendered)) => {
            let mut found = stack::of_rendered(&rendered, written, flags, env);
            found.note(rendered.notes);
            Ok(found)
        }
        Ok(None) => Ok(stack::of_written(written, flags, env)),
        Err(report) => match report.problems() {
            Some(problems) => Ok(of_others(problems.clone(), written, flags, env)),
            None => Err(report),
        },
    }
}

/// The pods of a stack file whose templates are wrong: those of its services that need none.
pub(super) fn of_others(mut problems: Problems, raw: Text, flags: &Flags, env: &Env) -> Found {
    let mut others = stack::of_written(raw, flags, env);
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
    let mut found = Found { pods: Vec::new(), problems, sources, stack: None };
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
        return Found { pods: Vec::new(), problems, sources, stack: None };
    }
    let written = raw.controller.as_ref().and_then(|(_, map)| map.get("name")).and_then(|name| name.as_str());
    let name = name(written);
    let source = Source { name, raw, is_document: true, problems, ..Source::default() };
    let (pod, problems) = of_source(source, &Flags::default(), env, &dotenv, &folder, &origin);
    Found { pods: vec![pod], problems, sources, stack: None }
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
    let unset =
        unset.into_iter().map(|name| format!("the variable `{name}` is not set; an empty value replaces it")).collect();
    let environment = environment(&spec, env);
    let settings = settings(&spec, flags, &environment);
    let (settings, knows_settings) = or_default(settings, &mut problems);
    spec.warnings.extend(config::lower::unknown_variables(&environment).into_iter().map(|(name, nearest)| {
        let meant = nearest.map(|right| format!("; did you mean `{right}`?")).unwrap_or_default();
        format!("the controller has no variable `{name}`{meant}")
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
                "`controller`, field `volumes`: `{source}` does not exist in `{}`: create it (`run` does not create files or directories)",
                folder.display()
            )
        }));
    }
    let knows_mounts = compile::knows_mounts(&problems);
    // A mount that could not be read may have any file.
    let held = match is_document {
        true => knows_mounts.then(|| me.container.mounts.iter().map(|it| it.target.clone()).collect()),
        false => held,
    };
    let files = known::Files { held, is_bare: !is_built && known::is_bare(&me.container.image) };
    problems.extend(known::files(&raw, &mut spec, &mut me, &files));
    let is_local = super::run::container::is_local(env);
    if is_document {
        problems.extend(known::volumes_of_document(&raw, &spec));
        if is_local {
            known::beside(&spec, &mut me, folder);
        }
    } else {
        spec.warnings.extend(known::volumes_of_stack(&raw, &spec, &declared));
    }
    if is_local {
        known::host_files(&spec, &mut me);
    }
    let mut problems = origin.told(problems);
    raw.hidden.hide_all(&mut problems);
    let is_whole = problems.is_empty();
    let (engine, folder) = (offline::engine(), folder.to_owned());
    let files = Some(files);
    let hidden = raw.hidden;
    let pod = Pod {
        name,
        spec,
        me,
        engine,
        settings,
        folder,
        origin,
        hidden,
        unset,
        is_whole,
        knows_mounts,
        knows_settings,
        files,
    };
    (pod, problems)
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
