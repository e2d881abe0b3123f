//! The calling thread's `errno`, which a call of ours must leave as the call it stands for would.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the last call said.
pub fn get() -> i32 {
    // SAFETY: the C library gives every thread its own.
    unsafe { *libc::__errno_location() }
}

/// Makes this what the last call said.
pub fn set(value: i32) {
    // SAFETY: as above; only this thread reads it.
    unsafe { *libc::__errno_location() = value };
}

/// Why a call failed that answered this; 0 where it did not.
pub fn of(answer: i32) -> i32 {
    if answer == 0 { 0 } else { get() }
}

/// Does something that the program must not notice. Should it panic, nothing more is done: a panic must not come to C.
///
/// Nor is the thread cancelled meanwhile: that unwinds, and cannot be caught here; and the program's state would be ours to put right.
pub fn kept<T: Default>(work: impl FnOnce() -> T) -> T {
    let (before, mut state) = (get(), 0);
    // SAFETY: an integer is there.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut state) };
    let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_default();
    // SAFETY: the old state may not be asked for (pthread_setcancelstate(3)).
    unsafe { pthread_setcancelstate(state, std::ptr::null_mut()) };
    set(before);
    answer
}

/// Where a thread that is to be cancelled is, as in the calls that are made without us; to be called with nothing held.
pub fn may_be_cancelled() {
    // SAFETY: it takes nothing; if it unwinds, it does so as calls of the kernel's do.
    unsafe { pthread_testcancel() };
}

// SAFETY: as the C library has it, which the libc crate does not.
unsafe extern "C-unwind" {
    fn pthread_testcancel();
}

// SAFETY: as above.
unsafe extern "C" {
    fn pthread_setcancelstate(state: i32, before: *mut i32) -> i32;
}

const PTHREAD_CANCEL_DISABLE: i32 = 1;

/// What a failed call answers.
pub fn fail(value: i32) -> isize {
    set(value);
    -1
}
