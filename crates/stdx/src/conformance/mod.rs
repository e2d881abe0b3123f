//! What every [`Env`] must do, as checks that run against any of them: the Linux reactor and the simulator pass the same
//! ones. A check panics where a promise of [`crate::env`] is broken.
//!
//! One `Env` plays both ends, so that a check needs nothing but an address it may listen on, or a directory it may write.

pub mod datagrams;
pub mod files;
pub mod links;
pub mod still;
pub mod streams;

use crate::env::{Env, Event, Owner, What};
use core::time::Duration;

/// Polls until `wanted` picks an event, and returns what it made of the first. It sees every event of each poll; those that
/// nobody wants are dropped, but one for a stranger is a broken promise.
pub fn wait_for<T>(env: &mut dyn Env, owners: &[Owner], mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let deadline = env.now() + PATIENCE;
    let mut events = Vec::new();
    while env.now() < deadline {
        env.poll(&mut events, Some(deadline));
        let mut found = None;
        for event in events.drain(..) {
            assert!(event.owner == Owner::SHARD || owners.contains(&event.owner), "{event:?} is for nobody");
            found = found.or(wanted(event));
        }
        if let Some(found) = found {
            return found;
        }
    }
    panic!("the event never came");
}

/// Polls for a while and returns everything that was told.
pub fn listen_for(env: &mut dyn Env, span: Duration) -> Vec<Event> {
    let deadline = env.now() + span;
    let mut events = Vec::new();
    while env.now() < deadline {
        env.poll(&mut events, Some(deadline));
    }
    events
}

/// A time that passed is waited for, not more, and time never goes back.
pub fn time_passes(env: &mut dyn Env) {
    let mut events = Vec::new();
    env.poll(&mut events, Some(env.now()));
    let start = env.now();
    let deadline = start + Duration::from_millis(20);
    while env.now() < deadline {
        let before = env.now();
        env.poll(&mut events, Some(deadline));
        assert!(env.now() >= before, "time went back");
        assert!(events.is_empty(), "nothing was asked for: {events:?}");
    }
    env.poll(&mut events, Some(start));
}

/// The waker ends a wait without a deadline, and is told to the shard once for one call.
pub fn a_waker_wakes(env: &mut dyn Env) {
    let waker = env.waker();
    waker();
    waker();
    let mut events = Vec::new();
    env.poll(&mut events, None);
    assert_eq!(events, [Event { owner: Owner::SHARD, what: What::Woken }]);
    events.clear();
    env.poll(&mut events, Some(env.now()));
    assert_eq!(events, []);
}

/// How long a check waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);
