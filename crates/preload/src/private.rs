//! Descriptors of ours, put where the program does not come across them.
//!
//! A program counts on getting the lowest free number, and on getting as many as its limit says. So ours lie above that limit
//! where the system lets us: the limit is lifted for the moment in which the descriptor is made. Where it does not, ours
//! take no more than a quarter of what the program has.

use crate::descriptors::{self, DESCRIPTORS, Entry};
use crate::next;
use libc::{F_DUPFD_CLOEXEC, RLIMIT_NOFILE, c_int, rlimit};
use std::sync::atomic::{AtomicU32, Ordering};

/// How many there are.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// Moves a descriptor that was just made out of the program's way; it is closed if that cannot be.
pub fn keep(fd: c_int) -> Option<c_int> {
    if fd < 0 {
        return None;
    }
    let moved = move_up(fd);
    // SAFETY: whoever made the descriptor gave it to us; nobody knows its number.
    unsafe { next::close(fd) };
    let moved = moved?;
    COUNT.fetch_add(1, Ordering::Relaxed);
    descriptors::set(moved, Entry::Private);
    Some(moved)
}

/// Closes one of ours.
pub fn close(fd: c_int) {
    if descriptors::get(fd) == Entry::Private {
        descriptors::set(fd, Entry::Foreign);
        COUNT.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: it is ours, as the table says.
        unsafe { next::close(fd) };
    }
}

fn move_up(fd: c_int) -> Option<c_int> {
    let limit = limits(None)?;
    let lifted = rlimit { rlim_cur: limit.rlim_max, rlim_max: limit.rlim_max };
    let top = (DESCRIPTORS as u64).min(limit.rlim_max);
    if limit.rlim_cur < top && limits(Some(lifted)).is_some() {
        let moved = duplicate(fd, limit.rlim_cur);
        limits(Some(limit));
        return moved.filter(|&moved| (moved as usize) < DESCRIPTORS || give_back(moved));
    }
    let share = top.min(limit.rlim_cur) / 4;
    let is_room = u64::from(COUNT.load(Ordering::Relaxed)) < share;
    let moved = is_room.then(|| duplicate(fd, top.min(limit.rlim_cur) - share)).flatten();
    moved.filter(|&moved| (moved as usize) < DESCRIPTORS || give_back(moved))
}

fn give_back(fd: c_int) -> bool {
    // SAFETY: it was made a moment ago, and nobody knows it.
    unsafe { next::close(fd) };
    false
}

fn duplicate(fd: c_int, from: u64) -> Option<c_int> {
    // SAFETY: it takes two numbers.
    let moved = unsafe { next::fcntl(fd, F_DUPFD_CLOEXEC, from) };
    (moved >= 0).then_some(moved)
}

/// The limit as it was; it is changed if another is given.
fn limits(to: Option<rlimit>) -> Option<rlimit> {
    let mut before = rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = to.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both are limits on our stack, or null.
    let answer = unsafe { libc::prlimit(0, RLIMIT_NOFILE, new, &mut before) };
    (answer == 0).then_some(before)
}
