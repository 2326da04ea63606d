//! The controller's own flags.

use clap::Args;

use crate::config::Flags;

/// Flags of the controller. Values stay text here: [`crate::config::lower()`] reports all that is wrong at once.
#[derive(Debug, Clone, Default, Args)]
pub struct ControllerFlags {
    /// Share one PID namespace [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pids: Option<String>,
    /// Share one IPC namespace [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub ipc: Option<String>,
    /// Give the components the controller's mounts, the engine's socket excepted [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub volumes: Option<String>,
    /// Stream the components' output to standard output [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub logs: Option<String>,
    /// Always pull images, even where the engine has them [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pull: Option<String>,
    /// Id or name of the controller's own container, where it can't be found out
    #[arg(long = "self", value_name = "ID")]
    pub own_id: Option<String>,
    /// Where the admin socket and the plugins' state live [default: /var/lib/outrigger]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
    /// Where stock plugins that were compiled ahead of time lie [default: /plugins]
    #[arg(long, value_name = "DIR")]
    pub plugin_dir: Option<String>,
    /// Where plugins compiled by this controller are kept [default: /var/cache/outrigger]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<String>,
    /// Form of the components' lines: text, json or plain; json is the controller's own too [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// What the controller itself logs: off, error, warn, info, debug, trace, or a list with target=level [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// What components may have beyond the default, as subject[=pattern]; repeatable; docs/security.md lists the subjects
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
    /// What components may not have, as subject[=pattern]; repeatable; it wins over --allow
    #[arg(long, value_name = "RULE")]
    pub deny: Vec<String>,
    /// Which images components may have, as a pattern; repeatable; any where none is given
    #[arg(long, value_name = "PATTERN")]
    pub images: Vec<String>,
    /// How many failed components of a service remain for a look, stopped and renamed [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub keep_failed: Option<String>,
    /// For how long they remain [default: 1h]
    #[arg(long, value_name = "DURATION")]
    pub keep_failed_for: Option<String>,
    /// Where the components' cgroups are: auto, inherit, slice, tree, nested or divided; docs/engines.md explains them [default: auto]
    #[arg(long, value_name = "MODE")]
    pub cgroup_mode: Option<String>,
    /// A deadline, as name=duration; repeatable; `outrigger plan --timeouts` lists them
    #[arg(long = "timeout", value_name = "NAME=DURATION")]
    pub timeouts: Vec<String>,
}

impl From<ControllerFlags> for Flags {
    fn from(typed: ControllerFlags) -> Self {
        Self {
            pids: typed.pids,
            ipc: typed.ipc,
            volumes: typed.volumes,
            logs: typed.logs,
            pull: typed.pull,
            keep_failed: typed.keep_failed,
            keep_failed_for: typed.keep_failed_for,
            cgroup_mode: typed.cgroup_mode,
            own_id: typed.own_id,
            state_dir: typed.state_dir,
            plugin_dir: typed.plugin_dir,
            cache_dir: typed.cache_dir,
            log_format: typed.log_format,
            log_level: typed.log_level,
            allow: typed.allow,
            deny: typed.deny,
            images: typed.images,
            timeouts: typed.timeouts,
        }
    }
}
