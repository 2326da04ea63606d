//! One call of the standard gRPC health service, `grpc.health.v1.Health/Check`, in plaintext HTTP/2.
//!
//! The protocol: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>; its framing:
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>. The two messages have one field each, so they are written and read here.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper::header::{CONTENT_TYPE, HeaderMap, TE};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{address, connect};

/// `HealthCheckResponse.ServingStatus`: all is well.
const SERVING: u64 = 1;

/// Largest answer that is read, in bytes: the real one has seven.
const MOST_READ: usize = 4096;

pub(super) async fn check(host: &str, port: u16, service: &str) -> Result<(), String> {
    let at = address(host, port);
    let stream = connect(host, port).await?;
    let wrong = |error: hyper::Error| format!("{at} did not answer as a gRPC server: {error}");
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(wrong)?;
    let call = async {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://{at}/grpc.health.v1.Health/Check"))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .body(Full::new(message(service)))
            .map_err(|error| format!("cannot ask {at}: {error}"))?;
        let response = sender.send_request(request).await.map_err(wrong)?;
        if response.status() != StatusCode::OK {
            return Err(format!("{at} answered {}, and is no gRPC server", response.status().as_u16()));
        }
        // An answer that is only an error has its status among the headers.
        status(response.headers(), &at, service)?;
        let mut body = response.into_body();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            match frame.map_err(wrong)?.into_data() {
                Ok(data) if read.len() + data.len() <= MOST_READ => read.extend_from_slice(&data),
                Ok(_) => return Err(format!("{at} answered more than {MOST_READ} bytes")),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        status(&trailers, &at, service)?;
                    }
                }
            }
        }
        match serving(&read) {
            Some(SERVING) => Ok(()),
            Some(other) => Err(format!("{at} answered {}", named(other))),
            None => Err(format!("{at} answered what is no `HealthCheckResponse`")),
        }
    };
    tokio::select! {
        biased;
        answer = call => answer,
        ended = connection => Err(match ended {
            Err(error) => wrong(error),
            Ok(()) => format!("{at} closed the connection without an answer"),
        }),
    }
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

/// Fails where these headers or trailers carry a status other than OK.
fn status(headers: &HeaderMap, at: &str, service: &str) -> Result<(), String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let said = text("grpc-message").filter(|text| !text.is_empty()).map(|text| format!(": {text}")).unwrap_or_default();
    match text("grpc-status") {
        None | Some("0") => Ok(()),
        Some("5") => Err(format!("{at} does not know the service `{service}`{said}")),
        Some("12") => Err(format!("{at} has no health service{said}")),
        Some(code) => Err(format!("{at} answered the gRPC status {code}{said}")),
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
