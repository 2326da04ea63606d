//! Probes, and the requests that they and lifecycle steps send.

use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::component::words;
use super::fields::{Fields, Node, Read, Report};
use super::life::{at_least, count, one_of, positive};
use crate::pod::life::{HttpRequest, Probe, ProbeCheck, Probes, Unready};

/// Where a component of the same pod is.
const HERE: &str = "127.0.0.1";

/// Shorter ones would keep the controller busy.
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);

const PERIOD: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(1);
const FAILURES: u32 = 3;

/// The kinds of checks.
const CHECKS: [&str; 4] = ["http", "tcp", "grpc", "exec"];

/// `probes:`.
pub fn probes(node: &Node<'_>, report: &mut Report) -> Probes {
    let form = "a map with `startup`, `liveness` and `readiness`";
    let Some(mut fields) = Fields::of(node, form, report) else { return Probes::default() };
    let probes = Probes {
        startup: fields.many("startup", |node, report| probe(node, false, report)).flatten(),
        liveness: fields.many("liveness", |node, report| probe(node, false, report)).flatten(),
        readiness: fields.many("readiness", |node, report| probe(node, true, report)).flatten(),
    };
    fields.end(|key| {
        Some(match key {
            "startupProbe" => ("unknown key", "did you mean `startup`?"),
            "livenessProbe" => ("unknown key", "did you mean `liveness`?"),
            "readinessProbe" => ("unknown key", "did you mean `readiness`?"),
            key if CHECKS.contains(&key) => {
                ("there are three kinds of probes", "write this key below `startup`, `liveness` or `readiness`")
            }
            _ => return None,
        })
    });
    probes
}

fn probe(node: &Node<'_>, is_readiness: bool, report: &mut Report) -> Option<Probe> {
    let mut fields = Fields::of(node, "a map with `http`, `tcp`, `grpc` or `exec`", report)?;
    let http = fields.many("http", request).flatten().map(ProbeCheck::Http);
    let tcp = fields.many("tcp", tcp).flatten();
    let grpc = fields.many("grpc", grpc).flatten();
    let exec = fields.many("exec", exec).flatten();
    let written = only_one(node, CHECKS, fields.report);
    let initial_delay = fields.read("initial_delay", Node::duration).unwrap_or_default();
    let period = fields.read("period", |node| at_least(node, SHORTEST_PERIOD)).unwrap_or(PERIOD);
    let start_interval = fields.read("start_interval", |node| at_least(node, SHORTEST_PERIOD));
    let timeout = fields.read("timeout", positive).unwrap_or(TIMEOUT);
    let success_threshold = fields.read("success_threshold", |node| {
        let successes = count(node)?;
        if successes > 1 && !is_readiness {
            return Err(node.problem("must be 1").hint("only a readiness probe can have a higher threshold"));
        }
        Ok(successes)
    });
    let failure_threshold = fields.read("failure_threshold", count).unwrap_or(FAILURES);
    let unready = fields.read("unready", |node| {
        if !is_readiness {
            return Err(node.problem("is only valid for a readiness probe"));
        }
        one_of(node, [("unhealthy", Unready::Unhealthy), ("degraded", Unready::Degraded)])
    });
    fields.end(kubernetes);
    let check = match written? {
        "http" => http?,
        "tcp" => tcp?,
        "grpc" => grpc?,
        _ => exec?,
    };
    Some(Probe {
        check,
        initial_delay,
        period,
        start_interval,
        timeout,
        success_threshold: success_threshold.unwrap_or(1),
        failure_threshold,
        unready: unready.unwrap_or_default(),
    })
}

/// Other programs' names for our keys.
fn kubernetes(key: &str) -> Option<(&'static str, &'static str)> {
    let right = match key {
        "httpGet" => "did you mean `http`?",
        "tcpSocket" => "did you mean `tcp`?",
        "initialDelaySeconds" | "start_period" => "did you mean `initial_delay`? It is a duration such as `5s`",
        "periodSeconds" | "interval" => "did you mean `period`? It is a duration such as `10s`",
        "timeoutSeconds" => "did you mean `timeout`? It is a duration such as `1s`",
        "successThreshold" => "did you mean `success_threshold`?",
        "failureThreshold" | "retries" => "did you mean `failure_threshold`?",
        "test" | "command" => "did you mean `exec`?",
        "terminationGracePeriodSeconds" => {
            return Some(("a probe does not have its own grace period", "set `stop_grace_period` on the component"));
        }
        _ => return None,
    };
    Some(("unknown key", right))
}

