//! When to look for events without asking the kernel's set, when to ask it, and when to sleep.
//!
//! A request answered over one connection costs one receive and one send; asking epoll first would add a third call to
//! every turn, and being woken from a sleep costs more than the answer. So for a short while after the last useful event
//! the reactor does not sleep, and while only a few sockets are active it lets their owners simply try them.

use core::time::Duration;
use stdx::slab::Key;
use stdx::time::Time;

/// Which sockets were lately useful, and when.
///
/// What was useful counts from the beginning of its turn. So a turn that takes longer than the reactor spins is followed by
/// a sleep: the peer has as much to do now, and receiving in vain while it sends only makes it wait for the socket's lock.
/// (Counting from the turn's end was measured: 4 KiB requests gain nothing, 128 KiB writes lose a tenth.)
#[derive(Debug)]
pub(crate) struct Pace {
    spin: Duration,
    useful_until: Time,
    crowded_until: Time,
    active: [Option<Active>; ACTIVE_MAX],
    ask_at: Time,
    /// Memory that other processes write is worth looking into until then.
    memory_until: Time,
    /// How often it was looked into in vain since it last brought something.
    vain_looks: u32,
    /// How much was looked at since the clock was read.
    looks: u32,
    /// Some socket is active until then.
    sockets_until: Time,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    socket: Socket,
    until: Time,
}

/// A socket, by its place in its table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Socket {
    /// One of a stream.
    Stream(Key),
    /// One of datagrams.
    Datagrams(Key),
}

/// What a turn does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Try the active sockets.
    Try,
    /// Ask the set, without waiting.
    Ask,
    /// Nothing was useful for a while: wait in the kernel.
    Sleep,
}

impl Pace {
    /// Spins for `spin` after each useful event.
    pub(crate) const fn new(spin: Duration) -> Self {
        Self {
            spin,
            useful_until: Time::ZERO,
            crowded_until: Time::ZERO,
            active: [None; ACTIVE_MAX],
            ask_at: Time::ZERO,
            memory_until: Time::ZERO,
            vain_looks: 0,
            looks: 0,
            sockets_until: Time::ZERO,
        }
    }

    /// Something useful happened that is not of a socket.
    pub(crate) fn useful(&mut self, now: Time) {
        self.useful_until = now + self.spin;
    }

    /// Bytes came on this socket.
    pub(crate) fn useful_socket(&mut self, now: Time, socket: Socket) {
        let until = now + self.spin;
        (self.useful_until, self.sockets_until) = (until, until);
        if let Some(active) = self.active.iter_mut().flatten().find(|active| active.socket == socket) {
            active.until = until;
            return;
        }
        match self.active.iter_mut().find(|place| place.is_none_or(|active| active.until <= now)) {
            Some(place) => *place = Some(Active { socket, until }),
            None => self.crowded_until = until,
        }
    }

    /// Memory that other processes write was looked into.
    pub(crate) fn looked(&mut self, now: Time, found: bool) {
        if found {
            (self.memory_until, self.useful_until) = (now + self.spin, now + self.spin);
            (self.vain_looks, self.looks) = (0, self.looks + LOOKS_A_FIND);
        } else {
            self.vain_looks = self.vain_looks.saturating_add(1);
        }
    }

    /// True while who looks into memory comes back so soon that the time is as good as the same. If not, it is read now.
    pub(crate) const fn is_same_time(&mut self, now: Time) -> bool {
        self.looks += 1;
        let is_same = now.as_nanos() < self.memory_until.as_nanos() && self.looks < LOOKS_A_TIME;
        if !is_same {
            self.looks = 0;
        }
        is_same
    }

    /// True while memory is all that was lately useful, and its writer has the processor that it needs.
    pub(crate) const fn is_memory_alone(&self, now: Time) -> bool {
        now.as_nanos() >= self.sockets_until.as_nanos() && !self.gives_way()
    }

    /// True now and then while memory is looked into in vain: who is to write it may need this processor.
    pub(crate) const fn gives_way(&self) -> bool {
        self.vain_looks >= LOOKS && self.vain_looks.is_multiple_of(LOOKS_BETWEEN)
    }

    /// The socket is gone.
    pub(crate) fn forget(&mut self, socket: Socket) {
        for place in &mut self.active {
            place.take_if(|active| active.socket == socket);
        }
    }

