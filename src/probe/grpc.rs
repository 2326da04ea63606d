//! One call of the standard gRPC health service, `grpc.health.v1.Health/Check`, in plaintext HTTP/2.
//!
//! The protocol: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>; its framing:
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>. The two messages have one field each, so they are written and read here.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::RecvStream;
use h2::client::SendRequest;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::{Unanswered, address, connect, drive, http};

/// `HealthCheckResponse.ServingStatus`: all is well.
const SERVING: u64 = 1;

/// Largest answer that is read, in bytes: the real one has seven.
const MOST_READ: usize = 4096;

/// Who asks.
const AGENT: &str = concat!("outrigger-probe/", env!("CARGO_PKG_VERSION"));

/// Longest time that a `grpc-timeout` header can say, in milliseconds.
const LONGEST_MS: u128 = 99_999_999;

/// Asks whether the service serves; the server is told that the answer has to come within `limit`.
pub(super) async fn check(host: &str, port: u16, service: &str, limit: Duration) -> Result<(), String> {
    let at = address(host, port);
    let stream = connect(host, port).await.map_err(Unanswered::why)?;
    let wrong = |error: h2::Error| format!("{at} did not answer as a gRPC server: {error}");
    let (sender, connection) = h2::client::handshake(stream).await.map_err(wrong)?;
    drive(call(sender, &at, service, limit, wrong), connection, wrong).await
}

async fn call(
    sender: SendRequest<Bytes>,
    at: &str,
    service: &str,
    limit: Duration,
    wrong: impl Fn(h2::Error) -> String + Copy,
) -> Result<(), String> {
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("http://{at}/grpc.health.v1.Health/Check"))
        .header(TE, "trailers")
        .header("grpc-timeout", format!("{}m", limit.as_millis().clamp(1, LONGEST_MS)))
        .header(CONTENT_TYPE, "application/grpc")
        .header(USER_AGENT, AGENT)
        .body(())
        .map_err(|error| format!("cannot send a request to {at}: {error}"))?;
    let mut sender = sender.ready().await.map_err(wrong)?;
    let (response, mut body) = sender.send_request(request, false).map_err(wrong)?;
    body.send_data(message(service), true).map_err(wrong)?;
    let response = response.await.map_err(wrong)?;
    if response.status() != StatusCode::OK {
        return Err(format!("{at} answered {}, so it is not a gRPC server", response.status().as_u16()));
    }
    // An answer that is only an error has its status among the headers.
    if ends_well(response.headers(), at, service)? {
        return Err(format!("{at} sent an empty answer"));
    }
    let mut body = response.into_body();
    let read = content(&mut body, at, wrong).await?;
    let trailers = body.trailers().await.map_err(wrong)?.unwrap_or_default();
    if !ends_well(&trailers, at, service)? {
        return Err(format!("{at} ended its answer without a gRPC status"));
    }
    match serving(&read) {
        Some(SERVING) => Ok(()),
        Some(other) => Err(format!("{at} answered {}", named(other))),
        None => Err(format!("{at} sent an answer that is not a `HealthCheckResponse`")),
    }
}

async fn content(body: &mut RecvStream, at: &str, wrong: impl Fn(h2::Error) -> String) -> Result<BytesMut, String> {
    let mut read = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(&wrong)?;
        if read.len() + data.len() > MOST_READ {
            return Err(format!("{at} sent more than {MOST_READ} bytes"));
        }
        body.flow_control().release_capacity(data.len()).map_err(&wrong)?;
        read.extend_from_slice(&data);
    }
    Ok(read)
}

/// `HealthCheckRequest { string service = 1; }` in a gRPC frame: not compressed, its length, itself.
fn message(service: &str) -> Bytes {
    let mut inner = BytesMut::new();
    if !service.is_empty() {
        inner.put_u8(0x0a); // Field 1, length-delimited.
        varint(&mut inner, service.len() as u64);
        inner.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::with_capacity(inner.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(inner.len()).unwrap_or(u32::MAX));
    framed.put_slice(&inner);
    framed.freeze()
}

fn varint(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// The status of a `HealthCheckResponse { ServingStatus status = 1; }` in a gRPC frame. Unknown fields are passed over, as protobuf has it.
fn serving(framed: &[u8]) -> Option<u64> {
    let (head, rest) = framed.split_at_checked(5)?;
    let length: [u8; 4] = head.get(1..)?.try_into().ok()?;
    let mut message = rest.get(..usize::try_from(u32::from_be_bytes(length)).ok()?)?;
    if head.first() != Some(&0) {
        return None; // Compressed, which nobody asked for.
    }
    let mut found = 0; // A field that is not there has its default.
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        match key & 7 {
            0 => {
                let value = take_varint(&mut message)?;
                if key >> 3 == 1 {
                    found = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(take_varint(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = from.split_first()?;
        *from = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Whether these headers or trailers carry the status OK; fails where they carry another.
fn ends_well(headers: &HeaderMap, at: &str, service: &str) -> Result<bool, String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let said = http::short(&percent_decode_str(text("grpc-message").unwrap_or_default()).decode_utf8_lossy());
    let said = if said.is_empty() { said } else { format!(": {said}") };
    match text("grpc-status") {
        None => Ok(false),
        Some("0") => Ok(true),
        Some("5") if service.is_empty() => Err(format!("{at} does not know its own health{said}")),
        Some("5") => Err(format!("{at} does not know the service `{service}`{said}")),
        Some("12") => Err(format!("{at} has no health service{said}")),
        Some(code) => Err(format!("{at} answered with the gRPC status {}{said}", http::short(code))),
    }
}

fn named(status: u64) -> String {
    match status {
        0 => "UNKNOWN".to_owned(),
        2 => "NOT_SERVING".to_owned(),
        3 => "SERVICE_UNKNOWN".to_owned(),
        other => format!("the status {other}"),
    }
}
