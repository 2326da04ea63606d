//! Native probes: what a component's health is, seen from the network that it shares with the controller, without any tool in its image.
//!
//! [`watch`] looks at one run of a component and tells what changes; [`findings`] keeps what the last looks found. The thresholds are [`tracker`]'s, pure; `looks`
//! keeps the time; `http` and `grpc` make one look each.
//! Fields, defaults and meaning are those of Kubernetes: <https://kubernetes.io/docs/concepts/workloads/pods/probes/>.

pub mod findings;
pub mod tracker;

mod grpc;
mod http;
mod looks;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::findings::Findings;
use self::looks::Looks;
use self::tracker::Change;
use crate::pod::life::{HttpRequest, Probes};

/// Between two attempts to connect where nobody listens yet.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

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

/// Looks at one run of a component, from its start until dropped, or until nothing is left to look at: the startup or liveness probe has failed, or there is no
/// probe but the startup probe. What each look finds is noted in `findings`, in the place of what an earlier run's looks found.
pub async fn watch<X: Exec>(probes: Probes, exec: X, verdicts: mpsc::Sender<Verdict>, findings: Findings) {
    // What all kinds of looks need together is some 17 KiB, which only pods with probes should have, and on the heap.
    Box::pin(look_on(probes, exec, verdicts, findings)).await;
}

async fn look_on<X: Exec>(probes: Probes, exec: X, verdicts: mpsc::Sender<Verdict>, findings: Findings) {
    findings.forget();
    let say = async |verdict| {
        // Nobody listens once the pod is over; then this is dropped, too.
        let _told = verdicts.send(verdict).await;
    };
    if let Some(startup) = &probes.startup {
        let mut looks = Looks::new(startup, ProbeKind::Startup, &exec, &findings);
        loop {
            match looks.next().await {
                Some(Change::Succeeds) => break,
                Some(Change::Fails(reason)) => return say(Verdict::Failed { kind: ProbeKind::Startup, reason }).await,
                None => {}
            }
        }
    }
    say(Verdict::Started).await;
    let look = |probe, kind| Looks::new(probe, kind, &exec, &findings);
    let liveness = probes.liveness.as_ref().map(|probe| look(probe, ProbeKind::Liveness));
    let readiness = probes.readiness.as_ref().map(|probe| look(probe, ProbeKind::Readiness));
    if liveness.is_none() && readiness.is_none() {
        return;
    }
    let liveness = async {
        let Some(mut looks) = liveness else { return std::future::pending().await };
        loop {
            if let Some(Change::Fails(reason)) = looks.next().await {
                return say(Verdict::Failed { kind: ProbeKind::Liveness, reason }).await;
            }
        }
    };
    let readiness = async {
        let Some(mut looks) = readiness else { return std::future::pending::<()>().await };
        loop {
            match looks.next().await {
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

/// Sends one request; good is an answer with a status from 200 to 399.
///
/// # Errors
/// Words for the operator: nobody listens, no answer in time, what came is no HTTP, or its status is not good (with the beginning of what it says).
pub async fn send(request: &HttpRequest, limit: Duration) -> Result<(), String> {
    within(limit, async |until| http::check(request, until).await.map_err(Unanswered::why)).await
}

/// As [`send`]; while the connection is refused, or there is no socket, it is tried again until `limit`: the server may not listen yet.
///
/// # Errors
/// As [`send`].
pub async fn send_patiently(request: &HttpRequest, limit: Duration) -> Result<(), String> {
    let sending = async |until: Instant| {
        loop {
            match http::check(request, until).await {
                Err(Unanswered::Refused(why)) => {
                    sleep_until(until.min(Instant::now() + REFUSED_PAUSE)).await;
                    if Instant::now() >= until {
                        return Err(format!("{why} for {limit:?}"));
                    }
                }
                done => return done.map_err(Unanswered::why),
            }
        }
    };
    within(limit, sending).await
}

/// Gives a look its time.
async fn within<T>(limit: Duration, work: impl AsyncFnOnce(Instant) -> Result<T, String>) -> Result<T, String> {
    let until = Instant::now() + limit;
    timeout_at(until, work(until)).await.unwrap_or_else(|_elapsed| Err(late(limit)))
}

fn late(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}

/// Why a request has no good answer.
#[derive(Debug)]
enum Unanswered {
    /// Nobody listens.
    Refused(String),
    /// Anything else.
    Bad(String),
}

impl Unanswered {
    fn why(self) -> String {
        match self {
            Self::Refused(why) | Self::Bad(why) => why,
        }
    }
}

impl From<String> for Unanswered {
    fn from(why: String) -> Self {
        Self::Bad(why)
    }
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Unanswered> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| {
        let why = format!("cannot connect to {}: {}", address(host, port), plain(&error));
        match error.kind() {
            ErrorKind::ConnectionRefused | ErrorKind::NotFound => Unanswered::Refused(why),
            _ => Unanswered::Bad(why),
        }
    })?;
    let _slower_at_worst = stream.set_nodelay(true);
    Ok(stream)
}

/// Waits for an answer while the connection does its work, which it does only as long as it is polled: it ends with the look.
async fn drive<T, E>(
    exchange: impl Future<Output = Result<T, String>>,
    connection: impl Future<Output = Result<(), E>>,
    wrong: impl Fn(E) -> String,
) -> Result<T, String> {
    let mut exchange = pin!(exchange);
    let ended = tokio::select! {
        biased;
        answer = &mut exchange => return answer,
        ended = connection => ended,
    };
    // A server that answers and closes does both at once: what came before the end is still to be taken.
    match (exchange.await, ended) {
        (Err(_), Err(error)) => Err(wrong(error)),
        (answer, _) => answer,
    }
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
