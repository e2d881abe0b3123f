//! The logical units of a target, and all requests for them.
//!
//! ```text
//!          set_live                 lose                        give_up
//!   Not yet -------> reachable <------------> not now     any ----------> never again
//! ```
//!
//! - `scan`, `pages`, `records`: which logical units there are, and what each is. `watch`: asking whether that has changed.
//! - `requests`: a request's way through commands to its completion. `loss`: what becomes of it without a connection.
//!
//! Invariants: a request is in the table from submission to completion; commands are submitted only while the target can be
//! reached, but for those of a look.

mod loss;
mod pages;
mod records;
mod requests;
mod scan;
mod watch;

pub(crate) use self::records::Record;
pub(crate) use self::scan::Look;

use self::requests::{ChannelState, Request};
use self::scan::Scan;
use super::{Carrier, Ending, UnitChange};
use block::replay::Acknowledged;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use stdx::env::Env;
use stdx::mem::{Kind, Memory, OutOfMemory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::Time;

/// See the module.
#[derive(Debug)]
pub(crate) struct Units {
    settings: Settings,
    reach: Reach,
    /// When the target could not be reached any more; `None` while it can.
    lost_at: Option<Time>,
    /// Shared memory for answers to questions.
    page: Span,
    /// The answer that is being looked at.
    answer: Vec<u8>,
    /// Shared memory for each request: the parameter list of UNMAP.
    lists: Span,
    /// Shared memory of zeros.
    zeros: Span,
    scan: Scan,
    records: BTreeMap<u16, Record>,
    requests: Slab<Request>,
    /// Requests that found no room on their way, or no way.
    waiting: VecDeque<Key>,
    /// Requests that are tried again later.
    parked: Vec<Key>,
    parked_until: Option<Time>,
    channels: Slab<ChannelState>,
    acknowledged: Acknowledged,
    next_way: usize,
    next_serial: u64,
    changes: VecDeque<UnitChange>,
    /// When to ask the next disk whether something has changed, and which was asked last.
    ask_at: Time,
    asked_last: u16,
    asking: bool,
}

/// What holds for the logical units of a target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The one logical unit to look at; `None` for all the target lists.
    pub lun: Option<u16>,
    /// How many requests of all channels may be under way or waiting.
    pub requests_max: usize,
    /// How often one of the disks, each in its turn, is asked whether something has changed. Zero for never.
    pub watch_interval: Duration,
    /// How long after the loss of the connection to give up for good; `None` for never.
    pub loss_timeout: Option<Duration>,
    /// How long after the loss waiting requests fail instead of waiting on; `None` for not before the target is given up.
    pub fast_io_fail_timeout: Option<Duration>,
}

/// Whether the target can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// Now.
    Yes,
    /// Not now: requests wait.
    No,
    /// Never again.
    Never,
}

impl Units {
    /// The logical units of a target that has yet to be reached.
    pub fn new(mem: &mut Memory, settings: Settings) -> Result<Self, OutOfMemory> {
        let requests_max = settings.requests_max;
        let small = mem.map(Kind::Shared, (pages::ANSWER_LEN + requests_max * LIST_LEN) as u64)?;
        let small = mem.whole(small);
        let zeros = match mem.map(Kind::Shared, ZEROS_LEN) {
            Ok(zeros) => mem.whole(zeros),
            Err(error) => {
                mem.unmap(small.region);
                return Err(error);
            }
        };
        Ok(Self {
            settings,
            reach: Reach::No,
            lost_at: None,
            page: small.first(pages::ANSWER_LEN),
            answer: Vec::with_capacity(pages::ANSWER_LEN),
            lists: small.from(pages::ANSWER_LEN),
            zeros,
            scan: Scan::idle(),
            records: BTreeMap::new(),
            requests: Slab::new(requests_max),
            waiting: VecDeque::with_capacity(requests_max),
            parked: Vec::new(),
            parked_until: None,
            channels: Slab::new(CHANNELS_MAX),
            acknowledged: Acknowledged::new(),
            next_way: 0,
            next_serial: 0,
            changes: VecDeque::new(),
            ask_at: Time::ZERO,
            asked_last: 0,
            asking: false,
        })
    }

    /// True while requests can be sent.
    pub fn is_live(&self) -> bool {
        self.reach == Reach::Yes
    }

    /// The target can be reached: requests go on.
    pub fn set_live(&mut self, env: &mut dyn Env, carrier: &mut dyn Carrier) {
        self.reach = Reach::Yes;
        self.lost_at = None;
        self.ask_at = env.now() + self.settings.watch_interval;
        self.issue_waiting(env, carrier);
    }

    /// A command that was submitted to the carrier has ended.
    pub fn handle_ending(
        &mut self,
        env: &mut dyn Env,
        carrier: &mut dyn Carrier,
        token: u64,
        ending: &Ending,
    ) -> Look {
        match token {
            SCAN_TOKEN => return self.handle_scan_answer(env, carrier, ending),
            WATCH_TOKEN => self.handle_watched(env, carrier, ending),
            _ => self.handle_part_done(env, carrier, token, ending),
        }
        Look::Further
    }

    /// The next thing that a look found to be different.
    pub fn poll_change(&mut self) -> Option<UnitChange> {
        self.changes.pop_front()
    }

    /// Gives memory back, once no command can reach it.
    pub fn unmap(&self, mem: &mut Memory) {
        mem.unmap(self.page.region);
        mem.unmap(self.zeros.region);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        let waits = |key: &Key| self.requests.get(*key).is_some();
        assert!(
            self.waiting.iter().all(waits) && self.parked.iter().all(waits),
            "a request waits that is done"
        );
    }
}

/// The token of the commands that look at logical units. No request has it: places are below a limit.
const SCAN_TOKEN: u64 = u64::MAX;
/// The token of the command that asks a disk whether something has changed.
const WATCH_TOKEN: u64 = u64::MAX - 3;
/// Bytes of the parameter list of UNMAP with one descriptor, and some to keep the lists apart.
const LIST_LEN: usize = 32;
/// Bytes of the zeros that stand in where a target has no WRITE SAME. They cost no memory.
const ZEROS_LEN: u64 = 128 << 10;
/// Channels of all disks.
const CHANNELS_MAX: usize = 1 << 16;
