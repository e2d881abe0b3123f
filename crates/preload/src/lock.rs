//! A lock that fork can hold, taken before and let go of in both processes after, and that knows which thread has it.
//!
//! A signal's handler may run in the very thread that has the lock. It is not kept waiting for itself: it is told so, and what it cannot
//! do it leaves to be done by that thread when it lets go.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

/// What one thread at a time may touch. Nobody holds it while waiting for anything.
pub struct Lock<T> {
    /// The thread that has it; 0 for none.
    holder: AtomicUsize,
    /// How often the same thread took it once more.
    again: AtomicU32,
    /// Something was left to be done.
    is_due: AtomicBool,
    /// Does that.
    catch_up: fn(&mut T),
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `with` and `let_go` alone, by one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// Unlocked, with what does what was left.
    pub const fn new(value: T, catch_up: fn(&mut T)) -> Self {
        Self {
            holder: AtomicUsize::new(0),
            again: AtomicU32::new(0),
            is_due: AtomicBool::new(false),
            catch_up,
            value: UnsafeCell::new(value),
        }
    }

    /// Does something with the value; nothing is done where this thread does already, and was interrupted in that.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        if !self.take() {
            return None;
        }
        // SAFETY: whoever is the holder is the only one to get here until it is not.
        let answer = work(unsafe { &mut *self.value.get() });
        self.release();
        Some(answer)
    }

    /// For who was told by [`Lock::with`] that this thread has the lock: it does what is to be done when it lets go.
    pub fn leave(&self) {
        self.is_due.store(true, Ordering::Relaxed);
    }

    /// Keeps everybody else out.
    pub fn hold(&self) {
        if !self.take() {
            self.again.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets others in again; for whoever called [`Lock::hold`].
    pub fn let_go(&self) {
        let is_again =
            self.again.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |times| times.checked_sub(1));
        if is_again.is_err() {
            self.release();
        }
    }

    /// False if this thread has it.
    fn take(&self) -> bool {
        let own = thread();
        while let Err(holder) = self.holder.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed) {
            if holder == own {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Who was interrupted sees what the handler left: both are one thread.
    fn release(&self) {
        self.holder.store(0, Ordering::Release);
        while self.is_due.load(Ordering::Relaxed) && self.take() {
            if self.is_due.swap(false, Ordering::Relaxed) {
                // SAFETY: as in `with`.
                (self.catch_up)(unsafe { &mut *self.value.get() });
            }
            self.holder.store(0, Ordering::Release);
        }
    }
}

/// Names the calling thread, also in the child that it forks; never 0.
fn thread() -> usize {
    // SAFETY: it takes nothing and cannot fail.
    (unsafe { libc::pthread_self() }) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_is_told_so_and_does_what_was_left() {
        let lock = Lock::new(0, |value| *value += 100);
        let inner = lock.with(|value| {
            *value += 1;
            let inner = lock.with(|value| *value += 1);
            lock.leave();
            // A fork in the middle.
            lock.hold();
            lock.let_go();
            assert_ne!(lock.holder.load(Ordering::Relaxed), 0);
            inner
        });
        assert_eq!((inner, lock.with(|value| *value)), (Some(None), Some(101)));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..10_000).for_each(|_| assert!(lock.with(|value| *value += 1).is_some())));
            }
        });
        assert_eq!(lock.with(|value| *value), Some(20_101));
    }
}
