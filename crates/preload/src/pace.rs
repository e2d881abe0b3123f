//! How long to look for what is about to come before sleeping.
//!
//! Looking costs a processor that others may want, and being woken costs more than most answers take. So who waits looks for
//! a moment, and lets others run in between; once others do run, there is no processor to spare, and sleeping is the only
//! right way for a while. An idle connection is looked at for that moment once, and then costs nothing.

use crate::rows;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Looks that are not worth while are skipped: how many to come.
static SKIPPED: AtomicU32 = AtomicU32::new(0);
/// How many will be skipped next time.
static PENALTY: AtomicU32 = AtomicU32::new(0);

/// Looks for a moment; true once it is there.
pub fn look(limit: Option<Duration>, mut is_there: impl FnMut() -> bool) -> bool {
    for _ in 0..LOOKS {
        if is_there() {
            return true;
        }
        std::hint::spin_loop();
    }
    let skipped = SKIPPED.load(Ordering::Relaxed);
    if skipped > 0 {
        SKIPPED.store(skipped - 1, Ordering::Relaxed);
        return false;
    }
    let (is_there, yields) = look_longer(SPAN.min(limit.unwrap_or(SPAN)), is_there);
    rows::kernel_called(yields);
    if is_there {
        PENALTY.store(0, Ordering::Relaxed);
        return true;
    }
    let penalty = (2 * PENALTY.load(Ordering::Relaxed) + 1).min(PENALTY_MAX);
    PENALTY.store(penalty, Ordering::Relaxed);
    SKIPPED.store(penalty, Ordering::Relaxed);
    false
}

/// True once it is there; and how often others were let run.
fn look_longer(span: Duration, mut is_there: impl FnMut() -> bool) -> (bool, u64) {
    let (mut now, mut yields) = (Instant::now(), 0);
    let end = now + span;
    while now < end {
        std::thread::yield_now();
        yields += 1;
        for _ in 0..=LOOKS_BETWEEN {
            if is_there() {
                return (true, yields);
            }
            std::hint::spin_loop();
        }
        let before = std::mem::replace(&mut now, Instant::now());
        if now - before > OTHERS_RAN {
            break;
        }
    }
    (false, yields)
}

/// A number that changes every few milliseconds, and costs next to nothing to ask for.
pub fn tick() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is on our stack.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec.cast_unsigned() << 32 | now.tv_nsec.cast_unsigned()
}

/// Looks before anything else: less than a call of the kernel's takes.
const LOOKS: u32 = 20;
const LOOKS_BETWEEN: u32 = 20;
/// Longer than most answers, and about as long as it takes to fall asleep and be woken.
const SPAN: Duration = Duration::from_micros(40);
/// Letting others run takes longer than this only if there are any.
const OTHERS_RAN: Duration = Duration::from_micros(8);
/// Waits that are not looked through, at most, after others that came to nothing.
const PENALTY_MAX: u32 = 31;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_it_is_there_and_not_for_ever() {
        let mut looks = 0;
        assert!(look(None, || {
            looks += 1;
            looks > 5
        }));
        assert!(!look(None, || false));
    }
}