/// Which one of these keys is written; a problem where it is none, or several.
pub fn only_one<const N: usize>(node: &Node<'_>, keys: [&'static str; N], report: &mut Report) -> Option<&'static str> {
    let written: Vec<_> =
        keys.into_iter().filter(|key| node.value.get(key).is_some_and(|value| !value.is_null())).collect();
    let quoted = |keys: &[&str]| keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    match written.as_slice() {
        [one] => return Some(one),
        [] => report.push(node.problem(format!("needs exactly one of {}", quoted(&keys)))),
        several => report.push(node.problem(format!("has {}; remove all except one", quoted(several)))),
    }
    None
}

/// A URL, or a map.
pub fn request(node: &Node<'_>, report: &mut Report) -> Option<HttpRequest> {
    if node.value.is_string() {
        return report.problems.take(node.string().and_then(|text| url(node, &text)));
    }
    let mut fields = Fields::of(node, "a URL, or a map with `port`", report)?;
    let port = fields.required("port", port);
    let path = fields.read("path", |node| {
        let path = node.string()?;
        if path.starts_with('/') && is_visible(&path) {
            Ok(path)
        } else {
            Err(node.problem(format!("`{path}` is not a path of a URL")).hint("a path begins with `/`"))
        }
    });
    let host = fields.read("host", host);
    let scheme = fields.read("scheme", |node| match node.string()?.to_ascii_lowercase().as_str() {
        "http" => Ok(false),
        "https" => Ok(true),
        other => Err(node.problem(format!("expected `http` or `https`, found `{other}`"))),
    });
    let tls = fields.read("tls", Node::bool);
    if let (Some(scheme), Some(tls)) = (scheme, tls)
        && scheme != tls
    {
        let problem = fields.place("tls").problem("contradicts `scheme`");
        fields.report.push(problem.hint("remove one of the two"));
    }
    let method = fields.read("method", method);
    let headers = fields.many("headers", headers).unwrap_or_default();
    fields.end(|key| (key == "httpHeaders").then_some(("unknown key", "did you mean `headers`? It is a map")));
    Some(HttpRequest {
        tls: scheme.or(tls).unwrap_or_default(),
        host: host.unwrap_or_else(|| HERE.to_owned()),
        port: port?,
        path: path.unwrap_or_else(|| "/".to_owned()),
        method: method.unwrap_or_else(|| "GET".to_owned()),
        headers,
    })
}

fn url(node: &Node<'_>, text: &str) -> Read<HttpRequest> {
    let bad = || node.problem(format!("`{text}` is not a URL, expected for instance `http://127.0.0.1:8080/healthz`"));
    let (tls, rest) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(bad().hint("a URL begins with `http://` or `https://`")),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).ok_or_else(bad)?;
    // What is behind a `#` is for browsers.
    let path = path.split_once('#').map_or(path, |(path, _)| path);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    if authority.contains('@') {
        return Err(node.problem("a URL with a user name is not supported").hint("use an `Authorization` header"));
    }
    // Within brackets, a `:` is part of an address.
    let colon = authority.rfind(':').filter(|colon| authority.rfind(']').is_none_or(|bracket| bracket < *colon));
    let (host, port) = match colon.and_then(|colon| authority.split_at_checked(colon)) {
        Some((host, port)) => (host, port.strip_prefix(':').and_then(port_number).ok_or_else(bad)?),
        None => (authority, if tls { 443 } else { 80 }),
    };
    let host = bare(host);
    if !is_host(host) || !is_visible(&path) {
        return Err(bad());
    }
    Ok(HttpRequest { tls, host: host.to_owned(), port, path, method: "GET".to_owned(), headers: IndexMap::new() })
}

