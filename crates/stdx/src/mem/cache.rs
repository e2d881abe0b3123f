//! What the processor's cache is told: what will be read soon, and what will not.
//!
//! Memory that was long not touched costs more to reach than to copy: 4 KiB of a large volume take 50 ns to copy when they
//! are in the cache and 500 when they are not. Neither of these changes what any byte is.

/// Has the processor begin to fetch what lies at `at`. Nothing is read, so any address will do.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) fn fetch(at: *const u8, len: usize) {
    use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    for start in (0..len.min(FETCHED)).step_by(LINE) {
        // SAFETY: a prefetch faults at no address, and writes nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.wrapping_add(start).cast()) };
    }
}

/// Other processors find out for themselves.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(super) fn fetch(_at: *const u8, _len: usize) {}

/// Copies bytes, past the cache if that is wished and can be.
///
/// # Safety
/// `from` is good for reading and `to` for writing `len` bytes, and they do not overlap.
#[inline]
pub(super) unsafe fn copy(to: *mut u8, from: *const u8, len: usize, is_past: bool) {
    let lines = if is_past { len / LINE * LINE } else { 0 };
    // SAFETY: the lines are the first of the bytes that the caller vouches for, and the rest follows them.
    unsafe {
        let done = if lines > 0 && copy_past(to, from, lines) { lines } else { 0 };
        to.add(done).copy_from_nonoverlapping(from.add(done), len - done);
    }
}

/// What was copied past the cache is seen before what is written after this.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) fn fence() {
    // SAFETY: every x86-64 has it.
    unsafe { core::arch::x86_64::_mm_sfence() };
}

/// Other processors have nothing of the kind.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(super) fn fence() {}

/// Copies `len` bytes that nobody will read soon: they go to memory without what is overwritten being fetched first, and
/// push nothing out of the cache. Others may see them after what is written next, unless there is a [`fence`] between.
/// False, and nothing done, where the processor cannot, or not at these addresses.
///
/// # Safety
/// `from` is good for reading and `to` for writing `len` bytes, and they do not overlap.
#[cfg(all(target_arch = "x86_64", not(miri)))]
unsafe fn copy_past(to: *mut u8, from: *const u8, len: usize) -> bool {
    use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    if !to.cast::<__m128i>().is_aligned() || !len.is_multiple_of(LINE) {
        return false;
    }
    for start in (0..len).step_by(LINE) {
        // SAFETY: `start` and the line after it lie within what the caller vouches for; `to` is aligned, as seen above.
        // Every x86-64 has these instructions.
        unsafe {
            let (to, from) = (to.add(start).cast::<__m128i>(), from.add(start).cast::<__m128i>());
            let line = [0, 1, 2, 3].map(|part| _mm_loadu_si128(from.add(part)));
            line.iter().enumerate().for_each(|(part, bytes)| _mm_stream_si128(to.add(part), *bytes));
        }
    }
    true
}

/// Other processors copy as ever.
///
/// # Safety
/// None needed.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
unsafe fn copy_past(_to: *mut u8, _from: *const u8, _len: usize) -> bool {
    false
}

/// Bytes the processor fetches at once.
const LINE: usize = 64;

/// How much is asked for: the page's address is then found, and the processor sees by itself how it goes on.
#[cfg(all(target_arch = "x86_64", not(miri)))]
const FETCHED: usize = 256;
