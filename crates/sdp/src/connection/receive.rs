//! Messages that come.

use super::mode::{self, Asker};
use super::{Connection, Control, Event, Pause, Payload, Violation};
use crate::connection::incoming::Place;
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use wire::sdp::{BASE_LEN, Base, Body, Flags, Half, Mode, SinkAdvert};

impl Connection {
    /// A message of `len` bytes came, which begins with `front`: all of it, or as many bytes as a header has at most and
    /// one more. What is returned are its bytes of the stream, for the owner to take before it posts the receive again.
    ///
    /// # Errors
    /// When the peer did what it may not: the connection ends.
    pub fn handle_message(
        &mut self,
        now: Time,
        front: &[u8],
        len: u32,
    ) -> Result<Option<Payload>, Violation> {
        if self.close.is_ended() {
            return Ok(None);
        }
        self.heard_at = now;
        let result = self.take(now, front, len);
        self.trim();
        if result.is_err() {
            self.close.end();
        }
        result
    }

    fn take(&mut self, now: Time, front: &[u8], len: u32) -> Result<Option<Payload>, Violation> {
        let short = Violation::Length { said: len, received: len };
        let base = Base::decode(front).map_err(|_| short)?.ok_or(Violation::UnknownType)?;
        if base.len != len {
            return Err(Violation::Length { said: base.len, received: len });
        }
        if len > self.receive_len {
            return Err(Violation::TooLong(len));
        }
        let (body, _) = Body::decode(base.id, front.get(BASE_LEN..).ok_or(short)?)?;
        let offset = (BASE_LEN + body.len()) as u32;
        let payload = len.saturating_sub(offset);
        self.credits.receive(&base)?;
        if base.flags.contains(Flags::OUT_OF_BAND_PENDING) {
            self.events.push_back(Event::UrgentPending);
        }
        self.outgoing.is_pipelined_asked |= base.flags.contains(Flags::REQUEST_PIPELINED);
        let place = self.act(now, &base, body, payload)?;
        if self.control.len() > self.control_max() {
            return Err(Violation::TooManyAsked);
        }
        if payload == 0 {
            return Ok(None);
        }
        if self.close.is_peer_closed() {
            return Err(Violation::AfterClose);
        }
        if self.close.is_read_shut() {
            // As TCP does (RFC 1122, 4.2.2.13): the peer learns that nobody reads this.
            self.abort();
            self.events.push_back(Event::Aborted);
            return Ok(None);
        }
        let token = match place {
            Place::Stream => {
                // Memory that the peer was to hear of is for bytes behind these.
                self.drop_unadvertised();
                None
            }
            Place::Sink(token) => Some(token),
            Place::Nowhere => return Ok(None),
        };
        let is_urgent = base.flags.contains(Flags::OUT_OF_BAND_PRESENT);
        Ok(Some(Payload { offset, len: payload, token, is_urgent }))
    }

    /// Does what a message says; says where its bytes belong.
    fn act(&mut self, now: Time, base: &Base, body: Body, payload: u32) -> Result<Place, Violation> {
        match body {
            Body::Data if payload > 0 => return self.incoming.handle_data(),
            Body::Data => {}
            Body::SourceAvailable(advert) => {
                if self.close.is_peer_closed() {
                    return Err(Violation::AfterClose);
                }
                let left = self.peer_adverts_left();
                let place = self.incoming.handle_source(&advert, payload, left, &self.credits)?;
                if self.incoming.adverts() > 0 {
                    // What became of this advert is told before the peer gets another use for its bytes.
                    self.drop_unadvertised();
                }
                return Ok(place);
            }
            Body::SinkAvailable(advert) => {
                self.handle_sink(&advert)?;
                if payload > 0 {
                    return self.incoming.handle_data();
                }
            }
            Body::Disconnect => {
                if self.close.is_peer_closed() || self.incoming.adverts() > 0 {
                    return Err(Violation::AfterClose);
                }
                // It writes no more, either.
                self.close.handle_closed(now);
                if planted(Bug::HalfCloseEndsBoth) {
                    self.close.end();
                }
                self.drop_advertised();
                self.events.push_back(Event::PeerClosed);
            }
            Body::Abort => {
                self.close.end();
                self.events.push_back(Event::Aborted);
            }
            Body::RdmaReadCompletion(len) => self.outgoing.handle_read(len)?,
            Body::SendSmall => self.outgoing.handle_refusal(),
            Body::RdmaWriteCompletion(len) => {
                let token = self.incoming.handle_written(len)?;
                self.events.push_back(Event::Written { token, len });
            }
            Body::ModeChange(half, mode) => self.handle_mode(half, mode)?,
            Body::SourceCancel => {
                self.incoming.handle_source_cancel(&mut self.control);
                if self.incoming.is_cancelling() {
                    // It is acknowledged once nothing is being read (A4.6.5).
                    self.credits.hold(base.sequence);
                }
            }
            Body::SinkCancel => {
                let (written, is_dropped) = self.outgoing.handle_sink_cancel();
                self.control.extend(written.map(Control::WriteDone));
                if is_dropped {
                    self.control.push_back(Control::SinkCancelAck);
                }
            }
            Body::SinkCancelAck => {
                let tokens = self.incoming.handle_sink_cancel_ack()?;
                self.events.extend(tokens.map(|token| Event::Returned { token }));
            }
            Body::ChangeReceiveBuffer(len) => self.handle_resize(len),
            Body::ChangeReceiveBufferAck(len) => self.handle_resized(len)?,
            Body::Suspend(service) => self.handle_suspend(now, service)?,
            Body::SuspendAck => {
                if !core::mem::take(&mut self.pause.awaits) {
                    return Err(Violation::Unasked);
                }
                self.tell_pause();
            }
        }
        Ok(Place::Stream)
    }

