//! What a store holds beside the guest: its grants, its limits, its part of WASI.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::plugin::imports::contents::Contents;
use crate::plugin::imports::grants::Granter;
use crate::plugin::imports::keys::Keys;
use crate::plugin::imports::logging::{LastWords, LogPipe};
use crate::plugin::imports::metrics::Metrics;
use crate::plugin::imports::place::Place;
use crate::plugin::imports::wasi::{Gate, Wasi};
use crate::plugin::instance::clock::{Clock, Meter, Pause};
use crate::plugin::{PodLink, WatchRequest};

/// Bytes that a guest may hand to the host in one call, lists and strings together: a batch, or the largest file.
const HANDED_OVER: usize = 16 << 20;

/// Handles that a guest may hold at once.
const HANDLES: usize = 1024;

/// Things of the host that a guest's handles may refer to.
const TABLE: usize = 1024;

/// Function table entries in all tables of a store together.
const TABLE_ELEMENTS: usize = 200_000;

/// Module instances, tables and memories of a store: Python's components are made of some thirty modules.
const PARTS: usize = 200;

/// What all instances of one plugin share.
#[derive(Debug)]
pub struct Shared {
    /// Decides about every call to the host.
    pub granter: Arc<Granter>,
    /// Where they are called.
    pub place: Place,
    /// The way to the pod; none while a plugin is only looked at.
    pub link: Option<PodLink>,
    /// Its key-value store.
    pub keys: Keys,
    /// Where its metrics go.
    pub metrics: Metrics,
    /// What its instances asked to have watched; kept so that none is asked for twice.
    pub watches: Mutex<Vec<WatchRequest>>,
    /// Whether a dropped metric has been logged.
    pub dropped_metrics: AtomicBool,
    /// Files of the last report that the plugin put off.
    pub put_off: Mutex<Vec<String>>,
}

impl Shared {
    /// Whether this is the first dropped metric.
    pub fn say_once(&self) -> bool {
        !self.dropped_metrics.swap(true, Ordering::Relaxed)
    }

    /// Files of the last report that the plugin put off; from now on there are none.
    pub fn take_put_off(&self) -> Vec<String> {
        std::mem::take(&mut *self.put_off.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a watch; answers whether it is new, or none if the plugin has `most` already.
    pub fn note_watch(&self, request: &WatchRequest, most: usize) -> Option<bool> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if watches.contains(request) {
            return Some(false);
        }
        if watches.len() >= most {
            return None;
        }
        watches.push(request.clone());
        Some(true)
    }
}

/// What the guest is being asked, and therefore what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `describe`, and anything that runs before it.
    Describe,
    /// `configure` while it is not known yet what will be granted.
    Trial,
    /// `configure`: watches may be added.
    Configure,
    /// Hooks: whatever is granted.
    Running,
}

/// A store's data.
pub struct Guest {
    /// Of the plugin.
    pub shared: Arc<Shared>,
    /// What it is being asked.
    pub phase: Phase,
    /// How much memory it has taken.
    pub limits: Limits,
    /// Handles.
    pub table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    gate: Gate,
    /// What it wrote to its standard error in this call.
    pub last_words: LastWords,
    /// Its own log lines.
    pub log: LogPipe,
    /// The contents of the running call.
    pub contents: Contents,
    running: Arc<AtomicBool>,
    /// Stops the wall clock of the call, in hooks that may wait.
    pub pause: Arc<Pause>,
    /// Whether the hook that is being called may wait.
    pub is_patient: bool,
}

impl Guest {
    /// Puts a store together: nothing in it is unlimited.
    pub fn store(
        engine: &wasmtime::Engine,
        clock: &Arc<Clock>,
        shared: Arc<Shared>,
        memory: usize,
        wasi: Wasi,
    ) -> (Store<Self>, Arc<Meter>) {
        let mut table = ResourceTable::new();
        table.set_max_capacity(TABLE);
        let guest = Self {
            shared,
            phase: Phase::Describe,
            limits: Limits::new(memory),
            table,
            wasi: wasi.ctx,
            http: WasiHttpCtx::new(),
            gate: wasi.gate,
            last_words: wasi.last_words,
            log: wasi.log,
            contents: Contents::default(),
            running: wasi.running,
            pause: Arc::default(),
            is_patient: false,
        };
        let pause = Arc::clone(&guest.pause);
        let mut store = Store::new(engine, guest);
        store.limiter(|guest| &mut guest.limits);
        store.set_hostcall_fuel(HANDED_OVER);
        store.set_max_component_handles(HANDLES);
        let meter = Meter::install(&mut store, clock, pause);
        (store, meter)
    }

    /// Sets what the guest may do from now on.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.running.store(phase == Phase::Running, Ordering::Relaxed);
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.gate, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Counts a store's memories and tables together and refuses what goes beyond.
#[derive(Debug)]
pub struct Limits {
    memory: usize,
    in_use: usize,
    elements: usize,
    refused: bool,
}

impl Limits {
    fn new(memory: usize) -> Self {
        Self { memory, in_use: 0, elements: 0, refused: false }
    }

    /// Whether so much is in use that the next growth may be refused.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.in_use > self.memory / 8 * 7
    }

    /// The limit in bytes, where the guest has been refused memory.
    #[must_use]
    pub fn exhausted(&self) -> Option<usize> {
        self.refused.then_some(self.memory)
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.in_use.saturating_sub(current).saturating_add(desired);
        if total > self.memory {
            self.refused = true;
            return Ok(false);
        }
        self.in_use = total;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.elements.saturating_sub(current).saturating_add(desired);
        let allowed = total <= TABLE_ELEMENTS;
        if allowed {
            self.elements = total;
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        PARTS
    }

    fn tables(&self) -> usize {
        PARTS
    }

    fn memories(&self) -> usize {
        PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_count_together() {
        let mut limits = Limits::new(300);
        assert!(limits.memory_growing(0, 100, None).unwrap());
        assert!(!limits.is_nearly_full());
        assert!(limits.memory_growing(0, 100, None).unwrap());
        assert!(limits.memory_growing(100, 200, None).unwrap());
        assert_eq!((limits.exhausted(), limits.is_nearly_full()), (None, true));
        assert!(!limits.memory_growing(100, 101, None).unwrap());
        assert_eq!(limits.exhausted(), Some(300));
    }
}
