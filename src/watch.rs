//! Watches files and directories of the controller, and tells what really changed.
//!
//! inotify says that something may have changed; a look at the path, put off until there is quiet, says what did: only files whose SHA-256 is another
//! than before are told. The directories of all entries that decide what a path names are listened to, not the files alone, so that renaming into
//! place, symbolic links that are flipped, and deleting and making again are seen. A look every ten seconds catches what inotify can't:
//! files bound from elsewhere, network file systems, too few inotify watches.
//!
//! Symbolic links are followed to files, but never out of the watched directory (for a file: out of the directory that it lies in). Entries whose name begins
//! with `..` are passed over (`..data`, the machinery of atomic updates); only directories behind such names are entered through links. Copies of directories
//! have the same rules: see [`crate::files::tree`].
//! Nothing runs before the first watch.

mod debounce;
mod scan;
mod trail;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::StreamExt as _;
use inotify::{EventMask, EventOwned, EventStream, Inotify};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};
use tracing::warn;

use self::debounce::Debounce;
use self::scan::{Files, Scan, Subscription};
use crate::files::Mounted;
use crate::hooks::{Change, limits};
use crate::shutdown::Tasks;

/// How often everything is looked at without being asked to.
const POLL: Duration = Duration::from_secs(10);

/// What [`Spec::debounce`] may be; less or more counts as this.
const DEBOUNCE: (Duration, Duration) =
    (Duration::from_millis(limits::DEBOUNCE_MS.0 as u64), Duration::from_millis(limits::DEBOUNCE_MS.1 as u64));

/// Bytes of inotify events that are read at once: some dozens. What is not read is queued by the kernel, and an overflow makes everything be looked at.
const EVENT_BYTES: usize = 4096;

/// What is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// A file, or a directory with what is below it. It need not exist yet.
    pub source: String,
    /// Quiet time after a change before it is told: 10 ms to 60 s.
    pub debounce: Duration,
    /// Longest time that further changes may put it off; at least `debounce`.
    pub max_delay: Duration,
}

/// Why a file, by its real path, is not to be read; none where it is.
pub type Judge = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What is to be known of a file that is a mount of its own.
pub const SINGLE_FILE: &str = "this is a mount of a single file: if an editor or a tool replaces the file on the host by a rename, the change is not visible in the container; mount the directory of the file instead";

/// The same, once it has happened.
const REPLACED: &str = "the file was replaced or removed on the host, but the mount of this single file still has the old content, and further changes are not visible; mount the directory of the file instead, and restart the pod";

/// Once the directory behind a mount is another.
const MOVED: &str = "the directory that is mounted here was renamed or removed on the host, and the mount still shows that directory, so changes at its old path are not visible; restart the pod, and mount the parent directory to avoid this";

/// Is given what the operator should know of a watch.
pub type Tell = Arc<dyn Fn(String) + Send + Sync>;

/// Starts watching whatever arrives in `specs`, at any time, and tells of changes in `out`, with the key that the watch came with.
///
/// The first report of a watch, without delay, is what is there already; where that is nothing, there is none. A report of more than 8 MiB comes in
/// parts. A file that `judge` withholds is left out, and never read. `tell` is given once what can't be seen of a file that is a mount of its own. While `out` is full nothing is looked at, and later reports tell the newest content only. Ends with `out` or with the tasks.
pub fn spawn<K: Clone + Send + 'static>(
    tasks: &Tasks,
    specs: mpsc::Receiver<(K, Spec)>,
    out: mpsc::Sender<(K, Vec<Change>)>,
    judge: Judge,
    tell: Tell,
) {
    tasks.spawn("watch", |token| async move {
        tokio::select! {
            biased;
            () = token.cancelled() => {}
            () = out.closed() => {}
            () = serve(specs, out.clone(), judge, tell) => {}
        }
    });
}

