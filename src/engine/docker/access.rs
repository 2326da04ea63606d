//! How an engine is reached: its address, TLS, and credentials for what it pulls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::credentials::Places;

/// How to reach an engine, and what it may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// `unix:///path`, `/path`, `tcp://host:port`, `http://host:port` or `https://host:port`; none: `/var/run/docker.sock`.
    pub address: Option<String>,
    /// Where `ca.pem`, `cert.pem` and `key.pem` lie; `tcp://` is TLS with it, and the engine's certificate is always checked against `ca.pem` alone.
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
}
