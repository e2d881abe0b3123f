//! A device made slow: each request's completion is held back for a while. For seeing what latency does to what lies above.

use crate::{BlockDevice, Channel, Done, Extent, Info, Io, Op, Refused, Status};
use core::time::Duration;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::prng::Prng;
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};

/// How long completions are held back: usually the average, once in a hundred, at random, the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Latencies {
    /// Of 99 in 100 requests that read.
    pub read_average: Duration,
    /// Of 1 in 100 requests that read.
    pub read_p99: Duration,
    /// Of 99 in 100 requests that do not read.
    pub write_average: Duration,
    /// Of 1 in 100 requests that do not read.
    pub write_p99: Duration,
}

/// A device and how slow it is. Closing it closes the device below.
#[derive(Debug)]
pub struct Delay {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    base: Rc<dyn BlockDevice>,
    latencies: Cell<Latencies>,
    prng: RefCell<Prng>,
    /// When each channel has its next completion to give.
    next: RefCell<Slab<Option<Time>>>,
}

impl Delay {
    /// `base`, slowed down. Which requests take long follows from `seed`.
    pub fn new(base: Rc<dyn BlockDevice>, latencies: Latencies, seed: u64) -> Self {
        Self {
            shared: Rc::new(Shared {
                base,
                latencies: Cell::new(latencies),
                prng: RefCell::new(Prng::new(seed)),
                next: RefCell::new(Slab::new(usize::MAX)),
            }),
        }
    }

    /// What is in force.
    pub fn latencies(&self) -> Latencies {
        self.shared.latencies.get()
    }

    /// Changes how slow it is, for completions from now on.
    pub fn set_latencies(&self, latencies: Latencies) {
        self.shared.latencies.set(latencies);
    }
}

impl Shared {
    fn draw(&self, op: Op) -> Duration {
        let latencies = self.latencies.get();
        let rare = self.prng.borrow_mut().chance(1, 100);
        match op {
            Op::Read | Op::Compare | Op::Verify if rare => latencies.read_p99,
            Op::Read | Op::Compare | Op::Verify => latencies.read_average,
            Op::Write | Op::Flush | Op::Zero { .. } | Op::Discard if rare => latencies.write_p99,
            Op::CompareWrite { .. } | Op::OrWrite | Op::MarkBad | Op::Copy { .. } if rare => {
                latencies.write_p99
            }
            Op::CryptoErase if rare => latencies.write_p99,
            Op::Write | Op::Flush | Op::Zero { .. } | Op::Discard => latencies.write_average,
            Op::CompareWrite { .. } | Op::OrWrite | Op::MarkBad | Op::Copy { .. } => latencies.write_average,
            Op::CryptoErase => latencies.write_average,
        }
    }
}

impl BlockDevice for Delay {
    /// What the base lends may be gone before the delay is over: nothing is lent.
    fn info(&self) -> Info {
        Info { lends: false, ..self.shared.base.info() }
    }

    fn open(&self) -> Box<dyn Channel> {
        let place = self.shared.next.borrow_mut().insert(None).expect("the table has no limit");
        Box::new(DelayChannel {
            shared: self.shared.clone(),
            base: self.shared.base.open(),
            place,
            under_way: Slab::new(super::UNDER_WAY_MAX),
            held: BTreeMap::new(),
            order: 0,
            finished: Vec::new(),
        })
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.shared.base.handle_event(env, event);
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        self.shared.base.extent(env, lba)
    }

    fn deadline(&self) -> Option<Time> {
        let own = self.shared.next.borrow().iter().filter_map(|(_, next)| *next).min();
        earliest(own, self.shared.base.deadline())
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.shared.base.handle_timeout(env);
    }

    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        self.shared.base.resize(env, blocks)
    }

    fn close(&self, env: &mut dyn Env) {
        self.shared.base.close(env);
    }
}

#[derive(Debug)]
struct DelayChannel {
    shared: Rc<Shared>,
    base: Box<dyn Channel>,
    /// Our place in the table of next completions.
    place: Key,
    under_way: Slab<Io>,
    /// What the base is done with, by the time it may be told and the order it came in.
    held: BTreeMap<(Time, u64), Done>,
    order: u64,
    /// Reused from poll to poll.
    finished: Vec<Done>,
}

impl Channel for DelayChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        if self.under_way.len() + self.held.len() >= super::UNDER_WAY_MAX {
            return Err(Refused(io));
        }
        let key = self.under_way.insert(io).map_err(Refused)?;
        let below = Io { tag: key.as_u64(), lend: false, ..io };
        self.base.submit(env, below).map_err(|_| {
            self.under_way.remove(key);
            Refused(io)
        })
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        self.base.poll(env, &mut self.finished);
        for one in self.finished.drain(..) {
            let Some(io) = self.under_way.remove(Key::from_u64(one.tag)) else { continue };
            let due = env.now() + self.shared.draw(io.op);
            self.held.insert((due, self.order), Done { tag: io.tag, ..one });
            self.order += 1;
        }
        while let Some(first) = self.held.first_entry().filter(|first| first.key().0 <= env.now()) {
            done.push(first.remove());
        }
        self.tell_next(self.held.first_key_value().map(|(key, _)| key.0));
    }
}

impl DelayChannel {
    fn tell_next(&self, next: Option<Time>) {
        if let Some(place) = self.shared.next.borrow_mut().get_mut(self.place) {
            *place = next;
        }
    }
}

impl Drop for DelayChannel {
    fn drop(&mut self) {
        self.shared.next.borrow_mut().remove(self.place);
    }
}
