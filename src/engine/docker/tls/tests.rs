use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(issuer: &Issuer, usage: ExtendedKeyUsagePurpose) -> (CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().der().clone(), key)
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}

/// What `DOCKER_CERT_PATH` has.
fn folder(ca: &Issuer, client: &Issuer) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(client, ExtendedKeyUsagePurpose::ClientAuth);
    fs::write(folder.path().join("ca.pem"), pem("CERTIFICATE", ca.der())).unwrap();
    fs::write(folder.path().join("cert.pem"), pem("CERTIFICATE", &certificate)).unwrap();
    fs::write(folder.path().join("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
    folder
}

/// Answers one request of a client that `ca` has certified.
async fn answers(ca: &Issuer, listener: TcpListener) -> std::io::Result<()> {
    let provider = Arc::new(ring::default_provider());
    let mut trusted = RootCertStore::empty();
    trusted.add(ca.der().clone()).unwrap();
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), Arc::clone(&provider)).build().unwrap();
    let (certificate, key) = certificate(ca, ExtendedKeyUsagePurpose::ServerAuth);
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .unwrap();
    let (stream, _) = listener.accept().await?;
    let mut stream = TlsAcceptor::from(Arc::new(config)).accept(stream).await?;
    let mut request = [0; 1024];
    let _read = stream.read(&mut request).await?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK").await?;
    stream.shutdown().await
}

#[tokio::test]
async fn both_ends_must_be_certified() {
    let (ours, other) = (authority(), authority());
    for (ca, client, good) in [(&ours, &ours, true), (&other, &ours, false), (&ours, &other, false)] {
        for scheme in ["tcp", "https"] {
            let listener = TcpListener::bind("localhost:0").await.unwrap();
            let address = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
            let folder = folder(ca, client);
            let docker = connect(&address, folder.path(), 10).unwrap();
            let (answered, pong) = tokio::join!(answers(&ours, listener), docker.ping());
            assert_eq!(pong.is_ok(), good, "{pong:?}");
            assert_eq!(answered.is_ok(), good, "{answered:?}");
        }
    }
}

#[test]
fn only_what_the_file_holds_is_trusted() {
    let ca = authority();
    let folder = folder(&ca, &ca);
    assert_eq!(roots(&folder.path().join("ca.pem")).unwrap().len(), 1, "and none of this machine's");
}

#[test]
fn files_that_are_missing_or_hold_something_else_are_named() {
    let ca = authority();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        let folder = folder(&ca, &ca);
        let refused = || connect("tcp://localhost:1", folder.path(), 1).unwrap_err().to_string();
        fs::write(folder.path().join(name), "nothing").unwrap();
        assert!(refused().contains(name), "{}", refused());
        fs::remove_file(folder.path().join(name)).unwrap();
        assert!(refused().contains(name), "{}", refused());
    }
}
