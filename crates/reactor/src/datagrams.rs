//! The table of datagram sockets: what each one's readiness means for its owner.
//!
//! A busy socket is tried in every turn, so nobody needs the set to tell of it; and each datagram that comes to a socket in the
//! set costs its sender the telling, half a microsecond. So busy sockets leave the set, and return before the reactor sleeps.

use crate::poller::{Interest, Poller, Ready};
use crate::{address, datagram};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use stdx::env::{DatagramSocket, DatagramsId, DatagramsInfo, Event, IoError, Owner, ReceivedRun, Run, What};
use stdx::mem::{Memory, Span};
use stdx::slab::{Key, Slab};

/// All datagram sockets of a reactor.
#[derive(Debug)]
pub(crate) struct Datagrams {
    table: Slab<Socket>,
    /// Sockets that are not in the set.
    left: Vec<Key>,
}

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    owner: Owner,
    info: DatagramsInfo,
    watch: Watch,
    /// What the datagrams it sends carry.
    traffic_class: u8,
}

/// What the set is to tell of a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Watch {
    /// Nothing: it is not there.
    Left,
    /// What comes.
    Arrivals,
    /// That, and room, for which the owner waits: every datagram that leaves makes some.
    Room,
}

impl Datagrams {
    /// An empty table.
    pub(crate) const fn new() -> Self {
        Self { table: Slab::new(SOCKETS_MAX), left: Vec::new() }
    }

    /// See [`stdx::env::Env::open_datagrams`].
    pub(crate) fn open(
        &mut self,
        poller: &Poller,
        owner: Owner,
        socket: &DatagramSocket,
    ) -> Result<DatagramsId, IoError> {
        self.add(poller, owner, datagram::open(socket.address, None)?)
    }

    /// See [`stdx::env::Env::open_group`].
    pub(crate) fn open_group(
        &mut self,
        poller: &Poller,
        owner: Owner,
        group: SocketAddr,
        at: IpAddr,
    ) -> Result<DatagramsId, IoError> {
        self.add(poller, owner, datagram::open(group, Some(at))?)
    }

    fn add(
        &mut self,
        poller: &Poller,
        owner: Owner,
        (fd, cuts): (OwnedFd, bool),
    ) -> Result<DatagramsId, IoError> {
        let raw = fd.as_raw_fd();
        let info = DatagramsInfo {
            address: address::local(raw)?,
            run_max: if cuts { RUN_MAX } else { 1 },
            run_bytes_max: RUN_BYTES_MAX,
            inbox_bytes: datagram::inbox_bytes(&fd, address::local(raw)?.ip())?,
        };
        let socket = Socket { fd, owner, info, watch: Watch::Arrivals, traffic_class: 0 };
        let key = self.table.insert(socket).map_err(|_| IoError::Limit)?;
        if let Err(error) = poller.add(raw, key.as_u64() | IS_DATAGRAMS, Interest::Arrivals) {
            self.table.remove(key);
            return Err(error);
        }
        Ok(DatagramsId(key.as_u64()))
    }

    /// See [`stdx::env::Env::datagrams_info`].
    pub(crate) fn info(&self, id: DatagramsId) -> DatagramsInfo {
        self.table.get(Key::from_u64(id.0)).map_or(DatagramsInfo::NONE, |socket| socket.info)
    }

    /// See [`stdx::env::Env::close_datagrams`].
    pub(crate) fn close(&mut self, id: DatagramsId) {
        self.table.remove(Key::from_u64(id.0));
    }

