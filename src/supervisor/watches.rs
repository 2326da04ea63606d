//! placeholder
use crate::{hooks::Change, plugin::WatchRequest, pod::PluginName, shutdown::Tasks};
use tokio::sync::mpsc;
pub fn forward(_t: &Tasks, _w: mpsc::Receiver<WatchRequest>, _o: mpsc::Sender<(PluginName, Vec<Change>)>) {}
