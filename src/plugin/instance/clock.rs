//! Time for guests: the epoch ticker, the CPU budget of one call, and its wall deadline.
//!
//! Guest code looks at the engine's epoch at every loop and call. The ticker moves it every [`TICK`]; a guest that runs then yields to the runtime, and is
//! interrupted once its budget is used up. Nothing is armed for a call that ends at its first poll: no timer, no look at the clock.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::thread::Thread;
use std::time::Duration;

use tokio::time::Instant;
use wasmtime::{Engine, Store, UpdateDeadline};

/// How often a running guest gives way to the rest of the controller, and the grain of CPU budgets.
pub const TICK: Duration = Duration::from_millis(10);

/// The ticker sleeps after so many ticks without a guest, so that an idle pod costs no wake-ups.
const IDLE_TICKS: u64 = 100;

/// How long the sleeping ticker may overlook that its engine is gone.
const NAP: Duration = Duration::from_secs(60);

/// The ticker's stack: it calls nothing deep.
const STACK: usize = 64 * 1024;

/// Counts ticks and moves the engine's epoch with them.
#[derive(Debug, Default)]
pub struct Clock {
    ticks: AtomicU64,
    touched: AtomicU64,
    napping: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Clock {
    /// Starts the ticker; it ends when the engine is gone.
    ///
    /// # Errors
    /// Where no thread can be made.
    pub fn start(engine: &Engine) -> std::io::Result<Arc<Self>> {
        let clock = Arc::new(Self::default());
        let (engine, ticker) = (engine.weak(), Arc::clone(&clock));
        let work = move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                ticker.ticks.fetch_add(1, Ordering::SeqCst);
                ticker.rest();
            }
        };
        let handle = std::thread::Builder::new().name("epochs".to_owned()).stack_size(STACK).spawn(work)?;
        clock.thread.get_or_init(|| handle.thread().clone());
        Ok(clock)
    }

    #[expect(clippy::disallowed_methods, reason = "the ticker's own thread, not the runtime's")]
    fn rest(&self) {
        if !self.idle() {
            std::thread::sleep(TICK);
            return;
        }
        // In this order: whoever touches the clock after the flag is up wakes the ticker, who touched it before is seen by the second look.
        self.napping.store(true, Ordering::SeqCst);
        if self.idle() {
            std::thread::park_timeout(NAP);
        }
        self.napping.store(false, Ordering::SeqCst);
    }

    fn idle(&self) -> bool {
        self.now().saturating_sub(self.touched.load(Ordering::SeqCst)) > IDLE_TICKS
    }

    fn now(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst)
    }

    /// Says that a guest is about to run.
    fn touch(&self) -> u64 {
        let now = self.now();
        self.touched.store(now, Ordering::SeqCst);
        if self.napping.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
        now
    }
}

/// How long one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Time in which the guest itself computes, in steps of [`TICK`].
    pub cpu: Duration,
    /// Time altogether.
    pub wall: Duration,
}

/// How a call overran its [`Budget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overrun {
    /// It computed for too long.
    #[error("exceeded its CPU time limit of {} ms", .0.as_millis())]
    Cpu(Duration),
    /// It waited for too long.
    #[error("exceeded its time limit of {} ms", .0.as_millis())]
    Wall(Duration),
}

/// Stops the wall clock of a call while the guest waits for something that is not its own doing: an engine that does not answer.
#[derive(Debug, Default)]
pub struct Pause(AtomicUsize);

impl Pause {
    /// From now on, until the answer is dropped.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Paused {
        self.0.fetch_add(1, Ordering::Relaxed);
        Paused(Arc::clone(self))
    }

    fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// See [`Pause::begin`].
#[derive(Debug)]
pub struct Paused(Arc<Pause>);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a store's guest has used of its CPU budget.
#[derive(Debug)]
pub struct Meter {
    clock: Arc<Clock>,
    pause: Arc<Pause>,
    used: AtomicU64,
    since: AtomicU64,
    limit: AtomicU64,
    out_of_budget: AtomicBool,
}

