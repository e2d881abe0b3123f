//! The order of a session's commands (RFC 7143, section 4.2.2.1): one for all its connections, each of which holds a handle to it.

use core::cell::Cell;
use std::rc::Rc;
use stdx::planted::{Bug, planted};
use wire::iscsi::{Numbers, Serial};

/// Where the commands of a session are in their order.
#[derive(Clone, Debug)]
pub(in super::super) struct Window(Rc<Cell<Place>>);

#[derive(Clone, Copy, Debug)]
struct Place {
    /// What the next command bears.
    cmd_sn: Serial,
    /// The first command the target has not taken in.
    exp_cmd_sn: Serial,
    /// The last command it takes.
    max_cmd_sn: Serial,
}

impl Window {
    /// Before the first response: one command is the target's window.
    pub fn new(cmd_sn: Serial) -> Self {
        Self(Rc::new(Cell::new(Place { cmd_sn, exp_cmd_sn: cmd_sn, max_cmd_sn: cmd_sn })))
    }

    /// What the next command bears.
    pub fn cmd_sn(&self) -> Serial {
        self.0.get().cmd_sn
    }

    /// The first command the target has not taken in.
    pub fn exp_cmd_sn(&self) -> Serial {
        self.0.get().exp_cmd_sn
    }

    /// True if the target takes another command.
    pub fn is_open(&self) -> bool {
        let Place { cmd_sn, max_cmd_sn, .. } = self.0.get();
        if planted(Bug::SerialComparedPlainly) {
            return cmd_sn.0 <= max_cmd_sn.0;
        }
        let last = if planted(Bug::WindowOverrun) { max_cmd_sn.next() } else { max_cmd_sn };
        !last.precedes(cmd_sn)
    }

    /// The number of the next command, which is sent.
    pub fn take(&self) -> Serial {
        let place = self.0.get();
        self.0.set(Place { cmd_sn: place.cmd_sn.next(), ..place });
        place.cmd_sn
    }

    /// What a PDU says of the window. PDUs may be late, and come by several connections, so neither number goes back; a pair
    /// that cannot be is ignored, and so is a target that has taken in what was never sent.
    pub fn update(&self, numbers: &Numbers) {
        let mut place = self.0.get();
        let (exp, max) = (numbers.exp_cmd_sn, numbers.max_cmd_sn);
        if max.next().precedes(exp) || place.cmd_sn.precedes(exp) {
            return;
        }
        if place.exp_cmd_sn.precedes(exp) {
            place.exp_cmd_sn = exp;
        }
        if place.max_cmd_sn.precedes(max) {
            place.max_cmd_sn = max;
        }
        self.0.set(place);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        let Place { cmd_sn, exp_cmd_sn, max_cmd_sn } = self.0.get();
        assert!(!max_cmd_sn.next().precedes(cmd_sn), "a command was sent outside of the window");
        assert!(!cmd_sn.precedes(exp_cmd_sn), "the target has taken what was never sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(exp: u32, max: u32) -> Numbers {
        Numbers { stat_sn: Serial(0), exp_cmd_sn: Serial(exp), max_cmd_sn: Serial(max) }
    }

    #[test]
    fn the_window_goes_across_the_wrap_and_never_back() {
        let window = Window::new(Serial(u32::MAX - 1));
        window.update(&numbers(u32::MAX - 1, 1));
        let mut sent = Vec::new();
        while window.is_open() {
            sent.push(window.take().0);
        }
        assert_eq!(sent, [u32::MAX - 1, u32::MAX, 0, 1]);
        window.update(&numbers(u32::MAX, u32::MAX));
        assert_eq!((window.0.get().exp_cmd_sn, window.0.get().max_cmd_sn), (Serial(u32::MAX), Serial(1)));
        window.update(&numbers(2, 2));
        assert!(window.is_open());
        window.check();
    }

    #[test]
    fn numbers_that_cannot_be_are_ignored() {
        let window = Window::new(Serial(10));
        window.update(&numbers(10, 8));
        window.update(&numbers(11, 20));
        assert_eq!((window.0.get().exp_cmd_sn, window.0.get().max_cmd_sn), (Serial(10), Serial(10)));
        window.update(&numbers(10, 9));
        assert_eq!(window.0.get().max_cmd_sn, Serial(10));
    }

    #[test]
    fn connections_share_one_order() {
        let window = Window::new(Serial(7));
        let other = window.clone();
        other.update(&numbers(7, 8));
        assert_eq!((window.take(), other.take()), (Serial(7), Serial(8)));
        assert!(!window.is_open());
    }
}
