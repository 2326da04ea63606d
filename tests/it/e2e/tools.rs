//! What operators use, on a real engine: registries with a password, and the commands that look at pods.

pub mod commands;
mod follow;
mod lines;
mod registry;
mod replicas;
mod tls;