impl Meter {
    /// Makes the store's guests give way at every tick and end when their budget is used up. Their wall clock stands during a `pause`.
    pub fn install<T: 'static>(store: &mut Store<T>, clock: &Arc<Clock>, pause: Arc<Pause>) -> Arc<Self> {
        let meter = Arc::new(Self {
            clock: Arc::clone(clock),
            pause,
            used: AtomicU64::new(0),
            since: AtomicU64::new(0),
            limit: AtomicU64::new(0),
            out_of_budget: AtomicBool::new(false),
        });
        let seen = Arc::clone(&meter);
        store.epoch_deadline_callback(move |_| {
            if seen.spent() >= seen.limit.load(Ordering::Relaxed) {
                seen.out_of_budget.store(true, Ordering::Relaxed);
                return Ok(UpdateDeadline::Interrupt);
            }
            // Tokio's own yield, not wasmtime's: it lets the runtime look at timers and sockets, too.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        meter
    }

    fn spent(&self) -> u64 {
        let slice = self.clock.now().saturating_sub(self.since.load(Ordering::Relaxed));
        self.used.load(Ordering::Relaxed) + slice
    }

    /// Runs one call within its budget. The store's epoch deadline must be one tick ahead.
    ///
    /// # Errors
    /// [`Overrun`]; the call has then been dropped or has trapped, and its store is of no use any more.
    pub async fn run<T>(
        &self,
        budget: Budget,
        call: impl Future<Output = wasmtime::Result<T>>,
    ) -> Result<wasmtime::Result<T>, Overrun> {
        let ticks = budget.cpu.as_millis().div_ceil(TICK.as_millis()).max(1);
        self.limit.store(u64::try_from(ticks).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.used.store(0, Ordering::Relaxed);
        let mut call = pin!(call);
        let mut deadline = None;
        let mut paused_at: Option<Instant> = None;
        let ended = poll_fn(|cx| {
            self.since.store(self.clock.touch(), Ordering::Relaxed);
            let polled = call.as_mut().poll(cx);
            self.used.store(self.spent(), Ordering::Relaxed);
            if let Poll::Ready(value) = polled {
                return Poll::Ready(Some(value));
            }
            // Only a call that waits, or that gave way, pays for a timer.
            let deadline = deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(budget.wall)));
            match (self.pause.is_on(), paused_at) {
                (true, None) => paused_at = Some(Instant::now()),
                (false, Some(since)) => {
                    let later = deadline.deadline() + since.elapsed();
                    deadline.as_mut().reset(later);
                    paused_at = None;
                }
                (true, Some(_)) | (false, None) => {}
            }
            // What ends the pause wakes the call.
            if paused_at.is_some() { Poll::Pending } else { deadline.as_mut().poll(cx).map(|()| None) }
        })
        .await;
        match ended {
            None => Err(Overrun::Wall(budget.wall)),
            Some(Err(_)) if self.out_of_budget.swap(false, Ordering::Relaxed) => Err(Overrun::Cpu(budget.cpu)),
            Some(value) => Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a call with a wall limit of one second answers that pauses for `paused` and then takes `own`.
    async fn timed(paused: u64, own: u64) -> Result<(), Overrun> {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let (clock, pause) = (Clock::start(&engine).unwrap(), Arc::new(Pause::default()));
        let meter = Meter::install(&mut Store::new(&engine, ()), &clock, Arc::clone(&pause));
        let call = async {
            for _ in 0..2 {
                let paused_now = pause.begin();
                tokio::time::sleep(Duration::from_secs(paused)).await;
                drop(paused_now);
                tokio::time::sleep(Duration::from_millis(own / 2)).await;
            }
            Ok(())
        };
        let budget = Budget { cpu: Duration::from_secs(1), wall: Duration::from_secs(1) };
        meter.run(budget, call).await.map(|done| done.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_stands_during_a_pause() {
        assert_eq!(timed(600, 900).await, Ok(()));
        assert_eq!(timed(600, 1100).await, Err(Overrun::Wall(Duration::from_secs(1))));
        assert_eq!(timed(0, 1100).await, Err(Overrun::Wall(Duration::from_secs(1))));
    }

    #[test]
    fn the_ticker_naps_when_no_guest_runs_and_wakes_for_the_next() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        let clock = Clock::start(&engine).unwrap();
        while !clock.napping.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let before = clock.touch();
        while clock.now() < before + 3 {
            std::thread::yield_now();
        }
        assert!(!clock.idle());
    }
}
