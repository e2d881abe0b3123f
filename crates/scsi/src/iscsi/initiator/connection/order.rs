//! The numbers of a session of one connection (RFC 7143, sections 4.2.2.1 and 4.2.2.2).

use stdx::planted::{Bug, planted};
use wire::iscsi::{Numbers, Serial};

/// Where commands and responses are in their orders.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// What the next command bears.
    pub cmd_sn: Serial,
    /// The first command the target has not taken in.
    pub exp_cmd_sn: Serial,
    /// The last command it takes.
    pub max_cmd_sn: Serial,
    /// The next response.
    pub exp_stat_sn: Serial,
    /// Responses before that which were damaged and are to come again.
    missing: Vec<Serial>,
}

impl Order {
    /// Before the first response: one command is the target's window.
    pub fn new(cmd_sn: Serial) -> Self {
        Self { cmd_sn, exp_cmd_sn: cmd_sn, max_cmd_sn: cmd_sn, exp_stat_sn: Serial(0), missing: Vec::new() }
    }

    /// True if the target takes another command.
    pub fn is_open(&self) -> bool {
        if planted(Bug::SerialComparedPlainly) {
            return self.cmd_sn.0 <= self.max_cmd_sn.0;
        }
        !self.max_cmd_sn.precedes(self.cmd_sn)
    }

    /// Numbers for the next command.
    pub fn take(&mut self) -> Serial {
        let cmd_sn = self.cmd_sn;
        self.cmd_sn = cmd_sn.next();
        cmd_sn
    }

    /// What a PDU says of the window. PDUs may be late, so neither number goes back; a pair that cannot be is ignored, and so
    /// is a target that has taken in what was never sent. (section 4.2.2.1)
    pub fn update(&mut self, numbers: &Numbers) {
        let (exp, max) = (numbers.exp_cmd_sn, numbers.max_cmd_sn);
        if max.next().precedes(exp) || self.cmd_sn.precedes(exp) {
            return;
        }
        if self.exp_cmd_sn.precedes(exp) {
            self.exp_cmd_sn = exp;
        }
        if self.max_cmd_sn.precedes(max) {
            self.max_cmd_sn = max;
        }
    }

    /// A response has come. False if one before it is missing, or it came before.
    pub fn advance(&mut self, numbers: &Numbers) -> bool {
        let expected = numbers.stat_sn == self.exp_stat_sn;
        if expected {
            self.exp_stat_sn = self.exp_stat_sn.next();
            return true;
        }
        let place = self.missing.iter().position(|missing| *missing == numbers.stat_sn);
        place.map(|place| self.missing.swap_remove(place)).is_some()
    }

    /// A response was damaged, and is to come again. False if there are too many, or it was not one that is expected.
    pub fn miss(&mut self, numbers: &Numbers) -> bool {
        if self.missing.contains(&numbers.stat_sn) {
            return true;
        }
        let takes = numbers.stat_sn == self.exp_stat_sn && self.missing.len() < MISSING_MAX;
        if takes {
            self.missing.push(numbers.stat_sn);
            self.exp_stat_sn = self.exp_stat_sn.next();
        }
        takes
    }

    /// What may be said to have come: all responses before this one.
    pub fn acknowledged(&self) -> Serial {
        let first = |first: Serial, next: &Serial| if next.precedes(first) { *next } else { first };
        self.missing.iter().fold(self.exp_stat_sn, first)
    }

    /// Responses go by another connection, with numbers of its own.
    pub fn restart(&mut self) {
        self.missing.clear();
    }
}

/// Responses that may be missing at once.
const MISSING_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(stat_sn: u32, exp: u32, max: u32) -> Numbers {
        Numbers { stat_sn: Serial(stat_sn), exp_cmd_sn: Serial(exp), max_cmd_sn: Serial(max) }
    }

    #[test]
    fn the_window_goes_across_the_wrap_and_never_back() {
        let mut order = Order::new(Serial(u32::MAX - 1));
        order.update(&numbers(0, u32::MAX - 1, 1));
        let mut sent = Vec::new();
        while order.is_open() {
            sent.push(order.take().0);
        }
        assert_eq!(sent, [u32::MAX - 1, u32::MAX, 0, 1]);
        order.update(&numbers(0, u32::MAX, u32::MAX));
        assert_eq!((order.exp_cmd_sn, order.max_cmd_sn), (Serial(u32::MAX), Serial(1)));
        order.update(&numbers(0, 2, 2));
        assert!(order.is_open());
    }

    #[test]
    fn numbers_that_cannot_be_are_ignored() {
        let mut order = Order::new(Serial(10));
        order.update(&numbers(0, 10, 8));
        order.update(&numbers(0, 11, 20));
        assert_eq!((order.exp_cmd_sn, order.max_cmd_sn), (Serial(10), Serial(10)));
        order.update(&numbers(0, 10, 9));
        assert_eq!(order.max_cmd_sn, Serial(10));
    }

    #[test]
    fn responses_come_in_order() {
        let mut order = Order::new(Serial(0));
        order.exp_stat_sn = Serial(u32::MAX);
        assert!(order.advance(&numbers(u32::MAX, 0, 0)));
        assert!(!order.advance(&numbers(1, 0, 0)));
        assert!(order.advance(&numbers(0, 0, 0)));
    }
}
