//! Between version 0.1 of the contract and our own types. Lists of lines are moved, not copied.

use std::mem;

use super::documents;
use super::exports::outrigger::pod::{config_changed, config_copy, health, log_line, plugin, signal};
use super::outrigger::pod::{common, log};
use crate::engine::Output;
use crate::hooks::{Batch, Change, File, HealthTrigger, Judgement, Probe, Status};
use crate::plugin::answers::lines::{Edit, Verdict};
use crate::plugin::answers::said::{self, FileSaid, Mistake};
use crate::plugin::imports::contents::{Contents, Shown};
use crate::plugin::imports::logging::Level;
use crate::plugin::imports::{Code, Refusal};
use crate::plugin::instance::call::Failure;

/// A batch while a guest sees it. Its lists are moved there, and back when this is dropped: also if the call is, so that no line is lost.
pub struct LentBatch<'a> {
    batch: &'a mut Batch,
    /// As the guest gets it.
    pub wire: log_line::Batch,
}

impl<'a> LentBatch<'a> {
    /// Moves the lists.
    #[must_use]
    pub fn new(batch: &'a mut Batch) -> Self {
        let wire = log_line::Batch {
            source: source(batch),
            times: mem::take(&mut batch.times),
            ends: mem::take(&mut batch.ends),
            data: mem::take(&mut batch.data),
            field_ends: mem::take(&mut batch.field_ends),
            fields: mem::take(&mut batch.fields),
            again: batch.again,
            flush: batch.flush,
            last: batch.last,
        };
        Self { batch, wire }
    }
}

impl Drop for LentBatch<'_> {
    fn drop(&mut self) {
        self.batch.times = mem::take(&mut self.wire.times);
        self.batch.ends = mem::take(&mut self.wire.ends);
        self.batch.data = mem::take(&mut self.wire.data);
        self.batch.field_ends = mem::take(&mut self.wire.field_ends);
        self.batch.fields = mem::take(&mut self.wire.fields);
    }
}

fn source(batch: &Batch) -> Vec<common::Attr> {
    let output = match batch.output {
        Output::Stdout => "stdout",
        Output::Stderr => "stderr",
    };
    let all =
        [("component", batch.component.to_string()), ("output", output.to_owned()), ("run", batch.run.to_string())];
    all.into_iter().map(|(key, value)| common::Attr { key: key.to_owned(), value }).collect()
}

/// A content as the guest gets it.
fn content_to(shown: Shown) -> common::Content {
    match shown {
        Shown::Inline(bytes) => common::Content::Bytes(bytes),
        Shown::Stored(digest, size) => common::Content::Stored(common::Stored { digest, size }),
    }
}

/// Changed files as the guest gets them.
pub fn changes_to(contents: &mut Contents, changes: &[Change]) -> Vec<config_changed::Change> {
    let change = |change: &Change| config_changed::Change {
        source: change.source.clone(),
        path: change.path.clone(),
        digest: change.digest.clone(),
        content: (!change.removed).then(|| content_to(contents.show(&change.content, Some(&change.digest)))),
    };
    changes.iter().map(change).collect()
}

/// A file as the guest gets it.
pub fn file_to(contents: &mut Contents, file: &File) -> common::File {
    common::File {
        component: file.component.to_string(),
        path: file.path.clone(),
        mode: Some(file.mode),
        uid: Some(file.uid),
        gid: Some(file.gid),
        content: content_to(contents.show(&file.content, None)),
    }
}

/// A file as the guest says it; not checked yet.
///
/// # Errors
/// If its content is not there.
pub fn file_of(contents: &Contents, file: common::File) -> Result<FileSaid, Refusal> {
    let common::File { component, path, mode, uid, gid, content } = file;
    let content = match content {
        common::Content::Bytes(bytes) => bytes.into(),
        common::Content::Stored(stored) => contents.find(&stored.digest)?,
    };
    Ok(FileSaid { component, path, mode, uid, gid, content })
}

/// Files as the guest says them, in an answer.
///
/// # Errors
/// As [`file_of`].
pub fn files_of(contents: &Contents, files: Vec<common::File>) -> Result<Vec<FileSaid>, Failure> {
    let files = files.into_iter().map(|file| file_of(contents, file));
    files
        .collect::<Result<_, _>>()
        .map_err(|refusal| Failure::Refused(format!("answered a wrong file: {}", refusal.text)))
}

/// What a guest is told of a call that was refused.
#[must_use]
pub fn refusal_to(refusal: Refusal) -> common::Error {
    common::Error { code: refusal.code.word().to_owned(), text: refusal.text, retry_ms: refusal.retry_ms }
}

