//! The integration tests: one binary, since each one costs a link of the whole host.

#[cfg(test)]
mod layering;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod watch;
#[cfg(test)]
mod cli;
