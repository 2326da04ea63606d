//! Published ports, in every form of `docker run -p` and of Compose's short form.

use std::fmt;
use std::net::IpAddr;

/// One port of the controller's container, and where the host has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// In the container; never 0.
    pub container: u16,
    /// Of both.
    pub protocol: Protocol,
    /// An address of the host; none: all of them.
    pub address: Option<IpAddr>,
    /// On the host.
    pub host: HostPort,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// `tcp`.
    Tcp,
    /// `udp`.
    Udp,
    /// `sctp`.
    Sctp,
}

/// A port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostPort {
    /// The engine chooses one.
    Any,
    /// This one; 0 lets the engine choose, too.
    One(u16),
    /// The engine chooses one of these.
    Range(u16, u16),
}

/// Why a text is no port. Each begins with the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPort {
    /// Not of the form.
    #[error("`{0}` is not a port, expected `[address:][host:]container[/protocol]`")]
    Form(String),
    /// The engine takes no names.
    #[error("`{text}` begins with `{address}`, which is not an IP address")]
    Address {
        /// All of it.
        text: String,
        /// What stands for the address.
        address: String,
    },
    /// Another protocol.
    #[error("`{text}` has the protocol `{protocol}`, expected `tcp`, `udp` or `sctp`")]
    Protocol {
        /// All of it.
        text: String,
        /// What stands for the protocol.
        protocol: String,
    },
    /// As many ports of the host are needed as of the container.
    #[error("`{text}` has {host} host ports but {container} container ports")]
    Ranges {
        /// All of it.
        text: String,
        /// How many of the host.
        host: u32,
        /// How many of the container.
        container: u32,
    },
}

impl Protocol {
    /// As users and the engine write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    /// Reads a name in either case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Sctp].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }
}

impl Port {
    /// Reads `[address:][host:]container[/protocol]`. Host and container may be ranges: as many ports of the host as of the container, or a range of the host for one port of the container, of
    /// which the engine chooses one. An IPv6 address may stand in brackets.
    ///
    /// # Errors
    /// [`BadPort`].
    pub fn read(text: &str) -> Result<Vec<Self>, BadPort> {
        let form = || BadPort::Form(text.to_owned());
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, name)) => {
                let unknown = || BadPort::Protocol { text: text.to_owned(), protocol: name.to_owned() };
                (ports, Protocol::of(name).ok_or_else(unknown)?)
            }
            None => (text, Protocol::Tcp),
        };
        // From behind: an IPv6 address without brackets has colons of its own.
        let mut parts = ports.rsplitn(3, ':');
        let (container, host, address) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        let (first, last) = range(container).filter(|(first, _)| *first > 0).ok_or_else(form)?;
        let address = match address {
            None | Some("") => None,
            Some(address) => {
                let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
                let no_address = || BadPort::Address { text: text.to_owned(), address: address.to_owned() };
                Some(bare.parse::<IpAddr>().map_err(|_| no_address())?)
            }
        };
        let host = match host {
            None | Some("") => None,
            Some(host) => Some(range(host).ok_or_else(form)?),
        };
        let count = |(first, last): (u16, u16)| u32::from(last - first) + 1;
        let wanted = count((first, last));
        let port = |container: u16, host: HostPort| Self { container, protocol, address, host };
        Ok(match host {
            None => (first..=last).map(|container| port(container, HostPort::Any)).collect(),
            Some((from, to)) if wanted == 1 && from != to => vec![port(first, HostPort::Range(from, to))],
            Some((from, to)) if count((from, to)) == wanted => {
                (first..=last).zip(from..=to).map(|(container, host)| port(container, HostPort::One(host))).collect()
            }
            Some(range) => {
                return Err(BadPort::Ranges { text: text.to_owned(), host: count(range), container: wanted });
            }
        })
    }

    /// Whether the host can't have both at once.
    #[must_use]
    pub fn clashes(&self, other: &Self) -> bool {
        let all = |address: Option<IpAddr>| address.is_none_or(|address| address.is_unspecified());
        let same_family = match (self.address, other.address) {
            (Some(one), Some(other)) => one.is_ipv4() == other.is_ipv4(),
            _ => true,
        };
        let is_fixed = matches!(self.host, HostPort::One(port) if port > 0);
        let same_address = self.address == other.address || all(self.address) || all(other.address);
        is_fixed && self.host == other.host && self.protocol == other.protocol && same_family && same_address
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::One(port) => write!(f, "{port}"),
            Self::Range(from, to) => write!(f, "{from}-{to}"),
        }
    }
}

