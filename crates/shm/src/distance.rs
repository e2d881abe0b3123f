//! How far a neighbour is: whether its processor shares a cache with ours.
//!
//! The line of a record that we looked at in vain, and that has come since, had to be got from the processor that wrote it: how
//! long that took tells. So does the line in which it says how many records it took, once that has changed. It depends on where the system runs both, and may change, so that it is asked again and again. An
//! end that is so busy that it never looks in vain goes by what its neighbour found: it is as far for either.

use core::time::Duration;
use stdx::time::Time;

/// What was found, and the question that goes on.
#[derive(Debug, Default)]
pub(crate) struct Distance {
    /// What lines took to come, in nanoseconds.
    samples: [u64; SAMPLES],
    count: usize,
    /// Nothing is asked before.
    next_at: Time,
    is_asking: bool,
}

/// What an end says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    Near = 1,
    Far = 2,
}

impl Found {
    /// What the number means, if anything was found.
    pub(crate) const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Near),
            2 => Some(Self::Far),
            _ => None,
        }
    }
}

impl Distance {
    /// True while lines are to be timed.
    #[inline]
    pub(crate) const fn is_asking(&self) -> bool {
        self.is_asking
    }

    /// A line came, and took so long.
    pub(crate) fn note(&mut self, took_ns: u64) {
        if let Some(place) = self.samples.get_mut(self.count) {
            *place = took_ns;
            self.count += 1;
        }
    }

    /// To be called once a turn: says what was found, once it is. `theirs` is what the neighbour found.
    pub(crate) fn turn(&mut self, now: Time, theirs: impl FnOnce() -> Option<Found>) -> Option<Found> {
        if self.count == SAMPLES {
            self.samples.sort_unstable();
            let is_far = self.samples[SAMPLES / 2] >= FAR_NS;
            (self.count, self.is_asking, self.next_at) = (0, false, now + BETWEEN);
            return Some(if is_far { Found::Far } else { Found::Near });
        }
        if now < self.next_at {
            return None;
        }
        self.next_at = now + BETWEEN;
        // Lines that came so far count even so, with those that come next.
        if core::mem::replace(&mut self.is_asking, true) { theirs() } else { None }
    }
}

/// Lines of which the one in the middle counts.
const SAMPLES: usize = 7;

/// A line is here after 40 ns from a processor that shares a cache with ours, and after 130 to 170 from one that does not, of which to ask
/// the time takes 20.
const FAR_NS: u64 = 90;

/// Between two questions, and as long as one waits for lines.
const BETWEEN: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_in_the_middle_counts() {
        let mut distance = Distance::default();
        let mut now = Time::ZERO;
        for (usual, found) in [(40, Found::Near), (150, Found::Far), (50, Found::Near)] {
            assert_eq!(distance.turn(now, || None), None);
            assert!(distance.is_asking());
            for sample in 0..SAMPLES as u64 {
                assert_eq!(distance.turn(now, || unreachable!()), None);
                // Now and then one is interrupted, or was there already.
                distance.note(if sample % 3 == 2 { 20_000 * (sample / 3) } else { usual });
            }
            assert_eq!(distance.turn(now, || unreachable!()), Some(found));
            assert!(!distance.is_asking());
            now += BETWEEN;
        }
    }

    #[test]
    fn who_is_busy_goes_by_the_neighbour() {
        let mut distance = Distance::default();
        assert_eq!(distance.turn(Time::ZERO, || Some(Found::Far)), None, "it was not asked yet");
        assert_eq!(distance.turn(Time::ZERO, || Some(Found::Far)), None);
        distance.note(50);
        assert_eq!(distance.turn(Time::ZERO + BETWEEN, || Some(Found::Far)), Some(Found::Far));
        assert_eq!(distance.turn(Time::ZERO + BETWEEN * 2, || None), None);
        assert_eq!(Found::from_code(Found::Far as u32), Some(Found::Far));
        assert_eq!((Found::from_code(0), Found::from_code(3)), (None, None));
    }
}
