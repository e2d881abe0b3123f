//! Makes packets of sends, in order, within the window (9.7.2).

use super::credits::Credits;
use super::narrowing::Narrowing;
use super::round_trip::RoundTrip;
use super::{fetch, message};
use crate::engine::{Core, Engine, Outgoing, Sent};
use crate::transmit::{Payload, Transmitter};
use std::collections::VecDeque;
use stdx::mem::Memory;
use stdx::planted::{Bug, planted};
use stdx::time::{Time, earliest};
use verbs::parts::{QueuePair, Task};
use verbs::{Access, Event, QpId, QpState, Status, Transport, What};
use wire::roce::Psn;

/// Our requests: what is on its way, and where we are.
///
/// `flights` are the sends that have packet numbers, the front one being the front of the send queue. The cursor is the next
/// packet to be sent; it goes back when something was lost.
#[derive(Debug, Default)]
pub(crate) struct Requester {
    pub(super) flights: VecDeque<Flight>,
    /// The number behind the last flight.
    pub(super) next: Psn,
    /// The first number that was not acknowledged.
    pub(super) unacked: Psn,
    /// The flight whose packet is next.
    pub(super) cursor: usize,
    /// Which of its packets, if it does not fetch.
    pub(super) packet: u32,
    /// Flights that are answered with bytes, not all of which have come.
    pub(super) unanswered: usize,
    /// Responses that they still expect.
    pub(super) answers: u32,
    /// Those of them that were asked for, and are not taken for lost.
    pub(crate) due: u32,
    /// Responses that room is taken for.
    pub(crate) room_taken: u32,
    /// What loss made of the window.
    pub(super) narrowing: Narrowing,
    /// What the peer said of its receives.
    pub(super) credits: Credits,
    /// Messages that took one, of those that are complete.
    pub(super) taken: u32,
    /// Packets since an acknowledgement was asked for.
    pub(super) unasked: u32,
    /// Times that nothing moved on.
    pub(super) tries: u8,
    /// What was missing when the peer last showed that something was.
    pub(super) retried: Option<Psn>,
    /// Times that there was no receive.
    pub(super) rnr_tries: u8,
    /// The peer has no receive: until then nothing is sent.
    pub(super) wait_until: Option<Time>,
    /// When the oldest packet is taken for lost.
    pub(super) lost_at: Option<Time>,
    /// When it is tried again before.
    pub(super) early_at: Option<Time>,
    /// What is known of the way to the peer.
    pub(super) round_trip: RoundTrip,
}

/// A send with packet numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flight {
    /// The first number.
    pub(super) first: Psn,
    /// How many numbers: of its packets, or of the responses. None for what concerns no peer.
    pub(super) packets: u32,
    /// Bytes.
    pub(super) len: u32,
    /// It is answered with bytes.
    pub(super) fetches: bool,
    /// Responses that have come.
    pub(super) received: u32,
    /// Up to which response it was ever asked for, the first of the part that was asked for last, and up to which it is asked for
    /// now: what is taken for lost is asked for again.
    pub(super) asked: u32,
    pub(super) latest: u32,
    pub(super) asked_now: u32,
    /// It takes one of the peer's receives.
    takes: bool,
    /// Messages that take one, from the first to this.
    pub(super) taking: u32,
}

impl Flight {
    /// The number behind its last.
    pub(super) fn end(&self) -> Psn {
        self.first.plus(self.packets)
    }

    /// Where the part ends that holds a response.
    pub(super) const fn part_end(&self, response: u32) -> u32 {
        if response < self.latest { self.latest } else { self.asked }
    }

    /// Responses that are on their way, as far as is known.
    pub(super) const fn due(&self) -> u32 {
        self.asked_now.saturating_sub(self.received)
    }

    /// Nothing more is expected but an acknowledgement.
    pub(super) fn is_answered(&self) -> bool {
        !self.fetches || self.received == self.packets || planted(Bug::AnswerTakenForGiven)
    }
}

