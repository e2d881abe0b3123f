//! Work requests (11.4.1).

use crate::{Access, Key, Sge};
use core::net::IpAddr;
use stdx::mem::Span;

/// Something for a send queue to do.
#[derive(Clone, Copy, Debug)]
pub struct SendRequest<'a> {
    /// What its completion is to say it is of. Its submitter's alone.
    pub id: u64,
    /// What to do.
    pub work: Work<'a>,
    /// The bytes to move: gathered from for sends and writes, scattered to for reads (and atomics, eight bytes).
    pub data: Data<'a>,
    /// A completion is wanted even if all goes well. One that failed completes always.
    pub signaled: bool,
    /// The receiver's completion wakes who waits for solicited ones alone.
    pub solicited: bool,
    /// Reads and atomics before it are to be done before it begins.
    pub fence: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// The bytes fill the peer's next receive.
    Send,
    /// So, and its completion gets four bytes more.
    SendImmediate(u32),
    /// So, and the peer's region or window with this key is closed.
    SendInvalidate(Key),
    /// As [`Work::Send`], from a datagram queue pair.
    Datagram {
        /// To whom.
        to: Destination,
        /// Four bytes for its completion.
        immediate: Option<u32>,
    },
    /// The bytes go to the peer's memory.
    Write(Remote),
    /// So, and the peer's next receive completes with these four bytes.
    WriteImmediate(Remote, u32),
    /// The bytes come from the peer's memory.
    Read(Remote),
    /// Eight bytes of the peer's memory, on a multiple of eight, become `swap` if they are `compare`; what they were comes
    /// here.
    CompareSwap {
        /// Where they are.
        at: Remote,
        /// What they must be.
        compare: u64,
        /// What they become.
        swap: u64,
    },
    /// `add` is added to eight bytes of the peer's memory, on a multiple of eight, wrapping; what they were comes here.
    FetchAdd {
        /// Where they are.
        at: Remote,
        /// What is added.
        add: u64,
    },
    /// A region or window of our own is closed: its key opens nothing any more.
    Invalidate(Key),
    /// A region from [`Provider::alloc_region`](crate::Provider::alloc_region) gets memory, and a new life.
    Register {
        /// The key it has from now on: its place, and any last byte.
        key: Key,
        /// The bytes.
        pieces: &'a [Span],
        /// The first byte's address.
        address: u64,
        /// Who may do what.
        access: Access,
    },
    /// A window is opened onto a part of a region; an empty part closes it.
    Bind {
        /// The key it has from now on: its place, and any last byte.
        window: Key,
        /// The part.
        part: Sge,
        /// What peers may do there.
        access: Access,
    },
}

/// The bytes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// Registered memory, not to be touched until the completion.
    Gather(&'a [Sge]),
    /// Memory of the shard itself, whether registered or not: its owner needs no key for it (the reserved key of 10.6.3.5).
    /// Not to be touched until the completion; no peer learns of it.
    Own(&'a [Span]),
    /// Bytes that are copied at once.
    Inline(&'a [u8]),
}

impl Data<'_> {
    /// None.
    pub const NONE: Self = Self::Gather(&[]);
}

/// Memory of the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote {
    /// Where it begins.
    pub address: u64,
    /// What opens it.
    pub key: Key,
}

/// Where a datagram goes (address handle and destination, 11.2.2, 11.4.1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Destination {
    /// The port.
    pub address: IpAddr,
    /// The queue pair.
    pub qpn: u32,
    /// The key it asks for.
    pub queue_key: u32,
}

/// Room for a message to come.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveRequest<'a> {
    /// What its completion is to say it is of.
    pub id: u64,
    /// Where the bytes go, in this order. A datagram queue pair puts forty bytes about the sender before them.
    pub scatter: &'a [Sge],
}

impl<'a> SendRequest<'a> {
    /// A request that is signaled, and nothing else.
    pub const fn new(id: u64, work: Work<'a>, data: Data<'a>) -> Self {
        Self { id, work, data, signaled: true, solicited: false, fence: false }
    }
}

/// The queue pair number that stands for every member of a group (10.5.2).
pub const MULTICAST_QPN: u32 = 0xff_ffff;
