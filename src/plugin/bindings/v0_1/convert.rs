//! Between version 0.1 of the contract and our own types. Lists are moved, not copied.

use std::mem;

use super::exports::outrigger::pod::{component_event, config_changed, config_copy, health, log_line, plugin, signal};
use super::outrigger::pod::types;
use crate::engine::Output;
use crate::hooks::{Batch, Change, ComponentEvent, ComponentEventKind, File, HealthTrigger, Reaction, Status};
use crate::plugin::answers::lines::{Edit, Verdict};
use crate::plugin::answers::said::{self, FileSaid};
use crate::plugin::host::manifest::{Declared, DeclaredWant};
use crate::plugin::imports::Refusal;
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
            component: batch.component.to_string(),
            output: match batch.output {
                Output::Stdout => log_line::Output::Stdout,
                Output::Stderr => log_line::Output::Stderr,
            },
            first_ns: batch.first_ns,
            after_us: mem::take(&mut batch.after_us),
            ends: mem::take(&mut batch.ends),
            data: mem::take(&mut batch.data),
            field_ends: mem::take(&mut batch.field_ends),
            fields: mem::take(&mut batch.fields),
            final_: batch.is_final,
        };
        Self { batch, wire }
    }
}

impl Drop for LentBatch<'_> {
    fn drop(&mut self) {
        self.batch.after_us = mem::take(&mut self.wire.after_us);
        self.batch.ends = mem::take(&mut self.wire.ends);
        self.batch.data = mem::take(&mut self.wire.data);
        self.batch.field_ends = mem::take(&mut self.wire.field_ends);
        self.batch.fields = mem::take(&mut self.wire.fields);
    }
}

/// A file while a guest sees it, see [`LentBatch`].
pub struct LentFile<'a> {
    file: &'a mut File,
    /// As the guest gets it.
    pub wire: types::File,
}

impl<'a> LentFile<'a> {
    /// Moves the content.
    #[must_use]
    pub fn new(file: &'a mut File) -> Self {
        let wire = types::File {
            component: file.component.to_string(),
            path: file.path.clone(),
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            content: mem::take(&mut file.content),
        };
        Self { file, wire }
    }
}

impl Drop for LentFile<'_> {
    fn drop(&mut self) {
        self.file.content = mem::take(&mut self.wire.content);
    }
}

/// Changed files while a guest sees them, see [`LentBatch`].
pub struct LentChanges<'a> {
    changes: &'a mut [Change],
    /// As the guest gets them.
    pub wire: Vec<config_changed::Change>,
}

impl<'a> LentChanges<'a> {
    /// Moves the contents.
    #[must_use]
    pub fn new(changes: &'a mut [Change]) -> Self {
        let wire = changes.iter_mut().map(|change| config_changed::Change {
            source: change.source.clone(),
            path: change.path.clone(),
            digest: change.digest.clone(),
            content: mem::take(&mut change.content),
            removed: change.removed,
        });
        let wire = wire.collect();
        Self { changes, wire }
    }
}

impl Drop for LentChanges<'_> {
    fn drop(&mut self) {
        for (change, wire) in self.changes.iter_mut().zip(&mut self.wire) {
            change.content = mem::take(&mut wire.content);
        }
    }
}

/// A file that a guest has asked for.
#[must_use]
pub fn file_to(file: File) -> types::File {
    let File { component, path, mode, uid, gid, content } = file;
    types::File { component: component.to_string(), path, mode, uid, gid, content }
}

/// A file as the guest says it; not checked yet.
#[must_use]
pub fn file_of(file: types::File) -> FileSaid {
    let types::File { component, path, mode, uid, gid, content } = file;
    FileSaid { component, path, mode, uid, gid, content }
}

/// What a guest is told of a call that was refused.
#[must_use]
pub fn refusal_to(refusal: Refusal) -> types::HookError {
    match refusal {
        Refusal::Denied(why) => types::HookError::Denied(why),
        Refusal::Failed(why) => types::HookError::Failed(why),
    }
}

/// A guest's own error.
#[must_use]
pub fn failure_of(error: types::HookError) -> Failure {
    match error {
        types::HookError::BadConfig(text) => Failure::Final(format!("reported a wrong configuration: {text}")),
        types::HookError::Denied(text) => Failure::Refused(format!("reported a missing permission: {text}")),
        types::HookError::Retry(ms) => Failure::Retry(ms),
        types::HookError::Failed(text) => Failure::Refused(format!("failed: {text}")),
    }
}

