use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use hyper::{HeaderMap, Request, Response};
use tokio::io::AsyncWriteExt;

use super::*;

/// What a server answers.
#[derive(Debug, Clone, Default)]
struct Script {
    http_status: u16,
    /// Pieces of the body.
    body: Vec<&'static [u8]>,
    /// `grpc-status` and `grpc-message`; none: the answer ends without.
    status: Option<(&'static str, &'static str)>,
    /// Whether that is said in the headers, which end the answer.
    only_trailers: bool,
    /// Whether the connection is ended at once after it.
    closes: bool,
}

fn good() -> Script {
    Script { http_status: 200, body: vec![&[0, 0, 0, 0, 2, 8, 1]], status: Some(("0", "")), ..Script::default() }
}

/// Paths and bodies that were asked.
type Seen = Arc<Mutex<Vec<(String, HeaderMap, Vec<u8>)>>>;

async fn respond(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    script: &Script,
    seen: &Seen,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut read = Vec::new();
    while let Some(data) = body.data().await {
        read.extend_from_slice(&data?);
    }
    seen.lock().unwrap().push((head.uri.to_string(), head.headers, read));
    let mut headers = Response::builder().status(script.http_status).header("content-type", "application/grpc");
    let mut trailers = HeaderMap::new();
    if let Some((status, message)) = script.status {
        trailers.insert("grpc-status", status.parse().unwrap());
        if !message.is_empty() {
            trailers.insert("grpc-message", message.parse().unwrap());
        }
    }
    if script.only_trailers {
        headers.headers_mut().unwrap().extend(trailers);
        respond.send_response(headers.body(()).unwrap(), true)?;
        return Ok(());
    }
    let mut out = respond.send_response(headers.body(()).unwrap(), false)?;
    for piece in &script.body {
        out.send_data(Bytes::from_static(piece), false)?;
    }
    if trailers.is_empty() { out.send_data(Bytes::new(), true) } else { out.send_trailers(trailers) }
}

async fn serving(script: Script) -> (Tasks, u16, Seen) {
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let (tasks, port) = server(move |stream| {
        let (script, noted) = (script.clone(), Arc::clone(&noted));
        async move {
            let Ok(mut connection) = h2::server::handshake(stream).await else { return };
            while let Some(Ok((request, response))) = connection.accept().await {
                let answered = respond(request, response, &script, &noted);
                tokio::pin!(answered);
                // The connection works only while it is polled.
                tokio::select! {
                    done = &mut answered => done.unwrap(),
                    _next = std::future::poll_fn(|cx| connection.poll_closed(cx)) => return,
                }
                if script.closes {
                    connection.graceful_shutdown();
                }
            }
        }
    })
    .await;
    (tasks, port, seen)
}

async fn asked(port: u16, service: &str) -> Result<(), String> {
    let check = ProbeCheck::Grpc { host: "127.0.0.1".to_owned(), port, service: service.to_owned() };
    super::look(check, SECOND).await
}

/// The words after the address.
async fn refusal(script: Script, service: &str) -> String {
    let (_server, port, _) = serving(script).await;
    let why = asked(port, service).await.unwrap_err();
    why.strip_prefix(&format!("127.0.0.1:{port} ")).unwrap_or_else(|| panic!("{why}")).to_owned()
}

#[tokio::test]
async fn a_server_that_serves() {
    let (_server, port, seen) = serving(good()).await;
    assert_eq!(asked(port, "").await, Ok(()));
    assert_eq!(asked(port, "acme.Calc").await, Ok(()));
    let long = "s".repeat(300);
    assert_eq!(asked(port, &long).await, Ok(()));
    let seen = seen.lock().unwrap();
    for (uri, headers, _) in seen.iter() {
        assert_eq!(*uri, format!("http://127.0.0.1:{port}/grpc.health.v1.Health/Check"));
        assert_eq!(
            (&headers["content-type"], &headers["te"], &headers["grpc-timeout"]),
            (&"application/grpc".parse().unwrap(), &"trailers".parse().unwrap(), &"1000m".parse().unwrap())
        );
    }
    assert_eq!(seen[0].2, [0, 0, 0, 0, 0]);
    assert_eq!(seen[1].2, [&[0, 0, 0, 0, 11, 10, 9][..], b"acme.Calc"].concat());
    assert_eq!(seen[2].2, [&[0, 0, 0, 1, 47, 10, 0xac, 2][..], long.as_bytes()].concat());
}

