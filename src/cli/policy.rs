//! The operator's policy file.

use std::path::Path;

use anyhow::Context;

use super::report::Report;
use crate::config::{Policy, Settings};
use crate::pod::{Problem, Problems};

/// Longest policy file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Reads one.
pub(super) fn read(file: &Path) -> Result<Policy, Report> {
    use std::io::Read;
    let failed = || format!("cannot read the policy file `{}`", file.display());
    let mut text = String::new();
    let opened = std::fs::File::open(file).with_context(failed).map_err(Report::usage)?;
    opened.take(LONGEST).read_to_string(&mut text).with_context(failed).map_err(Report::usage)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) >= LONGEST {
        return Err(Report::usage(anyhow::anyhow!("`{}` is longer than {LONGEST} bytes", file.display())));
    }
    Policy::read(&file.display().to_string(), &text).map_err(Report::usage)
}

/// The policy of this file has the last word, if there is such a file.
///
/// One that is there and can't be read is an error: without it more would be allowed.
pub(super) fn bound(settings: &mut Settings, file: &Path) -> Result<(), Report> {
    match std::fs::symlink_metadata(file) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            Ok(())
        }
        _ => {
            settings.policy = read(file)?.narrowed_by(&settings.policy).map_err(Report::usage)?;
            Ok(())
        }
    }
}

/// Puts the pods of `plan` and `check` under a policy file; what their own flags would widen is told as a problem of the input.
pub(super) fn bound_all<'a>(
    file: Option<&Path>,
    all: impl Iterator<Item = &'a mut Settings>,
    problems: &mut Problems,
) -> Result<(), Report> {
    let Some(file) = file else { return Ok(()) };
    let policy = read(file)?;
    for settings in all {
        match policy.clone().narrowed_by(&settings.policy) {
            Ok(narrowed) => settings.policy = narrowed,
            Err(more) => {
                let at = |it: Problem| Problem { label: "controller".to_owned(), field: "flags".to_owned(), ..it };
                problems.extend(Problems(more.0.into_iter().map(at).collect()));
                settings.policy = policy.clone();
            }
        }
    }
    Ok(())
}
