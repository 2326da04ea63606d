//! From flags and environment to [`Settings`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::policy::{Given, Policy};
use super::values;
use super::{CgroupMode, Keep, LineFormat, LogFilter, Output, Pull, Settings, Sharing};
use crate::problem::{Problem, Problems, nearest};

/// What was typed. Every value is text still, so that all that is wrong is found at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--pids`.
    pub pids: Option<String>,
    /// `--ipc`.
    pub ipc: Option<String>,
    /// `--volumes`.
    pub volumes: Option<String>,
    /// `--logs`.
    pub logs: Option<String>,
    /// `--pull`.
    pub pull: Option<String>,
    /// `--self`.
    pub own_id: Option<String>,
    /// `--state-dir`.
    pub state_dir: Option<String>,
    /// `--plugin-dir`.
    pub plugin_dir: Option<String>,
    /// `--cache-dir`.
    pub cache_dir: Option<String>,
    /// `--log-format`.
    pub log_format: Option<String>,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `--allow`, as often as it was given.
    pub allow: Vec<String>,
    /// `--deny`, as often as it was given.
    pub deny: Vec<String>,
    /// `--images`, as often as it was given.
    pub images: Vec<String>,
    /// `--keep-failed`.
    pub keep_failed: Option<String>,
    /// `--keep-failed-for`.
    pub keep_failed_for: Option<String>,
    /// `--cgroup-mode`.
    pub cgroup_mode: Option<String>,
    /// `--metrics`.
    pub metrics: Option<String>,
    /// `--timeout`, as often as it was given; later ones win.
    pub timeouts: Vec<String>,
}

/// The environment twins of the flags, and what they are for where there is no flag.
pub const VARIABLES: [&str; 19] = [
    "OUTRIGGER_PIDS",
    "OUTRIGGER_IPC",
    "OUTRIGGER_VOLUMES",
    "OUTRIGGER_LOGS",
    "OUTRIGGER_PULL",
    "OUTRIGGER_SELF",
    "OUTRIGGER_STATE_DIR",
    "OUTRIGGER_PLUGIN_DIR",
    "OUTRIGGER_CACHE_DIR",
    "OUTRIGGER_LOG_FORMAT",
    "OUTRIGGER_LOG",
    "OUTRIGGER_TIMEOUTS",
    "OUTRIGGER_ALLOW",
    "OUTRIGGER_DENY",
    "OUTRIGGER_IMAGES",
    "OUTRIGGER_KEEP_FAILED",
    "OUTRIGGER_KEEP_FAILED_FOR",
    "OUTRIGGER_CGROUP_MODE",
    "OUTRIGGER_METRICS",
];

