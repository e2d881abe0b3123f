//! The order of a connection's responses (RFC 7143, section 4.2.2.2).

use wire::iscsi::{Numbers, Serial};

/// Where responses are in their order.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The next response.
    pub exp_stat_sn: Serial,
    /// Responses before that which were damaged and are to come again.
    missing: Vec<Serial>,
}

impl Order {
    /// Before the first response, which says where they begin.
    pub fn new() -> Self {
        Self { exp_stat_sn: Serial(0), missing: Vec::new() }
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

    /// Responses go by another stream, with numbers of its own.
    pub fn restart(&mut self) {
        self.missing.clear();
    }
}

/// Responses that may be missing at once.
const MISSING_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(stat_sn: u32) -> Numbers {
        Numbers { stat_sn: Serial(stat_sn), exp_cmd_sn: Serial(0), max_cmd_sn: Serial(0) }
    }

    #[test]
    fn responses_come_in_order() {
        let mut order = Order::new();
        order.exp_stat_sn = Serial(u32::MAX);
        assert!(order.advance(&numbers(u32::MAX)));
        assert!(!order.advance(&numbers(1)));
        assert!(order.advance(&numbers(0)));
    }
}