    /// See [`stdx::env::Env::send_run`].
    pub(crate) fn send(
        &mut self,
        poller: &Poller,
        id: DatagramsId,
        memory: &Memory,
        run: &Run<'_>,
    ) -> Result<(), IoError> {
        let key = Key::from_u64(id.0);
        let socket = self.table.get_mut(key).ok_or(IoError::Reset)?;
        if run.traffic_class != socket.traffic_class {
            datagram::set_class(&socket.fd, socket.info.address.is_ipv4(), run.traffic_class)?;
            socket.traffic_class = run.traffic_class;
        }
        let result = datagram::send(&socket.fd, memory, run);
        if result == Err(IoError::WouldBlock) {
            socket.set_watch(poller, key, Watch::Room)?;
        }
        if result == Err(IoError::Media) {
            // The way leads by a device that computes no checksums, for which Linux cut no runs before 6.11.
            socket.info.run_max = 1;
        }
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

    /// See [`stdx::env::Env::recv_runs`].
    pub(crate) fn recv_all(
        &mut self,
        id: DatagramsId,
        memory: &mut Memory,
        into: &[Span],
        runs: &mut Vec<ReceivedRun>,
    ) -> Result<bool, IoError> {
        let socket = self.table.get(Key::from_u64(id.0)).ok_or(IoError::Reset)?;
        datagram::recv_all(&socket.fd, memory, into, socket.info.address, runs)
    }

    /// Lets the owner of a socket try to receive.
    pub(crate) fn tell_try(&self, key: Key, events: &mut Vec<Event>) {
        if let Some(socket) = self.table.get(key) {
            let id = DatagramsId(key.as_u64());
            events.push(Event { owner: socket.owner, what: What::DatagramsReadable(id) });
        }
    }

    /// Lets the owners of sockets that the set does not tell of try to receive.
    pub(crate) fn tell_left(&self, events: &mut Vec<Event>) {
        for &key in &self.left {
            self.tell_try(key, events);
        }
    }

    /// Takes a socket that will be tried out of the set.
    pub(crate) fn leave(&mut self, poller: &Poller, key: Key) {
        if let Some(socket) = self.table.get_mut(key)
            && socket.watch == Watch::Arrivals
            && socket.set_watch(poller, key, Watch::Left).is_ok()
        {
            self.left.push(key);
        }
    }

    /// Puts sockets that are not tried any more back into the set, which tells of what came meanwhile.
    pub(crate) fn come_back(&mut self, poller: &Poller, is_tried: impl Fn(Key) -> bool) {
        let table = &mut self.table;
        self.left.retain(|&key| match table.get_mut(key) {
            Some(socket) if socket.watch == Watch::Left => {
                is_tried(key) || socket.set_watch(poller, key, Watch::Arrivals).is_err()
            }
            Some(_) | None => false,
        });
    }

    /// Tells the owner what became possible.
    pub(crate) fn handle_ready(&mut self, poller: &Poller, ready: Ready, events: &mut Vec<Event>) {
        let key = Key::from_u64(ready.token & !IS_DATAGRAMS);
        let Some(socket) = self.table.get_mut(key) else { return };
        let (owner, id) = (socket.owner, DatagramsId(key.as_u64()));
        if ready.readable {
            events.push(Event { owner, what: What::DatagramsReadable(id) });
        }
        if ready.writable && socket.watch == Watch::Room {
            // If the set refuses, room is told of more often than needed.
            let _ = socket.set_watch(poller, key, Watch::Arrivals);
            events.push(Event { owner, what: What::DatagramsWritable(id) });
        }
    }
}

impl Socket {
    fn set_watch(&mut self, poller: &Poller, key: Key, watch: Watch) -> Result<(), IoError> {
        let (fd, token) = (self.fd.as_raw_fd(), key.as_u64() | IS_DATAGRAMS);
        match (self.watch, watch) {
            (Watch::Left, Watch::Left) => Ok(()),
            (Watch::Left, _) => poller.add(fd, token, watch.interest()),
            (_, Watch::Left) => poller.remove(fd),
            _ => poller.change(fd, token, watch.interest()),
        }?;
        self.watch = watch;
        Ok(())
    }
}

impl Watch {
    const fn interest(self) -> Interest {
        match self {
            Self::Left => Interest::Nothing,
            Self::Arrivals => Interest::Arrivals,
            Self::Room => Interest::Edges,
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
