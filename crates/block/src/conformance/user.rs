//! A user of a device: submits, waits, and sees that every request is completed exactly once.

use super::{Fault, Setting};
use crate::{BlockDevice, Channel, Done, Io, Op, Refused, Status};
use core::time::Duration;
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::mem::Span;

/// One channel and what is under way on it.
pub(super) struct User {
    device: Rc<dyn BlockDevice>,
    channel: Box<dyn Channel>,
    under_way: BTreeMap<u64, Io>,
    next_tag: u64,
    done: Vec<Done>,
}

impl User {
    pub(super) fn new(device: &Rc<dyn BlockDevice>) -> Self {
        let channel = device.open();
        Self { device: device.clone(), channel, under_way: BTreeMap::new(), next_tag: 0, done: Vec::new() }
    }

    pub(super) fn under_way(&self) -> impl Iterator<Item = &Io> {
        self.under_way.values()
    }

    /// The tag that the next request will get.
    pub(super) fn next_tag(&self) -> u64 {
        self.next_tag
    }

    /// Submits; true if it was taken on. The request gets its tag here. Every other one is first tried at once, which must
    /// end as it would have ended otherwise; what is lent then would have to be looked at before anything else happens.
    pub(super) fn submit(&mut self, setting: &mut dyn Setting, io: Io) -> Result<bool, Fault> {
        let io = Io { tag: self.next_tag, ..io };
        if io.tag % 2 == 1
            && !io.lend
            && let Some(data) = self.channel.perform(setting.env(), &io)
        {
            self.under_way.insert(io.tag, io);
            self.done.push(Done { tag: io.tag, status: Status::Ok, data });
            self.next_tag += 1;
            return Ok(true);
        }
        match self.channel.submit(setting.env(), io) {
            Ok(()) => {
                self.under_way.insert(io.tag, io);
                self.next_tag += 1;
                Ok(true)
            }
            Err(Refused(back)) if back != io => Err(Fault::Altered { io }),
            Err(_) if self.under_way.is_empty() => Err(Fault::RefusedIdle { io }),
            Err(_) => Ok(false),
        }
    }

    /// What is done now.
    pub(super) fn poll(&mut self, setting: &mut dyn Setting) -> Result<Vec<(Io, Done)>, Fault> {
        self.channel.poll(setting.env(), &mut self.done);
        let mut done = Vec::with_capacity(self.done.len());
        for one in self.done.drain(..) {
            let io = self.under_way.remove(&one.tag).ok_or(Fault::Unasked { tag: one.tag })?;
            done.push((io, one));
        }
        Ok(done)
    }

    /// What is done next. Waits for it; faults if nothing comes.
    pub(super) fn wait(&mut self, setting: &mut dyn Setting) -> Result<Vec<(Io, Done)>, Fault> {
        let give_up = setting.env().now() + PATIENCE;
        loop {
            let done = self.poll(setting)?;
            if !done.is_empty() || self.under_way.is_empty() {
                return Ok(done);
            }
            if setting.env().now() >= give_up {
                return Err(Fault::Silent { left: self.under_way.len() });
            }
            let device = self.device.clone();
            setting.turn(&*device, give_up);
        }
    }

    /// Waits until nothing is under way.
    pub(super) fn drain(&mut self, setting: &mut dyn Setting) -> Result<Vec<(Io, Done)>, Fault> {
        let mut all = Vec::new();
        while !self.under_way.is_empty() {
            all.extend(self.wait(setting)?);
        }
        all.extend(self.poll(setting)?);
        Ok(all)
    }

    /// One request, alone, to its end.
    pub(super) fn finish(&mut self, setting: &mut dyn Setting, io: Io) -> Result<Done, Fault> {
        debug_assert!(self.under_way.is_empty());
        self.submit(setting, io)?;
        let all = self.drain(setting)?;
        Ok(all.first().ok_or(Fault::Silent { left: 1 })?.1)
    }

    /// One request, alone, that must end as `expected`.
    pub(super) fn expect(
        &mut self,
        setting: &mut dyn Setting,
        io: Io,
        expected: Status,
    ) -> Result<Done, Fault> {
        let done = self.finish(setting, io)?;
        outcome(io, done, expected)?;
        Ok(done)
    }
}

/// Faults unless the request ended as it should.
pub(super) fn outcome(io: Io, done: Done, expected: Status) -> Result<(), Fault> {
    if done.status == expected { Ok(()) } else { Err(Fault::Outcome { io, expected, got: done.status }) }
}

/// A request with no memory, no tag yet, and nothing special about it.
pub(super) fn plain(op: Op, lba: u64, blocks: u32) -> Io {
    Io { tag: 0, op, lba, blocks, fua: false, lend: false, data: Span::EMPTY }
}

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(30);
