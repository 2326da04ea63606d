//! How a controller behaves: by its own flags and environment.

use clap::Parser;
use clap::error::{ContextKind, ContextValue};

use crate::cli::Env;
use crate::cli::argv::{self, OnlyFlags};
use crate::config::{self, Flags, Settings};
use crate::engine::Inspection;
use crate::pod::{PodSpec, Problem, Problems};

/// How a controller behaves that is there: by its own flags and environment. The defaults if these are wrong, since it does not run then.
pub(in crate::cli) fn settings_of(controller: &Inspection) -> Settings {
    let pairs = controller.env.iter().filter_map(|line| line.split_once('='));
    let environment: Env = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut spec = PodSpec::default();
    spec.controller.flags.clone_from(&controller.command);
    settings(&spec, &Flags::default(), &environment).unwrap_or_default()
}

/// The controller's environment, as `outrigger run` would make it.
pub(in crate::cli) fn environment(spec: &PodSpec, env: &Env) -> Env {
    spec.controller
        .environment
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.clone().or_else(|| env.get(name).cloned())?)))
        .collect()
}

/// The controller's settings: `flags` win over `controller.flags`, which win over its environment.
pub(in crate::cli) fn settings(spec: &PodSpec, flags: &Flags, environment: &Env) -> Result<Settings, Problems> {
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
        metrics: first.metrics.or(second.metrics),
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
