//! What goes out next: what must be told, then bytes of the stream, then the end, then credits for their own sake.

use super::credits::RESERVED;
use super::outgoing::Next;
use super::{Connection, Control, Event, Message, Piece, Request, Step};
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use wire::sdp::{Base, Body, Flags, Half, Mode};

impl Connection {
    /// What is to be done next: to be posted now, behind all that was posted before.
    pub fn poll(&mut self, now: Time) -> Option<Step> {
        self.next_step(now).or_else(|| self.probe(now))
    }

    fn next_step(&mut self, now: Time) -> Option<Step> {
        self.close.note_left(now);
        if self.close.is_ours_to_end() && self.under_way.is_empty() {
            self.close.end();
        }
        if self.close.is_ended() {
            return self.close.take_end().then_some(Step::Disconnect);
        }
        if self.pause.is_done() {
            return None;
        }
        self.choose_mode();
        self.return_memory();
        if let Some(control) = self.control.front().copied() {
            if self.can_tell() {
                self.control.pop_front();
                return Some(Step::Send(self.tell(control)));
            }
        } else if let Some(step) = self.pause_now() {
            return Some(step);
        }
        if let Some(step) = self.data(now) {
            return Some(step);
        }
        if !self.control.is_empty() {
            return None;
        }
        let is_sent = self.outgoing.is_drained() || planted(Bug::ClosedBeforeSent);
        if self.close.is_closing() && is_sent && self.can_tell() {
            self.close.closed();
            let message = self.message(Body::Disconnect, NOTHING, Flags(0), false);
            // Whoever closes writes no more, and the peer knows it.
            self.outgoing.drop_sinks();
            return Some(self.send(message));
        }
        let is_update_due = self.credits.is_update_due() && self.credits.remaining() > 0;
        if is_update_due || self.must_ask() && self.can_tell() {
            let message = self.message(Body::Data, NOTHING, Flags(0), false);
            return Some(self.send(message));
        }
        None
    }

    /// Looks whether the peer is there, if it has been silent: also while something waits to be told that there is no credit for.
    fn probe(&mut self, now: Time) -> Option<Step> {
        let at = self.heard_at.max(self.probed_at) + self.options.keep_alive?;
        let is_over = self.close.is_ended() || self.pause.is_done();
        if at > now || is_over || planted(Bug::ProbeForgotten) {
            return None;
        }
        self.probed_at = now;
        self.under_way.push_back(Request::Other);
        Some(Step::Probe)
    }

    /// Closes our half once everything is sent.
    pub fn shut_down(&mut self) {
        self.close.close();
    }

    /// Reads no more: a peer that goes on sending is told so by the connection's end.
    pub fn shut_read(&mut self) {
        self.close.shut_read();
    }

    /// Ends the connection at once; what is under way is lost.
    pub fn abort(&mut self) {
        self.close.end();
    }

    /// Whether the connection is to end, or has.
    pub fn is_ended(&self) -> bool {
        self.close.is_ended()
    }

    /// Pipelined mode is worth while once there is more than one advert for it, or the peer asks.
    fn choose_mode(&mut self) {
        let is_wanted = self.outgoing.is_pipelined_asked || self.outgoing.advertisable() > 1;
        if self.outgoing.mode == Mode::Combined && is_wanted {
            // Whoever knows no such mode stays in the one it has.
            self.outgoing.is_pipelined_asked &= self.change_mode(Mode::Pipelined).is_err();
        }
    }

    /// Memory that the peer was to hear of next goes back if it is not to be written to any more.
    fn return_memory(&mut self) {
        while let Some(&Control::Sink(token, _)) = self.control.front()
            && !self.incoming.can_advertise()
        {
            self.control.pop_front();
            self.events.push_back(Event::Returned { token });
        }
    }

    /// The peer learns that we pause once neither end has an advert.
    fn pause_now(&mut self) -> Option<Step> {
        if !self.pause.owes {
            return None;
        }
        let adverts =
            self.outgoing.adverts() + self.outgoing.sinks() + self.incoming.adverts() + self.incoming.sinks();
        if adverts > 0 && !planted(Bug::PausedOverAdverts) || !self.can_tell() {
            return None;
        }
        let message = self.message(Body::SuspendAck, NOTHING, Flags(0), true);
        self.pause.owes = false;
        self.tell_pause();
        Some(self.send(message))
    }

