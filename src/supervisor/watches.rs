//! From what plugins want to have watched to what the watcher watches.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::hooks::Change;
use crate::plan::compile::OwnFiles;
use crate::plugin::WatchRequest;
use crate::pod::PluginName;
use crate::shutdown::Tasks;
use crate::watch::{self, Spec, Tell};

/// Watches on their way to the watcher; when full, the asking plugin waits.
const SPECS_IN_FLIGHT: usize = 16;

/// Starts the watcher, which tells each plugin's changes in `changes`, and passes every request on to it: those known already, and those to come.
pub fn forward(
    tasks: &Tasks,
    known: Vec<WatchRequest>,
    mut requests: mpsc::Receiver<WatchRequest>,
    changes: mpsc::Sender<(PluginName, Vec<Change>)>,
    files: OwnFiles,
    tell: Tell,
) {
    let (specs, specs_out) = mpsc::channel(SPECS_IN_FLIGHT);
    // What a plugin is told of may go on to components: what those don't get is not read, whatever was granted.
    let judge = Arc::new(move |path: &str| files.withheld(path).map(|(what, _)| what));
    watch::spawn(tasks, specs_out, changes, judge, tell);
    tasks.spawn("watch requests", move |token| async move {
        for WatchRequest { plugin, source, debounce, max_delay } in known {
            if specs.send((plugin, Spec { source, debounce, max_delay })).await.is_err() {
                return;
            }
        }
        loop {
            let request = tokio::select! {
                biased;
                () = token.cancelled() => return,
                request = requests.recv() => request,
            };
            let Some(WatchRequest { plugin, source, debounce, max_delay }) = request else { return };
            if specs.send((plugin, Spec { source, debounce, max_delay })).await.is_err() {
                return;
            }
        }
    });
}
