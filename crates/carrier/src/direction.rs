//! The words of a direction, and where its rings lie.

use crate::{End, HEADER_LEN, LONG_LEN, MIDDLE_LEN, Reader, SHORT_LEN, Writer};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// The first page of the memory. All zeroes is how it begins.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Shared {
    directions: [Direction; 2],
}

/// Bytes that lie together, counted from the memory's beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where they begin.
    pub offset: usize,
    /// How many they are; 0 if there are none.
    pub len: usize,
}

/// What both ends say of the bytes that go one way. What one end changes often shares no cache line with what the other reads
/// often.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Direction {
    /// Said by the writer: bytes that were written since the beginning.
    pub(crate) written: Line<AtomicU64>,
    /// Said by the reader: bytes that were read. The writer adds [`WITHDRAWN`].
    pub(crate) read: Line<AtomicU64>,
    /// Said by who sleeps, taken back by who wakes it.
    pub(crate) sleeps: Line<Sleeps>,
    pub(crate) rare: Line<Rare>,
}

/// Two of a processor's cache lines, which it may fetch together.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(crate) T);

#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Sleeps {
    pub(crate) reader: AtomicU32,
    pub(crate) writer: AtomicU32,
}

/// What changes once or twice in a connection's life.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Rare {
    /// Which ring bytes go to, and from where on: a [`Move`].
    pub(crate) moved: AtomicU64,
    /// Where the direction leaves TCP: one more than the place, and 0 before it does.
    pub(crate) begins: AtomicU64,
    /// The writer writes no more.
    pub(crate) is_ended: AtomicU32,
    /// The reader reads no more: [`CLOSED`] or [`HANDED_OVER`].
    pub(crate) is_closed: AtomicU32,
}

impl Shared {
    /// Where an end writes that has written so many bytes.
    pub fn writer(&self, end: End, written: u64) -> Writer<'_> {
        let index = usize::from(end == End::Server);
        Writer::new(&self.directions[index], index, written)
    }

    /// Where an end reads that has read so many bytes.
    pub fn reader(&self, end: End, read: u64) -> Reader<'_> {
        let index = usize::from(end == End::Client);
        Reader::new(&self.directions[index], index, read)
    }
}

/// Where the bytes of a direction lie: in one ring up to some place in the stream, and in another from there on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    pub(crate) from: u64,
    pub(crate) before: Ring,
    pub(crate) after: Ring,
}

/// One of a direction's rings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ring {
    Short = 0,
    Middle = 1,
    Long = 2,
}

impl Move {
    /// As it stands in the memory; all zeroes are the short ring from the beginning. A number that nobody wrote is some ring too.
    pub(crate) fn from_word(word: u64) -> Move {
        Move { from: word >> 4, before: Ring::from_number(word >> 2 & 3), after: Ring::from_number(word & 3) }
    }

    pub(crate) fn to_word(self) -> u64 {
        self.from << 4 | (self.before as u64) << 2 | self.after as u64
    }

    /// The ring in which the byte at a place lies, and how many bytes from there on lie in the same.
    pub(crate) fn ring_at(self, place: u64) -> (Ring, u64) {
        match self.from.checked_sub(place) {
            Some(left) if left > 0 => (self.before, left),
            _ => (self.after, u64::MAX),
        }
    }
}

impl Ring {
    fn from_number(number: u64) -> Ring {
        match number {
            0 => Ring::Short,
            1 => Ring::Middle,
            _ => Ring::Long,
        }
    }

    /// Bytes of it: a power of two.
    pub(crate) const fn len(self) -> usize {
        match self {
            Ring::Short => SHORT_LEN,
            Ring::Middle => MIDDLE_LEN,
            Ring::Long => LONG_LEN,
        }
    }

    /// Where the byte at a place of the stream lies in the memory, and how many follow without a break.
    pub(crate) const fn span(self, direction: usize, place: u64) -> Span {
        let start = match self {
            Ring::Short => HEADER_LEN,
            Ring::Middle => HEADER_LEN + 2 * SHORT_LEN,
            Ring::Long => HEADER_LEN + 2 * (SHORT_LEN + MIDDLE_LEN),
        };
        let at = place as usize % self.len();
        Span { offset: start + direction * self.len() + at, len: self.len() - at }
    }
}

/// Nobody reads what is left.
pub(crate) const CLOSED: u32 = 1;
/// Somebody reads what is left, but not here.
pub(crate) const HANDED_OVER: u32 = 2;

/// The writer has taken back what was not read when it said so: the place does not move any more.
pub(crate) const WITHDRAWN: u64 = 1 << 63;

/// Takes back that an end sleeps, if it said so: true if it must be woken. What was said before is seen by whoever says later that
/// it sleeps, and looks again.
pub(crate) fn wakes(sleeper: &AtomicU32) -> bool {
    fence(Ordering::SeqCst);
    wakes_after(sleeper)
}

/// The same, for who has said what it said by an exchange in the order that all agree on, which is a fence.
pub(crate) fn wakes_after(sleeper: &AtomicU32) -> bool {
    sleeper.load(Ordering::SeqCst) != 0 && sleeper.swap(0, Ordering::SeqCst) != 0
}

/// Says that an end is about to sleep, which must look again after.
pub(crate) fn falls_asleep(sleeper: &AtomicU32) {
    sleeper.store(1, Ordering::SeqCst);
    fence(Ordering::SeqCst);
}

const _: () = assert!(size_of::<Shared>() <= HEADER_LEN);
