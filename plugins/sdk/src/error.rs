//! Conveniences of [`Error`]; the type itself is generated.

use crate::Error;

impl Error {
    /// An error with one of the contract's codes, and no delay.
    pub fn new(code: impl Into<String>, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into(), retry_ms: None }
    }

    /// The configuration is wrong; `text` names the field.
    pub fn bad_config(text: impl Into<String>) -> Self {
        Self::new("bad-config", text)
    }

    /// Any error without a code of its own, in words for the operator.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new("failed", text)
    }

    /// A temporary problem: the host calls the hook again after so many milliseconds.
    pub fn retry(after_ms: u32, text: impl Into<String>) -> Self {
        Self { retry_ms: Some(after_ms), ..Self::new("not-ready", text) }
    }

    /// Whether a grant is missing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.code == "denied"
    }

    /// The words alone, for a log line or a health judgement. (`to_string` of the generated type is its `Debug` form.)
    #[must_use]
    pub fn message(&self) -> String {
        match self.retry_ms {
            Some(after_ms) if self.text.is_empty() => format!("requested a retry in {after_ms} ms"),
            _ => self.text.clone(),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// A mistake in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place as a dotted path with indexes, for instance `rules[2].path`; empty for the configuration as a whole.
    pub path: String,
    /// The mistake.
    pub what: String,
    /// The remedy.
    pub hint: Option<String>,
}

impl Problem {
    /// A mistake at a place.
    pub fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into(), hint: None }
    }

    /// The same with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// All mistakes in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Error> for Problems {
    fn from(error: Error) -> Self {
        Self(vec![Problem::new("", error.message())])
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, Problem { path, what, .. }) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "; " };
            if path.is_empty() {
                write!(f, "{comma}{what}")?;
            } else {
                write!(f, "{comma}`{path}`: {what}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
