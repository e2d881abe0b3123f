//! The direction whose source we are: the bytes to be sent, and the adverts that move them (A4.5, A4.6).
//!
//! ```text
//!   released          next                         end
//!      |  in messages,  |   not sent yet: runs of    |
//!      |  written, or   |   bytes to copy, and of    |
//!      |  advertised    |   memory to advertise      |
//! ```
//!
//! Bytes go in the order of the stream: nothing is sent behind an advert before all of it was read, or it was taken back. To
//! take adverts back is to go on from where reading ended.

use super::mode::{self, Asker};
use super::{Piece, Violation};
use std::collections::VecDeque;
use stdx::planted::{Bug, planted};
use stdx::time::Time;
use wire::sdp::{Advert, Mode, SinkAdvert};

/// How bytes of the stream are to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// In messages.
    Copied,
    /// The peer may read them: they lie at this address, under this key.
    Advertised {
        /// The key of the memory.
        key: u32,
        /// Where the first byte is.
        address: u64,
    },
}

/// What of the stream goes out next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// In a message; its last byte may be urgent.
    Data { piece: Piece, is_urgent: bool },
    /// To the peer's memory.
    Write { piece: Piece, key: u32, address: u64 },
    /// An advert, with the first of its bytes if there are some.
    Advert { piece: Piece, advert: Advert },
    /// The oldest sink advert has got this many bytes, and is done.
    Written(u32),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) mode: Mode,
    /// The peer asked for pipelined mode.
    pub(super) is_pipelined_asked: bool,
    next: u64,
    end: u64,
    segments: VecDeque<Segment>,
    /// Bytes before this place go in messages, whatever was said of them.
    copied_until: u64,
    /// What the peer may read, oldest first.
    adverts: VecDeque<Source>,
    /// Since when all adverts are being taken back.
    cancel: Option<Time>,
    /// What the peer has us write to, oldest first.
    sinks: VecDeque<Sink>,
    /// Messages of bytes that went out and used no sink advert up.
    non_discards: u32,
    /// So many of them before we left pipelined mode.
    left_at: u32,
    /// The urgent byte ends here.
    urgent_at: Option<u64>,
    /// The peer knows that it comes.
    is_urgent_told: bool,
    /// More bytes are about to be written.
    has_more: bool,
}

/// Bytes that are sent alike, up to a place in the stream.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    end: u64,
    how: How,
}

/// An advert that the peer reads.
#[derive(Clone, Copy, Debug)]
struct Source {
    /// What is not known to be read begins here.
    start: u64,
    end: u64,
    since: Time,
}

/// Where the peer has us write.
#[derive(Clone, Copy, Debug)]
struct Sink {
    key: u32,
    address: u64,
    left: u32,
    written: u32,
}

impl Outgoing {
    pub(super) fn new() -> Self {
        Self {
            mode: Mode::Combined,
            is_pipelined_asked: false,
            next: 0,
            end: 0,
            segments: VecDeque::new(),
            copied_until: 0,
            adverts: VecDeque::new(),
            cancel: None,
            sinks: VecDeque::new(),
            non_discards: 0,
            left_at: 0,
            urgent_at: None,
            is_urgent_told: false,
            has_more: false,
        }
    }

    /// Bytes behind the stream's end.
    pub(super) fn push(&mut self, len: u32, how: How, is_urgent: bool) {
        let start = self.end;
        self.end += u64::from(len);
        if is_urgent {
            self.urgent_at = Some(self.end);
            self.is_urgent_told = false;
        }
        match self.segments.back_mut() {
            Some(last) if last.how == How::Copied && how == How::Copied => last.end = self.end,
            _ => self.segments.push_back(Segment { start, end: self.end, how }),
        }
    }

    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// The place of the byte that goes out next.
    pub(super) const fn next_at(&self) -> u64 {
        self.next
    }

    /// The first byte that is still to be sent, or may have to be sent once more.
    pub(super) fn unsent(&self) -> u64 {
        self.adverts.front().map_or(self.next, |oldest| oldest.start)
    }

    /// Nothing is left to be sent or told.
    pub(super) fn is_drained(&self) -> bool {
        self.unsent() == self.end && self.cancel.is_none() && self.sinks.iter().all(|sink| sink.written == 0)
    }

    /// Runs of memory that are to be advertised and are not yet.
    pub(super) fn advertisable(&self) -> usize {
        let is_waiting = |segment: &&Segment| segment.end > self.next && segment.how != How::Copied;
        self.segments.iter().filter(is_waiting).count()
    }

    /// Our adverts that the peer has.
    pub(super) fn adverts(&self) -> usize {
        self.adverts.len()
    }

    /// The peer's adverts that we have.
    pub(super) fn sinks(&self) -> usize {
        self.sinks.len()
    }

    /// Bytes that the peer's memory takes, beside those that wait to be sent there.
    pub(super) fn sink_room(&self) -> u64 {
        self.sinks.iter().map(|sink| u64::from(sink.left)).sum()
    }

    /// More bytes are about to be written, or not. Whether something waited for them.
    pub(super) fn set_more(&mut self, has_more: bool) -> bool {
        core::mem::replace(&mut self.has_more, has_more) && !has_more && !self.sinks.is_empty()
    }

