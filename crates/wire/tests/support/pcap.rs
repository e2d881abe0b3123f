//! The classic pcap format with Ethernet frames, IPv4 and TCP: enough of each for our captures.

/// Address and port.
pub type Endpoint = ([u8; 4], u16);

/// A TCP segment.
pub struct Segment<'a> {
    /// Ordinal of its packet.
    pub packet: usize,
    pub from: Endpoint,
    pub to: Endpoint,
    pub sequence: u32,
    /// A SYN without ACK.
    pub opens: bool,
    /// Any SYN.
    pub synchronizes: bool,
    pub payload: &'a [u8],
}

/// One direction of a connection.
pub struct Stream {
    pub bytes: Vec<u8>,
    /// Where each packet's contribution ends, and the packet.
    ends: Vec<(usize, usize)>,
}

impl Stream {
    /// The packet that brought the byte at `offset`.
    pub fn packet_of(&self, offset: usize) -> usize {
        self.ends.iter().find(|(end, _)| *end > offset).unwrap().1
    }
}

/// Every TCP segment over IPv4 in the capture.
pub fn tcp_segments(file: &[u8]) -> Vec<Segment<'_>> {
    assert_eq!(file[..4], 0xa1b2_c3d4u32.to_le_bytes(), "a little-endian pcap file");
    assert_eq!(le32(file, 20), 1, "Ethernet frames");
    let mut segments = Vec::new();
    let (mut at, mut packet) = (24, 0);
    while at < file.len() {
        let captured = le32(file, at + 8) as usize;
        assert_eq!(captured, le32(file, at + 12) as usize, "packet {packet} is whole");
        let frame = &file[at + 16..at + 16 + captured];
        segments.extend(tcp_segment(frame, packet));
        at += 16 + captured;
        packet += 1;
    }
    segments
}

fn tcp_segment(frame: &[u8], packet: usize) -> Option<Segment<'_>> {
    if be16(frame, 12) != 0x0800 || frame[14 + 9] != 6 {
        return None;
    }
    let ip = &frame[14..];
    let tcp = &ip[usize::from(ip[0] & 0xf) * 4..usize::from(be16(ip, 2))];
    let (synchronizes, acknowledges) = (tcp[13] & 0x02 != 0, tcp[13] & 0x10 != 0);
    Some(Segment {
        packet,
        from: (ip[12..16].try_into().unwrap(), be16(tcp, 0)),
        to: (ip[16..20].try_into().unwrap(), be16(tcp, 2)),
        sequence: u32::from_be_bytes(tcp[4..8].try_into().unwrap()),
        opens: synchronizes && !acknowledges,
        synchronizes,
        payload: &tcp[usize::from(tcp[12] >> 4) * 4..],
    })
}

/// Joins the segments of one direction; what was sent again is taken once.
pub fn reassemble(segments: &[Segment<'_>], from: Endpoint, to: Endpoint) -> Stream {
    let mut stream = Stream { bytes: Vec::new(), ends: Vec::new() };
    let mut start = None;
    for segment in segments.iter().filter(|segment| segment.from == from && segment.to == to) {
        if segment.synchronizes {
            start = Some(segment.sequence.wrapping_add(1));
        }
        let Some(start) = start else { panic!("the stream has no SYN") };
        if segment.payload.is_empty() {
            continue;
        }
        let offset = segment.sequence.wrapping_sub(start) as usize;
        assert!(offset <= stream.bytes.len(), "packet {} leaves a gap", segment.packet);
        let known = stream.bytes.len() - offset;
        if let Some(fresh) = segment.payload.get(known..).filter(|fresh| !fresh.is_empty()) {
            stream.bytes.extend_from_slice(fresh);
            stream.ends.push((stream.bytes.len(), segment.packet));
        }
    }
    stream
}

fn le32(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes[offset..offset + 4].try_into().unwrap())
}

fn be16(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(bytes[offset..offset + 2].try_into().unwrap())
}
