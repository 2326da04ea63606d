//! What a plugin says of itself, checked.

use std::time::Duration;

use serde_json::Value;

use crate::hooks::Hook;
use crate::plugin::error::PluginError;
use crate::pod::{Capability, Grant, PluginName};

/// Longest configuration schema, in bytes.
const SCHEMA_BYTES: usize = 256 << 10;
/// Most wants.
const WANTS: usize = 256;
/// Most memory that a language may need, in MiB.
const MOST_MEMORY_MIB: u32 = 512;
/// Longest time that a language may need to start, in milliseconds.
const LONGEST_START_MS: u32 = 60_000;
/// The version of this program.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a plugin says of itself, as it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its own name.
    pub name: String,
    /// By semantic versioning.
    pub version: String,
    /// What it does, in one sentence.
    pub summary: String,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
    /// Everything that it may ever use.
    pub wants: Vec<DeclaredWant>,
    /// The least version of Outrigger that it works with.
    pub host: Option<String>,
    /// Memory that its language needs, in MiB.
    pub memory_mib: Option<u32>,
    /// Time that its language needs to start, in milliseconds.
    pub start_ms: Option<u32>,
    /// Whether all its hooks share one instance.
    pub one_instance: bool,
}

/// The answer of `configure`, as the plugin says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Everything that the configuration uses.
    pub wants: Vec<DeclaredWant>,
    /// The kinds of events for which it is called; none: those of a component's life.
    pub events: Option<Vec<String>>,
}

/// Something of the host that a plugin would use, as it says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredWant {
    /// Name of the capability.
    pub capability: String,
    /// Its scope.
    pub scope: String,
    /// What for, in the plugin's words.
    pub reason: String,
    /// Whether it can do nothing useful without.
    pub required: bool,
}

/// What a plugin says of itself, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Its own name.
    pub name: PluginName,
    /// By semantic versioning.
    pub version: String,
    /// What it does, in one sentence.
    pub summary: String,
    /// JSON Schema of its configuration.
    pub config_schema: Value,
    /// Everything that it may ever use.
    pub wants: Vec<Want>,
    /// Memory that its language needs, in bytes.
    pub memory: Option<u64>,
    /// Time that its language needs to start.
    pub start: Option<Duration>,
    /// Whether all its hooks share one instance.
    pub one_instance: bool,
}

/// Something of the host that a plugin would use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Capability and scope.
    pub grant: Grant,
    /// What for, in the plugin's words.
    pub reason: String,
    /// Whether it can do nothing useful without.
    pub required: bool,
}

/// A plugin that was looked at, without any grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What it says of itself.
    pub manifest: Manifest,
    /// The hooks that it has.
    pub hooks: Vec<Hook>,
    /// The interfaces that it imports, with their versions.
    pub imports: Vec<String>,
    /// Size of its WebAssembly, in bytes.
    pub size: u64,
    /// SHA-256 of its WebAssembly, hexadecimal.
    pub digest: String,
}

impl Manifest {
    /// Checks what `describe` answered of a plugin with these hooks.
    ///
    /// # Errors
    /// [`PluginError::Manifest`].
    pub fn new(raw: Declared, hooks: &[Hook]) -> Result<Self, PluginError> {
        let wrong = |what: String| PluginError::Manifest { what };
        let name = PluginName::new(&raw.name).map_err(|error| wrong(format!("`name`: {error}")))?;
        if !is_version(&raw.version) {
            return Err(wrong(format!("`version` is `{}`, expected for instance `1.2.3`", shortened(&raw.version))));
        }
        let config_schema = raw.config_schema;
        if config_schema.to_string().len() > SCHEMA_BYTES {
            return Err(wrong(format!("`config_schema` has more than {SCHEMA_BYTES} bytes")));
        }
        jsonschema::validator_for(&config_schema)
            .map_err(|error| wrong(format!("`config_schema` is not a JSON Schema: {error}")))?;
        let wants = wants(raw.wants).map_err(wrong)?;
        for hook in hooks {
            // Such a hook would never be called, whatever a pod grants.
            if let Some(power) = hook.power()
                && !wants.iter().any(|want| want.grant.capability == power)
            {
                return Err(wrong(format!(
                    "the plugin has the hook `{hook}`, but its manifest does not request `{power}`"
                )));
            }
        }
        if let Some(least) = &raw.host {
            let version = |text: &str| is_version(text).then(|| numbers(text)).ok_or(());
            let wanted = version(least)
                .map_err(|()| wrong(format!("`host` is `{}`, expected for instance `1.2.3`", shortened(least))))?;
            if version(OWN_VERSION).is_ok_and(|own| own < wanted) {
                return Err(wrong(format!("the plugin needs Outrigger {least} or later, and this is {OWN_VERSION}")));
            }
        }
        if raw.memory_mib.is_some_and(|memory| !(1..=MOST_MEMORY_MIB).contains(&memory)) {
            return Err(wrong(format!("`memory_mib` must be from 1 to {MOST_MEMORY_MIB}")));
        }
        if raw.start_ms.is_some_and(|start| !(1..=LONGEST_START_MS).contains(&start)) {
            return Err(wrong(format!("`start_ms` must be from 1 to {LONGEST_START_MS}")));
        }
        Ok(Self {
            name,
            version: raw.version,
            summary: raw.summary,
            config_schema,
            wants,
            memory: raw.memory_mib.map(|memory| u64::from(memory) << 20),
            start: raw.start_ms.map(|start| Duration::from_millis(start.into())),
            one_instance: raw.one_instance,
        })
    }

