//! A device and the environment it lives in, turned together: for programs that do nothing else.
//!
//! What it is: one domain, one completion queue, and a loop that waits. What it is not: a shard has many owners and turns its
//! devices itself.

use crate::{
    Access, Completion, ConnectionEvent, CqId, CreateError, Device, Object, PdId, QpId, QpInit, ReceiveQueue,
    ReceiveRequest, Receives, Registered, Registration, Transition, Transport,
};
use std::collections::VecDeque;
use stdx::env::{Env, Event, Owner};
use stdx::mem::{Kind, Memory, Span};
use stdx::time::{Time, earliest};

/// See the module.
#[derive(Debug)]
pub struct Station<E, D> {
    /// The environment.
    pub env: E,
    /// The device.
    pub device: D,
    /// The domain of everything that this makes.
    pub pd: PdId,
    /// Where everything completes that this makes.
    pub cq: CqId,
    events: Vec<Event>,
    polled: Vec<Completion>,
    done: VecDeque<Completion>,
    connections: VecDeque<Box<ConnectionEvent>>,
    /// Where the next buffer begins, as peers see it.
    next_address: u64,
}

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Happening {
    /// Work is done.
    Done(Completion),
    /// To a connection.
    Connection(Box<ConnectionEvent>),
}

/// Memory that is registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// Where it is.
    pub span: Span,
    /// What opens it.
    pub registered: Registered,
}

impl<E: Env, D: Device> Station<E, D> {
    /// A domain and a completion queue of `entries` on a device. Its events are to go to [`OWNER`].
    ///
    /// # Errors
    /// When the device allows no more of them.
    pub fn new(env: E, mut device: D, entries: u32) -> Result<Self, CreateError> {
        let pd = device.alloc_pd()?;
        let cq = device.create_cq(OWNER, entries)?;
        let (events, polled) = (Vec::new(), Vec::new());
        let (done, connections) = (VecDeque::new(), VecDeque::new());
        Ok(Self { env, device, pd, cq, events, polled, done, connections, next_address: ADDRESS_STEP })
    }

    /// `len` bytes of new memory, registered.
    ///
    /// # Errors
    /// When the system has no memory, or the device allows no more.
    pub fn memory(&mut self, len: u64, access: Access) -> Result<Buffer, CreateError> {
        let region = self.env.mem().map(Kind::Shared, len).map_err(|_| CreateError::Memory)?;
        let span = self.env.mem().whole(region).slice(0, len as usize);
        let registration = Registration { pieces: &[span], address: self.next_address, access };
        let registered = self.device.register(&mut self.env, self.pd, &registration);
        let registered = registered.inspect_err(|_| self.env.mem().unmap(region))?;
        self.next_address += len.next_multiple_of(ADDRESS_STEP);
        Ok(Buffer { span, registered })
    }

    /// Gives a buffer back. No queue pair may still use it.
    pub fn forget(&mut self, buffer: &Buffer) {
        // It was made here, so it is there; a window onto it would be its maker's mistake.
        let _ = self.device.destroy(&mut self.env, Object::Memory(buffer.registered.key));
        self.env.mem().unmap(buffer.span.region);
    }

    /// A queue pair that takes receives, with `entries` in each of its queues; peers may do `access`.
    ///
    /// # Errors
    /// When the device allows no more.
    pub fn queue_pair(
        &mut self,
        transport: Transport,
        receives: Receives,
        entries: u32,
        access: Access,
    ) -> Result<QpId, CreateError> {
        let init = QpInit {
            pd: self.pd,
            transport,
            send_cq: self.cq,
            receive_cq: self.cq,
            receives,
            send_entries: entries,
            send_sges: 1,
            inline_bytes: INLINE_BYTES.min(self.device.limits().inline_bytes),
        };
        let qp = self.device.create_qp(OWNER, &init)?;
        let initialize = Transition::Initialize { access, queue_key: DATAGRAM_QUEUE_KEY };
        self.device.modify_qp(qp, &initialize).map_err(|_| CreateError::Invalid)?;
        Ok(qp)
    }

    /// Posts a receive into `len` bytes of a buffer from `offset` on. False if there is no room for it.
    pub fn receive(&mut self, queue: ReceiveQueue, id: u64, buffer: &Buffer, offset: u64, len: u32) -> bool {
        let scatter = [buffer.registered.sge(offset, len)];
        self.device.post_receive(queue, ReceiveRequest { id, scatter: &scatter }).is_ok()
    }

    /// The shard's memory.
    pub fn mem(&mut self) -> &mut Memory {
        self.env.mem()
    }

    /// The next thing that happens; `None` when `until` has come, or someone called the environment's waker.
    pub fn next(&mut self, until: Option<Time>) -> Option<Happening> {
        loop {
            if let Some(happening) = self.happened() {
                return Some(happening);
            }
            let is_over = until.is_some_and(|until| self.env.now() >= until);
            if is_over || self.step(until) {
                return self.happened();
            }
        }
    }

    /// Does what there is to do, then waits until something happens, at most until `until`; not at all if something has
    /// happened that was not told yet. True if someone called the environment's waker.
    pub fn step(&mut self, until: Option<Time>) -> bool {
        self.turn();
        let is_quiet = self.done.is_empty() && self.connections.is_empty();
        let until = if is_quiet { earliest(self.device.deadline(), until) } else { Some(Time::ZERO) };
        self.env.poll(&mut self.events, until);
        let mut is_woken = false;
        for event in self.events.drain(..) {
            is_woken |= event.what == stdx::env::What::Woken;
            self.device.handle_event(&mut self.env, &event);
        }
        self.turn();
        is_woken
    }

    /// Appends the completions that were not told yet to `done`, instead of [`Station::next`].
    pub fn take_done(&mut self, done: &mut Vec<Completion>) {
        done.extend(self.done.drain(..));
    }

    /// Has the device do what there is to do, and takes down what came of it.
    fn turn(&mut self) {
        self.device.turn(&mut self.env);
        self.device.poll_cq(self.cq, POLL_MAX, &mut self.polled);
        self.done.extend(self.polled.drain(..));
        while let Some(event) = self.device.poll_connection() {
            self.connections.push_back(Box::new(event));
        }
    }

    fn happened(&mut self) -> Option<Happening> {
        // What was done before a connection ended is told before its end.
        let done = self.done.pop_front().map(Happening::Done);
        done.or_else(|| self.connections.pop_front().map(Happening::Connection))
    }
}

/// Whom a station's events are for.
pub const OWNER: Owner = Owner(1);

/// The key of datagram queue pairs that are found by port: what librdmacm gives those of its UDP port space.
pub const DATAGRAM_QUEUE_KEY: u32 = 0x0123_4567;

/// Buffers begin on multiples of this many bytes.
const ADDRESS_STEP: u64 = 1 << 20;
/// Bytes that a send may carry inline.
const INLINE_BYTES: u32 = 64;
/// Completions taken at once.
const POLL_MAX: usize = 1024;
