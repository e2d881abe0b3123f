//! One end of a protocol of requests and responses: listeners, connections, receives that are always posted, and sends that
//! are counted.
//!
//! What it is: what every protocol of storage needs of verbs and none should write again. Its owner says what to send, write
//! and read; [`Endpoint::poll`] tells what came. All connections share one completion queue and one receive queue, so that
//! memory is a matter of the endpoint and not of how many peers there are.
//!
//! What it is not: it knows no protocol, and whether a peer keeps to its credits is for the owner to judge.
//!
//! ```text
//!            connect                  Established                 disconnect, or the peer's end, or an error
//!   (none) ----------> Connecting -----------------> Open -------------------------> Closing ----> (gone)
//!      \    accept       |  Refused                    ^                                     Gone: nothing is under way
//!       ---------------> Accepting --------------------'
//! ```
//!
//! Invariants: each posted request is told of once, however its connection ends; a receive is posted again once its owner is
//! done with it; no connection is told to be gone while a request of it is under way, and no other has its place before that is
//! told; the completion queue has room for all that can complete.

mod along;
mod answers;
mod buffers;
mod connections;
mod listeners;
mod receives;

pub use answers::Answer;
pub use connections::{ConnectionInfo, OpenError, Phase};
pub use receives::Received;

use crate::{
    Access, Completion, CompletionKind, ConnectionId, CqId, CreateError, Data, Device, Key as MemoryKey,
    Limits, Notify, Object, Parameters, PdId, PostError, PrivateData, Registered, Rejection, Remote,
    SendRequest, Status, What, Work,
};
use connections::Connection;
use core::net::SocketAddr;
use listeners::Listening;
use receives::Receives;
use std::collections::VecDeque;
use stdx::env::{Env, Owner};
use stdx::mem::Span;
use stdx::slab::{Key, Slab};

/// What an endpoint is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Connections at once.
    pub connections_max: u32,
    /// Receives, over all connections.
    pub receives: u32,
    /// Bytes of each: the longest message that can come.
    pub receive_len: u32,
    /// Requests that one connection has under way.
    pub sends: u32,
    /// Pieces of one request's data.
    pub pieces: u32,
    /// Bytes that one request carries inline.
    pub inline_bytes: u32,
    /// What peers may do to memory that is registered for them.
    pub access: Access,
}

/// See the module.
#[derive(Debug)]
pub struct Endpoint {
    owner_base: u64,
    options: Options,
    /// Receives that each connection brings from now on.
    receives_each: u32,
    pd: PdId,
    cq: CqId,
    cq_entries: u32,
    receives: Receives,
    listeners: Vec<Listening>,
    connections: Slab<Connection>,
    /// Whose each queue pair is, by its place.
    by_qp: Vec<Option<Key>>,
    /// Connections whose answers wait.
    answering: Vec<Key>,
    polled: Vec<Completion>,
    happenings: VecDeque<Happening>,
    /// The completion queue may have more.
    is_ready: bool,
}

/// Something happened at an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Happening {
    /// Someone asks for a connection: answer with [`Endpoint::accept`] or [`Endpoint::reject`].
    Requested(Requested),
    /// A connection is there: it sends, and what it receives is told.
    Established {
        /// Which one.
        connection: Key,
        /// What was agreed.
        parameters: Parameters,
        /// The peer's bytes.
        private_data: PrivateData,
    },
    /// A connection that was asked for did not come about, and is gone; `None` if nobody answered.
    Refused {
        /// Which one.
        connection: Key,
        /// Who refused, and how.
        why: Option<(Rejection, PrivateData)>,
    },
    /// A message came. Its owner gives it back with [`Endpoint::release`].
    Received {
        /// On which connection.
        connection: Key,
        /// What.
        received: Received,
    },
    /// A request is done.
    Done {
        /// On which connection.
        connection: Key,
        /// The owner's name for it.
        token: u32,
        /// What it was.
        kind: CompletionKind,
        /// How it went; after anything but success the connection ends.
        status: Status,
    },
    /// A connection ends: nothing can be posted any more, and what is under way is told as flushed.
    Broken {
        /// Which one.
        connection: Key,
    },
    /// A connection is gone, with all its requests.
    Gone {
        /// Which one.
        connection: Key,
    },
}

