//! Copying to where another processor reads.
//!
//! What is long goes past this processor's cache: the other would have to fetch it from there, and this one what is overwritten
//! before that. Where processors share no cache that is a multiple of the speed, and where they do it costs nothing.
//!
//! What is read into more memory than a processor's own cache has room for goes word by word: the C library's way, one instruction for
//! all, was measured to take two to three times as long for that, and a tenth less where the memory lies in the cache.

/// Copies bytes that another processor reads next.
///
/// # Safety
/// As of [`core::ptr::copy_nonoverlapping`].
pub unsafe fn away(from: *const u8, to: *mut u8, len: usize) {
    let head = to.align_offset(LINE).min(len);
    let lines = if len < LONG { 0 } else { (len - head) / LINE * LINE };
    if lines == 0 {
        // SAFETY: as the caller has it.
        return unsafe { to.copy_from_nonoverlapping(from, len) };
    }
    // SAFETY: the three parts lie within what the caller vouches for, and the middle one is aligned.
    unsafe {
        to.copy_from_nonoverlapping(from, head);
        stream(from.add(head), to.add(head), lines);
        let done = head + lines;
        to.add(done).copy_from_nonoverlapping(from.add(done), len - done);
    }
}

/// # Safety
/// As many bytes are there, whole lines of them, and `to` is aligned to lines.
#[cfg(target_arch = "x86_64")]
unsafe fn stream(from: *const u8, to: *mut u8, len: usize) {
    use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128};
    const WORD: usize = size_of::<__m128i>();
    for at in (0..len).step_by(LINE) {
        for part in (at..at + LINE).step_by(WORD) {
            // SAFETY: it lies within what the caller vouches for; every x86-64 has these instructions.
            unsafe { _mm_stream_si128(to.add(part).cast(), _mm_loadu_si128(from.add(part).cast())) };
        }
    }
    // SAFETY: every x86-64 has it. Who is told of these bytes must find them.
    unsafe { _mm_sfence() };
}

/// Copies bytes that another processor wrote into memory of which so much is wanted.
///
/// # Safety
/// As of [`core::ptr::copy_nonoverlapping`].
pub unsafe fn home(from: *const u8, to: *mut u8, len: usize, wanted: usize) {
    let lines = if wanted < FAR { 0 } else { len / LINE * LINE };
    // SAFETY: both parts lie within what the caller vouches for.
    unsafe {
        by_words(from, to, lines);
        to.add(lines).copy_from_nonoverlapping(from.add(lines), len - lines);
    }
}

/// # Safety
/// As many bytes are there, whole lines of them.
#[cfg(target_arch = "x86_64")]
unsafe fn by_words(from: *const u8, to: *mut u8, len: usize) {
    use core::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_storeu_si128};
    const WORD: usize = size_of::<__m128i>();
    for at in (0..len).step_by(LINE) {
        for part in (at..at + LINE).step_by(WORD) {
            // SAFETY: it lies within what the caller vouches for; every x86-64 has these instructions.
            unsafe { _mm_storeu_si128(to.add(part).cast(), _mm_loadu_si128(from.add(part).cast())) };
        }
    }
}

/// Other processors find their own way.
///
/// # Safety
/// As many bytes are there.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn by_words(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: as the caller has it.
    unsafe { to.copy_from_nonoverlapping(from, len) };
}

/// Other processors find their own way.
///
/// # Safety
/// As many bytes are there.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn stream(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: as the caller has it.
    unsafe { to.copy_from_nonoverlapping(from, len) };
}

const LINE: usize = 64;
/// Shorter ones are read from the cache soon.
const LONG: usize = 8 << 10;
/// Less than this lies in the cache from the last time that it was read into, or may.
const FAR: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_place_arrives() {
        let from: Vec<u8> = (0..3 * LONG).map(|at| ((at * 31) >> 3) as u8).collect();
        for (start, place, len) in
            [(0, 0, LONG), (1, 7, LONG + 1), (3, 63, 2 * LONG + 5), (9, 1, 100), (0, 5, 0)]
        {
            for wanted in [None, Some(0), Some(FAR)] {
                let mut to = vec![0; from.len()];
                let (source, target) = (from[start..].as_ptr(), to[place..].as_mut_ptr());
                // SAFETY: both are longer.
                unsafe {
                    wanted
                        .map_or_else(|| away(source, target, len), |wanted| home(source, target, len, wanted))
                };
                assert_eq!(to[place..place + len], from[start..start + len]);
                assert!(to[..place].iter().chain(&to[place + len..]).all(|&byte| byte == 0));
            }
        }
    }
}
