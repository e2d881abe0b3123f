//! `iscsi://[user%secret@]host[:port]/IQN/LUN`, as libiscsi has it, and `iser://`, which is the same over RDMA.
//!
//! A secret is never shown again: not by `Display`, not by `Debug`, not by an error. Whoever needs the whole URL asks
//! for it by name ([`IscsiUrl::with_secrets`]).

use super::timer::show;
use super::{Query, Timer, Timing, UrlError, decode, parse_authority};
use scsi::iscsi::initiator::Transport;
use scsi::iscsi::login::Secret;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use wire::iscsi::Isid;

/// A portal of an iSCSI target, the target, or a disk of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IscsiUrl {
    /// Over what.
    pub transport: Transport,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The target's name; none for the portal alone.
    pub target: Option<String>,
    /// The logical unit; none for the first disk.
    pub lun: Option<u16>,
    /// Who we say we are; a name of this program's if not said.
    pub initiator: Option<String>,
    /// What we prove ourselves with.
    pub credentials: Option<Credentials>,
    /// What the target is to prove itself with.
    pub target_credentials: Option<Credentials>,
    /// Insist on header digests.
    pub header_digest: bool,
    /// Insist on data digests.
    pub data_digest: bool,
    /// Sessions.
    pub sessions: Option<u16>,
    /// Connections of a session.
    pub connections: Option<u16>,
    /// Commands outstanding on a session.
    pub depth: Option<u16>,
    /// The highest error recovery level, 0 to 2.
    pub error_recovery_level: Option<u8>,
    /// How we call ourselves.
    pub alias: Option<String>,
    /// Our part of the first session's name.
    pub isid: Option<Isid>,
    /// Time-outs that are not to be as usual.
    pub timings: Vec<Timing>,
    /// Over RDMA, the address of ours to connect from.
    pub from: Option<IpAddr>,
}

/// A CHAP name with its secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The secret.
    pub secret: Hidden,
}

/// A secret of a URL.
#[derive(Clone, Debug)]
pub struct Hidden(pub Secret);

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_same(&other.0)
    }
}

impl Eq for Hidden {}

