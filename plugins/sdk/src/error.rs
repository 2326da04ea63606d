//! Conveniences of [`Error`]; the type itself is generated.

use crate::Error;

impl Error {
    /// The configuration is wrong; `message` names the field.
    pub fn bad_config(message: impl Into<String>) -> Self {
        Self::BadConfig(message.into())
    }

    /// Anything else, in words for the operator.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }

    /// The words alone, for a log line or a health judgement. (`to_string` of the generated type is its `Debug` form.)
    #[must_use]
    pub fn message(&self) -> String {
        match self {
            Self::BadConfig(text) | Self::Denied(text) | Self::Failed(text) => text.clone(),
            Self::Retry(after_ms) => format!("requested a retry in {after_ms} ms"),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
