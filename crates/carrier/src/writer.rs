//! The end that writes.

use crate::direction::{Direction, HANDED_OVER, Move, Ring, Span, WITHDRAWN, falls_asleep, wakes};
use crate::{Broken, Reader, UNREAD_MAX};
use core::sync::atomic::Ordering;

/// One look of the end that writes: how far the reader had come at that moment.
#[derive(Debug)]
pub struct Writer<'a> {
    direction: &'a Direction,
    index: usize,
    /// Bytes written, published or not.
    place: u64,
    /// Bytes that the reader has read, as it said.
    read: u64,
    moved: Move,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(direction: &'a Direction, index: usize, place: u64) -> Self {
        let read = direction.read.0.load(Ordering::Acquire) & !WITHDRAWN;
        let moved = Move::from_word(direction.rare.0.moved.load(Ordering::Relaxed));
        Self { direction, index, place, read, moved }
    }

    /// Looks whether what the reader says can be.
    pub fn check(&self) -> Result<(), Broken> {
        if self.unread() <= UNREAD_MAX { Ok(()) } else { Err(Broken) }
    }

    /// Bytes written, published or not: to be kept for the next look.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Bytes that the reader has not read yet.
    pub fn unread(&self) -> u64 {
        self.place.wrapping_sub(self.read)
    }

    /// Where the next bytes go, of as many as there are to write: no room is a span of none. Where they do not fit the short
    /// ring, the middle one is begun.
    pub fn free(&mut self, wanted: usize) -> Span {
        let is_middle_due = match self.moved.after {
            Ring::Short => wanted > self.room(),
            Ring::Middle => false,
            Ring::Long => self.unread() == 0,
        };
        if is_middle_due {
            self.move_to(Ring::Middle);
        }
        let span = self.moved.after.span(self.index, self.place);
        Span { offset: span.offset, len: span.len.min(self.room()).min(wanted) }
    }

    /// The writer would sleep: takes the long ring, if it has not yet. True if there is room now.
    pub fn grow(&mut self) -> bool {
        self.moved.after == Ring::Middle && self.unread() > 0 && self.move_to(Ring::Long)
    }

    /// So many bytes lie where [`Writer::free`] said.
    pub fn advance(&mut self, count: usize) {
        self.place = self.place.wrapping_add(count as u64);
    }

    /// Says that the bytes are there. True if the reader sleeps and must be woken.
    #[must_use]
    pub fn publish(&self) -> bool {
        self.direction.written.0.store(self.place, Ordering::Release);
        wakes(&self.direction.sleeps.0.reader)
    }

    /// Is it worth while to write? Who sleeps until it is will be woken when it has become so.
    pub fn has_room(&self) -> bool {
        self.moved.after == Ring::Short || self.room() >= self.moved.after.len() / 2
    }

    /// Says that the writer sleeps until there is room; it must look again before it does.
    pub fn sleep(&self) {
        falls_asleep(&self.direction.sleeps.0.writer);
    }

    /// It does not after all.
    pub fn stay_awake(&self) {
        self.direction.sleeps.0.writer.store(0, Ordering::Relaxed);
    }

    /// Says where in the stream this direction begins. The reader is to be woken.
    pub fn begin(&self, place: u64) {
        self.direction.rare.0.begins.store(place.saturating_add(1), Ordering::Release);
    }

    /// Was it said where this direction begins?
    pub fn has_begun(&self) -> bool {
        self.direction.rare.0.begins.load(Ordering::Acquire) != 0
    }

    /// Nothing more is written. True if the reader must be woken.
    #[must_use]
    pub fn end(&self) -> bool {
        self.direction.rare.0.is_ended.store(1, Ordering::Release);
        wakes(&self.direction.sleeps.0.reader)
    }

    /// Bytes that the reader has read, as of this look.
    pub fn read(&self) -> u64 {
        self.read
    }

    /// Takes back what was not read, which the reader gets another way: it reads nothing here from now on.
    pub fn withdraw(&mut self) {
        self.read = self.direction.read.0.fetch_or(WITHDRAWN, Ordering::SeqCst) & !WITHDRAWN;
    }

    /// Bytes that were published, by whoever wrote last.
    pub fn published(&self) -> u64 {
        self.direction.written.0.load(Ordering::Acquire)
    }

    /// What the reader has not read, as it would see it. Where that ends is what this end knows, whatever stands in the memory.
    pub fn unread_by_reader(&self) -> Reader<'a> {
        Reader::before(self.direction, self.index, self.read, self.place)
    }

    /// Has the reader said that the rest is read elsewhere? To be looked for after bytes were published too.
    pub fn is_handed_over(&self) -> bool {
        self.direction.rare.0.is_closed.load(Ordering::SeqCst) == HANDED_OVER
    }

    /// Has the reader said that it reads no more here?
    pub fn is_closed(&self) -> bool {
        self.direction.rare.0.is_closed.load(Ordering::Acquire) != 0
    }

    /// Bytes go to another ring from here on, once all that was written before the last move was read: that ring is empty then.
    fn move_to(&mut self, ring: Ring) -> bool {
        if self.place.wrapping_sub(self.moved.from) < self.unread() {
            return false;
        }
        self.moved = Move { from: self.place, before: self.moved.after, after: ring };
        self.direction.rare.0.moved.store(self.moved.to_word(), Ordering::Release);
        true
    }

    /// Bytes that are free in the ring that is written to. What is unread in another takes nothing of it.
    fn room(&self) -> usize {
        let unread = self.unread().min(self.place.wrapping_sub(self.moved.from));
        self.moved.after.len().saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX))
    }
}
