//! One end of a connection.
//!
//! ```text
//!              shut_down              everything is sent
//!      Open -------------> Closing ------------------------> Closed       our half; the peer's closes with its DisConn
//!
//!      both closed: who closed first has the connection manager end the connection, the other waits for it
//!      abort, a violation, no answer: the connection manager ends it at once
//! ```
//!
//! What is to be done comes from [`Connection::poll`], one request at a time, and is posted in this order; reads are posted
//! when the owner has memory for them. [`Connection::handle_done`] is told of each completion, in the order of posting.
//!
//! Invariants: bytes are sent and received once, in order, however adverts cross; no message goes out without a credit,
//! and none with bytes takes the last two; what is kept is bounded by receives and adverts of both ends.

mod close;
mod control;
mod credits;
mod incoming;
mod message;
mod mode;
mod outgoing;
mod receive;
mod resize;
mod transmit;
mod violation;

#[cfg(test)]
mod tests;

pub use incoming::Offer;
pub use message::{Message, Payload, Piece};
pub use outgoing::How;
pub use violation::Violation;

use crate::{Options, Terms};
use close::Close;
use control::Control;
use core::time::Duration;
use credits::{Credits, Notice, RESERVED};
use incoming::Incoming;
use mode::Asker;
use outgoing::Outgoing;
use std::collections::VecDeque;
use stdx::time::{Time, earliest};
use thiserror::Error;
use wire::sdp::{Advert, BASE_LEN, Half, Mode};

/// See the module.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    terms: Terms,
    credits: Credits,
    outgoing: Outgoing,
    incoming: Incoming,
    control: VecDeque<Control>,
    /// Requests that were posted and are not done.
    under_way: VecDeque<Request>,
    events: VecDeque<Event>,
    close: Close,
    pause: Pause,
    /// Our direction left pipelined mode.
    left_pipelined: Notice,
    /// The owner has memory that the peer could write to.
    prefers_pipelined: bool,
    /// The peer was asked for pipelined mode since its direction last left it.
    has_asked: bool,
    /// How often the peer was asked for other receives and has not answered.
    resizes: u32,
    /// It was asked because a message filled one.
    has_filled: bool,
    /// Bytes of our receives, with the header.
    receive_len: u32,
    /// Messages that begin before this place of the stream hold no more than so many bytes: what was written there was written for
    /// shorter ones.
    shorter: Option<(u64, u32)>,
    heard_at: Time,
    probed_at: Time,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A message is to be sent.
    Send(Message),
    /// Bytes of the stream are to be written to the peer's memory.
    Write {
        /// Which.
        piece: Piece,
        /// The key of the peer's memory.
        key: u32,
        /// Where.
        address: u64,
    },
    /// Nothing is to be written to the peer, to see whether it is there.
    Probe,
    /// The connection manager is to end the connection. Nothing more is to be done.
    Disconnect,
}

/// Something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The peer wrote to memory of ours, and does no more.
    Written {
        /// The owner's name for it.
        token: u32,
        /// How much.
        len: u32,
    },
    /// The peer lets go of memory of ours, without having written to it.
    Returned {
        /// The owner's name for it.
        token: u32,
    },
    /// An urgent byte is on its way.
    UrgentPending,
    /// The peer sends no more.
    PeerClosed,
    /// The peer ended the connection, or sent what we said we read no more.
    Aborted,
    /// The peer's receives have another length.
    Resized {
        /// Bytes, with the header.
        len: u32,
    },
    /// Nothing moves any more, so that the connection can go on elsewhere: one of the ends has named a service, or both have.
    Paused {
        /// The id of the service that we named.
        ours: Option<u64>,
        /// The id of the peer's.
        theirs: Option<u64>,
    },
}

/// It cannot be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    /// Our half of the connection is closed, or all of it.
    #[error("the connection is closed for sending")]
    Closed,
    /// The direction's mode does not allow it.
    #[error("the flow control mode does not allow it")]
    Mode,
    /// As many adverts as the peer takes are there already.
    #[error("the peer takes no more adverts")]
    Adverts,
    /// The memory would not hold a message.
    #[error("memory for the peer to write to must hold a message of {0} bytes")]
    TooShort(u32),
    /// Requests are under way.
    #[error("requests are under way")]
    Busy,
}

