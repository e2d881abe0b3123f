//! One suite that every device passes: local or remote, at once or by events.
//!
//! [`run`] drives a device as a shard does, by what the contract says and nothing else, with requests drawn from a seed,
//! and compares what it reads with what it wrote. It does not measure, and it injects no fault: a crash comes from the
//! [`Setting`], which alone knows how to cut its device's power.

mod bounds;
mod closing;
mod content;
mod crowd;
mod durability;
mod growth;
mod shadow;
mod space;
mod user;
mod workload;

use crate::{BlockDevice, Io, Status};
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::time::{Time, earliest};
use thiserror::Error;

/// A device to be examined, and the world it lives in.
pub trait Setting {
    /// The environment of the device's user.
    fn env(&mut self) -> &mut dyn Env;

    /// A new device, all zeros, of at least 64 blocks. The one before was closed.
    fn make(&mut self) -> Rc<dyn BlockDevice>;

    /// What this kind of device promises.
    fn promises(&self) -> Promises;

    /// Lets the world go on until something happens, `until` at the latest, and hands to the device what is its.
    fn turn(&mut self, device: &dyn BlockDevice, until: Time) {
        turn(self.env(), device, until);
    }

    /// Cuts the device's power and makes it anew from what was on stable storage. `None` if this setting cannot.
    fn crash(&mut self, device: Rc<dyn BlockDevice>) -> Option<Rc<dyn BlockDevice>> {
        let _ = device;
        None
    }
}

/// What a kind of device promises beyond the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promises {
    /// Reads give what was written.
    pub keeps: bool,
    /// [`BlockDevice::resize`] makes it longer.
    pub grows: bool,
    /// It knows the operations that are made of others.
    pub composes: bool,
}

/// What a device did wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// A request went otherwise than it should.
    #[error("{io:?} ended as {got:?}, not as {expected:?}")]
    Outcome {
        /// The request.
        io: Io,
        /// How it should have gone.
        expected: Status,
        /// How it went.
        got: Status,
    },
    /// A read gave something else than what was written.
    #[error("block {lba} reads as what was never written there, or no longer is")]
    Content {
        /// The block.
        lba: u64,
    },
    /// A read's data is not as long as its blocks, or not in the request's memory though that was not left open.
    #[error("the data of {io:?} is in the wrong place")]
    Place {
        /// The request.
        io: Io,
    },
    /// A completion of a request that is not under way: completed twice, or never asked for.
    #[error("a completion with tag {tag:#x}, which is not under way")]
    Unasked {
        /// The tag.
        tag: u64,
    },
    /// Requests were never completed.
    #[error("{left} requests are never completed")]
    Silent {
        /// How many.
        left: usize,
    },
    /// A refused request came back as another.
    #[error("{io:?} was handed back altered")]
    Altered {
        /// The request.
        io: Io,
    },
    /// A channel with nothing under way refused a request.
    #[error("{io:?} was refused with nothing under way")]
    RefusedIdle {
        /// The request.
        io: Io,
    },
    /// What was on stable storage is gone after a crash.
    #[error("block {lba} lost what was acknowledged as stable")]
    Lost {
        /// The block.
        lba: u64,
    },
    /// What the device says of the space behind a block is not so.
    #[error("the extent at block {lba} is not what the device says")]
    Extent {
        /// The block.
        lba: u64,
    },
    /// The size is not what it should be.
    #[error("the device has {got} blocks, not {expected}")]
    Size {
        /// What it should be.
        expected: u64,
        /// What it is.
        got: u64,
    },
    /// The device did not grow though it promised to.
    #[error("growing ended as {got:?}")]
    Growth {
        /// How it went.
        got: Status,
    },
    /// I/O buffers are still out after everything is done and closed.
    #[error("{buffers} buffers were not given back")]
    Leak {
        /// How many.
        buffers: usize,
    },
}

/// Examines a kind of device: every check, with a device of its own and everything random drawn from `seed`.
pub fn run(setting: &mut dyn Setting, seed: u64) -> Result<(), Fault> {
    for check in CHECKS {
        let before = setting.env().mem().buffers_taken();
        let device = setting.make();
        let device = check(setting, device, seed)?;
        closing::close(setting, &*device);
        let after = setting.env().mem().buffers_taken();
        if after != before {
            return Err(Fault::Leak { buffers: after.saturating_sub(before) });
        }
    }
    Ok(())
}

/// A turn of a shard that has one device: waits for events until `until` or the device's own deadline, and hands over
/// what has come.
pub fn turn(env: &mut dyn Env, device: &dyn BlockDevice, until: Time) {
    let mut events: Vec<Event> = Vec::new();
    env.poll(&mut events, earliest(device.deadline(), Some(until)));
    for event in &events {
        device.handle_event(env, event);
    }
    if device.deadline().is_some_and(|deadline| deadline <= env.now()) {
        device.handle_timeout(env);
    }
}

/// Takes the device it may spoil, and gives back the one that is then to be closed.
type Check = fn(&mut dyn Setting, Rc<dyn BlockDevice>, u64) -> Result<Rc<dyn BlockDevice>, Fault>;

const CHECKS: [Check; 9] = [
    bounds::requests_that_do_not_fit,
    crowd::many_at_once,
    crowd::channels_of_their_own,
    content::random_requests,
    content::zeros,
    space::extents_are_true,
    durability::flushed_is_stable,
    growth::grows_online,
    closing::closed_with_requests_under_way,
];