/// Someone asks for a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Requested {
    /// The request.
    pub request: ConnectionId,
    /// The address listened on that they asked at.
    pub portal: SocketAddr,
    /// Who.
    pub peer: SocketAddr,
    /// The address of ours that was asked.
    pub local: SocketAddr,
    /// What they want, from our side.
    pub parameters: Parameters,
    /// Their bytes.
    pub private_data: PrivateData,
}

impl Endpoint {
    /// An endpoint on a device, with all its receives posted. `owner_base` has its low 32 bits clear; all owners with these
    /// high 32 bits are its, and events of the device for them go to [`Endpoint::handle_event`] and
    /// [`Endpoint::handle_connection`].
    ///
    /// # Errors
    /// When the device allows less than the options ask for, or the system has no memory.
    pub fn new(
        env: &mut dyn Env,
        device: &mut dyn Device,
        owner_base: u64,
        options: Options,
    ) -> Result<Self, CreateError> {
        debug_assert_eq!(owner_base & u64::from(u32::MAX), 0);
        Self::with_receives_each(env, device, owner_base, options, 0)
    }

    /// The same, where each connection brings `each` receives, of `options.receives` at most in all; 0 has all of them there
    /// from the start. A connection that there are none for is refused.
    ///
    /// # Errors
    /// As [`Endpoint::new`].
    pub fn with_receives_each(
        env: &mut dyn Env,
        device: &mut dyn Device,
        owner_base: u64,
        options: Options,
        each: u32,
    ) -> Result<Self, CreateError> {
        let limits = *device.limits();
        let cq_entries = cq_entries(&options, &limits).ok_or(CreateError::TooLarge)?;
        let pd = device.alloc_pd()?;
        let cq = device.create_cq(Owner(owner_base), cq_entries)?;
        let (count, len) = (options.receives, options.receive_len);
        let mut receives = Receives::new(env, device, Owner(owner_base), pd, count, len)?;
        if each == 0 {
            receives.add(device, count);
        }
        Ok(Self {
            owner_base,
            options,
            receives_each: each,
            pd,
            cq,
            cq_entries,
            receives,
            listeners: Vec::new(),
            connections: Slab::new(options.connections_max as usize),
            by_qp: Vec::new(),
            answering: Vec::new(),
            polled: Vec::new(),
            happenings: VecDeque::new(),
            is_ready: true,
        })
    }

    /// What it was made for.
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// The domain of its queue pairs, for memory that peers are to reach.
    pub const fn pd(&self) -> PdId {
        self.pd
    }

    /// The memory that a message came in; valid until it is released.
    pub fn message(&self, received: &Received) -> Span {
        self.receives.span(received)
    }

    /// The registered memory of a message, for what is to be sent on from there.
    pub const fn receive_memory(&self) -> Registered {
        self.receives.memory()
    }

    /// Connections from now on bring so many receives each; those that are there keep theirs. Only for an endpoint whose
    /// connections bring receives.
    pub const fn set_receives_each(&mut self, each: u32) {
        self.receives_each = each;
    }

    /// Receives that no connection has brought.
    pub const fn receives_left(&self) -> u32 {
        self.receives.left()
    }

