//! The direction whose sink we are: the peer's adverts that we read, and our memory that it writes to (A4.5, A4.6).

use super::Violation;
use super::control::Control;
use super::credits::{Credits, Notice};
use std::collections::VecDeque;
use stdx::planted::{Bug, planted};
use wire::sdp::{Advert, Mode};

/// Memory of the peer's to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its key.
    pub key: u32,
    /// Where.
    pub address: u64,
    /// How much: at least one byte.
    pub len: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) mode: Mode,
    /// What we may read, oldest first.
    adverts: VecDeque<Source>,
    /// What the peer may write to, oldest first.
    sinks: VecDeque<Sink>,
    is_sink_cancelled: bool,
    /// Messages of bytes that came and used no sink advert up.
    non_discards: u32,
    stop: Option<Stop>,
    /// We refused adverts, and drop those of a peer that does not know.
    refusal: Notice,
}

/// What we may read.
#[derive(Clone, Copy, Debug)]
struct Source {
    key: u32,
    address: u64,
    /// Bytes that no read was posted for.
    left: u32,
    /// Bytes that are being read.
    reading: u32,
    /// Bytes that were read.
    read: u32,
}

/// What the peer may write to.
#[derive(Clone, Copy, Debug)]
struct Sink {
    token: u32,
    len: u32,
}

/// No more is read of the adverts that are there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stop {
    /// The peer takes them back; else we want messages.
    is_cancel: bool,
    /// There was something to let go of.
    has_dropped: bool,
}

/// Where received bytes of a message belong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Behind what came before.
    Stream,
    /// To the memory of this sink advert, which is done with them.
    Sink(u32),
    /// Nowhere: they come once more.
    Nowhere,
}

impl Incoming {
    pub(super) fn new() -> Self {
        Self {
            mode: Mode::Combined,
            adverts: VecDeque::new(),
            sinks: VecDeque::new(),
            is_sink_cancelled: false,
            non_discards: 0,
            stop: None,
            refusal: Notice::Known,
        }
    }

    /// Bytes of a message came.
    pub(super) fn handle_data(&mut self) -> Result<Place, Violation> {
        // Bytes never overtake an advert (A4.6.2).
        if !self.adverts.is_empty() {
            return Err(Violation::DataBesideAdvert);
        }
        if let Some(sink) = self.sinks.pop_front() {
            self.end_sink_cancel();
            return Ok(Place::Sink(sink.token));
        }
        self.non_discards = self.non_discards.wrapping_add(1);
        Ok(Place::Stream)
    }

    /// A source advert came, with so many bytes beside it.
    pub(super) fn handle_source(
        &mut self,
        advert: &Advert,
        inline: u32,
        adverts_left: u32,
        credits: &Credits,
    ) -> Result<Place, Violation> {
        let is_legal = match self.mode {
            Mode::Buffered => false,
            Mode::Combined => self.adverts.is_empty() && inline > 0 && inline < advert.len,
            Mode::Pipelined => inline == 0 && advert.len > 0,
        };
        if !is_legal {
            return Err(Violation::AdvertInMode(self.mode));
        }
        // The peer drops it as well once it sees what crossed it (A4.6.4, A4.6.5).
        let is_late = self.refusal.is_unknown(credits);
        if !self.sinks.is_empty() || is_late && !planted(Bug::RefusedAdvertKept) {
            return Ok(Place::Nowhere);
        }
        if self.stop.is_some() {
            return Err(Violation::AdvertWhileCancelling);
        }
        if adverts_left == 0 {
            return Err(Violation::TooManyAdverts);
        }
        let Advert { len, key, address } = *advert;
        let address = address.checked_add(inline.into()).ok_or(Violation::AdvertUncovered)?;
        address.checked_add((len - inline).into()).ok_or(Violation::AdvertUncovered)?;
        self.adverts.push_back(Source { key, address, left: len - inline, reading: 0, read: 0 });
        if inline > 0 {
            self.non_discards = self.non_discards.wrapping_add(1);
        }
        Ok(Place::Stream)
    }

    /// What can be read next.
    pub(super) fn offer(&self) -> Option<Offer> {
        let advert = self.adverts.iter().find(|advert| advert.left > 0)?;
        Some(Offer { key: advert.key, address: advert.address, len: advert.left })
    }

    /// A read of the first `len` bytes of the offer was posted.
    pub(super) fn read(&mut self, len: u32) {
        if let Some(advert) = self.adverts.iter_mut().find(|advert| advert.left > 0) {
            debug_assert!(len <= advert.left);
            advert.left -= len;
            advert.address = advert.address.wrapping_add(len.into());
            advert.reading += len;
        }
    }

    /// The oldest read of this length is done.
    pub(super) fn handle_read_done(&mut self, len: u32, control: &mut VecDeque<Control>) {
        if let Some(advert) = self.adverts.iter_mut().find(|advert| advert.reading > 0) {
            debug_assert!(len <= advert.reading);
            advert.reading -= len;
            advert.read += len;
        }
        self.settle(control);
    }

