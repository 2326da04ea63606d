//! Patterns of image references.

use std::fmt;

use super::glob;

/// A pattern such as `registry.local/*`, `nginx:1.*` or `*@sha256:*`.
///
/// The name is compared in full (`docker.io/library/nginx`). A part that the pattern does not have is not looked at, except that a tag says nothing about an
/// image with a digest: the engine takes the digest then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePattern {
    text: String,
    name: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl ImagePattern {
    /// Reads one.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let parts = Parts::of(text);
        if parts.name.is_empty() || text.contains(char::is_whitespace) {
            return Err(format!("`{text}` is not an image pattern: expected for instance `registry.local/*`"));
        }
        Ok(Self {
            text: text.to_owned(),
            name: if parts.name.starts_with('*') { parts.name.to_owned() } else { full_name(parts.name) },
            tag: parts.tag.map(str::to_owned),
            digest: parts.digest.map(str::to_owned),
        })
    }

    /// Whether an image reference is what this says.
    #[must_use]
    pub fn matches(&self, image: &str) -> bool {
        let parts = Parts::of(image);
        let tag = match (parts.tag, parts.digest) {
            (_, Some(_)) => None,
            (tag, None) => Some(tag.unwrap_or("latest")),
        };
        let fits = |pattern: &Option<String>, found: Option<&str>| match (pattern.as_deref(), found) {
            (None | Some("*"), _) => true,
            (Some(pattern), Some(found)) => glob(pattern, found, false),
            (Some(_), None) => false,
        };
        // A tag beside a digest in the pattern is for people, as it is in a reference.
        let fits_tag = self.digest.is_some() || fits(&self.tag, tag);
        !may_be_an_id(image)
            && glob(&self.name, &full_name(parts.name), false)
            && fits_tag
            && match (&self.digest, parts.digest) {
                (None, _) => true,
                (Some(_), None) => false,
                (digest, found) => fits(digest, found),
            }
    }
}

impl fmt::Display for ImagePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The engine looks for an id, or the beginning of one, where no image has that name: any image of the node could be meant.
pub(super) fn may_be_an_id(image: &str) -> bool {
    let hex = image.strip_prefix("sha256:").unwrap_or(image);
    !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The reference with its registry and repository written out.
pub(super) fn full(image: &str) -> String {
    let parts = Parts::of(image);
    let mut text = full_name(parts.name);
    match (parts.tag, parts.digest) {
        (tag, None) => text.push_str(&format!(":{}", tag.unwrap_or("latest"))),
        (_, Some(digest)) => text.push_str(&format!("@{digest}")),
    }
    text
}

struct Parts<'a> {
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(image: &'a str) -> Self {
        let (rest, digest) = image.split_once('@').map_or((image, None), |(rest, digest)| (rest, Some(digest)));
        // A colon before the last slash is a port's.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        Self { name, tag, digest }
    }
}

/// As the engine reads names: without a registry it is Docker's, and without an organisation the library.
fn full_name(name: &str) -> String {
    let is_registry = |first: &str| first.contains(['.', ':']) || first == "localhost";
    match name.split_once('/') {
        Some(("docker.io" | "index.docker.io", rest)) if !rest.contains('/') => format!("docker.io/library/{rest}"),
        Some(("index.docker.io", rest)) => format!("docker.io/{rest}"),
        Some((first, _)) if is_registry(first) => name.to_owned(),
        Some(_) => format!("docker.io/{name}"),
        None => format!("docker.io/library/{name}"),
    }
}
