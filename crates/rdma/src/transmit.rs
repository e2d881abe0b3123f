//! Packets on their way out, put together into runs of equally long datagrams.
//!
//! Headers and trailers lie in an arena of our own; payload stays where it is and is gathered when the run is sent. The CRC
//! of one packet and the headers of the next lie side by side, so that a packet costs two pieces.

use crate::Tap;
use crate::icrc::Path;
use core::net::{IpAddr, SocketAddr};
use stdx::env::{DatagramsId, Env, IoError, Run};
use stdx::mem::{Kind, Memory, OutOfMemory, RegionId, Span};
use stdx::time::Time;
use wire::pcap::Datagram;
use wire::roce::{BTH_LEN, HEADERS_LEN_MAX, Headers, ICRC_LEN, pad_len};

/// The payload of a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    /// Gathered from memory.
    Spans(&'a [Span]),
    /// Copied.
    Bytes(&'a [u8]),
}

/// The run that is being put together.
#[derive(Debug)]
pub(crate) struct Transmitter {
    arena: RegionId,
    used: usize,
    pieces: Vec<Span>,
    to: IpAddr,
    datagram_len: usize,
    bytes: usize,
    count: u16,
    /// A shorter datagram ended the run.
    is_closed: bool,
    /// The first packet is a request.
    is_request: bool,
    run_max: u16,
    run_bytes_max: usize,
    /// Bytes of all datagrams that were ever added.
    pub(crate) bytes_ever: u64,
    source: IpAddr,
    source_port: u16,
    port: u16,
    /// Datagrams that were taken, since the last look.
    pub(crate) sent: u64,
}

impl Transmitter {
    /// A transmitter for datagrams of a device at `source`.
    pub(crate) fn new(mem: &mut Memory, source: IpAddr, port: u16) -> Result<Self, OutOfMemory> {
        let arena = mem.map(Kind::Private, ARENA_LEN as u64)?;
        Ok(Self {
            arena,
            used: 0,
            pieces: Vec::with_capacity(256),
            to: source,
            datagram_len: 0,
            bytes: 0,
            count: 0,
            is_closed: false,
            is_request: false,
            run_max: 1,
            run_bytes_max: 0,
            bytes_ever: 0,
            source,
            source_port: port,
            port,
            sent: 0,
        })
    }

    /// What the socket can do.
    pub(crate) fn set_limits(&mut self, run_max: u16, run_bytes_max: u32) {
        self.run_max = run_max.clamp(1, RUN_MAX);
        self.run_bytes_max = run_bytes_max as usize;
    }

    /// Gives the arena back.
    pub(crate) fn close(&self, mem: &mut Memory) {
        mem.unmap(self.arena);
    }

    /// True if there is nothing to send.
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// True if a datagram of `len` bytes may join the run. An empty run takes any.
    pub(crate) fn has_room(&self, to: IpAddr, len: usize) -> bool {
        self.count == 0
            || !self.is_closed
                && self.to == to
                && len <= self.datagram_len
                && self.count < self.run_max
                && self.bytes + len <= self.run_bytes_max
                && self.used + HEADERS_LEN_MAX + TRAILER_LEN_MAX + len <= ARENA_LEN
    }

    /// True if a short datagram of `len` bytes may join a run that is sent anyway. A lone request that is short is better alone:
    /// the system makes more of a run of two than of one datagram.
    pub(crate) fn takes_along(&self, to: IpAddr, len: usize) -> bool {
        let is_better_alone = self.count == 1 && self.is_request && self.bytes <= SHORT;
        !self.is_empty() && !is_better_alone && self.has_room(to, len)
    }

    /// Adds a packet, for which there must be room (see [`Transmitter::has_room`]).
    pub(crate) fn push(&mut self, mem: &mut Memory, to: IpAddr, mut headers: Headers, payload: Payload<'_>) {
        let payload_len = payload.len();
        let padding = pad_len(payload_len);
        headers.bth.pad_len = padding;
        let datagram_len = headers.datagram_len(payload_len);
        let mut bytes = [0; HEADERS_LEN_MAX];
        let Ok(header_len) = headers.encode(&mut bytes) else { return };
        let (bth, rest) = bytes.split_at(BTH_LEN);
        let Some(bth) = bth.first_chunk() else { return };
        let path =
            Path { source: self.source, source_port: self.source_port, destination: to, port: self.port };
        let mut hasher = path.hasher(self.count, datagram_len, bth);
        hasher.update(&rest[..header_len - BTH_LEN]);
        self.append(mem, &bytes[..header_len]);
        match payload {
            Payload::Bytes(bytes) => {
                hasher.update(bytes);
                self.append(mem, bytes);
            }
            Payload::Spans(spans) => {
                for span in spans.iter().filter(|span| !span.is_empty()) {
                    mem.look(*span, |bytes| hasher.update(bytes));
                    self.pieces.push(*span);
                }
            }
        }
        let padding = &[0; 3][..usize::from(padding)];
        hasher.update(padding);
        self.append(mem, padding);
        self.append(mem, &hasher.finalize().to_le_bytes());
        if self.count == 0 {
            (self.to, self.datagram_len) = (to, datagram_len);
            self.is_request = !headers.bth.opcode.is_response();
        }
        self.is_closed = datagram_len < self.datagram_len;
        self.count += 1;
        self.bytes += datagram_len;
        self.bytes_ever += datagram_len as u64;
    }

    /// Sends the run. After an error other than that it would block, the run is dropped, as a network may.
    pub(crate) fn flush(
        &mut self,
        env: &mut dyn Env,
        socket: DatagramsId,
        tap: Option<&mut (dyn Tap + 'static)>,
    ) -> Result<(), IoError> {
        if self.is_empty() {
            return Ok(());
        }
        let run = Run {
            to: SocketAddr::new(self.to, self.port),
            from: None,
            pieces: &self.pieces,
            datagram_len: self.datagram_len as u16,
            traffic_class: ECN_CAPABLE,
        };
        let sent = env.send_run(socket, &run);
        if sent == Err(IoError::WouldBlock) {
            return sent;
        }
        if sent.is_ok() {
            self.sent += u64::from(self.count);
            if let Some(tap) = tap {
                let now = env.now();
                self.show(env.mem(), now, tap);
            }
        } else {
            // It may be that no runs can be sent here, which nobody knew before.
            let info = env.datagrams_info(socket);
            self.set_limits(info.run_max, info.run_bytes_max);
        }
        self.pieces.clear();
        (self.used, self.count, self.bytes, self.is_closed) = (0, 0, 0, false);
        sent
    }

    /// Shows the run's datagrams, as they were sent.
    fn show(&self, mem: &Memory, now: Time, tap: &mut dyn Tap) {
        let mut bytes = vec![0; self.bytes];
        let mut at = 0;
        for piece in &self.pieces {
            mem.read(*piece, &mut bytes[at..at + piece.len()]);
            at += piece.len();
        }
        for (index, bytes) in bytes.chunks(self.datagram_len).enumerate() {
            let datagram = Datagram {
                from: SocketAddr::new(self.source, self.source_port),
                to: SocketAddr::new(self.to, self.port),
                identification: index as u16,
                dont_fragment: true,
                traffic_class: ECN_CAPABLE,
                bytes,
            };
            tap.datagram(now, &datagram);
        }
    }

    /// Copies bytes into the arena; they join the piece before them if that ends there.
    fn append(&mut self, mem: &mut Memory, bytes: &[u8]) {
        if bytes.is_empty() || self.used + bytes.len() > ARENA_LEN {
            return;
        }
        let place = mem.whole(self.arena).slice(self.used, bytes.len());
        mem.write(place, bytes);
        self.used += bytes.len();
        match self.pieces.last_mut() {
            Some(last) if last.region == self.arena && last.offset + u64::from(last.len) == place.offset => {
                last.len += place.len;
            }
            _ => self.pieces.push(place),
        }
    }
}

impl Payload<'_> {
    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Spans(spans) => spans.iter().map(|span| span.len()).sum(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

/// Bytes of headers, trailers and copied payload in one run.
const ARENA_LEN: usize = 128 << 10;
/// Bytes of a short datagram, at most.
const SHORT: usize = 256;
/// Most datagrams in one run.
const RUN_MAX: u16 = 64;
const TRAILER_LEN_MAX: usize = 3 + ICRC_LEN;
/// The datagram may be marked instead of dropped (RFC 3168).
const ECN_CAPABLE: u8 = 0x02;
