//! The `controller:` part of a `pod.yaml`.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::component::{environment, image, labels};
use super::fields::{Fields, Node, Read, Report};
use super::mounts::{self, Owner};
use super::volumes::Volumes;
use crate::labels::Place;
use crate::pod::values::format_duration;
use crate::pod::{ComponentName, ControllerSpec};

/// Lowers it.
pub fn lower(at: &Place, map: &Map<String, Value>, known: &Volumes, report: &mut Report) -> ControllerSpec {
    let mut fields = Fields::new(at, map, report);
    let spec = ControllerSpec {
        name: fields.read("name", |node| {
            let name = node.string()?;
            // The rule for names of containers is that for names of components.
            ComponentName::new(&name).map(|_| name).map_err(|bad| node.problem(bad.to_string()))
        }),
        image: fields.read("image", image),
        ports: fields.many("ports", ports).unwrap_or_default(),
        volumes: fields
            .many("volumes", |node, report| mounts::volumes(node, Owner::Controller, report))
            .unwrap_or_default()
            .into_iter()
            .map(|mount| known.resolved(mount))
            .collect(),
        networks: fields.many("networks", networks).unwrap_or_default(),
        environment: fields.many("environment", environment).unwrap_or_default(),
        labels: fields.many("labels", own_labels).unwrap_or_default(),
        memory: fields.read("mem_limit", Node::memory),
        stop_grace_period: fields.read("stop_grace_period", Node::duration),
        flags: fields.words("flags"),
    };
    fields.end(|key| (key == "memory").then_some(("unknown key", "did you mean `mem_limit`?")));
    spec
}

/// Lowers the label `pod.stop_grace_period`, which counts before the service's own: of a Swarm task the controller knows nothing else.
pub fn handed_over(at: &Place, value: &Value, spec: &mut ControllerSpec, report: &mut Report) {
    let node = Node { at: at.clone(), value };
    let Some(grace) = report.problems.take(node.duration()) else { return };
    if let Some(own) = spec.stop_grace_period.filter(|own| *own != grace) {
        report.warn(&node.problem(format!(
            "the pod stops within {}, and the service's own `stop_grace_period` is {}: write the same for both",
            format_duration(grace),
            format_duration(own)
        )));
    }
    spec.stop_grace_period = Some(grace);
}

fn ports(node: &Node<'_>, report: &mut Report) -> Vec<String> {
    let items = node.list("a list of ports, for instance `[\"8080:80\"]`", report);
    items.iter().filter_map(|item| report.problems.take(port(item))).collect()
}

fn networks(node: &Node<'_>, report: &mut Report) -> Vec<String> {
    let found = node.strings(Node::word, report);
    let mut seen = HashSet::new();
    for name in &found {
        if !seen.insert(name) {
            report.push(node.problem(format!("network `{name}` is named twice")).hint("keep one of them"));
        }
    }
    found
}

fn own_labels(node: &Node<'_>, report: &mut Report) -> indexmap::IndexMap<String, String> {
    let found = labels(node, report);
    for label in found.keys().filter(|label| label.starts_with("pod.")) {
        report.push(
            node.at
                .key(label)
                .problem("labels that begin with `pod.` are made from this file")
                .hint("write `components:`, `init:`, `copy:` or `plugins:`"),
        );
    }
    found
}

/// `[address:][host:]container[/protocol]`, where both ports may be ranges.
fn port(node: &Node<'_>) -> Read<String> {
    let text = node.scalar()?;
    if is_port(&text) {
        Ok(text)
    } else {
        Err(node.problem(format!("`{text}` is not a port, expected `[address:]host:container[/protocol]`")))
    }
}

fn is_port(text: &str) -> bool {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let mut parts = ports.rsplitn(3, ':');
    let (container, host, address) = (parts.next(), parts.next(), parts.next());
    let address_right = address.is_none_or(|address| {
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        bare.parse::<std::net::IpAddr>().is_ok()
    });
    let sizes = (container.and_then(range), host.map(|host| if host.is_empty() { Some(0) } else { range(host) }));
    let ports_right = match sizes {
        (Some(_), None | Some(Some(0))) => true,
        // One host port for one container port.
        (Some(inside), Some(Some(outside))) => inside == outside,
        (Some(_), Some(None)) | (None, _) => false,
    };
    address_right && ports_right && matches!(protocol, "tcp" | "udp" | "sctp")
}

/// How many ports a port or a range of ports is.
fn range(text: &str) -> Option<u16> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.parse::<u16>().ok()?, to.parse::<u16>().ok()?);
    if from == 0 { None } else { to.checked_sub(from)?.checked_add(1) }
}

#[cfg(test)]
mod tests {
    use super::is_port;

    #[test]
    fn ports_are_those_of_docker_run() {
        for right in ["80", "8080:80", "127.0.0.1:8080:80", "127.0.0.1::80", "[::1]:53:53/udp", "8000-8002:9000-9002"] {
            assert!(is_port(right), "{right}");
        }
        for wrong in ["", "0", "http", "1:2:3:4", "8000-8002:80", "80/http", "65536", "host:1:2", "80:", "9-8"] {
            assert!(!is_port(wrong), "{wrong}");
        }
    }
}
