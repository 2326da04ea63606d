//! The processes of the pod's components, as `/proc` shows them to the controller where all share one PID namespace.
//!
//! A process belongs to the container whose id is in the path of its cgroup: engines name cgroups after containers. What is seen here complements the engine,
//! which reports exits and exit codes: it is asked while the engine is away, and before a component is asked to stop.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Number of hexadecimal digits of a container's id.
const DIGITS: usize = 64;

/// A look this young serves everybody: components that stop at the same time need one look, not one each.
const YOUNG: Duration = Duration::from_millis(20);

/// Signals that do not end a process which has no handler for them: Linux's SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG and SIGWINCH.
const HARMLESS: [i32; 8] = [17, 18, 19, 20, 21, 22, 23, 28];

/// One process of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number in the pod's namespace.
    pub pid: i32,
    /// Its parent's; 0 where that is outside of the namespace, as for a container's main process and for each command that the engine runs in it.
    parent: i32,
    /// When it began, in ticks since the machine did. With the number it names a process for good.
    start: u64,
    /// Name of its program, cut to 15 bytes.
    pub name: String,
}

impl Process {
    /// Names it for good: the number alone is given to another process one day.
    #[must_use]
    pub fn identity(&self) -> (i32, u64) {
        (self.pid, self.start)
    }
}

/// What a process does with signals: masks, signal 1 is the lowest bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Signals {
    blocked: u64,
    ignored: u64,
    caught: u64,
}

/// All processes of containers at one moment, by the container's id.
#[derive(Debug, Default)]
pub struct Look {
    of: HashMap<String, Vec<Process>>,
}

/// Processes that are to be asked before their container's main process.
#[derive(Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// The main process, which ends by the signal without passing it on.
    pub main: Process,
    /// Whom to ask now.
    pub first: Vec<Process>,
}

/// The last look, and when it was taken.
type Last = Option<(Instant, Arc<Look>)>;

/// The processes of a pod, or none where the controller does not see them. Clones share their looks.
#[derive(Debug, Clone, Default)]
pub struct Processes {
    root: Option<PathBuf>,
    last: Arc<Mutex<Last>>,
}

impl Processes {
    /// Those that this file system of `/proc` shows.
    #[must_use]
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: Some(root.into()), last: Arc::default() }
    }

    /// None can be seen: components have PID namespaces of their own.
    #[must_use]
    pub fn hidden() -> Self {
        Self::default()
    }

    /// All processes of containers now; none where they can't be seen.
    pub async fn look(&self) -> Option<Arc<Look>> {
        let root = self.root.clone()?;
        // Whoever waits here gets the look that is being taken.
        let mut last = self.last.lock().await;
        if let Some((at, look)) = last.as_ref()
            && at.elapsed() < YOUNG
        {
            return Some(Arc::clone(look));
        }
        let look = Arc::new(tokio::task::spawn_blocking(move || Look::take(&root)).await.ok()?);
        *last = Some((Instant::now(), Arc::clone(&look)));
        Some(look)
    }

    /// Which processes of a container would be killed without having been asked to stop, if only its main process got this signal: the engine kills what is left of
    /// a container as soon as its main process has ended. None where its main process handles the signal, or is alone.
    ///
    /// Whoever would end by the signal and has children is left for later, as the main process is: asked now are those children. Only processes that began
    /// before `until` count, where it is given: whatever a script starts next is not asked again and again.
    pub async fn forgotten(&self, container: &str, signal: i32, until: Option<u64>) -> Option<Forgotten> {
        let (root, look) = (self.root.clone()?, self.look().await?);
        if look.of(container).len() < 2 {
            return None;
        }
        let container = container.to_owned();
        let found = move || forgotten(look.of(&container), signal, until, |process| signals(&root, process));
        tokio::task::spawn_blocking(found).await.ok()?
    }

    /// Sends a signal to this very process, not to another one that has its number by now.
    ///
    /// # Errors
    /// `EPERM` where the controller lacks the right, `EINVAL` for a real-time signal, which can't be sent from here; `ESRCH` where it has ended.
    pub fn send(&self, process: &Process, signal: i32) -> Result<(), Errno> {
        let Some(root) = &self.root else { return Err(Errno::ESRCH) };
        let signal = Signal::try_from(signal).map_err(|_real_time| Errno::EINVAL)?;
        if process.pid <= 1 || stat(root, process.pid).is_none_or(|now| now.start != process.start) {
            return Err(Errno::ESRCH);
        }
        kill(Pid::from_raw(process.pid), signal)
    }
}

