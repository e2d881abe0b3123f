//! A volume in memory: sparse (only what was written costs memory), gone with the process.
//!
//! Everything happens in `submit`, so that flush has nothing to do. Reads may be answered with the volume's own memory
//! instead of a copy ([`Io::lend`]).
//!
//! Memory behind large pages is found sooner when it is read here and there, but a large page is all there once a byte of it
//! is. So they are used while what is written is mostly written whole, and a volume costs at most about twice what was
//! written to it.

use super::Geometry;
use super::pages::Pages;
use super::ready::Ready;
use crate::{BlockDevice, Channel, Done, Extent, Info, Io, Op, Refused, Status};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::{Kind, OutOfMemory, RegionId, Span};

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
    /// Which pages were written and not given back.
    pages: RefCell<Pages>,
    /// What is written first is given a large page.
    large: Cell<bool>,
}

impl Ram {
    /// A volume of zeros.
    pub fn new(env: &mut dyn Env, geometry: Geometry) -> Result<Self, OutOfMemory> {
        let region = env.mem().map(Kind::Shared, geometry.bytes())?;
        let mut pages = Pages::default();
        pages.resize(geometry.bytes().div_ceil(PAGE));
        let (geometry, region, large) = (Cell::new(geometry), Cell::new(Some(region)), Cell::new(false));
        Ok(Self { shared: Rc::new(Shared { geometry, region, pages: RefCell::new(pages), large }) })
    }
}

impl BlockDevice for Ram {
    fn info(&self) -> Info {
        self.shared.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(RamChannel { shared: self.shared.clone(), ready: Ready::default() })
    }

    fn extent(&self, _: &mut dyn Env, lba: u64) -> Extent {
        self.shared.extent(lba)
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
        self.shared.pages.borrow_mut().resize(new.bytes().div_ceil(PAGE));
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

    fn perform(&mut self, env: &mut dyn Env, io: &Io) -> Option<Span> {
        if !matches!(io.op, Op::Read | Op::Write) {
            return None;
        }
        let (status, data) = self.shared.perform(env, io);
        (status == Status::Ok).then_some(data)
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
    /// The pages of these bytes have space.
    fn touch(&self, env: &mut dyn Env, region: RegionId, offset: u64, len: u64) {
        let mut pages = self.pages.borrow_mut();
        pages.set(offset / PAGE..(offset + len).div_ceil(PAGE), true);
        let large = self.large.get();
        if if large { pages.is_scattered() } else { pages.is_dense() } {
            self.large.set(!large);
            env.mem().prefer_large_pages(region, !large);
        }
    }

    /// The pages that lie within these bytes have none.
    fn give_back(&self, offset: u64, len: u64) {
        let end = offset + len;
        let whole_end = if end == self.geometry.get().bytes() { end.div_ceil(PAGE) } else { end / PAGE };
        let start = offset.div_ceil(PAGE);
        self.pages.borrow_mut().set(start..whole_end.max(start), false);
    }

    fn extent(&self, lba: u64) -> Extent {
        let Info { block_size, blocks, .. } = self.info();
        let per_page = PAGE / u64::from(block_size);
        let pages = blocks.div_ceil(per_page);
        let (mapped, next) = self.pages.borrow().run(lba / per_page, pages);
        Extent { blocks: (next * per_page).min(blocks) - lba, mapped }
    }

    fn info(&self) -> Info {
        let info = self.geometry.get().info();
        // A request is carried out at once, so that nothing comes between its blocks.
        Info { thin: true, lends: true, atomic_blocks_max: info.blocks_max, ..info }
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
            Op::Write => {
                if self.geometry.get().bytes() > CACHED_MAX {
                    env.mem().put_away(here, io.data);
                } else {
                    env.mem().copy(here, io.data);
                }
                self.touch(env, region, offset, len);
            }
            Op::Flush => {}
            Op::Zero { deallocate: false } if len <= FILL_MAX => {
                env.mem().fill(here, 0);
                self.touch(env, region, offset, len);
            }
            Op::Zero { .. } | Op::Discard => {
                env.mem().release(region, offset, len);
                self.give_back(offset, len);
            }
            Op::Compare
            | Op::CompareWrite { .. }
            | Op::OrWrite
            | Op::Verify
            | Op::MarkBad
            | Op::Copy { .. }
            | Op::CryptoErase => {
                return (Status::Unsupported, Span::EMPTY);
            }
        }
        (Status::Ok, Span::EMPTY)
    }
}

/// The longest range that is filled with zeros when it is to stay, in bytes. Longer ones are given back even so: filling
/// them would hold up the shard and make a sparse volume a full one.
const FILL_MAX: u64 = 64 << 10;

/// The largest volume, in bytes, that a processor's cache may hold, so that what is written to it is best left there.
const CACHED_MAX: u64 = 32 << 20;

/// Bytes of a page: space is given back in these.
const PAGE: u64 = 4096;