impl Requester {
    /// Begins with `psn`; `counts` if the peer's credits are heeded.
    pub(crate) fn begin(&mut self, psn: Psn, counts: bool) {
        let (flights, credits) = (core::mem::take(&mut self.flights), Credits::new(counts));
        let room_taken = self.room_taken;
        *self = Self { next: psn, unacked: psn, flights, credits, room_taken, ..Self::default() };
        self.flights.clear();
    }

    /// Forgets what is on its way.
    pub(crate) fn clear(&mut self) {
        self.begin(self.next, false);
    }

    /// When something is due without a packet.
    pub(crate) fn deadline(&self) -> Option<Time> {
        earliest(self.wait_until, earliest(self.lost_at, self.early_at))
    }

    /// For unreliable services: which packet of the send at the front is next, and its number.
    pub(crate) const fn unreliable(&self) -> (u32, Psn) {
        (self.packet, self.next)
    }

    /// That packet was sent, and was the last of its message or not.
    pub(crate) fn sent_unreliably(&mut self, is_last: bool) {
        self.next = self.next.next();
        self.unacked = self.next;
        self.packet = if is_last { 0 } else { self.packet + 1 };
    }

    /// True if a packet was sent that was not acknowledged.
    pub(super) fn is_waiting(&self) -> bool {
        self.cursor > 0 && self.flights.iter().take(self.cursor).any(|flight| flight.packets > 0)
            || self.packet > 0
            || self.due > 0
    }

    /// Packets on their way.
    fn outstanding(&self) -> u32 {
        (self.next.since(self.unacked).max(0) as u32).saturating_sub(self.answers)
    }

    /// Packets on their way before the cursor's, which is one of `flight`.
    fn ahead(&self, flight: &Flight) -> u32 {
        let numbers = flight.first.plus(self.packet).since(self.unacked).max(0) as u32;
        numbers.saturating_sub(self.answers)
    }

    /// True if a read or atomic with so many responses has to wait until others are answered: after a loss as many are asked
    /// for as the window has room for, but one at least.
    fn is_answer_too_much(&self, responses: u32, widest: u32) -> bool {
        self.unanswered > 0
            && self.narrowing.is_narrow()
            && self.answers.saturating_add(responses) > self.narrowing.window(widest)
    }

    /// True if only the first packet of a message may be on its way, and is: no receive is known for it.
    fn waits_for_credit(&self, flight: &Flight) -> bool {
        self.packet > 0 && self.is_limited(flight) && self.unacked.since(flight.first) <= 0
    }

    fn is_limited(&self, flight: &Flight) -> bool {
        flight.takes && self.credits.is_limited(flight.taking)
    }

    /// Puts a flight behind the last.
    fn push(&mut self, packets: u32, len: u32, fetches: bool, takes: bool) {
        if takes {
            self.credits.begin();
        }
        let (first, taking) = (self.next, self.credits.begun());
        let flight = Flight { first, packets, len, fetches, takes, taking, ..Flight::default() };
        self.flights.push_back(flight);
        if fetches {
            (self.unanswered, self.answers) = (self.unanswered + 1, self.answers + packets);
        }
        self.next = self.next.plus(packets);
        self.packet = 0;
    }

    /// One more answer has come to the flight at `index`.
    pub(super) fn answered(&mut self, index: usize) {
        let Some(flight) = self.flights.get_mut(index) else { return };
        self.due -= flight.due().min(1);
        flight.received += 1;
        self.answers -= 1;
        self.unanswered -= usize::from(flight.is_answered());
        self.unacked = flight.first.plus(flight.received);
    }

