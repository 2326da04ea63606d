//! Capabilities of plugins, and the form of their scopes: read by the parser of grants and by those who decide about calls alike.

use std::fmt;

use super::ComponentName;

/// Directories that no plugin is given, whatever is granted: the engine's socket, devices and the kernel's own files are there, and what the controller
/// keeps for itself: its state, and machine code that it runs.
const CLOSED_DIRS: [&str; 9] = [
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/var/lib/docker",
    "/var/lib/outrigger",
    "/var/cache/outrigger",
    "/plugins",
];

/// Something of the host that a plugin may use, see `docs/capabilities.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// To read and change a component's lines.
    Lines,
    /// To read and change files on their way into a component.
    Copies,
    /// To see a component's events, and to decide about its exits.
    Exits,
    /// To judge the health of a component, or of the pod.
    Verdicts,
    /// To decide about signals to the controller.
    OnSignals,
    /// To read the pod's name, labels and components.
    Pod,
    /// To send signals to a component.
    Signals,
    /// To read and write files of a component.
    Files,
    /// To run commands in a component.
    Exec,
    /// To receive changes below a path.
    Watch,
    /// To change a part of the plan.
    Plan,
    /// A key-value store.
    State,
    /// To publish metrics.
    Metrics,
    /// Outgoing HTTP requests.
    Http,
    /// Outgoing TCP connections.
    Tcp,
    /// To read a variable of the controller.
    Env,
    /// A directory of the controller.
    Dir,
    /// To read a secret of the controller.
    Secret,
    /// The data plane.
    Routes,
    /// Log lines of the plugin's own.
    Logs,
    /// The node.
    Node,
}

/// What a capability's scope looks like; `*` stands for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `*` and nothing else; `true` in a pod's file.
    All,
    /// A component.
    Component,
    /// A component, which may be `*`, and a prefix of paths in it.
    ComponentPath,
    /// A prefix of paths in the controller.
    Path,
    /// A dotted path into `pod.yaml`.
    Field,
    /// A host, and a port, which may be `*`.
    HostPort,
    /// A variable of the environment.
    Variable,
    /// The name of a secret.
    Secret,
    /// A directory of the controller, with `:rw` for write access.
    Directory,
}

impl Capability {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 21] = [
        Self::Lines,
        Self::Copies,
        Self::Exits,
        Self::Verdicts,
        Self::OnSignals,
        Self::Pod,
        Self::Signals,
        Self::Files,
        Self::Exec,
        Self::Watch,
        Self::Plan,
        Self::State,
        Self::Metrics,
        Self::Http,
        Self::Tcp,
        Self::Env,
        Self::Dir,
        Self::Secret,
        Self::Routes,
        Self::Logs,
        Self::Node,
    ];

    /// Its word in grants and manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Copies => "copies",
            Self::Exits => "exits",
            Self::Verdicts => "verdicts",
            Self::OnSignals => "on-signals",
            Self::Pod => "pod",
            Self::Signals => "signals",
            Self::Files => "files",
            Self::Exec => "exec",
            Self::Watch => "watch",
            Self::Plan => "plan",
            Self::State => "state",
            Self::Metrics => "metrics",
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Env => "env",
            Self::Dir => "dir",
            Self::Secret => "secret",
            Self::Routes => "routes",
            Self::Logs => "logs",
            Self::Node => "node",
        }
    }

    /// The capability of this word.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|capability| capability.name() == name)
    }

    /// Whether it lets a plugin decide about the pod's life: its hook is not called without it.
    #[must_use]
    pub fn is_power(self) -> bool {
        matches!(self, Self::Lines | Self::Copies | Self::Exits | Self::Verdicts | Self::OnSignals)
    }

    /// What its scopes look like.
    #[must_use]
    pub fn form(self) -> Form {
        match self {
            Self::OnSignals | Self::Pod | Self::State | Self::Metrics | Self::Routes | Self::Logs | Self::Node => {
                Form::All
            }
            Self::Lines | Self::Exits | Self::Verdicts | Self::Signals | Self::Exec => Form::Component,
            Self::Copies | Self::Files => Form::ComponentPath,
            Self::Watch => Form::Path,
            Self::Plan => Form::Field,
            Self::Http | Self::Tcp => Form::HostPort,
            Self::Env => Form::Variable,
            Self::Secret => Form::Secret,
            Self::Dir => Form::Directory,
        }
    }

    /// Checks a scope of a manifest or of a call.
    ///
    /// # Errors
    /// Which form was expected, to be put behind `expected`.
    pub fn check(self, scope: &str) -> Result<(), &'static str> {
        if scope == "*" { Ok(()) } else { self.form().check(scope) }
    }

    /// Checks a scope that a pod grants: a directory must be named.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_granted(self, scope: &str) -> Result<(), &'static str> {
        if self == Self::Dir { self.form().check(scope) } else { self.check(scope) }
    }

    /// Whether the scope `outer` allows all that the scope `inner` names. Both have been checked.
    #[must_use]
    pub fn within(self, inner: &str, outer: &str) -> bool {
        if outer == "*" {
            return true;
        }
        match self.form() {
            Form::ComponentPath => match (inner.split_once(':'), outer.split_once(':')) {
                (Some((component, path)), Some((outer_component, prefix))) => {
                    (outer_component == "*" || outer_component == component) && below(path, prefix)
                }
                _ => false,
            },
            Form::Path => below(inner, outer),
            Form::Directory => {
                let (path, writes) = dir_scope(inner);
                let (prefix, may_write) = dir_scope(outer);
                below(path, prefix) && (may_write || !writes)
            }
            Form::HostPort => match (inner.rsplit_once(':'), outer.rsplit_once(':')) {
                (Some((host, port)), Some((outer_host, outer_port))) => {
                    host.eq_ignore_ascii_case(outer_host) && (outer_port == "*" || port == outer_port)
                }
                _ => false,
            },
            Form::Field => {
                let mut inner = inner.split('.');
                outer.split('.').all(|want| inner.next().is_some_and(|have| want == "*" || want == have))
            }
            Form::All | Form::Component | Form::Variable | Form::Secret => inner == outer,
        }
    }

    /// The component that a scope names; `*` where it is all of them.
    #[must_use]
    pub fn component_of(self, scope: &str) -> Option<&str> {
        match self.form() {
            Form::Component => Some(scope),
            Form::ComponentPath => scope.split_once(':').map(|(component, _)| component),
            _ => None,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Form {
    /// In words, to be put behind `expected`.
    #[must_use]
    pub fn described(self) -> &'static str {
        match self {
            Self::All => "`true`",
            Self::Component => "the name of a component or `*`",
            Self::ComponentPath => "`component:/path/prefix`, without `.` and `..` in the path",
            Self::Path => "an absolute path without `.` and `..`",
            Self::Field => "a dotted path such as `components.*.environment`",
            Self::HostPort => "`host:port`, the port may be `*`",
            Self::Variable => "the name of a variable",
            Self::Secret => "the name of a secret",
            Self::Directory => "an absolute path without `.` and `..`, followed by `:rw` for write access",
        }
    }

    fn check(self, scope: &str) -> Result<(), &'static str> {
        let holds = match self {
            Self::All => false,
            Self::Component => ComponentName::new(scope).is_ok(),
            Self::ComponentPath => scope.split_once(':').is_some_and(|(component, path)| {
                (component == "*" || ComponentName::new(component).is_ok()) && plain_path(path)
            }),
            Self::Path => plain_path(scope),
            Self::Field => scope.split('.').all(|part| !part.is_empty()),
            Self::HostPort => scope.rsplit_once(':').is_some_and(|(host, port)| {
                let is_host =
                    !host.is_empty() && !host.contains(['/', '@', '*']) && !host.contains(char::is_whitespace);
                is_host && (port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0))
            }),
            Self::Variable => !scope.is_empty() && !scope.contains(['=', ' ', '\0']),
            Self::Secret => {
                !scope.is_empty() && !scope.contains(['/', '\0']) && !scope.starts_with("..") && scope != "."
            }
            Self::Directory => {
                let (path, _) = dir_scope(scope);
                if plain_path(path) && !path.contains(':') && is_closed(path) {
                    return Err("a directory that contains no system directory");
                }
                plain_path(path) && !path.contains(':')
            }
        };
        if holds { Ok(()) } else { Err(self.described()) }
    }
}

