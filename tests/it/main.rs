//! The integration tests: one binary, since each one costs a link of the whole host.

#[cfg(test)]
mod plan;
