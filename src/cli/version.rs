//! `outrigger version`.

use serde_json::json;

use super::output;
use super::report::{Exit, Report};

/// The version, and for `--json` what scripts want to know beside it.
pub(super) fn run(as_json: bool) -> Result<Exit, Report> {
    let version = env!("CARGO_PKG_VERSION");
    if as_json {
        output::json(&json!({
            "name": "outrigger",
            "version": version,
            "plugin_api": "outrigger:pod@0.1.0",
            "arch": std::env::consts::ARCH,
            "os": std::env::consts::OS,
        }))?;
    } else {
        output::text(&format!("outrigger {version} ({}/{})\n", std::env::consts::OS, std::env::consts::ARCH))?;
    }
    Ok(Exit::Success)
}