impl Look {
    /// The processes of a container.
    #[must_use]
    pub fn of(&self, container: &str) -> &[Process] {
        self.of.get(container).map_or(&[], Vec::as_slice)
    }

    fn take(root: &Path) -> Self {
        let mut look = Self::default();
        let Ok(entries) = std::fs::read_dir(root) else { return look };
        for entry in entries.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
            let Ok(cgroup) = std::fs::read_to_string(entry.path().join("cgroup")) else { continue };
            let ids = ids(&cgroup);
            if ids.is_empty() {
                continue;
            }
            let Some(process) = stat(root, pid) else { continue };
            for id in ids {
                look.of.entry(id.to_owned()).or_default().push(process.clone());
            }
        }
        look
    }
}

/// When the youngest of these began.
#[must_use]
pub fn youngest(processes: &[Process]) -> u64 {
    processes.iter().map(|process| process.start).max().unwrap_or_default()
}

/// Container ids in the paths of a `/proc/…/cgroup`.
fn ids(text: &str) -> BTreeSet<&str> {
    let runs = text.split(|c: char| !c.is_ascii_hexdigit());
    runs.filter(|run| run.len() == DIGITS && !run.bytes().any(|byte| byte.is_ascii_uppercase())).collect()
}

/// A living process; none where it has ended, or waits for its parent to notice that it has.
fn stat(root: &Path, pid: i32) -> Option<Process> {
    parse_stat(pid, &std::fs::read_to_string(root.join(format!("{pid}/stat"))).ok()?)
}

fn parse_stat(pid: i32, text: &str) -> Option<Process> {
    // The name is in parentheses, and may hold any character.
    let (head, rest) = text.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    // The 22nd field of proc(5), and the 20th behind the name.
    let start = fields.nth(17)?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(Process { pid, parent, start, name })
}

fn signals(root: &Path, process: &Process) -> Option<Signals> {
    Some(parse_status(&std::fs::read_to_string(root.join(format!("{}/status", process.pid))).ok()?))
}

fn parse_status(text: &str) -> Signals {
    let mask = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
    };
    Signals { blocked: mask("SigBlk:"), ignored: mask("SigIgn:"), caught: mask("SigCgt:") }
}

/// What this signal does to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It decides itself: it has a handler, or fetches signals that it blocks.
    Handles,
    Ignores,
    Ends,
}

fn effect(signals: Signals, signal: i32) -> Effect {
    let bit = u32::try_from(signal - 1).ok().and_then(|shift| 1_u64.checked_shl(shift)).unwrap_or_default();
    if (signals.blocked | signals.caught) & bit != 0 {
        Effect::Handles
    } else if signals.ignored & bit != 0 || HARMLESS.contains(&signal) {
        Effect::Ignores
    } else {
        Effect::Ends
    }
}

fn forgotten(
    all: &[Process],
    signal: i32,
    until: Option<u64>,
    signals: impl Fn(&Process) -> Option<Signals>,
) -> Option<Forgotten> {
    let does = |process: &Process| signals(process).map(|signals| effect(signals, signal));
    // Commands that the engine runs in the container have no parent here either; they began later.
    let main = all.iter().filter(|process| process.parent == 0).min_by_key(|process| process.start)?;
    if does(main)? != Effect::Ends {
        return None;
    }
    let there: BTreeSet<i32> = all.iter().map(|process| process.pid).collect();
    // Those whose parent has ended have fallen to the first process of the namespace, the controller.
    let mut open: Vec<&Process> = all
        .iter()
        .filter(|process| process.parent == main.pid || (process.parent != 0 && !there.contains(&process.parent)))
        .collect();
    let mut first = Vec::new();
    while let Some(process) = open.pop() {
        if until.is_some_and(|until| process.start > until) {
            continue;
        }
        let children = || all.iter().filter(|child| child.parent == process.pid);
        match does(process) {
            Some(Effect::Handles) => first.push(process.clone()),
            Some(Effect::Ends) if children().next().is_none() => first.push(process.clone()),
            Some(Effect::Ends) => open.extend(children()),
            // One that ignores the signal need not be waited for, and one that has just ended can't be asked.
            Some(Effect::Ignores) | None => {}
        }
    }
    first.sort_by_key(|process| process.pid);
    (!first.is_empty()).then(|| Forgotten { main: main.clone(), first })
}

#[cfg(test)]
mod tests;
