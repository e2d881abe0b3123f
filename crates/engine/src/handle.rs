//! How other threads reach a shard: they send it a closure, which it runs between two turns. No lock is shared, and the
//! shard never waits for anybody.

use crate::Shard;
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use stdx::env::{Env, Waker};
use thiserror::Error;

/// Work for a shard, from another thread.
pub type Call = Box<dyn FnOnce(&mut Shard, &mut dyn Env) + Send>;

/// A way to a shard, for any thread. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    sender: SyncSender<Call>,
    waker: Waker,
}

/// The shard's end: where the calls arrive.
#[derive(Debug)]
pub struct Inbox(Receiver<Call>);

/// Why a shard did not take a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CallError {
    /// Too many calls wait already.
    #[error("the shard has {CALLS_MAX} calls waiting already; try again")]
    Busy,
    /// The shard has ended.
    #[error("the shard has ended")]
    Ended,
}

/// A handle and the inbox it fills. `waker` is the shard's environment's.
pub fn channel(waker: Waker) -> (Handle, Inbox) {
    let (sender, receiver) = mpsc::sync_channel(CALLS_MAX);
    (Handle { sender, waker }, Inbox(receiver))
}

impl Handle {
    /// Has the shard run `call`, once, on its own thread.
    pub fn call(&self, call: Call) -> Result<(), CallError> {
        self.sender.try_send(call).map_err(|error| match error {
            TrySendError::Full(_) => CallError::Busy,
            TrySendError::Disconnected(_) => CallError::Ended,
        })?;
        (self.waker)();
        Ok(())
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl Inbox {
    /// The next call, if one waits.
    pub fn next(&self) -> Option<Call> {
        self.0.try_recv().ok()
    }
}

/// Calls that may wait at a shard.
pub const CALLS_MAX: usize = 1024;
