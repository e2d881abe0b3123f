//! `srp://host[:port]/TARGET[/LUN]`: the target port in 32 hexadecimal digits, as Linux's `ibsrpdm` and logs write it (its
//! identifier extension, then the GUID of its I/O controller).

use super::timer::show;
use super::{Query, Timer, Timing, UrlError, parse_authority};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use wire::srp::PortId;

/// A target port, or a disk of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SrpUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// The port that its listener has with the RDMA connection manager.
    pub port: u16,
    /// The service that InfiniBand's own connection manager is asked for; none to ask the RDMA connection manager for the port.
    pub service: Option<u64>,
    /// The target port.
    pub target: PortId,
    /// The logical unit; none for the first disk.
    pub lun: Option<u16>,
    /// The initiator port: who we say we are; a name drawn at random if not said.
    pub initiator: Option<PortId>,
    /// Channels.
    pub channels: Option<u16>,
    /// Commands outstanding on a channel.
    pub depth: Option<u16>,
    /// The most bytes that go along with a command.
    pub immediate_max: Option<u32>,
    /// The most bytes that one descriptor names.
    pub piece_max: Option<u32>,
    /// The address of ours to connect from.
    pub from: Option<IpAddr>,
    /// Time-outs that are not to be as usual.
    pub timings: Vec<Timing>,
}

impl SrpUrl {
    pub(super) fn parse(place: &str, mut query: Query<'_>) -> Result<Self, UrlError> {
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) = parse_authority(authority, crate::srp::PORT)?;
        let (target, lun) = path.split_once('/').map_or((path, ""), |parts| parts);
        let immediate = query.take("immediate").map(|text| bytes("immediate", text)).transpose()?;
        let url = Self {
            host,
            port,
            service: query.take("service").map(parse_service).transpose()?,
            target: parse_port("target", target)?,
            lun: (!lun.is_empty()).then(|| parse_lun(lun)).transpose()?,
            initiator: query.take("initiator").map(|text| parse_port("initiator", text)).transpose()?,
            channels: query.number("channels", "a number of channels")?,
            depth: query.number("depth", "a number of commands")?,
            immediate_max: immediate,
            piece_max: query.take("piece").map(|text| bytes("piece", text)).transpose()?,
            from: query.address("from")?,
            timings: Timer::take(&Timer::SRP, &mut query)?,
        };
        query.end().map(|()| url)
    }

    /// The address, if the host is one and not a name.
    pub fn address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }
}

/// `srp://host[:port][?from=ADDRESS]`: a machine whose target ports are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SrpHostUrl {
    /// Host name or address, without brackets.
    pub host: String,
    /// The port that its listener has with the RDMA connection manager, which no machine tells.
    pub port: u16,
    /// The address of ours to ask from.
    pub from: Option<IpAddr>,
}

impl FromStr for SrpHostUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let rest = text.strip_prefix("srp://").ok_or(UrlError::NoScheme)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut query = Query::parse(query);
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        if !path.is_empty() {
            let expected = "empty, as it is where a machine is asked for all its targets";
            return Err(UrlError::Value { name: "target", value: path.into(), expected });
        }
        let (host, port) = parse_authority(authority, crate::srp::PORT)?;
        let url = Self { host, port, from: query.address("from")? };
        query.end().map(|()| url)
    }
}

impl fmt::Display for SrpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "srp://{host}:{}/{}", self.port, self.target)?;
        if let Some(lun) = self.lun {
            write!(f, "/{lun}")?;
        }
        let mut parameters: Vec<String> =
            self.service.iter().map(|service| format!("service={service:016x}")).collect();
        parameters.extend(self.initiator.map(|initiator| format!("initiator={initiator}")));
        parameters.extend(self.channels.map(|count| format!("channels={count}")));
        parameters.extend(self.depth.map(|count| format!("depth={count}")));
        parameters.extend(self.immediate_max.map(|bytes| format!("immediate={bytes}")));
        parameters.extend(self.piece_max.map(|bytes| format!("piece={bytes}")));
        parameters.extend(self.from.map(|address| format!("from={address}")));
        parameters.extend(self.timings.iter().map(show));
        if parameters.is_empty() { Ok(()) } else { write!(f, "?{}", parameters.join("&")) }
    }
}

