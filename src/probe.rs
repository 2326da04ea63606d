//! Native probes: what a component's health is, seen from the network that it shares with the controller, without any tool in its image.
//!
//! [`watch`] looks at one run of a component and tells what changes. The thresholds are [`tracker`]'s, pure; [`http`] and [`grpc`] make one look each.
//! Fields, defaults and meaning are those of Kubernetes: <https://kubernetes.io/docs/concepts/workloads/pods/probes/>.

pub mod tracker;

mod grpc;
mod http;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::pod::life::{HttpRequest, Probe, ProbeCheck, Probes};
use tracker::{Change, Tracker};

/// Which of a component's probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeKind {
    /// Until it succeeds neither of the others begins.
    Startup,
    /// Where it fails, the component is stopped.
    Liveness,
    /// Where it fails, the component is not ready.
    Readiness,
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Startup => "startup",
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
        })
    }
}

/// What a component's probes say. Told when it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The startup probe has succeeded, or there is none.
    Started,
    /// The readiness probe succeeds.
    Ready,
    /// The readiness probe fails.
    Unready {
        /// What the last look found.
        reason: String,
    },
    /// The startup or liveness probe fails: nothing more is looked at.
    Failed {
        /// Which of the two.
        kind: ProbeKind,
        /// What the last look found.
        reason: String,
    },
}

/// Runs commands in the component that is probed.
pub trait Exec: Send + Sync {
    /// Runs a command and waits at most `timeout` for its end.
    ///
    /// # Errors
    /// Words for the operator: the command did not end with 0, did not end in time, or could not be run.
    fn exec(&self, argv: &[String], timeout: Duration) -> impl Future<Output = Result<(), String>> + Send;
}

/// Looks at one run of a component, from its start until dropped, or until the startup or liveness probe has failed.
pub async fn watch<X: Exec>(probes: Probes, exec: X, verdicts: mpsc::Sender<Verdict>) {
    let say = async |verdict| {
        // Nobody listens once the pod is over; then this is dropped, too.
        let _told = verdicts.send(verdict).await;
    };
    if let Some(startup) = &probes.startup {
        let mut looks = Looks::new(startup, ProbeKind::Startup);
        loop {
            match looks.next(&exec).await {
                Some(Change::Succeeds) => break,
                Some(Change::Fails(reason)) => return say(Verdict::Failed { kind: ProbeKind::Startup, reason }).await,
                None => {}
            }
        }
    }
    say(Verdict::Started).await;
    let liveness = async {
        let Some(probe) = &probes.liveness else { return std::future::pending().await };
        let mut looks = Looks::new(probe, ProbeKind::Liveness);
        loop {
            if let Some(Change::Fails(reason)) = looks.next(&exec).await {
                return say(Verdict::Failed { kind: ProbeKind::Liveness, reason }).await;
            }
        }
    };
    let readiness = async {
        let Some(probe) = &probes.readiness else { return std::future::pending::<()>().await };
        let mut looks = Looks::new(probe, ProbeKind::Readiness);
        loop {
            match looks.next(&exec).await {
                Some(Change::Succeeds) => say(Verdict::Ready).await,
                Some(Change::Fails(reason)) => say(Verdict::Unready { reason }).await,
                None => {}
            }
        }
    };
    tokio::select! {
        () = liveness => {}
        () = readiness => {}
    }
}

/// One probe's looks, one after the other.
struct Looks<'a> {
    probe: &'a Probe,
    tracker: Tracker,
    due: Instant,
}

impl<'a> Looks<'a> {
    fn new(probe: &'a Probe, kind: ProbeKind) -> Self {
        // A startup or liveness probe succeeds, and stays so, with one success.
        let successes = if kind == ProbeKind::Readiness { probe.success_threshold } else { 1 };
        Self {
            probe,
            tracker: Tracker::new(successes, probe.failure_threshold),
            due: Instant::now() + probe.initial_delay,
        }
    }

    /// Waits for the next look, looks, and answers what that changed.
    async fn next<X: Exec>(&mut self, exec: &X) -> Option<Change> {
        sleep_until(self.due).await;
        let seen = look(&self.probe.check, exec, self.probe.timeout).await;
        let pause = match self.probe.start_interval {
            Some(interval) if !self.tracker.succeeded() && seen.is_err() => interval,
            _ => self.probe.period,
        };
        // From the beginning of this look: one that took longer is followed at once, but none is made up for.
        self.due = (self.due + pause).max(Instant::now());
        self.tracker.note(seen)
    }
}

/// One look.
async fn look<X: Exec>(check: &ProbeCheck, exec: &X, limit: Duration) -> Result<(), String> {
    match check {
        ProbeCheck::Http(request) => {
            let answer = within(limit, http::send(request)).await?;
            if (200..400).contains(&answer.status) {
                return Ok(());
            }
            let said = if answer.body.is_empty() { String::new() } else { format!(": {}", answer.body) };
            Err(format!("{} {} answered {}{said}", request.method, http::shown(request), answer.status))
        }
        ProbeCheck::Tcp { host, port } => within(limit, connect(host, *port)).await.map(drop),
        ProbeCheck::Grpc { host, port, service } => within(limit, grpc::check(host, *port, service)).await,
        // The engine can't end a command; the caller's deadline is the limit, and the next look waits for it.
        ProbeCheck::Exec(argv) => exec.exec(argv, limit).await,
    }
}

/// Sends one request and answers the status.
///
/// # Errors
/// Words for the operator: nobody listens, no answer in time, what came is no HTTP.
pub async fn send(request: &HttpRequest, limit: Duration) -> Result<u16, String> {
    within(limit, http::send(request)).await.map(|answer| answer.status)
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match timeout(limit, work).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(format!("no answer within {limit:?}")),
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect((host, port))
        .await
        .map_err(|error| format!("cannot connect to {}: {}", address(host, port), plain(&error)))?;
    let _slower_at_worst = stream.set_nodelay(true);
    Ok(stream)
}

/// `host:port`, with brackets around an IPv6 address.
fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The kernel's words without the number behind them.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
