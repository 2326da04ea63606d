//! The seam to where the text of templates comes from, and the order in which sources are tried.

use super::source::Template;
use crate::labels::Place;
use crate::problem::Problems;

/// Where the text of a template comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A path, relative to the folder of the first stack file.
    File(String),
    /// The text itself.
    Inline(String),
    /// An address.
    Http {
        /// Beginning with `http://` or `https://`.
        url: String,
        /// Whether the server may show any certificate.
        insecure: bool,
    },
}

impl Origin {
    /// What a plain text names: an address or a path.
    #[must_use]
    pub fn named(text: &str, insecure: bool) -> Self {
        if is_url(text) { Self::Http { url: text.to_owned(), insecure } } else { Self::File(text.to_owned()) }
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::File(path) => path,
            Self::Inline(_) => "inline",
            Self::Http { url, .. } => url,
        }
    }
}

/// Whether it is the address of a template.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let has = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    has("http://") || has("https://")
}

/// Why a text could not be had: a lower-case fragment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Gives what templates are made of. Implementations bound time and size.
pub trait Sources {
    /// The text of a file; relative paths are meant from the folder of the first stack file.
    ///
    /// # Errors
    /// Why it can't be read.
    fn file(&mut self, path: &str) -> Result<String, FetchError>;

    /// What a server answers with the status 200.
    ///
    /// # Errors
    /// That the server can't be reached, can't be trusted, answers something else, is too slow, or too long.
    fn http(&mut self, url: &str, insecure: bool) -> Result<String, FetchError>;

    /// A variable of the environment in which the stack is rendered.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The text of the first source that has one, with its name.
pub fn text(template: &Template, sources: &mut dyn Sources, problems: &mut Problems) -> Option<(String, String)> {
    let mut failed = Vec::new();
    for origin in &template.origins {
        let fetched = match origin {
            Origin::Inline(text) => Ok(text.clone()),
            Origin::File(path) => sources.file(path),
            Origin::Http { url, insecure } => sources.http(url, *insecure),
        };
        match fetched {
            Ok(text) => return Some((origin.name().to_owned(), text)),
            Err(error) => failed.push(format!("`{}`: {error}", origin.name())),
        }
    }
    problems.push(missing(&template.at, &failed));
    None
}

fn missing(at: &Place, failed: &[String]) -> crate::problem::Problem {
    let problem = at.problem(format!("cannot get the template {}", failed.join(", and its fallback ")));
    match failed {
        [_] => problem.hint("to use another template in this case, write a `fallback` below `file` or `http`"),
        _ => problem,
    }
}
