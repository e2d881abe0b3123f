//! Which way bytes go that another processor is about to read: through this one's cache, or past it.
//!
//! A processor that shares a cache with this one finds them there, which is the fastest way. One that shares none gets each line
//! of this one's cache by asking for it, and so does this one each line that the other has read before it may be written again: then
//! memory is the faster way, several times. Which it is depends on where the system runs both, and may change. So it is tried: now
//! and then a few copies go each way in turn and are timed, and what was faster is taken until the next trial. No byte changes.

/// The way that was found, and the trial that goes on.
#[derive(Debug, Default)]
pub(super) struct Outward {
    /// What tells nanoseconds; without it nothing is tried, and all goes through the cache.
    clock: Option<fn() -> u64>,
    is_past: bool,
    /// Copies since the last trial ended.
    copies: u32,
    /// What the copies of this trial took for so many bytes: those through the cache, those past it.
    through: [u32; SAMPLES],
    past: [u32; SAMPLES],
}

/// A copy that is about to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Course {
    /// Past the cache.
    pub(super) is_past: bool,
    /// When it began, if it is timed.
    began: Option<u64>,
}

impl Outward {
    /// Tries with this clock from now on.
    pub(super) const fn time_by(&mut self, clock: fn() -> u64) {
        self.clock = Some(clock);
    }

    /// The way of the next copy.
    #[inline]
    pub(super) fn next(&mut self) -> Course {
        self.copies += 1;
        if self.copies <= TRIED_AFTER {
            return Course { is_past: self.is_past, began: None };
        }
        self.try_next()
    }

    #[cold]
    fn try_next(&mut self) -> Course {
        let Some(clock) = self.clock else {
            self.copies = 0;
            return Course { is_past: self.is_past, began: None };
        };
        Course { is_past: is_past_in_trial(self.sample()), began: Some(clock()) }
    }

    /// The copy was made, of `len` bytes.
    #[inline]
    pub(super) fn made(&mut self, course: Course, len: usize) {
        if let Some(began) = course.began {
            self.note(began, len);
        }
    }

    #[cold]
    fn note(&mut self, began: u64, len: usize) {
        let Some(clock) = self.clock else { return };
        let took_ns = clock().saturating_sub(began);
        let cost = (took_ns << 12) / len.max(1) as u64;
        let sample = self.sample();
        let of_way = if is_past_in_trial(sample) { &mut self.past } else { &mut self.through };
        of_way[sample / (2 * IN_TURN) * IN_TURN + sample % IN_TURN] = cost.min(u32::MAX.into()) as u32;
        if sample + 1 == 2 * SAMPLES {
            let (through, past) = (median(&mut self.through), median(&mut self.past));
            // Past the cache the reader has a longer way as well, which is not seen here.
            self.is_past = u64::from(past) * 4 < u64::from(through) * 3;
            self.copies = 0;
        }
    }

    /// Which copy of the trial is the next.
    const fn sample(&self) -> usize {
        (self.copies - TRIED_AFTER - 1) as usize
    }
}

/// The ways take turns by a few copies each.
const fn is_past_in_trial(sample: usize) -> bool {
    sample / IN_TURN % 2 == 1
}

fn median(costs: &mut [u32; SAMPLES]) -> u32 {
    costs.sort_unstable();
    costs[SAMPLES / 2]
}

/// Fewer bytes than this go through the cache.
pub(super) const OUTWARD_MIN: usize = 1024;

/// Copies between two trials.
const TRIED_AFTER: u32 = 4096;
/// Copies of a trial that go each way, and how many of them follow each other.
const SAMPLES: usize = 16;
const IN_TURN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::Cell;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    /// Copies of which those through the cache and past it take so long; says how many of them went past it.
    fn copy(outward: &mut Outward, copies: u32, through_ns: u64, past_ns: u64) -> u32 {
        (0..copies)
            .filter(|_| {
                let course = outward.next();
                NOW.set(NOW.get() + if course.is_past { past_ns } else { through_ns });
                outward.made(course, 4096);
                course.is_past
            })
            .count() as u32
    }

    #[test]
    fn the_faster_way_is_taken() {
        let mut outward = Outward::default();
        outward.time_by(|| NOW.get());
        let cycle = TRIED_AFTER + 2 * SAMPLES as u32;
        assert_eq!(copy(&mut outward, cycle, 1000, 400), SAMPLES as u32);
        assert_eq!(copy(&mut outward, cycle, 1000, 400), TRIED_AFTER + SAMPLES as u32);
        // The other processor is another now.
        assert_eq!(copy(&mut outward, cycle, 300, 400), TRIED_AFTER + SAMPLES as u32);
        assert_eq!(copy(&mut outward, cycle, 400, 390), SAMPLES as u32);
        assert_eq!(
            copy(&mut outward, TRIED_AFTER, 400, 390),
            0,
            "a little faster is not worth the reader's way"
        );
    }

    #[test]
    fn without_a_clock_all_goes_through_the_cache() {
        let mut outward = Outward::default();
        assert_eq!(copy(&mut outward, 3 * TRIED_AFTER, 1000, 400), 0);
    }
}
