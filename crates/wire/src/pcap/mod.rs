//! Capture files of pcap's classic form, as tshark and Wireshark read and write them (draft-ietf-opsawg-pcap).
//!
//! What it is: the file's header, the header of each packet, and a reader over a whole file's bytes; [`Datagram`] is what such a
//! packet holds for us: a UDP datagram with the fields of its IP header that are of interest.
//!
//! What it is not: it opens no file, and does not know pcapng.
//!
//! Invariants: what is written is little-endian, in nanoseconds, with packets that begin at their IP header; what is read may
//! be of either order and precision, and may begin with an Ethernet header.

mod datagram;

pub use datagram::{Datagram, HEADERS_LEN_MAX};

use crate::Truncated;
use thiserror::Error;

/// Bytes before the first packet.
pub const FILE_HEADER_LEN: usize = 24;

/// Bytes before each packet.
pub const PACKET_HEADER_LEN: usize = 16;

/// What stands before the first packet.
pub const FILE_HEADER: [u8; FILE_HEADER_LEN] = {
    let words = [MAGIC_NANOSECONDS, VERSION, 0, 0, SNAPLEN, LINK_RAW];
    let mut bytes = [0; FILE_HEADER_LEN];
    let mut at = 0;
    while at < FILE_HEADER_LEN {
        bytes[at] = words[at / 4].to_le_bytes()[at % 4];
        at += 1;
    }
    bytes
};

/// What stands before a packet of `len` bytes that was seen so many nanoseconds after 1970-01-01 UTC.
pub fn packet_header(unix_ns: u64, len: usize) -> [u8; PACKET_HEADER_LEN] {
    let len = len as u32;
    let words = [(unix_ns / SECOND_NS) as u32, (unix_ns % SECOND_NS) as u32, len, len];
    let mut bytes = [0; PACKET_HEADER_LEN];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The packets of a file, in their order.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    is_swapped: bool,
    /// Nanoseconds in a unit of a packet's fraction.
    unit_ns: u64,
    link: Link,
}

/// A packet of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// When it was seen: nanoseconds after 1970-01-01 UTC.
    pub unix_ns: u64,
    /// Its bytes from the IP header on; empty if it holds none.
    pub bytes: &'a [u8],
}

/// The file cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FileError {
    /// It ends before its header does.
    #[error("the file ends before its header does")]
    Truncated(#[from] Truncated),
    /// It begins with something else.
    #[error("not a capture in pcap's classic form (magic number {0:#010x})")]
    Magic(u32),
    /// Its packets begin with a header that is not known here.
    #[error("packets begin with a link header of type {0}; known are 1 (Ethernet) and 101 (IP)")]
    Link(u32),
}

/// What packets begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Ethernet,
    Ip,
}

impl<'a> Reader<'a> {
    /// Reads a file's header.
    pub fn new(file: &'a [u8]) -> Result<Self, FileError> {
        let Some((header, rest)) = file.split_first_chunk::<FILE_HEADER_LEN>() else {
            return Err(Truncated { needed: FILE_HEADER_LEN, available: file.len() }.into());
        };
        let magic = word(header, 0, false);
        let (is_swapped, unit_ns) = match (magic, magic.swap_bytes()) {
            (MAGIC_NANOSECONDS, _) => (false, 1),
            (_, MAGIC_NANOSECONDS) => (true, 1),
            (MAGIC_MICROSECONDS, _) => (false, 1000),
            (_, MAGIC_MICROSECONDS) => (true, 1000),
            _ => return Err(FileError::Magic(magic)),
        };
        let link = match word(header, 20, is_swapped) {
            LINK_ETHERNET => Link::Ethernet,
            LINK_RAW => Link::Ip,
            other => return Err(FileError::Link(other)),
        };
        Ok(Self { rest, is_swapped, unit_ns, link })
    }
}

impl<'a> Iterator for Reader<'a> {
    type Item = Packet<'a>;

    /// A last packet that was cut off is not told.
    fn next(&mut self) -> Option<Packet<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<PACKET_HEADER_LEN>()?;
        let field = |at| word(header, at, self.is_swapped);
        let (bytes, rest) = rest.split_at_checked(field(8) as usize)?;
        self.rest = rest;
        let unix_ns = u64::from(field(0)) * SECOND_NS + u64::from(field(4)) * self.unit_ns;
        let bytes = match self.link {
            Link::Ip => bytes,
            Link::Ethernet => ethernet_payload(bytes),
        };
        Some(Packet { unix_ns, bytes })
    }
}

/// What an Ethernet frame holds, if that is IP.
fn ethernet_payload(frame: &[u8]) -> &[u8] {
    let is_ip = matches!(frame.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
    if is_ip { frame.get(14..).unwrap_or(&[]) } else { &[] }
}

fn word(header: &[u8], at: usize, is_swapped: bool) -> u32 {
    let bytes = header.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
    if is_swapped { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
}

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
/// 2.4, the minor number in the upper half.
const VERSION: u32 = 4 << 16 | 2;
/// No packet is longer.
const SNAPLEN: u32 = 1 << 18;
const LINK_ETHERNET: u32 = 1;
const LINK_RAW: u32 = 101;
const SECOND_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_is_written_is_read() {
        let mut file = Vec::from(FILE_HEADER);
        for (unix_ns, bytes) in [(5, &b"one"[..]), (1_700_000_000_123_456_789, b"three")] {
            file.extend(packet_header(unix_ns, bytes.len()));
            file.extend(bytes);
        }
        let packets: Vec<_> = Reader::new(&file).unwrap().collect();
        assert_eq!(packets[0], Packet { unix_ns: 5, bytes: b"one" });
        assert_eq!(packets[1], Packet { unix_ns: 1_700_000_000_123_456_789, bytes: b"three" });
        assert_eq!(Reader::new(&file[..file.len() - 1]).unwrap().count(), 1, "the last one is cut off");
    }

    #[test]
    fn the_other_order_and_precision_are_read() {
        let mut file = Vec::new();
        for word in [MAGIC_MICROSECONDS, 2 << 16 | 4, 0, 0, 65_535, LINK_ETHERNET, 1, 2, 16, 16] {
            file.extend(word.to_be_bytes());
        }
        file.extend([0; 12]);
        file.extend([0x08, 0x00, 0x45, 0x00]);
        let packet = Reader::new(&file).unwrap().next().unwrap();
        assert_eq!(packet, Packet { unix_ns: 1_000_002_000, bytes: &[0x45, 0x00] });
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Reader::new(&[0; 24]).unwrap_err(), FileError::Magic(0));
        assert!(matches!(Reader::new(&[0; 23]), Err(FileError::Truncated(_))));
        let mut file = FILE_HEADER;
        file[20] = 113;
        assert_eq!(Reader::new(&file).unwrap_err(), FileError::Link(113));
    }
}
