//! Epoll sets: what the program asks of them, and what it is told.

use super::registry;
use crate::connection::{self, Connection};
use crate::descriptors::{self, Entry};
use crate::{errno, next, pace};
use launch::Reason;
use launch::page::Phase;
use libc::{
    EINVAL, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLERR, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP,
    EPOLLIN, EPOLLOUT, EPOLLWAKEUP, c_int, epoll_event,
};
use std::time::{Duration, Instant};

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
    // SAFETY: the caller has an event there, or null.
    let asked = if event.is_null() { None } else { Some(unsafe { event.read_unaligned() }) };
    match errno::kept(|| registry::change(set, operation, fd, connection, asked)) {
        None => {}
        Some(0) => return 0,
        Some(error) => return errno::fail(error) as c_int,
    }
    let is_exclusive = asked.is_some_and(|event| event.events & EXCLUSIVE != 0);
    if is_exclusive {
        // What the kernel watches so cannot be changed later.
        connection.stay(Reason::Watched);
    }
    let answer = match asked {
        Some(mut event) if is_exclusive && operation == EPOLL_CTL_ADD && connection.phase() == Phase::Met => {
            if event.events & !EXCLUSIVE_MAY != 0 {
                return errno::fail(EINVAL) as c_int;
            }
            // More of those that wait may be woken than one.
            event.events &= !EXCLUSIVE;
            // SAFETY: the event is on our stack.
            unsafe { next::epoll_ctl(set, operation, fd, &mut event) }
        }
        // SAFETY: as the caller has it.
        _ => unsafe { next::epoll_ctl(set, operation, fd, event) },
    };
    if answer != 0 {
        return answer;
    }
    errno::kept(|| match (operation, asked) {
        (EPOLL_CTL_ADD | EPOLL_CTL_MOD, Some(event)) => registry::record(set, fd, connection, event),
        (EPOLL_CTL_DEL, _) => registry::forget(connection, set, fd),
        _ => {}
    });
    answer
}

/// Where the program wants its events.
struct Events {
    place: *mut epoll_event,
    count: usize,
    room: usize,
}

impl Events {
    /// Those that were told already.
    fn told(&mut self) -> &mut [epoll_event] {
        // SAFETY: so many were written; the type has no alignment to keep.
        unsafe { std::slice::from_raw_parts_mut(self.place, self.count) }
    }

    /// Adds one, to that of the same watch if there is one.
    fn add(&mut self, event: epoll_event) {
        let tag = event.u64;
        if let Some(other) = self.told().iter_mut().find(|other| { other.u64 } == tag) {
            other.events |= event.events;
        } else if self.count < self.room {
            // SAFETY: there is room for one more.
            unsafe { self.place.add(self.count).write_unaligned(event) };
            self.count += 1;
        }
    }
}

