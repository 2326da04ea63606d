//! Between version 0.1 of the contract and our own types. Lists are moved, not copied.

use std::mem;

use super::exports::outrigger::pod::{component_event, config_changed, health, log_line, plugin};
use super::outrigger::pod::types;
use crate::engine::Output;
use crate::hooks::{Batch, Change, ComponentEvent, ComponentEventKind, File, HealthTrigger, Status};
use crate::plugin::lines::{Edit, Verdict};
use crate::plugin::manifest::{Declared, DeclaredWant};
use crate::pod::ComponentName;

/// The file in our own words.
///
/// # Errors
/// What is wrong with it: its component's name, its path or its mode.
pub fn file_of(file: types::File) -> Result<File, String> {
    let component = ComponentName::new(&file.component).map_err(|error| error.to_string())?;
    if !crate::plugin::grants::plain_path(&file.path) || file.path.ends_with('/') {
        return Err(format!("`{}` is not an absolute path without `.` and `..`", file.path));
    }
    if file.mode > 0o7777 {
        return Err(format!("mode {:#o} of `{}` has more than permission bits", file.mode, file.path));
    }
    Ok(File { component, path: file.path, mode: file.mode, uid: file.uid, gid: file.gid, content: file.content })
}

/// The file as a guest gets it.
#[must_use]
pub fn file_to(file: File) -> types::File {
    types::File {
        component: file.component.to_string(),
        path: file.path,
        mode: file.mode,
        uid: file.uid,
        gid: file.gid,
        content: file.content,
    }
}

/// Moves a batch to where plugins can see it; its lists are not copied.
#[must_use]
pub fn batch_to(batch: &mut Batch) -> log_line::Batch {
    log_line::Batch {
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
    }
}

/// Moves the lists back.
pub fn batch_from(batch: &mut Batch, lent: log_line::Batch) {
    batch.after_us = lent.after_us;
    batch.ends = lent.ends;
    batch.data = lent.data;
    batch.field_ends = lent.field_ends;
    batch.fields = lent.fields;
}

/// Why a plugin is asked for its judgement.
#[must_use]
pub fn trigger_to(trigger: HealthTrigger) -> health::Trigger {
    match trigger {
        HealthTrigger::Interval => health::Trigger::Interval,
        HealthTrigger::EngineReport(judgement) => health::Trigger::EngineReport(health::Judgement {
            component: judgement.component.map(|component| component.to_string()),
            status: match judgement.status {
                Status::Healthy => health::Status::Healthy,
                Status::Degraded => health::Status::Degraded,
                Status::Starting => health::Status::Starting,
                Status::Unhealthy => health::Status::Unhealthy,
            },
            reason: judgement.reason,
        }),
    }
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

/// A changed file.
#[must_use]
pub fn change_to(change: Change) -> config_changed::Change {
    config_changed::Change {
        source: change.source,
        path: change.path,
        digest: change.digest,
        content: change.content,
        removed: change.removed,
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
