//! The integration tests, in one binary.

mod logs;
mod watch;
