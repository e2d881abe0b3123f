//! Eight bytes that many change atomically: there must be one order of all changes in which each found what the one before
//! it left.
//!
//! Every change makes a value that never was before, so the order is found by following values. Of changes whose connection
//! broke nobody knows whether they were done: those of one connection were done up to some point, and no further.

use super::{Check, wrong};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Add(u64),
    Swap { compare: u64, swap: u64 },
}

impl Change {
    /// What it makes of a value.
    pub(super) const fn apply(self, value: u64) -> u64 {
        match self {
            Self::Add(add) => value.wrapping_add(add),
            Self::Swap { compare, swap } => {
                if value == compare {
                    swap
                } else {
                    value
                }
            }
        }
    }
}

/// What is known of a cell.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    first: u64,
    /// Changes that were done: what each found, what it left, and whose it was.
    done: BTreeMap<u64, (u64, (usize, usize))>,
    /// What was found by those that changed nothing.
    seen: Vec<u64>,
    /// Of each connection that broke, what it may have done, in order.
    perhaps: Vec<Vec<Change>>,
    /// What somebody found last.
    pub(super) last: u64,
}

impl Cell {
    pub(super) const fn new(first: u64) -> Self {
        Self { first, done: BTreeMap::new(), seen: Vec::new(), perhaps: Vec::new(), last: first }
    }

    /// A change was done, and found this.
    pub(super) fn changed(&mut self, change: Change, found: u64, whose: (usize, usize)) -> Check {
        let left = change.apply(found);
        self.last = left;
        if left == found {
            self.seen.push(found);
            return Ok(());
        }
        match self.done.insert(found, (left, whose)) {
            None => Ok(()),
            Some(other) => Err(wrong(format!("{change:?} of {whose:?} found what {other:?} found, too"))),
        }
    }

    /// A connection broke: this may have been done.
    pub(super) fn unknown(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.perhaps.push(changes);
        }
    }

    /// There is an order, and it ends with `last`.
    pub(super) fn check(&self, last: u64) -> Check {
        let mut taken = vec![0; self.perhaps.len()];
        let mut values = BTreeSet::from([self.first]);
        let (mut now, mut done) = (self.first, 0);
        loop {
            while let Some((left, _)) = self.done.get(&now) {
                (now, done) = (*left, done + 1);
                values.insert(now);
            }
            if done == self.done.len() && now == last {
                break;
            }
            // What somebody found must have been there, whatever else was.
            let is_seen = |value| self.seen.contains(&value) && !values.contains(&value);
            match self.bridge(now, taken, |value| is_seen(value) || self.is_next(value, last, done)) {
                Bridge::Found(value, so_far, between) => {
                    (now, taken) = (value, so_far);
                    values.extend(between);
                }
                Bridge::Unknown => return Ok(()),
                Bridge::None => {
                    return Err(wrong(format!(
                        "no order of atomics leads from {now:#x} to {last:#x}: {self:x?}"
                    )));
                }
            }
        }
        match self.seen.iter().find(|seen| !values.contains(seen)) {
            None => Ok(()),
            Some(seen) => Err(wrong(format!("an atomic found {seen:#x}, which never was there"))),
        }
    }

    /// True for a value that something known begins with, or all ends with.
    fn is_next(&self, value: u64, last: u64, done: usize) -> bool {
        self.done.contains_key(&value) || done == self.done.len() && value == last
    }

    /// The shortest way from `now` to a value that is wanted, by changes that were perhaps done.
    fn bridge(&self, now: u64, taken: Vec<usize>, is_wanted: impl Fn(u64) -> bool) -> Bridge {
        let mut ways = VecDeque::from([(now, taken.clone(), Vec::new())]);
        let mut known = BTreeSet::from([taken]);
        while let Some((value, taken, between)) = ways.pop_front() {
            if known.len() > WAYS_MAX {
                return Bridge::Unknown;
            }
            for (group, changes) in self.perhaps.iter().enumerate() {
                let Some(change) = changes.get(taken[group]) else { continue };
                let (left, mut taken, mut between) = (change.apply(value), taken.clone(), between.clone());
                taken[group] += 1;
                between.push(left);
                if left != value && is_wanted(left) {
                    return Bridge::Found(left, taken, between);
                }
                if known.insert(taken.clone()) {
                    ways.push_back((left, taken, between));
                }
            }
        }
        Bridge::None
    }
}

/// What there is between two values.
enum Bridge {
    /// The value, what was taken of each connection, and the values on the way.
    Found(u64, Vec<usize>, Vec<u64>),
    /// There are too many ways to try them all.
    Unknown,
    None,
}

/// Ways that are tried.
const WAYS_MAX: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_found_or_not() {
        let mut cell = Cell::new(1);
        cell.changed(Change::Add(10), 1, (0, 0)).unwrap();
        cell.changed(Change::Swap { compare: 5, swap: 6 }, 31, (0, 0)).unwrap();
        cell.unknown(vec![Change::Add(20), Change::Add(40)]);
        assert!(cell.check(31).is_ok());
        assert!(cell.check(71).is_ok());
        assert!(cell.check(11).is_err(), "somebody saw 31");
        assert!(cell.check(51).is_err(), "the second of a connection is not done without the first");
        assert!(cell.changed(Change::Add(3), 1, (0, 0)).is_err(), "two found the same");
        let mut cell = Cell::new(1);
        cell.unknown(vec![Change::Add(20)]);
        cell.unknown(vec![Change::Add(40)]);
        cell.changed(Change::Swap { compare: 5, swap: 6 }, 41, (0, 0)).unwrap();
        assert!(cell.check(61).is_ok(), "of two orders, the one that somebody saw");
        assert!(cell.check(21).is_err());
    }
}
