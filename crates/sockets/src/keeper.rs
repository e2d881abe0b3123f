//! The thread that moves a fabric's streams while no thread of the program's does.
//!
//! A program that has written its last byte goes on to other things, and expects what it wrote to arrive; and peers expect answers while
//! it computes. So this thread looks now and then whether others have made turns, and makes them itself where they have not. It never leads:
//! who waits in a call looks and sleeps as if it were alone. Once there is nothing to do it rests, until a thread of the program's was
//! there again, or, where none of them sleeps in a call, until something comes; an idle fabric costs nothing.

use crate::waiting::Shared;
use reactor::Doorbell;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Weak};
use std::time::Duration;
use stdx::env::Env;

/// How the keeper waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keeper {
    /// For a moment, or not at all.
    Pacing,
    /// Until it is rung: somebody else was there.
    Resting,
}

/// What comes next.
enum Pause {
    /// More turns.
    None,
    /// A look in a while.
    Pace,
    /// Nothing, until it is rung.
    Rest,
    /// Nothing, until it is rung, something comes, or so long from now.
    Watch(Option<Duration>),
}

/// Starts it. It ends with the fabric.
pub(crate) fn start(shared: &Arc<Shared>) -> io::Result<()> {
    let (weak, bell) = (Arc::downgrade(shared), Arc::clone(&shared.keepers_bell));
    let set = shared.descriptor().try_clone_to_owned()?;
    let keep = move || {
        let mut turns = 0;
        while let Some(pause) = step(&weak, &mut turns) {
            match pause {
                Pause::None => std::thread::yield_now(),
                Pause::Pace => bell.wait(bell.as_fd(), Some(PACE)),
                Pause::Rest => bell.wait(bell.as_fd(), None),
                Pause::Watch(limit) => bell.wait(set.as_fd(), limit),
            }
        }
    };
    std::thread::Builder::new().name("sdp".into()).spawn(keep).map(drop)
}

/// `None` once the fabric is gone. `turns` is how many there were the last time.
fn step(shared: &Weak<Shared>, turns: &mut u64) -> Option<Pause> {
    let shared = shared.upgrade()?;
    let mut state = shared.lock();
    state.keeper = Keeper::Pacing;
    let (is_quiet, is_led) = (state.turns == *turns, state.leader.is_some());
    let has_found = is_quiet && !is_led && state.turn();
    shared.tell(&mut state);
    *turns = state.turns;
    if has_found {
        return Some(Pause::None);
    }
    if !is_quiet || !is_led && state.is_awake() {
        return Some(Pause::Pace);
    }
    state.keeper = Keeper::Resting;
    if is_led {
        return Some(Pause::Rest);
    }
    state.env.rest();
    let now = state.env.now();
    Some(Pause::Watch(state.deadline().map(|at| at.since(now))))
}

/// How often it looks whether others make turns.
const PACE: Duration = Duration::from_millis(5);

/// Somebody of the program's was there, and may have left things to do.
pub(crate) fn rouse(keeper: &mut Keeper, bell: &Doorbell) {
    if *keeper == Keeper::Resting {
        *keeper = Keeper::Pacing;
        bell.ring();
    }
}