    /// What to do in the turn that begins now. The owner `comes_back` at once if nothing is told: it looks into memory, or
    /// has more to do.
    pub(crate) fn turn(&mut self, now: Time, comes_back: bool) -> Turn {
        if now >= self.useful_until {
            return Turn::Sleep;
        }
        let looks = comes_back && now < self.memory_until;
        let nothing_to_try = !looks && self.active(now).next().is_none();
        if now >= self.ask_at || now < self.crowded_until || nothing_to_try {
            self.ask_at = now + ASK_AFTER;
            return Turn::Ask;
        }
        Turn::Try
    }

    /// The sockets to try.
    pub(crate) fn active(&self, now: Time) -> impl Iterator<Item = Socket> {
        let active = self.active.iter().flatten();
        active.filter(move |active| active.until > now).map(|active| active.socket)
    }
}

/// With more active sockets than this, most tries would be in vain.
const ACTIVE_MAX: usize = 8;

/// So often memory is looked into before the processor is offered to others, and so often between two offers.
const LOOKS: u32 = 800;
const LOOKS_BETWEEN: u32 = 32;

/// Looks for which the clock is read once: reading it costs as much as looking into memory. One that finds something takes longer.
const LOOKS_A_TIME: u32 = 16;
const LOOKS_A_FIND: u32 = 3;

/// How long the set is not asked, at most: new connections and quiet sockets wait no longer than this, and one turn.
const ASK_AFTER: Duration = Duration::from_micros(50);

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::slab::Slab;

    const SPIN: Duration = Duration::from_micros(100);

    fn keys(count: usize) -> Vec<Socket> {
        let mut slab = Slab::new(count);
        (0..count).map(|_| Socket::Stream(slab.insert(()).unwrap())).collect()
    }

    #[test]
    fn it_sleeps_at_first_and_when_the_time_is_over() {
        let mut pace = Pace::new(SPIN);
        assert_eq!(pace.turn(Time::ZERO, false), Turn::Sleep);
        pace.useful_socket(Time::ZERO, keys(1)[0]);
        assert_eq!(pace.turn(Time::ZERO, false), Turn::Ask);
        assert_eq!(pace.turn(Time::ZERO, false), Turn::Try);
        assert_eq!(pace.turn(Time::ZERO + SPIN, false), Turn::Sleep);
    }

    #[test]
    fn the_set_is_asked_now_and_then() {
        let mut pace = Pace::new(SPIN);
        let stream = keys(1)[0];
        let turns = (0..1000).map(|turn| {
            let now = Time::from_nanos(turn * 1000);
            pace.useful_socket(now, stream);
            pace.turn(now, false)
        });
        let turns: Vec<_> = turns.collect();
        assert_eq!(turns.iter().filter(|&&turn| turn == Turn::Ask).count(), 20);
        assert!(!turns.contains(&Turn::Sleep));
    }

    #[test]
    fn a_crowd_is_asked_for_together() {
        let mut pace = Pace::new(SPIN);
        for stream in keys(ACTIVE_MAX + 1) {
            pace.useful_socket(Time::ZERO, stream);
        }
        assert_eq!(pace.turn(Time::ZERO, false), Turn::Ask);
        assert_eq!(pace.turn(Time::ZERO, false), Turn::Ask);
    }

    #[test]
    fn a_stream_that_is_gone_is_not_tried() {
        let mut pace = Pace::new(SPIN);
        let keys = keys(2);
        pace.useful_socket(Time::ZERO, keys[0]);
        pace.useful_socket(Time::ZERO, keys[1]);
        pace.forget(keys[0]);
        assert_eq!(pace.active(Time::ZERO).collect::<Vec<_>>(), [keys[1]]);
    }

    #[test]
    fn without_spinning_it_always_sleeps() {
        let mut pace = Pace::new(Duration::ZERO);
        pace.useful_socket(Time::ZERO, keys(1)[0]);
        assert_eq!(pace.turn(Time::ZERO, false), Turn::Sleep);
    }

    #[test]
    fn who_looks_into_memory_is_let() {
        let mut pace = Pace::new(SPIN);
        pace.looked(Time::ZERO, true);
        assert_eq!(pace.turn(Time::ZERO, true), Turn::Ask);
        assert_eq!(pace.turn(Time::ZERO, true), Turn::Try);
        assert_eq!(pace.turn(Time::ZERO, false), Turn::Ask, "who waits is told by the set alone");
        let ways = (0..2 * LOOKS).filter(|_| {
            pace.looked(Time::ZERO, false);
            pace.gives_way()
        });
        assert!((1..=LOOKS).contains(&(ways.count() as u32)));
        assert_eq!(pace.turn(Time::ZERO + SPIN, true), Turn::Sleep);
    }
}
