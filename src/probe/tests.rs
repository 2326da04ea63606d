mod grpc;
mod http;
mod schedule;

use std::time::Duration;

use super::*;
use crate::pod::life::{Probe, ProbeCheck, Unready};
use crate::shutdown::Tasks;

const SECOND: Duration = Duration::from_secs(1);

fn probe(check: ProbeCheck) -> Probe {
    Probe {
        check,
        initial_delay: Duration::ZERO,
        period: 10 * SECOND,
        start_interval: None,
        timeout: SECOND,
        success_threshold: 1,
        failure_threshold: 3,
        unready: Unready::Unhealthy,
    }
}

/// For probes that run no commands.
struct NoExec;

impl Exec for NoExec {
    async fn exec(&self, argv: &[String], _timeout: Duration) -> Result<(), String> {
        panic!("nobody asked for {argv:?}");
    }
}

/// What one look finds.
async fn look(check: ProbeCheck, timeout: Duration) -> Result<(), String> {
    let probe = Probe { timeout, failure_threshold: 1, ..probe(check) };
    match Looks::new(&probe, ProbeKind::Readiness, &NoExec, &Findings::default()).next().await.unwrap() {
        Change::Succeeds => Ok(()),
        Change::Fails(why) => Err(why),
    }
}

/// A port on which nobody listens.
async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// A server in this process: every connection is given to `serve`.
async fn server<F: Future<Output = ()> + Send + 'static>(
    serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> (Tasks, u16) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tasks = Tasks::new();
    let connections = tasks.clone();
    tasks.spawn("server", move |_token| async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = serve(stream);
            connections.spawn("connection", |token| async move {
                token.run_until_cancelled(served).await;
            });
        }
    });
    (tasks, port)
}

#[tokio::test]
async fn tcp_connects_or_says_why_not() {
    let (_server, port) = server(|_stream| std::future::pending()).await;
    let tcp = |host: &str, port| ProbeCheck::Tcp { host: host.to_owned(), port };
    assert_eq!(look(tcp("127.0.0.1", port), SECOND).await, Ok(()));
    assert_eq!(look(tcp("localhost", port), SECOND).await, Ok(()));
    let port = closed_port().await;
    let why = look(tcp("127.0.0.1", port), SECOND).await.unwrap_err();
    assert_eq!(why, format!("cannot connect to 127.0.0.1:{port}: connection refused"));
    let why = look(tcp("::1", port), SECOND).await.unwrap_err();
    assert!(why.starts_with(&format!("cannot connect to [::1]:{port}: ")), "{why}");
}

#[tokio::test]
async fn a_full_backlog_is_no_answer() {
    // Nobody accepts: once the queue is full the kernel leaves further connections without an answer.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let at = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(at)).await {
        queued.push(connected.unwrap());
    }
    let check = ProbeCheck::Tcp { host: "127.0.0.1".to_owned(), port: at.port() };
    assert_eq!(look(check, Duration::from_millis(300)).await, Err("no answer within 300ms".to_owned()));
}
