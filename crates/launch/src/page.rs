//! What the preload writes down while it works: one page for a program and the processes it forks.
//!
//! A [`Header`] and [`ROWS`] rows, one for each connection there is. Rows are written by the program's threads and processes
//! while others read them: each field is right by itself, and a reader looks at a moment, no more. What a reader finds
//! decides nothing: a page is told from chance by its magic, and its numbers are shown.

use crate::Reason;
use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// Connections that a page has room for.
pub const ROWS: usize = 16_384;

/// How a page begins; another layout has another number.
pub const MAGIC: u64 = u64::from_le_bytes(*b"weftrun2");

/// Bytes of a whole page.
pub const PAGE_LEN: usize = size_of::<Header>() + ROWS * size_of::<Row>();

/// The beginning of a page.
#[derive(Debug)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: AtomicU64,
    /// Connections that were begun.
    pub connections: AtomicU64,
    /// Connections that left TCP.
    pub carried: AtomicU64,
    /// Bytes that were sent past TCP, by connections that are closed.
    pub sent: AtomicU64,
    /// Bytes that were received past TCP, by connections that are closed.
    pub received: AtomicU64,
    /// Connections that stayed, by [`Reason`].
    pub stayed: [AtomicU64; 16],
    /// The program's name, ended by 0.
    pub program: [AtomicU64; 4],
    /// Calls of the program's that moved bytes past TCP.
    pub carried_calls: AtomicU64,
    /// Calls of the kernel that carriers made to wait and to wake.
    pub kernel_calls: AtomicU64,
    /// Up to where rows begin.
    pub spare: [AtomicU64; 5],
}

/// A connection.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct Row {
    /// 1 while it stands for a connection.
    pub used: AtomicU32,
    /// How far it has come: a [`Phase`].
    pub phase: AtomicU32,
    /// A [`Reason`].
    pub reason: AtomicU32,
    /// 1 for the end that connected.
    pub is_client: AtomicU32,
    /// How what we send goes; the preload's own.
    pub transmit: AtomicU32,
    /// How what we receive comes; the preload's own.
    pub receive: AtomicU32,
    /// Held while what we receive changes its way.
    pub lock: AtomicU32,
    /// Processes that hold the connection.
    pub holders: AtomicU32,
    /// Threads that wait for TCP alone.
    pub waiters: AtomicU32,
    /// Calls that looked for the peer.
    pub tries: AtomicU32,
    /// Our port, and the peer's in the upper half.
    pub ports: AtomicU32,
    /// The socket's flags that matter; the preload's own.
    pub flags: AtomicU32,
    /// Where in the stream what we receive leaves TCP.
    pub changes_at: AtomicU64,
    /// Where in the stream what we have received from TCP ends, as far as is known.
    pub place: AtomicU64,
    /// Bytes sent past TCP.
    pub sent: AtomicU64,
    /// Bytes received past TCP.
    pub received: AtomicU64,
    /// Our address, as IPv6, once it was asked for.
    pub local: [AtomicU64; 2],
    /// The peer's.
    pub peer: [AtomicU64; 2],
    /// Held while bytes are put where the peer finds them.
    pub sending: AtomicU32,
    /// Calls that moved bytes before both ends had met; one that moved many counts as several.
    pub calls: AtomicU32,
    /// Threads that sleep until the bell rings; the preload's own.
    pub sleepers: AtomicU32,
    /// The process that uses it, as far as is known; 0 if none is.
    pub process: AtomicU32,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Phase {
    /// A socket without a peer.
    Fresh = 0,
    /// It stays on TCP.
    Plain = 1,
    /// It connected, and the peer may come to carry it.
    Waiting = 2,
    /// It was accepted, and will ask the peer once there is something to read.
    Accepted = 3,
    /// Both ends know of each other.
    Met = 4,
    /// It is asking the peer.
    Calling = 5,
}

impl Phase {
    /// What a row holds, as a phase; a number that nobody gave stays on TCP.
    pub const fn from_number(number: u32) -> Phase {
        match number {
            0 => Phase::Fresh,
            2 => Phase::Waiting,
            3 => Phase::Accepted,
            4 => Phase::Met,
            5 => Phase::Calling,
            _ => Phase::Plain,
        }
    }
}

/// A page as it was at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The program.
    pub program: String,
    /// Connections that were begun.
    pub connections: u64,
    /// Connections that left TCP.
    pub carried: u64,
    /// Bytes sent past TCP.
    pub sent: u64,
    /// Bytes received past TCP.
    pub received: u64,
    /// Calls of the program's that moved bytes past TCP.
    pub carried_calls: u64,
    /// Calls of the kernel that carriers made to wait and to wake.
    pub kernel_calls: u64,
    /// How many stayed, and why.
    pub stayed: Vec<(Reason, u64)>,
    /// Those that are there.
    pub rows: Vec<RowSnapshot>,
}

/// A connection as it was at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSnapshot {
    /// How far it had come.
    pub phase: Phase,
    /// Why it stays.
    pub reason: Reason,
    /// It is the end that connected.
    pub is_client: bool,
    /// Our address; none before a few calls were made on it.
    pub local: Option<SocketAddr>,
    /// The peer's.
    pub peer: Option<SocketAddr>,
    /// Bytes sent past TCP.
    pub sent: u64,
    /// Bytes received past TCP.
    pub received: u64,
    /// The process that uses it, as far as is known.
    pub process: Option<u32>,
}

