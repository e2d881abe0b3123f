//! The order of commands (RFC 7143, section 4.2.2.1): ExpCmdSN, MaxCmdSN, and what came before its turn.
//!
//! Invariants: MaxCmdSN never goes back; what is parked lies in the window, each number once, in ascending order.

use std::collections::VecDeque;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use wire::iscsi::{Bhs, Serial};

/// The window of one session.
#[derive(Debug)]
pub(crate) struct Window {
    expected: Serial,
    /// Commands the session may have under way.
    depth: u32,
    /// Numbered commands whose turn has come and which are not answered.
    taken: u32,
    /// Came before their turn.
    parked: VecDeque<(Serial, Parked)>,
}

/// What waits for its turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parked {
    /// The task in this slot.
    Task(u32),
    /// Any other PDU, with its data, of this connection.
    Pdu {
        /// The connection it came by, and its answer goes to.
        connection: Key,
        /// Its header.
        bhs: Bhs,
        /// Its data: a buffer.
        data: Span,
    },
    /// What had this number is gone; the number is not waited for.
    Gone,
}

/// Where a number stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// It is its turn.
    Now,
    /// It came early.
    Later,
    /// It is not of this window, or came before: to be ignored.
    Never,
}

impl Window {
    /// A window that begins with this number.
    pub(crate) const fn new(first: Serial, depth: u32) -> Self {
        Self { expected: first, depth, taken: 0, parked: VecDeque::new() }
    }

    /// ExpCmdSN.
    pub(crate) const fn expected(&self) -> Serial {
        self.expected
    }

    /// MaxCmdSN.
    pub(crate) fn max(&self) -> Serial {
        let taken = if planted(Bug::WindowReckonedEarly) { self.taken.max(1) } else { self.taken };
        // With no room at all it is the one before ExpCmdSN.
        self.expected.plus(self.depth - taken).plus(u32::MAX)
    }

    /// Where a number stands.
    pub(crate) fn turn(&self, number: Serial) -> Turn {
        if number.since(self.expected) >= self.depth - self.taken {
            Turn::Never
        } else if number == self.expected {
            Turn::Now
        } else if self.parked.iter().any(|(known, _)| *known == number) {
            Turn::Never
        } else {
            Turn::Later
        }
    }

    /// Whether numbers before this one, which is of the window or the one behind it, have not come.
    pub(crate) fn has_missing_before(&self, number: Serial) -> bool {
        let ahead = number.since(self.expected);
        ahead > 0 && ahead <= self.depth - self.taken
    }

    /// The expected number has come. `lasts` if what it numbers will be answered later, and takes its room till then.
    pub(crate) fn advance(&mut self, lasts: bool) {
        self.expected = self.expected.next();
        self.taken += u32::from(lasts);
        debug_assert!(self.taken <= self.depth);
    }

    /// What took room is answered.
    pub(crate) fn answered(&mut self) {
        debug_assert!(self.taken > 0);
        self.taken = self.taken.saturating_sub(1);
    }

    /// Keeps what came early. The caller has asked [`Window::turn`].
    pub(crate) fn park(&mut self, number: Serial, what: Parked) {
        let place = self.parked.partition_point(|(known, _)| known.precedes(number));
        self.parked.insert(place, (number, what));
    }

    /// Whether something came before its turn.
    pub(crate) fn has_parked(&self) -> bool {
        !self.parked.is_empty()
    }

    /// What was parked and is due now. The caller then calls [`Window::advance`].
    pub(crate) fn due(&mut self) -> Option<Parked> {
        let expected = self.expected;
        self.parked.pop_front_if(|(number, _)| *number == expected).map(|(_, parked)| parked)
    }

    /// The number of a command that never came is not waited for (RFC 7143, section 11.5.5). False if the number is none of the
    /// window, or that of something that did come and waits for its turn.
    pub(crate) fn give_up(&mut self, number: Serial) -> bool {
        let missing = self.turn(number) != Turn::Never;
        if missing {
            self.park(number, Parked::Gone);
        }
        missing
    }