#[tokio::test]
async fn an_answer_in_pieces_with_fields_that_nobody_knows_here() {
    // Field 2, a varint; field 3, eight bytes; field 4, a text; field 5, four bytes; and the status in the middle.
    let body: Vec<&[u8]> = vec![
        &[0, 0, 0],
        &[0, 23, 16, 0x96],
        &[1, 25, 1, 2, 3, 4, 5, 6, 7, 8],
        &[8],
        &[1, 34, 2, b'h', b'i', 45, 1, 2, 3],
        &[4],
    ];
    let (_server, port, _) = serving(Script { body, ..good() }).await;
    assert_eq!(asked(port, "").await, Ok(()));
}

#[tokio::test]
async fn a_server_that_closes_after_its_answer() {
    let (_server, port, _) = serving(Script { closes: true, ..good() }).await;
    for _ in 0..50 {
        assert_eq!(asked(port, "").await, Ok(()));
    }
}

#[tokio::test]
async fn a_server_that_does_not_serve() {
    let answers = |status: &'static [u8]| Script { body: vec![status], ..good() };
    assert_eq!(refusal(answers(&[0, 0, 0, 0, 2, 8, 2]), "").await, "answered NOT_SERVING");
    assert_eq!(refusal(answers(&[0, 0, 0, 0, 2, 8, 3]), "").await, "answered SERVICE_UNKNOWN");
    assert_eq!(refusal(answers(&[0, 0, 0, 0, 3, 8, 0x80, 1]), "").await, "answered the status 128");
    // A field with its default is not sent.
    assert_eq!(refusal(answers(&[0, 0, 0, 0, 0]), "").await, "answered UNKNOWN");
}

#[tokio::test]
async fn errors_in_headers_or_trailers() {
    for only_trailers in [true, false] {
        let error = |code, message| Script { status: Some((code, message)), only_trailers, body: Vec::new(), ..good() };
        let why = refusal(error("5", "unknown service"), "acme.Calc").await;
        assert_eq!(why, "does not know the service `acme.Calc`: unknown service");
        assert_eq!(refusal(error("5", ""), "").await, "does not know its own health");
        assert_eq!(refusal(error("12", ""), "").await, "has no health service");
        let why = refusal(error("14", "going%20away:%0Asoon %C3%A9"), "").await;
        assert_eq!(why, "answered with the gRPC status 14: going away: soon é");
    }
    // Even after an answer.
    assert_eq!(refusal(Script { status: Some(("13", "")), ..good() }, "").await, "answered with the gRPC status 13");
}

#[tokio::test]
async fn answers_that_are_none() {
    assert_eq!(refusal(Script { status: None, ..good() }, "").await, "ended its answer without a gRPC status");
    assert_eq!(refusal(Script { only_trailers: true, ..good() }, "").await, "sent an empty answer");
    assert_eq!(refusal(Script { http_status: 404, ..good() }, "").await, "answered 404, so it is not a gRPC server");
    let no_answer = "sent an answer that is not a `HealthCheckResponse`";
    for body in [
        &[][..],
        &[0, 0, 0, 0],
        &[0, 0, 0, 0, 9, 8, 1],
        &[1, 0, 0, 0, 2, 8, 1],
        &[0, 0, 0, 0, 2, 0x0b, 1],
        &[0, 0, 0, 0, 11, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert_eq!(refusal(Script { body: vec![body], ..good() }, "").await, no_answer, "{body:?}");
    }
    let long = Script { body: vec![&[0; 4000], &[0; 4000]], ..good() };
    assert_eq!(refusal(long, "").await, "sent more than 4096 bytes");
}

#[tokio::test]
async fn a_server_that_speaks_something_else() {
    let (_server, port) = server(|mut stream| async move {
        let _written = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
    })
    .await;
    let why = asked(port, "").await.unwrap_err();
    assert!(why.starts_with(&format!("127.0.0.1:{port} did not answer as a gRPC server: ")), "{why}");
    let (_server, port) = server(|stream| async move {
        let _held = stream;
        std::future::pending().await
    })
    .await;
    assert_eq!(asked(port, "").await, Err("no answer within 1s".to_owned()));
    let port = closed_port().await;
    assert_eq!(asked(port, "").await, Err(format!("cannot connect to 127.0.0.1:{port}: connection refused")));
}
