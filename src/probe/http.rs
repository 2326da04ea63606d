//! One HTTP request, on a connection of its own.

use bytes::{Buf, Bytes};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{address, connect, tls};
use crate::pod::life::HttpRequest;

/// What is kept of an answer's body, in characters, to be shown.
const SHOWN: usize = 100;

/// What is read of an answer's body, in bytes.
const MOST_READ: usize = 4096;

/// Who asks.
const AGENT: &str = concat!("outrigger-probe/", env!("CARGO_PKG_VERSION"));

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The beginning of the body, on one line.
    pub(super) body: String,
}

/// The request's URL, for messages.
pub(super) fn shown(request: &HttpRequest) -> String {
    let scheme = if request.tls { "https" } else { "http" };
    format!("{scheme}://{}{}", address(&request.host, request.port), request.path)
}

pub(super) async fn send(request: &HttpRequest) -> Result<Answer, String> {
    let stream = connect(&request.host, request.port).await?;
    if request.tls {
        exchange(request, tls::connect(&request.host, stream).await?).await
    } else {
        exchange(request, stream).await
    }
}

async fn exchange(request: &HttpRequest, stream: impl AsyncRead + AsyncWrite + Unpin + Send) -> Result<Answer, String> {
    let wrong = |error: hyper::Error| format!("{} did not answer as an HTTP server: {error}", shown(request));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(wrong)?;
    let exchange = async {
        let response = sender.send_request(built(request)?).await.map_err(wrong)?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: beginning(response).await })
    };
    // The connection does its work only while it is polled, and ends with this look.
    tokio::select! {
        biased;
        answer = exchange => answer,
        ended = connection => Err(match ended {
            Err(error) => wrong(error),
            Ok(()) => format!("{} closed the connection without an answer", shown(request)),
        }),
    }
}

fn built(request: &HttpRequest) -> Result<Request<Empty<Bytes>>, String> {
    let bad = |what: &str, error: &dyn std::fmt::Display| format!("cannot send {what} of the request: {error}");
    let mut built = Request::builder()
        .method(request.method.as_str())
        .uri(request.path.as_str())
        .header(USER_AGENT, AGENT)
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

/// The beginning of the body on one line, as far as it comes; that the rest of it fails is nothing to a probe.
async fn beginning(response: Response<Incoming>) -> String {
    let mut body = response.into_body();
    let mut read = Vec::new();
    while read.len() < MOST_READ {
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(data.chunk());
                }
            }
            Some(Err(_)) | None => break,
        }
    }
    let text = String::from_utf8_lossy(&read);
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}
