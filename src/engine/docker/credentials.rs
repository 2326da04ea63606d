//! Credentials for registries: found in the files of the docker command and of podlike, fresh for each pull.
//!
//! No secret leaves this module except in the header of a pull. The types that hold one do not print it, and a file that can't be understood is told by
//! line and column, because a parser's own message may quote what it has read.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hyper::header::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tracing::warn;

use crate::engine::{EngineError, Fault};

/// Docker Hub, as references name it.
const HUB: &str = "docker.io";

/// Docker Hub, as the docker command names it in its file, and the engine in its list of registries.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where Swarm puts a secret of this name: `docker secret create docker-config.json ~/.docker/config.json`.
const SECRET: &str = "/run/secrets/docker-config.json";

/// podlike's own file, with and without the `/var/run` link of most images.
const PODLIKE: [&str; 2] =
    ["/var/run/secrets/podlike/dockerregistryauth.json", "/run/secrets/podlike/dockerregistryauth.json"];

/// Longest file that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// The header in which the engine takes credentials.
pub(super) const HEADER: &str = "x-registry-auth";

/// The files that may hold credentials, in the order in which they are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places(Vec<PathBuf>);

impl Places {
    /// No files: images are pulled without credentials.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These files.
    #[must_use]
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self(files)
    }

    /// Those that an environment leads to:
    ///
    /// 1. `$DOCKER_CONFIG/config.json` where the variable is set; else `$HOME/.docker/config.json`, then `/root/.docker/config.json`,
    /// 2. `/run/secrets/docker-config.json`,
    /// 3. podlike's `/var/run/secrets/podlike/dockerregistryauth.json`, also below `/run`.
    ///
    /// A file that is not there is passed over; the first one that has something for the registry decides.
    #[must_use]
    pub fn of(env: &BTreeMap<String, String>) -> Self {
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let mut files = match set("DOCKER_CONFIG") {
            Some(directory) => vec![directory.join("config.json")],
            None => set("HOME")
                .into_iter()
                .chain([PathBuf::from("/root")])
                .map(|home| home.join(".docker/config.json"))
                .collect(),
        };
        files.push(SECRET.into());
        files.extend(PODLIKE.map(PathBuf::from));
        let mut seen = std::collections::BTreeSet::new();
        files.retain(|file| seen.insert(file.clone()));
        Self(files)
    }

    /// The files, in order.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// What the files have for the registry of `image`. Problems with a file are warned of, and the next one is asked.
    pub(super) async fn find(&self, image: &str) -> Found {
        let reference = Reference::parse(image);
        let mut found = Found { registry: reference.registry.to_owned(), ..Found::default() };
        for file in &self.0 {
            let text = match read(file).await {
                Ok(text) => text,
                Err(error) if is_absent(&error) => continue,
                Err(error) => {
                    warn!(file = %file.display(), %error, "cannot read this file of registry credentials; the file is ignored");
                    found.notes.push(format!("`{}` cannot be read", file.display()));
                    continue;
                }
            };
            found.looked.push(file.clone());
            let config: Config = match serde_json::from_slice(&text) {
                Ok(config) => config,
                Err(error) => {
                    let (line, column) = (error.line(), error.column());
                    warn!(file = %file.display(), line, column, "this file of registry credentials does not have the format of `docker login`; the file is ignored");
                    found.notes.push(format!("`{}` is damaged at line {line}, column {column}", file.display()));
                    continue;
                }
            };
            match config.entry(&reference) {
                Looked::Found(credentials) => {
                    found.credentials = Some(credentials);
                    found.file = Some(file.clone());
                    return found;
                }
                Looked::Damaged(why) => {
                    warn!(registry = %found.registry, file = %file.display(), "the credentials for this registry cannot be used: {why}");
                    found.notes.push(format!("the credentials in `{}` cannot be used: {why}", file.display()));
                }
                Looked::Helper { program, is_sure } => {
                    if is_sure {
                        warn!(registry = %found.registry, file = %file.display(), "the helper `docker-credential-{program}` has the credentials for this registry, but the helper cannot run here");
                    }
                    found.notes.push(format!(
                        "`{}` refers to the helper `docker-credential-{program}`, which cannot run here: write the credentials into `auths` of this file",
                        file.display()
                    ));
                }
                Looked::Nothing => {}
            }
        }
        found
    }
}

/// A file that can't be there is as good as one that is not.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

async fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its writer, for ever.
    if !tokio::fs::metadata(path).await?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a regular file"));
    }
    let mut text = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    if file.take(LONGEST + 1).read_to_end(&mut text).await? as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("the file is longer than {LONGEST} bytes")));
    }
    Ok(text)
}

/// What was found for one pull, and how.
#[derive(Debug, Default)]
pub(super) struct Found {
    registry: String,
    credentials: Option<Credentials>,
    file: Option<PathBuf>,
    /// Files that were there.
    looked: Vec<PathBuf>,
    /// Why a file did not help.
    notes: Vec<String>,
}

