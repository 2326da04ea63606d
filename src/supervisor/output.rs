//! The components' output: one task for each run of a component, each going on where the run before it ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::engine::Engine;
use crate::hooks::Hooks;
use crate::logs::counters::{Counters, Counts};
use crate::logs::position::Position;
use crate::logs::sink::Sink;
use crate::logs::{LogFailure, Run, Source, stream};
use crate::pod::ComponentName;
use crate::shutdown::Tasks;
use crate::supervisor::events::Event;
use crate::supervisor::shared::Shared;

/// For tasks to end after they were told that nobody waits any longer.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What is known of a component's output.
#[derive(Debug, Default)]
struct Output {
    counters: Arc<Counters>,
    /// Where the last run ended. Locked for the length of a run: the next one waits until the last line of the one before is through.
    position: Arc<tokio::sync::Mutex<Position>>,
    /// Cancelled when the current run's process has ended.
    ended: CancellationToken,
    /// The number of runs so far.
    runs: u32,
}

/// The output of all components. Clones share it.
#[derive(Debug, Clone)]
pub struct Outputs {
    sink: Sink,
    tasks: Tasks,
    all: Arc<Mutex<HashMap<ComponentName, Output>>>,
}

impl Outputs {
    /// Lines go to this sink.
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        Self { sink, tasks: Tasks::new(), all: Arc::default() }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ComponentName, Output>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the run of a component that has just been started.
    pub fn follow<E: Engine, H: Hooks>(&self, shared: &Arc<Shared<E, H>>, name: &ComponentName) {
        let Some((container, planned)) = shared.container(name).zip(shared.planned(name)) else { return };
        let ended = CancellationToken::new();
        let (counters, position, run) = {
            let mut all = self.all();
            let output = all.entry(name.clone()).or_default();
            output.ended = ended.clone();
            output.runs = output.runs.saturating_add(1);
            (Arc::clone(&output.counters), Arc::clone(&output.position), output.runs)
        };
        let source = Source { component: name.clone(), id: container.id, run, terminal: planned.container.tty };
        let (shared, sink) = (Arc::clone(shared), self.sink.clone());
        self.tasks.spawn("output", move |token| async move {
            let mut position = position.lock().await;
            let run = Run {
                source,
                position: *position,
                output: shared.settings.logs,
                counters,
                drain: shared.settings.timeouts.log_drain,
                ended,
                token,
                engine_leaves: shared.engine_leaves.clone(),
            };
            match stream(shared.engine.clone(), shared.hooks.clone(), run, sink).await {
                Ok(end) => *position = end,
                Err(LogFailure::Hook { component, source }) => {
                    debug!(%component, "the controller no longer follows the output");
                    shared.tell(Event::PluginFailed(source)).await;
                }
            }
        });
    }

    /// Tells the run of a component that its process has ended: what it has written is read to the end.
    pub fn ended(&self, name: &ComponentName) {
        if let Some(output) = self.all().get(name) {
            output.ended.cancel();
        }
    }

    /// Waits until the output of a component's last run is through: what its next run writes must not be taken for it.
    pub async fn idle(&self, name: &ComponentName) {
        let position = self.all().get(name).map(|output| Arc::clone(&output.position));
        if let Some(position) = position {
            drop(position.lock().await);
        }
    }

    /// Waits until all output is through, at most `limit`.
    pub async fn drain(&self, limit: Duration) {
        for output in self.all().values() {
            output.ended.cancel();
        }
        if !self.tasks.wait(limit).await {
            self.tasks.cancel();
            self.tasks.wait(LAST_WORDS).await;
        }
    }

    /// The same where the engine shuts down, which ends no stream: answers of how many components the end was not seen.
    pub async fn cut(&self, limit: Duration) -> usize {
        for output in self.all().values() {
            output.ended.cancel();
        }
        let cut = self.tasks.left_after(limit).await;
        self.tasks.cancel();
        self.tasks.wait(LAST_WORDS).await;
        cut
    }

    /// The last lines of a component, as plugins left them; empty where its output was not followed.
    #[must_use]
    pub fn last(&self, name: &ComponentName, lines: usize) -> Vec<String> {
        self.all().get(name).map(|output| output.counters.last(lines)).unwrap_or_default()
    }

    /// What is missing in the output of all components, in words; none if nothing is. `unread`: whether output that was not read counts, or dropped lines only.
    #[must_use]
    pub fn missing(&self, unread: bool) -> Option<String> {
        let mut all: Vec<_> = self
            .counts()
            .iter()
            .filter_map(|(name, counts)| Some(format!("`{name}`: {}", counts.missing(unread)?)))
            .collect();
        all.sort();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Lines of all components so far.
    #[must_use]
    pub fn counts(&self) -> Vec<(ComponentName, Counts)> {
        let mut all: Vec<_> =
            self.all().iter().map(|(name, output)| (name.clone(), output.counters.counts())).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}
