//! The table of streams: what each socket's readiness means for its owner.
//!
//! ```text
//!   connect ──> Connecting ──writable──> Open <── accept
//!                   └──────error──────> Failed      └──close──> Lingering
//! ```
//!
//! A socket closed while bytes of the peer are unread resets the connection, and our last bytes may be lost with it. So a
//! closed stream lingers: it has said that no more will come, and drops what arrives until the peer ends, or time is up.
//!
//! The set tells edges only, so an edge that was told must not be forgotten: `wants_room` remembers that the owner waits
//! to send, and `ended` that the peer's end was told, maybe before the last bytes were taken.
//!
//! A busy stream is tried in every turn, so nobody needs the set to tell of it; and what comes to a stream in the set costs
//! its sender the telling. So busy streams whose owners do not wait for room leave the set, and return before the reactor
//! sleeps: coming back is an edge, which tells what happened meanwhile.

use crate::poller::{Interest, Poller, Ready};
use crate::socket;
use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use stdx::env::{Event, IoError, Owner, StreamId, What};
use stdx::mem::{Memory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::Time;

/// All streams of a reactor.
#[derive(Debug)]
pub(crate) struct Streams {
    table: Slab<Stream>,
    /// Streams to tell of again although no edge will come.
    again: Vec<(Key, Again)>,
    /// Closed streams that wait for their peers' end, and until when.
    lingering: VecDeque<(Key, Time)>,
    /// Streams that are not in the set.
    left: Vec<Key>,
}

#[derive(Debug)]
struct Stream {
    fd: OwnedFd,
    owner: Owner,
    state: State,
    wants_room: bool,
    ended: bool,
    /// It is not in the set.
    left: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Connecting,
    Open,
    Failed,
    Lingering,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Again {
    Readable,
    Writable,
}

impl Streams {
    /// An empty table for at most `limit` streams.
    pub(crate) const fn new(limit: usize) -> Self {
        Self { table: Slab::new(limit), again: Vec::new(), lingering: VecDeque::new(), left: Vec::new() }
    }

    /// True if there is no room for another stream.
    pub(crate) fn is_full(&self) -> bool {
        self.table.is_full()
    }

    /// Takes in an accepted socket.
    pub(crate) fn adopt(&mut self, poller: &Poller, fd: OwnedFd, owner: Owner) -> Result<StreamId, IoError> {
        let key = self.insert(poller, fd, owner, State::Open)?;
        Ok(StreamId(key.as_u64()))
    }

    /// Starts a connection.
    pub(crate) fn connect(
        &mut self,
        poller: &Poller,
        owner: Owner,
        address: SocketAddr,
    ) -> Result<StreamId, IoError> {
        if self.is_full() {
            return Err(IoError::Limit);
        }
        let (fd, is_open) = socket::connect(address)?;
        let state = if is_open { State::Open } else { State::Connecting };
        let key = self.insert(poller, fd, owner, state)?;
        if is_open {
            self.again.push((key, Again::Writable));
        }
        Ok(StreamId(key.as_u64()))
    }

    fn insert(&mut self, poller: &Poller, fd: OwnedFd, owner: Owner, state: State) -> Result<Key, IoError> {
        let raw = fd.as_raw_fd();
        let stream = Stream { fd, owner, state, wants_room: false, ended: false, left: false };
        let key = self.table.insert(stream).map_err(|_| IoError::Limit)?;
        if let Err(error) = poller.add(raw, key.as_u64(), Interest::Edges) {
            self.table.remove(key);
            return Err(error);
        }
        Ok(key)
    }

    /// See [`stdx::env::Env::recv`].
    pub(crate) fn recv(&mut self, key: Key, memory: &mut Memory, into: Span) -> Result<usize, IoError> {
        assert!(!into.is_empty(), "room for at least one byte");
        let stream = self.open(key).ok_or(IoError::Reset)?;
        let len = socket::recv(&stream.fd, memory, into)?;
        if stream.ended && len > 0 && len < into.len() {
            self.again.push((key, Again::Readable));
        }
        Ok(len)
    }

    /// See [`stdx::env::Env::send`].
    pub(crate) fn send(
        &mut self,
        poller: &Poller,
        key: Key,
        memory: &Memory,
        from: &[Span],
    ) -> Result<usize, IoError> {
        let stream = self.open(key).ok_or(IoError::Reset)?;
        let result = socket::send(&stream.fd, memory, from);
        stream.wants_room = match result {
            Ok(len) => len < from.iter().map(|span| span.len()).sum(),
            Err(error) => error == IoError::WouldBlock,
        };
        if stream.wants_room && !stream.come_back(poller, key) {
            self.again.push((key, Again::Writable));
        }
        result
    }

    /// Ends a stream.
    pub(crate) fn close(&mut self, poller: &Poller, key: Key, abort: bool, now: Time) {
        let Some(stream) = self.open(key) else { return };
        if abort {
            socket::reset_on_close(&stream.fd);
        } else if stream.state == State::Open
            && !stream.linger()
            && stream.come_back(poller, key)
            && self.lingering.len() < LINGERING_MAX
        {
            self.lingering.push_back((key, now + LINGER));
            return;
        }
        self.table.remove(key);
    }

    /// Takes a stream that will be tried out of the set.
    pub(crate) fn leave(&mut self, poller: &Poller, key: Key) {
        if let Some(stream) = self.table.get_mut(key)
            && stream.state == State::Open
            && !stream.left
            && !stream.wants_room
            && poller.remove(stream.fd.as_raw_fd()).is_ok()
        {
            stream.left = true;
            self.left.push(key);
        }
    }

    /// Puts streams that are not tried any more back into the set, which tells of what came meanwhile.
    pub(crate) fn come_back(&mut self, poller: &Poller, is_tried: impl Fn(Key) -> bool) {
        let table = &mut self.table;
        self.left.retain(|&key| match table.get_mut(key) {
            Some(stream) if stream.left => is_tried(key) || !stream.come_back(poller, key),
            Some(_) | None => false,
        });
    }

    /// Lets the owners of streams that the set does not tell of try to receive.
    pub(crate) fn tell_left(&mut self, events: &mut Vec<Event>) {
        for at in 0..self.left.len() {
            self.tell_try(self.left[at], events);
        }
    }

    /// Gives up on peers that do not end; says when the next one's time is up.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Time> {
        while let Some(&(key, until)) = self.lingering.front() {
            if until > now && self.table.get(key).is_some() {
                return Some(until);
            }
            self.table.remove(key);
            self.lingering.pop_front();
        }
        None
    }

    /// A stream that its owner has not closed.
    fn open(&mut self, key: Key) -> Option<&mut Stream> {
        self.table.get_mut(key).filter(|stream| stream.state != State::Lingering)
    }

    /// Tells the owner what an edge means.
    pub(crate) fn handle_ready(&mut self, ready: Ready, events: &mut Vec<Event>) {
        let key = Key::from_u64(ready.token);
        let Some(stream) = self.table.get_mut(key) else { return };
        let id = StreamId(ready.token);
        let mut tell = |what| events.push(Event { owner: stream.owner, what });
        match stream.state {
            State::Connecting if ready.writable => match socket::pending_error(&stream.fd) {
                Ok(()) => {
                    stream.state = State::Open;
                    tell(What::Writable(id));
                }
                Err(error) => {
                    stream.state = State::Failed;
                    tell(What::Broken(id, error));
                }
            },
            State::Connecting | State::Failed => {}
            State::Lingering => {
                if socket::discard(&stream.fd) {
                    self.table.remove(key);
                }
            }
            State::Open => {
                stream.ended |= ready.ended;
                if ready.readable {
                    tell(What::Readable(id));
                }
                if ready.writable && core::mem::take(&mut stream.wants_room) {
                    tell(What::Writable(id));
                }
            }
        }
    }

    /// Lets the owner of an open stream try to receive.
    pub(crate) fn tell_try(&mut self, key: Key, events: &mut Vec<Event>) {
        if let Some(stream) = self.open(key) {
            events.push(Event { owner: stream.owner, what: What::Readable(StreamId(key.as_u64())) });
        }
    }

    /// True if [`Streams::tell_again`] has something to tell.
    pub(crate) const fn has_to_tell(&self) -> bool {
        !self.again.is_empty()
    }

    /// Tells what no edge will tell.
    pub(crate) fn tell_again(&mut self, events: &mut Vec<Event>) {
        for (key, again) in self.again.drain(..) {
            let Some(stream) = self.table.get(key).filter(|stream| stream.state != State::Lingering) else {
                continue;
            };
            let id = StreamId(key.as_u64());
            let what = match again {
                Again::Readable => What::Readable(id),
                Again::Writable => What::Writable(id),
            };
            events.push(Event { owner: stream.owner, what });
        }
    }
}

impl Stream {
    /// Puts it back into the set if it is not there. False if that fails.
    fn come_back(&mut self, poller: &Poller, key: Key) -> bool {
        self.left = self.left && poller.add(self.fd.as_raw_fd(), key.as_u64(), Interest::Edges).is_err();
        !self.left
    }

    /// Says that no more will come, and begins to drop what arrives. True if the peer has ended already.
    fn linger(&mut self) -> bool {
        self.state = State::Lingering;
        socket::finish(&self.fd);
        socket::discard(&self.fd)
    }
}

/// How long a closed stream waits for its peer's end.
const LINGER: Duration = Duration::from_secs(2);

/// Closed streams that wait at once, at most; others end without ado.
const LINGERING_MAX: usize = 1024;
