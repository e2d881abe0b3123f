//! A device that keeps nothing: reads give zeros, writes are dropped. For measuring all that lies above.

use super::Geometry;
use super::ready::Ready;
use crate::{BlockDevice, Channel, Done, Info, Io, Op, Refused, Status};
use std::cell::Cell;
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::Span;

/// A device of a given size and no content.
#[derive(Debug)]
pub struct Null {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    geometry: Cell<Geometry>,
    closed: Cell<bool>,
}

impl Null {
    /// A device of this size.
    pub fn new(geometry: Geometry) -> Self {
        Self { shared: Rc::new(Shared { geometry: Cell::new(geometry), closed: Cell::new(false) }) }
    }
}

impl BlockDevice for Null {
    fn info(&self) -> Info {
        self.shared.geometry.get().info()
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(NullChannel { shared: self.shared.clone(), ready: Ready::default() })
    }

    /// Grows and shrinks: there is nothing to lose.
    fn resize(&self, _: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        let resized = self.shared.geometry.get().resized(blocks).map_err(|_| Status::Unsupported)?;
        self.shared.geometry.set(resized);
        Ok(())
    }

    fn close(&self, _: &mut dyn Env) {
        self.shared.closed.set(true);
    }
}

#[derive(Debug)]
struct NullChannel {
    shared: Rc<Shared>,
    ready: Ready,
}

impl Channel for NullChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        if self.ready.is_full() {
            return Err(Refused(io));
        }
        let (status, data) = self.shared.perform(env, &io);
        self.ready.push(Done { tag: io.tag, status, data });
        Ok(())
    }

    fn poll(&mut self, _: &mut dyn Env, done: &mut Vec<Done>) {
        self.ready.poll(done);
    }
}

impl Shared {
    fn perform(&self, env: &mut dyn Env, io: &Io) -> (Status, Span) {
        if self.closed.get() {
            return (Status::Gone, Span::EMPTY);
        }
        let status = io.check(&self.geometry.get().info());
        if status != Status::Ok {
            return (status, Span::EMPTY);
        }
        match io.op {
            Op::Read => {
                env.mem().fill(io.data, 0);
                (Status::Ok, io.data)
            }
            Op::Write | Op::Flush | Op::Zero { .. } | Op::Discard => (Status::Ok, Span::EMPTY),
            Op::Compare
            | Op::CompareWrite { .. }
            | Op::OrWrite
            | Op::Verify
            | Op::MarkBad
            | Op::Copy { .. }
            | Op::CryptoErase => (Status::Unsupported, Span::EMPTY),
        }
    }
}
