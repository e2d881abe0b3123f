//! Packets of a capture, looked at without a device.

use crate::icrc::Path;
use core::net::SocketAddr;
use wire::pcap::Datagram;
use wire::roce::{BTH_LEN, Headers, ICRC_LEN, PacketError};

/// What a datagram is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inspected<'a> {
    /// Its headers.
    pub headers: Headers,
    /// Its payload, without padding.
    pub payload: &'a [u8],
    /// It ends with its invariant CRC, all of whose bits were checked.
    pub is_crc_right: bool,
}

/// Looks at a datagram.
///
/// # Errors
/// When it is no packet.
pub fn inspect<'a>(datagram: &Datagram<'a>) -> Result<Inspected<'a>, PacketError> {
    let bytes = datagram.bytes;
    let headers = Headers::decode(bytes, bytes.len())?;
    let payload = bytes.get(headers.len()..).unwrap_or(&[]);
    let payload = payload.get(..headers.payload_len(bytes.len())).unwrap_or(&[]);
    Ok(Inspected { headers, payload, is_crc_right: is_crc_right(datagram).unwrap_or(false) })
}

fn is_crc_right(datagram: &Datagram<'_>) -> Option<bool> {
    let path = path(datagram.from, datagram.to);
    let bth = datagram.bytes.first_chunk()?;
    let (covered, received) = datagram.bytes.split_last_chunk::<ICRC_LEN>()?;
    let mut hasher = path.hasher(datagram.identification, datagram.bytes.len(), bth);
    hasher.update(covered.get(BTH_LEN..)?);
    Some(hasher.finalize() == u32::from_le_bytes(*received))
}

fn path(from: SocketAddr, to: SocketAddr) -> Path {
    Path { source: from.ip(), source_port: from.port(), destination: to.ip(), port: to.port() }
}
