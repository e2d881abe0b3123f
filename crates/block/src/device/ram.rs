//! A volume in memory: sparse (only what was written costs memory), gone with the process.
//!
//! Everything happens in `submit`, so that flush has nothing to do. Reads may be answered with the volume's own memory
//! instead of a copy ([`Io::lend`]).

use super::Geometry;
use super::ready::Ready;
use crate::{BlockDevice, Channel, Done, Info, Io, Op, Refused, Status};
use std::cell::Cell;
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::{Kind, Memory, OutOfMemory, RegionId, Span};

/// A volume in memory.
#[derive(Debug)]
pub struct Ram {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    geometry: Cell<Geometry>,
    /// `None` once closed.
    region: Cell<Option<RegionId>>,
}

impl Ram {
    /// A volume of zeros.
    pub fn new(env: &mut dyn Env, geometry: Geometry) -> Result<Self, OutOfMemory> {
        let region = env.mem().map(Kind::Shared, geometry.bytes())?;
        Ok(Self {
            shared: Rc::new(Shared { geometry: Cell::new(geometry), region: Cell::new(Some(region)) }),
        })
    }
}

impl BlockDevice for Ram {
    fn info(&self) -> Info {
        self.shared.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(RamChannel { shared: self.shared.clone(), ready: Ready::default() })
    }

    /// Grows and shrinks. What a shrink cuts off is lost: it reads as zero should the volume grow again.
    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        let region = self.shared.region.get().ok_or(Status::Gone)?;
        let old = self.shared.geometry.get();
        let new = old.resized(blocks).map_err(|_| Status::Unsupported)?;
        if new.bytes() < old.bytes() {
            env.mem().release(region, new.bytes(), old.bytes() - new.bytes());
        } else {
            env.mem().grow(region, new.bytes()).map_err(|_| Status::NoSpace)?;
        }
        self.shared.geometry.set(new);
        Ok(())
    }

    fn close(&self, env: &mut dyn Env) {
        if let Some(region) = self.shared.region.take() {
            env.mem().unmap(region);
        }
    }
}

#[derive(Debug)]
struct RamChannel {
    shared: Rc<Shared>,
    ready: Ready,
}

impl Channel for RamChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        if self.ready.is_full() {
            return Err(Refused(io));
        }
        let (status, data) = self.shared.perform(env, &io);
        self.ready.push(Done { tag: io.tag, status, data });
        Ok(())
    }

    fn poll(&mut self, _: &mut dyn Env, done: &mut Vec<Done>) {
        if self.shared.region.get().is_some() {
            self.ready.poll(done);
        } else {
            self.ready.poll_gone(done);
        }
    }
}

impl Shared {
    fn info(&self) -> Info {
        Info { thin: true, lends: true, ..self.geometry.get().info() }
    }

    fn perform(&self, env: &mut dyn Env, io: &Io) -> (Status, Span) {
        let Some(region) = self.region.get() else { return (Status::Gone, Span::EMPTY) };
        let status = io.check(&self.info());
        if status != Status::Ok {
            return (status, Span::EMPTY);
        }
        let (offset, len) = self.geometry.get().range(io.lba, io.blocks);
        // Requests that move data are no longer than a buffer, as `check` saw.
        let here = Span { region, len: len as u32, offset };
        match io.op {
            Op::Read if io.lend => {
                env.mem().fetch(here);
                return (Status::Ok, here);
            }
            Op::Read => {
                env.mem().copy(io.data, here);
                return (Status::Ok, io.data);
            }
            Op::Write if self.geometry.get().bytes() > CACHED_MAX => env.mem().copy_past_cache(here, io.data),
            Op::Write => env.mem().copy(here, io.data),
            Op::Flush => {}
            Op::Zero { deallocate } => zero(env.mem(), region, offset, len, deallocate),
            Op::Discard => env.mem().release(region, offset, len),
            Op::Compare | Op::CompareWrite { .. } | Op::Verify | Op::MarkBad | Op::Copy { .. } => {
                return (Status::Unsupported, Span::EMPTY);
            }
        }
        (Status::Ok, Span::EMPTY)
    }
}

/// Short ranges that are to stay are filled. Longer ones are given back even so: filling them would hold up the shard and
/// make a sparse volume a full one.
fn zero(mem: &mut Memory, region: RegionId, offset: u64, len: u64, deallocate: bool) {
    match u32::try_from(len) {
        Ok(len) if !deallocate && len <= FILL_MAX => mem.fill(Span { region, len, offset }, 0),
        _ => mem.release(region, offset, len),
    }
}

/// A volume of at most so many bytes may be in the processor's cache as a whole, and what was written last is read there.
/// Of a larger one it is not, and to fetch what is overwritten would double the work.
const CACHED_MAX: u64 = 32 << 20;

/// The longest range that is filled with zeros, in bytes.
const FILL_MAX: u32 = 64 << 10;
