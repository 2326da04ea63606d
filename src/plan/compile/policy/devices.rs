//! Devices that may be given away, and rules about them.

use super::{Guard, Refusal};
use crate::config::policy::{Subject, glob, normal};

/// Devices behind which there is neither memory, nor a disk, nor the console. All others need the operator's word: names of devices are the host's to choose.
const HARMLESS: [&str; 20] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
    "/dev/ttyUSB*",
    "/dev/ttyACM*",
    "/dev/video*",
    "/dev/snd",
    "/dev/snd/*",
    "/dev/dri",
    "/dev/dri/*",
    "/dev/nvidia*",
    "/dev/kfd",
    "/dev/kvm",
    "/dev/net/tun",
    "/dev/fuse",
    "/dev/i2c-*",
    "/dev/gpiochip*",
];

/// Numbers of kinds of character devices that are harmless: video, sound, serial lines over USB, graphics.
const HARMLESS_MAJORS: [&str; 5] = ["81", "116", "166", "188", "226"];

/// Of the kind 1: null, zero, full, random, urandom. The others are the machine's memory.
const HARMLESS_MINORS: [&str; 5] = ["3", "5", "7", "8", "9"];

impl Guard<'_> {
    pub(super) fn device(&self, path: &str) -> Option<Refusal> {
        let path = normal(path);
        if HARMLESS.iter().any(|harmless| glob(harmless, &path, true)) {
            self.unless_denied(Subject::Device, &path)
        } else {
            let why = format!(
                "`{path}` is not on the list of harmless devices; disks and memory, for example, are dangerous"
            );
            self.unless_allowed(Subject::Device, &path, &why)
        }
    }

    pub(super) fn device_rule(&self, rule: &str) -> Option<Refusal> {
        let words: Vec<_> = rule.split_whitespace().collect();
        let (kind, numbers) = (words.first().copied().unwrap_or_default(), words.get(1).copied().unwrap_or_default());
        let (major, minor) = numbers.split_once(':').unwrap_or((numbers, "*"));
        let is_harmless =
            kind == "c" && (HARMLESS_MAJORS.contains(&major) || major == "1" && HARMLESS_MINORS.contains(&minor));
        let rule = words.join(" ");
        if is_harmless {
            self.unless_denied(Subject::DeviceRule, &rule)
        } else {
            let why = format!(
                "`{rule}` opens devices that the component can create with `mknod`, possibly including disks and memory"
            );
            self.unless_allowed(Subject::DeviceRule, &rule, &why)
        }
    }
}
