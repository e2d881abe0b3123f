//! What a run sent, as a pcap file: raw IPv4 with the TCP headers that the bytes of streams would have had, so that tshark
//! and Wireshark show the NVMe/TCP inside, and with datagrams as they were sent, lost or not.
//!
//! Packets carry the time they were sent. Of streams, lost and repeated packets do not exist in this world, so a sequence number is
//! the count of bytes before, and what was acknowledged is what the other side sent so far.

use crate::datagrams::Datagram;
use crate::network::NodeId;
use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::time::Time;

/// A capture that a world fills and its owner reads, even after a run that panicked.
pub type SharedCapture = Rc<RefCell<Capture>>;

/// See the module.
#[derive(Debug)]
pub struct Capture {
    file: Vec<u8>,
    /// The next sequence number of each direction.
    next: BTreeMap<(Place, Place), u32>,
}

/// A node and a port of it.
pub type Place = (NodeId, u16);

/// What a packet is, beside its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flags {
    /// The first of a direction.
    Begin,
    /// Bytes.
    Data,
    /// The last of a direction.
    End,
    /// The connection breaks.
    Reset,
}

impl Capture {
    /// An empty capture.
    pub fn new() -> SharedCapture {
        let mut file = Vec::new();
        let header: [u32; 6] = [MAGIC_NANOSECONDS, VERSION, 0, 0, SNAPLEN, LINKTYPE_RAW];
        header.iter().for_each(|word| file.extend(word.to_le_bytes()));
        Rc::new(RefCell::new(Self { file, next: BTreeMap::new() }))
    }

    /// The file so far.
    pub fn file(&self) -> &[u8] {
        &self.file
    }

    /// A connection was made: three packets at once.
    pub(crate) fn connected(&mut self, now: Time, client: Place, server: Place) {
        self.next.insert((client, server), 0);
        self.next.insert((server, client), 0);
        self.packet(now, client, server, SYN, &[]);
        self.next.insert((client, server), 1);
        self.packet(now, server, client, SYN | ACK, &[]);
        self.next.insert((server, client), 1);
        self.packet(now, client, server, ACK, &[]);
    }

    /// Something was sent.
    pub(crate) fn sent(&mut self, now: Time, from: Place, to: Place, flags: Flags, bytes: &[u8]) {
        match flags {
            Flags::Begin => self.connected(now, from, to),
            Flags::Data => {
                for piece in bytes.chunks(PACKET_BYTES_MAX) {
                    self.packet(now, from, to, ACK | PSH, piece);
                    self.advance(from, to, piece.len() as u32);
                }
            }
            Flags::End => {
                self.packet(now, from, to, ACK | FIN, &[]);
                self.advance(from, to, 1);
            }
            Flags::Reset => self.packet(now, from, to, ACK | RST, &[]),
        }
    }

    /// A datagram was sent.
    pub(crate) fn datagram(&mut self, now: Time, datagram: &Datagram) {
        let packet = wire::pcap::Datagram {
            from: datagram.from,
            to: datagram.to,
            identification: datagram.identification,
            dont_fragment: true,
            traffic_class: datagram.traffic_class,
            bytes: &datagram.bytes,
        };
        let (headers, len) = packet.headers();
        self.begin_packet(now, len + datagram.bytes.len());
        self.file.extend(&headers[..len]);
        self.file.extend(&datagram.bytes);
    }

    fn begin_packet(&mut self, now: Time, len: usize) {
        let nanos = now.as_nanos();
        let (seconds, rest) = ((nanos / 1_000_000_000) as u32, (nanos % 1_000_000_000) as u32);
        [seconds, rest, len as u32, len as u32].iter().for_each(|word| self.file.extend(word.to_le_bytes()));
    }

    fn advance(&mut self, from: Place, to: Place, by: u32) {
        let next = self.next.entry((from, to)).or_default();
        *next = next.wrapping_add(by);
    }

    fn packet(&mut self, now: Time, from: Place, to: Place, flags: u8, bytes: &[u8]) {
        let number = |way| self.next.get(&way).copied().unwrap_or(0);
        let (sequence, acknowledged) = (number((from, to)), number((to, from)));
        let len = HEADERS + bytes.len();
        self.begin_packet(now, len);
        let mut ip = [0; 20];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        (ip[8], ip[9]) = (64, 6);
        ip[12..16].copy_from_slice(&[10, 0, 0, from.0.0]);
        ip[16..20].copy_from_slice(&[10, 0, 0, to.0.0]);
        let checksum = internet_checksum(&ip);
        ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        self.file.extend(ip);
        // The checksum stays 0: it is not examined unless one asks for that.
        let mut tcp = [0; 20];
        tcp[0..2].copy_from_slice(&from.1.to_be_bytes());
        tcp[2..4].copy_from_slice(&to.1.to_be_bytes());
        tcp[4..8].copy_from_slice(&sequence.to_be_bytes());
        tcp[8..12].copy_from_slice(&acknowledged.to_be_bytes());
        (tcp[12], tcp[13]) = (5 << 4, flags);
        tcp[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        self.file.extend(tcp);
        self.file.extend(bytes);
    }
}

/// RFC 1071 over a header of an even length.
fn internet_checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// 2.4, the minor number in the upper half.
const VERSION: u32 = 4 << 16 | 2;
const SNAPLEN: u32 = 1 << 18;
/// LINKTYPE_RAW: a packet begins with its IP header.
const LINKTYPE_RAW: u32 = 101;
const HEADERS: usize = 40;
/// What an IP packet has room for, a little less.
const PACKET_BYTES_MAX: usize = 65_000;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const PSH: u8 = 8;
const ACK: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers_count_bytes() {
        let capture = Capture::new();
        let (client, server) = ((NodeId(2), 30_000), (NodeId(1), 4420));
        let mut at = capture.borrow_mut();
        at.sent(Time::ZERO, client, server, Flags::Begin, &[]);
        at.sent(Time::ZERO, client, server, Flags::Data, &[7; 100]);
        let before = at.file().len();
        at.sent(Time::from_nanos(1_500_000_000), client, server, Flags::End, &[]);
        let packet = &at.file()[before..];
        assert_eq!(packet[..8], [1, 0, 0, 0, 0, 0x65, 0xcd, 0x1d], "1.5 s");
        assert_eq!(packet[16 + 20 + 4..][..4], 101_u32.to_be_bytes());
        assert_eq!(internet_checksum(&packet[16..36]), 0, "a header with its checksum sums up to nothing");
    }
}