    /// Forgets what lies before a place of the stream.
    pub(super) fn release(&mut self, until: u64) {
        while self.segments.front().is_some_and(|segment| segment.end <= until) {
            self.segments.pop_front();
        }
    }

    /// What goes out next: of bytes at most `message` in one, and of adverts as many as `adverts_left`. Nothing is changed
    /// before [`Outgoing::commit`] is told that it went.
    pub(super) fn next(&self, message: u32, can_send: bool, adverts_left: u32) -> Option<Next> {
        if self.cancel.is_some() {
            return None;
        }
        let Some(run) = self.run() else {
            // Nothing more is there to fill it, so the peer gets what it has.
            let sink =
                self.sinks.front().filter(|sink| sink.written > 0 && (!self.has_more || sink.left == 0))?;
            return Some(Next::Written(sink.written));
        };
        let urgent_at = self.urgent_at.filter(|&at| at > self.next);
        if let Some(sink) = self.sinks.front() {
            // The urgent byte travels in a message.
            let end = urgent_at.filter(|_| !planted(Bug::UrgentByteWritten));
            let end = end.map_or(run.end, |at| run.end.min(at - 1));
            let waiting = urgent_at.map_or(self.end, |at| at - 1) - self.next;
            let is_worth_it = sink.written > 0 || waiting >= message.into();
            if !is_worth_it && self.has_more && urgent_at.is_none() {
                return None;
            }
            // What is copied lies in pieces that are no longer than a message.
            let longest = if run.how == How::Copied { message } else { u32::MAX };
            let len = (end - self.next).min(sink.left.into()).min(longest.into()) as u32;
            // A few bytes cost less in a message, which uses the advert up as well (A4.6.4).
            if len > 0 && is_worth_it {
                let piece = Piece { at: self.next, len };
                return Some(Next::Write { piece, key: sink.key, address: sink.address });
            }
            if sink.written > 0 {
                return Some(Next::Written(sink.written));
            }
        }
        if !can_send {
            return None;
        }
        if self.sinks.is_empty()
            && let Some(next) = self.advert(run, message, adverts_left)
        {
            return Some(next);
        }
        if !self.adverts.is_empty() {
            return None;
        }
        let end = urgent_at.filter(|_| !planted(Bug::UrgentByteNotLast));
        let end = end.map_or(run.end, |at| run.end.min(at));
        let len = (end - self.next).min(message.into()) as u32;
        let piece = Piece { at: self.next, len };
        Some(Next::Data { piece, is_urgent: urgent_at == Some(self.next + u64::from(len)) })
    }

    /// The advert of a run, if it is to be advertised and may be.
    fn advert(&self, run: Segment, message: u32, adverts_left: u32) -> Option<Next> {
        let How::Advertised { key, address } = run.how else { return None };
        if adverts_left == 0 || self.next < self.copied_until || run.end - self.next < 2 {
            return None;
        }
        let inline = match self.mode {
            Mode::Buffered => return None,
            Mode::Combined if !self.adverts.is_empty() => return None,
            // At least one byte, and not all of them (A4.6.2).
            Mode::Combined => {
                let room = message - ADVERT_LEN;
                room.min(INLINE_MAX).min((run.end - self.next - 1) as u32)
            }
            Mode::Pipelined => 0,
        };
        let address = address.wrapping_add(self.next - run.start);
        let advert = Advert { len: (run.end - self.next) as u32, key, address };
        Some(Next::Advert { piece: Piece { at: self.next, len: inline }, advert })
    }

    /// What [`Outgoing::next`] said went out.
    pub(super) fn commit(&mut self, now: Time, next: &Next) {
        match *next {
            Next::Data { piece, .. } => {
                self.next += u64::from(piece.len);
                // A message uses the oldest sink advert up (A4.6.4).
                if planted(Bug::UsedSinkKept) && !self.sinks.is_empty() {
                    return;
                }
                if self.sinks.pop_front().is_none() {
                    self.non_discards = self.non_discards.wrapping_add(1);
                }
            }
            Next::Write { piece, .. } => {
                self.next += u64::from(piece.len);
                if let Some(sink) = self.sinks.front_mut() {
                    sink.address = sink.address.wrapping_add(piece.len.into());
                    sink.left -= piece.len;
                    sink.written += piece.len;
                }
            }
            Next::Advert { piece, advert } => {
                let end = self.next + u64::from(advert.len);
                self.next += u64::from(piece.len);
                if piece.len > 0 {
                    self.non_discards = self.non_discards.wrapping_add(1);
                }
                self.adverts.push_back(Source { start: self.next, end, since: now });
                self.next = end;
            }
            Next::Written(_) => {
                self.sinks.pop_front();
            }
        }
    }

    /// The peer read so much of the oldest advert.
    pub(super) fn handle_read(&mut self, len: u32) -> Result<(), Violation> {
        let oldest = self.adverts.front_mut().ok_or(Violation::NoAdvert)?;
        if u64::from(len) > oldest.end - oldest.start {
            return Err(Violation::TooMuchMoved);
        }
        oldest.start += u64::from(len);
        if oldest.start == oldest.end {
            self.adverts.pop_front();
        }
        if self.adverts.is_empty() {
            self.cancel = None;
        }
        Ok(())
    }