impl Found {
    /// The value of [`HEADER`]; none where there are no credentials.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let json = serde_json::to_vec(self.credentials.as_ref()?).ok()?;
        // The engine reads only the alphabet for URLs here; what it can't read, it silently takes for no credentials.
        let mut value = HeaderValue::from_str(&URL_SAFE.encode(json)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Adds to a refusal for want of (right) credentials, see [`is_denial`](super::fault::is_denial), for which registry, and from where they were taken.
    pub(super) fn explain(&self, error: EngineError) -> EngineError {
        let EngineError::Refused { verb, object, message, .. } = &error else { return error };
        let registry = &self.registry;
        let mut told = match &self.file {
            Some(file) => format!("{message}; the credentials for registry `{registry}` are from `{}`", file.display()),
            None => format!("{message}; there are no credentials for registry `{registry}`"),
        };
        if self.file.is_none() && !self.looked.is_empty() {
            let files: Vec<_> = self.looked.iter().map(|file| format!("`{}`", file.display())).collect();
            told.push_str(&format!(" in {}", files.join(", ")));
        } else if self.file.is_none() {
            told.push_str(": mount the `config.json` of `docker login`");
        }
        for note in &self.notes {
            told.push_str("; ");
            told.push_str(note);
        }
        EngineError::Refused { verb, object: object.clone(), message: told, fault: Fault::Permanent }
    }
}

/// An image reference, as far as it matters for credentials.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    /// `docker.io`, `registry:5000`, …
    registry: &'a str,
    /// Without tag and digest.
    repository: &'a str,
}

impl<'a> Reference<'a> {
    /// By the grammar of references: the part before the first slash is a registry where it has a dot, a port or a capital letter, or is `localhost`.
    fn parse(image: &'a str) -> Self {
        let is_registry = |part: &str| {
            part == "localhost" || part.contains(['.', ':']) || part.bytes().any(|byte| byte.is_ascii_uppercase())
        };
        let (registry, rest) = match image.split_once('/') {
            Some((first, rest)) if is_registry(first) => (first, rest),
            _ => (HUB, image),
        };
        let rest = rest.split_once('@').map_or(rest, |(name, _digest)| name);
        let repository = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => name,
            _ => rest,
        };
        Self { registry: if registry == "index.docker.io" { HUB } else { registry }, repository }
    }
}

/// A docker command's `config.json`; podlike's file is the same with `auths` alone.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default, rename = "credHelpers")]
    helpers: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What one file has for a registry.
#[derive(Debug)]
enum Looked {
    Found(Credentials),
    /// There is an entry, and this is wrong with it.
    Damaged(&'static str),
    /// Another program keeps them; it is sure where the file names the registry.
    Helper {
        program: String,
        is_sure: bool,
    },
    Nothing,
}

impl Config {
    fn entry(&self, reference: &Reference) -> Looked {
        let auths = self.auths.iter().flatten();
        let best = auths.filter_map(|(key, entry)| Some((rank(key, reference)?, entry))).max_by_key(|(rank, _)| *rank);
        let looked = best.map(|(_, entry)| entry.lowered(reference.registry));
        if let Some(looked @ (Looked::Found(_) | Looked::Damaged(_))) = looked {
            return looked;
        }
        let helper = self.helpers.iter().flatten().find(|(key, _)| rank(key, reference).is_some());
        let program = |program: &String| program.chars().filter(|c| !c.is_control()).take(64).collect();
        match (helper, &self.store) {
            (Some((_, helper)), _) => Looked::Helper { program: program(helper), is_sure: true },
            // What `docker login` leaves of an entry that it gave to a store is `{}`.
            (None, Some(store)) if !store.is_empty() => {
                Looked::Helper { program: program(store), is_sure: looked.is_some() }
            }
            _ => Looked::Nothing,
        }
    }
}

/// How well a key of `auths` fits; none where it does not. A key with a path and no scheme is for repositories below that path alone.
fn rank(key: &str, reference: &Reference) -> Option<usize> {
    let (has_scheme, plain) = match key.split_once("://") {
        Some(("http" | "https", rest)) => (true, rest),
        Some(_) => return None,
        None => (false, key),
    };
    let (host, path) = plain.split_once('/').unwrap_or((plain, ""));
    let host = if host == "index.docker.io" { HUB } else { host };
    if host != reference.registry {
        return None;
    }
    match path.trim_matches('/') {
        "" => Some(2),
        // Of the registry's API; this is what the docker command writes for Docker Hub.
        "v1" | "v2" => Some(if key == HUB_KEY { 3 } else { 1 }),
        _ if has_scheme => Some(0),
        path => {
            let rest = reference.repository.strip_prefix(path)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(3 + path.len())
        }
    }
}

impl Entry {
    fn lowered(&self, registry: &str) -> Looked {
        let given = |value: &Option<String>| value.clone().filter(|value| !value.is_empty());
        let mut credentials = Credentials {
            username: given(&self.username),
            password: given(&self.password),
            identity_token: given(&self.identitytoken),
            registry_token: given(&self.registrytoken),
            server: if registry == HUB { HUB_KEY } else { registry }.to_owned(),
        };
        if let Some(auth) = given(&self.auth) {
            let Some((username, password)) = decoded(&auth) else {
                return Looked::Damaged("`auth` is not the base64 form of `user:password`");
            };
            credentials.username = Some(username);
            // With an identity token the docker command leaves it empty.
            credentials.password = Some(password).filter(|password| !password.is_empty());
        }
        let Credentials { username, password, identity_token, registry_token, .. } = &credentials;
        if identity_token.is_some() || registry_token.is_some() || (username.is_some() && password.is_some()) {
            return Looked::Found(credentials);
        }
        match (username, password) {
            (None, None) => Looked::Nothing,
            (Some(_), _) => Looked::Damaged("the password is missing"),
            (None, Some(_)) => Looked::Damaged("the user name is missing"),
        }
    }
}

fn decoded(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    // Old versions of the docker command filled it up.
    (!username.is_empty()).then(|| (username.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// As the engine takes them.
#[derive(Clone, PartialEq, Eq, Serialize)]
struct Credentials {
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(rename = "identitytoken", skip_serializing_if = "Option::is_none")]
    identity_token: Option<String>,
    #[serde(rename = "registrytoken", skip_serializing_if = "Option::is_none")]
    registry_token: Option<String>,
    #[serde(rename = "serveraddress")]
    server: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
