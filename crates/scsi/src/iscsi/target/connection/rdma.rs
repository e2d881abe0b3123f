//! A connection that messages carry: iSER (RFC 7145), in the form it has on InfiniBand and RoCE.
//!
//! Each message is a PDU behind a header that advertises memory of the initiator's. There are no Data-In and R2T PDUs: what a
//! read brings is written to that memory, and what a write takes beyond its unsolicited data is read from it. What is to be
//! done by the device is asked for by [`Connection::poll_post`], and told of by [`Connection::handle_posted`].
//!
//! What it is not: it owns no queue pair and posts nothing itself.
//!
//! Invariants: a buffer that the device fills or sends is the transport's until it is told back; a task that has ended is
//! not answered while its memory is still being read.

use super::super::Context;
use super::super::session::{Stage, give};
use super::hold::Problem;
use super::outgoing::{Formed, Item, Reading, SHORT_BYTES_MAX};
use super::{Arrival, Connection, Owner, State};
use crate::iscsi::login::RdmaLimits;
use stdx::env::Env;
use stdx::mem::{RegionId, Span};
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use wire::iscsi::{BHS_LEN, Bhs, ScsiCommand, Serial, padding};
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN, PrivateData};

/// What such a connection has beside.
#[derive(Debug)]
pub(super) struct Rdma {
    pub(super) limits: RdmaLimits,
    /// The header before the PDU that is being taken.
    header: Header,
    /// Where, while a message is taken, buffers are for what the initiator reads itself.
    pool: Option<RegionId>,
    /// The initiator takes messages that close its memory.
    invalidates: bool,
    /// Requests that the device has.
    under_way: u32,
    /// Of those, reads of the initiator's memory.
    reads: u32,
    /// The number of the last of them.
    last_fetch: u32,
}

/// Something for the device to do.
#[derive(Debug)]
pub(in super::super) enum Post {
    /// A message is sent.
    Send {
        message: Message,
        /// Memory of the initiator's that is closed with it.
        invalidate: Option<u32>,
    },
    /// Data goes to the initiator's memory; the buffer it lies in goes back afterwards.
    Write { to: Advertised, data: Span, buffer: Span },
    /// Data of the initiator's comes to a place in a buffer.
    Read { from: Advertised, place: Span, fetch: Fetch },
}

/// A message to be sent.
#[derive(Debug)]
pub(in super::super) enum Message {
    /// So many of these bytes.
    Short([u8; SHORT_LEN_MAX], usize),
    /// It lies in a buffer.
    Long(Span),
}

/// A read of the initiator's memory: for which task, and into which buffer.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Fetch {
    slot: u32,
    number: u32,
    pub buffer: Span,
}

/// The device is done.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Posted {
    /// With a message or a write.
    Sent,
    /// With a read: the data is in the buffer.
    Read(Fetch),
}

impl Connection {
    /// A connection came that messages carry.
    pub(in super::super) fn over_rdma(
        key: Key,
        arrival: Arrival,
        limits: RdmaLimits,
        peer: PrivateData,
    ) -> Self {
        let rdma = Rdma {
            limits,
            header: Header::default(),
            pool: None,
            invalidates: !peer.no_remote_invalidate,
            under_way: 0,
            reads: 0,
            last_fetch: 0,
        };
        Self { rdma: Some(Box::new(rdma)), ..Self::new(key, arrival) }
    }

    /// A message came. Data for an initiator that reads memory itself goes into buffers of a pool.
    pub(in super::super) fn handle_message(
        &mut self,
        cx: &mut Context<'_>,
        message: Span,
        pool: Option<RegionId>,
    ) {
        self.heard = true;
        if self.draining || matches!(self.state, State::Leaving | State::Ended) {
            return;
        }
        let mut bytes = [0; MESSAGE_LEN_MIN];
        let front = message.first(message.len().min(MESSAGE_LEN_MIN));
        cx.env.mem().read(front, &mut bytes[..front.len()]);
        match (Header::decode(&bytes[..front.len()]), &mut self.rdma) {
            (Ok(header), Some(rdma)) => {
                (rdma.header, rdma.pool) = (header, pool);
                match pdu_len(&bytes, message.len() - HEADER_LEN) {
                    Some(len) => self.process_message(cx, message.slice(HEADER_LEN, len)),
                    None => {
                        // The framer has not seen it.
                        let bhs = *Bhs::view(&bytes[HEADER_LEN..]).expect("as long as it is");
                        self.fail_at(cx, Problem::Protocol("a message that is not one PDU"), bhs);
                    }
                }
                if let Some(rdma) = &mut self.rdma {
                    // The pool goes with the endpoint's connection.
                    rdma.pool = None;
                }
            }
            (Err(error), _) => {
                // There is no PDU that could be rejected.
                tracing::debug!(peer = %self.arrival.peer, %error, "an iSER connection fails");
                cx.shard.counters.protocol_errors += 1;
                self.leave(cx);
            }
            (Ok(_), None) => debug_assert!(false, "messages carry it"),
        }
    }