    /// The peer takes its adverts back (A4.6.5).
    pub(super) fn handle_source_cancel(&mut self, control: &mut VecDeque<Control>) {
        if !self.adverts.is_empty() {
            self.stop_reading(true, control);
        }
    }

    /// Asks for messages instead of the adverts that are there; whether something of them is not being read yet.
    pub(super) fn refuse(&mut self, control: &mut VecDeque<Control>) -> bool {
        let can_drop = self.offer().is_some();
        if can_drop {
            self.refusal = Notice::Waiting;
            self.stop_reading(false, control);
        }
        can_drop
    }

    /// Reads no more than what is being read, and lets go of the rest.
    fn stop_reading(&mut self, is_cancel: bool, control: &mut VecDeque<Control>) {
        let before = self.stop.unwrap_or(Stop { is_cancel, has_dropped: false });
        let has_dropped = before.has_dropped || self.offer().is_some();
        self.adverts.iter_mut().for_each(|advert| advert.left = 0);
        self.stop = Some(Stop { is_cancel: is_cancel || before.is_cancel, has_dropped });
        self.settle(control);
    }

    /// Tells of adverts that are done, oldest first, and of those that were let go once nothing is being read.
    fn settle(&mut self, control: &mut VecDeque<Control>) {
        while let Some(oldest) = self.adverts.front().filter(|advert| advert.left == 0 && advert.reading == 0)
        {
            if oldest.read > 0 {
                control.push_back(Control::ReadDone(oldest.read));
            }
            self.adverts.pop_front();
        }
        if self.adverts.is_empty() && self.stop.take().is_some_and(|stop| stop.has_dropped) {
            control.push_back(Control::SendSmall);
        }
    }

    /// Whether adverts that the peer took back are still being read.
    pub(super) fn is_cancelling(&self) -> bool {
        self.stop.is_some_and(|stop| stop.is_cancel)
    }

    /// The message that refuses adverts has this number.
    pub(super) fn refused(&mut self, sequence: u32) {
        self.refusal.sent(sequence);
    }

    /// Whether the peer can be told to write to memory of ours now.
    pub(super) fn can_advertise(&self) -> bool {
        self.mode == Mode::Pipelined
            && self.adverts.is_empty()
            && self.stop.is_none()
            && !self.is_sink_cancelled
    }

    /// The peer is told to write to memory of ours.
    pub(super) fn advertise(&mut self, token: u32, len: u32) {
        self.sinks.push_back(Sink { token, len });
    }

    /// Messages of bytes that came and used no sink advert up.
    pub(super) const fn non_discards(&self) -> u32 {
        self.non_discards
    }

    /// The peer wrote so much to the oldest of our memory, and is done with it.
    pub(super) fn handle_written(&mut self, len: u32) -> Result<u32, Violation> {
        let sink = self.sinks.pop_front().ok_or(Violation::NoAdvert)?;
        self.end_sink_cancel();
        if len > sink.len { Err(Violation::TooMuchMoved) } else { Ok(sink.token) }
    }

    /// Takes our memory back; whether there is some and it was not asked for before.
    pub(super) fn cancel_sinks(&mut self) -> bool {
        let is_new = !self.sinks.is_empty() && !self.is_sink_cancelled;
        self.is_sink_cancelled |= is_new;
        is_new
    }

    /// The peer let go of all our memory: whose each is.
    pub(super) fn handle_sink_cancel_ack(&mut self) -> Result<impl Iterator<Item = u32> + '_, Violation> {
        if !core::mem::take(&mut self.is_sink_cancelled) {
            return Err(Violation::NoAdvert);
        }
        Ok(self.sinks.drain(..).map(|sink| sink.token))
    }

    /// The peer leaves pipelined mode, and with it lets go of our memory.
    pub(super) fn drop_sinks(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.is_sink_cancelled = false;
        self.sinks.drain(..).map(|sink| sink.token)
    }

    fn end_sink_cancel(&mut self) {
        self.is_sink_cancelled &= !self.sinks.is_empty() || planted(Bug::CancelNeverOver);
    }

    /// The peer's adverts that we have.
    pub(super) fn adverts(&self) -> usize {
        self.adverts.len()
    }

    /// Our adverts that the peer has.
    pub(super) fn sinks(&self) -> usize {
        self.sinks.len()
    }

    pub(super) fn check(&self) {
        assert!(self.adverts.is_empty() || self.sinks.is_empty());
        assert!(!self.is_sink_cancelled || !self.sinks.is_empty());
        // Reads are posted in the order of the stream.
        let not_begun = self.adverts.iter().skip_while(|advert| advert.left == 0);
        assert!(not_begun.skip(1).all(|advert| advert.reading == 0 && advert.read == 0));
    }
}