/// A request that was posted.
#[derive(Clone, Copy, Debug)]
enum Request {
    /// It needs these bytes of the stream.
    Bytes(Piece),
    /// It reads so many.
    Read(u32),
    /// It needs none.
    Other,
}

/// How far a pause has come, if one is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    /// Where the connection is to go on, if we asked.
    ours: Option<u64>,
    /// The same, if the peer did.
    theirs: Option<u64>,
    /// The peer asked, and hears from us once no advert is left.
    owes: bool,
    /// We asked, and the peer has not answered.
    awaits: bool,
}

impl Connection {
    /// One end, once both have greeted each other.
    pub fn new(now: Time, options: Options, terms: Terms) -> Self {
        debug_assert!(options.receives >= Options::RECEIVES_MIN);
        Self {
            credits: Credits::new(terms.credits, options.receives),
            receive_len: options.receive_len,
            options,
            terms,
            outgoing: Outgoing::new(),
            incoming: Incoming::new(),
            control: VecDeque::new(),
            under_way: VecDeque::new(),
            events: VecDeque::new(),
            close: Close::default(),
            pause: Pause::default(),
            left_pipelined: Notice::Known,
            prefers_pipelined: false,
            has_asked: false,
            resizes: 0,
            has_filled: false,
            shorter: None,
            heard_at: now,
            probed_at: now,
        }
    }

    /// Bytes of the stream were put behind what was there. They stay where they are until [`Connection::released`].
    /// The last may be urgent; memory that is to be advertised has no urgent bytes.
    ///
    /// # Errors
    /// When our half is closed.
    pub fn write(&mut self, len: u32, how: How, is_urgent: bool) -> Result<(), Refused> {
        if !self.close.is_open() {
            return Err(Refused::Closed);
        }
        debug_assert!(!is_urgent || how == How::Copied);
        if len > 0 {
            self.outgoing.push(len, how, is_urgent);
        }
        Ok(())
    }

    /// The place in the stream before which its bytes are not needed any more.
    pub fn released(&self) -> u64 {
        let under_way = self.under_way.iter().find_map(|request| match request {
            Request::Bytes(piece) => Some(piece.at),
            Request::Read(_) | Request::Other => None,
        });
        under_way.unwrap_or(u64::MAX).min(self.outgoing.unsent())
    }

    /// The place in the stream behind all that was written.
    pub const fn written(&self) -> u64 {
        self.outgoing.end()
    }

    /// Bytes that go out without waiting for the peer's leave if they are written now.
    pub fn window(&self) -> u64 {
        let messages = u64::from(self.credits.remaining().saturating_sub(RESERVED));
        let unsent = self.outgoing.end() - self.outgoing.unsent();
        (messages * u64::from(self.message_room()) + self.outgoing.sink_room()).saturating_sub(unsent)
    }

    /// Bytes that memory of the peer's takes, which it told us of.
    pub fn room_given(&self) -> u64 {
        self.outgoing.sink_room()
    }

    /// Has messages that are not full go at once, or wait while others are under way.
    pub const fn set_no_delay(&mut self, no_delay: bool) {
        self.options.no_delay = no_delay;
    }

    /// Says whether more bytes are about to be written: memory of the peer's that is filled in part waits for them. Whoever says so
    /// takes it back at once, when all are written. Whether something is to be done that waited.
    pub fn set_more(&mut self, has_more: bool) -> bool {
        self.outgoing.set_more(has_more)
    }

    /// What can be read from the peer's memory now.
    pub fn offer(&self) -> Option<Offer> {
        self.incoming.offer()
    }

    /// A read of the first bytes of what [`Connection::offer`] said was posted.
    pub fn read(&mut self, len: u32) {
        self.incoming.read(len);
        self.under_way.push_back(Request::Read(len));
    }

    /// Reads nothing of what the peer offers, but has its bytes sent in messages.
    pub fn refuse_offer(&mut self) -> bool {
        self.incoming.refuse(&mut self.control)
    }