    /// Asserts what always holds.
    pub(crate) fn check(&self, sends: usize) {
        assert!(self.flights.len() <= sends, "no flight without a send");
        assert!(self.cursor <= self.flights.len(), "the cursor is at a flight, or behind the last");
        assert!(self.packet == 0 || self.cursor < sends, "a packet is one of a send");
        let mut at = self.flights.front().map_or(self.next, |flight| flight.first);
        assert!(self.unacked.since(at) >= 0 && self.next.since(self.unacked) >= 0, "the window is ahead");
        for flight in &self.flights {
            assert_eq!(flight.first, at, "numbers follow each other");
            assert!(flight.received <= flight.packets && flight.asked <= flight.packets);
            assert!(flight.latest <= flight.asked && flight.asked_now <= flight.asked);
            at = flight.end();
        }
        assert_eq!(at, self.next);
        let due = |flight: &Flight| if flight.fetches { flight.packets - flight.received } else { 0 };
        assert_eq!(self.answers, self.flights.iter().map(due).sum::<u32>());
        assert_eq!(self.due, self.flights.iter().map(Flight::due).sum::<u32>());
        assert_eq!(self.room_taken, self.due, "room is held for what is on its way alone");
        assert_eq!(self.unanswered, self.flights.iter().filter(|flight| !flight.is_answered()).count());
    }
}

/// Sends the next packet.
pub(crate) fn poll(core: &mut Core, mem: &mut Memory, now: Time, qp: QpId, out: &mut Transmitter) -> Sent {
    let Some(pair) = core.pair(qp) else { return Sent::Nothing };
    match pair.state {
        QpState::ReadyToSend | QpState::SendQueueDraining => {}
        _ => return Sent::Nothing,
    }
    let requester = &mut pair.engine.requester;
    if requester.wait_until.is_some_and(|until| until > now) {
        return Sent::Nothing;
    }
    requester.wait_until = None;
    if requester.cursor == requester.flights.len() {
        match begin(core, qp) {
            Sent::Something => {}
            sent => return sent,
        }
    }
    let Some(pair) = core.pair(qp) else { return Sent::Nothing };
    let requester = &mut pair.engine.requester;
    let Some(flight) = requester.flights.get(requester.cursor).copied() else { return Sent::Something };
    if flight.packets == 0 || flight.fetches && flight.is_answered() {
        (requester.cursor, requester.packet) = (requester.cursor + 1, 0);
        return Sent::Something;
    }
    let next = if flight.fetches { flight.asked_now.max(flight.received) } else { requester.packet };
    let psn = flight.first.plus(next);
    let sent = if flight.fetches {
        fetch::poll(core, mem, qp, &flight, out)
    } else {
        push(core, mem, qp, &flight, out)
    };
    if sent == Sent::Something {
        super::retransmission::start_timer(core, qp, psn, now);
    }
    sent
}

/// Gives the next send its packet numbers, if it may begin.
fn begin(core: &mut Core, qp: QpId) -> Sent {
    let (message_max, window) = (core.config.limits.message_bytes, core.config.window_packets);
    let Some(pair) = core.pair(qp) else { return Sent::Nothing };
    if pair.state == QpState::SendQueueDraining && !planted(Bug::DrainBeginsMore) {
        return drained(core, qp);
    }
    let (mtu, depth) = (mtu(pair), usize::from(pair.sending.initiator_depth));
    let requester = &pair.engine.requester;
    let Some(send) = pair.sends.get(requester.cursor) else { return Sent::Nothing };
    let fetching = requester.unanswered;
    if send.flags.fence && fetching > 0 && !planted(Bug::FenceIgnored) {
        return Sent::Nothing;
    }
    if send.task.is_local() {
        return do_local(core, qp);
    }
    let (fetches, takes) = (send.task.fetches(), send.task.takes_receive());
    let len = send.len();
    if len > u64::from(message_max) {
        return fail_in_turn(core, qp, Status::LocalLength);
    }
    if fetches && depth == 0 {
        return fail_in_turn(core, qp, Status::LocalQueuePairOperation);
    }
    let numbers = requester.next.since(requester.unacked).max(0) as u32;
    let packets = message::packets(len as u32, mtu);
    let is_full = requester.outstanding() >= requester.narrowing.window(window) || numbers >= NUMBERS_MAX;
    let requests = fetching + usize::from(fetching > 0 && requester.is_asked_twice());
    let is_deep = fetches && requests >= depth && !planted(Bug::ReadDepthIgnored);
    let is_too_much = fetches && requester.is_answer_too_much(packets, window);
    if is_deep || is_full || is_too_much || takes && !requester.credits.may_begin() {
        return Sent::Nothing;
    }
    pair.engine.requester.push(packets, len as u32, fetches, takes);
    Sent::Something
}