async fn serve<K: Clone + Send + 'static>(
    mut specs: mpsc::Receiver<(K, Spec)>,
    out: mpsc::Sender<(K, Vec<Change>)>,
    judge: Judge,
    tell: Tell,
) {
    let Some((key, spec)) = specs.recv().await else { return };
    let mut watcher = Watcher { ears: Ears::open(), watches: Vec::new(), out, judge, tell };
    let mut poll = interval_at(Instant::now() + POLL, POLL);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut more_specs = true;
    watcher.add(key, spec).await;
    loop {
        let due = watcher.watches.iter().filter_map(|watch| watch.debounce.due()).min();
        tokio::select! {
            spec = specs.recv(), if more_specs => match spec {
                Some((key, spec)) => watcher.add(key, spec).await,
                None => more_specs = false,
            },
            event = watcher.ears.next() => watcher.hear(event.as_ref()),
            () = async { if let Some(due) = due { sleep_until(due).await } }, if due.is_some() => watcher.tell_due().await,
            _ = poll.tick() => watcher.poll().await,
        }
    }
}

struct Watcher<K> {
    ears: Ears,
    watches: Vec<Watch<K>>,
    out: mpsc::Sender<(K, Vec<Change>)>,
    judge: Judge,
    tell: Tell,
}

struct Watch<K> {
    key: K,
    source: Arc<str>,
    debounce: Debounce,
    files: Arc<Files>,
    subscriptions: Vec<Subscription>,
    /// What was said to be left out.
    left_out: BTreeSet<PathBuf>,
    /// Of mounts of single files: what was said of each.
    singles: BTreeMap<PathBuf, bool>,
    /// The directory mount that held the path at first.
    mount: Option<Mounted>,
    /// Whether it was said that the directory behind the mount is another.
    moved: bool,
}

