//! The `controller:` part of a `pod.yaml`.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::component::{environment, image, labels};
use super::fields::{Fields, Node, Read, Report};
use super::mounts::{self, Owner};
use super::rejected;
use super::volumes::Volumes;
use crate::labels::Place;
use crate::pod::ports::{BadPort, Port};
use crate::pod::values::format_duration;
use crate::pod::{ComponentName, ControllerSpec, OuterRestart, OuterSettings};

/// Longest host name of Linux.
const LONGEST_HOSTNAME: usize = 64;

/// Lowers it.
pub fn lower(at: &Place, map: &Map<String, Value>, known: &Volumes, report: &mut Report) -> ControllerSpec {
    let mut fields = Fields::new(at, map, report);
    let spec = ControllerSpec {
        name: fields.read("name", |node| {
            let name = node.string()?;
            // The rule for names of containers is that for names of components.
            ComponentName::new(&name).map(|_| name).map_err(|bad| node.problem(bad.to_string()))
        }),
        image: fields.read("image", |node| image(node, false)),
        ports: fields.many("ports", ports).unwrap_or_default(),
        volumes: fields
            .many("volumes", |node, report| mounts::volumes(node, Owner::Controller, report))
            .unwrap_or_default()
            .into_iter()
            .map(|mount| known.resolved(mount))
            .collect(),
        networks: fields.many("networks", networks).unwrap_or_default(),
        outer: OuterSettings {
            restart: fields.read("restart", restart).flatten(),
            hostname: fields.read("hostname", hostname),
            extra_hosts: fields.many("extra_hosts", extra_hosts).unwrap_or_default(),
            dns: fields.many("dns", |node, report| node.strings(address, report)).unwrap_or_default(),
        },
        environment: fields.many("environment", environment).unwrap_or_default(),
        labels: fields.many("labels", own_labels).unwrap_or_default(),
        memory: fields.read("mem_limit", Node::memory),
        stop_grace_period: fields.read("stop_grace_period", Node::duration),
        flags: fields.words("flags"),
    };
    fields.end(rejected::controller_key);
    spec
}

/// Lowers the label `pod.stop_grace_period`, which counts before the service's own: of a Swarm task the controller knows nothing else.
pub fn handed_over(at: &Place, value: &Value, spec: &mut ControllerSpec, report: &mut Report) {
    let node = Node { at: at.clone(), value };
    let Some(grace) = report.problems.take(node.duration()) else { return };
    if let Some(own) = spec.stop_grace_period.filter(|own| *own != grace) {
        report.warn(&node.problem(format!(
            "the label allows the pod {} to stop, but the service's own `stop_grace_period` is {}: use the same value for both",
            format_duration(grace),
            format_duration(own)
        )));
    }
    spec.stop_grace_period = Some(grace);
}

fn ports(node: &Node<'_>, report: &mut Report) -> Vec<Port> {
    let items = node.list("a list of ports, for instance `[\"8080:80\"]`", report);
    let mut found: Vec<Port> = Vec::new();
    for item in items {
        let read = match item.value {
            Value::Object(_) => long_port(&item, report),
            _ => {
                let read = item.scalar().and_then(|text| port(&item, &text));
                report.problems.take(read)
            }
        };
        for port in read.unwrap_or_default() {
            if found.iter().any(|other| other.clashes(&port)) {
                report.push(
                    item.problem(format!("port {} of the host is published twice", port.host))
                        .hint("give each entry its own host port or its own host address"),
                );
                break;
            }
            found.push(port);
        }
    }
    found
}

fn port(node: &Node<'_>, text: &str) -> Read<Vec<Port>> {
    Port::read(text).map_err(|bad| {
        let problem = node.problem(bad.to_string());
        match bad {
            BadPort::Address { address, .. } if address == "localhost" => {
                problem.hint("write `127.0.0.1` or `[::1]`: the engine publishes ports on addresses, not on names")
            }
            BadPort::Address { .. } => {
                problem.hint("write an IP address: the engine publishes ports on addresses, not on names")
            }
            BadPort::Ranges { .. } => problem.hint("write the same number of host ports and container ports"),
            BadPort::Form(_) | BadPort::Protocol { .. } => problem,
        }
    })
}