/// Does what concerns no peer; it completes when everything before it has (10.8.3).
fn do_local(core: &mut Core, qp: QpId) -> Sent {
    if let Err(status) = perform_local(core, qp) {
        return fail_in_turn(core, qp, status);
    }
    let Some(pair) = core.pair(qp) else { return Sent::Nothing };
    let requester = &mut pair.engine.requester;
    requester.push(0, 0, false, false);
    requester.cursor += 1;
    super::completer::complete_front(core, qp);
    Sent::Something
}

/// The same for a service without acknowledgements: it is done at once.
pub(crate) fn do_local_now(core: &mut Core, qp: QpId) -> Sent {
    match perform_local(core, qp) {
        Ok(()) => core.complete_send(qp),
        Err(status) => core.fail_send(qp, status),
    }
    Sent::Something
}

fn perform_local(core: &mut Core, qp: QpId) -> Result<(), Status> {
    let Some(pair) = core.registry.qps.get(qp.0) else { return Err(Status::Fatal) };
    let pd = pair.init.pd;
    let Some(send) = pair.sends.get(pair.engine.requester.cursor) else { return Err(Status::Fatal) };
    let regions = &mut core.registry.regions;
    match send.task {
        Task::Invalidate(key) => regions.invalidate(pd, key).map_err(|_| Status::LocalQueuePairOperation),
        Task::Register { key, address, access } => regions
            .register_by_work(pd, key, &send.pieces, address, access)
            .map_err(|_| Status::LocalQueuePairOperation),
        Task::Bind { window, part, access } => {
            regions.bind(pd, qp, window, part, access).map_err(|_| Status::WindowBind)
        }
        _ => Ok(()),
    }
}

/// A send that cannot be done fails when all before it are done.
fn fail_in_turn(core: &mut Core, qp: QpId, status: Status) -> Sent {
    if core.pair(qp).is_some_and(|pair| pair.engine.requester.cursor == 0) {
        core.fail_send(qp, status);
    }
    Sent::Nothing
}

fn drained(core: &mut Core, qp: QpId) -> Sent {
    let Some(pair) = core.pair(qp) else { return Sent::Nothing };
    if pair.engine.requester.flights.is_empty() {
        pair.state = QpState::SendQueueDrained;
        let owner = pair.owner;
        core.registry.events.push_back(Event { owner, what: What::SendQueueDrained(qp) });
    }
    Sent::Nothing
}

