//! A connection that messages carry: iSER (RFC 7145), in the form it has on InfiniBand and RoCE.
//!
//! Each message is a PDU behind a header that opens the memory of its command: what a read brings the target writes there, and what
//! a write takes it reads from there. A write that fits goes along whole instead, and then no memory is opened; one that does
//! not fit takes no data along, so that its memory begins where its data does, whatever the target thinks of
//! TaggedBufferForSolicitedDataOnly (RFC 7145, section 6.8). There are no Data-Out, Data-In and R2T PDUs.
//!
//! ```text
//!   command taken on --> waits --> memory opened --> sent --> answered --> key closed, message gone --> told
//! ```
//!
//! What it is not: it has no device. What it wants is done by [`Connection::post_waiting`], when its owner has the device at hand.
//!
//! Invariants: memory is open from when its command is posted until its key was closed, by the target's SEND with
//! invalidation or else by us, and no command is told before; there are never more unexpected PDUs under way than the target
//! has room for (section 8.1.1); nothing is allocated for a command in steady state.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use super::tasks::Kind;
use super::{Carrier, Connection, State};
use std::collections::VecDeque;
use std::net::SocketAddr;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use verbs::endpoint::Endpoint;
use verbs::{Device, Key as MemoryKey, Object, Status};
use wire::iscsi::{Bhs, LOGIN_DATA_MAX};
use wire::iser::MESSAGE_LEN_MIN;

/// What such a connection has beside.
pub(super) struct Rdma {
    /// Where the target listens.
    address: SocketAddr,
    /// The endpoint's name for the connection, once it was asked for.
    connection: Option<Key>,
    /// What opens the memory of the task at each place, and whether it does.
    keys: Vec<MemoryKey>,
    open: Vec<bool>,
    waiting: VecDeque<Message>,
    /// Of those, how many have their memory open already, if they need that.
    opened: usize,
    waiting_max: usize,
    /// The number of the message that the command at each place went with; 0 while it waits.
    sent_as: Vec<u64>,
    /// Answers to signs of life, until there is credit for them.
    pongs: VecDeque<Bhs>,
    credit: Credit,
    /// The headers of messages that have data with them, by the place of their task; then a message of text.
    headers: Span,
    text: Span,
    /// The device has the message of text.
    text_is_busy: bool,
    /// The device took no more, and has not been done with anything since.
    stalled: bool,
    /// How the first request failed that did.
    failed: Option<Status>,
}

/// A PDU that is to be sent.
struct Message {
    bhs: Bhs,
    body: Body,
}

/// What is behind its header.
enum Body {
    /// Data of the task at a place, from where it lies; nothing, if the target fetches it.
    Task(u16, Span),
    /// Text, or nothing.
    Text(Vec<u8>),
}

/// Room at the target for PDUs that it does not expect (RFC 7145, section 8.1.1): those that are neither commands in their order,
/// nor known to have been taken.
#[derive(Default)]
struct Credit {
    /// Answers to signs of life that are under way as far as is known.
    pongs: u32,
    /// Messages sent so far, and the last of them that was such an answer.
    sent: u64,
    last_pong: u64,
}

/// What a step reaches besides the connection.
pub(in super::super) struct Context<'a> {
    pub env: &'a mut dyn Env,
    pub device: &'a mut dyn Device,
    pub endpoint: &'a mut Endpoint,
}

impl Rdma {
    /// Nothing is asked for yet. `memory` is as long as [`memory_len`] says.
    pub(super) fn new(memory: Span, places: u16, address: SocketAddr) -> Self {
        let places = usize::from(places);
        let headers = places * MESSAGE_ROOM;
        Self {
            address,
            connection: None,
            keys: Vec::with_capacity(places),
            open: vec![false; places],
            waiting: VecDeque::with_capacity(places * 2),
            opened: 0,
            waiting_max: places * 2,
            sent_as: vec![0; places],
            pongs: VecDeque::with_capacity(PONGS_MAX),
            credit: Credit::default(),
            headers: memory.first(headers),
            text: memory.from(headers),
            text_is_busy: false,
            stalled: false,
            failed: None,
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.waiting_max
    }

    /// True if there is something to do that needs the device. `has_credit`: answers to signs of life may be sent.
    pub(super) fn wants_device(&self, has_credit: impl FnOnce() -> bool) -> bool {
        let has_pongs = || !self.pongs.is_empty() && has_credit();
        self.connection.is_none() || !self.stalled && (!self.waiting.is_empty() || has_pongs())
    }

    /// A PDU whose data, if any, lies in memory of the task at a place.
    pub(super) fn put_pdu(&mut self, bhs: &Bhs, data: Span, slot: u16) {
        self.sent_as[usize::from(slot)] = 0;
        self.waiting.push_back(Message { bhs: *bhs, body: Body::Task(slot, data) });
    }

    /// A PDU whose data is at hand.
    pub(super) fn put_bytes(&mut self, bhs: &Bhs, data: &[u8]) {
        self.waiting.push_back(Message { bhs: *bhs, body: Body::Text(data.to_vec()) });
    }

    /// The key of a task's memory, if it is open.
    fn open_key(&self, slot: u16) -> Option<MemoryKey> {
        let place = usize::from(slot);
        self.open.get(place).is_some_and(|open| *open).then(|| self.keys[place])
    }
}

impl Connection {
    /// What it has if messages carry it.
    pub(super) fn rdma_mut(&mut self) -> Option<&mut Rdma> {
        match &mut self.carrier {
            Carrier::Rdma(rdma) => Some(rdma),
            Carrier::Stream(_) => None,
        }
    }