impl Snapshot {
    /// Calls of the kernel that there would have been with TCP, and were not. Below zero where programs sleep before most answers: to
    /// wake the peer is a call too.
    pub fn spared_calls(&self) -> i64 {
        self.carried_calls.wrapping_sub(self.kernel_calls).cast_signed()
    }

    /// Reads a page; `None` if it is none.
    pub fn read(page: &[u8]) -> Option<Snapshot> {
        if page.len() != PAGE_LEN || word(page, offset_of!(Header, magic)) != MAGIC {
            return None;
        }
        let name: Vec<u8> = (0..4)
            .flat_map(|index| word(page, offset_of!(Header, program) + 8 * index).to_le_bytes())
            .take_while(|&byte| byte != 0)
            .collect();
        let stayed = Reason::ALL
            .into_iter()
            .enumerate()
            .skip(1)
            .map(|(index, reason)| (reason, word(page, offset_of!(Header, stayed) + 8 * index)));
        let rows: Vec<RowSnapshot> = page[size_of::<Header>()..]
            .chunks_exact(size_of::<Row>())
            .filter_map(RowSnapshot::read)
            .collect();
        let sum = |each: fn(&RowSnapshot) -> u64| rows.iter().map(each).fold(0, u64::wrapping_add);
        Some(Snapshot {
            program: String::from_utf8_lossy(&name).into_owned(),
            connections: word(page, offset_of!(Header, connections)),
            carried: word(page, offset_of!(Header, carried)),
            sent: word(page, offset_of!(Header, sent)).wrapping_add(sum(|row| row.sent)),
            received: word(page, offset_of!(Header, received)).wrapping_add(sum(|row| row.received)),
            carried_calls: word(page, offset_of!(Header, carried_calls)),
            kernel_calls: word(page, offset_of!(Header, kernel_calls)),
            stayed: stayed.filter(|&(_, count)| count > 0).collect(),
            rows,
        })
    }
}

impl RowSnapshot {
    fn read(row: &[u8]) -> Option<RowSnapshot> {
        let half = |at: usize| u32::from_le_bytes(row[at..at + 4].try_into().expect("four bytes"));
        let place = |at: usize, port: u16| {
            let bits = u128::from(word(row, at)) << 64 | u128::from(word(row, at + 8));
            (port != 0).then(|| SocketAddr::new(IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical(), port))
        };
        let phase = Phase::from_number(half(offset_of!(Row, phase)));
        if half(offset_of!(Row, used)) != 1 || phase == Phase::Fresh {
            return None;
        }
        let ports = half(offset_of!(Row, ports));
        Some(RowSnapshot {
            phase,
            reason: Reason::from_number(half(offset_of!(Row, reason))),
            is_client: half(offset_of!(Row, is_client)) == 1,
            local: place(offset_of!(Row, local), ports as u16),
            peer: place(offset_of!(Row, peer), (ports >> 16) as u16),
            sent: word(row, offset_of!(Row, sent)),
            received: word(row, offset_of!(Row, received)),
            process: Some(half(offset_of!(Row, process))).filter(|&process| process != 0),
        })
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Vec<u8> {
        let mut page = vec![0; PAGE_LEN];
        page[..8].copy_from_slice(&MAGIC.to_le_bytes());
        let program = offset_of!(Header, program);
        page[program..program + 5].copy_from_slice(b"redis");
        for (at, count) in [(offset_of!(Header, carried_calls), 5u64), (offset_of!(Header, kernel_calls), 7)]
        {
            page[at..at + 8].copy_from_slice(&count.to_le_bytes());
        }
        page
    }

    #[test]
    fn what_is_no_page_is_not_read() {
        assert_eq!(Snapshot::read(&[]), None);
        assert_eq!(Snapshot::read(&vec![0; PAGE_LEN]), None);
        assert_eq!(Snapshot::read(&page()[1..]), None);
    }

    #[test]
    fn a_row_is_read_with_its_addresses() {
        let mut page = page();
        let row = &mut page[size_of::<Header>() + 5 * size_of::<Row>()..];
        let mut put = |at: usize, bytes: &[u8]| row[at..at + bytes.len()].copy_from_slice(bytes);
        put(offset_of!(Row, used), &[1]);
        put(offset_of!(Row, phase), &[4]);
        put(offset_of!(Row, is_client), &[1]);
        put(offset_of!(Row, ports), &(6379 << 16 | 40_000u32).to_le_bytes());
        put(offset_of!(Row, peer) + 8, &0xffff_7f00_0001_u64.to_le_bytes());
        put(offset_of!(Row, sent), &77u64.to_le_bytes());
        let snapshot = Snapshot::read(&page).expect("a page");
        assert_eq!((snapshot.program.as_str(), snapshot.sent, snapshot.rows.len()), ("redis", 77, 1));
        assert_eq!(snapshot.spared_calls(), -2);
        let row = &snapshot.rows[0];
        assert_eq!(
            (row.phase, row.is_client, row.local.map(|local| local.port())),
            (Phase::Met, true, Some(40_000))
        );
        assert_eq!(row.peer, "127.0.0.1:6379".parse().ok());
    }

    #[test]
    fn rows_share_no_cache_line() {
        assert_eq!((size_of::<Row>(), size_of::<Header>() % size_of::<Row>()), (128, 0));
    }
}