/// A port, `host:port`, or a map.
fn tcp(node: &Node<'_>, report: &mut Report) -> Option<ProbeCheck> {
    let (host, port) = if node.value.is_object() {
        let mut fields = Fields::of(node, "a map with `port`", report)?;
        let port = fields.required("port", port);
        let host = fields.read("host", host);
        fields.done();
        (host.unwrap_or_else(|| HERE.to_owned()), port?)
    } else {
        report.problems.take(address(node))?
    };
    Some(ProbeCheck::Tcp { host, port })
}

/// A port, `host:port`, or a map.
fn grpc(node: &Node<'_>, report: &mut Report) -> Option<ProbeCheck> {
    if !node.value.is_object() {
        let (host, port) = report.problems.take(address(node))?;
        return Some(ProbeCheck::Grpc { host, port, service: String::new() });
    }
    let mut fields = Fields::of(node, "a map with `port`", report)?;
    let port = fields.required("port", port);
    let host = fields.read("host", host).unwrap_or_else(|| HERE.to_owned());
    let service = fields.read("service", Node::string).unwrap_or_default();
    fields.done();
    Some(ProbeCheck::Grpc { host, port: port?, service })
}

fn exec(node: &Node<'_>, report: &mut Report) -> Option<ProbeCheck> {
    if node.value.is_object() {
        report.push(
            node.expected("a command as text or a list")
                .hint("write the command directly after `exec:`, without `command:`"),
        );
        return None;
    }
    let before = report.problems.0.len();
    let command = words(node, report);
    if report.problems.0.len() > before {
        return None;
    }
    if command.is_empty() {
        report.push(node.problem("is empty"));
        return None;
    }
    Some(ProbeCheck::Exec(command))
}

fn port(node: &Node<'_>) -> Read<u16> {
    if let Value::String(text) = node.value
        && text.bytes().any(|b| !b.is_ascii_digit() && !b.is_ascii_whitespace())
    {
        return Err(node.problem(format!("`{text}` is not a port")).hint("ports have no names here: write the number"));
    }
    let port = node.int(1..=65535)?;
    u16::try_from(port).map_err(|_| node.problem("is too large"))
}

fn port_number(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| *port > 0)
}

/// `port` or `host:port`.
fn address(node: &Node<'_>) -> Read<(String, u16)> {
    match node.value {
        Value::String(text) if text.contains(':') => {
            let found = text.rsplit_once(':').map(|(host, port)| (bare(host), port_number(port)));
            match found {
                Some((host, Some(port))) if is_host(host) => Ok((host.to_owned(), port)),
                _ => Err(node.problem(format!("`{text}` is neither a port nor `host:port`"))),
            }
        }
        Value::String(_) | Value::Number(_) => port(node).map(|port| (HERE.to_owned(), port)),
        _ => Err(node.expected("a port, `host:port`, or a map with `port`")),
    }
}

fn host(node: &Node<'_>) -> Read<String> {
    let text = node.string()?;
    let host = bare(&text);
    if is_host(host) {
        Ok(host.to_owned())
    } else {
        Err(node.problem(format!("`{text}` is neither the name of a host nor an address")))
    }
}

/// Without the brackets around an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

fn is_host(host: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    host.parse::<std::net::IpAddr>().is_ok() || (!host.is_empty() && host.bytes().all(word))
}

/// Whether all of it can stand in the first line of a request.
fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn method(node: &Node<'_>) -> Read<String> {
    let method = node.string()?;
    if is_token(&method) {
        Ok(method.to_ascii_uppercase())
    } else {
        Err(node.problem(format!("`{method}` is not a method of HTTP")))
    }
}

fn headers(node: &Node<'_>, report: &mut Report) -> IndexMap<String, String> {
    // Kubernetes has a list of such maps.
    if node.items().iter().any(|item| item.value.get("name").is_some() && item.value.get("value").is_some())
        && node.value.is_array()
    {
        report.push(node.problem("expected a map of names and values").hint("write for instance `{X-Probe: yes}`"));
        return IndexMap::new();
    }
    let mut found = IndexMap::new();
    for (at, name, value) in node.pairs(report) {
        let value = value.unwrap_or_default();
        if !is_token(&name) {
            report.push(at.problem(format!("`{name}` is not the name of a header")));
        } else if value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
            report.push(at.problem("a header can't hold control characters"));
        } else {
            found.insert(name, value);
        }
    }
    found
}