    /// Takes a PDU, or what is left of it.
    pub(super) fn process_message(&mut self, cx: &mut Context<'_>, bytes: Span) {
        self.process(cx, bytes);
        if self.held.is_none() && !matches!(self.state, State::Leaving | State::Ended) {
            self.framer.end_message();
            self.process(cx, Span::EMPTY);
        }
    }

    /// A buffer for what the command being taken brings at once.
    pub(super) fn take_buffer(&self, cx: &mut Context<'_>, len: u32) -> Option<Span> {
        let pool = self.rdma.as_ref().and_then(|rdma| rdma.pool);
        cx.env.mem().take_from(pool, len as usize)
    }

    /// The memory that the command being taken advertises.
    pub(super) fn advertised(&self) -> Header {
        self.rdma.as_ref().map_or_else(Header::default, |rdma| rdma.header)
    }

    /// Whether messages carry it.
    pub(super) const fn is_over_rdma(&self) -> bool {
        self.rdma.is_some()
    }

    /// Whether there is memory for the `in_len` bytes that a command may read, and for all it writes but the unsolicited (RFC
    /// 7145, sections 7.3.2 and 9.2).
    pub(super) fn advertises_enough(&self, command: &ScsiCommand, in_len: u32, unsolicited_end: u32) -> bool {
        let Some(rdma) = &self.rdma else { return true };
        let brought = if planted(Bug::UnaskedDataMiscounted) { 0 } else { unsolicited_end };
        let takes = command.write && command.expected_length > brought;
        (!takes || rdma.header.write.is_some()) && (in_len == 0 || rdma.header.read.is_some())
    }

    /// The key that the answer to a command closes.
    pub(super) fn invalidates(&self, memory: &Header) -> Option<u32> {
        let rdma = self.rdma.as_ref().filter(|rdma| rdma.invalidates);
        let other = if planted(Bug::WrongKeyInvalidated) { 1 << 8 } else { 0 };
        rdma.and(memory.read.or(memory.write)).map(|advertised| advertised.key ^ other)
    }

    /// Whether data can be said from memory that a volume lends. A digest is computed over memory that nobody changes, what
    /// is kept is no other's, and a device takes data when it likes.
    pub(super) fn lends(&self) -> bool {
        !self.outgoing.digests.data && !self.outgoing.keeps() && self.rdma.is_none()
    }

    /// All that is missing of a write is read at once.
    pub(super) fn ask_for_all(&mut self, cx: &mut Context<'_>, slot: u32) {
        let Some(session) = self.session.and_then(|key| cx.shard.sessions.get_mut(key)) else { return };
        let Some(task) = session.tasks.get_mut(slot) else { return };
        let incoming = &mut task.incoming;
        // More may have come along than the command wants.
        if incoming.asked.max(incoming.received) >= incoming.wanted {
            return;
        }
        (incoming.solicited_start, incoming.asked) = (incoming.received, incoming.wanted);
        self.outgoing.push(Item::R2t {
            lun: task.request.lun,
            tag: task.tag,
            transfer_tag: slot,
            r2t_sn: Serial(0),
            offset: incoming.received,
            length: incoming.wanted - incoming.received,
        });
    }