/// Sends the cursor's packet of a send or write.
fn push(core: &mut Core, mem: &mut Memory, qp: QpId, flight: &Flight, out: &mut Transmitter) -> Sent {
    let (ack_every, window) = (core.config.ack_every_packets, core.config.window_packets);
    let len_max = u64::from(core.config.limits.message_bytes);
    let Some(pair) = core.registry.qps.get(qp.0) else { return Sent::Nothing };
    let requester = &pair.engine.requester;
    let room = requester.narrowing.window(window).saturating_sub(requester.ahead(flight));
    if room == 0 || requester.waits_for_credit(flight) {
        return Sent::Nothing;
    }
    let is_alone = room == 1 || requester.is_limited(flight);
    let Some(send) = pair.sends.get(requester.cursor) else { return Sent::Nothing };
    let (index, mtu) = (requester.packet, mtu(pair));
    let offset = index * mtu;
    let len = mtu.min(flight.len - offset);
    let place = message::position(index, flight.packets);
    let (opcode, extension) = message::request(Transport::ReliableConnection, send, place, flight.len);
    let psn = flight.first.plus(index);
    let outgoing = Outgoing {
        opcode,
        extension,
        psn,
        solicited: place.ends() && send.flags.solicited,
        ack_requested: is_alone
            || requester.unasked + 1 >= ack_every
            || place.ends() && (requester.unasked + 1 >= UNASKED_MAX || !is_followed(pair, psn, len_max)),
    };
    let sent = send_payload(core, mem, qp, &outgoing, offset, len, out);
    if let Some(pair) = core.pair(qp)
        && sent == Sent::Something
        && pair.state != QpState::Error
    {
        let requester = &mut pair.engine.requester;
        requester.unasked = if outgoing.ack_requested { 0 } else { requester.unasked + 1 };
        requester.packet += 1;
        if requester.packet == flight.packets {
            (requester.cursor, requester.packet) = (requester.cursor + 1, 0);
        }
    }
    sent
}

/// True if the message behind the cursor's can be sent at once: whoever acknowledges that one acknowledges both, and an
/// acknowledgement costs its receiver as much as a short message. What is sent again asks for itself.
fn is_followed(pair: &QueuePair<Engine>, psn: Psn, len_max: u64) -> bool {
    let requester = &pair.engine.requester;
    let Some(send) = pair.sends.get(requester.cursor + 1) else { return false };
    let goes = !send.task.is_local() && !send.task.fetches() && !send.flags.fence && send.len() <= len_max;
    let is_taken = !send.task.takes_receive() || requester.credits.may_begin();
    goes && is_taken && requester.round_trip.is_first(psn) && pair.state == QpState::ReadyToSend
}

/// Sends a packet with `len` bytes from `offset` of the send at the cursor.
pub(crate) fn send_payload(
    core: &mut Core,
    mem: &mut Memory,
    qp: QpId,
    outgoing: &Outgoing,
    offset: u32,
    len: u32,
    out: &mut Transmitter,
) -> Sent {
    let Some(pair) = core.registry.qps.get_mut(qp.0) else { return Sent::Nothing };
    let cursor = pair.engine.requester.cursor;
    let pd = pair.init.pd;
    let Some(send) = pair.sends.get_mut(cursor) else { return Sent::Nothing };
    if send.is_inline {
        // The bytes are taken out while they are sent, and put back for another time.
        let bytes = core::mem::take(&mut send.inline);
        let end = (offset + len) as usize;
        let chunk = bytes.get(offset as usize..end).unwrap_or(&[]);
        let sent = core.emit(mem, qp, outgoing, Payload::Bytes(chunk), out);
        if let Some(send) = core.pair(qp).and_then(|pair| pair.sends.get_mut(cursor)) {
            send.inline = bytes;
        }
        return sent;
    }
    let mut spans = core::mem::take(&mut core.spans);
    spans.clear();
    let (from, count) = (u64::from(offset), u64::from(len));
    let regions = &core.registry.regions;
    let gathered = send.gather(regions, pd, from, count, Access::NONE, &mut spans);
    let sent = match gathered {
        Ok(()) => core.emit(mem, qp, outgoing, Payload::Spans(&spans), out),
        Err(_) => fail_in_turn(core, qp, Status::LocalProtection),
    };
    core.spans = spans;
    sent
}

/// Payload of a packet on this connection, in bytes.
pub(crate) fn mtu(pair: &QueuePair<Engine>) -> u32 {
    pair.peer.map_or(1, |peer| peer.mtu.bytes())
}

/// Packets of short messages for which one acknowledgement is asked: few enough that a sender that waits for it is told while the
/// next ones are on their way.
const UNASKED_MAX: u32 = 16;

/// Most packet numbers that are not acknowledged: a quarter of all, so that old and new are never confused.
const NUMBERS_MAX: u32 = 1 << 22;
