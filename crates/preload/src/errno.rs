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
pub fn kept<T: Default>(work: impl FnOnce() -> T) -> T {
    let before = get();
    let answer = catch_unwind(AssertUnwindSafe(work)).unwrap_or_default();
    set(before);
    answer
}

/// What a failed call answers.
pub fn fail(value: i32) -> isize {
    set(value);
    -1
}