    /// A task that was parked under this number is gone.
    pub(crate) fn forget_task(&mut self, number: Serial) {
        let parked = self.parked.iter_mut().find(|(known, _)| *known == number);
        if let Some((_, parked @ Parked::Task(_))) = parked {
            *parked = Parked::Gone;
        }
    }

    /// Takes out what was parked and has to come again: its numbers are waited for.
    pub(crate) fn unpark(&mut self, mut goes: impl FnMut(&Parked) -> bool) -> Vec<Parked> {
        let (gone, stays): (VecDeque<_>, VecDeque<_>) =
            core::mem::take(&mut self.parked).into_iter().partition(|(_, parked)| goes(parked));
        self.parked = stays;
        gone.into_iter().map(|(_, parked)| parked).collect()
    }

    /// Everything parked, for giving it up.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = Parked> + use<> {
        core::mem::take(&mut self.parked).into_iter().map(|(_, parked)| parked)
    }

    /// Buffers parked here.
    pub(crate) fn buffers(&self) -> usize {
        let holds =
            |(_, parked): &&(Serial, Parked)| matches!(parked, Parked::Pdu { data, .. } if !data.is_empty());
        self.parked.iter().filter(holds).count()
    }

    /// Asserts what always holds; `numbered` is how many tasks took room.
    pub(crate) fn check(&self, numbered: usize) {
        assert_eq!(self.taken as usize, numbered, "who took room gives it back");
        let room = self.depth - self.taken;
        for (number, _) in &self.parked {
            assert!(number.since(self.expected) < room, "parked within the window");
        }
        for (one, next) in self.parked.iter().zip(self.parked.iter().skip(1)) {
            assert!(one.0.precedes(next.0), "in ascending order");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_ones_wait_for_the_ones_before() {
        let mut window = Window::new(Serial(u32::MAX - 1), 4);
        assert_eq!(window.max(), Serial(1));
        assert_eq!(window.turn(Serial(2)), Turn::Never);
        assert_eq!(window.turn(Serial(u32::MAX - 2)), Turn::Never);
        assert_eq!(window.turn(Serial(0)), Turn::Later);
        window.park(Serial(0), Parked::Task(7));
        assert_eq!(window.turn(Serial(0)), Turn::Never);
        window.park(Serial(u32::MAX), Parked::Task(8));
        assert!(window.due().is_none());
        window.advance(true);
        assert_eq!(window.max(), Serial(1));
        assert!(matches!(window.due(), Some(Parked::Task(8))));
        window.advance(true);
        assert!(matches!(window.due(), Some(Parked::Task(7))));
        window.advance(true);
        window.check(3);
        assert_eq!((window.expected(), window.max()), (Serial(1), Serial(1)));
        window.answered();
        assert_eq!(window.max(), Serial(2));
    }

    #[test]
    fn a_full_window_expects_what_it_does_not_take() {
        let mut window = Window::new(Serial(5), 1);
        window.advance(true);
        assert_eq!((window.expected(), window.max()), (Serial(6), Serial(5)));
        assert_eq!(window.turn(Serial(6)), Turn::Never);
    }

    #[test]
    fn a_number_given_up_is_not_waited_for() {
        let mut window = Window::new(Serial(0), 8);
        assert!(window.give_up(Serial(1)));
        assert!(!window.give_up(Serial(9)));
        window.advance(false);
        assert!(matches!(window.due(), Some(Parked::Gone)));
        window.check(0);
    }

    #[test]
    fn what_has_come_is_not_given_up() {
        let mut window = Window::new(Serial(0), 8);
        window.park(Serial(1), Parked::Task(3));
        assert!(!window.give_up(Serial(1)));
        window.forget_task(Serial(1));
        window.advance(false);
        assert!(matches!(window.due(), Some(Parked::Gone)));
    }
}