fn parse_port(name: &'static str, text: &str) -> Result<PortId, UrlError> {
    let expected = "32 hexadecimal digits: id_ext, then ioc_guid";
    let wrong = || UrlError::Value { name, value: text.into(), expected };
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u128::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(wrong)?;
    Ok(PortId { extension: (number >> 64) as u64, guid: number as u64 })
}

fn parse_service(text: &str) -> Result<u64, UrlError> {
    let expected = "16 hexadecimal digits";
    let wrong = || UrlError::Value { name: "service", value: text.into(), expected };
    let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(wrong)
}

fn parse_lun(text: &str) -> Result<u16, UrlError> {
    let wrong = || UrlError::Value { name: "LUN", value: text.into(), expected: "0 to 16383" };
    text.parse().ok().filter(|lun| *lun < LUN_END).ok_or_else(wrong)
}

fn bytes(name: &'static str, text: &str) -> Result<u32, UrlError> {
    let wrong = || UrlError::Value { name, value: text.into(), expected: "a number of bytes" };
    let size = if text == "0" { Some(0) } else { crate::size::parse_size(text).ok() };
    size.and_then(|size| u32::try_from(size).ok()).ok_or_else(wrong)
}

/// Logical unit numbers of one level (SAM-5, section 4.7.7) are below this.
const LUN_END: u16 = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::VolumeUrl;

    fn url(text: &str) -> Result<SrpUrl, UrlError> {
        text.parse().map(|url| match url {
            VolumeUrl::Srp(url) => url,
            other => panic!("{other:?}"),
        })
    }

    const TARGET: &str = "00000000000005050000000000000a0b";

    #[test]
    fn every_part_is_read_and_written() {
        let text = format!(
            "srp://[::1]:5556/{TARGET}/3?service=0200000000000005&initiator={TARGET}&channels=2&depth=32&immediate=0&piece=65536&from=::2\
             &command_timeout=1.5&loss_timeout=never"
        );
        let read = url(&text).unwrap();
        assert_eq!(read.target, PortId { extension: 0x505, guid: 0xa0b });
        assert_eq!((read.host.as_str(), read.port, read.lun), ("::1", 5556, Some(3)));
        assert_eq!((read.immediate_max, read.piece_max), (Some(0), Some(65_536)));
        assert_eq!(read.to_string(), text);
        let short = url(&format!("srp://host/{TARGET}")).unwrap();
        assert_eq!((short.port, short.lun, short.address()), (5555, None, None));
    }

    #[test]
    fn a_machine_is_named_without_a_target() {
        let machine: SrpHostUrl = "srp://[::1]:5556/?from=::2".parse().unwrap();
        let expected = SrpHostUrl { host: "::1".into(), port: 5556, from: "::2".parse().ok() };
        assert_eq!(machine, expected);
        assert_eq!("srp://host".parse::<SrpHostUrl>().unwrap().port, 5555);
        assert!(format!("srp://host/{TARGET}").parse::<SrpHostUrl>().is_err());
        assert!("srp://host?depth=1".parse::<SrpHostUrl>().is_err());
    }

    #[test]
    fn mistakes_are_named() {
        assert!(matches!(url("srp://host"), Err(UrlError::Value { name: "target", .. })));
        assert!(matches!(url("srp://host/0505"), Err(UrlError::Value { name: "target", .. })));
        let with = |rest: &str| url(&format!("srp://host/{TARGET}{rest}"));
        assert!(matches!(with("/16384"), Err(UrlError::Value { name: "LUN", .. })));
        assert!(matches!(with("?service=5"), Err(UrlError::Value { name: "service", .. })));
        assert!(matches!(with("?piece=x"), Err(UrlError::Value { name: "piece", .. })));
        assert_eq!(with("?nop_interval=5"), Err(UrlError::Parameter("nop_interval".into())));
    }
}