/// Lowers flags and environment; a flag wins over its variable, and an empty variable counts as unset.
///
/// # Errors
/// All the [`Problems`], each labelled with its flag or variable.
pub fn lower(flags: &Flags, env: &BTreeMap<String, String>) -> Result<Settings, Problems> {
    let mut from = Sources { env, problems: Problems::default() };
    let default = Settings::default();

    let shared = |yes| if yes { Sharing::Shared } else { Sharing::Private };
    let pids = from.value(("--pids", flags.pids.as_deref()), "OUTRIGGER_PIDS", values::boolean);
    let ipc = from.value(("--ipc", flags.ipc.as_deref()), "OUTRIGGER_IPC", values::boolean);
    let volumes = from.value(("--volumes", flags.volumes.as_deref()), "OUTRIGGER_VOLUMES", values::boolean);
    let logs = from.value(("--logs", flags.logs.as_deref()), "OUTRIGGER_LOGS", values::boolean);
    let pull = from.value(("--pull", flags.pull.as_deref()), "OUTRIGGER_PULL", values::boolean);
    let own_id = from.value(("--self", flags.own_id.as_deref()), "OUTRIGGER_SELF", own_id);
    let state_dir = from.value(("--state-dir", flags.state_dir.as_deref()), "OUTRIGGER_STATE_DIR", directory);
    let plugin_dir = from.value(("--plugin-dir", flags.plugin_dir.as_deref()), "OUTRIGGER_PLUGIN_DIR", directory);
    let cache_dir = from.value(("--cache-dir", flags.cache_dir.as_deref()), "OUTRIGGER_CACHE_DIR", directory);
    let log_format = from.value(("--log-format", flags.log_format.as_deref()), "OUTRIGGER_LOG_FORMAT", line_format);
    let log_level = from.value(("--log-level", flags.log_level.as_deref()), "OUTRIGGER_LOG", values::log_filter);

    let count = from.value(("--keep-failed", flags.keep_failed.as_deref()), "OUTRIGGER_KEEP_FAILED", count);
    let age = ("--keep-failed-for", flags.keep_failed_for.as_deref());
    let age = from.value(age, "OUTRIGGER_KEEP_FAILED_FOR", values::duration);
    let cgroup_mode = ("--cgroup-mode", flags.cgroup_mode.as_deref());
    let cgroup_mode = from.value(cgroup_mode, "OUTRIGGER_CGROUP_MODE", cgroup_mode_of);
    let metrics = from.value(("--metrics", flags.metrics.as_deref()), "OUTRIGGER_METRICS", values::listen);
    let allow = from.rules(("--allow", &flags.allow), "OUTRIGGER_ALLOW");
    let deny = from.rules(("--deny", &flags.deny), "OUTRIGGER_DENY");
    let images = from.rules(("--images", &flags.images), "OUTRIGGER_IMAGES");
    let policy = Policy::parse(&allow, &deny, &images, &mut from.problems);
    let mut timeouts = default.timeouts;
    if let Some(list) = from.variable("OUTRIGGER_TIMEOUTS") {
        for one in list.split(',') {
            from.timeout(&mut timeouts, "OUTRIGGER_TIMEOUTS", one.trim());
        }
    }
    for one in &flags.timeouts {
        from.timeout(&mut timeouts, "--timeout", one);
    }

    let settings = Settings {
        pids: pids.map_or(default.pids, shared),
        ipc: ipc.map_or(default.ipc, shared),
        volumes: volumes.map_or(default.volumes, shared),
        logs: logs.map_or(default.logs, |yes| if yes { Output::Streamed } else { Output::Quiet }),
        log_format: log_format.unwrap_or(default.log_format),
        log_level: log_level.unwrap_or(default.log_level),
        pull: pull.map_or(default.pull, |yes| if yes { Pull::Always } else { Pull::Missing }),
        engine: from.variable("DOCKER_HOST").map(str::to_owned),
        own_id,
        state_dir: state_dir.unwrap_or(default.state_dir),
        plugin_dir: plugin_dir.unwrap_or(default.plugin_dir),
        cache_dir: cache_dir.unwrap_or(default.cache_dir),
        policy,
        keep: Keep { count: count.unwrap_or(default.keep.count), age: age.unwrap_or(default.keep.age) },
        cgroup_mode: cgroup_mode.unwrap_or_default(),
        metrics,
        timeouts,
    };
    from.problems.or(settings)
}

/// Variables that begin with `OUTRIGGER_` and mean nothing, each with the name that was perhaps meant.
#[must_use]
pub fn unknown_variables(env: &BTreeMap<String, String>) -> Vec<(String, Option<&'static str>)> {
    env.keys()
        .filter(|name| name.starts_with("OUTRIGGER_") && !VARIABLES.contains(&name.as_str()))
        .map(|name| (name.clone(), nearest(name, VARIABLES)))
        .collect()
}

/// The log settings alone, for commands that need no other; what is wrong is left to [`lower`].
#[must_use]
pub fn log_filter(flags: &Flags, env: &BTreeMap<String, String>) -> Option<LogFilter> {
    let raw = flags.log_level.as_deref().or_else(|| env.get("OUTRIGGER_LOG").map(String::as_str))?;
    values::log_filter(raw).ok()
}

fn count(raw: &str) -> Result<usize, String> {
    raw.trim().parse().map_err(|_| format!("`{raw}` is not a number of containers, such as `1`"))
}

struct Sources<'a> {
    env: &'a BTreeMap<String, String>,
    problems: Problems,
}

