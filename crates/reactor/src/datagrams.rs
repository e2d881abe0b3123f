//! The table of datagram sockets: what each one's readiness means for its owner.

use crate::poller::{Interest, Poller, Ready};
use crate::{address, datagram};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use stdx::env::{DatagramSocket, DatagramsId, DatagramsInfo, Event, IoError, Owner, ReceivedRun, Run, What};
use stdx::mem::{Memory, Span};
use stdx::slab::{Key, Slab};

/// All datagram sockets of a reactor.
#[derive(Debug)]
pub(crate) struct Datagrams {
    table: Slab<Socket>,
}

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    owner: Owner,
    info: DatagramsInfo,
    /// The owner waits to send.
    wants_room: bool,
}

impl Datagrams {
    /// An empty table.
    pub(crate) const fn new() -> Self {
        Self { table: Slab::new(SOCKETS_MAX) }
    }

    /// See [`stdx::env::Env::open_datagrams`].
    pub(crate) fn open(
        &mut self,
        poller: &Poller,
        owner: Owner,
        socket: &DatagramSocket,
    ) -> Result<DatagramsId, IoError> {
        let (fd, cuts) = datagram::open(socket.address)?;
        let raw = fd.as_raw_fd();
        let info = DatagramsInfo {
            address: address::local(raw)?,
            run_max: if cuts { RUN_MAX } else { 1 },
            run_bytes_max: RUN_BYTES_MAX,
        };
        let key =
            self.table.insert(Socket { fd, owner, info, wants_room: false }).map_err(|_| IoError::Limit)?;
        if let Err(error) = poller.add(raw, key.as_u64() | IS_DATAGRAMS, Interest::Edges) {
            self.table.remove(key);
            return Err(error);
        }
        Ok(DatagramsId(key.as_u64()))
    }

    /// See [`stdx::env::Env::datagrams_info`].
    pub(crate) fn info(&self, id: DatagramsId) -> DatagramsInfo {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let none = DatagramsInfo { address: nowhere, run_max: 0, run_bytes_max: 0 };
        self.table.get(Key::from_u64(id.0)).map_or(none, |socket| socket.info)
    }

    /// See [`stdx::env::Env::close_datagrams`].
    pub(crate) fn close(&mut self, id: DatagramsId) {
        self.table.remove(Key::from_u64(id.0));
    }

    /// See [`stdx::env::Env::send_run`].
    pub(crate) fn send(&mut self, id: DatagramsId, memory: &Memory, run: &Run<'_>) -> Result<(), IoError> {
        let socket = self.table.get_mut(Key::from_u64(id.0)).ok_or(IoError::Reset)?;
        let result = datagram::send(&socket.fd, memory, run);
        socket.wants_room = result == Err(IoError::WouldBlock);
        result
    }

    /// See [`stdx::env::Env::recv_run`].
    pub(crate) fn recv(
        &mut self,
        id: DatagramsId,
        memory: &mut Memory,
        into: Span,
    ) -> Result<ReceivedRun, IoError> {
        let socket = self.table.get(Key::from_u64(id.0)).ok_or(IoError::Reset)?;
        datagram::recv(&socket.fd, memory, into, socket.info.address)
    }

    /// Tells the owner what became possible.
    pub(crate) fn handle_ready(&mut self, ready: Ready, events: &mut Vec<Event>) {
        let key = Key::from_u64(ready.token & !IS_DATAGRAMS);
        let Some(socket) = self.table.get_mut(key) else { return };
        let (owner, id) = (socket.owner, DatagramsId(key.as_u64()));
        if ready.readable {
            events.push(Event { owner, what: What::DatagramsReadable(id) });
        }
        if ready.writable && core::mem::take(&mut socket.wants_room) {
            events.push(Event { owner, what: What::DatagramsWritable(id) });
        }
    }
}

/// The bit in the set's numbers that tells datagram sockets from streams: no table has 2^30 places.
pub(crate) const IS_DATAGRAMS: u64 = 1 << 30;

/// Datagram sockets at once, at most.
const SOCKETS_MAX: usize = 1024;

/// Datagrams that the kernel cuts out of one run, at most (UDP_MAX_SEGMENTS).
const RUN_MAX: u16 = 64;

/// Bytes of one run: what an IP packet holds besides its headers.
const RUN_BYTES_MAX: u32 = 65_535 - 40 - 8;
