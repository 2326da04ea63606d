//! Integration tests: one binary, a module for each part.

#[cfg(test)]
mod cases;
