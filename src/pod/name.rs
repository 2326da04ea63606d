//! Names that cannot be wrong.

use std::fmt;

/// Longest name, in bytes: a DNS label's.
const LONGEST: usize = 63;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{raw}` is not a name: expected 1 to {LONGEST} letters, digits, `_`, `.` or `-`, beginning with a letter or a digit"
)]
pub struct BadName {
    raw: String,
}

fn checked(raw: &str) -> Result<String, BadName> {
    let first = raw.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = raw.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && raw.len() <= LONGEST { Ok(raw.to_owned()) } else { Err(BadName { raw: raw.to_owned() }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Checks the name.
            ///
            /// # Errors
            /// [`BadName`] where it is empty, too long or has other characters than a container's name may have.
            pub fn new(raw: &str) -> Result<Self, BadName> {
                checked(raw).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// The name of a component: what may be part of a container's name.
    ComponentName
}
name! {
    /// The name of a plugin in its pod.
    PluginName
}
