//! Volumes by name: one URL grammar for every command and every call.
//!
//! | URL | volume |
//! |---|---|
//! | `mem://?size=1G&block=512&physical=4096` | RAM, gone with the process |
//! | `null://?size=1T` | reads zeros, forgets writes |
//! | `file:///path?block=512&direct=1&size=10G` | a file (made sparse with `size`) or a block device |
//! | `nvme+tcp://host:port/NQN?ns=1&hostnqn=..&hdgst=1&ddgst=1&queues=4&depth=128` | a namespace over NVMe/TCP |
//! | `nvme+rdma://host:port/NQN?ns=1&hostnqn=..&queues=4&depth=128&from=ADDRESS` | a namespace over NVMe/RDMA |
//! | `iscsi://user%secret@host:port/IQN/LUN?initiator=..&hdgst=1&ddgst=1&sessions=2&connections=2&depth=128&error_recovery_level=2&command_timeout=30` | a disk over iSCSI |
//! | `iser://user%secret@host:port/IQN/LUN?initiator=..&sessions=2&depth=128&from=ADDRESS` | a disk over iSER, iSCSI over RDMA |
//! | `srp://host:port/TARGET/LUN?initiator=..&channels=2&depth=128&immediate=8K&piece=64K&from=ADDRESS&command_timeout=30` | a disk over SRP |

mod iscsi;
mod srp;
mod timer;

pub use iscsi::{Credentials, Hidden, IscsiUrl};
pub use srp::{SrpHostUrl, SrpUrl};
pub use timer::{Timer, Timing};

use crate::size::{SizeError, parse_size};
use nvme::host::Transport;
use scsi::iscsi::initiator::Transport as Carrier;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// A volume's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VolumeUrl {
    /// `mem://`
    Mem(SizedUrl),
    /// `null://`
    Null(SizedUrl),
    /// `file://`
    File(FileUrl),
    /// `nvme+tcp://` or `nvme+rdma://`
    Nvme(NvmeUrl),
    /// `iscsi://` or `iser://`
    Iscsi(IscsiUrl),
    /// `srp://`
    Srp(SrpUrl),
}

/// A volume that is what it is said to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SizedUrl {
    /// Bytes.
    pub size: u64,
    /// Bytes a block.
    pub block_size: u32,
    /// Bytes of a physical block; as a block if not said.
    pub physical_block_size: Option<u32>,
}

/// A file or block device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileUrl {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes a block; what the file prefers if not said.
    pub block_size: Option<u32>,
    /// Past the page cache.
    pub direct: bool,
    /// Make it this long if there is none.
    pub size: Option<u64>,
    /// Refuse writes.
    pub read_only: bool,
}

/// A subsystem, or a namespace of it, over NVMe/TCP or NVMe/RDMA.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NvmeUrl {
    /// Over what.
    pub transport: Transport,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The subsystem's name; none for the discovery service.
    pub nqn: Option<String>,
    /// The namespace; none for the first active one.
    pub nsid: Option<u32>,
    /// Who we say we are; a name of this machine's if not said.
    pub hostnqn: Option<String>,
    /// Header digests.
    pub header_digest: bool,
    /// Data digests.
    pub data_digest: bool,
    /// I/O queues.
    pub queues: Option<u16>,
    /// Entries a queue.
    pub depth: Option<u16>,
    /// Over RDMA, the address of ours to connect from.
    pub from: Option<IpAddr>,
}

/// Why a text names no volume.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum UrlError {
    /// No scheme.
    #[error(
        "not a URL: a volume is named mem://, null://, file:///PATH, nvme+tcp://HOST:PORT/NQN, nvme+rdma://HOST:PORT/NQN, iscsi://HOST/IQN/LUN, iser://HOST/IQN/LUN or srp://HOST/TARGET/LUN"
    )]
    NoScheme,
    /// A scheme we do not know.
    #[error("unknown scheme {0:?}: volumes are mem, null, file, nvme+tcp, nvme+rdma, iscsi, iser and srp")]
    Scheme(Text),
    /// A parameter the scheme does not have.
    #[error("unknown parameter {0:?}")]
    Parameter(Text),
    /// A parameter's value is of the wrong form.
    #[error("parameter {name:?}: {value:?} is not {expected}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What stood there.
        value: Text,
        /// What should.
        expected: &'static str,
    },
    /// A size is of the wrong form.
    #[error("parameter \"size\": {0}")]
    Size(#[from] SizeError),
    /// There must be a size.
    #[error("say how large the volume is: ?size=1G")]
    NoSize,
    /// A host, and perhaps a port, must stand after `//`.
    #[error("{0:?} is not HOST or HOST:PORT")]
    Authority(Text),
    /// A user or a secret is missing, or out of place; what stood there is not shown.
    #[error("who we are stands before the host as user%secret@, with / and @ of the secret as %2F and %40")]
    Credentials,
    /// A file needs a path.
    #[error("a file's URL is file:///absolute/path or file://relative/path")]
    NoPath,
}