/// The form with a key for each part.
fn long_port(item: &Node<'_>, report: &mut Report) -> Option<Vec<Port>> {
    let mut fields = Fields::of(item, "a port", report)?;
    let target = fields.required("target", Node::word);
    let published = fields.read("published", Node::word).unwrap_or_default();
    let address = fields.read("host_ip", Node::word);
    let protocol = fields.read("protocol", Node::word).unwrap_or_else(|| "tcp".to_owned());
    // A container of its own publishes on its host, whichever of the two is written.
    fields.read("mode", |node| match node.string()?.as_str() {
        "host" | "ingress" => Ok(()),
        other => Err(node.problem(format!("expected `host` or `ingress`, found `{other}`"))),
    });
    for key in ["name", "app_protocol"] {
        fields.get(key);
    }
    fields.done();
    let begin = match address {
        Some(address) if address.contains(':') => format!("[{}]:{published}:", address.trim_matches(['[', ']'])),
        Some(address) => format!("{address}:{published}:"),
        None if published.is_empty() => String::new(),
        None => format!("{published}:"),
    };
    let read = port(item, &format!("{begin}{}/{protocol}", target?));
    report.problems.take(read)
}

/// The engine's words; a component's `restart` is another thing, and knows more.
fn restart(node: &Node<'_>) -> Read<Option<OuterRestart>> {
    // YAML reads `no` as a truth value.
    if node.value == &Value::Bool(false) {
        return Ok(None);
    }
    let word = node.word()?;
    let most = word.strip_prefix("on-failure:").map(str::parse::<u32>);
    match (word.as_str(), most) {
        ("no", _) => Ok(None),
        ("always", _) => Ok(Some(OuterRestart::Always)),
        ("unless-stopped", _) => Ok(Some(OuterRestart::UnlessStopped)),
        ("on-failure", _) => Ok(Some(OuterRestart::OnFailure(0))),
        (_, Some(Ok(most))) if most <= i32::MAX.unsigned_abs() => Ok(Some(OuterRestart::OnFailure(most))),
        _ => Err(node.problem(format!(
            "expected `no`, `always`, `unless-stopped`, `on-failure` or `on-failure:<number>`, found `{word}`"
        ))),
    }
}

/// A host name that Linux and programs take.
fn hostname(node: &Node<'_>) -> Read<String> {
    let name = node.word()?;
    let right = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() <= LONGEST_HOSTNAME && name.chars().all(right) && !name.starts_with(['-', '.']) {
        return Ok(name);
    }
    Err(node
        .problem(format!("`{name}` is not a host name"))
        .hint(format!("at most {LONGEST_HOSTNAME} letters, digits, `-` and `.`")))
}

/// An IP address.
fn address(node: &Node<'_>) -> Read<String> {
    let text = node.word()?;
    let ip: Result<std::net::IpAddr, _> = text.trim_matches(['[', ']']).parse();
    ip.map(|ip| ip.to_string()).map_err(|_| node.problem(format!("`{text}` is not an IP address")))
}

/// `name: address` or a list of `name:address` and `name=address`.
fn extra_hosts(node: &Node<'_>, report: &mut Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut add = |at: &Place, name: &str, value: &Value, report: &mut Report| {
        let node = Node { at: at.clone(), value };
        // The engine knows the host's own address.
        let address = if value == "host-gateway" { Ok("host-gateway".to_owned()) } else { address(&node) };
        if let Some(address) = report.problems.take(address) {
            if name.is_empty() || name.contains(char::is_whitespace) {
                report.push(node.problem(format!("`{name}` is not a host name")));
            }
            found.push(format!("{name}:{address}"));
        }
    };
    if let Some(entries) = node.entries() {
        for (name, node) in entries {
            for item in node.items() {
                add(&item.at, name, item.value, report);
            }
        }
        return found;
    }
    for item in node.list("a map of names and addresses, or a list of `name:address`", report) {
        let Some(text) = report.problems.take(item.string()) else { continue };
        match text.split_once(['=', ':']) {
            Some((name, address)) => add(&item.at, name.trim(), &address.trim().into(), report),
            None => report.push(item.problem(format!("expected `name:address`, found `{text}`"))),
        }
    }
    found
}

fn networks(node: &Node<'_>, report: &mut Report) -> Vec<String> {
    let found = node.strings(network, report);
    let mut seen = HashSet::new();
    for name in &found {
        if !seen.insert(name) {
            report.push(
                node.problem(format!("the network `{name}` appears twice")).hint("remove one of the two entries"),
            );
        }
    }
    found
}

/// A network's name or id.
fn network(node: &Node<'_>) -> Read<String> {
    let name = node.word()?;
    let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.bytes().all(in_name) && name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) {
        Ok(name)
    } else {
        Err(node.problem(format!("`{name}` is not a network name")))
    }
}

fn own_labels(node: &Node<'_>, report: &mut Report) -> indexmap::IndexMap<String, String> {
    let found = labels(node, report);
    for label in found.keys().filter(|label| label.starts_with("pod.")) {
        report.push(
            node.at
                .key(label)
                .problem("Outrigger generates the labels that begin with `pod.` from this file")
                .hint("use the keys `components:`, `init:`, `copy:` or `plugins:` instead"),
        );
    }
    found
}