impl<K: Clone + Send + 'static> Watcher<K> {
    async fn add(&mut self, key: K, spec: Spec) {
        let (least, most) = DEBOUNCE;
        self.watches.push(Watch {
            key,
            source: spec.source.into(),
            debounce: Debounce::new(spec.debounce.clamp(least, most), spec.max_delay),
            files: Arc::default(),
            subscriptions: Vec::new(),
            left_out: BTreeSet::new(),
            singles: BTreeMap::new(),
            mount: None,
            moved: false,
        });
        self.tell(self.watches.len() - 1).await;
    }

    /// Notes for which watches something may have changed.
    fn hear(&mut self, event: Option<&EventOwned>) {
        let now = Instant::now();
        for watch in &mut self.watches {
            let concerned = event.is_none_or(|event| {
                event.mask.contains(EventMask::Q_OVERFLOW)
                    || watch.subscriptions.iter().any(|(wd, name)| {
                        *wd == event.wd && (name.is_none() || event.name.is_none() || *name == event.name)
                    })
            });
            if concerned {
                watch.debounce.touch(now);
            }
        }
    }

    async fn tell_due(&mut self) {
        for index in 0..self.watches.len() {
            if self.watches.get_mut(index).is_some_and(|watch| watch.debounce.fire(Instant::now())) {
                self.tell(index).await;
            }
        }
    }

    /// Looks for what nobody told of. A change is told after the quiet time, because its writer may be about to go on.
    async fn poll(&mut self) {
        for index in 0..self.watches.len() {
            if self.watches.get(index).is_none_or(|watch| watch.debounce.due().is_some()) {
                continue;
            }
            let Some(scan) = self.scan(index).await else { continue };
            let Some(watch) = self.watches.get_mut(index) else { continue };
            if scan.changes.is_empty() {
                watch.files = Arc::new(scan.files);
            } else {
                watch.debounce.touch(Instant::now());
            }
        }
    }

    async fn tell(&mut self, index: usize) {
        loop {
            let Some(scan) = self.scan(index).await else { return };
            let Some(watch) = self.watches.get_mut(index) else { return };
            watch.files = Arc::new(scan.files);
            // A receiver that is gone ends the task.
            if !scan.changes.is_empty() && self.out.send((watch.key.clone(), scan.changes)).await.is_err() {
                return;
            }
            if !scan.more {
                return;
            }
        }
    }

    /// Looks at a watch's path, without blocking the runtime, and listens to what it found from then on.
    async fn scan(&mut self, index: usize) -> Option<Scan> {
        let watch = self.watches.get(index)?;
        let (source, files, watches) = (Arc::clone(&watch.source), Arc::clone(&watch.files), self.ears.watches());
        let judge = Arc::clone(&self.judge);
        let mut scan = tokio::task::spawn_blocking(move || scan::scan(&source, &files, watches, &*judge)).await.ok()?;
        let watch = self.watches.get_mut(index)?;
        for (path, why) in &scan.left_out {
            if !watch.left_out.contains(path) {
                warn!(source = %watch.source, path = %path.display(), why, "the watch ignores this file");
            }
        }
        watch.left_out = std::mem::take(&mut scan.left_out).into_iter().map(|(path, _)| path).collect();
        for (path, replaced) in &scan.singles {
            if watch.singles.get(path) != Some(replaced) {
                let what = if *replaced { REPLACED } else { SINGLE_FILE };
                (self.tell)(format!("watched file `{}`: {what}", path.display()));
            }
        }
        watch.singles = std::mem::take(&mut scan.singles);
        if let Some(now) = scan.mount.take() {
            let first = watch.mount.get_or_insert_with(|| now.clone());
            let moved = now.is_removed || (first.point == now.point && first.root != now.root);
            if moved && !watch.moved {
                (self.tell)(format!("watched `{}`, mount `{}`: {MOVED}", watch.source, now.point.display()));
            }
            watch.moved = moved;
        }
        self.ears.complain(scan.deaf.take());
        let old = std::mem::replace(&mut watch.subscriptions, std::mem::take(&mut scan.subscriptions));
        for (wd, _) in old {
            let needed = self.watches.iter().any(|watch| watch.subscriptions.iter().any(|(other, _)| *other == wd));
            if !needed {
                self.ears.forget(wd);
            }
        }
        Some(scan)
    }
}

/// What listens to the kernel; nothing where it refuses, and then only the poll is left.
struct Ears {
    events: Option<EventStream<Vec<u8>>>,
    complained: bool,
}

impl Ears {
    fn open() -> Self {
        match Inotify::init().and_then(|inotify| inotify.into_event_stream(vec![0; EVENT_BYTES])) {
            Ok(events) => Self { events: Some(events), complained: false },
            Err(error) => {
                let mut ears = Self { events: None, complained: false };
                ears.complain(Some(error));
                ears
            }
        }
    }

    /// The next event; none: events may have been lost. Cancel safety: nothing is lost.
    async fn next(&mut self) -> Option<EventOwned> {
        let Some(events) = &mut self.events else { return std::future::pending().await };
        match events.next().await {
            Some(Ok(event)) => Some(event),
            Some(Err(error)) => {
                self.complain(Some(error));
                self.events = None;
                None
            }
            None => {
                self.events = None;
                None
            }
        }
    }

    fn watches(&self) -> Option<inotify::Watches> {
        self.events.as_ref().map(EventStream::watches)
    }

    fn forget(&self, wd: inotify::WatchDescriptor) {
        if let Some(mut watches) = self.watches() {
            // The kernel forgets by itself what was deleted, and then refuses.
            drop(watches.remove(wd));
        }
    }

    fn complain(&mut self, error: Option<std::io::Error>) {
        if let Some(error) = error.filter(|_| !self.complained) {
            self.complained = true;
            warn!(%error, every = ?POLL, "inotify is not available for all watches: raise `fs.inotify.max_user_watches` or `max_user_instances`; the controller still finds changes by polling");
        }
    }
}
