use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use indexmap::IndexMap;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::*;

fn get(port: u16, path: &str) -> HttpRequest {
    HttpRequest {
        tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        path: path.to_owned(),
        method: "GET".to_owned(),
        headers: IndexMap::new(),
    }
}

async fn asked(request: HttpRequest) -> Result<(), String> {
    super::look(ProbeCheck::Http(request), SECOND).await
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let text = |text: String| Full::new(Bytes::from(text)).boxed();
    let (status, body) = match request.uri().path() {
        "/empty" => (204, text(String::new())),
        "/nothing" => (200, text(String::new())),
        "/found" => (302, text("over there".to_owned())),
        "/busy" => (503, text(format!("  over\n\tloaded \u{1b}[31m{}", "é".repeat(200)))),
        "/teapot" => (418, text(String::new())),
        "/slow" => return std::future::pending().await,
        "/endless" | "/endless-error" => {
            let first = futures_util::stream::once(async { Ok(Frame::data(Bytes::from_static(b"first"))) });
            let never = futures_util::StreamExt::chain(first, futures_util::stream::pending());
            (if request.uri().path() == "/endless" { 200 } else { 500 }, StreamBody::new(never).boxed())
        }
        "/huge" => {
            let chunk = || Ok(Frame::data(Bytes::from(vec![b'x'; 65_536])));
            (500, StreamBody::new(futures_util::stream::repeat_with(chunk)).boxed())
        }
        // Whatever it was asked, as an error, so that it is shown.
        _ => {
            let headers = request.headers();
            let header = |name: &str| headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned();
            let said = [header("host"), header("user-agent"), header("accept"), header("x-more"), header("connection")];
            let text_of = format!("{} {} {}", request.method(), request.uri(), said.join(" "));
            (500, text(text_of))
        }
    };
    Ok(Response::builder().status(status).header("location", "/empty").body(body).unwrap())
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
    let served = hyper::server::conn::http1::Builder::new();
    let _closed = served.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

#[tokio::test]
async fn a_patient_request_waits_until_somebody_listens() {
    let port = closed_port().await;
    let tasks = Tasks::new();
    tasks.spawn("late server", move |_token| async move {
        // Two attempts are in vain.
        tokio::time::sleep(REFUSED_PAUSE * 3 / 2).await;
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream).await;
        }
    });
    assert!(send(&get(port, "/empty"), 60 * SECOND).await.unwrap_err().ends_with("connection refused"));
    assert_eq!(send_patiently(&get(port, "/empty"), 60 * SECOND).await, Ok(()));
    // It listens, so that its answer counts at once.
    let why = send_patiently(&get(port, "/teapot"), 600 * SECOND).await.unwrap_err();
    assert!(why.ends_with("answered 418"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_patient_request_gives_up_in_its_time_and_names_the_reason() {
    let port = closed_port().await;
    let began = Instant::now();
    let why = send_patiently(&get(port, "/"), 10 * SECOND).await.unwrap_err();
    assert_eq!(why, format!("cannot connect to 127.0.0.1:{port}: connection refused for 10s"));
    assert_eq!(began.elapsed(), 10 * SECOND);
}

#[tokio::test]
async fn the_status_decides() {
    let (_server, port) = server(serve).await;
    for good in ["/empty", "/nothing", "/found", "/endless"] {
        assert_eq!(asked(get(port, good)).await, Ok(()), "{good}");
    }
    let at = format!("GET http://127.0.0.1:{port}");
    assert_eq!(asked(get(port, "/teapot")).await, Err(format!("{at}/teapot answered 418")));
    let shown = format!("over loaded [31m{}", "é".repeat(92));
    assert_eq!(shown.len(), 200);
    assert_eq!(asked(get(port, "/busy?x=1")).await, Err(format!("{at}/busy?x=1 answered 503: {shown}")));
    assert_eq!(asked(get(port, "/huge")).await, Err(format!("{at}/huge answered 500: {}", "x".repeat(200))));
    // The rest of the body is not waited for.
    assert_eq!(asked(get(port, "/endless-error")).await, Err(format!("{at}/endless-error answered 500: first")));
}

#[tokio::test]
async fn many_answers_that_end_with_the_connection_are_all_taken() {
    let (_server, port) = server(serve).await;
    for _ in 0..200 {
        for good in ["/empty", "/nothing"] {
            assert_eq!(asked(get(port, good)).await, Ok(()));
        }
    }
}

#[tokio::test]
async fn the_request_is_as_it_was_written() {
    let (_server, port) = server(serve).await;
    let agent = concat!("outrigger-probe/", env!("CARGO_PKG_VERSION"));
    let plain = asked(get(port, "/a?b=%20c")).await.unwrap_err();
    assert!(plain.ends_with(&format!("answered 500: GET /a?b=%20c 127.0.0.1:{port} {agent} */* - close")), "{plain}");
    let headers = [("Host", "app.local"), ("x-more", "1"), ("User-Agent", "me")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let other = HttpRequest { method: "POST".to_owned(), headers, ..get(port, "/") };
    let said = asked(other.clone()).await.unwrap_err();
    assert_eq!(said, format!("POST http://127.0.0.1:{port}/ answered 500: POST / app.local me */* 1 close"));
    assert_eq!(send(&other, SECOND).await, Err(said), "a step of the life cycle is told the same");
    let bad = HttpRequest { path: "/with space".to_owned(), ..get(port, "") };
    assert!(asked(bad).await.unwrap_err().starts_with("cannot send method or path of the request: "));
}

#[tokio::test]
async fn a_server_that_does_not_answer() {
    let (_server, port) = server(serve).await;
    let late = Err("no answer within 100ms".to_owned());
    let limit = Duration::from_millis(100);
    assert_eq!(super::look(ProbeCheck::Http(get(port, "/slow")), limit).await, late);
    assert_eq!(send(&get(port, "/slow"), limit).await, late);
    // A connection that is open, and nothing more.
    let (_server, port) = server(|stream| async move {
        let _held = stream;
        std::future::pending().await
    })
    .await;
    assert_eq!(super::look(ProbeCheck::Http(get(port, "/")), limit).await, late);
    let port = closed_port().await;
    assert_eq!(asked(get(port, "/")).await, Err(format!("cannot connect to 127.0.0.1:{port}: connection refused")));
}

/// A server that reads the request, writes these bytes and closes.
async fn says(bytes: &'static [u8]) -> (Tasks, u16) {
    server(move |mut stream| async move {
        let mut request = [0; 1024];
        let _read = stream.read(&mut request).await;
        let _written = stream.write_all(bytes).await;
    })
    .await
}

#[tokio::test]
async fn what_is_no_http_is_told() {
    for (bytes, expected) in [
        (&b""[..], "connection closed before message completed"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "connection closed before message completed"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "invalid HTTP version parsed"),
    ] {
        let (_server, port) = says(bytes).await;
        let why = asked(get(port, "/")).await.unwrap_err();
        assert_eq!(why, format!("http://127.0.0.1:{port}/ did not answer as an HTTP server: {expected}"));
    }
    // The body may break off: the status has been said.
    for (bytes, good) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"[..], true),
        (b"HTTP/1.0 200 OK\r\n\r\nold", true),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\nshort", false),
    ] {
        let (_server, port) = says(bytes).await;
        let expected = if good { Ok(()) } else { Err(format!("GET http://127.0.0.1:{port}/ answered 500: short")) };
        assert_eq!(asked(get(port, "/")).await, expected);
    }
}

#[tokio::test]
async fn tls_needs_no_certificate_that_anybody_trusts() {
    let key = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
    let pair = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], pair.clone_key())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let (_server, port) = server(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream).await;
                }
            }
        })
        .await;
        let over_tls = |host: &str, path: &str| HttpRequest { tls: true, host: host.to_owned(), ..get(port, path) };
        assert_eq!(asked(over_tls("127.0.0.1", "/nothing")).await, Ok(()));
        assert_eq!(asked(over_tls("localhost", "/empty")).await, Ok(()));
        let why = asked(over_tls("127.0.0.1", "/teapot")).await.unwrap_err();
        assert_eq!(why, format!("GET https://127.0.0.1:{port}/teapot answered 418"));
        // And a server with TLS is none without it.
        let why = asked(get(port, "/nothing")).await.unwrap_err();
        assert!(why.contains(&format!("http://127.0.0.1:{port}/nothing")), "{why}");
    }
    let (_server, port) = server(serve).await;
    let plain = HttpRequest { tls: true, ..get(port, "/nothing") };
    let why = asked(plain).await.unwrap_err();
    assert!(why.starts_with("the TLS connection to `127.0.0.1` failed: "), "{why}");
}