    /// The peer reads no adverts, and lets go of those it has: their bytes go in messages.
    pub(super) fn handle_refusal(&mut self) {
        if !planted(Bug::AdvertSkipped) {
            self.copied_until = self.copied_until.max(self.next);
            self.next = self.unsent();
        }
        self.adverts.clear();
        self.cancel = None;
    }

    /// The peer has us write to its memory.
    pub(super) fn handle_sink(&mut self, advert: &SinkAdvert, is_crossing: bool) {
        // Bytes that went out before the peer could know use this advert up when they arrive (A4.6.4). An advert that
        // the peer sent before it knew that we left pipelined mode ends with that, unless bytes from before use it up.
        let sent = if is_crossing { self.left_at } else { self.non_discards };
        if advert.non_discards != sent && !planted(Bug::StaleSinkUsed) {
            self.non_discards = self.non_discards.wrapping_sub(1);
            self.left_at = self.left_at.wrapping_sub(1);
            return;
        }
        if is_crossing {
            return;
        }
        // The peer drops the source adverts that it finds under way.
        self.next = self.unsent();
        self.adverts.clear();
        self.cancel = None;
        let SinkAdvert { advert: Advert { len, key, address }, .. } = *advert;
        self.sinks.push_back(Sink { key, address, left: len, written: 0 });
    }

    /// The peer takes its sink adverts back. What was written is told first; whether others were dropped.
    pub(super) fn handle_sink_cancel(&mut self) -> (Option<u32>, bool) {
        let is_told = |&written: &u32| written > 0 && !planted(Bug::CancelForgetsWritten);
        let written = self.sinks.front().map(|sink| sink.written).filter(is_told);
        let dropped = self.sinks.len() - usize::from(written.is_some());
        self.sinks.clear();
        (written, dropped > 0 || planted(Bug::CancelAnsweredTwice))
    }

    /// Takes all adverts back; whether there are some and it was not asked for before.
    pub(super) fn cancel(&mut self, now: Time) -> bool {
        if self.adverts.is_empty() || self.cancel.is_some() {
            return false;
        }
        self.cancel = Some(now);
        true
    }

    /// Since when the peer has had the oldest advert and not read it, and since when it has been asked to let go.
    pub(super) fn waits(&self) -> (Option<Time>, Option<Time>) {
        match self.cancel {
            Some(since) => (None, Some(since)),
            None => (self.adverts.front().map(|oldest| oldest.since), None),
        }
    }

    /// The direction has another mode from now on.
    pub(super) fn change(&mut self, to: Mode) {
        self.mode = to;
        self.left_at = self.non_discards;
    }

    /// Whether we may change the mode so now. Whoever leaves pipelined mode has no advert of either kind.
    pub(super) fn can_change(&self, to: Mode) -> bool {
        let is_idle = self.adverts.is_empty() && self.sinks.is_empty();
        let may_leave = is_idle || planted(Bug::ModeChangedOverAdverts);
        mode::is_legal(Asker::Source, self.mode, to) && (to == Mode::Pipelined || may_leave)
    }

    /// Whether the peer is to be told now that an urgent byte comes.
    pub(super) fn take_urgent_pending(&mut self) -> bool {
        let is_near = self.urgent_at.is_some_and(|at| at > self.next && at - self.next <= URGENT_AHEAD);
        let is_due = is_near && !self.is_urgent_told && !planted(Bug::UrgentUntold);
        self.is_urgent_told |= is_due;
        is_due
    }

    /// Writes no more to the peer's memory.
    pub(super) fn drop_sinks(&mut self) {
        self.sinks.clear();
    }

    /// Begins with no advert and in the first mode, from the first byte that was not sent.
    pub(super) fn restart(&mut self) {
        self.next = self.unsent();
        self.adverts.clear();
        self.sinks.clear();
        self.cancel = None;
        if !planted(Bug::ModeKeptOverPause) {
            self.mode = Mode::Combined;
        }
        self.is_pipelined_asked = false;
        self.non_discards = 0;
    }

    fn run(&self) -> Option<Segment> {
        self.segments.iter().find(|segment| segment.end > self.next).copied()
    }

    pub(super) fn check(&self) {
        assert!(self.next <= self.end);
        assert!(self.adverts.iter().all(|advert| advert.start < advert.end));
        assert!(self.adverts.is_empty() || self.sinks.is_empty());
        assert!(self.sinks.is_empty() || self.mode == Mode::Pipelined);
        assert!(self.segments.iter().zip(self.segments.iter().skip(1)).all(|(a, b)| a.end == b.start));
    }
}

/// Bytes of an advert's own header.
const ADVERT_LEN: u32 = 16;
/// Bytes of the stream that travel with it.
const INLINE_MAX: u32 = 64;
/// How far ahead of the urgent byte it is told.
const URGENT_AHEAD: u64 = 0xffff;