    /// The endpoint's name for it, once it was asked for.
    pub fn carried_by(&self) -> Option<Key> {
        match &self.carrier {
            Carrier::Rdma(rdma) => rdma.connection,
            Carrier::Stream(_) => None,
        }
    }

    /// How much data goes with a command, and how much goes unasked in all.
    pub(super) fn unasked_over_rdma(&self, out_len: u32) -> (u32, u32) {
        let agreed = &self.parameters;
        let most = agreed.first_burst_len.min(agreed.max_send_data_segment_len);
        let along = if agreed.immediate_data && out_len <= most { out_len } else { 0 };
        (along, along)
    }

    /// Whether the target has room for a PDU that it does not expect.
    pub(super) fn has_credit(&self) -> bool {
        self.has_credits(1)
    }

    /// Whether it has room for an answer to a sign of life. That nobody answers, so the last credit is kept for asking for one
    /// ourselves: by the answer to that it is seen what was taken, also where no command tells.
    pub(super) fn has_pong_credit(&self) -> bool {
        let asks = self.tasks.iter().any(|(_, task)| task.kind == Kind::Nop);
        let keeps = !asks && self.parameters.unexpected_pdus_max > 1;
        self.has_credits(1 + u32::from(keeps))
    }

    /// Whether signs of life are owed that cannot be given before the target is seen to have taken others.
    pub fn owes_pongs(&self) -> bool {
        let owes = matches!(&self.carrier, Carrier::Rdma(rdma) if !rdma.pongs.is_empty());
        owes && !self.has_pong_credit()
    }

    fn has_credits(&self, wanted: u32) -> bool {
        let Carrier::Rdma(rdma) = &self.carrier else { return true };
        let max = self.parameters.unexpected_pdus_max;
        max == 0 || planted(Bug::UnexpectedUncounted) || self.unexpected(rdma) + wanted <= max
    }

    /// PDUs under way that the target does not expect, as far as is known.
    fn unexpected(&self, rdma: &Rdma) -> u32 {
        let own = self.tasks.iter().filter(|(_, task)| task.kind != Kind::Command).count() as u32;
        own + rdma.credit.pongs
    }

    /// Asserts that the target has room for what it does not expect (RFC 7145, section 8.1.1).
    pub(super) fn check_credit(&self) {
        if let (Carrier::Rdma(rdma), State::FullFeature) = (&self.carrier, &self.state) {
            let (under_way, max) = (self.unexpected(rdma), self.parameters.unexpected_pdus_max);
            assert!(max == 0 || under_way <= max, "{under_way} unexpected PDUs, where {max} may be");
        }
    }

    /// An answer to a sign of life. False if there are more than can be answered.
    pub(super) fn queue_pong(&mut self, bhs: &Bhs) -> bool {
        let Some(rdma) = self.rdma_mut() else { return false };
        let takes = rdma.pongs.len() < PONGS_MAX;
        if takes {
            rdma.pongs.push_back(*bhs);
        }
        takes
    }

    /// Closes all memory: what was open to the target is so no more.
    pub fn close_memory(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Some(rdma) = self.rdma_mut() else { return };
        rdma.open.fill(false);
        for key in rdma.keys.drain(..) {
            let destroyed = device.destroy(env, Object::Memory(key));
            debug_assert!(destroyed.is_ok(), "{destroyed:?}");
        }
    }
}

/// Bytes of the memory that a connection for so many tasks needs: a place for the headers of each, and one for text.
pub(in super::super) const fn memory_len(places: u16) -> usize {
    places as usize * MESSAGE_ROOM + MESSAGE_LEN_MIN + LOGIN_DATA_MAX as usize
}

/// Bytes between the places of two tasks' headers.
const MESSAGE_ROOM: usize = 128;
/// Signs of life that may wait for their answers.
const PONGS_MAX: usize = 8;
/// What the device calls a message of text, and one that nobody waits for. No task has such a place.
const TEXT: u32 = u32::MAX;
const SHORT: u32 = u32::MAX - 1;
