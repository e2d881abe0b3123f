//! A user's hold on a volume, so that no second one uses it at the same time and nobody takes it away.
//!
//! A claim is itself a device, and what a user builds on: devices made of others close what they are made of, and closing
//! a claim ends the claim, not the volume.

use super::Volume;
use crate::{BlockDevice, Channel, Done, Extent, Info, Io, Refused, Status};
use std::cell::Cell;
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::mem::Span;
use stdx::time::Time;
use thiserror::Error;

/// A hold on a volume; it ends when it is closed or dropped.
#[derive(Debug)]
pub struct Claim {
    volume: Rc<Volume>,
    /// Shared with the claim's channels.
    ended: Rc<Cell<bool>>,
}

/// Somebody else holds the volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the volume is claimed by {by}")]
pub struct Claimed {
    /// Who, as they called themselves.
    pub by: &'static str,
}

impl Volume {
    /// Holds the volume for one user, who is told to others as `by`.
    pub fn claim(self: &Rc<Self>, by: &'static str) -> Result<Claim, Claimed> {
        if let Some(by) = self.claimed_by.get() {
            return Err(Claimed { by });
        }
        self.claimed_by.set(Some(by));
        Ok(Claim { volume: self.clone(), ended: Rc::default() })
    }

    /// Who holds the volume.
    pub fn claimed_by(&self) -> Option<&'static str> {
        self.claimed_by.get()
    }
}

impl Claim {
    fn end(&self) {
        if !self.ended.replace(true) {
            self.volume.claimed_by.set(None);
        }
    }
}

impl BlockDevice for Claim {
    fn info(&self) -> Info {
        self.volume.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        let (ended, inner) = (self.ended.clone(), self.volume.open());
        Box::new(ClaimChannel { ended, inner, late: Vec::new() })
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.volume.handle_event(env, event);
    }

    fn deadline(&self) -> Option<Time> {
        self.volume.deadline()
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.volume.handle_timeout(env);
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        self.volume.extent(env, lba)
    }

    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        self.volume.resize(env, blocks)
    }

    /// Ends the claim. The volume stays; requests under way end as they would.
    fn close(&self, _: &mut dyn Env) {
        self.end();
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug)]
struct ClaimChannel {
    ended: Rc<Cell<bool>>,
    inner: Box<dyn Channel>,
    /// Requests that came after the end.
    late: Vec<Done>,
}

impl Channel for ClaimChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        if !self.ended.get() {
            return self.inner.submit(env, io);
        }
        if self.late.len() >= crate::device::UNDER_WAY_MAX {
            return Err(Refused(io));
        }
        self.late.push(Done { tag: io.tag, status: Status::Gone, data: Span::EMPTY });
        Ok(())
    }

    fn perform(&mut self, env: &mut dyn Env, io: &Io) -> Option<Span> {
        if self.ended.get() { None } else { self.inner.perform(env, io) }
    }

    fn withdraw(&mut self, tag: u64) -> bool {
        self.inner.withdraw(tag)
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        done.append(&mut self.late);
        self.inner.poll(env, done);
    }
}