/// Waits as epoll_wait does. `ask` asks the kernel: for so many events, at this place, for as long as is said or, where
/// nothing is said, as the program has it.
///
/// # Safety
/// There is room for as many events as is said.
pub unsafe fn wait(
    set: c_int,
    place: *mut epoll_event,
    room: c_int,
    limit: Option<Duration>,
    ask: &dyn Fn(*mut epoll_event, c_int, Option<Duration>) -> c_int,
) -> c_int {
    let Entry::Set(set) = descriptors::get(set) else { return ask(place, room, None) };
    if place.is_null() || room <= 0 {
        return ask(place, room, None);
    }
    let mut events = Events { place, count: 0, room: room as usize };
    if !connection::has_any_met() {
        // Should one meet its peer meanwhile, its bell rings.
        let told = ask(place, room, None);
        if !connection::has_any_met() {
            return told;
        }
        events.count = usize::try_from(told).unwrap_or(0);
        errno::kept(|| translate(set, &mut events, 0));
        if told <= 0 || events.count > 0 {
            return if told <= 0 { told } else { finish(&mut events) };
        }
    }
    // Later than any time is never.
    let end = limit.and_then(|limit| Instant::now().checked_add(limit));
    let mut is_first = true;
    if errno::kept(|| registry::is_kernel_first(set)) {
        ask_in_passing(set, &mut events, ask);
    }
    loop {
        errno::kept(|| look(set, &mut events));
        if events.count > 0 {
            let has_room = events.count < events.room;
            if errno::kept(|| registry::is_kernel_due(set, has_room)) && has_room {
                ask_in_passing(set, &mut events, ask);
            }
            return finish(&mut events);
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let may_sleep = left != Some(Duration::ZERO);
        if may_sleep && errno::kept(|| registry_is_soon_ready(set, left)) {
            continue;
        }
        if may_sleep && !errno::kept(|| registry::fall_asleep(set)) {
            continue;
        }
        errno::kept(registry::settle_nested);
        let told = ask(place, room, if is_first && may_sleep { None } else { left });
        is_first = false;
        if may_sleep {
            errno::kept(|| registry::wake(set));
        }
        if told < 0 {
            return told;
        }
        events.count = told as usize;
        errno::kept(|| {
            translate(set, &mut events, 0);
            look(set, &mut events);
        });
        if events.count > 0 {
            return finish(&mut events);
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            return 0;
        }
    }
}

/// Looks for a moment.
fn registry_is_soon_ready(set: c_int, left: Option<Duration>) -> bool {
    registry::is_any_hot(set) && pace::look(left, || registry::is_any_ready(set))
}

/// Adds what hot connections have to tell.
fn look(set: c_int, events: &mut Events) {
    let mut found = registry::look(set, events.room - events.count);
    found.events[..found.count].iter().for_each(|&event| events.add(event));
    if found.unsettled.settle() {
        found = registry::look(set, events.room - events.count);
        found.events[..found.count].iter().for_each(|&event| events.add(event));
    }
}

/// Adds what the kernel tells at once.
fn ask_in_passing(
    set: c_int,
    events: &mut Events,
    ask: &dyn Fn(*mut epoll_event, c_int, Option<Duration>) -> c_int,
) {
    let before = events.count;
    // SAFETY: there is more room than that.
    let place = unsafe { events.place.add(before) };
    let told = errno::kept(|| ask(place, (events.room - before) as c_int, Some(Duration::ZERO)));
    events.count += usize::try_from(told).unwrap_or(0);
    errno::kept(|| translate(set, events, before));
}

/// Puts what the kernel told, from some event on, into our terms: bells are heard, and what the program does not want is left out.
fn translate(set: c_int, events: &mut Events, from: usize) {
    let told = events.count;
    events.count = from;
    for index in from..told {
        // SAFETY: the kernel wrote as many.
        let mut event = unsafe { events.place.add(index).read_unaligned() };
        if registry::is_rouser(event.u64) {
            registry::roused(set);
            continue;
        }
        if let Some((number, is_bell)) = registry::decode(event.u64) {
            let watch = registry::get(number);
            if is_bell {
                if let Some(connection) = watch.and_then(|watch| Connection::at(watch.connection)) {
                    connection.heed_bell();
                }
                continue;
            }
            let wanted = watch
                .filter(registry::Watch::is_live)
                .map_or(0, |watch| watch.events | (EPOLLERR | EPOLLHUP) as u32);
            event.events &= wanted;
            if event.events == 0 {
                registry::bother_less(number);
                continue;
            }
        }
        events.add_as_it_is(event);
    }
}

impl Events {
    /// Adds one of the kernel's, of which each watch has one; those of the program's own may look alike.
    fn add_as_it_is(&mut self, event: epoll_event) {
        if registry::decode(event.u64).is_some() {
            return self.add(event);
        }
        // SAFETY: no more are written than the kernel told.
        unsafe { self.place.add(self.count).write_unaligned(event) };
        self.count += 1;
    }
}

/// Puts all into the program's terms; the answer is how many they are.
fn finish(events: &mut Events) -> c_int {
    errno::kept(|| {
        for event in events.told() {
            let Some((number, _)) = registry::decode(event.u64) else { continue };
            event.u64 = registry::get(number).map_or(0, |watch| watch.data);
            registry::spend(number);
        }
    });
    events.count as c_int
}

const EXCLUSIVE: u32 = EPOLLEXCLUSIVE as u32;
/// What may be asked for together with that.
const EXCLUSIVE_MAY: u32 =
    EXCLUSIVE | (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLET | EPOLLWAKEUP) as u32;
