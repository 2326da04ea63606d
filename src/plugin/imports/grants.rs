//! Who may what: the manifest asks, the pod grants, and one [`Granter`] decides and says which of the two is missing.

use std::fmt;

use crate::hooks::Hook;
use crate::pod::capability::{Capability, Grant, line};
use crate::pod::{ComponentName, PluginName};

/// A call was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    capability: Capability,
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
    pub fn check(&self, capability: Capability, scope: &str) -> Result<(), Denied> {
        let denied = |why: String| Err(Denied { capability, scope: scope.to_owned(), why });
        if let (Some(only), Some(component)) = (&self.only, capability.component_of(scope))
            && only.as_str() != component
        {
            return denied(format!("the plugin belongs to component `{only}` and has no access to other components"));
        }
        if let Err(expected) = capability.check(scope) {
            return denied(format!("expected {expected}"));
        }
        let covers = |grants: &[Grant]| grants.iter().any(|outer| outer.covers(capability, scope));
        match (covers(&self.declared), covers(&self.granted)) {
            (true, true) => Ok(()),
            (false, _) => denied("the plugin's manifest does not request it".to_owned()),
            (true, false) => {
                denied(format!("the pod does not grant it: add `{}` to the plugin's `grants`", line(capability, scope)))
            }
        }
    }

    /// As [`Self::check`] in short, for a scope that is known to be right.
    #[must_use]
    pub fn allows(&self, capability: Capability, scope: &str) -> bool {
        let is_own = match (&self.only, capability.component_of(scope)) {
            (Some(only), Some(component)) => only.as_str() == component,
            _ => true,
        };
        let covers = |grants: &[Grant]| grants.iter().any(|outer| outer.covers(capability, scope));
        is_own && covers(&self.declared) && covers(&self.granted)
    }

    /// Whether the plugin may use `capability` for anything.
    #[must_use]
    pub fn holds(&self, capability: Capability) -> bool {
        let mut granted = self.granted.iter().filter(|grant| grant.capability == capability);
        granted.any(|grant| self.declared.iter().any(|want| want.overlaps(grant)))
    }

    /// Whether the plugin is called for `hook` at all.
    #[must_use]
    pub fn empowers(&self, hook: Hook) -> bool {
        hook.power().is_none_or(|power| self.holds(power))
    }

    /// As [`Self::check`], for what the manifest asks alone: used while it is not known yet what will be granted.
    ///
    /// # Errors
    /// [`Denied`] where the manifest lacks it.
    pub fn check_manifest(&self, capability: Capability, scope: &str) -> Result<(), Denied> {
        if capability.check(scope).is_ok() && self.declared.iter().any(|outer| outer.covers(capability, scope)) {
            return Ok(());
        }
        Err(Denied { capability, scope: scope.to_owned(), why: "the plugin's manifest does not request it".to_owned() })
    }

    /// Scopes of a capability that both sides allow, each as narrow as the narrower of the two.
    #[must_use]
    pub fn both(&self, capability: Capability) -> Vec<String> {
        let of = |grants: &[Grant]| -> Vec<String> {
            grants.iter().filter(|grant| grant.capability == capability).map(|grant| grant.scope.clone()).collect()
        };
        let mut both = Vec::new();
        for granted in of(&self.granted) {
            for declared in of(&self.declared) {
                let narrower = if capability.within(&granted, &declared) {
                    granted.clone()
                } else if capability.within(&declared, &granted) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(text: &str) -> Grant {
        let (capability, scope) = text.split_once(' ').unwrap();
        Grant::new(Capability::of(capability).unwrap(), scope)
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
        assert_eq!(granter.check(Capability::Signals, "app"), Ok(()));
        assert_eq!(
            granter.check(Capability::Signals, "db").unwrap_err().to_string(),
            "`signals` for `db`: the pod does not grant it: add `signals: [db]` to the plugin's `grants`"
        );
        assert_eq!(
            granter.check(Capability::Exec, "app").unwrap_err().to_string(),
            "`exec` for `app`: the plugin's manifest does not request it"
        );
    }

    #[test]
    fn paths_with_dots_never_pass() {
        let granter = granter(&["files *", "watch /etc"], &["files app:/etc", "watch /etc"], None);
        for path in ["app:/etc/../root/.ssh", "app:etc", "app:/etc/./x", "app:/etc//x", "app"] {
            assert!(granter.check(Capability::Files, path).unwrap_err().to_string().contains("expected"), "{path}");
        }
        let denied = granter.check(Capability::Watch, "/etc/../x").unwrap_err().to_string();
        assert!(denied.contains("expected an absolute path"), "{denied}");
    }

    #[test]
    fn a_confined_plugin_reaches_no_other_component() {
        let granter = granter(&["signals *", "files *"], &["signals *", "files *"], Some("app"));
        assert_eq!(granter.check(Capability::Signals, "app"), Ok(()));
        assert!(
            granter
                .check(Capability::Signals, "db")
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
            assert_eq!(granter.check(Capability::of(capability).unwrap(), own), Ok(()));
            let denied = granter.check(Capability::of(capability).unwrap(), other).unwrap_err().to_string();
            assert!(
                denied.ends_with("the plugin belongs to component `app` and has no access to other components"),
                "{capability}: {denied}"
            );
        }
    }

    #[test]
    fn hooks_need_their_powers() {
        let granter = granter(
            &["lines *", "copies *:/etc", "verdicts db"],
            &["lines app", "copies app:/etc/x", "copies app:/run", "verdicts app", "exits *"],
            None,
        );
        for (hook, expected) in [
            (Hook::LogLine, true),
            (Hook::ConfigCopy, true),
            // Either side lacks it.
            (Hook::Health, false),
            (Hook::ComponentEvent, false),
            (Hook::Signal, false),
            (Hook::Tick, true),
            (Hook::PreStart, true),
            (Hook::ConfigChanged, true),
        ] {
            assert_eq!(granter.empowers(hook), expected, "{hook}");
        }
        assert!(granter.allows(Capability::Lines, "app") && !granter.allows(Capability::Lines, "db"));
        assert!(granter.allows(Capability::Copies, "app:/etc/x") && !granter.allows(Capability::Copies, "app:/run/x"));
        let confined = super::tests::granter(&["lines *"], &["lines *"], Some("app"));
        assert!(confined.allows(Capability::Lines, "app") && !confined.allows(Capability::Lines, "db"));
    }

    #[test]
    fn the_narrower_of_both_sides_counts() {
        let granter = granter(&["dir /data/a", "dir /log:rw"], &["dir /data:rw", "dir /log", "dir /x"], None);
        assert_eq!(granter.both(Capability::Dir), ["/data/a", "/log"]);
        let granter = self::granter(&["dir /data", "dir /data/a", "dir *"], &["dir /data/a"], None);
        assert_eq!(granter.both(Capability::Dir), ["/data/a"], "once, however often it is declared");
        assert!(grant("files *:/etc/x").overlaps(&grant("files app:/etc")));
        assert!(grant("files app:/etc").overlaps(&grant("files *:/etc/x")));
        assert!(!grant("files a:/etc/x").overlaps(&grant("files app:/etc")));
        // Of either order, also if the scope is a path alone.
        assert!(
            grant("dir /data").overlaps(&grant("dir /data/a")) && grant("dir /data/a").overlaps(&grant("dir /data"))
        );
        assert!(!grant("dir /data/a").overlaps(&grant("dir /data/b")));
    }
}
