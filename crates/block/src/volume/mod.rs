//! A volume as the engine registers it: a device with an identity, statistics and limits of its own, which also carries out
//! the operations that devices need not know ([`Op`](crate::Op) says which).
//!
//! A `Volume` is itself a [`BlockDevice`], so nothing above needs to tell them apart. A plain request without limits set
//! passes straight to the device's channel: one place in a table, no allocation, no copy.
//!
//! Invariants: while a compare-and-write or a copy is under way, no other request through the volume touches the blocks it
//! writes; a request that waits is never overtaken by a later one of its channel.

mod channel;
mod claim;
mod compound;
mod histogram;
mod qos;
mod ranges;
mod stats;

pub use claim::{Claim, Claimed};
pub use histogram::{GRANULARITY_MAX, Histogram, HistogramConfig, RequestKind};
pub use qos::QosLimits;
pub use stats::{Counter, Stats};

use crate::{BlockDevice, Channel, Extent, Identity, Info, Status};
use channel::{UnderWay, VolumeChannel};
use qos::Qos;
use ranges::Ranges;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use stdx::env::{Env, Event};
use stdx::slab::Slab;
use stdx::time::{Time, earliest};

/// See the module.
#[derive(Debug)]
pub struct Volume {
    shared: Rc<Shared>,
    claimed_by: Cell<Option<&'static str>>,
}

#[derive(Debug)]
struct Shared {
    device: Rc<dyn BlockDevice>,
    identity: Identity,
    stats: RefCell<Stats>,
    histogram: RefCell<Option<Histogram>>,
    qos: RefCell<Option<Qos>>,
    under_way: RefCell<Slab<UnderWay>>,
    /// Blocks that one request holds for itself.
    held: RefCell<Ranges>,
    /// Blocks that cannot be read until they are written.
    bad: RefCell<Ranges>,
    /// A request waits for others to end.
    blocked: Cell<bool>,
    /// When a request that waits may be able to go on.
    retry_at: Cell<Option<Time>>,
    /// Channels there ever were.
    channels: Cell<u64>,
}

impl Volume {
    /// A volume over `device`, which it closes when it is closed.
    pub fn new(device: Rc<dyn BlockDevice>, identity: Identity) -> Self {
        Self {
            claimed_by: Cell::new(None),
            shared: Rc::new(Shared {
                device,
                identity,
                stats: RefCell::default(),
                histogram: RefCell::default(),
                qos: RefCell::default(),
                under_way: RefCell::new(Slab::new(UNDER_WAY_MAX)),
                held: RefCell::default(),
                bad: RefCell::default(),
                blocked: Cell::new(false),
                retry_at: Cell::new(None),
                channels: Cell::new(0),
            }),
        }
    }

    /// What it is called for as long as it exists.
    pub fn identity(&self) -> Identity {
        self.shared.identity
    }

    /// What it has done.
    pub fn stats(&self) -> Stats {
        *self.shared.stats.borrow()
    }

    /// Starts the counters anew.
    pub fn reset_stats(&self) {
        *self.shared.stats.borrow_mut() = Stats::default();
    }

    /// Counts latencies from now on, from zero; `None` counts none.
    pub fn set_histogram(&self, histogram: Option<Histogram>) {
        *self.shared.histogram.borrow_mut() = histogram;
    }

    /// The latencies counted, if they are.
    pub fn histogram(&self) -> Option<Histogram> {
        self.shared.histogram.borrow().clone()
    }

    /// The limits in force.
    pub fn qos(&self) -> QosLimits {
        self.shared.qos.borrow().as_ref().map_or_else(QosLimits::default, Qos::limits)
    }

    /// Sets the limits; requests that wait for the old ones are looked at again.
    pub fn set_qos(&self, now: Time, limits: QosLimits) {
        *self.shared.qos.borrow_mut() = Qos::new(limits, now);
        self.shared.retry_at.set(Some(now));
    }

    /// Requests under way, over all channels; those that wait for a limit are not counted.
    pub fn under_way(&self) -> usize {
        self.shared.under_way.borrow().len()
    }
}

impl BlockDevice for Volume {
    fn info(&self) -> Info {
        self.shared.device.info()
    }

    fn open(&self) -> Box<dyn Channel> {
        Box::new(VolumeChannel::new(Rc::clone(&self.shared), self.shared.device.open()))
    }

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.shared.device.handle_event(env, event);
    }

    fn deadline(&self) -> Option<Time> {
        earliest(self.shared.device.deadline(), self.shared.retry_at.get())
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.shared.retry_at.take_if_due(env.now());
        self.shared.device.handle_timeout(env);
    }

    fn extent(&self, env: &mut dyn Env, lba: u64) -> Extent {
        self.shared.device.extent(env, lba)
    }

    fn resize(&self, env: &mut dyn Env, blocks: u64) -> Result<(), Status> {
        self.shared.device.resize(env, blocks)
    }

    fn close(&self, env: &mut dyn Env) {
        self.shared.device.close(env);
    }
}

/// A time that is to come once.
trait Due {
    /// Forgets the time if it has come.
    fn take_if_due(&self, now: Time);
}

impl Due for Cell<Option<Time>> {
    fn take_if_due(&self, now: Time) {
        if self.get().is_some_and(|at| at <= now) {
            self.set(None);
        }
    }
}

/// Requests of all channels that a volume takes on at once.
pub const UNDER_WAY_MAX: usize = 64 << 10;

/// Ranges of blocks that can be marked unreadable at once.
pub const BAD_RANGES_MAX: usize = 1024;
