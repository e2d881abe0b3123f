//! One end: its connection, what it has posted, and an application.

use super::memory::Memory;
use super::plan::{Plan, pick};
use super::{Check, wrong};
use crate::scenario::Outcome;
use sdp::{Connection, Event, How, Message, Payload, Piece, Step, Terms};
use std::collections::VecDeque;
use stdx::prng::Prng;
use stdx::time::Time;
use wire::sdp::{Advert, Mode};

/// See the module.
#[derive(Debug)]
pub(super) struct End {
    /// Which of the two; its bytes differ from the other's.
    name: u64,
    pub(super) plan: Plan,
    pub(super) connection: Connection,
    pub(super) memory: Memory,
    /// What the queue pair is to do.
    pub(super) posted: VecDeque<Posted>,
    /// What it did and was not told; of reads, the bytes.
    pub(super) done: VecDeque<Option<Vec<u8>>>,
    /// Messages that were not looked at.
    pub(super) inbox: VecDeque<Vec<u8>>,
    /// Messages that were, and whose receives are not posted again.
    held: u32,
    /// Receives there are; there may be more than the plan has by now.
    all_receives: u32,
    /// Bytes of the peer that were received.
    pub(super) received: u64,
    urgent: Vec<u64>,
    urgent_heard: Vec<u64>,
    /// An urgent byte was told to be on its way.
    is_urgent_near: bool,
    pub(super) is_paused: bool,
    pub(super) peer_has_closed: bool,
    pub(super) is_over: bool,
    /// It does nothing any more.
    pub(super) is_dead: bool,
    pub(super) messages: u64,
}

/// A request that was posted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Posted {
    Send(Message),
    Write { piece: Piece, key: u32, address: u64 },
    Read { key: u32, address: u64, len: u32 },
    Probe,
}

impl End {
    pub(super) fn new(name: u64, now: Time, plan: Plan, terms: Terms) -> Self {
        Self {
            name,
            plan,
            connection: Connection::new(now, plan.options, terms),
            memory: Memory::default(),
            posted: VecDeque::new(),
            done: VecDeque::new(),
            inbox: VecDeque::new(),
            held: 0,
            all_receives: plan.options.receives.into(),
            received: 0,
            urgent: Vec::new(),
            urgent_heard: Vec::new(),
            is_urgent_near: false,
            is_paused: false,
            peer_has_closed: false,
            is_over: false,
            is_dead: false,
            messages: 0,
        }
    }

    /// Bytes of this end's stream.
    pub(super) fn bytes(&self, at: u64, len: u32) -> Vec<u8> {
        (at..at + u64::from(len)).map(|at| byte(self.name, at)).collect()
    }

    /// Receives that are posted.
    pub(super) fn receives(&self) -> u32 {
        self.all_receives - self.held - self.inbox.len() as u32
    }

    /// Writes some, or closes.
    pub(super) fn write(&mut self, prng: &mut Prng) -> Check {
        if self.connection.is_ended() {
            return Ok(());
        }
        let written = self.connection.written();
        let left = self.plan.bytes - written.min(self.plan.bytes);
        // What is said to follow at once follows with the next act of writing.
        self.connection.set_more(left > 0 && prng.chance(1, 4));
        if left == 0 {
            self.connection.shut_down();
            return Ok(());
        }
        if written - self.connection.released().min(written) > AHEAD_MAX {
            return Ok(());
        }
        let len = (*pick(prng, &[1, 2, 60, 700, 5_000, 40_000])).min(left) as u32;
        let is_advertised = prng.chance(self.plan.advertises, 8);
        let how = match is_advertised.then(|| self.memory.open_source(written, len)) {
            Some((key, address)) => How::Advertised { key, address },
            None => How::Copied,
        };
        let is_urgent = !is_advertised && prng.chance(1, 16);
        if is_urgent {
            self.urgent.push(written + u64::from(len));
        }
        self.connection.write(len, how, is_urgent).map_err(|why| wrong(format!("a write is refused: {why}")))
    }

    /// Reads what is offered, or gives memory to be written to.
    pub(super) fn read(&mut self, prng: &mut Prng) {
        if let Some(offer) = self.connection.offer()
            && prng.chance(self.plan.reads, 8)
        {
            let len = prng.between(1, offer.len.into()) as u32;
            self.connection.read(len);
            self.posted.push_back(Posted::Read { key: offer.key, address: offer.address, len });
        }
        if self.plan.gives_memory > 0 {
            self.connection.prefer_pipelined(true);
            if prng.chance(self.plan.gives_memory, 8) {
                self.advertise(prng);
            }
        }
    }

    fn advertise(&mut self, prng: &mut Prng) {
        let len = self.connection.receive_len() + prng.below(20_000) as u32;
        let (key, address) = self.memory.open_sink(len);
        if self.connection.advertise(key, Advert { len, key, address }).is_err() {
            self.memory.close_sink(key);
        }
    }

