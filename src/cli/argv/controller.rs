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
    /// Share the controller's mounts with the components, except the engine's socket [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub volumes: Option<String>,
    /// Stream the components' output to standard output [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub logs: Option<String>,
    /// Pull each image even if the engine already has it [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub pull: Option<String>,
    /// Id or name of the controller's own container, if the controller cannot detect it
    #[arg(long = "self", value_name = "ID")]
    pub own_id: Option<String>,
    /// Directory of the admin socket and of the plugins' state [default: /var/lib/outrigger]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<String>,
    /// Directory of the precompiled stock plugins [default: /plugins]
    #[arg(long, value_name = "DIR")]
    pub plugin_dir: Option<String>,
    /// Directory in which the controller keeps the plugins that it has compiled [default: /var/cache/outrigger]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<String>,
    /// Format of the components' log lines: text, json or plain; json also applies to the controller's own log [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Level of the controller's own log: off, error, warn, info, debug, trace, or a list with target=level [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Grant components more than the default policy does, as subject[=pattern]; repeatable; docs/security.md lists the subjects
    #[arg(long, value_name = "RULE")]
    pub allow: Vec<String>,
    /// Refuse components something, as subject[=pattern]; repeatable; wins over --allow
    #[arg(long, value_name = "RULE")]
    pub deny: Vec<String>,
    /// Allow components only images that match this pattern; repeatable [default: any image]
    #[arg(long, value_name = "PATTERN")]
    pub images: Vec<String>,
    /// Number of failed components of a service that are kept for inspection, stopped and renamed [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub keep_failed: Option<String>,
    /// How long failed components are kept [default: 1h]
    #[arg(long, value_name = "DURATION")]
    pub keep_failed_for: Option<String>,
    /// Placement of the components' cgroups: auto, inherit, slice, tree, nested or divided; docs/engines.md explains the modes [default: auto]
    #[arg(long, value_name = "MODE")]
    pub cgroup_mode: Option<String>,
    /// Address of the page of metrics, `/metrics` over HTTP, as `port` or `address:port` [default: no page]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<String>,
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
            metrics: typed.metrics,
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
