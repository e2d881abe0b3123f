//! End-to-end credits: how many receives the peer has posted, which its acknowledgements tell (9.7.7.2).
//!
//! A requester begins as many messages that take a receive as it was told of, and then one more at a time: of that one the first
//! packet goes out, and the rest once it is acknowledged (the limited state). A new connection begins so. A peer that does not
//! count says so, and is sent everything; queue pairs with shared receives do, as others take them, too.
//!
//! Messages are counted from the beginning of the connection, wrapping; those that take no receive are not counted.

use stdx::planted::{Bug, planted};

/// What a requester knows of its peer's receives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Credits {
    /// Messages that were begun.
    begun: u32,
    /// Messages that the peer has, or had, receives for; `None` if nobody counts.
    granted: Option<u32>,
}

impl Credits {
    /// Of a new connection; `counts` if the peer's credits are heeded.
    pub(super) fn new(counts: bool) -> Self {
        Self { begun: 0, granted: counts.then_some(0) }
    }

    /// The peer counts, as far as is known.
    pub(super) const fn counts(&self) -> bool {
        self.granted.is_some()
    }

    /// Messages that were begun.
    pub(super) const fn begun(&self) -> u32 {
        self.begun
    }

    /// One more may begin.
    pub(super) fn may_begin(&self) -> bool {
        let reserve = if planted(Bug::LimitedForGood) { 0 } else { 1 };
        self.granted.is_none_or(|granted| (self.begun.wrapping_sub(granted) as i32) < reserve)
    }

    /// One begins.
    pub(super) const fn begin(&mut self) {
        self.begun = self.begun.wrapping_add(1);
    }

    /// True if the message that was begun as this one has no receive that we know of.
    pub(super) fn is_limited(&self, ordinal: u32) -> bool {
        self.granted.is_some_and(|granted| ordinal.wrapping_sub(granted) as i32 > 0)
    }

    /// The peer has taken so many messages, and tells how many receives it has besides. What it told before and was more still
    /// holds: an acknowledgement may be older than one that came before it.
    pub(super) fn grant(&mut self, taken: u32, code: u8) {
        let Some(before) = self.granted else { return };
        self.granted = count(code).map(|credits| {
            let now = taken.wrapping_add(credits);
            if now.wrapping_sub(before) as i32 > 0 { now } else { before }
        });
    }
}

/// The code of the most credits that are no more than `receives` (table 46).
pub(super) fn code(receives: usize) -> u8 {
    let fits = |code: &u8| count(*code).is_some_and(|credits| credits as usize <= receives);
    (0..UNCOUNTED).rev().find(fits).unwrap_or(0)
}

/// How many receives a code stands for; `None` if nobody counts. From 4 on, every second one is twice as many.
fn count(code: u8) -> Option<u32> {
    match code {
        0..4 => Some(u32::from(code)),
        4..UNCOUNTED => Some((2 + u32::from(code & 1)) << (code / 2 - 1)),
        _ => None,
    }
}

const UNCOUNTED: u8 = wire::roce::Syndrome::UNLIMITED;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stand_for_counts() {
        let counts: Vec<_> = (0..32).map(count).collect();
        let known = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192].map(Some);
        assert_eq!(counts[..16], known);
        assert_eq!((counts[30], counts[31]), (Some(32_768), None));
        let codes = [0, 1, 3, 5, 6, 23, 24, 32_767, 1 << 20].map(code);
        assert_eq!(codes, [0, 1, 3, 4, 5, 8, 9, 29, 30]);
    }

    #[test]
    fn who_has_no_credit_sends_one_and_waits() {
        let mut credits = Credits::new(true);
        assert!(credits.may_begin());
        credits.begin();
        assert!(!credits.may_begin() && credits.is_limited(1));
        // It was taken, and there are two more receives.
        credits.grant(1, 2);
        assert!(!credits.is_limited(1));
        for ordinal in 2..=4 {
            assert!(credits.may_begin());
            credits.begin();
            assert_eq!(credits.is_limited(ordinal), ordinal == 4);
        }
        assert!(!credits.may_begin());
        // What is older says nothing new, and a peer that does not count is sent everything.
        credits.grant(2, 0);
        assert!(!credits.may_begin() && !credits.is_limited(3));
        credits.grant(2, 31);
        assert!(credits.may_begin() && !credits.is_limited(4));
    }
}