/// A capability and its scope: asked for by a manifest, granted by a pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// Which capability.
    pub capability: Capability,
    /// In the capability's own form; `*` for all.
    pub scope: String,
}

impl Grant {
    /// Of a scope that has been checked.
    #[must_use]
    pub fn new(capability: Capability, scope: impl Into<String>) -> Self {
        Self { capability, scope: scope.into() }
    }

    /// Whether it allows all of `capability` that `scope` names.
    #[must_use]
    pub fn covers(&self, capability: Capability, scope: &str) -> bool {
        self.capability == capability && capability.within(scope, &self.scope)
    }

    /// Whether two grants have anything in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other.capability, &other.scope)
            || other.covers(self.capability, &self.scope)
            || self.capability == other.capability && self.meets(other)
    }

    /// Patterns of which neither is within the other may still meet: `*:/etc/x` and `app:/etc`.
    fn meets(&self, other: &Self) -> bool {
        let (Some((name, path)), Some((other_name, other_path))) =
            (self.scope.split_once(':'), other.scope.split_once(':'))
        else {
            return false;
        };
        self.capability.form() == Form::ComponentPath
            && (name == other_name || name == "*" || other_name == "*")
            && (below(path, other_path) || below(other_path, path))
    }

    /// The component that its scope names; `*` where it is all of them.
    #[must_use]
    pub fn component(&self) -> Option<&str> {
        self.capability.component_of(&self.scope)
    }

    /// How it is granted in a pod's file, as an entry of the `grants` map.
    #[must_use]
    pub fn line(&self) -> String {
        line(self.capability, &self.scope)
    }
}

/// As [`Grant::line`], for a scope that need not be right.
#[must_use]
pub fn line(capability: Capability, scope: &str) -> String {
    if scope == "*" {
        return format!("{capability}: true");
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':');
    let is_bare = scope.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && scope.chars().all(is_plain);
    if is_bare && !scope.ends_with(':') {
        format!("{capability}: [{scope}]")
    } else {
        // JSON's strings are YAML's, too.
        format!("{capability}: [{}]", serde_json::Value::from(scope))
    }
}

/// Path and whether it may be written.
#[must_use]
pub fn dir_scope(scope: &str) -> (&str, bool) {
    scope.strip_suffix(":rw").map_or((scope, false), |path| (path, true))
}

/// Whether it is, contains or lies in a directory that no plugin is given.
fn is_closed(path: &str) -> bool {
    path == "/" || CLOSED_DIRS.iter().any(|closed| below(path, closed) || below(closed, path))
}

/// Whether `path` is `prefix` or lies below it, by whole segments.
fn below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether it is absolute, and has no empty, `.` or `..` segment and no NUL.
#[must_use]
pub fn plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    !path.contains('\0') && (rest.is_empty() || rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

#[cfg(test)]
mod tests;