impl IscsiUrl {
    pub(super) fn parse(transport: Transport, place: &str, mut query: Query<'_>) -> Result<Self, UrlError> {
        // A secret may have a slash in it: the host begins behind the last at sign before the target's name.
        let name_at = place.find("/iqn.").or_else(|| place.find("/eui.")).or_else(|| place.find("/naa."));
        let (authority, path) = place.split_at(name_at.or_else(|| place.find('/')).unwrap_or(place.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if host.contains('%') && !host.starts_with('[') {
            return Err(UrlError::Credentials);
        }
        let (host, port) = parse_authority(host, wire::iscsi::PORT)?;
        let (target, lun) = parse_path(path.trim_start_matches('/'))?;
        let target_user = query.take("target_user");
        let target_secret = query.take("target_password");
        let is_tcp = transport == Transport::Tcp;
        let url = Self {
            transport,
            host,
            port,
            target,
            lun,
            initiator: query.take("initiator").map(decode),
            credentials: user.map(parse_user).transpose()?,
            target_credentials: match (target_user, target_secret) {
                (Some(user), Some(secret)) => Some(credentials(user, secret)?),
                (None, None) => None,
                (Some(_), None) | (None, Some(_)) => return Err(UrlError::Credentials),
            },
            // RFC 7145, section 6.2: digests are what streams have.
            header_digest: is_tcp && query.flag("hdgst")?,
            data_digest: is_tcp && query.flag("ddgst")?,
            sessions: query.number("sessions", "a number of sessions")?,
            connections: query.number("connections", "a number of connections")?,
            depth: query.number("depth", "a number of commands")?,
            error_recovery_level: match is_tcp {
                true => query.take("error_recovery_level").map(parse_level).transpose()?,
                // Nothing is damaged or lost by itself.
                false => None,
            },
            alias: query.take("alias").map(decode),
            isid: query.take("isid").map(parse_isid).transpose()?,
            timings: Timer::take(&Timer::ISCSI, &mut query)?,
            from: if is_tcp { None } else { query.address("from")? },
        };
        query.end().map(|()| url)
    }

    /// The address, if the host is one and not a name.
    pub fn address(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    /// What its URL begins with.
    pub const fn scheme(&self) -> &'static str {
        match self.transport {
            Transport::Tcp => "iscsi",
            Transport::Rdma => "iser",
        }
    }

    /// The whole URL, secrets and all. Not to be shown or logged.
    pub fn with_secrets(&self) -> String {
        let reveal = |own: &Credentials| encode(&String::from_utf8_lossy(own.secret.0.reveal()));
        let user = self.credentials.as_ref().map(|own| format!("{}%{}@", encode(&own.user), reveal(own)));
        let peer = self
            .target_credentials
            .as_ref()
            .map(|peer| format!("target_user={}&target_password={}", encode(&peer.user), reveal(peer)));
        self.write(user.as_deref().unwrap_or_default(), peer)
    }

    /// The URL without secrets: it names the disk, but may not be enough to use it.
    pub fn without_secrets(&self) -> String {
        self.write("", None)
    }

    fn write(&self, user: &str, peer: Option<String>) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let mut text = format!("{}://{user}{host}:{}", self.scheme(), self.port);
        for part in self.target.iter().cloned().chain(self.lun.map(|lun| lun.to_string())) {
            text.push('/');
            text.push_str(&part);
        }
        let mut parameters: Vec<String> =
            self.initiator.iter().map(|name| format!("initiator={name}")).collect();
        parameters.extend(self.header_digest.then(|| "hdgst=1".to_owned()));
        parameters.extend(self.data_digest.then(|| "ddgst=1".to_owned()));
        parameters.extend(self.sessions.map(|count| format!("sessions={count}")));
        parameters.extend(self.connections.map(|count| format!("connections={count}")));
        parameters.extend(self.depth.map(|count| format!("depth={count}")));
        parameters.extend(self.error_recovery_level.map(|level| format!("error_recovery_level={level}")));
        parameters.extend(self.alias.as_ref().map(|alias| format!("alias={}", encode(alias))));
        parameters.extend(self.isid.map(|Isid(bytes)| format!("isid={}", encode_hex(&bytes))));
        parameters.extend(self.timings.iter().map(show));
        parameters.extend(self.from.map(|from| format!("from={from}")));
        parameters.extend(peer);
        if parameters.is_empty() { text } else { format!("{text}?{}", parameters.join("&")) }
    }
}

impl fmt::Display for IscsiUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_secrets())
    }
}

/// IQN, or IQN and LUN.
fn parse_path(path: &str) -> Result<(Option<String>, Option<u16>), UrlError> {
    let (target, lun) = path.split_once('/').map_or((path, None), |(target, lun)| (target, Some(lun)));
    let wrong = |lun: &str| UrlError::Value { name: "LUN", value: lun.into(), expected: "0 to 16383" };
    let number = |lun: &str| lun.parse().ok().filter(|lun| *lun < LUN_END).ok_or_else(|| wrong(lun));
    let lun = lun.filter(|lun| !lun.is_empty()).map(number).transpose()?;
    Ok(((!target.is_empty()).then(|| decode(target)), lun))
}

fn parse_level(text: &str) -> Result<u8, UrlError> {
    let wrong =
        || UrlError::Value { name: "error_recovery_level", value: text.into(), expected: "0, 1 or 2" };
    text.parse().ok().filter(|level| *level <= 2).ok_or_else(wrong)
}

/// Twelve digits.
fn parse_isid(text: &str) -> Result<Isid, UrlError> {
    let wrong = || UrlError::Value { name: "isid", value: text.into(), expected: "12 hexadecimal digits" };
    let digits = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u64::from_str_radix(text, 16).ok().filter(|_| digits).ok_or_else(wrong)?;
    let [_, _, name @ ..] = number.to_be_bytes();
    Ok(Isid(name))
}

fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_user(text: &str) -> Result<Credentials, UrlError> {
    let (user, secret) = text.split_once(['%', ':']).ok_or(UrlError::Credentials)?;
    credentials(user, secret)
}

fn credentials(user: &str, secret: &str) -> Result<Credentials, UrlError> {
    let hidden = Secret::new(decode(secret).as_bytes()).map(Hidden);
    let secret = hidden.filter(|_| !user.is_empty()).ok_or(UrlError::Credentials)?;
    Ok(Credentials { user: decode(user), secret })
}