    /// Has the peer write to memory of ours. [`Event::Written`] or [`Event::Returned`] follows, or a message's payload
    /// that belongs there.
    ///
    /// # Errors
    /// When the peer cannot be asked to.
    pub fn advertise(&mut self, token: u32, advert: Advert) -> Result<(), Refused> {
        self.can_advertise(advert.len)?;
        self.control.push_back(Control::Sink(token, advert));
        Ok(())
    }

    /// Whether the peer can be asked to write to so many bytes of ours.
    ///
    /// # Errors
    /// When it cannot.
    pub fn can_advertise(&self, len: u32) -> Result<(), Refused> {
        let shortest = self.receive_len - BASE_LEN as u32;
        if self.close.is_peer_closed() || self.pause.is_asked() {
            return Err(Refused::Closed);
        }
        if !self.incoming.can_advertise() || !self.terms.is_pipelined_known() {
            return Err(Refused::Mode);
        }
        if self.adverts_left() == 0 {
            return Err(Refused::Adverts);
        }
        if len < shortest { Err(Refused::TooShort(shortest)) } else { Ok(()) }
    }

    /// Takes back all memory of ours that the peer may write to. For each piece it is told what became of it.
    pub fn cancel_advertised(&mut self) {
        self.drop_unadvertised();
        if self.incoming.cancel_sinks() {
            self.control.push_back(Control::SinkCancel);
        }
    }

    /// Takes back all memory that the peer may read. What it has not read goes in messages.
    pub fn cancel_written(&mut self, now: Time) {
        if self.outgoing.cancel(now) {
            self.control.push_back(Control::SourceCancel);
        }
    }

    /// Says whether the owner has memory that the peer could write to, so that the peer is asked for pipelined mode.
    pub const fn prefer_pipelined(&mut self, prefers: bool) {
        self.prefers_pipelined = prefers;
        self.has_asked &= prefers;
    }

    /// Changes the mode of the direction whose source we are.
    ///
    /// # Errors
    /// When that is no legal change, or adverts are there.
    pub fn change_mode(&mut self, mode: Mode) -> Result<(), Refused> {
        // Adverts for the last change back must not be taken for those that follow the next.
        let is_settled = !self.left_pipelined.is_unknown(&self.credits) && !self.pause.is_asked();
        if !self.terms.is_pipelined_known() || !is_settled || !self.outgoing.can_change(mode) {
            return Err(Refused::Mode);
        }
        if self.outgoing.mode == Mode::Pipelined {
            self.left_pipelined = Notice::Waiting;
        }
        self.outgoing.change(mode);
        self.control.push_back(Control::Mode(Half::Receive, mode));
        Ok(())
    }

    /// Lets the peer advertise again, after it changed its direction to buffered mode.
    ///
    /// # Errors
    /// When it may already.
    pub fn allow_adverts(&mut self) -> Result<(), Refused> {
        if !mode::is_legal(Asker::Sink, self.incoming.mode, Mode::Combined) || self.pause.is_asked() {
            return Err(Refused::Mode);
        }
        self.incoming.mode = Mode::Combined;
        self.has_asked = false;
        self.control.push_back(Control::Mode(Half::Send, Mode::Combined));
        Ok(())
    }

    /// Has the connection pause, to go on at a service of this number. [`Event::Paused`] follows.
    ///
    /// # Errors
    /// When it ends, or pauses already, or the peer is of those that would reset it.
    pub fn suspend(&mut self, now: Time, service: u64) -> Result<(), Refused> {
        if !self.close.is_open() || self.close.is_peer_closed() || self.pause.is_asked() {
            return Err(Refused::Closed);
        }
        if !self.terms.is_pipelined_known() {
            return Err(Refused::Mode);
        }
        self.pause = Pause { ours: Some(service), awaits: true, ..Pause::default() };
        self.control.push_back(Control::Suspend(service));
        self.cancel_written(now);
        self.cancel_advertised();
        Ok(())
    }