/// Why a plugin is asked for its judgement.
#[must_use]
pub fn trigger_to(trigger: &HealthTrigger) -> health::Trigger {
    match trigger {
        HealthTrigger::Interval => health::Trigger::Interval,
        HealthTrigger::EngineReport(judgement) => health::Trigger::EngineReport(health::Judgement {
            component: judgement.component.as_ref().map(ToString::to_string),
            status: match judgement.status {
                Status::Healthy => health::Status::Healthy,
                Status::Degraded => health::Status::Degraded,
                Status::Starting => health::Status::Starting,
                Status::Unhealthy => health::Status::Unhealthy,
            },
            reason: judgement.reason.clone(),
        }),
    }
}

/// What a plugin thinks of a component's health; not checked yet.
#[must_use]
pub fn judgement_of(judgement: health::Judgement) -> said::Judgement {
    let status = match judgement.status {
        health::Status::Starting => Status::Starting,
        health::Status::Healthy => Status::Healthy,
        health::Status::Degraded => Status::Degraded,
        health::Status::Unhealthy => Status::Unhealthy,
    };
    said::Judgement { component: judgement.component, status, reason: judgement.reason }
}

/// What happened to a component.
#[must_use]
pub fn event_to(event: &ComponentEvent) -> component_event::Event {
    let (kind, exit_code, oom_killed) = match event.kind {
        ComponentEventKind::Created => (component_event::Kind::Created, None, false),
        ComponentEventKind::Started => (component_event::Kind::Started, None, false),
        ComponentEventKind::Exited { exit_code, oom_killed } => {
            (component_event::Kind::Exited, Some(exit_code), oom_killed)
        }
        ComponentEventKind::Restarted => (component_event::Kind::Restarted, None, false),
        ComponentEventKind::Removed => (component_event::Kind::Removed, None, false),
    };
    component_event::Event {
        component: event.component.to_string(),
        kind,
        at_ns: event.at_ns,
        exit_code,
        oom_killed,
        restarts: event.restarts,
    }
}

/// What is done about an exit.
#[must_use]
pub fn reaction_of(reaction: component_event::Reaction) -> Reaction {
    match reaction {
        component_event::Reaction::AsPlanned => Reaction::AsPlanned,
        component_event::Reaction::Restart(after) => Reaction::Restart(after),
        component_event::Reaction::StopPod => Reaction::StopPod,
        component_event::Reaction::Ignore => Reaction::Ignore,
    }
}

/// What becomes of a file; not checked yet.
#[must_use]
pub fn copied_of(verdict: config_copy::Verdict) -> said::Copied {
    match verdict {
        config_copy::Verdict::Keep => said::Copied::Keep,
        config_copy::Verdict::Skip => said::Copied::Skip,
        config_copy::Verdict::Replace(files) => said::Copied::Replace(files.into_iter().map(file_of).collect()),
    }
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
#[must_use]
pub fn rollout_of(rollout: config_changed::Rollout) -> said::Rollout {
    said::Rollout {
        summary: rollout.summary,
        files: rollout.files.into_iter().map(file_of).collect(),
        remove: rollout.remove,
        validate: rollout.validate.into_iter().map(command_of).collect(),
        apply: rollout.apply.into_iter().map(action_of).collect(),
        verify: rollout.verify.into_iter().map(command_of).collect(),
        healthy_for_ms: rollout.healthy_for_ms,
    }
}

fn command_of(command: config_changed::Command) -> said::Command {
    said::Command { component: command.component, argv: command.argv, timeout_ms: command.timeout_ms }
}

fn action_of(action: config_changed::Action) -> said::Action {
    match action {
        config_changed::Action::Signal((component, signal)) => said::Action::Signal(component, signal),
        config_changed::Action::Run(command) => said::Action::Run(command_of(command)),
        config_changed::Action::Restart(component) => said::Action::Restart(component),
    }
}

/// What a plugin says about lines; not checked yet.
#[must_use]
pub fn verdict_of(verdict: log_line::Verdict) -> Verdict {
    match verdict {
        log_line::Verdict::KeepAll => Verdict::KeepAll,
        log_line::Verdict::DropAll => Verdict::DropAll,
        log_line::Verdict::Edit(edit) => Verdict::Edit(Edit {
            drop: edit.drop,
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

/// What a plugin says of itself; not checked yet.
#[must_use]
pub fn manifest_of(manifest: plugin::Manifest) -> Declared {
    Declared {
        name: manifest.name,
        version: manifest.version,
        summary: manifest.summary,
        config_schema: manifest.config_schema,
        wants: manifest.wants.into_iter().map(want_of).collect(),
    }
}

/// What a plugin would use; not checked yet.
#[must_use]
pub fn want_of(want: plugin::Want) -> DeclaredWant {
    DeclaredWant { capability: want.capability, scope: want.scope, reason: want.reason, required: want.required }
}
