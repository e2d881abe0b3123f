//! Epoll sets: what the program asks of them, and what it is told.

use super::registry::{self, Watch};
use crate::connection::Connection;
use crate::{errno, next};
use launch::Reason;
use libc::{
    EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLERR, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN, EPOLLONESHOT,
    EPOLLOUT, EPOLLRDHUP, EPOLLRDNORM, EPOLLWRNORM, c_int, epoll_event,
};

/// The program changes what a set watches of a connection.
///
/// # Safety
/// The event is there, or null where none is needed.
pub unsafe fn control(
    set: c_int,
    operation: c_int,
    fd: c_int,
    event: *mut epoll_event,
    connection: Connection,
) -> c_int {
    // SAFETY: as the caller has it.
    let answer = unsafe { next::epoll_ctl(set, operation, fd, event) };
    if answer != 0 {
        return answer;
    }
    errno::kept(|| match operation {
        EPOLL_CTL_ADD | EPOLL_CTL_MOD => {
            // SAFETY: the kernel has read the event from there.
            let mut event = unsafe { event.read_unaligned() };
            if event.events & EPOLLEXCLUSIVE as u32 != 0 {
                // It cannot be changed later, so it stays as it is.
                connection.stay(Reason::Watched);
                event.events &= !(EPOLLEXCLUSIVE as u32);
            }
            registry::record(set, fd, connection, event);
        }
        EPOLL_CTL_DEL => registry::forget(connection, set, fd),
        _ => {}
    });
    answer
}

/// Puts what the kernel told into the program's terms; the answer is how many events are left.
///
/// # Safety
/// `count` events are there.
pub unsafe fn translate(events: *mut epoll_event, count: c_int) -> c_int {
    let Ok(count) = usize::try_from(count) else { return count };
    // SAFETY: the kernel wrote so many; the type has no alignment to keep.
    let events = unsafe { std::slice::from_raw_parts_mut(events, count) };
    if !events.iter().any(|event| registry::decode(event.u64).is_some()) {
        return count as c_int;
    }
    errno::kept(|| translate_ours(events)) as c_int
}

fn translate_ours(events: &mut [epoll_event]) -> usize {
    // First in our terms, so that both halves of a watch are found to be one; then in the program's.
    let mut left = 0;
    for index in 0..events.len() {
        let event = events[index];
        let Some((number, is_carrier)) = registry::decode(event.u64) else {
            events[left] = event;
            left += 1;
            continue;
        };
        let told = registry::get(number).map_or(0, |watch| told(watch, event.events, is_carrier));
        if told == 0 {
            continue;
        }
        let tag = event.u64 & !1;
        let other = events[..left].iter_mut().find(|other| { other.u64 } == tag);
        if let Some(other) = other {
            other.events |= told;
            continue;
        }
        events[left] = epoll_event { events: told, u64: tag };
        left += 1;
    }
    for event in &mut events[..left] {
        let Some((number, _)) = registry::decode(event.u64) else { continue };
        let Some(watch) = registry::get(number) else { continue };
        event.u64 = watch.data;
        if watch.events & EPOLLONESHOT as u32 != 0 {
            registry::spend(number);
        }
    }
    left
}

/// What one half of a watch tells the program.
fn told(watch: Watch, events: u32, is_carrier: bool) -> u32 {
    if !is_carrier {
        return events;
    }
    let Some(connection) = Connection::at(watch.connection) else { return 0 };
    let ended = (EPOLLHUP | EPOLLRDHUP | EPOLLERR) as u32;
    let readable = (EPOLLIN | EPOLLRDNORM) as u32;
    let writable = (EPOLLOUT | EPOLLWRNORM) as u32;
    let mut told = 0;
    if events & (readable | ended) != 0 && watch.events & readable != 0 {
        let is_sure = events & ended == 0 && connection.is_read_by_carrier();
        if is_sure || connection.has_carried(watch.fd) {
            told |= readable & watch.events;
        }
    }
    if events & (writable | ended) != 0 && connection.sends_by_carrier() {
        told |= writable & watch.events;
    }
    told
}
