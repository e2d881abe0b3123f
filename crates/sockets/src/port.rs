//! A device and the sockets on it, turned together.

use rdma::{Config, SoftDevice};
use reactor::Reactor;
use sdp::sockets::{ListenerId, SocketError, Sockets, StreamId};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use stdx::env::{Env, Event, IoError, Owner};
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use verbs::{Limits, Mtu, Provider};

use crate::OpenError;

/// See the module.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) device: SoftDevice,
    pub(crate) sockets: Sockets,
    owner: Owner,
    /// Whose each stream is, by its place.
    owners: Vec<Option<Key>>,
    /// The same of listeners.
    listeners: Vec<Option<Key>>,
}

impl Port {
    /// A device for peers on this machine, at an address of the loopback network that nobody else has.
    pub(crate) fn local(
        env: &mut Reactor,
        owner: Owner,
        options: &crate::Options,
    ) -> Result<Self, OpenError> {
        let mut tries = 0;
        loop {
            let [a, b, c, ..] = env.entropy().to_le_bytes();
            let address = Ipv4Addr::new(127, a | LOCAL_NETWORK, b, c.clamp(1, 254));
            match Self::open(env, owner, address.into(), LOCAL_PORT, LOCAL_MTU, options) {
                Err(OpenError::Device(rdma::OpenError::Socket(IoError::AddressInUse))) if tries < TRIES => {
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    /// A device for peers elsewhere, whose packets carry so many bytes at most.
    pub(crate) fn network(
        env: &mut Reactor,
        owner: Owner,
        address: IpAddr,
        mtu: Mtu,
        options: &crate::Options,
    ) -> Result<Self, OpenError> {
        Self::open(env, owner, address, options.network_port, mtu, options)
    }

    fn open(
        env: &mut Reactor,
        owner: Owner,
        address: IpAddr,
        port: u16,
        mtu: Mtu,
        options: &crate::Options,
    ) -> Result<Self, OpenError> {
        let usual = Config::new(address);
        let limits = options.sockets.limits(Limits::default());
        let neighbours = shm::Config { other_users: options.other_users, ..usual.neighbours };
        let config = Config { port, mtu, limits, neighbours, ..usual };
        let mut device = SoftDevice::open(env, owner, config)?;
        let sockets = Sockets::new(env, &mut device, VERBS_OWNER, options.sockets)?;
        Ok(Self { device, sockets, owner, owners: Vec::new(), listeners: Vec::new() })
    }

    /// Where the device is.
    pub(crate) const fn address(&self) -> IpAddr {
        self.device.config().address
    }

    /// Where a listener of the device is to be asked.
    pub(crate) const fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(), port)
    }

    /// Hands over what happened, and does what there is to do; true if anything came of it.
    pub(crate) fn turn(&mut self, env: &mut Reactor, events: &[Event]) -> bool {
        for event in events.iter().filter(|event| event.owner == self.owner) {
            self.device.handle_event(env, event);
        }
        self.device.turn(env);
        let found = self.sockets.progress(env, &mut self.device);
        self.send(env);
        found
    }

    /// Puts bytes into a stream, and has those that fill messages go while the next are copied.
    pub(crate) fn write(
        &mut self,
        env: &mut Reactor,
        id: StreamId,
        bytes: &[u8],
    ) -> Result<usize, SocketError> {
        if bytes.len() <= WRITE_LEN {
            let written = self.sockets.write(env, &mut self.device, id, bytes);
            self.send(env);
            return written;
        }
        let mut done = 0;
        let mut failed = None;
        for part in bytes.chunks(WRITE_LEN) {
            let written = self.sockets.write_more(env, &mut self.device, id, part);
            self.send(env);
            match written {
                Ok(len) => done += len,
                Err(error) => failed = Some(error),
            }
            if written != Ok(part.len()) {
                break;
            }
        }
        self.sockets.flush(env, &mut self.device, id);
        self.send(env);
        failed.filter(|_| done == 0).map_or(Ok(done), Err)
    }

    /// Has the device do what was posted.
    pub(crate) fn send(&mut self, env: &mut Reactor) {
        if self.sockets.take_posted() {
            self.device.turn(env);
        }
    }

    /// Says whose a stream is.
    pub(crate) fn set_owner(&mut self, id: StreamId, owner: Option<Key>) {
        set(&mut self.owners, id.0, owner);
    }

    /// Whose a stream is.
    pub(crate) fn owner_of(&self, id: StreamId) -> Option<Key> {
        self.owners.get(id.0.index()).copied().flatten()
    }

    /// Says whose a listener is.
    pub(crate) fn set_listener(&mut self, id: ListenerId, owner: Option<Key>) {
        set(&mut self.listeners, id.0, owner);
    }

    /// Whose a listener is.
    pub(crate) fn listener_of(&self, id: ListenerId) -> Option<Key> {
        self.listeners.get(id.0.index()).copied().flatten()
    }

    /// When the next turn is due though nothing happens; a time past: at once.
    pub(crate) fn deadline(&self) -> Option<Time> {
        earliest(self.device.deadline(), self.sockets.deadline())
    }
}

/// Notes whose the thing at a key's place is.
fn set(owners: &mut Vec<Option<Key>>, at: Key, owner: Option<Key>) {
    let place = at.index();
    if owners.len() <= place {
        owners.resize(place + 1, None);
    }
    owners[place] = owner;
}

/// Whom completions and connections are for.
const VERBS_OWNER: u64 = 1 << 32;
/// The part of the loopback network in which devices have their addresses.
const LOCAL_NETWORK: u8 = 64;
/// The UDP port of devices for peers on this machine. Theirs is not RoCE's, which the system may have taken everywhere.
const LOCAL_PORT: u16 = 24_791;
/// Bytes of a packet to a peer on this machine that is not reached through shared memory.
const LOCAL_MTU: Mtu = Mtu::Mtu4096;
/// Bytes that are written before the device is turned.
const WRITE_LEN: usize = 64 << 10;
/// Addresses that are tried.
const TRIES: u32 = 16;
