//! The end that reads.

use crate::direction::{
    CLOSED, Direction, HANDED_OVER, Move, Span, WITHDRAWN, falls_asleep, wakes, wakes_after,
};
use crate::{Broken, UNREAD_MAX, Withdrawn};
use core::sync::atomic::Ordering;

/// One look of the end that reads: how far the writer had come at that moment.
#[derive(Debug)]
pub struct Reader<'a> {
    direction: &'a Direction,
    index: usize,
    /// Bytes read, published or not.
    place: u64,
    /// Bytes that were written, as the writer said.
    written: u64,
    /// There are bytes that the writer has taken back.
    is_rest_elsewhere: bool,
    moved: Move,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(direction: &'a Direction, index: usize, place: u64) -> Self {
        let written = direction.written.0.load(Ordering::Acquire);
        let is_withdrawn = direction.read.0.load(Ordering::Relaxed) & WITHDRAWN != 0;
        let look = Self::before(direction, index, place, if is_withdrawn { place } else { written });
        Self { is_rest_elsewhere: is_withdrawn && written != place, ..look }
    }

    /// The same, of bytes up to a place that the caller knows.
    pub(crate) fn before(direction: &'a Direction, index: usize, place: u64, written: u64) -> Self {
        let moved = Move::from_word(direction.rare.0.moved.load(Ordering::Relaxed));
        Self { direction, index, place, written, is_rest_elsewhere: false, moved }
    }

    /// Looks whether what the writer says can be.
    pub fn check(&self) -> Result<(), Broken> {
        if self.unread() <= UNREAD_MAX { Ok(()) } else { Err(Broken) }
    }

    /// Bytes read, published or not: to be kept for the next look.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Bytes that were written as of this look.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that are there to be read.
    pub fn unread(&self) -> u64 {
        self.written.wrapping_sub(self.place)
    }

    /// Has the writer taken back bytes that come another way?
    pub fn is_rest_elsewhere(&self) -> bool {
        self.is_rest_elsewhere
    }

    /// Where the next bytes lie, of as many as are wanted: a span of none if there are none.
    pub fn filled(&self, wanted: usize) -> Span {
        let (ring, left) = self.moved.ring_at(self.place);
        let len = usize::try_from(self.unread().min(left)).unwrap_or(usize::MAX).min(wanted);
        let span = ring.span(self.index, self.place);
        Span { offset: span.offset, len: len.min(span.len) }
    }

    /// So many bytes of what [`Reader::filled`] said were read.
    pub fn advance(&mut self, count: usize) {
        self.place = self.place.wrapping_add(count as u64);
    }

    /// Says that the bytes were read. True if the writer sleeps, has room again, and must be woken. An error where it has taken back
    /// what was not read before this: those bytes come another way.
    pub fn publish(&self) -> Result<bool, Withdrawn> {
        let word = &self.direction.read.0;
        let before = word.load(Ordering::Relaxed) & !WITHDRAWN;
        word.compare_exchange(before, self.place, Ordering::SeqCst, Ordering::Relaxed)
            .map_err(|_| Withdrawn)?;
        Ok(self.is_writer_served() && wakes_after(&self.direction.sleeps.0.writer))
    }

    /// Bytes that were published as read, by whoever read last.
    pub fn published(&self) -> u64 {
        self.direction.read.0.load(Ordering::Acquire) & !WITHDRAWN
    }

    /// Is there as much room again as who sleeps for it wants?
    fn is_writer_served(&self) -> bool {
        let (ring, _) = self.moved.ring_at(self.written);
        self.unread() <= (ring.len() / 2) as u64
    }

    /// Says that the reader sleeps until there are bytes; it must look again before it does.
    pub fn sleep(&self) {
        falls_asleep(&self.direction.sleeps.0.reader);
    }

    /// It does not after all.
    pub fn stay_awake(&self) {
        self.direction.sleeps.0.reader.store(0, Ordering::Relaxed);
    }

    /// Where in the stream this direction begins, once the writer has said so.
    pub fn begins(&self) -> Option<u64> {
        self.direction.rare.0.begins.load(Ordering::Acquire).checked_sub(1)
    }

    /// Has the writer said that it writes no more? Bytes may be there that came after this look: another look tells.
    pub fn is_ended(&self) -> bool {
        self.direction.rare.0.is_ended.load(Ordering::Acquire) != 0
    }

    /// Nothing more is read here, and whoever reads the stream from this place on does so elsewhere. The writer is to be woken.
    pub fn hand_over(&self) {
        self.direction.rare.0.is_closed.store(HANDED_OVER, Ordering::SeqCst);
        let _ = wakes(&self.direction.sleeps.0.writer);
    }

    /// Nothing more is read, unless by somebody else. True if the writer must be woken.
    #[must_use]
    pub fn close(&self) -> bool {
        let word = &self.direction.rare.0.is_closed;
        word.compare_exchange(0, CLOSED, Ordering::Release, Ordering::Relaxed).ok();
        wakes(&self.direction.sleeps.0.writer)
    }
}