impl<'a> Sources<'a> {
    fn variable(&self, name: &str) -> Option<&'a str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    fn value<T>(
        &mut self,
        (flag, typed): (&str, Option<&str>),
        variable: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (label, raw) = match typed {
            Some(raw) => (flag, raw),
            None => (variable, self.variable(variable)?),
        };
        self.problems.take(parse(raw).map_err(|what| Problem::new(label, "", what)))
    }

    /// All of the flag, or else of the variable, where commas stand between them.
    fn rules<'b>(&self, (flag, typed): (&'b str, &'b [String]), variable: &'b str) -> Vec<Given<'b>>
    where
        'a: 'b,
    {
        if typed.is_empty() {
            let listed = self.variable(variable).unwrap_or_default().split(',').map(str::trim);
            listed.filter(|text| !text.is_empty()).map(|text| Given { label: variable, text }).collect()
        } else {
            typed.iter().map(|text| Given { label: flag, text }).collect()
        }
    }

    fn timeout(&mut self, timeouts: &mut super::Timeouts, label: &str, raw: &str) {
        let Some((name, value)) = raw.split_once('=') else {
            self.problems.push(Problem::new(label, "", format!("`{raw}` has no `=`: expected `name=duration`")));
            return;
        };
        let Some(slot) = timeouts.slot(name) else {
            let known = super::Timeouts::default().table().map(|(name, _, _)| name);
            let hint = nearest(name, known)
                .map_or_else(|| format!("one of {}", known.join(", ")), |near| format!("did you mean `{near}`?"));
            self.problems.push(Problem::new(label, name, "no timeout has this name").hint(hint));
            return;
        };
        let parsed = values::duration(value).and_then(|parsed| {
            // A call that may take no time at all can only fail; a reserve of nothing is a choice.
            if parsed == Duration::ZERO && name != "stop-reserve" && name != "log-drain" {
                Err("must be longer than 0".to_owned())
            } else {
                Ok(parsed)
            }
        });
        if let Some(parsed) = self.problems.take(parsed.map_err(|what| Problem::new(label, name, what))) {
            *slot = parsed;
        }
    }
}

fn own_id(raw: &str) -> Result<String, String> {
    let name = raw.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if name && !raw.is_empty() { Ok(raw.to_owned()) } else { Err(format!("`{raw}` is not a container's id or name")) }
}

fn directory(raw: &str) -> Result<PathBuf, String> {
    if raw.starts_with('/') { Ok(PathBuf::from(raw)) } else { Err(format!("`{raw}` is not an absolute path")) }
}

fn line_format(raw: &str) -> Result<LineFormat, String> {
    match raw {
        "text" => Ok(LineFormat::Text),
        "json" => Ok(LineFormat::Json),
        "plain" => Ok(LineFormat::Plain),
        _ => Err(format!("`{raw}` is not a format: expected `text`, `json` or `plain`")),
    }
}

