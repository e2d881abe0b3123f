//! The tables of links and of those who wait for them: what readiness means for their owners.

use crate::link;
use crate::poller::{Interest, Poller, Ready};
use std::os::fd::{AsRawFd, OwnedFd};
use stdx::env::{Event, IoError, LinkId, LinkListenerId, LinkMessage, LinkName, LinkPeer, Owner, What};
use stdx::mem::{Memory, RegionId, Share};
use stdx::slab::{Key, Slab};

/// All links of a reactor, and their listeners.
#[derive(Debug)]
pub(crate) struct Links {
    links: Slab<Socket>,
    listeners: Slab<Socket>,
}

#[derive(Debug)]
struct Socket {
    fd: OwnedFd,
    owner: Owner,
}

impl Links {
    /// Empty tables.
    pub(crate) const fn new() -> Self {
        Self { links: Slab::new(LINKS_MAX), listeners: Slab::new(LISTENERS_MAX) }
    }

    /// See [`stdx::env::Env::listen_links`].
    pub(crate) fn listen(
        &mut self,
        poller: &Poller,
        owner: Owner,
        name: &LinkName,
    ) -> Result<LinkListenerId, IoError> {
        let fd = link::listen(name)?;
        let key = add(&mut self.listeners, poller, Socket { fd, owner }, IS_LINK_LISTENER)?;
        Ok(LinkListenerId(key.as_u64()))
    }

    /// See [`stdx::env::Env::close_link_listener`].
    pub(crate) fn close_listener(&mut self, listener: LinkListenerId) {
        self.listeners.remove(Key::from_u64(listener.0));
    }

    /// See [`stdx::env::Env::accept_link`].
    pub(crate) fn accept(
        &mut self,
        poller: &Poller,
        listener: LinkListenerId,
        owner: Owner,
    ) -> Result<LinkId, IoError> {
        let socket = self.listeners.get(Key::from_u64(listener.0)).ok_or(IoError::WouldBlock)?;
        let fd = link::accept(socket.fd.as_raw_fd())?;
        let key = add(&mut self.links, poller, Socket { fd, owner }, IS_LINK)?;
        Ok(LinkId(key.as_u64()))
    }

    /// See [`stdx::env::Env::connect_link`].
    pub(crate) fn connect(
        &mut self,
        poller: &Poller,
        owner: Owner,
        name: &LinkName,
    ) -> Result<LinkId, IoError> {
        let fd = link::connect(name)?;
        let key = add(&mut self.links, poller, Socket { fd, owner }, IS_LINK)?;
        Ok(LinkId(key.as_u64()))
    }

    /// See [`stdx::env::Env::link_peer`].
    pub(crate) fn peer(&self, id: LinkId) -> Result<LinkPeer, IoError> {
        link::peer(&self.socket(id)?.fd)
    }

    /// See [`stdx::env::Env::send_link`].
    pub(crate) fn send(
        &self,
        memory: &Memory,
        id: LinkId,
        message: &[u8],
        region: Option<RegionId>,
    ) -> Result<(), IoError> {
        let share = match region {
            Some(region) => Some(memory.share(region).ok_or(IoError::Unsupported)?),
            None => None,
        };
        link::send(&self.socket(id)?.fd, message, share.map(Share::descriptor))
    }

    /// See [`stdx::env::Env::recv_link`].
    pub(crate) fn recv(
        &self,
        memory: &mut Memory,
        id: LinkId,
        into: &mut [u8],
    ) -> Result<LinkMessage, IoError> {
        let (len, descriptor) = link::recv(&self.socket(id)?.fd, into)?;
        if len == 0 {
            return Err(IoError::Reset);
        }
        let share = descriptor.and_then(|fd| Share::from_descriptor(fd).ok());
        let region = share.and_then(|share| memory.attach(&share).ok());
        Ok(LinkMessage { len, memory: region })
    }

    /// See [`stdx::env::Env::close_link`].
    pub(crate) fn close(&mut self, id: LinkId) {
        self.links.remove(Key::from_u64(id.0));
    }

    /// Tells the owner that a link has something.
    pub(crate) fn handle_ready(&self, ready: Ready, events: &mut Vec<Event>) {
        let key = Key::from_u64(ready.token & !IS_LINK);
        if let Some(socket) = self.links.get(key)
            && ready.readable
        {
            let what = What::LinkReadable(LinkId(key.as_u64()));
            events.push(Event { owner: socket.owner, what });
        }
    }

    /// Tells the owner that a link waits.
    pub(crate) fn handle_listener_ready(&self, ready: Ready, events: &mut Vec<Event>) {
        let key = Key::from_u64(ready.token & !IS_LINK_LISTENER);
        if let Some(socket) = self.listeners.get(key) {
            let what = What::LinkAcceptable(LinkListenerId(key.as_u64()));
            events.push(Event { owner: socket.owner, what });
        }
    }

    fn socket(&self, id: LinkId) -> Result<&Socket, IoError> {
        self.links.get(Key::from_u64(id.0)).ok_or(IoError::Reset)
    }
}

fn add(table: &mut Slab<Socket>, poller: &Poller, socket: Socket, bit: u64) -> Result<Key, IoError> {
    let raw = socket.fd.as_raw_fd();
    let key = table.insert(socket).map_err(|_| IoError::Limit)?;
    if let Err(error) = poller.add(raw, key.as_u64() | bit, Interest::Arrivals) {
        table.remove(key);
        return Err(error);
    }
    Ok(key)
}

/// The bit in the set's numbers that tells links from others: no table has 2^28 places.
pub(crate) const IS_LINK: u64 = 1 << 28;

/// The bit that tells listeners for links.
pub(crate) const IS_LINK_LISTENER: u64 = 1 << 29;

/// Links at once, at most.
const LINKS_MAX: usize = 4096;

/// Listeners for links at once, at most.
const LISTENERS_MAX: usize = 1024;
