//! A lock that fork can hold: taken before, let go of in both processes after.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one thread at a time may touch. Nobody holds it while waiting for anything.
pub struct Lock<T> {
    is_held: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached through `with` alone, by one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// Unlocked.
    pub const fn new(value: T) -> Self {
        Self { is_held: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Does something with the value. It must not come back here.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        self.hold();
        // SAFETY: whoever set the flag is the only one to get here until it is unset.
        let answer = work(unsafe { &mut *self.value.get() });
        self.let_go();
        answer
    }

    /// Keeps everybody out.
    pub fn hold(&self) {
        while self.is_held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
    }

    /// Lets others in again; for whoever called [`Lock::hold`].
    pub fn let_go(&self) {
        self.is_held.store(false, Ordering::Release);
    }
}
