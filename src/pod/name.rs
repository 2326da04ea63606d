//! Names that cannot be wrong.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

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

/// Counts each look at a name, so that a test notices code that looks at every component once for every other one.
#[cfg(test)]
pub(crate) mod looks {
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn add() {
        LOOKS.set(LOOKS.get() + 1);
    }

    /// How many `work` needs.
    pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (T, u64) {
        let before = LOOKS.get();
        let done = work();
        (done, LOOKS.get() - before)
    }
}

#[inline]
fn looked_at() {
    #[cfg(test)]
    looks::add();
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Eq)]
        pub struct $name(String);

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                looked_at();
                self.0 == other.0
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                looked_at();
                self.0.cmp(&other.0)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                looked_at();
                self.0.hash(state);
            }
        }

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
                looked_at();
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
                looked_at();
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
