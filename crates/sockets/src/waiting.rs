//! Waiting among threads: whoever waits looks for itself, one of them sleeps for all, and nobody sleeps holding anything.
//!
//! ```text
//!   looks again and again while something came lately     nobody leads: it leads       someone leads: it follows
//!   (each look takes the lock anew)            ------->   sleeps on descriptors,  or   sleeps until its own socket
//!                                                         and is rung for its own      has news, or the lead is free
//! ```
//!
//! Whoever leads is not rung for each thing that others find: while they look it only watches, waking now and then, and sees
//! when they are gone. Once it has found something for one that sleeps it watches, too: that one looks from then on, so that the thread
//! which bytes come for is the one that sees them.

use crate::keeper;
use crate::state::{Leader, Sleep, State};
use reactor::Doorbell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::env::Env;
use stdx::slab::Key;
use stdx::time::Time;

/// A state that threads share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Wakes who leads.
    bell: Doorbell,
    /// Wakes the keeper.
    pub(crate) keepers_bell: Arc<Doorbell>,
    /// The reactor's set.
    set: OwnedFd,
}

impl Shared {
    pub(crate) fn new(state: State) -> Result<Self, crate::OpenError> {
        let set = state.env.descriptor().try_clone_to_owned()?;
        Ok(Self {
            state: Mutex::new(state),
            bell: Doorbell::new()?,
            keepers_bell: Arc::new(Doorbell::new()?),
            set,
        })
    }

    /// Takes the state. A thread that panicked left it as whole as any.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    /// Does what there is to do; true if anything came of it.
    pub(crate) fn turn(&self) -> bool {
        let mut state = self.lock();
        let found = state.turn();
        self.tell(&mut state);
        self.leave(&mut state);
        found
    }

    /// How long until the next turn is due, and readies the descriptor.
    pub(crate) fn rest(&self) -> Option<Duration> {
        let mut state = self.lock();
        state.env.rest();
        let now = state.env.now();
        state.deadline().map(|at| at.since(now))
    }

