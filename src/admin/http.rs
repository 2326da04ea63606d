//! The page of metrics over HTTP, for Prometheus and its like.
//!
//! It has one path and two methods, and answers each connection once. Whoever reaches the pod's network can read it, so it is off until the operator opens it.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Context;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::{AdminError, accept};
use crate::config::Listen;
use crate::metrics::{self, Registry};
use crate::shutdown::Tasks;

/// The one path.
pub const PATH: &str = "/metrics";

/// Connections served at a time; more wait in the kernel's queue until one of these ends, which [`PATIENCE`] bounds.
const CONNECTIONS: usize = 8;

/// For the whole of a connection, from its first byte to the last of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// For the request.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// Longest request, in bytes: the least that hyper takes. Longer ones are refused with 431.
const LONGEST_REQUEST: usize = 8 * 1024;

/// Headers of a request; more are refused with 431.
const HEADERS: usize = 64;

/// Begins to listen. Connections wait until [`serve`].
///
/// # Errors
/// [`AdminError::Listen`] where the port is taken, or the address is not this container's.
pub async fn bind(at: Listen) -> Result<TcpListener, AdminError> {
    let listen = async |address: IpAddr| TcpListener::bind(SocketAddr::new(address, at.port)).await;
    let bound = match at.address {
        Some(address) => listen(address).await,
        // All addresses of both versions; only those of version 4 where the kernel has no other.
        None => match listen(Ipv6Addr::UNSPECIFIED.into()).await {
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => listen(Ipv4Addr::UNSPECIFIED.into()).await,
            bound => bound,
        },
    };
    bound.map_err(|source| AdminError::Listen { at, source })
}

/// Serves the page until the tasks are told to end.
pub fn serve(listener: TcpListener, registry: Registry, tasks: &Tasks) {
    if let Ok(address) = listener.local_addr() {
        info!(%address, "the page of metrics is open");
    }
    let connections = tasks.clone();
    tasks.spawn("metrics", move |stop| async move {
        let accept = |context: &mut Context<'_>| listener.poll_accept(context).map_ok(|(stream, _)| stream);
        let serve = |stream, permit| {
            let registry = registry.clone();
            connections.spawn("metrics-connection", |stop| async move {
                tokio::select! { biased; () = stop.cancelled() => {}, () = answer(stream, registry) => {} }
                drop(permit);
            });
        };
        let failed = |error| warn!(%error, "cannot accept connections for the page of metrics");
        accept::connections(CONNECTIONS, stop, accept, serve, failed).await;
    });
}

/// Answers one request of one connection.
async fn answer(stream: TcpStream, registry: Registry) {
    let service = service_fn(move |request| {
        let response = response(&request, &registry);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(LONGEST_REQUEST)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a client of the page of metrics went away, or sent no request"),
        Err(_) => debug!("a client of the page of metrics was too slow"),
    }
}

fn response<B>(request: &Request<B>, registry: &Registry) -> Response<Full<Bytes>> {
    let is_page = request.uri().path() == PATH;
    let (status, text) = match *request.method() {
        Method::GET | Method::HEAD if is_page => (StatusCode::OK, registry.page()),
        Method::GET | Method::HEAD => (StatusCode::NOT_FOUND, format!("the metrics are at {PATH}\n")),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = if status == StatusCode::OK { metrics::CONTENT_TYPE } else { "text/plain; charset=utf-8" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty};
    use hyper::client::conn::http1::handshake;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::metrics::Family;

    async fn served() -> (SocketAddr, Tasks) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, tasks, registry) = (listener.local_addr().unwrap(), Tasks::new(), Registry::default());
        registry.add(|| vec![Family::gauge("outrigger_x", "X.")]);
        serve(listener, registry, &tasks);
        (address, tasks)
    }

    async fn ask(address: SocketAddr, method: &str, path: &str) -> (StatusCode, hyper::HeaderMap, String) {
        let (mut sender, connection) =
            handshake(TokioIo::new(TcpStream::connect(address).await.unwrap())).await.unwrap();
        let request = Request::builder().method(method).uri(path).header("host", "x").body(Empty::<Bytes>::new());
        let ask = async {
            let (head, body) = sender.send_request(request.unwrap()).await.unwrap().into_parts();
            (head.status, head.headers, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
        };
        let (answer, _closed) = tokio::join!(ask, connection);
        answer
    }

    #[tokio::test]
    async fn get_and_head_have_the_page_and_nothing_else_does() {
        let (address, _tasks) = served().await;
        let page = "# HELP outrigger_x X.\n# TYPE outrigger_x gauge\n# EOF\n";
        let (status, headers, text) = ask(address, "GET", "/metrics").await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, page));
        assert_eq!(headers["content-type"], metrics::CONTENT_TYPE);
        let (status, headers, text) = ask(address, "HEAD", "/metrics?x=1").await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, ""));
        assert_eq!(headers["content-length"], page.len().to_string().as_str());
        let (status, _, text) = ask(address, "GET", "/").await;
        assert_eq!((status, text.as_str()), (StatusCode::NOT_FOUND, "the metrics are at /metrics\n"));
        let (status, headers, _) = ask(address, "POST", "/metrics").await;
        assert_eq!((status, headers["allow"].as_bytes()), (StatusCode::METHOD_NOT_ALLOWED, b"GET, HEAD".as_slice()));
    }

    #[tokio::test]
    async fn long_requests_are_refused_and_the_page_stays_open() {
        let (address, _tasks) = served().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(2 * LONGEST_REQUEST));
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        // The rest of the request was not read, so the connection may end with a reset.
        let _reset = stream.read_to_end(&mut text).await;
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 431"), "{text}");
        assert_eq!(ask(address, "GET", "/metrics").await.0, StatusCode::OK);
    }

    #[tokio::test]
    async fn silent_clients_make_way() {
        let (address, _tasks) = served().await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        // The clock runs ahead only once they are all that the runtime waits for.
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        assert_eq!(ask(address, "GET", "/metrics").await.0, StatusCode::OK);
        assert!(begun.elapsed() <= HEADER_TIME + Duration::from_secs(1), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn a_taken_port_is_an_error_with_place_and_remedy() {
        let taken = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = taken.local_addr().unwrap().port();
        for address in [None, Some(Ipv4Addr::LOCALHOST.into())] {
            let error = bind(Listen { address, port }).await.unwrap_err();
            let place = error.to_string();
            assert!(place.contains(&port.to_string()) && place.contains("`--metrics`"), "{place}");
            assert!(error.hint().starts_with("choose another port"), "{}", error.hint());
        }
        let elsewhere = Listen { address: Some(Ipv4Addr::new(192, 0, 2, 1).into()), port };
        assert!(bind(elsewhere).await.unwrap_err().hint().starts_with("choose an address"));
    }
}
