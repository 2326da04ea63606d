//! TLS to an engine. bollard's own trusts the machine's roots beside `ca.pem`; here the engine must be certified by `ca.pem`, and by nothing else.

use std::error::Error as StdError;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bollard::{API_DEFAULT_VERSION, BollardRequest};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use super::fault;

type Result<T> = std::result::Result<T, Box<dyn StdError + Send + Sync>>;

/// A client for `tcp://host:port` or `https://host:port`, with the files in `directory`.
pub(super) fn connect(address: &str, directory: &Path, seconds: u64) -> Result<bollard::Docker> {
    let roots = roots(&directory.join("ca.pem"))?;
    let own = OwnKey { certificate: directory.join("cert.pem"), key: directory.join("key.pem") };
    // Read anew for each connection, and at first here: an engine's refusal would tell nothing.
    own.read()?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(own));
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    // As bollard: no connection is kept for a next call, which might find it closed.
    let client =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(HttpsConnector::from((tcp, config)));
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { Ok(answer.await?) }
    };
    let host = address.split_once("://").map_or(address, |(_scheme, host)| host);
    let address = format!("https://{host}");
    Ok(bollard::Docker::connect_with_custom_transport(transport, Some(address), seconds, API_DEFAULT_VERSION)?)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable = |error: &dyn std::fmt::Display| fault::cause(format!("cannot read `{}`: {error}", file.display()));
    let text = File::open(file).map_err(|error| unreadable(&error))?;
    let found: Vec<_> = CertificateDer::pem_reader_iter(text)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| unreadable(&error))?;
    if found.is_empty() { Err(unreadable(&"the file contains no certificate")) } else { Ok(found) }
}

fn roots(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| fault::cause(format!("cannot use `{}`: {error}", file.display())))?;
    }
    Ok(roots)
}

/// Who we are to the engine.
#[derive(Debug)]
struct OwnKey {
    certificate: PathBuf,
    key: PathBuf,
}

impl OwnKey {
    fn read(&self) -> Result<CertifiedKey> {
        let certificates = certificates(&self.certificate)?;
        let shown = self.key.display();
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| fault::cause(format!("cannot read `{shown}`: {error}")))?;
        CertifiedKey::from_der(certificates, key, &ring::default_provider())
            .map_err(|error| fault::cause(format!("cannot use `{shown}`: {error}")))
    }
}

impl ResolvesClientCert for OwnKey {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.read().ok().map(Arc::new)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