    fn data(&mut self, now: Time) -> Option<Step> {
        let room = self.room_of_next();
        let is_free = self.control.is_empty() && !self.pause.is_asked();
        let reserved = if planted(Bug::LastCreditSpent) { 0 } else { RESERVED };
        let can_send = is_free && self.credits.remaining() > reserved;
        // While the peer's cancel is not acknowledged, what we send looks older than it is.
        let adverts_left = if self.credits.is_holding() { 0 } else { self.adverts_left() };
        let next = self.outgoing.next(room, can_send, adverts_left)?;
        let step = match next {
            Next::Write { .. } if self.pause.is_asked() => return None,
            Next::Write { piece, key, address } => {
                self.under_way.push_back(Request::Bytes(piece));
                Step::Write { piece, key, address }
            }
            Next::Written(len) => {
                if !self.control.is_empty() || !self.can_tell() {
                    return None;
                }
                Step::Send(self.tell(Control::WriteDone(len)))
            }
            Next::Data { piece, is_urgent } => {
                if piece.len < room && !is_urgent && self.is_held_back() {
                    return None;
                }
                self.ask_for_longer(piece.len);
                let flag = if is_urgent { Flags::OUT_OF_BAND_PRESENT } else { Flags(0) };
                let message = self.message(Body::Data, piece, flag, is_urgent);
                self.send(message)
            }
            Next::Advert { piece, advert } => {
                let message = self.message(Body::SourceAvailable(advert), piece, Flags(0), true);
                self.send(message)
            }
        };
        self.outgoing.commit(now, &next);
        Some(step)
    }

    /// A message that is not full waits while others are on their way: more may come for it.
    fn is_held_back(&self) -> bool {
        let is_busy = self.under_way.iter().any(|request| matches!(request, Request::Bytes(_)));
        is_busy && !self.options.no_delay && !self.close.is_closing()
    }

    /// Whether a message without bytes may go: the last credit is for those that bring credits (A4.4.2).
    fn can_tell(&self) -> bool {
        match self.credits.remaining() {
            0 => false,
            1 => self.credits.untold() > 0,
            _ => true,
        }
    }

    /// The message of something that waited to be told.
    fn tell(&mut self, control: Control) -> Message {
        let message = self.message(control.body(self.incoming.non_discards()), NOTHING, Flags(0), true);
        self.under_way.push_back(Request::Other);
        let sequence = self.credits.sent();
        match control {
            Control::SendSmall => self.incoming.refused(sequence),
            Control::Sink(token, advert) => self.incoming.advertise(token, advert.len),
            Control::Resize(len) => {
                self.resizes += 1;
                if planted(Bug::LongerTooSoon) {
                    self.set_message_len(len);
                }
            }
            Control::Mode(Half::Receive, Mode::Combined) => self.left_pipelined.sent(sequence),
            _ => {}
        }
        message
    }

    /// Whether the peer is to change its direction to pipelined mode, so that it can be told of memory to write to. A direction
    /// changes from combined mode alone, and peers that take one advert know no other.
    fn wants_pipelined(&self) -> bool {
        self.prefers_pipelined && self.incoming.mode == Mode::Combined && self.terms.is_pipelined_known()
    }

    /// Whether the peer is to be asked for it though there is nothing else to tell.
    fn must_ask(&self) -> bool {
        self.wants_pipelined() && !self.has_asked && !self.close.is_peer_closed() && !self.pause.is_asked()
    }

    fn send(&mut self, message: Message) -> Step {
        let request = if message.payload.len > 0 { Request::Bytes(message.payload) } else { Request::Other };
        self.under_way.push_back(request);
        Step::Send(message)
    }

    fn message(&mut self, body: Body, payload: Piece, flags: Flags, is_solicited: bool) -> Message {
        let is_pending = self.outgoing.take_urgent_pending();
        let mut flags = if is_pending { flags | Flags::OUT_OF_BAND_PENDING } else { flags };
        if self.wants_pipelined() {
            flags = flags | Flags::REQUEST_PIPELINED;
            self.has_asked = true;
        }
        let (buffers, sequence, acknowledged) = self.credits.stamp();
        let len = body.message_len(payload.len as usize) as u32;
        let base = Base { id: body.id(), flags, buffers, len, sequence, acknowledged };
        Message::new(&base, &body, payload, is_solicited || is_pending)
    }
}

/// No bytes of the stream.
const NOTHING: Piece = Piece { at: 0, len: 0 };
