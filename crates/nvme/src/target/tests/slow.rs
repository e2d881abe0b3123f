//! A volume that completes requests when the test says so, and takes few at once.

use block::{BlockDevice, Channel, Done, Info, Io, Refused, Status};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use stdx::env::Env;

/// The device. The test keeps one handle, the target the other.
#[derive(Debug)]
pub(super) struct Slow {
    pub(super) info: Cell<Info>,
    /// Requests under way, oldest first.
    pub(super) under_way: Rc<RefCell<VecDeque<Io>>>,
    done: Rc<RefCell<Vec<Done>>>,
    depth: usize,
}

impl Slow {
    pub(super) fn new(depth: usize, blocks_max: u32) -> Rc<Self> {
        let info = Info {
            block_size: 512,
            physical_block_size: 512,
            blocks: 1 << 20,
            blocks_max,
            atomic_blocks_max: 1,
            volatile_cache: true,
            thin: true,
            read_only: false,
            lends: false,
            offline: false,
            crypto_erases: false,
        };
        let (under_way, done) = (Rc::default(), Rc::default());
        Rc::new(Self { info: Cell::new(info), under_way, done, depth })
    }

    /// Completes the oldest request: what it was.
    pub(super) fn complete(&self, status: Status) -> Io {
        let io = self.under_way.borrow_mut().pop_front().expect("a request under way");
        self.done.borrow_mut().push(Done { tag: io.tag, status, data: io.data });
        io
    }

    pub(super) fn load(&self) -> usize {
        self.under_way.borrow().len()
    }
}

#[derive(Debug)]
struct SlowChannel {
    under_way: Rc<RefCell<VecDeque<Io>>>,
    done: Rc<RefCell<Vec<Done>>>,
    depth: usize,
}

impl BlockDevice for Slow {
    fn info(&self) -> Info {
        self.info.get()
    }

    fn open(&self) -> Box<dyn Channel> {
        let (under_way, done) = (self.under_way.clone(), self.done.clone());
        Box::new(SlowChannel { under_way, done, depth: self.depth })
    }

    fn close(&self, _: &mut dyn Env) {}
}

impl Channel for SlowChannel {
    fn submit(&mut self, _: &mut dyn Env, io: Io) -> Result<(), Refused> {
        let mut under_way = self.under_way.borrow_mut();
        if under_way.len() == self.depth {
            return Err(Refused(io));
        }
        under_way.push_back(io);
        Ok(())
    }

    fn poll(&mut self, _: &mut dyn Env, done: &mut Vec<Done>) {
        done.append(&mut self.done.borrow_mut());
    }
}
