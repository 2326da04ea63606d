//! One HTTP request, on a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::{Unanswered, address, connect, drive, tls};
use crate::pod::life::HttpRequest;

/// What is kept of an answer's body, in bytes, to be shown.
const SHOWN: usize = 200;

/// What is read of an answer's body, in bytes.
const MOST_READ: usize = 4096;

/// How long the body of an answer that is not good is waited for: it is only shown.
const BODY_TIME: Duration = Duration::from_millis(250);

/// Who asks.
const AGENT: &str = concat!("outrigger-probe/", env!("CARGO_PKG_VERSION"));

/// What came back.
struct Answer {
    status: u16,
    /// The beginning of the body, on one line; empty where the answer is good.
    body: String,
}

impl Answer {
    /// The one rule for probes and for steps, which is that of Kubernetes.
    fn is_good(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// What is wrong with the answer to `request`, in words for the operator.
    fn judge(self, request: &HttpRequest) -> Result<(), String> {
        if self.is_good() {
            return Ok(());
        }
        let said = if self.body.is_empty() { String::new() } else { format!(": {}", self.body) };
        Err(format!("{} {} answered {}{said}", request.method, shown(request), self.status))
    }
}

/// Sends a request, and looks whether what comes back is good. The caller sees to it that this takes no longer than `until`.
pub(super) async fn check(request: &HttpRequest, until: Instant) -> Result<(), Unanswered> {
    Ok(send(request, until).await?.judge(request)?)
}

/// The request's URL, for messages.
fn shown(request: &HttpRequest) -> String {
    let scheme = if request.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", address(&request.host, request.port), request.path)
}

async fn send(request: &HttpRequest, until: Instant) -> Result<Answer, Unanswered> {
    let stream = connect(&request.host, request.port).await?;
    if request.tls {
        Ok(exchange(request, tls::connect(&request.host, stream).await?, until).await?)
    } else {
        Ok(exchange(request, stream, until).await?)
    }
}

async fn exchange(
    request: &HttpRequest,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    until: Instant,
) -> Result<Answer, String> {
    let wrong = |error: hyper::Error| format!("{} did not answer as an HTTP server: {error}", shown(request));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(wrong)?;
    let exchange = async {
        let response = sender.send_request(built(request)?).await.map_err(wrong)?;
        let mut answer = Answer { status: response.status().as_u16(), body: String::new() };
        // Whatever else a good answer says, and however long that takes, it is good.
        if !answer.is_good() {
            answer.body = beginning(response, until.min(Instant::now() + BODY_TIME)).await;
        }
        Ok(answer)
    };
    drive(exchange, connection, wrong).await
}

fn built(request: &HttpRequest) -> Result<Request<Empty<Bytes>>, String> {
    let bad = |what: &str, error: &dyn std::fmt::Display| format!("cannot send {what} of the request: {error}");
    let mut built = Request::builder()
        .method(request.method.as_str())
        .uri(request.path.as_str())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| bad("method or path", &error))?;
    let host = HeaderValue::from_str(&address(&request.host, request.port)).map_err(|error| bad("host", &error))?;
    built.headers_mut().insert(HOST, host);
    for (name, value) in &request.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| bad("a header", &error))?;
        let value = HeaderValue::from_str(value).map_err(|error| bad("a header", &error))?;
        built.headers_mut().insert(name, value);
    }
    Ok(built)
}

/// The beginning of the body on one line, as far as it comes; that the rest of it fails, or is late, is nothing to a probe.
async fn beginning(response: Response<Incoming>, until: Instant) -> String {
    let mut body = response.into_body();
    let mut read = Vec::new();
    while read.len() < MOST_READ {
        match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    read.extend(data.iter().take(MOST_READ));
                }
            }
            Ok(Some(Err(_)) | None) | Err(_) => break,
        }
    }
    short(&String::from_utf8_lossy(&read))
}

/// The beginning, on one line, fit to be shown.
pub(super) fn short(text: &str) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.retain(|c| !c.is_control());
    line.truncate(line.floor_char_boundary(SHOWN));
    line
}
