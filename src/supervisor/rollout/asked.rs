//! Rollouts that plugins begin by themselves.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::hooks::Rollout;
use crate::pod::PluginName;

/// Most rollouts of one plugin that wait.
const MOST: usize = 4;

/// A rollout that waits.
#[derive(Debug)]
pub struct Order {
    /// Whose.
    pub plugin: PluginName,
    /// By which the plugin knows it again.
    pub id: String,
    /// The rollout.
    pub rollout: Rollout,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub struct Asked {
    // Short sections without any await: a plain mutex is right.
    state: Mutex<State>,
    came: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Order>,
    last: u64,
}

impl Asked {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a rollout. Answers its id.
    ///
    /// # Errors
    /// If too many of the plugin wait already.
    pub fn add(&self, plugin: &PluginName, rollout: Rollout) -> Result<String, String> {
        let mut state = self.state();
        if state.waiting.iter().filter(|order| order.plugin == *plugin).count() >= MOST {
            return Err(format!("{MOST} rollouts of the plugin wait already"));
        }
        state.last += 1;
        let id = state.last.to_string();
        state.waiting.push_back(Order { plugin: plugin.clone(), id: id.clone(), rollout });
        self.came.notify_one();
        Ok(id)
    }

    /// The oldest one. Cancel safety: nothing is lost.
    pub async fn next(&self) -> Order {
        loop {
            let came = self.came.notified();
            if let Some(order) = self.state().waiting.pop_front() {
                return order;
            }
            came.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_come_in_order_and_each_plugin_may_have_a_few() {
        let (asked, one) = (Asked::default(), PluginName::new("one").unwrap());
        let other = PluginName::new("other").unwrap();
        let rollout = || Rollout {
            summary: String::new(),
            files: Vec::new(),
            remove: Vec::new(),
            validate: Vec::new(),
            apply: Vec::new(),
            verify: Vec::new(),
            healthy_for_ms: 0,
        };
        let ids: Vec<_> = (0..MOST).map(|_| asked.add(&one, rollout()).unwrap()).collect();
        assert_eq!(asked.add(&one, rollout()).unwrap_err(), "4 rollouts of the plugin wait already");
        let last = asked.add(&other, rollout()).unwrap();
        for id in ids.iter().chain([&last]) {
            assert_eq!(asked.next().await.id, *id);
        }
        tokio::select! {
            biased;
            _ = asked.next() => panic!("nothing waits"),
            () = tokio::task::yield_now() => {}
        }
        asked.add(&one, rollout()).unwrap();
        assert_eq!(asked.next().await.plugin, one);
    }
}
