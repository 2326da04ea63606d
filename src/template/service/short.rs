//! The short forms of ports, volumes, configs and secrets, and values with units.

use std::time::Duration;

use gotmpl::Value as Data;
use serde_json::{Value, json};

/// The name of a config or secret.
pub fn file(value: &Value) -> Vec<Value> {
    match value {
        Value::String(name) => vec![json!({ "source": name })],
        other => vec![other.clone()],
    }
}

/// `[[address:]published:]target[/protocol]`, where both numbers may be ranges.
pub fn port(value: &Value) -> Vec<Value> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => return vec![other.clone()],
    };
    let (ports, protocol) = text.rsplit_once('/').unwrap_or((&text, "tcp"));
    let (published, target) = ports.rsplit_once(':').map_or((None, ports), |(rest, target)| {
        (Some(rest.rsplit_once(':').map_or(rest, |(_, published)| published)), target)
    });
    let made = |target: Value, published: Option<Value>| {
        let mut port = json!({ "mode": "ingress", "target": target, "protocol": protocol });
        if let (Some(map), Some(published)) = (port.as_object_mut(), published) {
            map.insert("published".to_owned(), published);
        }
        port
    };
    let published = published.filter(|published| !published.is_empty());
    match (range(target), published.map(range)) {
        (Some(targets), None) => targets.map(|target| made(target.into(), None)).collect(),
        (Some(targets), Some(Some(published))) => {
            // One port may be published on any of a range: the first one then.
            targets.zip(published).map(|(target, published)| made(target.into(), Some(published.into()))).collect()
        }
        // A variable stands there.
        _ => vec![made(target.into(), published.map(Value::from))],
    }
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok()?..=last.parse().ok()?;
    Some(range).filter(|range| !range.is_empty())
}

/// `[source:]target[:options]`.
pub fn volume(value: &Value) -> Vec<Value> {
    let Value::String(text) = value else { return vec![value.clone()] };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, options, ..] => (Some(*source), *target, *options),
        [] => (None, "", ""),
    };
    let is_bind = source.is_some_and(|source| source.starts_with(['/', '.', '~']));
    let mut volume = json!({ "type": if is_bind { "bind" } else { "volume" }, "target": target });
    let Some(map) = volume.as_object_mut() else { return Vec::new() };
    if let Some(source) = source {
        map.insert("source".to_owned(), source.into());
    }
    for option in options.split(',') {
        match option {
            "ro" => map.insert("read_only".to_owned(), true.into()),
            "nocopy" => map.insert("volume".to_owned(), json!({ "nocopy": true })),
            "cached" | "delegated" | "consistent" => map.insert("consistency".to_owned(), option.into()),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
                map.insert("bind".to_owned(), json!({ "propagation": option }))
            }
            _ => None,
        };
    }
    vec![volume]
}

/// A duration as Go writes it; what is none stays as it is.
pub fn duration(text: &str) -> String {
    let Ok(duration) = crate::pod::values::duration(text) else { return text.to_owned() };
    go(duration)
}

fn go(duration: Duration) -> String {
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    if seconds == 0 {
        return match nanos {
            0 => "0s".to_owned(),
            1..1_000 => format!("{nanos}ns"),
            1_000..1_000_000 => format!("{}µs", f64::from(nanos) / 1e3),
            _ => format!("{}ms", f64::from(nanos) / 1e6),
        };
    }
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let mut out = String::new();
    if hours > 0 {
        out.push_str(&format!("{hours}h"));
    }
    if seconds >= 60 {
        out.push_str(&format!("{minutes}m"));
    }
    let fraction = if nanos == 0 { String::new() } else { format!(".{nanos:09}").trim_end_matches('0').to_owned() };
    out + &format!("{}{fraction}s", seconds % 60)
}

/// A size with its unit as a number of bytes; what is none stays as it is.
pub fn bytes(text: &str) -> Data {
    match crate::pod::values::size(text) {
        Ok(bytes) => Data::Int(bytes),
        Err(_) => Data::String(text.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_in_short() {
        for (text, long) in [
            ("80", json!([{"mode": "ingress", "target": 80, "protocol": "tcp"}])),
            ("8080:80/udp", json!([{"mode": "ingress", "target": 80, "protocol": "udp", "published": 8080}])),
            ("127.0.0.1:8080:80", json!([{"mode": "ingress", "target": 80, "protocol": "tcp", "published": 8080}])),
            (
                "90-91:80-81",
                json!([
                    {"mode": "ingress", "target": 80, "protocol": "tcp", "published": 90},
                    {"mode": "ingress", "target": 81, "protocol": "tcp", "published": 91}
                ]),
            ),
            ("$P:80", json!([{"mode": "ingress", "target": "80", "protocol": "tcp", "published": "$P"}])),
        ] {
            assert_eq!(Value::from(port(&text.into())), long, "{text}");
        }
        assert_eq!(port(&json!(80)), port(&json!("80")));
    }

    #[test]
    fn volumes_in_short() {
        for (text, long) in [
            ("/d", json!({"type": "volume", "target": "/d"})),
            ("a:/d", json!({"type": "volume", "source": "a", "target": "/d"})),
            (
                "./a:/d:ro,rshared",
                json!({"type": "bind", "source": "./a", "target": "/d", "read_only": true, "bind": {"propagation": "rshared"}}),
            ),
            ("a:/d:nocopy", json!({"type": "volume", "source": "a", "target": "/d", "volume": {"nocopy": true}})),
        ] {
            assert_eq!(volume(&text.into()), [long], "{text}");
        }
    }

    #[test]
    fn durations_as_go_writes_them() {
        for (text, go) in
            [("90s", "1m30s"), ("1h", "1h0m0s"), ("1500ms", "1.5s"), ("10ms", "10ms"), ("0s", "0s"), ("$X", "$X")]
        {
            assert_eq!(duration(text), go);
        }
    }
}