    /// Does something at once, and tells those whom it concerns.
    pub(crate) fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let done = act(&mut state);
        self.tell(&mut state);
        self.leave(&mut state);
        done
    }

    /// Tries until something comes of it; `None` if that takes longer than `timeout`. What is tried is asked of `socket`.
    pub(crate) fn wait<T>(
        &self,
        socket: Key,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        if let Some(done) = attempt(&mut state) {
            self.tell(&mut state);
            self.leave(&mut state);
            return Some(done);
        }
        let until = timeout.map(|timeout| state.env.now() + timeout);
        if let Some(found) = state.socket(socket) {
            found.waiters += 1;
        }
        let (mut looks, mut leads, mut turns) = (0, false, state.turns);
        let done = loop {
            let is_alone = state.turns == turns;
            state.turn();
            turns = state.turns;
            let has_woken = self.tell(&mut state);
            let done = attempt(&mut state);
            if done.is_some() || until.is_some_and(|until| state.env.now() >= until) {
                break done;
            }
            looks += 1;
            let may_lead = leads || state.leader.is_none();
            let is_watched = state.leader.is_some_and(|leader| leader.sleep == Sleep::Watching);
            let is_looker = (may_lead || is_watched) && is_alone;
            let looks_on = is_looker || looks < LOOKS_BESIDE && state.followers.is_empty();
            // Whoever leads and woke another leaves the looking to it, and who looks beside lets it run: it may need this very processor.
            let gives_lead = may_lead && has_woken;
            state = if state.is_awake() && !gives_lead && looks_on {
                let has_others = looks.is_multiple_of(LOOKS_BETWEEN) && !state.followers.is_empty();
                let is_needed = state.roused > 0 || has_others;
                drop(state);
                match is_needed {
                    true => std::thread::yield_now(),
                    false => core::hint::spin_loop(),
                }
                self.lock()
            } else if may_lead {
                // Others look: it looks no further if they still do when it wakes.
                looks = if state.is_awake() { LOOKS_BESIDE } else { 0 };
                leads = true;
                self.sleep(state, socket, until)
            } else {
                looks = 0;
                follow(state, socket, until)
            };
        };
        if let Some(found) = state.socket(socket) {
            found.waiters -= 1;
        }
        if leads {
            state.leader = None;
            state.hand_over();
        }
        self.tell(&mut state);
        self.leave(&mut state);
        done
    }

    /// The thread goes back to the program's own business.
    fn leave(&self, state: &mut State) {
        keeper::rouse(&mut state.keeper, &self.keepers_bell);
    }

    /// Sleeps for all.
    fn sleep<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        socket: Key,
        until: Option<Time>,
    ) -> MutexGuard<'a, State> {
        let now = state.env.now();
        let (sleep, timeout) = match state.is_awake() {
            true => (Sleep::Watching, Some(WATCH)),
            false => (Sleep::Deep, state.deadline().map(|at| at.since(now))),
        };
        let left = until.map(|until| until.since(now));
        let timeout = timeout.into_iter().chain(left).min();
        state.env.rest();
        state.leader = Some(Leader { socket, sleep });
        drop(state);
        self.bell.wait(self.set.as_fd(), timeout);
        let mut state = self.lock();
        state.leader = Some(Leader { socket, sleep: Sleep::None });
        state
    }

    /// Wakes those whose sockets have news, and who leads if turns are due that nobody may take. Whether there was one that slept beside
    /// who leads.
    pub(crate) fn tell(&self, state: &mut State) -> bool {
        let (mut rings, mut roused) = (false, 0);
        while let Some(key) = state.poll_woken() {
            let is_leaders = state.leader.is_some_and(|leader| leader.socket == key);
            rings |= is_leaders && state.leader.is_some_and(|leader| leader.sleep != Sleep::None);
            if let Some(found) = state.socket(key) {
                found.wakers.drain(..).for_each(std::task::Waker::wake);
                if found.sleepers > 0 {
                    found.condvar.notify_all();
                    roused += found.sleepers - found.roused;
                    found.roused = found.sleepers;
                }
            }
        }
        let is_deep = state.leader.is_some_and(|leader| leader.sleep == Sleep::Deep);
        if is_deep && state.is_awake() {
            rings = true;
        }
        if rings && let Some(leader) = &mut state.leader {
            leader.sleep = Sleep::None;
            self.bell.ring();
        }
        state.roused += roused;
        roused > 0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.keepers_bell.ring();
    }
}

/// Sleeps until the socket has news, or there is nobody who looks for all.
fn follow<'a>(mut state: MutexGuard<'a, State>, socket: Key, until: Option<Time>) -> MutexGuard<'a, State> {
    let now = state.env.now();
    let timeout = until.map_or(FOLLOW, |until| until.since(now)).min(FOLLOW);
    let Some(found) = state.socket(socket) else { return state };
    found.sleepers += 1;
    let condvar = Arc::clone(&found.condvar);
    state.followers.push(socket);
    let (mut state, _) = condvar.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = state.socket(socket) {
        found.sleepers -= 1;
        let was_roused = found.roused > 0;
        found.roused -= u32::from(was_roused);
        state.roused -= u32::from(was_roused);
    }
    if let Some(place) = state.followers.iter().position(|follower| *follower == socket) {
        state.followers.swap_remove(place);
    }
    state
}

/// How often who leads looks while others do.
const WATCH: Duration = Duration::from_millis(1);
/// How long a follower sleeps without looking itself, at most.
const FOLLOW: Duration = Duration::from_millis(500);
/// After so many looks the processor is offered to threads that are about to handle what they got, where there are several.
const LOOKS_BETWEEN: u32 = 8;
/// Looks of one who waits beside another that leads, before it follows; of more than two, all but one follow at once.
const LOOKS_BESIDE: u32 = 32;
