//! Captures of a Linux host and a Linux target: the bytes of each TCP connection, both ways.

use std::path::Path;

/// One TCP connection of a capture.
pub struct Captured {
    /// What the host sent, in order.
    pub host: Vec<u8>,
    /// What the target sent, in order.
    pub controller: Vec<u8>,
}

/// The connections of a capture, in the order they began. `name` is a file of the `wire` crate's test data.
pub fn connections(name: &str) -> Vec<Captured> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wire/tests/data").join(name);
    let file = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut found: Vec<(u16, Half, Half)> = Vec::new();
    for frame in frames(&file) {
        let Some(segment) = Segment::parse(frame) else { continue };
        let to_controller = segment.destination == 4420;
        let port = if to_controller { segment.source } else { segment.destination };
        let known = found.iter().position(|(known, ..)| *known == port);
        let place = known.unwrap_or_else(|| {
            found.push((port, Half::default(), Half::default()));
            found.len() - 1
        });
        let (_, host, controller) = &mut found[place];
        (if to_controller { host } else { controller }).add(&segment);
    }
    found
        .into_iter()
        .map(|(_, host, controller)| Captured { host: host.bytes, controller: controller.bytes })
        .collect()
}

/// The frames of a pcap file with little-endian headers.
fn frames(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = &file[24..];
    std::iter::from_fn(move || {
        let len = u32::from_le_bytes(rest.get(8..12)?.try_into().unwrap()) as usize;
        let frame = &rest[16..16 + len];
        rest = &rest[16 + len..];
        Some(frame)
    })
}

/// A TCP segment over IPv4 over Ethernet.
struct Segment<'a> {
    source: u16,
    destination: u16,
    sequence: u32,
    starts: bool,
    payload: &'a [u8],
}

impl<'a> Segment<'a> {
    fn parse(frame: &'a [u8]) -> Option<Self> {
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        if word(12) != 0x0800 || frame[23] != 6 {
            return None;
        }
        let tcp = 14 + usize::from(frame[14] & 15) * 4;
        let payload = tcp + usize::from(frame[tcp + 12] >> 4) * 4;
        Some(Self {
            source: word(tcp),
            destination: word(tcp + 2),
            sequence: u32::from(word(tcp + 4)) << 16 | u32::from(word(tcp + 6)),
            starts: frame[tcp + 13] & 2 != 0,
            payload: &frame[payload..14 + usize::from(word(16))],
        })
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Half {
    next: u32,
    bytes: Vec<u8>,
}

impl Half {
    fn add(&mut self, segment: &Segment<'_>) {
        if segment.starts {
            self.next = segment.sequence.wrapping_add(1);
            return;
        }
        let known = self.next.wrapping_sub(segment.sequence) as usize;
        assert!(known <= segment.payload.len() || known > 1 << 31, "captures have no gaps");
        if let Some(new) = segment.payload.get(known..) {
            self.bytes.extend_from_slice(new);
            self.next = self.next.wrapping_add(new.len() as u32);
        }
    }
}
