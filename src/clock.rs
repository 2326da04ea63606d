//! The time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long ago the Unix epoch was; nothing where the machine's clock stands before it.
#[must_use]
pub fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