    /// Posts a receive again.
    pub fn release(&mut self, device: &mut dyn Device, connection: Key, received: Received) {
        match self.connections.get_mut(connection) {
            Some(connection) if !connection.is_over => connection.held -= 1,
            // What its connection brought is not needed any more, and others have theirs.
            Some(_) | None if self.receives_each > 0 => return self.receives.keep(received.index),
            Some(_) | None => {}
        }
        self.receives.post(device, received.index);
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection does not send, or has as much under way as it may.
    pub fn send(
        &mut self,
        device: &mut dyn Device,
        connection: Key,
        token: u32,
        data: Data<'_>,
    ) -> Result<(), PostError> {
        self.post(device, connection, token, Work::Send, data, true)
    }

    /// Sends a message that closes a region of the peer's.
    ///
    /// # Errors
    /// As [`Endpoint::send`].
    pub fn send_invalidate(
        &mut self,
        device: &mut dyn Device,
        connection: Key,
        token: u32,
        key: MemoryKey,
        data: Data<'_>,
    ) -> Result<(), PostError> {
        self.post(device, connection, token, Work::SendInvalidate(key), data, true)
    }

    /// Writes to the peer's memory. What is sent after it arrives after it.
    ///
    /// # Errors
    /// As [`Endpoint::send`].
    pub fn write(
        &mut self,
        device: &mut dyn Device,
        connection: Key,
        token: u32,
        to: Remote,
        from: &[Span],
    ) -> Result<(), PostError> {
        self.post(device, connection, token, Work::Write(to), Data::Own(from), false)
    }

    /// Reads the peer's memory.
    ///
    /// # Errors
    /// As [`Endpoint::send`].
    pub fn read(
        &mut self,
        device: &mut dyn Device,
        connection: Key,
        token: u32,
        from: Remote,
        to: &[Span],
    ) -> Result<(), PostError> {
        self.post(device, connection, token, Work::Read(from), Data::Own(to), false)
    }

    /// Does work of any kind.
    ///
    /// # Errors
    /// As [`Endpoint::send`].
    pub fn post(
        &mut self,
        device: &mut dyn Device,
        connection: Key,
        token: u32,
        work: Work<'_>,
        data: Data<'_>,
        solicited: bool,
    ) -> Result<(), PostError> {
        let waiting = self.open_connection(connection)?.answers.len();
        if waiting > 0 && matches!(work, Work::Send | Work::SendImmediate(_) | Work::SendInvalidate(_)) {
            self.send_answers_of(device, connection);
        }
        let id = (connection.index() as u64) << 32 | u64::from(token);
        let found = self.open_connection(connection)?;
        let request = SendRequest { solicited, ..SendRequest::new(id, work, data) };
        device.post_send(found.qp, request).map_err(|rejected| rejected.why)?;
        found.sends += 1;
        Ok(())
    }

    /// A connection that takes one more request.
    fn open_connection(&mut self, connection: Key) -> Result<&mut Connection, PostError> {
        let found = self.connections.get_mut(connection).ok_or(PostError::NotFound)?;
        match found.phase {
            Phase::Open if found.sends < self.options.sends => Ok(found),
            Phase::Open => Err(PostError::Full),
            Phase::Connecting | Phase::Accepting | Phase::Closing => Err(PostError::State),
        }
    }

    /// How many more requests a connection can have under way.
    pub fn room(&self, connection: Key) -> u32 {
        match self.connections.get(connection) {
            Some(connection) if connection.phase == Phase::Open => self.options.sends - connection.sends,
            _ => 0,
        }
    }

    /// True if bytes reach a connection's peer through memory, and not in packets.
    pub fn shares_memory(&self, device: &dyn Device, connection: Key) -> bool {
        let qp = self.connections.get(connection).map(|connection| connection.qp);
        qp.is_some_and(|qp| device.shares_memory(qp))
    }

    /// Messages of a connection that its owner has not given back.
    pub fn held(&self, connection: Key) -> u32 {
        self.connections.get(connection).map_or(0, |connection| connection.held)
    }

    /// An event of the device for one of this endpoint's owners.
    pub fn handle_event(&mut self, device: &mut dyn Device, event: &crate::Event) {
        match event.what {
            What::Completion(_) => self.is_ready = true,
            What::QueuePairError(qp) | What::InvalidRequest(qp) | What::AccessError(qp) => {
                if let Some(key) = self.by_place(event.owner)
                    && self.connections.get(key).is_some_and(|connection| connection.qp == qp)
                {
                    self.break_off(device, key);
                }
            }
            What::CqOverrun(_) => debug_assert!(false, "the completion queue has room for all"),
            What::Established(_) | What::SendQueueDrained(_) => {}
            What::LastReceiveReached(_) | What::SrqLimitReached(_) | What::Datagrams(_) => {}
        }
    }

    /// The next thing that happened.
    pub fn poll(&mut self, env: &mut dyn Env, device: &mut dyn Device) -> Option<Happening> {
        loop {
            if let Some(happening) = self.happenings.pop_front() {
                if let Happening::Gone { connection } | Happening::Refused { connection, .. } = happening {
                    self.connections.remove(connection);
                }
                return Some(happening);
            }
            if device.poll_cq(self.cq, POLL_MAX, &mut self.polled) == 0 {
                self.is_ready = false;
                // Whoever arms a queue looks once more, since what is there already is not told.
                device.arm_cq(self.cq, Notify::All);
                if device.poll_cq(self.cq, POLL_MAX, &mut self.polled) == 0 {
                    return None;
                }
            }
            let mut polled = core::mem::take(&mut self.polled);
            for completion in polled.drain(..) {
                self.complete(env, device, &completion);
            }
            self.polled = polled;
        }
    }

    /// True if [`Endpoint::poll`] has something to tell as far as is known without asking the device.
    pub fn is_ready(&self) -> bool {
        self.is_ready || !self.happenings.is_empty()
    }

    fn complete(&mut self, env: &mut dyn Env, device: &mut dyn Device, completion: &Completion) {
        if completion.id & RECEIVE != 0 {
            return self.complete_receive(device, completion);
        }
        let Some(key) = self.connections.key_at((completion.id >> 32) as usize) else { return };
        let Some(connection) = self.connections.get_mut(key) else { return };
        debug_assert_eq!(connection.qp, completion.qp, "a place is free only once nothing is under way");
        connection.sends -= 1;
        let (token, kind, status) = (completion.id as u32, completion.kind, completion.status);
        self.happenings.push_back(Happening::Done { connection: key, token, kind, status });
        if status != Status::Success {
            self.break_off(device, key);
        }
        self.finish(env, device, key);
    }

    fn complete_receive(&mut self, device: &mut dyn Device, completion: &Completion) {
        let index = completion.id as u32;
        let key = self.by_qp.get(completion.qp.0.index()).copied().flatten();
        let found = key.and_then(|key| self.connections.get_mut(key).map(|connection| (key, connection)));
        let Some((key, connection)) = found.filter(|(_, connection)| connection.qp == completion.qp) else {
            return self.receives.post(device, index);
        };
        if completion.status != Status::Success {
            self.receives.post(device, index);
            return self.break_off(device, key);
        }
        // What comes before the connection is known to be there is kept until it is.
        let received = Received { index, len: completion.len, invalidated: completion.invalidated };
        connection.held += 1;
        match connection.phase {
            Phase::Open => self.happenings.push_back(Happening::Received { connection: key, received }),
            Phase::Accepting | Phase::Connecting => connection.early.push(received),
            Phase::Closing => {
                connection.held -= 1;
                self.receives.post(device, index);
            }
        }
    }

    /// Gives everything back to the device and the environment.
    pub fn free(mut self, env: &mut dyn Env, device: &mut dyn Device) {
        self.close_listeners(device);
        let keys: Vec<Key> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.leave_device(env, device, key);
        }
        self.receives.free(env, device);
        let _ = device.destroy(env, Object::Cq(self.cq));
        let _ = device.destroy(env, Object::Pd(self.pd));
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        let connections = self.connections.len() as u64;
        assert!(self.reserved(connections) <= u64::from(self.cq_entries));
        let held: u32 = self.connections.iter().map(|(_, connection)| connection.held).sum();
        assert!(held <= self.options.receives);
        for (_, connection) in self.connections.iter() {
            assert!(connection.sends <= self.options.sends);
            assert!(connection.answers.len() as u32 <= connection.sends);
            assert!(connection.early.len() as u32 <= connection.held);
        }
    }

    /// Completions that can be in the queue at once with so many connections.
    fn reserved(&self, connections: u64) -> u64 {
        u64::from(self.options.receives) + connections * u64::from(self.options.sends)
    }
}

/// Entries of the completion queue: enough for all connections if the device has that many, and at least for one.
fn cq_entries(options: &Options, limits: &Limits) -> Option<u32> {
    let of =
        |connections: u32| u64::from(options.receives) + u64::from(connections) * u64::from(options.sends);
    let wanted = of(options.connections_max).min(limits.cq_entries.into());
    (wanted >= of(1)).then_some(wanted as u32)
}

/// Set in the ids of receives. Places of connections, the upper halves of the other ids, are far smaller.
const RECEIVE: u64 = 1 << 63;
/// Completions taken at once.
const POLL_MAX: usize = 64;
