//! Volumes whose driver gives access to what is no volume.

use super::{Guard, Refusal, denied};
use crate::config::policy::{Access, Subject, Verdict};
use crate::pod::VolumeSpec;

/// The engine's own driver, which mounts whatever its options say.
const LOCAL: &str = "local";

/// What it may mount where nobody says otherwise: memory, and file systems of other machines.
const HARMLESS_TYPES: [&str; 6] = ["tmpfs", "nfs", "nfs4", "cifs", "smb3", "none"];

/// Words of `o` that make a mount of what is there already.
const BINDS: [&str; 4] = ["bind", "rbind", "move", "remount"];

pub(super) fn check(guard: &Guard<'_>, volume: &VolumeSpec, access: Access) -> Option<Refusal> {
    let driver = if volume.driver.is_empty() { LOCAL } else { volume.driver.as_str() };
    let verdict = guard.policy.verdict(Subject::VolumeDriver, driver, Access::Write);
    match verdict {
        Verdict::Denied(rule) => return Some(denied(&rule)),
        // It is trusted with every option.
        Verdict::Allowed if driver != LOCAL => return None,
        Verdict::Allowed | Verdict::Unsaid => {}
    }
    if driver == LOCAL {
        return local(guard, volume, access);
    }
    // What a driver makes of its options is its own; one that names a path of the node that is closed probably leads there.
    volume.driver_opts.iter().find_map(|(option, value)| {
        let path = value.strip_prefix("file://").unwrap_or(value);
        let danger = guard
            .files
            .paths
            .of_host(&path.starts_with('/').then(|| crate::config::policy::normal(path))?, Access::Write)?;
        Some(Refusal {
            what: format!("the option `{option}` of the volume driver: {}", danger.what),
            hint: guard.remedy(Subject::VolumeDriver, driver),
        })
    })
}

/// `type`, `o` and `device` are what `mount` takes: a bind of any path, or a disk of the node.
fn local(guard: &Guard<'_>, volume: &VolumeSpec, access: Access) -> Option<Refusal> {
    let option = |name: &str| {
        let value = volume.driver_opts.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        value.map(|(_, value)| value.trim()).unwrap_or_default()
    };
    let (device, kind, words) =
        (option("device"), option("type").to_ascii_lowercase(), option("o").to_ascii_lowercase());
    if device.is_empty() && kind.is_empty() && words.is_empty() {
        return None;
    }
    let binds = words.split(',').any(|word| BINDS.contains(&word.trim()));
    if binds || kind == "none" || kind.is_empty() {
        // A path without a slash in front is taken from where the engine runs: its root directory.
        return guard.bind(device, access).map(|refusal| Refusal {
            what: format!("the volume options describe a bind mount: {}", refusal.what),
            ..refusal
        });
    }
    if HARMLESS_TYPES.contains(&kind.as_str()) {
        guard.unless_denied(Subject::VolumeType, &kind)
    } else {
        let why = format!("the volume would mount `{device}` of the node as `{kind}`");
        guard.unless_allowed(Subject::VolumeType, &kind, &why)
    }
}