    /// Whether something to say could not be posted.
    pub(in super::super) fn has_unposted(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// What the device is to do next, in the order in which it is to be done.
    pub(in super::super) fn poll_post(&mut self, cx: &mut Context<'_>) -> Option<Post> {
        loop {
            let item = self.outgoing.pop()?;
            let post = match item {
                Item::Read(reading) => write(cx.env, reading),
                Item::Response(response)
                    if planted(Bug::ResponseForgotten) && response.invalidate.is_some() =>
                {
                    None
                }
                Item::R2t { tag, transfer_tag: slot, .. } => self.fetch(cx, slot, tag),
                // An initiator takes its memory back once it is told that a task is aborted.
                Item::Task { .. } if self.is_reading() => {
                    self.outgoing.push_back_again(item);
                    return None;
                }
                item => match self.message(cx, &item) {
                    Some(post) => Some(post),
                    None => {
                        self.outgoing.push_back_again(item);
                        return None;
                    }
                },
            };
            if let (Some(post), Some(rdma)) = (post, &mut self.rdma) {
                rdma.under_way += 1;
                return Some(post);
            }
        }
    }

    /// The device is done with something.
    pub(in super::super) fn handle_posted(&mut self, cx: &mut Context<'_>, posted: Posted) {
        let Some(rdma) = &mut self.rdma else { return };
        rdma.under_way -= 1;
        let Posted::Read(fetch) = posted else { return };
        rdma.reads -= 1;
        let session = self.session.and_then(|key| cx.shard.sessions.get_mut(key));
        let task = session.and_then(|session| session.tasks.get_mut(fetch.slot));
        let task = task.filter(|task| task.fetch == fetch.number && task.connection == self.key);
        let Some(task) = task else { return give(cx.env, fetch.buffer) };
        task.fetch = 0;
        task.incoming.received = task.incoming.asked;
        if task.stage == Stage::Receiving {
            task.buffer = fetch.buffer;
        } else {
            give(cx.env, fetch.buffer);
        }
        if self.handle_task_data(cx, fetch.slot, true).is_err() {
            self.leave(cx);
        }
    }

    /// A read of the memory of a task, unless that has ended: then nothing is owed any more.
    fn fetch(&mut self, cx: &mut Context<'_>, slot: u32, tag: u32) -> Option<Post> {
        let session = self.session.and_then(|key| cx.shard.sessions.get_mut(key))?;
        let is_solicited = session.parameters.tagged_buffer_is_solicited;
        let task = session.tasks.get_mut(slot)?;
        let is_it = task.tag == tag && task.connection == self.key && task.fetch == 0;
        if !is_it || task.incoming.asked <= task.incoming.received {
            return None;
        }
        let (rdma, mut from) = (self.rdma.as_mut()?, task.memory.write?);
        if task.stage != Stage::Receiving || planted(Bug::DataNotAwaited) {
            task.incoming.received = task.incoming.asked;
            if self.handle_task_data(cx, slot, true).is_err() {
                self.leave(cx);
            }
            return None;
        }
        let (start, end) = (task.incoming.received as usize, task.incoming.asked as usize);
        if !is_solicited {
            // The memory has a place for what came without being asked for, too (RFC 7145, section 6.8).
            from.offset = from.offset.wrapping_add(start as u64);
        }
        let buffer = core::mem::replace(&mut task.buffer, Span::EMPTY);
        if core::mem::take(&mut task.solicited) {
            cx.shard.solicited_bytes -= buffer.len();
        }
        rdma.last_fetch = rdma.last_fetch.checked_add(1).unwrap_or(1);
        rdma.reads += 1;
        task.fetch = rdma.last_fetch;
        let fetch = Fetch { slot, number: task.fetch, buffer };
        Some(Post::Read { from, place: buffer.slice(start, end - start), fetch })
    }

    /// The message that says an item. `None`: there is no buffer for it.
    fn message(&mut self, cx: &mut Context<'_>, item: &Item) -> Option<Post> {
        let data = item.buffer();
        let long = match data.len() {
            0 => None,
            len => Some(cx.env.mem().take(MESSAGE_LEN_MIN + len)?),
        };
        let window = self.window(cx);
        let formed = self.outgoing.form_next(window, item);
        let invalidate = if let Item::Response(response) = item { response.invalidate } else { None };
        let (bytes, len) = short(&formed);
        let message = match long {
            None => Message::Short(bytes, len),
            Some(buffer) => {
                let message = buffer.first(MESSAGE_LEN_MIN + data.len());
                cx.env.mem().write(message.first(MESSAGE_LEN_MIN), &bytes[..MESSAGE_LEN_MIN]);
                cx.env.mem().copy(message.from(MESSAGE_LEN_MIN), data);
                give(cx.env, data);
                Message::Long(message)
            }
        };
        Some(Post::Send { message, invalidate })
    }

    fn is_reading(&self) -> bool {
        self.rdma.as_ref().is_some_and(|rdma| rdma.reads > 0)
    }
}

impl Rdma {
    /// Whether the device has nothing of this connection's.
    pub(super) const fn is_idle(&self) -> bool {
        self.under_way == 0
    }
}

/// Bytes of the PDU that a message of these bytes behind its header is; `None` if it is none, or more than one. Padding need not
/// be there, but Linux sends some.
fn pdu_len(front: &[u8; MESSAGE_LEN_MIN], len: usize) -> Option<usize> {
    let bhs = Bhs::view(&front[HEADER_LEN..]).ok()?;
    let pdu = BHS_LEN + usize::from(bhs.ahs_words) * 4 + bhs.data_len() as usize;
    (len == pdu || len == pdu + padding(bhs.data_len())).then_some(pdu)
}

/// What a read brings goes to the initiator's memory, from the buffer it lies in.
fn write(env: &mut dyn Env, reading: Reading) -> Option<Post> {
    let Reading { data, owner: Owner::Buffer(buffer), memory, .. } = reading else {
        debug_assert!(false, "nothing is lent, and nothing is kept");
        return None;
    };
    if memory.is_none() {
        debug_assert!(false, "it was advertised");
        give(env, buffer);
    }
    memory.map(|to| Post::Write { to, data, buffer })
}

/// Headers, and data if it is short.
fn short(formed: &Formed) -> ([u8; SHORT_LEN_MAX], usize) {
    let (mut bytes, data) = ([0; SHORT_LEN_MAX], formed.short());
    bytes[..HEADER_LEN].copy_from_slice(&Header::default().encode());
    bytes[HEADER_LEN..][..BHS_LEN].copy_from_slice(formed.bhs.bytes());
    bytes[MESSAGE_LEN_MIN..][..data.len()].copy_from_slice(data);
    (bytes, MESSAGE_LEN_MIN + data.len())
}

/// The longest message that lies in no buffer.
pub(in super::super) const SHORT_LEN_MAX: usize = MESSAGE_LEN_MIN + SHORT_BYTES_MAX;