    /// Does what is rarely done.
    pub(super) fn have_a_whim(&mut self, now: Time, prng: &mut Prng) {
        if self.plan.aborts && prng.chance(1, 256) {
            return self.connection.abort();
        }
        if self.plan.pauses && prng.chance(1, 64) {
            // Refused once the end is near.
            let _ = self.connection.suspend(now, 7);
        }
        if !prng.chance(self.plan.whims, 64) {
            return;
        }
        match prng.below(8) {
            0 => self.connection.cancel_written(now),
            1 => self.connection.cancel_advertised(),
            2 => {
                self.connection.refuse_offer();
            }
            3 => self.connection.resize(self.plan.options.desired_remote_len),
            // Legal or not, as it comes.
            4 => {
                let mode = *pick(prng, &[Mode::Buffered, Mode::Combined, Mode::Pipelined]);
                let _ = self.connection.change_mode(mode);
            }
            5 => {
                self.plan.options.receives = *pick(prng, &[4, 6, 20, 64]);
                self.all_receives += u32::from(self.connection.set_receives(self.plan.options.receives));
            }
            _ => {
                let _ = self.connection.allow_adverts();
            }
        }
    }

    /// Posts what the connection wants to be done; says whether it is to end.
    pub(super) fn post(&mut self, now: Time) -> Result<bool, Outcome> {
        while self.posted.len() < QUEUE_MAX
            && let Some(step) = self.connection.poll(now)
        {
            self.posted.push_back(match step {
                Step::Send(message) => Posted::Send(message),
                Step::Write { piece, key, address } => Posted::Write { piece, key, address },
                Step::Probe => Posted::Probe,
                Step::Disconnect => return Ok(true),
            });
        }
        self.learn()?;
        Ok(false)
    }

    /// Learns that a request is done.
    pub(super) fn complete(&mut self) -> Check {
        let Some(read) = self.done.pop_front() else { return Ok(()) };
        self.connection.handle_done();
        read.map_or(Ok(()), |bytes| self.take(&bytes))
    }

    /// Looks at a message.
    pub(super) fn hear(&mut self, now: Time) -> Check {
        let Some(message) = self.inbox.pop_front() else { return Ok(()) };
        self.messages += 1;
        self.held += 1;
        let front = &message[..message.len().min(Message::HEAD_MAX + 1)];
        let payload = self.connection.handle_message(now, front, message.len() as u32);
        let payload = payload.map_err(|why| wrong(format!("end {} finds that {why}", self.name)))?;
        if let Some(payload) = payload {
            self.take_payload(&message, payload)?;
        }
        self.learn()?;
        let is_urgent = payload.is_some_and(|payload| payload.is_urgent);
        if is_urgent && !core::mem::take(&mut self.is_urgent_near) {
            return Err(wrong("an urgent byte comes that nobody told of".into()));
        }
        Ok(())
    }

    /// Posts a receive again.
    pub(super) fn release(&mut self) {
        if self.held > 0 {
            self.held -= 1;
            self.all_receives -= u32::from(!self.connection.release());
        }
    }

    /// The peer's urgent bytes were told to be so. One that another followed before it was sent is not.
    pub(super) fn check_urgent(&self, peer: &Self) -> Check {
        let is_known = self.urgent_heard.iter().all(|at| peer.urgent.contains(at));
        if !is_known || self.urgent_heard.last() != peer.urgent.last() {
            let (heard, said) = (&self.urgent_heard, &peer.urgent);
            return Err(wrong(format!("the urgent bytes {said:?} were heard as {heard:?}")));
        }
        Ok(())
    }

    /// Goes on after a pause.
    pub(super) fn resume(&mut self, now: Time, terms: Terms) -> Check {
        self.held = 0;
        self.all_receives = self.plan.options.receives.into();
        self.is_paused = false;
        self.connection
            .resume(now, terms)
            .map_err(|why| wrong(format!("the connection does not go on: {why}")))
    }

    fn take_payload(&mut self, message: &[u8], payload: Payload) -> Check {
        let bytes = &message[payload.offset as usize..(payload.offset + payload.len) as usize];
        if let Some(token) = payload.token {
            self.memory.close_sink(token);
        }
        self.take(bytes)?;
        if payload.is_urgent {
            self.urgent_heard.push(self.received);
        }
        Ok(())
    }

    /// What happened.
    fn learn(&mut self) -> Check {
        while let Some(event) = self.connection.poll_event() {
            self.learn_of(event)?;
        }
        Ok(())
    }

    fn learn_of(&mut self, event: Event) -> Check {
        match event {
            Event::Written { token, len } => {
                let bytes = self.memory.close_sink(token);
                self.take(&bytes[..len as usize])?;
            }
            Event::Returned { token } => {
                self.memory.close_sink(token);
            }
            Event::PeerClosed => self.peer_has_closed = true,
            Event::Paused { .. } => self.is_paused = true,
            Event::Aborted => self.is_over = true,
            Event::UrgentPending => self.is_urgent_near = true,
            Event::Resized { .. } => {}
        }
        Ok(())
    }

    /// Bytes of the peer are here.
    fn take(&mut self, bytes: &[u8]) -> Check {
        let peer = 1 - self.name;
        for &found in bytes {
            let expected = byte(peer, self.received);
            if found != expected {
                let at = self.received;
                return Err(wrong(format!("byte {at} of end {peer} is {found:#x} and not {expected:#x}")));
            }
            self.received += 1;
        }
        Ok(())
    }
}

/// A byte of a stream.
const fn byte(of: u64, at: u64) -> u8 {
    let mixed = (at ^ of << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as u8
}

/// Bytes that an application writes before those before them have arrived.
const AHEAD_MAX: u64 = 100_000;
/// Requests that are posted at once.
const QUEUE_MAX: usize = 32;
