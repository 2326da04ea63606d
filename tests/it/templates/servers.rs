//! A server of templates on this machine, with and without TLS.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Serves until dropped.
pub struct Server {
    base: String,
    authority: Option<tempfile::NamedTempFile>,
    /// Connections that wait for the end: dropping it closes them.
    _open: Sender<()>,
}

impl Server {
    /// Speaks HTTP.
    pub fn plain() -> Self {
        Self::start(None, None)
    }

    /// Speaks HTTPS, with a certificate for `localhost` of an authority that nobody knows.
    pub fn tls() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let base64 = base64::engine::general_purpose::STANDARD.encode(authority.der());
        let lines: Vec<String> =
            base64.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        write!(file, "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n")).unwrap();
        Self::start(Some(Arc::new(config)), Some(file))
    }

    fn start(tls: Option<Arc<ServerConfig>>, authority: Option<tempfile::NamedTempFile>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let base = format!("{}://localhost:{port}", if tls.is_some() { "https" } else { "http" });
        let (open, closed) = channel();
        let closed = Arc::new(std::sync::Mutex::new(closed));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (tls, closed) = (tls.clone(), Arc::clone(&closed));
                thread::spawn(move || match tls {
                    Some(config) => answer(StreamOwned::new(ServerConnection::new(config).unwrap(), stream), &closed),
                    None => answer(stream, &closed),
                });
            }
        });
        Self { base, authority, _open: open }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The file with the authority's certificate.
    pub fn authority(&self) -> &Path {
        self.authority.as_ref().expect("this one speaks TLS").path()
    }
}

trait Shut {
    fn shut(&mut self);
}

impl Shut for TcpStream {
    fn shut(&mut self) {}
}

impl Shut for StreamOwned<ServerConnection, TcpStream> {
    fn shut(&mut self) {
        self.conn.send_close_notify();
        let _flushed = self.flush();
    }
}

fn answer(mut stream: impl Read + Write + Shut, closed: &std::sync::Mutex<Receiver<()>>) {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let body = b"served: {image: 'acme/{{ .Service.Name }}'}".to_vec();
    let (head, body) = match path {
        "/good" => (format!("200 OK\r\nContent-Length: {}", body.len()), body),
        "/moved" => ("302 Found\r\nLocation: /good\r\nContent-Length: 0".to_owned(), Vec::new()),
        "/loop" => ("302 Found\r\nLocation: /loop\r\nContent-Length: 0".to_owned(), Vec::new()),
        "/empty" => ("204 No Content".to_owned(), Vec::new()),
        "/long" => ("200 OK".to_owned(), vec![b'x'; 5 * 1024 * 1024]),
        "/binary" => ("200 OK\r\nContent-Length: 2".to_owned(), vec![0xff, 0xfe]),
        "/slow-body" => ("200 OK\r\nContent-Length: 100".to_owned(), b"a: b".to_vec()),
        "/silent" => (String::new(), Vec::new()),
        _ => ("404 Not Found\r\nContent-Length: 4".to_owned(), b"gone".to_vec()),
    };
    if path != "/silent" {
        let _gone = stream.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n").as_bytes());
        let _gone = stream.write_all(&body);
        let _gone = stream.flush();
    }
    if matches!(path, "/silent" | "/slow-body") {
        // Until the test is over.
        let _ended = closed.lock().map(|closed| closed.recv());
    }
    stream.shut();
}
