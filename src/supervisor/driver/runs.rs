//! Runs of components: the tasks beside a process begin and end with it.

use tokio_util::sync::CancellationToken;

use super::Driver;
use crate::engine::Engine;
use crate::hooks::{ComponentEventKind, Hooks};
use crate::pod::ComponentName;
use crate::supervisor::lifecycle;

impl<E: Engine, H: Hooks> Driver<E, H> {
    /// Begins to look at a run and to follow its output, and reports it to plugins.
    pub(super) fn run_began(&mut self, name: &ComponentName, run: u64) {
        let restarts = self.restarts(name);
        let kind = if restarts == 0 { ComponentEventKind::Started } else { ComponentEventKind::Restarted };
        let over = CancellationToken::new();
        self.runs.insert(name.clone(), over.clone());
        lifecycle::look_early(&self.shared, &self.tasks, name, run, over);
        self.tell_now(name, kind);
        self.outputs.follow(&self.shared, name);
    }

    /// Ends the tasks beside a run. Its output is still read to the end.
    pub(super) fn run_ended(&mut self, name: &ComponentName) {
        if let Some(over) = self.runs.remove(name) {
            over.cancel();
        }
        self.outputs.ended(name);
    }

    /// Cancelled when the process that now runs as this component has ended.
    pub(super) fn run_of(&self, name: &ComponentName) -> CancellationToken {
        self.runs.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn restarts(&self, name: &ComponentName) -> u32 {
        self.pod.nodes().find(|(other, _)| *other == name).map_or(0, |(_, node)| node.restarts)
    }
}
