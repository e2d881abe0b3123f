//! How fast a volume may be used: token buckets, as SPDK's `bdev_set_qos_limit` has them.

use crate::Op;
use core::time::Duration;
use stdx::time::Time;

/// The limits of a volume; `None` is no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QosLimits {
    /// Requests a second, of any kind that moves data.
    pub rw_ios_per_sec: Option<u64>,
    /// Mebibytes a second, read and written.
    pub rw_mbytes_per_sec: Option<u64>,
    /// Mebibytes a second, read.
    pub r_mbytes_per_sec: Option<u64>,
    /// Mebibytes a second, written.
    pub w_mbytes_per_sec: Option<u64>,
}

/// The buckets. A request passes when every bucket it draws from is above water; it may then put them below, so that a
/// request larger than a bucket passes, too, and those behind it wait the longer.
#[derive(Debug)]
pub(super) struct Qos {
    limits: QosLimits,
    buckets: [Option<Bucket>; 4],
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    per_second: u64,
    /// What may be drawn now, in units times nanoseconds per second; never above one slice.
    level: i128,
    filled: Time,
}

impl Qos {
    /// Buckets for these limits; `None` where there is no limit at all.
    pub(super) fn new(limits: QosLimits, now: Time) -> Option<Self> {
        let mebibytes = |rate: Option<u64>| rate.map(|rate| rate.saturating_mul(1 << 20));
        let rates = [
            limits.rw_ios_per_sec,
            mebibytes(limits.rw_mbytes_per_sec),
            mebibytes(limits.r_mbytes_per_sec),
            mebibytes(limits.w_mbytes_per_sec),
        ];
        let bucket = |rate: Option<u64>| {
            rate.filter(|rate| *rate > 0).map(|per_second| Bucket { per_second, level: 0, filled: now })
        };
        let buckets = rates.map(bucket);
        buckets.iter().any(Option::is_some).then_some(Self { limits, buckets })
    }

    pub(super) const fn limits(&self) -> QosLimits {
        self.limits
    }

    /// Lets a request of `bytes` pass, or says when to ask again.
    pub(super) fn pass(&mut self, now: Time, op: Op, bytes: u64) -> Result<(), Time> {
        let write = op.is_write();
        let draws = [1, bytes, if write { 0 } else { bytes }, if write { bytes } else { 0 }];
        let drawn =
            || self.buckets.iter().zip(draws).filter(|(_, draw)| *draw > 0).filter_map(|(bucket, _)| *bucket);
        if let Some(at) = drawn().filter_map(|bucket| bucket.passes_at(now)).max() {
            return Err(at);
        }
        for (bucket, draw) in self.buckets.iter_mut().zip(draws) {
            if let Some(bucket) = bucket {
                bucket.draw(now, draw);
            }
        }
        Ok(())
    }
}

impl Bucket {
    fn level_at(&self, now: Time) -> i128 {
        let gained = i128::from(self.per_second) * (now - self.filled).as_nanos() as i128;
        (self.level + gained).min(i128::from(self.per_second) * SLICE.as_nanos() as i128)
    }

    /// When it is above water; `None` if it is.
    fn passes_at(&self, now: Time) -> Option<Time> {
        let missing = -self.level_at(now);
        let nanos = || (missing / i128::from(self.per_second)) as u64 + 1;
        (missing > 0).then(|| now + Duration::from_nanos(nanos()))
    }

    fn draw(&mut self, now: Time, amount: u64) {
        self.level = self.level_at(now) - i128::from(amount) * NANOS;
        self.filled = now;
    }
}

const NANOS: i128 = 1_000_000_000;

/// How much may be saved up while nothing is asked.
const SLICE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(limits: QosLimits, op: Op, bytes: u64) -> u64 {
        let mut qos = Qos::new(limits, Time::ZERO).unwrap();
        let (mut now, mut passed) = (Time::ZERO, 0);
        while now < Time::from_nanos(1_000_000_000) {
            match qos.pass(now, op, bytes) {
                Ok(()) => passed += 1,
                Err(at) => {
                    assert!(at > now, "waiting makes progress");
                    now = at;
                }
            }
        }
        passed
    }

    #[test]
    fn a_second_passes_what_the_limit_says() {
        let ios = QosLimits { rw_ios_per_sec: Some(1000), ..QosLimits::default() };
        assert!((999..=1003).contains(&passed(ios, Op::Read, 4096)));
        let bytes = QosLimits { w_mbytes_per_sec: Some(10), ..QosLimits::default() };
        assert!((10..=12).contains(&passed(bytes, Op::Write, 1 << 20)));
    }

    #[test]
    fn a_limit_on_writes_leaves_reads_alone() {
        let limits = QosLimits { w_mbytes_per_sec: Some(1), ..QosLimits::default() };
        let mut qos = Qos::new(limits, Time::ZERO).unwrap();
        assert!((0..10_000).all(|_| qos.pass(Time::ZERO, Op::Read, 1 << 20).is_ok()));
    }

    #[test]
    fn no_limits_are_no_buckets() {
        assert!(Qos::new(QosLimits::default(), Time::ZERO).is_none());
        assert!(
            Qos::new(QosLimits { rw_ios_per_sec: Some(0), ..QosLimits::default() }, Time::ZERO).is_none()
        );
    }
}
