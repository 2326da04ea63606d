//! Who may what: the manifest asks, the pod grants, and one [`Granter`] decides and says which of the two is missing.

use std::fmt;

use crate::pod::{ComponentName, Grant, PluginName};

/// The words of the capability table, see `docs/capabilities.md`.
pub const CAPABILITIES: [&str; 15] = [
    "pod", "signals", "files", "exec", "watch", "plan", "state", "metrics", "http", "tcp", "env", "dir", "routes",
    "logs", "node",
];

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

/// A call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    capability: &'static str,
    scope: String,
    why: String,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` for `{}`: {}", self.capability, self.scope, self.why)
    }
}

/// Decides for one plugin.
#[derive(Debug, Clone)]
pub struct Granter {
    plugin: PluginName,
    declared: Vec<Grant>,
    granted: Vec<Grant>,
    only: Option<ComponentName>,
}

impl Granter {
    /// What a plugin is given that has not been asked what it wants.
    #[must_use]
    pub fn nothing(plugin: PluginName) -> Self {
        Self { plugin, declared: Vec::new(), granted: Vec::new(), only: None }
    }

    /// `declared` is what the manifest asks for, `granted` what the pod allows, `only` the component to which the plugin is confined.
    #[must_use]
    pub fn new(plugin: PluginName, declared: Vec<Grant>, granted: Vec<Grant>, only: Option<ComponentName>) -> Self {
        Self { plugin, declared, granted, only }
    }

    /// For whom it decides.
    #[must_use]
    pub fn plugin(&self) -> &PluginName {
        &self.plugin
    }

    /// The component to which the plugin is confined.
    #[must_use]
    pub fn only(&self) -> Option<&ComponentName> {
        self.only.as_ref()
    }

    /// Whether the plugin may see this component.
    #[must_use]
    pub fn sees(&self, component: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.as_str() == component)
    }

    /// What the pod grants.
    #[must_use]
    pub fn granted(&self) -> &[Grant] {
        &self.granted
    }

    /// Whether the plugin may use `capability` for `scope`.
    ///
    /// # Errors
    /// [`Denied`] says whether the manifest or the pod lacks it, or that the plugin is confined to another component.
    pub fn check(&self, capability: &'static str, scope: &str) -> Result<(), Denied> {
        let denied = |why: String| Err(Denied { capability, scope: scope.to_owned(), why });
        if let (Some(only), Some(component)) = (&self.only, component_of(capability, scope))
            && only.as_str() != component
        {
            return denied(format!("the plugin belongs to component `{only}` and has no access to other components"));
        }
        if let Err(why) = valid(capability, scope) {
            return denied(why);
        }
        let covers = |grants: &[Grant]| grants.iter().any(|outer| covers(outer, capability, scope));
        match (covers(&self.declared), covers(&self.granted)) {
            (true, true) => Ok(()),
            (false, _) => denied("the plugin's manifest does not request it".to_owned()),
            (true, false) => {
                denied(format!("the pod does not grant it: add `{}` to the plugin's `grants`", line(capability, scope)))
            }
        }
    }

    /// As [`Self::check`], for what the manifest asks alone: used while it is not known yet what will be granted.
    ///
    /// # Errors
    /// [`Denied`] where the manifest lacks it.
    pub fn check_manifest(&self, capability: &'static str, scope: &str) -> Result<(), Denied> {
        if valid(capability, scope).is_ok() && self.declared.iter().any(|outer| covers(outer, capability, scope)) {
            return Ok(());
        }
        Err(Denied { capability, scope: scope.to_owned(), why: "the plugin's manifest does not request it".to_owned() })
    }

    /// Scopes of a capability that both sides allow, each as narrow as the narrower of the two.
    #[must_use]
    pub fn both(&self, capability: &str) -> Vec<String> {
        let of = |grants: &[Grant]| -> Vec<String> {
            grants.iter().filter(|grant| grant.capability == capability).map(|grant| grant.scope.clone()).collect()
        };
        let mut both = Vec::new();
        for granted in of(&self.granted) {
            for declared in of(&self.declared) {
                let narrower = if within(capability, &granted, &declared) {
                    granted.clone()
                } else if within(capability, &declared, &granted) {
                    declared
                } else {
                    continue;
                };
                if !both.contains(&narrower) {
                    both.push(narrower);
                }
            }
        }
        both
    }
}

/// The component that a scope names; `*` where it is all of them.
#[must_use]
pub fn component_of<'a>(capability: &str, scope: &'a str) -> Option<&'a str> {
    match capability {
        "signals" | "exec" => Some(scope),
        "files" => scope.split_once(':').map(|(component, _)| component),
        _ => None,
    }
}

/// Whether `outer` allows all that `capability` and `scope` name.
#[must_use]
pub fn covers(outer: &Grant, capability: &str, scope: &str) -> bool {
    outer.capability == capability && within(capability, scope, &outer.scope)
}

/// Whether two grants have anything in common.
#[must_use]
pub fn overlap(a: &Grant, b: &Grant) -> bool {
    covers(a, &b.capability, &b.scope) || covers(b, &a.capability, &a.scope) || meet(a, b)
}

/// Patterns of which neither is within the other may still meet: `*:/etc/x` and `app:/etc`.
fn meet(a: &Grant, b: &Grant) -> bool {
    let (Some((a_name, a_rest)), Some((b_name, b_rest))) = (a.scope.split_once(':'), b.scope.split_once(':')) else {
        return false;
    };
    a.capability == b.capability
        && a.capability == "files"
        && (a_name == b_name || a_name == "*" || b_name == "*")
        && (below(a_rest, b_rest) || below(b_rest, a_rest))
}

fn within(capability: &str, inner: &str, outer: &str) -> bool {
    if outer == "*" {
        return true;
    }
    match capability {
        "files" => match (inner.split_once(':'), outer.split_once(':')) {
            (Some((component, path)), Some((outer_component, prefix))) => {
                (outer_component == "*" || outer_component == component) && below(path, prefix)
            }
            _ => false,
        },
        "watch" => below(inner, outer),
        "dir" => {
            let (path, writes) = dir_scope(inner);
            let (prefix, may_write) = dir_scope(outer);
            below(path, prefix) && (may_write || !writes)
        }
        "http" | "tcp" => match (inner.rsplit_once(':'), outer.rsplit_once(':')) {
            (Some((host, port)), Some((outer_host, outer_port))) => {
                host.eq_ignore_ascii_case(outer_host) && (outer_port == "*" || port == outer_port)
            }
            _ => false,
        },
        "plan" => {
            let mut inner = inner.split('.');
            outer.split('.').all(|want| inner.next().is_some_and(|have| want == "*" || want == have))
        }
        _ => inner == outer,
    }
}

/// Path and whether it may be written.
#[must_use]
pub fn dir_scope(scope: &str) -> (&str, bool) {
    scope.strip_suffix(":rw").map_or((scope, false), |path| (path, true))
}

/// Whether `path` is `prefix` or lies below it, by whole segments.
fn below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How it is granted in a pod's file, as an entry of the `grants` map.
#[must_use]
pub fn line(capability: &str, scope: &str) -> String {
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

/// Checks the form of a scope.
///
/// # Errors
/// What form was expected.
pub fn valid(capability: &str, scope: &str) -> Result<(), String> {
    if !CAPABILITIES.contains(&capability) {
        return Err(format!("there is no capability `{capability}`"));
    }
    let expected = match capability {
        _ if scope == "*" => None,
        "dir" => {
            let (path, _) = dir_scope(scope);
            if !plain_path(path) {
                Some(
                    "an absolute path without `.` and `..`, followed by `:rw` for write access; in a manifest, `*` for a path that the pod chooses",
                )
            } else if path == "/" || CLOSED_DIRS.iter().any(|closed| below(path, closed) || below(closed, path)) {
                Some(
                    "a directory that contains no system directory; in a manifest, `*` for a directory that the pod chooses",
                )
            } else {
                None
            }
        }
        "pod" | "state" | "metrics" | "routes" | "logs" | "node" => Some("`*`"),
        "signals" | "exec" => ComponentName::new(scope).err().map(|_| "a component's name or `*`"),
        "files" => {
            let right = scope.split_once(':').is_some_and(|(component, path)| {
                (component == "*" || ComponentName::new(component).is_ok()) && plain_path(path)
            });
            (!right).then_some("`component:/path`, without `.` and `..`")
        }
        "watch" => (!plain_path(scope)).then_some("an absolute path without `.` and `..`"),
        "http" | "tcp" => {
            let right = scope.rsplit_once(':').is_some_and(|(host, port)| {
                !host.is_empty() && !host.contains(['/', '@', '*']) && (port == "*" || port.parse::<u16>().is_ok())
            });
            (!right).then_some("`host:port`, where the port may be `*`")
        }
        _ => (scope.is_empty()).then_some("something"),
    };
    expected.map_or(Ok(()), |expected| Err(format!("expected {expected}")))
}

/// Whether it is absolute, and has no empty, `.` or `..` segment and no NUL.
#[must_use]
pub fn plain_path(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    !path.contains('\0') && (rest.is_empty() || rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_controller_keeps_for_itself_is_closed() {
        for scope in ["/var/cache/outrigger:rw", "/var/lib/outrigger/state", "/plugins", "/var/cache:rw", "/var"] {
            let error = valid("dir", scope).unwrap_err();
            assert!(error.starts_with("expected a directory that contains no system directory"), "{scope}: {error}");
        }
        assert_eq!(valid("dir", "/data:rw"), Ok(()));
    }

    fn grant(text: &str) -> Grant {
        let (capability, scope) = text.split_once(' ').unwrap();
        Grant { capability: capability.to_owned(), scope: scope.to_owned() }
    }

    fn granter(declared: &[&str], granted: &[&str], only: Option<&str>) -> Granter {
        Granter::new(
            PluginName::new("p").unwrap(),
            declared.iter().map(|text| grant(text)).collect(),
            granted.iter().map(|text| grant(text)).collect(),
            only.map(|name| ComponentName::new(name).unwrap()),
        )
    }

    #[test]
    fn says_which_side_is_missing() {
        let granter = granter(&["signals *"], &["signals app", "exec app"], None);
        assert_eq!(granter.check("signals", "app"), Ok(()));
        assert_eq!(
            granter.check("signals", "db").unwrap_err().to_string(),
            "`signals` for `db`: the pod does not grant it: add `signals: [db]` to the plugin's `grants`"
        );
        assert_eq!(
            granter.check("exec", "app").unwrap_err().to_string(),
            "`exec` for `app`: the plugin's manifest does not request it"
        );
    }

    #[test]
    fn lines_to_write_are_yaml() {
        for (capability, scope, expected) in [
            ("exec", "app", "exec: [app]"),
            ("state", "*", "state: true"),
            ("files", "app:/etc/x", "files: [app:/etc/x]"),
            ("files", "*:/etc", "files: [\"*:/etc\"]"),
            ("plan", "components.*.image", "plan: [\"components.*.image\"]"),
            ("http", "10.0.0.1:80", "http: [\"10.0.0.1:80\"]"),
            ("watch", "/a, b", "watch: [\"/a, b\"]"),
        ] {
            assert_eq!(line(capability, scope), expected);
        }
    }

    #[test]
    fn scopes_cover_what_they_should_and_no_more() {
        for (outer, inner, expected) in [
            ("files app:/etc", "files app:/etc", true),
            ("files app:/etc", "files app:/etc/x", true),
            ("files app:/etc/", "files app:/etc/x", true),
            ("files app:/etc", "files app:/etcetera", false),
            ("files app:/etc", "files db:/etc/x", false),
            ("files *:/etc", "files db:/etc/x", true),
            ("files app:/", "files app:/etc/x", true),
            ("files *", "files db:/x", true),
            ("files app:/etc", "files *:/etc", false),
            ("http a.b:443", "http A.b:443", true),
            ("http a.b:443", "http a.b:80", false),
            ("http a.b:*", "http a.b:80", true),
            ("http a.b:*", "http x.a.b:80", false),
            ("tcp a.b:1", "http a.b:1", false),
            ("watch /etc", "watch /etc/x", true),
            ("watch /etc/x", "watch /etc", false),
            ("dir /data", "dir /data/x", true),
            ("dir /data", "dir /data:rw", false),
            ("dir /data:rw", "dir /data/x", true),
            ("plan components.*.environment", "plan components.app.environment.A", true),
            ("plan components.*.environment", "plan components.app.image", false),
            ("plan components.*.environment", "plan components.app", false),
            ("plan components.app", "plan components.*", false),
            ("env A", "env A", true),
            ("env A", "env AB", false),
        ] {
            let (outer, inner) = (grant(outer), grant(inner));
            assert_eq!(covers(&outer, &inner.capability, &inner.scope), expected, "{outer:?} {inner:?}");
        }
    }

    #[test]
    fn paths_with_dots_never_pass() {
        let granter = granter(&["files *", "watch /etc"], &["files app:/etc", "watch /etc"], None);
        for path in ["app:/etc/../root/.ssh", "app:etc", "app:/etc/./x", "app:/etc//x", "app"] {
            assert!(granter.check("files", path).unwrap_err().to_string().contains("expected"), "{path}");
        }
        let denied = granter.check("watch", "/etc/../x").unwrap_err().to_string();
        assert!(denied.contains("expected an absolute path"), "{denied}");
    }

    #[test]
    fn a_confined_plugin_reaches_no_other_component() {
        let granter = granter(&["signals *", "files *"], &["signals *", "files *"], Some("app"));
        assert_eq!(granter.check("signals", "app"), Ok(()));
        assert!(
            granter
                .check("signals", "db")
                .unwrap_err()
                .to_string()
                .ends_with("the plugin belongs to component `app` and has no access to other components")
        );
        assert!(granter.sees("app") && !granter.sees("db"));
    }

    /// Each capability whose scope names a component.
    #[test]
    fn what_names_a_component_is_confined_to_it() {
        for (capability, own, other) in
            [("signals", "app", "db"), ("exec", "app", "db"), ("files", "app:/x", "db:/x"), ("exec", "app", "*")]
        {
            let all = format!("{capability} *");
            let granter = granter(&[&all], &[&all], Some("app"));
            assert_eq!(granter.check(capability, own), Ok(()));
            let denied = granter.check(capability, other).unwrap_err().to_string();
            assert!(
                denied.ends_with("the plugin belongs to component `app` and has no access to other components"),
                "{capability}: {denied}"
            );
        }
    }

    #[test]
    fn forms_are_checked() {
        for (wrong, told) in [
            ("nonsense *", "there is no capability `nonsense`"),
            ("pod app", "expected `*`"),
            ("signals a/b", "expected a component's name or `*`"),
            ("exec -a", "expected a component's name or `*`"),
            ("files app", "expected `component:/path`"),
            ("files app:x", "expected `component:/path`"),
            ("files a/b:/x", "expected `component:/path`"),
            ("watch x", "expected an absolute path"),
            ("http a.b", "expected `host:port`"),
            ("http a.b:x", "expected `host:port`"),
            ("http a.b:65536", "expected `host:port`"),
            ("http http://a.b:1", "expected `host:port`"),
            ("tcp *:1", "expected `host:port`"),
            ("dir x", "expected an absolute path"),
            ("dir /a/..:rw", "expected an absolute path"),
            ("dir /", "expected a directory"),
            ("dir /run/x", "expected a directory"),
            ("dir /var", "expected a directory"),
            ("dir /proc/1", "expected a directory"),
            ("env ", "expected something"),
        ] {
            let wrong = grant(wrong);
            let error = valid(&wrong.capability, &wrong.scope).unwrap_err();
            assert!(error.starts_with(told), "{wrong:?}: {error}");
        }
        for right in
            ["pod *", "signals app", "files *:/x", "http a.b:*", "tcp [::1]:65535", "dir /data:rw", "dir *", "env A"]
        {
            let right = grant(right);
            assert_eq!(valid(&right.capability, &right.scope), Ok(()), "{right:?}");
        }
    }

    #[test]
    fn the_narrower_of_both_sides_counts() {
        let granter = granter(&["dir /data/a", "dir /log:rw"], &["dir /data:rw", "dir /log", "dir /x"], None);
        assert_eq!(granter.both("dir"), ["/data/a", "/log"]);
        let granter = self::granter(&["dir /data", "dir /data/a", "dir *"], &["dir /data/a"], None);
        assert_eq!(granter.both("dir"), ["/data/a"], "once, however often it is declared");
        assert!(overlap(&grant("files *:/etc/x"), &grant("files app:/etc")));
        assert!(overlap(&grant("files app:/etc"), &grant("files *:/etc/x")));
        assert!(!overlap(&grant("files a:/etc/x"), &grant("files app:/etc")));
    }
}
