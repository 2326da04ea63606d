//! One component.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::fields::{Fields, Node, Read, Report};
use super::mounts::{self, Owner};
use super::volumes::Volumes;
use super::{engine, host, life, probes, rejected, shell, start};
use crate::labels::RawComponent;
use crate::pod::life::Role;
use crate::pod::{Component, ComponentName, EnvFile, EnvFormat, HealthCheck, Logging, values};

/// A component whose dependencies have not been looked up yet.
#[derive(Debug)]
pub struct Lowered {
    /// The component; `depends_on` and `copy` are filled in when all components are known. None where its name is wrong.
    pub component: Option<Component>,
    /// What it depends on.
    pub dependencies: Vec<life::Written>,
}

/// Lowers what is written about one component. None where it could not be read, which has been reported.
pub fn lower(raw: &RawComponent, known: &Volumes, report: &mut Report) -> Option<Lowered> {
    report.is_lenient = raw.is_lenient;
    let lowered = lower_body(raw, known, report);
    report.is_lenient = false;
    lowered
}

fn lower_body(raw: &RawComponent, known: &Volumes, report: &mut Report) -> Option<Lowered> {
    let name = ComponentName::new(&raw.name).map_err(|bad| raw.at.problem(bad.to_string()));
    let name = report.problems.take(name);
    let mut fields = Fields::new(&raw.at, raw.body.as_ref()?, report);
    let is_template = fields.report.is_template;
    let image = fields.required("image", |node| image(node, is_template));
    let entrypoint = fields.many("entrypoint", words);
    let command = fields.many("command", words);
    start::first_word(entrypoint.as_deref(), command.as_deref(), &mut fields);
    let working_dir = fields.read("working_dir", Node::absolute);
    let environment = fields.many("environment", environment).unwrap_or_default();
    let env_file = fields.many("env_file", env_files).unwrap_or_default();
    let labels = fields.many("labels", labels).unwrap_or_default();
    let user = fields.read("user", start::user);
    let tty = fields.flag("tty");
    let stdin_open = fields.flag("stdin_open");
    let stop_signal = fields.read("stop_signal", signal);
    let stop_grace_period = fields.read("stop_grace_period", Node::duration);
    let healthcheck = fields.many("healthcheck", healthcheck).flatten();
    let dependencies = fields.many("depends_on", life::depends_on).unwrap_or_default();
    let role = fields.read("role", life::role).unwrap_or_default();
    let essential = fields.read("essential", Node::bool);
    let restart = fields.many("restart", life::restart);
    life::contradictions(role, essential, restart.as_ref(), &mut fields);
    let essential = role != Role::Sidecar && essential.unwrap_or(true);
    let restart = restart.unwrap_or_else(|| role.restart());
    let probes = fields.many("probes", probes::probes).unwrap_or_default();
    let post_start = fields.many("post_start", life::steps).unwrap_or_default();
    let pre_stop = fields.many("pre_stop", life::steps).unwrap_or_default();
    let volumes_at = fields.place("volumes");
    let volumes = fields.many("volumes", |node, report| mounts::volumes(node, Owner::Component, report));
    let volumes: Vec<_> = volumes.unwrap_or_default().into_iter().map(|mount| known.resolved(mount)).collect();
    let tmpfs = fields.many("tmpfs", mounts::tmpfs).unwrap_or_default();
    mounts::check_targets(&volumes_at, &volumes, &tmpfs, fields.report);
    let host = host::settings(&mut fields);
    let logging = fields.many("logging", logging).flatten();
    fields.end(rejected::component_key);
    let component = name.map(|name| Component {
        image: image.unwrap_or_default(),
        entrypoint,
        command,
        working_dir,
        environment,
        env_file,
        labels,
        user,
        tty,
        stdin_open,
        stop_signal,
        stop_grace_period,
        healthcheck,
        role,
        essential,
        restart,
        probes,
        post_start,
        pre_stop,
        volumes,
        tmpfs,
        host,
        logging,
        ..Component::new(name, String::new())
    });
    Some(Lowered { component, dependencies })
}

/// An image's reference, in a form that the engine can take; in a template it may still have variables.
pub fn image(node: &Node<'_>, is_template: bool) -> Read<String> {
    let image = node.string()?;
    if image.trim().is_empty() {
        Err(node.problem("is empty"))
    } else if image.contains(char::is_whitespace) || !(is_template && image.contains('$') || is_reference(&image)) {
        // A `$` is that of a variable, which whoever deploys the stack file fills in.
        Err(node.problem(format!("`{image}` is not an image reference")))
    } else {
        Ok(image)
    }
}

