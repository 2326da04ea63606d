//! Where templates come from: files beside the stack file, and servers.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Env;
use crate::files::open_regular;
use crate::template::{FetchError, Sources};

/// Longest template and environment file, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Most redirections that are followed, as Go's client does.
const MOST_REDIRECTS: u32 = 10;

/// Reads files from a folder, and fetches from servers within a deadline.
pub(super) struct Fetcher<'e> {
    folder: PathBuf,
    timeout: Duration,
    env: &'e Env,
}

impl<'e> Fetcher<'e> {
    /// `folder` is where relative paths begin; `timeout` is for each address, its redirections among it.
    pub(super) fn new(folder: &Path, timeout: Duration, env: &'e Env) -> Self {
        Self { folder: folder.to_owned(), timeout, env }
    }
}

impl Sources for Fetcher<'_> {
    fn file(&mut self, path: &str) -> Result<String, FetchError> {
        let path = self.folder.join(path);
        let failed = |error: std::io::Error| FetchError(plain(&error));
        // A pipe would make us wait for whoever writes to it; a file may well lie elsewhere, by a link.
        let real = path.canonicalize().map_err(failed)?;
        let (file, _) = open_regular(&real).map_err(failed)?;
        text(file)
    }

    fn http(&mut self, url: &str, insecure: bool) -> Result<String, FetchError> {
        let roots = if insecure { RootCerts::WebPki } else { roots() };
        let tls = TlsConfig::builder().root_certs(roots).disable_verification(insecure).build();
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(self.timeout))
            .max_redirects(MOST_REDIRECTS)
            .tls_config(tls)
            .user_agent(concat!("outrigger/", env!("CARGO_PKG_VERSION")))
            .build();
        let answer = config.new_agent().get(url).call().map_err(|error| told(&error))?;
        let status = answer.status().as_u16();
        // Others that mean success come without the template.
        if status != 200 {
            return Err(FetchError(format!("the server answers {status}")));
        }
        text(answer.into_body().into_reader())
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).cloned()
    }
}

/// The certificate authorities of this machine; where it has none, as in a container of the image, those that browsers trust.
fn roots() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    let certificates: Vec<Certificate<'static>> =
        found.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect();
    RootCerts::new_with_certs(&certificates)
}

fn text(reader: impl Read) -> Result<String, FetchError> {
    let mut bytes = Vec::new();
    reader.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| from_io(&error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err(FetchError(format!("the answer is longer than {LONGEST} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| FetchError("the answer is not UTF-8 text".to_owned()))
}

fn from_io(error: &std::io::Error) -> FetchError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(error) => told(error),
        None => FetchError(plain(error)),
    }
}

/// Without the number of the error, which tells a user nothing.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn told(error: &ureq::Error) -> FetchError {
    FetchError(match error {
        ureq::Error::StatusCode(status) => format!("the server answers {status}"),
        ureq::Error::Timeout(_) => "the server did not answer in time; `--http-timeout` sets the limit".to_owned(),
        ureq::Error::HostNotFound => "the host name cannot be resolved".to_owned(),
        ureq::Error::Rustls(error) => certificate(&error.to_string()),
        // What TLS says comes wrapped.
        ureq::Error::Io(error) if error.get_ref().is_some() => certificate(&plain(error)),
        ureq::Error::Io(error) => plain(error),
        other => other.to_string(),
    })
}

fn certificate(text: &str) -> String {
    let remedy = if text.contains("certificate") {
        "; `insecure: true` beside `url` turns the verification of the certificate off"
    } else {
        ""
    };
    format!("{text}{remedy}")
}
