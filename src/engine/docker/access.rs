//! How an engine is reached: its address, TLS, and credentials for what it pulls.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fs;
use std::path::{Path, PathBuf};

use bollard::API_DEFAULT_VERSION;

use super::credentials::Places;
use super::fault;

/// How to reach an engine, and what it may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// `unix:///path`, `/path`, `tcp://host:port`, `http://host:port` or `https://host:port`; none: `/var/run/docker.sock`.
    pub address: Option<String>,
    /// Where `ca.pem`, `cert.pem` and `key.pem` lie; `tcp://` is TLS with it, and the engine's certificate is always checked.
    pub certificates: Option<PathBuf>,
    /// Where credentials for registries may be found.
    pub credentials: Places,
}

impl Access {
    /// Without TLS and credentials.
    #[must_use]
    pub fn plain(address: Option<&str>) -> Self {
        Self { address: address.map(str::to_owned), ..Self::default() }
    }

    /// As an environment says: `DOCKER_TLS_VERIFY` (anything but empty) or `DOCKER_CERT_PATH` ask for TLS on `tcp://`, with the certificates in
    /// `DOCKER_CERT_PATH`, else in `DOCKER_CONFIG`, else in `$HOME/.docker`.
    #[must_use]
    pub fn of(address: Option<&str>, env: &BTreeMap<String, String>) -> Self {
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let home = || Path::new(set("HOME").map_or("/root", String::as_str)).join(".docker");
        let certificates = match (set("DOCKER_CERT_PATH"), set("DOCKER_TLS_VERIFY")) {
            (Some(path), _) => Some(PathBuf::from(path)),
            (None, Some(_)) => Some(set("DOCKER_CONFIG").map_or_else(home, PathBuf::from)),
            (None, None) => None,
        };
        Self { certificates, credentials: Places::of(env), ..Self::plain(address) }
    }
}

/// A client over TLS.
pub(super) fn connect_tls(
    address: &str,
    directory: &Path,
    seconds: u64,
) -> Result<bollard::Docker, Box<dyn StdError + Send + Sync>> {
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|name| directory.join(name));
    // bollard would take a missing key for none, and the engine's refusal would tell nothing.
    for file in [&ca, &cert, &key] {
        fs::File::open(file).map_err(|error| fault::cause(format!("cannot read `{}`: {error}", file.display())))?;
    }
    bollard::Docker::connect_with_ssl(address, &key, &cert, &ca, seconds, API_DEFAULT_VERSION)
        .map_err(|error| Box::new(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn certificates_are_looked_for_where_docker_looks() {
        for (pairs, expected) in [
            (&[("HOME", "/h")][..], None),
            (&[("HOME", "/h"), ("DOCKER_TLS_VERIFY", "")], None),
            (&[("HOME", "/h"), ("DOCKER_TLS_VERIFY", "1")], Some("/h/.docker")),
            (&[("DOCKER_CONFIG", "/c"), ("DOCKER_TLS_VERIFY", "1")], Some("/c")),
            (&[("DOCKER_CERT_PATH", "/p"), ("DOCKER_TLS_VERIFY", "1")], Some("/p")),
            (&[("DOCKER_CERT_PATH", "/p")], Some("/p")),
        ] {
            let access = Access::of(Some("tcp://engine:2376"), &env(pairs));
            assert_eq!(access.certificates.as_deref(), expected.map(Path::new), "{pairs:?}");
        }
    }

    #[test]
    fn a_missing_certificate_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = connect_tls("tcp://localhost:1", directory.path(), 1).unwrap_err();
        assert!(error.to_string().contains("ca.pem"), "{error}");
    }
}