/// Longest path of an image that an engine takes (`RepositoryNameTotalLengthMax` of the package `reference`). Older engines count the host, too.
const LONGEST_PATH: usize = 255;

/// Whether this can be `[host[:port]/]path[:tag][@digest]`; what is right in its form and still not there, only the engine knows.
fn is_reference(text: &str) -> bool {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let digest_right = digest.is_none_or(|digest| {
        digest.split_once(':').is_some_and(|(algorithm, hex)| {
            !algorithm.is_empty() && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
        })
    });
    // A `:` before the last `/` is that of a port.
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    let (path, tag) =
        match rest.rfind(':').filter(|colon| *colon >= last).and_then(|colon| rest.split_at_checked(colon)) {
            Some((path, tag)) => (path, tag.strip_prefix(':')),
            None => (rest, None),
        };
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let tag_right =
        tag.is_none_or(|tag| (1..=128).contains(&tag.len()) && tag.bytes().all(word) && !tag.starts_with(['.', '-']));
    let (host, path) = match path.split_once('/') {
        Some((host, path))
            if host.contains(|c: char| matches!(c, '.' | ':') || c.is_ascii_uppercase()) || host == "localhost" =>
        {
            (Some(host), path)
        }
        _ => (None, path),
    };
    let host_right = host.is_none_or(|host| {
        let bracketed = |b: u8| word(b) || matches!(b, b':' | b'[' | b']');
        host.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'[')
            && host.bytes().all(bracketed)
            && !host.ends_with(':')
    });
    let part_right = |part: &str| {
        part.bytes().all(|b| word(b) && !b.is_ascii_uppercase())
            && !part.starts_with(['.', '-', '_'])
            && !part.ends_with(['.', '-', '_'])
            && !part.is_empty()
    };
    digest_right && tag_right && host_right && path.len() <= LONGEST_PATH && path.split('/').all(part_right)
}

/// A command line as a shell would split it, or a list of words.
pub fn words(node: &Node<'_>, report: &mut Report) -> Vec<String> {
    if node.value.is_array() {
        return node.strings(Node::scalar, report);
    }
    let split = node.string().and_then(|line| {
        shell_words::split(&line).map_err(|_| node.problem(format!("`{line}` has a quote without a closing quote")))
    });
    shell::warn(node, report);
    report.problems.take(split).unwrap_or_default()
}

/// One path or a list of such, each alone or a map with `path`.
fn env_files(node: &Node<'_>, report: &mut Report) -> Vec<EnvFile> {
    let mut found = Vec::new();
    for item in node.items() {
        if !item.value.is_object() {
            let path = report.problems.take(item.word());
            found.extend(path.map(EnvFile::new));
            continue;
        }
        let Some(mut fields) = Fields::of(&item, "a path, or a map with `path`", report) else { continue };
        let path = fields.required("path", Node::word);
        let required = fields.read("required", Node::bool).unwrap_or(true);
        // The one word that the Compose specification knows.
        let format = fields.read("format", |node| match node.string()?.as_str() {
            "raw" => Ok(EnvFormat::Raw),
            other => Err(node.problem(format!("expected `raw`, found `{other}`"))),
        });
        fields.done();
        found.extend(path.map(|path| EnvFile { path, required, format: format.unwrap_or_default() }));
    }
    found
}

/// A signal by name or number.
fn signal(node: &Node<'_>) -> Read<i32> {
    values::signal(&node.scalar()?).map_err(|bad| node.problem(bad.to_string()))
}

/// `environment:`; without a value, the controller's own is passed through.
pub fn environment(node: &Node<'_>, report: &mut Report) -> IndexMap<String, Option<String>> {
    let pairs = node.pairs(report);
    for (at, name, _) in pairs.iter().filter(|(_, name, _)| name.contains(char::is_whitespace)) {
        let right = match name.split_once(':') {
            Some((name, value)) => format!("`{}={}`", name.trim(), value.trim()),
            None => "`NAME=value`".to_owned(),
        };
        report.warn(
            &at.problem(format!("`{name}` is read as the name of a variable"))
                .hint(format!("in a list, write {right}")),
        );
    }
    pairs.into_iter().map(|(_, name, value)| (name, value)).collect()
}

/// `labels:`; without a value, the label is empty.
pub fn labels(node: &Node<'_>, report: &mut Report) -> IndexMap<String, String> {
    let mut found = IndexMap::new();
    for (at, name, value) in node.pairs(report) {
        if name.starts_with("outrigger.") {
            report.push(at.problem("labels that begin with `outrigger.` are reserved for the controller"));
        }
        found.insert(name, value.unwrap_or_default());
    }
    found
}