fn cgroup_mode_of(raw: &str) -> Result<CgroupMode, String> {
    CgroupMode::ALL.into_iter().find(|mode| mode.name() == raw).ok_or_else(|| {
        let known = CgroupMode::ALL.map(|mode| format!("`{}`", mode.name())).join(", ");
        format!("`{raw}` is not a cgroup mode: expected one of {known}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn nothing_given_means_the_defaults() {
        let settings = lower(&Flags::default(), &env(&[])).unwrap();
        assert_eq!(settings.pids, Sharing::Shared);
        assert_eq!(settings.ipc, Sharing::Shared);
        assert_eq!(settings.volumes, Sharing::Private);
        assert_eq!(settings.logs, Output::Streamed);
        assert_eq!(settings.pull, Pull::Missing);
        assert_eq!(settings.timeouts, super::super::Timeouts::default());
    }

    #[test]
    fn a_flag_wins_over_its_variable_and_an_empty_variable_is_none() {
        let flags = Flags { pids: Some("false".into()), ..Flags::default() };
        let settings = lower(&flags, &env(&[("OUTRIGGER_PIDS", "true"), ("OUTRIGGER_IPC", "")])).unwrap();
        assert_eq!(settings.pids, Sharing::Private);
        assert_eq!(settings.ipc, Sharing::Shared);
    }

    #[test]
    fn variables_count_where_no_flag_is_given() {
        let settings = lower(
            &Flags::default(),
            &env(&[
                ("OUTRIGGER_SELF", "abc123"),
                ("OUTRIGGER_LOG", "debug"),
                ("OUTRIGGER_LOG_FORMAT", "json"),
                ("OUTRIGGER_TIMEOUTS", "pull=1h, hook=1s"),
                ("DOCKER_HOST", "tcp://engine:2375"),
            ]),
        )
        .unwrap();
        assert_eq!(settings.own_id.as_deref(), Some("abc123"));
        assert_eq!(settings.log_level.level, super::super::Level::Debug);
        assert_eq!(settings.log_format, LineFormat::Json);
        assert_eq!(settings.timeouts.pull, Duration::from_secs(3600));
        assert_eq!(settings.timeouts.hook, Duration::from_secs(1));
        assert_eq!(settings.engine.as_deref(), Some("tcp://engine:2375"));
    }

    #[test]
    fn every_cgroup_mode_can_be_asked_for_by_its_name() {
        for mode in CgroupMode::ALL {
            let settings = lower(&Flags::default(), &env(&[("OUTRIGGER_CGROUP_MODE", mode.name())])).unwrap();
            assert_eq!(settings.cgroup_mode, mode);
        }
        let flags = Flags { cgroup_mode: Some("slices".into()), ..Flags::default() };
        let told = lower(&flags, &env(&[])).unwrap_err().to_string();
        assert!(told.contains("--cgroup-mode") && told.contains("`slice`, `tree`"), "{told}");
    }

    #[test]
    fn the_page_of_metrics_has_an_address_or_only_a_port() {
        let of = |raw: &str| lower(&Flags::default(), &env(&[("OUTRIGGER_METRICS", raw)])).map(|it| it.metrics);
        assert_eq!(of("").unwrap(), None);
        for (raw, shown) in [("9090", "port 9090"), ("127.0.0.1:90", "127.0.0.1:90"), ("[::1]:9090", "[::1]:9090")] {
            assert_eq!(of(raw).unwrap().unwrap().to_string(), shown);
        }
        for wrong in ["0", "localhost:9090", "127.0.0.1", "70000", "127.0.0.1:0", "yes"] {
            let told = of(wrong).unwrap_err().to_string();
            assert!(told.contains("OUTRIGGER_METRICS") && told.contains("such as `9090`"), "{told}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let flags = Flags {
            pids: Some("maybe".into()),
            log_format: Some("xml".into()),
            state_dir: Some("relative".into()),
            timeouts: vec!["pul=1s".into(), "hook".into(), "hook=0s".into(), "pull=soon".into()],
            ..Flags::default()
        };
        let problems = lower(&flags, &env(&[("OUTRIGGER_IPC", "2")])).unwrap_err();
        let told: Vec<_> = problems.0.iter().map(|p| format!("{} {}", p.label, p.field)).collect();
        assert_eq!(
            told,
            [
                "--pids ",
                "OUTRIGGER_IPC ",
                "--state-dir ",
                "--log-format ",
                "--timeout pul",
                "--timeout ",
                "--timeout hook",
                "--timeout pull"
            ]
        );
        assert_eq!(problems.0[4].hint, "did you mean `pull`?");
    }

    #[test]
    fn every_timeout_of_the_table_can_be_set() {
        for (name, _, _) in super::super::Timeouts::default().table() {
            let flags = Flags { timeouts: vec![format!("{name}=7s")], ..Flags::default() };
            let timeouts = lower(&flags, &env(&[])).unwrap().timeouts;
            let set = timeouts.table().into_iter().find(|row| row.0 == name).unwrap();
            assert_eq!(set.2, Duration::from_secs(7), "{name}");
        }
    }

    #[test]
    fn unknown_variables_are_found_with_what_was_meant() {
        let found = unknown_variables(&env(&[("OUTRIGGER_SELFF", "x"), ("OUTRIGGER_PORT", "tcp://x"), ("PATH", "/")]));
        assert_eq!(found.len(), 2);
        assert!(found.contains(&("OUTRIGGER_SELFF".to_owned(), Some("OUTRIGGER_SELF"))));
    }
}