    /// Goes on with a new queue pair, after [`Event::Paused`] and new greetings.
    ///
    /// # Errors
    /// When it does not pause, or requests are under way.
    pub fn resume(&mut self, now: Time, terms: Terms) -> Result<(), Refused> {
        if !self.pause.is_done() || !self.under_way.is_empty() {
            return Err(Refused::Busy);
        }
        self.credits = Credits::new(terms.credits, self.options.receives);
        self.set_message_len(terms.message_len);
        self.terms = terms;
        self.receive_len = self.options.receive_len;
        self.has_filled = false;
        self.control.clear();
        self.outgoing.restart();
        self.incoming = Incoming::new();
        self.pause = Pause::default();
        self.left_pipelined = Notice::Known;
        self.has_asked = false;
        self.resizes = 0;
        self.heard_at = now;
        Ok(())
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The owner is done with a message, and posts its receive again; false if it is not to, because there are to be fewer.
    pub fn release(&mut self) -> bool {
        self.credits.post()
    }

    /// How long nothing may come before we look whether the peer is there; `None` is for ever.
    pub const fn set_keep_alive(&mut self, after: Option<Duration>) {
        self.options.keep_alive = after;
    }

    /// The oldest request that was posted is done.
    pub fn handle_done(&mut self) {
        if let Some(Request::Read(len)) = self.under_way.pop_front() {
            self.incoming.handle_read_done(len, &mut self.control);
            if !self.incoming.is_cancelling() {
                self.credits.resume();
            }
        }
        self.trim();
    }

    /// When [`Connection::handle_timeout`] is to be called.
    pub fn deadline(&self) -> Option<Time> {
        let (unread, cancelled) = self.outgoing.waits();
        let idle = self.heard_at.max(self.probed_at);
        let parts = [
            unread.map(|since| since + self.options.advert_timeout),
            cancelled.map(|since| since + self.options.cancel_timeout),
            self.close.waits().map(|since| since + self.options.close_timeout),
            self.close.left(self.heard_at).map(|since| since + self.options.leave_timeout),
            self.options.keep_alive.filter(|_| !self.close.is_ended()).map(|span| idle + span),
        ];
        parts.into_iter().fold(None, earliest)
    }

    /// Time has passed.
    ///
    /// # Errors
    /// When the peer does not let go of an advert: the connection ends.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), Violation> {
        let (unread, cancelled) = self.outgoing.waits();
        let is_late = |since: Option<Time>, span| since.is_some_and(|since| since + span <= now);
        let Options { advert_timeout, cancel_timeout, close_timeout, leave_timeout, .. } = self.options;
        if is_late(cancelled, cancel_timeout) {
            self.close.end();
            return Err(Violation::CancelIgnored);
        }
        if is_late(unread, advert_timeout) {
            self.cancel_written(now);
        }
        let left = self.close.left(self.heard_at);
        if is_late(self.close.waits(), close_timeout) || is_late(left, leave_timeout) {
            self.close.end();
        }
        Ok(())
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.credits.check();
        self.outgoing.check();
        self.incoming.check();
        assert!(self.incoming.is_cancelling() == self.credits.is_holding());
        assert!(self.close.is_ended() || self.control.len() <= self.control_max(), "answers do not add up");
    }

    /// Adverts of either kind that the peer takes now.
    fn adverts_left(&self) -> u32 {
        let waiting = self.control.iter().filter(|control| matches!(control, Control::Sink(..))).count();
        let ours = (self.outgoing.adverts() + self.incoming.sinks() + waiting) as u32;
        self.terms.adverts_max.saturating_sub(ours)
    }

    /// Adverts of either kind that the peer may still send.
    fn peer_adverts_left(&self) -> u32 {
        let theirs = (self.incoming.adverts() + self.outgoing.sinks()) as u32;
        u32::from(self.options.adverts_max.min(u8::MAX.into())).saturating_sub(theirs)
    }

    /// Forgets what is known to have arrived.
    fn trim(&mut self) {
        let released = self.released();
        self.outgoing.release(released);
    }
}

impl Pause {
    const fn is_asked(&self) -> bool {
        self.ours.is_some() || self.theirs.is_some()
    }

    const fn is_done(&self) -> bool {
        self.is_asked() && !self.owes && !self.awaits
    }
}
