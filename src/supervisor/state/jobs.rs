//! What the end of a job means: `role: job`.

use super::Pod;
use crate::pod::ComponentName;
use crate::pod::life::Role;
use crate::supervisor::events::Action;

impl Pod {
    /// A job has ended for good. Once all have, the pod ends with the first one that failed, else with this one.
    pub(super) fn job_ended(&mut self, name: &ComponentName, actions: &mut Vec<Action>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        node.gone_without = true;
        let failed = node.failed();
        node.completed = !failed;
        if failed {
            self.failed_jobs.push(name.clone());
        }
        if self.nodes.values().all(|node| node.role != Role::Job || node.over()) {
            let decider = self.failed_jobs.first().unwrap_or(name).clone();
            return self.end_with(&decider, actions);
        }
        if failed {
            actions.push(Action::Warn(format!(
                "component `{name}`: the job has failed; the pod ends when all jobs have ended"
            )));
        }
        self.advance(actions);
    }
}