    /// What may wait to be told: of each advert of both ends that it was read or written and that it goes back, and what there is one of.
    pub(super) fn control_max(&self) -> usize {
        2 * (usize::from(self.options.adverts_max) + self.terms.adverts_max as usize) + OTHERS_MAX
    }

    fn handle_sink(&mut self, advert: &SinkAdvert) -> Result<(), Violation> {
        // It was sent before the peer knew that we left pipelined mode.
        let is_crossing = self.outgoing.mode != Mode::Pipelined;
        let is_known = !self.left_pipelined.is_unknown(&self.credits) || planted(Bug::CrossingModeForgotten);
        if is_crossing && is_known {
            return Err(Violation::AdvertInMode(self.outgoing.mode));
        }
        if advert.advert.len < self.message_room() {
            return Err(Violation::SinkTooShort(advert.advert.len));
        }
        advert.advert.end().map_err(|_| Violation::AdvertUncovered)?;
        if self.peer_adverts_left() == 0 {
            return Err(Violation::TooManyAdverts);
        }
        self.outgoing.handle_sink(advert, is_crossing || self.close.is_closed());
        Ok(())
    }

    fn handle_mode(&mut self, half: Half, to: Mode) -> Result<(), Violation> {
        let (asker, from) = match half {
            Half::Receive => (Asker::Source, self.incoming.mode),
            Half::Send => (Asker::Sink, self.outgoing.mode),
        };
        if !mode::is_legal(asker, from, to) {
            return Err(Violation::ModeChange { from, to });
        }
        match half {
            Half::Send => self.outgoing.change(to),
            Half::Receive => {
                if to == Mode::Buffered && self.incoming.adverts() > 0 {
                    return Err(Violation::ModeChange { from, to });
                }
                self.incoming.mode = to;
                self.has_asked = false;
                if from == Mode::Pipelined {
                    if !planted(Bug::SinksKeptOverMode) {
                        self.drop_advertised();
                    }
                    self.incoming.refuse(&mut self.control);
                }
            }
        }
        Ok(())
    }

    /// The peer has let go of our memory, and of what it does not know of yet.
    fn drop_advertised(&mut self) {
        self.control.retain(|control| *control != Control::SinkCancel);
        self.drop_unadvertised();
        self.events.extend(self.incoming.drop_sinks().map(|token| Event::Returned { token }));
    }

    /// Memory that the peer was to hear of goes back.
    pub(super) fn drop_unadvertised(&mut self) {
        let Self { control, events, .. } = self;
        control.retain(|control| {
            if let &Control::Sink(token, _) = control {
                events.push_back(Event::Returned { token });
            }
            !matches!(control, Control::Sink(..))
        });
    }

    fn handle_suspend(&mut self, now: Time, service: u64) -> Result<(), Violation> {
        if self.pause.owes || self.pause.is_done() {
            return Err(Violation::Unasked);
        }
        self.pause.owes = true;
        self.pause.theirs = Some(service);
        self.cancel_written(now);
        self.cancel_advertised();
        Ok(())
    }

    /// Tells the owner once both ends know that the connection pauses.
    pub(super) fn tell_pause(&mut self) {
        if self.pause.is_done() {
            let Pause { ours, theirs, .. } = self.pause;
            self.events.push_back(Event::Paused { ours, theirs });
        }
    }
}

/// Changes of mode, of receives and of place, both asked and answered, each a few times.
const OTHERS_MAX: usize = 32;