    /// The wants as grants.
    #[must_use]
    pub fn declared(&self) -> Vec<Grant> {
        self.wants.iter().map(|want| want.grant.clone()).collect()
    }

    /// Whether the manifest asks for all of this.
    #[must_use]
    pub fn covers(&self, grant: &Grant) -> bool {
        self.wants.iter().any(|want| want.grant.covers(grant.capability, &grant.scope))
    }
}

/// Checks wants of a manifest or of `configure`.
///
/// # Errors
/// Which want is wrong and how.
pub fn wants(raw: Vec<DeclaredWant>) -> Result<Vec<Want>, String> {
    if raw.len() > WANTS {
        return Err(format!("the manifest requests more than {WANTS} capabilities"));
    }
    raw.into_iter()
        .map(|want| {
            let DeclaredWant { capability: word, scope, reason, required } = want;
            let wrong = |why: String| format!("the manifest requests `{word}` for `{scope}`: {why}");
            let capability = Capability::of(&word).ok_or_else(|| wrong(format!("there is no capability `{word}`")))?;
            capability.check(&scope).map_err(|expected| wrong(format!("expected {expected}")))?;
            Ok(Want { grant: Grant::new(capability, scope), reason, required })
        })
        .collect()
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Major, minor and patch of a version.
fn numbers(version: &str) -> Vec<u64> {
    let end = version.find(['-', '+']).unwrap_or(version.len());
    version.get(..end).unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(u64::MAX)).collect()
}

fn is_version(text: &str) -> bool {
    let identifiers = |text: &str| {
        text.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (numbers, pre) = rest.split_once('-').map_or((rest, None), |(numbers, pre)| (numbers, Some(pre)));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && pre.is_none_or(identifiers)
        && build.is_none_or(identifiers)
        && text.len() <= 64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> Declared {
        Declared {
            name: "p".to_owned(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            config_schema: serde_json::json!({}),
            wants: Vec::new(),
            host: None,
            memory_mib: None,
            start_ms: None,
            one_instance: false,
        }
    }

    #[test]
    fn versions() {
        for right in ["0.1.0", "1.2.3-rc.1", "1.2.3+b-1", "10.0.0-a+b"] {
            assert!(is_version(right), "{right}");
        }
        for wrong in ["", "1", "1.2", "1.2.3.4", "01.2.3", "1.2.x", "v1.2.3", "1.2.3-", "1.2.3+"] {
            assert!(!is_version(wrong), "{wrong}");
        }
    }

    #[test]
    fn wrong_manifests_are_refused() {
        let want = |capability: &str, scope: &str| DeclaredWant {
            capability: capability.to_owned(),
            scope: scope.to_owned(),
            reason: String::new(),
            required: false,
        };
        for (manifest, expected) in [
            (Declared { name: "a/b".to_owned(), ..raw() }, "`name`: `a/b` is not a name"),
            (Declared { version: "one".to_owned(), ..raw() }, "`version` is `one`"),
            (Declared { config_schema: serde_json::json!({"type": 7}), ..raw() }, "is not a JSON Schema"),
            (Declared { host: Some("99.0.0".to_owned()), ..raw() }, "needs Outrigger 99.0.0 or later, and this is"),
            (Declared { host: Some("new".to_owned()), ..raw() }, "`host` is `new`"),
            (Declared { memory_mib: Some(0), ..raw() }, "`memory_mib` must be from 1 to 512"),
            (Declared { start_ms: Some(60_001), ..raw() }, "`start_ms` must be from 1 to 60000"),
            (Declared { wants: vec![want("fly", "*")], ..raw() }, "there is no capability `fly`"),
            (Declared { wants: vec![want("files", "/etc")], ..raw() }, "expected `component:/path/prefix`"),
        ] {
            let error = Manifest::new(manifest, &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(Manifest::new(raw(), &[Hook::Tick]).unwrap().declared(), []);
        let error = Manifest::new(raw(), &[Hook::LogLine]).unwrap_err().to_string();
        assert!(error.contains("the hook `log-line`, but its manifest does not request `lines`"), "{error}");
        let lines = Declared { wants: vec![want("lines", "app")], ..raw() };
        assert!(Manifest::new(lines, &[Hook::LogLine]).is_ok());
    }
}
