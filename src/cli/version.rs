//! `outrigger version`.

use serde_json::{Value, json};

use super::report::{Exit, Report};
use super::{Env, output, status};

/// What the image tells of its build, as podlike's did: key in the JSON, and variable.
const BUILD: [(&str, &str); 3] =
    [("build_arch", "BUILD_ARCH"), ("git_commit", "GIT_COMMIT"), ("build_timestamp", "BUILD_TIMESTAMP")];

/// The version, and for `--json` what scripts want to know beside it.
pub(super) fn run(as_json: bool, env: &Env) -> Result<Exit, Report> {
    // Elsewhere variables of such names are somebody else's.
    let told = |name: &str| env.get(name).filter(|value| !value.is_empty() && status::inside());
    let version = env!("CARGO_PKG_VERSION");
    if as_json {
        let mut document = json!({
            "name": "outrigger",
            "version": version,
            "plugin_api": "outrigger:pod@0.1.0",
            "arch": std::env::consts::ARCH,
            "os": std::env::consts::OS,
        });
        if let Value::Object(fields) = &mut document {
            fields
                .extend(BUILD.iter().filter_map(|(key, name)| Some(((*key).to_owned(), told(name)?.as_str().into()))));
        }
        output::json(&document)?;
    } else {
        let mut text = format!("outrigger {version} ({}/{})", std::env::consts::OS, std::env::consts::ARCH);
        if let Some(commit) = told("GIT_COMMIT") {
            text.push_str(&format!(", commit {commit}"));
        }
        if let Some(at) = told("BUILD_TIMESTAMP") {
            text.push_str(&format!(", {at}"));
        }
        output::text(&format!("{text}\n"))?;
    }
    Ok(Exit::Success)
}