/// As [`Port::read`] reads it.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => {}
        }
        if self.address.is_some() || self.host != HostPort::Any {
            write!(f, "{}:", self.host)?;
        }
        write!(f, "{}", self.container)?;
        if self.protocol == Protocol::Tcp { Ok(()) } else { write!(f, "/{}", self.protocol.name()) }
    }
}

/// A port or a range of ports, both ends included.
fn range(text: &str) -> Option<(u16, u16)> {
    // `parse` alone would take a sign.
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from)?, number(to)?);
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let ports = Port::read(text).map_err(|bad| bad.to_string())?;
        let texts: Vec<_> = ports.iter().map(ToString::to_string).collect();
        for text in &texts {
            assert_eq!(Port::read(text).map(|ports| ports.len()), Ok(1), "{text} is read again");
        }
        Ok(texts.join(" "))
    }

    #[test]
    fn every_form_of_docker_run_and_compose() {
        for (text, right) in [
            ("3000", "3000"),
            ("3000-3002", "3000 3001 3002"),
            ("8000:8000", "8000:8000"),
            ("9090-9091:8080-8081", "9090:8080 9091:8081"),
            ("49100:22", "49100:22"),
            ("8000-9000:80", "8000-9000:80"),
            ("127.0.0.1:8001:8001", "127.0.0.1:8001:8001"),
            ("127.0.0.1:5000-5001:5000-5001", "127.0.0.1:5000:5000 127.0.0.1:5001:5001"),
            ("127.0.0.1::80", "127.0.0.1::80"),
            ("::1:6000:6000", "[::1]:6000:6000"),
            ("[::1]:6001:6001", "[::1]:6001:6001"),
            ("[::1]::6001/udp", "[::1]::6001/udp"),
            ("6060:6060/UDP", "6060:6060/udp"),
            ("22:22", "22:22"),
            ("0:80/sctp", "0:80/sctp"),
            (":80", "80"),
            ("65535", "65535"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(right), "{text}");
        }
        for wrong in [
            "",
            "0",
            "http",
            "80:",
            "9-8",
            "65536",
            "+80",
            "80-",
            "80/",
            "80/http",
            "80/tcp/udp",
            "8000-8002:80-81",
            "80:90-91",
            "localhost:80:80",
            "[::1:80:80",
            "1.2.3:80:80",
            "host::80",
            "80:0",
            " 80",
            "1:2:3:4",
        ] {
            assert!(
                read(wrong).is_err_and(|told| told.starts_with(&format!("`{wrong}`"))),
                "{wrong}: {:?}",
                read(wrong)
            );
        }
    }

    #[test]
    fn two_ports_of_one_place_clash() {
        let clash = |one: &str, other: &str| Port::read(one).unwrap()[0].clashes(&Port::read(other).unwrap()[0]);
        for (one, other) in [
            ("80:80", "80:81"),
            ("80:80", "127.0.0.1:80:1"),
            ("[::]:80:1", "[::1]:80:2"),
            ("0.0.0.0:80:1", "127.0.0.1:80:1"),
        ] {
            assert!(clash(one, other) && clash(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("80:80", "80:80/udp"),
            ("80", "80"),
            ("0:80", "0:80"),
            ("127.0.0.1:80:1", "127.0.0.2:80:1"),
            ("[::1]:80:1", "0.0.0.0:80:1"),
            ("1-9:80", "1-9:81"),
        ] {
            assert!(!clash(one, other), "{one} {other}");
        }
    }
}
