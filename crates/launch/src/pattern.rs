//! What a rule of the policy matches: programs by name, addresses by prefix, ports by range.

use std::net::{IpAddr, SocketAddr};

/// Programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Program(String);

impl Program {
    /// A name, with `*` for any characters.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Is it this one, called by its name without the directory?
    pub(crate) fn matches(&self, name: &str) -> bool {
        matches_glob(self.0.as_bytes(), name.as_bytes())
    }
}

/// Addresses and ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Any, if there is none.
    network: Option<(IpAddr, u8)>,
    ports: (u16, u16),
}

impl Place {
    /// `ADDRESS[/PREFIX]:PORT[-PORT]`, each `*` for any; an IPv6 address stands in brackets.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (network, ports) = text.rsplit_once(':')?;
        Some(Self { network: parse_network(network)?, ports: parse_ports(ports)? })
    }

    pub(crate) fn matches(&self, place: SocketAddr) -> bool {
        let address = place.ip().to_canonical();
        let fits = |&(network, prefix): &(IpAddr, u8)| is_within(address, network, prefix);
        (self.ports.0..=self.ports.1).contains(&place.port()) && self.network.as_ref().is_none_or(fits)
    }
}

fn parse_network(text: &str) -> Option<Option<(IpAddr, u8)>> {
    if text == "*" {
        return Some(None);
    }
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, prefix)| (a, Some(prefix)));
    let address = match address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => IpAddr::V6(inner.parse().ok()?),
        None => IpAddr::V4(address.parse().ok()?),
    };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
    (prefix <= longest).then_some(Some((address, prefix)))
}

fn parse_ports(text: &str) -> Option<(u16, u16)> {
    if text == "*" {
        return Some((0, u16::MAX));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            prefix == 0 || differ >> (32 - prefix) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differ = address.to_bits() ^ network.to_bits();
            prefix == 0 || differ >> (128 - prefix) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// In time that is at most the product of both lengths: after a mismatch only the last `*` takes one character more.
fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, seen));
            at += 1;
        } else if pattern.get(at) == Some(&text[seen]) {
            (at, seen) = (at + 1, seen + 1);
        } else if let Some((star_at, taken)) = star {
            star = Some((star_at, taken + 1));
            (at, seen) = (star_at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_with_stars() {
        for (pattern, name, fits) in [
            ("*", "redis-server", true),
            ("redis*", "redis-server", true),
            ("*-server", "redis-server", true),
            ("r*s-*r", "redis-server", true),
            ("redis", "redis-server", false),
            ("*x*", "redis", false),
            ("", "", true),
        ] {
            assert_eq!(Program::new(pattern).matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn places_match_by_prefix_and_range() {
        let fits = |place: &str, address: &str| {
            Place::parse(place).expect(place).matches(address.parse().expect(address))
        };
        assert!(fits("*:*", "10.0.0.1:5"));
        assert!(fits("10.0.0.0/8:80", "10.9.9.9:80"));
        assert!(!fits("10.0.0.0/8:80", "11.0.0.1:80"));
        assert!(!fits("10.0.0.0/8:80", "10.0.0.1:81"));
        assert!(fits("127.0.0.1:1000-2000", "127.0.0.1:2000"));
        assert!(fits("127.0.0.1:*", "[::ffff:127.0.0.1]:7"), "the same address, as IPv6 has it");
        assert!(fits("[::1]:*", "[::1]:7"));
        assert!(fits("[fe80::]/10:*", "[fe80::1]:7"));
        assert!(!fits("0.0.0.0/0:*", "[::1]:7"));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in ["", "*", "1.2.3:*", "1.2.3.4/33:*", "1.2.3.4:70000", "1.2.3.4:9-1", "::1:80", "[::1:80"]
        {
            assert_eq!(Place::parse(text), None, "{text}");
        }
    }
}