/// Words of the user's, to be shown back.
pub type Text = String;

impl FromStr for VolumeUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let query = Query::parse(query);
        match scheme {
            "mem" => SizedUrl::parse(query).map(Self::Mem),
            "null" => SizedUrl::parse(query).map(Self::Null),
            "file" => FileUrl::parse(place, query).map(Self::File),
            "nvme+tcp" => NvmeUrl::parse(Transport::Tcp, place, query).map(Self::Nvme),
            "nvme+rdma" => NvmeUrl::parse(Transport::Rdma, place, query).map(Self::Nvme),
            "iscsi" => IscsiUrl::parse(Carrier::Tcp, place, query).map(Self::Iscsi),
            "iser" => IscsiUrl::parse(Carrier::Rdma, place, query).map(Self::Iscsi),
            "srp" => SrpUrl::parse(place, query).map(Self::Srp),
            other => Err(UrlError::Scheme(other.into())),
        }
    }
}

impl fmt::Display for VolumeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mem(sized) => write!(f, "mem://{sized}"),
            Self::Null(sized) => write!(f, "null://{sized}"),
            Self::File(file) => write!(f, "file://{}", file.path.display()),
            Self::Nvme(nvme) => nvme.fmt(f),
            Self::Iscsi(iscsi) => iscsi.fmt(f),
            Self::Srp(srp) => srp.fmt(f),
        }
    }
}

impl SizedUrl {
    /// So many bytes in ordinary blocks.
    pub const fn of(size: u64) -> Self {
        Self { size, block_size: DEFAULT_BLOCK_SIZE, physical_block_size: None }
    }

    fn parse(mut query: Query<'_>) -> Result<Self, UrlError> {
        let url = Self {
            size: parse_size(query.take("size").ok_or(UrlError::NoSize)?)?,
            block_size: query.take("block").map_or(Ok(DEFAULT_BLOCK_SIZE), block_size)?,
            physical_block_size: query.number("physical", "a number of bytes")?,
        };
        query.end().map(|()| url)
    }
}

impl fmt::Display for SizedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "?size={}&block={}", self.size, self.block_size)?;
        match self.physical_block_size {
            Some(bytes) => write!(f, "&physical={bytes}"),
            None => Ok(()),
        }
    }
}

impl FileUrl {
    /// The file or device at `path`, used in the ordinary way.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), block_size: None, direct: false, size: None, read_only: false }
    }

    fn parse(place: &str, mut query: Query<'_>) -> Result<Self, UrlError> {
        if place.is_empty() {
            return Err(UrlError::NoPath);
        }
        let url = Self {
            path: PathBuf::from(decode(place)),
            block_size: query.take("block").map(block_size).transpose()?,
            direct: query.flag("direct")?,
            size: query.take("size").map(parse_size).transpose()?,
            read_only: query.flag("readonly")?,
        };
        query.end().map(|()| url)
    }
}

impl NvmeUrl {
    fn parse(transport: Transport, place: &str, mut query: Query<'_>) -> Result<Self, UrlError> {
        let (authority, nqn) = place.split_once('/').unwrap_or((place, ""));
        let (host, port) =
            parse_authority(authority, if nqn.is_empty() { DISCOVERY_PORT } else { NVME_PORT })?;
        let is_tcp = transport == Transport::Tcp;
        let url = Self {
            transport,
            host,
            port,
            nqn: (!nqn.is_empty()).then(|| decode(nqn)),
            nsid: query.number("ns", "a namespace id, 1 or more")?,
            hostnqn: query.take("hostnqn").map(decode),
            header_digest: is_tcp && query.flag("hdgst")?,
            data_digest: is_tcp && query.flag("ddgst")?,
            queues: query.number("queues", "a number of I/O queues")?,
            depth: query.number("depth", "a number of queue entries")?,
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
            Transport::Tcp => "nvme+tcp",
            Transport::Rdma => "nvme+rdma",
        }
    }
}

impl fmt::Display for NvmeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        write!(f, "{}://{host}:{}", self.scheme(), self.port)?;
        if let Some(nqn) = &self.nqn {
            write!(f, "/{nqn}")?;
        }
        match self.nsid {
            Some(nsid) => write!(f, "?ns={nsid}"),
            None => Ok(()),
        }
    }
}

/// HOST, HOST:PORT, IPv4:PORT, `[IPv6]` or `[IPv6]:PORT`.
pub fn parse_authority(text: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    let wrong = || UrlError::Authority(text.into());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(wrong)?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(wrong)?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Ok(default_port), |port| port.parse().map_err(|_| wrong()))?;
    if host.is_empty() { Err(wrong()) } else { Ok((host.into(), port)) }
}

fn block_size(value: &str) -> Result<u32, UrlError> {
    match value {
        "512" => Ok(512),
        "4096" | "4k" | "4K" => Ok(4096),
        other => Err(UrlError::Value { name: "block", value: other.into(), expected: "512 or 4096" }),
    }
}

