//! A machine that uses a volume: it asks for this and that, and remembers what it was told.

mod common;
mod requests;

pub(super) use common::SharedHistory;

use super::machine::Using;
use super::plan::Plan;
use crate::checker::Shadow;
use crate::env::NodeEnv;
use crate::network::NodeId;
use crate::world::SharedWorld;
use block::{Channel, Done, Op};
use core::time::Duration;
use requests::Request;
use std::collections::BTreeMap;
use stdx::env::Env;
use stdx::mem::MemoryLimits;
use stdx::prng::Prng;
use stdx::time::{Time, earliest};

/// A using node.
pub(super) struct Client {
    plan: Plan,
    machine: Box<dyn Using>,
    env: NodeEnv,
    prng: Prng,
    /// Its ways to the volume, once it is there: each uses a queue or session of its own, if there are as many.
    channels: Vec<Box<dyn Channel>>,
    /// When to attach it again.
    attach_at: Option<Time>,
    /// The client uses the volume no more.
    left: bool,
    /// The volume's number.
    volume: u32,
    /// The blocks that are this client's alone.
    first: u64,
    pub(super) shadow: Shadow,
    /// Of the blocks that are everybody's.
    history: SharedHistory,
    under_way: BTreeMap<u64, Request>,
    next_tag: u64,
    depth: usize,
    /// Nothing is in the way any more: every request is to succeed, and soon.
    pub(super) calm: bool,
    /// What went wrong, in words.
    pub(super) wrong: Option<String>,
    pub(super) completed: u64,
    done: Vec<Done>,
}

impl Client {
    pub(super) fn new(
        world: &SharedWorld,
        plan: &Plan,
        number: u32,
        seed: u64,
        history: &SharedHistory,
    ) -> Self {
        let mut prng = Prng::new(seed);
        let mut env = NodeEnv::boot(world, Self::node(number), MemoryLimits { buffer_bytes: 16 << 20 });
        let machine = plan.make_client(&mut env, number);
        let (volume, first) = plan.place(number);
        let depth = prng.between(1, 24) as usize;
        let mut client = Self {
            plan: plan.clone(),
            machine,
            env,
            prng,
            channels: Vec::new(),
            attach_at: None,
            left: false,
            volume,
            first,
            shadow: Shadow::new(plan.block_size as usize, u64::from(number) << 32),
            history: SharedHistory::clone(history),
            under_way: BTreeMap::new(),
            next_tag: 0,
            depth,
            calm: false,
            wrong: None,
            completed: 0,
            done: Vec::new(),
        };
        client.machine.attach(&mut client.env);
        client
    }

    /// Where a client lives.
    pub(super) const fn node(number: u32) -> NodeId {
        NodeId(2 + number as u8)
    }

    /// Requests under way.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Lets the machine do its work, takes what is done, and asks for more if `load` says so.
    pub(super) fn turn(&mut self, load: bool) {
        self.machine.turn(&mut self.env);
        if !self.is_live() {
            self.lost_common();
        }
        self.collect();
        self.open_or_attach();
        while load && !self.channels.is_empty() && self.under_way.len() < self.depth && self.ask() {}
        self.collect();
        if self.calm {
            self.expect_calm();
        }
        self.env.rest(earliest(self.machine.deadline(), self.attach_at));
    }

    /// True if the machine sees these volumes, with so many blocks, and no others.
    pub(super) fn sees(&self, volumes: &BTreeMap<u32, u64>) -> bool {
        self.is_live() && self.machine.seen() == *volumes
    }

    /// True while there is a connection.
    pub(super) fn is_live(&self) -> bool {
        self.machine.is_live()
    }

    /// Asks to read the next piece of all that is this client's from `lba` on; says where the one after it begins.
    pub(super) fn read_next(&mut self, lba: u64) -> u64 {
        let blocks = PIECE.min(self.range().1 - lba);
        if self.channels.is_empty() || !self.submit(Op::Read, lba, blocks as u32, false) {
            return lba;
        }
        self.collect();
        self.env.rest(self.machine.deadline());
        lba + blocks
    }

    /// The blocks that are this client's: the first, and the one after the last.
    pub(super) fn range(&self) -> (u64, u64) {
        (self.first, self.first + self.plan.share)
    }

    /// Stops using the volume. What is under way ends with it, in the next turns.
    pub(super) fn leave(&mut self) {
        self.calm = false;
        self.left = true;
        self.attach_at = None;
        if self.machine.is_attached() {
            self.machine.detach(&mut self.env);
        }
        self.collect();
        self.env.rest(Some(self.env.now()));
    }

    /// I/O buffers that are out.
    pub(super) fn buffers_taken(&mut self) -> usize {
        self.env.mem().buffers_taken()
    }

    /// Opens the volume once it is there; attaches again what was given up.
    fn open_or_attach(&mut self) {
        let failed = self.machine.has_failed();
        if self.left || !self.under_way.is_empty() {
            return;
        }
        if failed {
            self.channels.clear();
            self.machine.detach(&mut self.env);
            self.attach_at = Some(self.env.now() + ATTACH_AGAIN);
        }
        if self.attach_at.take_if(|at| *at <= self.env.now()).is_some() {
            self.machine.attach(&mut self.env);
        }
        if self.channels.is_empty() {
            self.channels = (0..CHANNELS).map_while(|_| self.machine.open(self.volume)).collect();
        }
    }

    /// Nothing stands in the way: no connection breaks, and nothing takes long.
    fn expect_calm(&mut self) {
        let now = self.env.now();
        if let Some(late) = self.under_way.values().find(|request| now > request.since + CALM_LATENCY_MAX) {
            let io = late.io;
            self.complain(format!("{io:?} has no answer after {CALM_LATENCY_MAX:?} of calm"));
        } else if !self.is_live() {
            self.complain("the connection was lost in a calm world".into());
        }
    }

    pub(super) fn complain(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

/// How long to wait before what could not be attached is attached again.
const ATTACH_AGAIN: Duration = Duration::from_millis(250);

/// How many channels a client has.
const CHANNELS: usize = 2;

/// The longest request, in blocks.
const PIECE: u64 = 8;

/// How long a request may take in a world where nothing goes wrong, but all takes its time: 24 of 20 ms one after another
/// on the disk, with others' before them, and as many trips.
const CALM_LATENCY_MAX: Duration = Duration::from_secs(20);