/// A map, or a list of `name=value`, whose values are text.
pub fn options(node: &Node<'_>, report: &mut Report) -> BTreeMap<String, String> {
    node.pairs(report).into_iter().map(|(_, name, value)| (name, value.unwrap_or_default())).collect()
}

fn logging(node: &Node<'_>, report: &mut Report) -> Option<Logging> {
    let mut fields = Fields::of(node, "a map with `driver` and `options`", report)?;
    let driver = fields.read("driver", Node::word).unwrap_or_default();
    let options = fields.many("options", options).unwrap_or_default();
    fields.done();
    let logging = Logging { driver, options };
    engine::logging(node, &logging, report);
    start::logging(node, &logging, report);
    Some(logging)
}

fn healthcheck(node: &Node<'_>, report: &mut Report) -> Option<HealthCheck> {
    let mut fields = Fields::of(node, "a map with `test`", report)?;
    let disabled = fields.flag("disable");
    let test = fields.many("test", test).unwrap_or_default();
    let check = HealthCheck::Command {
        interval: fields.read("interval", probe),
        timeout: fields.read("timeout", probe),
        start_period: fields.read("start_period", probe),
        start_interval: fields.read("start_interval", probe),
        retries: fields.read("retries", |node| node.int(0..=i64::from(i32::MAX))).and_then(|it| u32::try_from(it).ok()),
        test: test.clone(),
    };
    fields.end(rejected::healthcheck_key);
    if disabled || test.first().is_some_and(|word| word == "NONE") { Some(HealthCheck::Disabled) } else { Some(check) }
}

/// A duration that the engine takes for a health check.
fn probe(node: &Node<'_>) -> Read<Duration> {
    let duration = node.duration()?;
    if !duration.is_zero() && duration < Duration::from_millis(1) {
        return Err(node.problem("is shorter than `1ms`"));
    }
    Ok(duration)
}

/// One string for the shell, or a list that begins with `NONE`, `CMD` or `CMD-SHELL`.
fn test(node: &Node<'_>, report: &mut Report) -> Vec<String> {
    if !node.value.is_array() {
        let line = match node.value {
            Value::String(_) => node.word(),
            _ => Err(node.expected("a string for the shell, or a list that begins with `CMD`")),
        };
        return match report.problems.take(line) {
            Some(line) => {
                if line.trim() == "NONE" {
                    let what =
                        "runs the command `NONE` in a shell, as Compose does; it does not disable the health check";
                    report.warn(&node.problem(what).hint("to disable the health check, write `disable: true`"));
                }
                vec!["CMD-SHELL".to_owned(), line]
            }
            None => Vec::new(),
        };
    }
    let test = node.strings(Node::scalar, report);
    match test.split_first() {
        None => {}
        Some((first, arguments)) => match (first.as_str(), arguments.len()) {
            ("NONE", 0) | ("CMD-SHELL", 1) => {}
            ("CMD", many) if many > 0 => {}
            ("NONE", _) => report.push(node.problem("nothing may follow `NONE`")),
            ("CMD", _) => report.push(node.problem("a program must follow `CMD`")),
            ("CMD-SHELL", _) => report.push(node.problem("exactly one string must follow `CMD-SHELL`")),
            (other, _) => report.push(
                node.problem(format!("expected `NONE`, `CMD` or `CMD-SHELL` first, found `{other}`"))
                    .hint("put `CMD` before the program"),
            ),
        },
    }
    test
}

#[cfg(test)]
mod tests {
    use super::is_reference;

    #[test]
    fn references_are_those_of_docker() {
        let digest = format!("nginx@sha256:{}", "0a".repeat(32));
        for right in [
            "nginx",
            "nginx:1.27-alpine",
            "acme/calc",
            "acme/calc:V_1.0",
            "localhost/x",
            "localhost:5000/x:y",
            "r.io:443/a/b__c/d.e:f",
            "[::1]:5000/x",
            "REG.io/x",
            "python:3-slim",
            &digest,
            "sha256",
            &format!("r.io/{digest}"),
            &"a".repeat(255),
        ] {
            assert!(is_reference(right), "{right}");
        }
        for wrong in [
            "",
            "nginx:",
            ":::",
            ":x",
            "a b",
            "Nginx",
            "a//b",
            "/a",
            "a/",
            "nginx@",
            "nginx@sha256:",
            "nginx@sha256:xyz",
            "a:b:c",
            "a:-b",
            "-a",
            "r.io:/x",
            "nginx::1",
            &"a".repeat(256),
            &format!("r.io/{}", "a/".repeat(130)),
        ] {
            assert!(!is_reference(wrong), "{wrong}");
        }
    }
}
