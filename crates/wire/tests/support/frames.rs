//! The datagrams of RoCEv2 in a capture file: classic pcap, Ethernet, IPv4 or IPv6, UDP. For tests alone; it panics where a
//! capture is not what it should be.

#![allow(dead_code)] // Each test file uses only a part.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use wire::roce::icrc::{Network, Prefix};
use wire::roce::{Action, BTH_LEN, Headers, ICRC_LEN, PORT};

/// A datagram as it was on the wire.
pub struct Datagram {
    /// Ordinal of its frame.
    pub frame: usize,
    pub network: Network,
    pub source_port: u16,
    pub bytes: Vec<u8>,
}

impl Datagram {
    /// The invariant CRC that the datagram ends with.
    pub fn icrc(&self) -> u32 {
        u32::from_le_bytes(self.bytes[self.bytes.len() - ICRC_LEN..].try_into().unwrap())
    }

    /// The bytes of the sender's address.
    fn source(&self) -> Vec<u8> {
        match self.network {
            Network::V4 { source, .. } => source.octets().to_vec(),
            Network::V6 { source, .. } => source.octets().to_vec(),
        }
    }

    /// The invariant CRC that it should end with.
    pub fn computed_icrc(&self) -> u32 {
        let len = self.bytes.len();
        let bth = self.bytes[..BTH_LEN].try_into().unwrap();
        let prefix = Prefix::new(self.network, self.source_port, PORT, len as u16, bth);
        let mut covered = prefix.bytes().to_vec();
        covered.extend_from_slice(&self.bytes[BTH_LEN..len - ICRC_LEN]);
        ethernet_crc(&covered)
    }
}

/// The names of the captures in `tests/data/rdma`.
pub fn captures() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap().strip_suffix(".pcap").map(str::to_owned)
    };
    let mut names: Vec<_> = entries.filter_map(name).collect();
    names.sort();
    names
}

/// Every datagram of a capture.
pub fn datagrams(capture: &str) -> Vec<Datagram> {
    read(&folder().join(format!("{capture}.pcap")))
}

/// A message that a queue pair or the connection manager sent whole.
pub struct Unit {
    /// Ordinal of its first frame.
    pub frame: usize,
    /// The receiving queue pair.
    pub destination: u32,
    pub bytes: Vec<u8>,
}

/// Every message sent in a capture of `tests/data/units`, put together from its packets.
pub fn units(capture: &str) -> Vec<Unit> {
    let mut open: std::collections::BTreeMap<(Vec<u8>, u32), Unit> = std::collections::BTreeMap::new();
    let mut units = Vec::new();
    for datagram in read(&folder().join(format!("../units/{capture}.pcap"))) {
        let len = datagram.bytes.len();
        let headers = Headers::decode(&datagram.bytes, len).unwrap();
        let (opcode, destination) = (headers.bth.opcode, headers.bth.destination);
        assert_eq!(opcode.action(), Action::Send, "{capture} {}", datagram.frame);
        // Both ends may give their queue pairs the same number.
        let way = (datagram.source(), destination);
        let unit =
            open.entry(way.clone()).or_insert(Unit { frame: datagram.frame, destination, bytes: vec![] });
        unit.bytes.extend_from_slice(&datagram.bytes[headers.len()..][..headers.payload_len(len)]);
        if opcode.position().ends() {
            units.extend(open.remove(&way));
        }
    }
    assert!(open.is_empty(), "{capture}: a message does not end");
    units
}

fn read(path: &Path) -> Vec<Datagram> {
    let file = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(file[..4], 0xa1b2_c3d4u32.to_le_bytes(), "a little-endian pcap file");
    let (mut at, mut frame, mut datagrams) = (24, 0, Vec::new());
    while at < file.len() {
        let captured = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
        datagrams.extend(datagram(&file[at + 16..at + 16 + captured], frame));
        at += 16 + captured;
        frame += 1;
    }
    datagrams
}

fn datagram(frame: &[u8], number: usize) -> Option<Datagram> {
    let (network, udp) = match be16(frame, 12) {
        0x0800 => v4(&frame[14..])?,
        0x86dd => v6(&frame[14..])?,
        _ => return None,
    };
    if be16(udp, 2) != PORT {
        return None;
    }
    let bytes = udp[8..usize::from(be16(udp, 4))].to_vec();
    Some(Datagram { frame: number, network, source_port: be16(udp, 0), bytes })
}

fn v4(ip: &[u8]) -> Option<(Network, &[u8])> {
    if ip[0] != 0x45 || ip[9] != 17 {
        return None;
    }
    let address = |at: usize| Ipv4Addr::from(<[u8; 4]>::try_from(&ip[at..at + 4]).unwrap());
    let network = Network::V4 {
        source: address(12),
        destination: address(16),
        identification: be16(ip, 4),
        dont_fragment: ip[6] & 0x40 != 0,
    };
    Some((network, &ip[20..usize::from(be16(ip, 2))]))
}

fn v6(ip: &[u8]) -> Option<(Network, &[u8])> {
    if ip[6] != 17 {
        return None;
    }
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&ip[at..at + 16]).unwrap());
    let network = Network::V6 { source: address(8), destination: address(24) };
    Some((network, &ip[40..40 + usize::from(be16(ip, 4))]))
}

/// The CRC of Ethernet (IEEE 802.3), one bit at a time.
pub fn ethernet_crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !crc
}

fn be16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes([bytes[offset], bytes[offset + 1]])
}

fn folder() -> std::path::PathBuf {
    let data = |folder: &Path| folder.join("crates/wire/tests/data/rdma");
    let mut around = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(data);
    around.find(|folder| folder.is_dir()).expect("the captures are in the repository")
}