/// Percent-encoding of everything that could mean something else.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Logical unit numbers of one level (SAM-5, section 4.7.7) are below this.
const LUN_END: u16 = 1 << 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::url::VolumeUrl;

    fn url(text: &str) -> Result<IscsiUrl, UrlError> {
        text.parse().map(|url| match url {
            VolumeUrl::Iscsi(url) => url,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn every_part_is_read_and_written() {
        let plain = url("iscsi://[::1]:3261/iqn.2026-01.org.weft:disk/2?ddgst&sessions=2").unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.lun), ("::1", 3261, Some(2)));
        assert_eq!((plain.header_digest, plain.data_digest, plain.sessions), (false, true, Some(2)));
        assert_eq!(url(&plain.to_string()), Ok(plain));
        let portal = url("iscsi://host").unwrap();
        assert_eq!((portal.port, portal.target, portal.lun), (3260, None, None));
        assert_eq!(url("iscsi://host/iqn.2026-01.org.weft:disk").unwrap().lun, None);
        assert!(matches!(url("iscsi://host/iqn.x:y/99999"), Err(UrlError::Value { name: "LUN", .. })));
    }

    #[test]
    fn how_it_is_to_connect_is_read_and_written() {
        let text = "iscsi://host:3260/iqn.2026-01.org.weft:disk/0?connections=4&error_recovery_level=2\
            &alias=a%20b&isid=80000000002a&command_timeout=0.5&loss_timeout=never";
        let with = url(text).unwrap();
        assert_eq!((with.connections, with.error_recovery_level), (Some(4), Some(2)));
        assert_eq!(with.isid, Some(Isid([0x80, 0, 0, 0, 0, 42])));
        let half = core::time::Duration::from_millis(500);
        assert_eq!(with.timings, [(Timer::CommandTimeout, Some(half)), (Timer::LossTimeout, None)]);
        assert_eq!(with.to_string(), text);
        for wrong in ["error_recovery_level=3", "isid=8", "nop_timeout=never", "command_timeout=-1"] {
            let read = url(&format!("iscsi://host/iqn.x:y?{wrong}"));
            assert!(matches!(read, Err(UrlError::Value { .. })), "{wrong}");
        }
    }

    #[test]
    fn over_rdma_it_is_the_same_without_what_streams_have() {
        let text = "iser://me%s3cr3t@host:3260/iqn.2026-01.org.weft:disk/1?depth=64&from=10.0.0.2";
        let with = url(text).unwrap();
        assert_eq!((with.transport, with.from), (Transport::Rdma, "10.0.0.2".parse().ok()));
        assert_eq!(with.to_string(), text.replace("me%s3cr3t@", ""));
        assert_eq!(url(&with.with_secrets()), Ok(with));
        for wrong in ["hdgst", "error_recovery_level=1"] {
            let read = url(&format!("iser://host/iqn.x:y?{wrong}"));
            assert!(matches!(read, Err(UrlError::Parameter(_))), "{wrong}");
        }
        assert!(matches!(url("iscsi://host/iqn.x:y?from=10.0.0.2"), Err(UrlError::Parameter(_))));
    }

    #[test]
    fn secrets_are_kept() {
        let text =
            "iscsi://me%s3cr3t/@p%25@host/iqn.2026-01.org.weft:disk/0?target_user=it&target_password=t0p";
        let with = url(text).unwrap();
        let own = with.credentials.as_ref().unwrap();
        assert_eq!((own.user.as_str(), own.secret.0.reveal()), ("me", &b"s3cr3t/@p%"[..]));
        assert_eq!(with.host, "host");
        assert_eq!(url(&with.with_secrets()), Ok(with.clone()));
        for shown in [with.to_string(), format!("{with:?}"), with.without_secrets()] {
            assert!(!shown.contains("s3cr3t") && !shown.contains("t0p"), "{shown}");
        }
    }

    #[test]
    fn a_mistake_with_a_secret_does_not_show_it() {
        for text in [
            "iscsi://me%s3cr3t/host",
            "iscsi://me%s3cr3t@host:port/x",
            "iscsi://me%@host",
            "iscsi://%s3cr3t@host",
        ] {
            let shown = url(text).unwrap_err().to_string();
            assert!(!shown.contains("s3cr3t"), "{shown}");
        }
        assert_eq!(url("iscsi://h/iqn.x:y?target_password=s3cr3t"), Err(UrlError::Credentials));
    }
}
