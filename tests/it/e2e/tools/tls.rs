//! An engine behind TLS: the real socket, with a proxy in front that wants a client's certificate.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::support::engine_or_fail;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name`, and its key.
fn certificate(issuer: &Issuer, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap(), key)
}

fn pem(kind: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// Writes what `DOCKER_CERT_PATH` has.
fn folder(path: &Path, ca: &Issuer, client: &Issuer) {
    fs::create_dir_all(path).unwrap();
    let (certificate, key) = certificate(client, "client", ExtendedKeyUsagePurpose::ClientAuth);
    fs::write(path.join("ca.pem"), pem("CERTIFICATE", ca.der())).unwrap();
    fs::write(path.join("cert.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
    fs::write(path.join("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
}

/// Serves the engine's socket; answers its port. Its threads end with the process.
fn proxy(ca: &Issuer, socket: &'static str) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let (certificate, key) = certificate(ca, "localhost", ExtendedKeyUsagePurpose::ServerAuth);
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (config, stream) = (Arc::clone(&config), stream.unwrap());
            thread::spawn(move || {
                // A handshake that fails is the test's point.
                let _served = serve(config, stream, socket);
            });
        }
    });
    port
}

/// One connection: requests and answers in turn, as they come; both ends are polled, since TLS has one state for both ways.
fn serve(config: Arc<ServerConfig>, stream: TcpStream, socket: &str) -> io::Result<()> {
    let mut client = StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, stream);
    client.conn.complete_io(&mut client.sock)?;
    let mut engine = UnixStream::connect(socket)?;
    let look = Some(Duration::from_millis(5));
    client.sock.set_read_timeout(look)?;
    engine.set_read_timeout(look)?;
    let mut buffer = [0; 16 * 1024];
    let waits = |error: &io::Error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return engine.shutdown(Shutdown::Both),
            Ok(length) => engine.write_all(&buffer[..length])?,
            Err(error) if waits(&error) => {}
            Err(error) => return Err(error),
        }
        match engine.read(&mut buffer) {
            Ok(0) => {
                client.conn.send_close_notify();
                client.flush()?;
                return Ok(());
            }
            Ok(length) => client.write_all(&buffer[..length])?,
            Err(error) if waits(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn ps(port: u16, host: &str, folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["ps", "--json"])
        .env_clear()
        .env("DOCKER_HOST", format!("tcp://{host}:{port}"))
        .env("DOCKER_TLS_VERIFY", "1")
        .env("DOCKER_CERT_PATH", folder)
        .output()
        .unwrap()
}

#[tokio::test]
async fn an_engine_is_reached_over_tls_and_only_with_the_right_certificates() {
    if engine_or_fail().await.is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (ours, other) = (authority(), authority());
    let port = proxy(&ours, "/var/run/docker.sock");
    let at = |name: &str| directory.path().join(name);
    folder(&at("good"), &ours, &ours);
    folder(&at("wrong-ca"), &other, &ours);
    folder(&at("wrong-client"), &ours, &other);

    let done = ps(port, "localhost", &at("good"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap().is_array());
    for (host, folder) in [("localhost", "wrong-ca"), ("localhost", "wrong-client"), ("127.0.0.1", "good")] {
        let done = ps(port, host, &at(folder));
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(125), "{host} {folder}: {told}");
        assert!(told.contains("no container engine at `tcp://"), "{told}");
    }
    let done = ps(port, "localhost", &at("nothing"));
    assert!(String::from_utf8_lossy(&done.stderr).contains("ca.pem"), "{:?}", done.stderr);
}