/// What stands after the question mark; each parameter is taken once, and what is left over is an error.
struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect())
    }

    fn take(&mut self, name: &str) -> Option<&'a str> {
        let at = self.0.iter().position(|(have, _)| *have == name)?;
        Some(self.0.remove(at).1)
    }

    /// `name`, `name=1`, `name=yes` or the opposites.
    fn flag(&mut self, name: &'static str) -> Result<bool, UrlError> {
        match self.take(name) {
            None | Some("0" | "no" | "false" | "off") => Ok(false),
            Some("" | "1" | "yes" | "true" | "on") => Ok(true),
            Some(value) => Err(UrlError::Value { name, value: value.into(), expected: "1 or 0" }),
        }
    }

    fn number<T: FromStr + PartialEq + From<u8>>(
        &mut self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, UrlError> {
        let wrong = |value: &str| UrlError::Value { name, value: value.into(), expected };
        let Some(value) = self.take(name) else { return Ok(None) };
        let number: T = value.parse().map_err(|_| wrong(value))?;
        if number == T::from(0) { Err(wrong(value)) } else { Ok(Some(number)) }
    }

    fn address(&mut self, name: &'static str) -> Result<Option<IpAddr>, UrlError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let wrong = |_| UrlError::Value { name, value: value.into(), expected: "an address of this machine" };
        value.parse().map(Some).map_err(wrong)
    }

    fn end(self) -> Result<(), UrlError> {
        self.0.first().map_or(Ok(()), |(name, _)| Err(UrlError::Parameter((*name).into())))
    }
}

/// Percent-decoding (RFC 3986, section 2.1). What is no valid escape stands for itself.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Bytes a block where nothing is said.
pub const DEFAULT_BLOCK_SIZE: u32 = 512;

/// The port of NVMe over Fabrics (NVMe over TCP Transport, section 3.1.1).
pub const NVME_PORT: u16 = 4420;

/// The port of the discovery service.
pub const DISCOVERY_PORT: u16 = 8009;

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<VolumeUrl, UrlError> {
        text.parse()
    }

    #[test]
    fn every_scheme_is_read() {
        assert_eq!(url("mem://?size=1G"), Ok(VolumeUrl::Mem(SizedUrl::of(1 << 30))));
        let text = "null://?size=4096&block=512&physical=4096";
        let sized = SizedUrl { physical_block_size: Some(4096), ..SizedUrl::of(4096) };
        assert_eq!(url(text), Ok(VolumeUrl::Null(sized)));
        assert_eq!(VolumeUrl::Null(sized).to_string(), text);
        let Ok(VolumeUrl::File(file)) = url("file:///a%20b?direct=1&size=1M") else { panic!() };
        assert_eq!((file.path.to_str(), file.direct, file.size), (Some("/a b"), true, Some(1 << 20)));
        let text = "nvme+tcp://[::1]:4421/nqn.2026-01.x:y?ns=2&hdgst&queues=4";
        let Ok(VolumeUrl::Nvme(nvme)) = url(text) else { panic!() };
        assert_eq!((nvme.host.as_str(), nvme.port, nvme.nsid), ("::1", 4421, Some(2)));
        assert_eq!(
            (nvme.nqn.as_deref(), nvme.header_digest, nvme.queues),
            (Some("nqn.2026-01.x:y"), true, Some(4))
        );
        assert_eq!(nvme.to_string(), "nvme+tcp://[::1]:4421/nqn.2026-01.x:y?ns=2");
        let Ok(VolumeUrl::Nvme(nvme)) = url("nvme+rdma://10.0.0.1/nqn.2026-01.x:y?from=10.0.0.2") else {
            panic!()
        };
        assert_eq!((nvme.transport, nvme.port), (Transport::Rdma, NVME_PORT));
        assert_eq!(nvme.from, Some("10.0.0.2".parse().unwrap()));
        assert!(matches!(url("nvme+rdma://h/n?hdgst"), Err(UrlError::Parameter(_))));
        assert!(matches!(url("nvme+rdma://h/n?from=x"), Err(UrlError::Value { name: "from", .. })));
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(url("disk"), Err(UrlError::NoScheme));
        assert_eq!(url("ftp://x"), Err(UrlError::Scheme("ftp".into())));
        assert_eq!(url("mem://"), Err(UrlError::NoSize));
        assert_eq!(url("mem://?size=1G&colour=red"), Err(UrlError::Parameter("colour".into())));
        assert!(matches!(url("mem://?size=1G&block=513"), Err(UrlError::Value { name: "block", .. })));
        assert!(matches!(url("nvme+tcp://h:p/n"), Err(UrlError::Authority(_))));
        assert!(matches!(url("nvme+tcp://[::1/n"), Err(UrlError::Authority(_))));
        assert!(matches!(url("nvme+tcp://h/n?ns=0"), Err(UrlError::Value { name: "ns", .. })));
        assert_eq!(url("file://"), Err(UrlError::NoPath));
    }
}