/// A guest's own error.
#[must_use]
pub fn failure_of(error: common::Error) -> Failure {
    let common::Error { code, text, retry_ms } = error;
    match (Code::of(&code), retry_ms) {
        (Code::BadConfig, _) => Failure::Final(format!("reported a wrong configuration: {text}")),
        (Code::Denied, _) => Failure::Refused(format!("reported a missing permission: {text}")),
        (_, Some(ms)) => Failure::Retry(ms, text),
        (Code::Failed, None) => Failure::Refused(format!("failed: {text}")),
        (code, None) => Failure::Refused(format!("failed ({}): {text}", code.word())),
    }
}

/// Mistakes in the configuration, as the guest says them.
#[must_use]
pub fn mistakes_of(problems: Vec<plugin::Problem>) -> Vec<Mistake> {
    let mistake = |plugin::Problem { path, what, hint }| Mistake { path, what, hint };
    problems.into_iter().map(mistake).collect()
}

/// How important a line of a plugin's own is.
#[must_use]
pub fn level_of(level: log::Level) -> Level {
    match level {
        log::Level::Debug => Level::Debug,
        log::Level::Info => Level::Info,
        log::Level::Warn => Level::Warn,
        log::Level::Error => Level::Error,
    }
}

/// Why a plugin is asked for its judgement.
#[must_use]
pub fn trigger_to(trigger: &HealthTrigger) -> health::Trigger {
    match trigger {
        HealthTrigger::Interval => health::Trigger::Interval,
        HealthTrigger::EngineReport(judgement) => health::Trigger::EngineReport(judgement_to(judgement)),
    }
}

fn judgement_to(judgement: &Judgement) -> common::Judgement {
    common::Judgement {
        component: judgement.component.as_ref().map(ToString::to_string),
        check: judgement.check.clone(),
        probe: match judgement.probe {
            Probe::Startup => common::Probe::Startup,
            Probe::Readiness => common::Probe::Readiness,
            Probe::Liveness => common::Probe::Liveness,
        },
        status: match judgement.status {
            Status::Healthy => common::Status::Healthy,
            Status::Degraded => common::Status::Degraded,
            Status::Starting => common::Status::Starting,
            Status::Unhealthy => common::Status::Unhealthy,
        },
        reason: judgement.reason.clone(),
    }
}

/// What a plugin thinks of a component's health; not checked yet.
#[must_use]
pub fn judgement_of(judgement: common::Judgement) -> said::Judgement {
    let common::Judgement { component, check, probe, status, reason } = judgement;
    let probe = match probe {
        common::Probe::Startup => Probe::Startup,
        common::Probe::Readiness => Probe::Readiness,
        common::Probe::Liveness => Probe::Liveness,
    };
    let status = match status {
        common::Status::Starting => Status::Starting,
        common::Status::Healthy => Status::Healthy,
        common::Status::Degraded => Status::Degraded,
        common::Status::Unhealthy => Status::Unhealthy,
    };
    said::Judgement { component, check, probe, status, reason }
}

/// What becomes of a file; not checked yet.
///
/// # Errors
/// As [`files_of`].
pub fn copied_of(contents: &Contents, verdict: config_copy::Verdict) -> Result<said::Copied, Failure> {
    Ok(match verdict {
        config_copy::Verdict::Keep => said::Copied::Keep,
        config_copy::Verdict::Skip => said::Copied::Skip,
        config_copy::Verdict::Replace(files) => said::Copied::Replace(files_of(contents, files)?),
    })
}

/// What a signal means; not checked yet.
#[must_use]
pub fn decision_of(decision: signal::Decision) -> said::Decision {
    match decision {
        signal::Decision::Forward => said::Decision::Forward,
        signal::Decision::Deliver(list) => {
            said::Decision::Deliver(list.into_iter().map(|one| (one.component, one.signal)).collect())
        }
    }
}

/// What is to be rolled out; not checked yet.
///
/// # Errors
/// As [`files_of`], or what is wrong with the plan.
pub fn rollout_of(contents: &Contents, rollout: common::Rollout) -> Result<said::Rollout, Failure> {
    let files = files_of(contents, rollout.files)?;
    documents::rollout(&rollout.plan, files).map_err(Failure::Refused)
}

/// What a plugin says about lines; not checked yet.
#[must_use]
pub fn verdict_of(verdict: log_line::Verdict) -> Verdict {
    match verdict {
        log_line::Verdict::KeepAll => Verdict::KeepAll,
        log_line::Verdict::DropAll => Verdict::DropAll,
        log_line::Verdict::Edit(edit) => Verdict::Edit(Edit {
            drop: edit.drop,
            join: edit.join,
            split: edit.split,
            rewrite: edit.rewrite,
            ends: edit.ends,
            data: edit.data,
            annotate: edit.annotate,
            field_ends: edit.field_ends,
            fields: edit.fields,
            hold: edit.hold,
        }),
    }
}
