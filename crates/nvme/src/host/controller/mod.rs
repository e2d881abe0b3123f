//! One association with one controller: the way up, life, loss, and the way up again.
//!
//! ```text
//!             +------------- refused, broken, late (first time) -------------+
//!             |                                                              v
//!   Rising(step) --last step--> Live --broken, silent, late--> Waiting --> Failed
//!        ^                                                      |  |
//!        +---------------------- delay over --------------------+  +-- loss time-out, final refusal
//! ```
//!
//! Invariants: a request is completed exactly once, whatever happens to the connection; at most one stream a queue; the
//! events of a stream that is no longer ours are ignored.

mod access;
mod admin;
mod async_events;
mod drive;
mod keep_alive;
mod limits;
mod loss;
mod records;
mod requests;
mod rising;
mod scan;
mod timeouts;

use self::access::Access;
use self::admin::AdminCommand;
pub use self::admin::AdminRequest;
use self::limits::CommandLimits;
pub(in crate::host) use self::records::Record;
use self::requests::{ChannelState, Request};
use self::scan::Scan;
use super::event::{Failure, HostEvent, Step};
use super::options::HostOptions;
use super::queue::{Completed, Queue, State};
use super::rdma::Link;
use super::tcp::QueueMemory;
use crate::Transport;
use block::replay::Acknowledged;
use std::collections::{BTreeMap, VecDeque};
use stdx::backoff::Backoff;
use stdx::env::{Env, Event, Owner, What};
use stdx::mem::{Kind, OutOfMemory, Span};
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};
use wire::nvme::fabrics::{CONNECT_DATA_LEN, Capabilities};
use wire::nvme::identify::{ControllerData, IDENTIFY_LEN};

/// The association, shared by the host's handle and the channels of its namespaces.
#[derive(Debug)]
pub(in crate::host) struct Controller {
    owner: Owner,
    pub(in crate::host) options: HostOptions,
    phase: Phase,
    /// The connection was Live at least once.
    was_live: bool,
    /// How often what an earlier connection of ours left was in the way of the first.
    stale: u32,
    admin: Option<Queue>,
    io: Vec<Queue>,
    /// What the queues have of an RDMA device; `None` over TCP, and once it was given back.
    link: Option<Box<Link>>,
    /// Memory of queues that are no more: by queue identifier.
    spare: BTreeMap<usize, QueueMemory>,
    /// Private memory for Identify data and log pages.
    page: Span,
    /// Private memory for log pages whose content is not needed.
    event_page: Span,
    /// Private memory for the log of access states.
    access_page: Span,
    /// Private memory for Connect's data.
    connect_data: Span,
    /// Private memory of 16 bytes for each request: a range of Dataset Management.
    ranges: Span,
    /// Shared memory of zeros.
    zeros: Span,
    /// Whether I/O queues ask for flow control: as the options say, or because the controller would not do without.
    flow_control: bool,
    capabilities: Capabilities,
    pub(in crate::host) data: Option<Box<ControllerData>>,
    controller_id: u16,
    granted_queues: u16,
    admin_commands: Slab<AdminCommand>,
    /// Limits of the NVM command set's commands.
    limits: CommandLimits,
    scan: Scan,
    access: Access,
    records: BTreeMap<u32, Record>,
    requests: Slab<Request>,
    /// Requests that found no room in their queue, or no queue.
    waiting: VecDeque<Key>,
    /// Requests that are tried again later.
    parked: Vec<Key>,
    parked_until: Option<Time>,
    channels: Slab<ChannelState>,
    acknowledged: Acknowledged,
    next_queue: usize,
    events: VecDeque<HostEvent>,
    backoff: Backoff,
    /// When the connection was lost; `None` while it is there.
    lost_at: Option<Time>,
    last_failure: Failure,
    next_serial: u64,
    keep_alive_at: Option<Time>,
    overdue_at: Option<Time>,
    completed: Vec<Completed>,
}

/// How far the association is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// On the way up; `deadline` is when it must be Live.
    Rising { step: Step, deadline: Time },
    /// CSTS is to be read again.
    Polling { at: Time, ready_by: Time, deadline: Time },
    /// Ready.
    Live,
    /// The connection is lost; the next attempt begins at `until`.
    Waiting { until: Time },
    /// Over.
    Failed(Failure),
}

impl Controller {
    pub fn connect(env: &mut dyn Env, owner: Owner, options: HostOptions) -> Result<Self, OutOfMemory> {
        let requests_max = options.requests_max;
        let mem = env.mem();
        let fixed_len = 3 * IDENTIFY_LEN + CONNECT_DATA_LEN;
        let private = mem.map(Kind::Private, (fixed_len + requests_max * RANGE_LEN) as u64)?;
        let private = mem.whole(private);
        let zeros = mem.map(Kind::Shared, ZEROS_LEN)?;
        let zeros = mem.whole(zeros);
        let seed = env.entropy();
        let link = match options.transport {
            Transport::Tcp => None,
            Transport::Rdma => Some(Box::new(Link::new(env, owner, &options, rising::ADMIN_QUEUE_ENTRIES)?)),
        };
        let mut controller = Self {
            owner,
            phase: Phase::Waiting { until: env.now() },
            was_live: false,
            stale: 0,
            admin: None,
            io: Vec::new(),
            link,
            spare: BTreeMap::new(),
            page: private.first(IDENTIFY_LEN),
            event_page: private.slice(IDENTIFY_LEN, IDENTIFY_LEN),
            access_page: private.slice(2 * IDENTIFY_LEN, IDENTIFY_LEN),
            connect_data: private.slice(3 * IDENTIFY_LEN, CONNECT_DATA_LEN),
            ranges: private.from(fixed_len),
            zeros,
            flow_control: options.flow_control,
            capabilities: Capabilities::from_bits(0),
            data: None,
            controller_id: 0,
            granted_queues: 0,
            admin_commands: Slab::new(ADMIN_COMMANDS_MAX),
            limits: CommandLimits::default(),
            scan: Scan::idle(),
            access: Access::default(),
            records: BTreeMap::new(),
            requests: Slab::new(requests_max),
            waiting: VecDeque::with_capacity(requests_max),
            parked: Vec::new(),
            parked_until: None,
            channels: Slab::new(CHANNELS_MAX),
            acknowledged: Acknowledged::new(),
            next_queue: 0,
            events: VecDeque::new(),
            backoff: Backoff::new(seed, options.reconnect_delay, options.reconnect_delay_max),
            lost_at: None,
            last_failure: Failure::Closed,
            next_serial: 0,
            keep_alive_at: None,
            overdue_at: None,
            completed: Vec::new(),
            options,
        };
        controller.rise(env);
        Ok(controller)
    }

    /// True while requests can be sent.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    pub fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        let stream = match event.what {
            What::Readable(stream) | What::Writable(stream) | What::Broken(stream, _) => stream,
            What::Acceptable(_) | What::FileDone { .. } | What::Woken => return,
            What::DatagramsReadable(_) | What::DatagramsWritable(_) => return,
            What::LinkAcceptable(_) | What::LinkReadable(_) => return,
        };
        let queue = self.admin.iter_mut().chain(&mut self.io).find(|queue| queue.is_on(stream));
        if let Some(queue) = queue {
            queue.handle_event(env, &event.what);
            self.turn(env);
        }
    }

    /// Sends what channels submitted since the last call.
    pub fn flush(&mut self, env: &mut dyn Env) {
        for queue in self.admin.iter_mut().chain(&mut self.io) {
            queue.flush(env);
        }
        self.turn(env);
    }

    /// Draws the consequences of what the queues took in.
    fn turn(&mut self, env: &mut dyn Env) {
        self.handle_io_completions(env);
        self.handle_admin_completions(env);
        self.handle_queue_states(env);
        if !self.waiting.is_empty() && self.is_live() {
            self.issue_waiting(env);
        }
    }

    fn handle_admin_completions(&mut self, env: &mut dyn Env) {
        let mut completed = core::mem::take(&mut self.completed);
        while let Some(queue) = &mut self.admin {
            queue.take_completed(&mut completed);
            if completed.is_empty() {
                break;
            }
            for done in completed.drain(..) {
                self.handle_admin_done(env, &done);
            }
        }
        self.completed = completed;
    }

    fn handle_queue_states(&mut self, env: &mut dyn Env) {
        let ended = self.admin.iter().chain(&self.io).find_map(|queue| match queue.state() {
            State::Ended(why) => Some(why),
            State::Opening | State::Established => None,
        });
        if let Some(why) = ended {
            self.lose(env, why);
        } else {
            self.handle_established(env);
        }
    }

    pub fn deadline(&self) -> Option<Time> {
        let unread = (self.wants_device() || self.admin.iter().chain(&self.io).any(Queue::has_unread))
            .then_some(Time::ZERO);
        let phase = match self.phase {
            Phase::Rising { deadline, .. } => Some(deadline),
            Phase::Polling { at, deadline, .. } => Some(at.min(deadline)),
            Phase::Waiting { until } => Some(until),
            Phase::Live => earliest(earliest(self.keep_alive_at, self.overdue_at), self.access.deadline()),
            Phase::Failed(_) => None,
        };
        earliest(earliest(unread, self.loss_deadline()), earliest(phase, self.parked_until))
    }

    pub fn handle_timeout(&mut self, env: &mut dyn Env) {
        for queue in self.admin.iter_mut().chain(&mut self.io).filter(|queue| queue.has_unread()) {
            queue.receive_more(env);
        }
        let now = env.now();
        self.handle_loss_deadline(env);
        match self.phase {
            Phase::Rising { step, deadline } if now >= deadline => {
                self.lose(env, Failure::ConnectTimedOut(step));
            }
            Phase::Polling { deadline, .. } if now >= deadline => {
                self.lose(env, Failure::ConnectTimedOut(Step::Ready));
            }
            Phase::Polling { at, .. } if now >= at => self.poll_ready(env),
            Phase::Waiting { until } if now >= until => self.rise(env),
            Phase::Live => {
                self.handle_overdue(env);
                self.handle_keep_alive(env);
                self.handle_change_deadline(env);
            }
            Phase::Rising { .. } | Phase::Polling { .. } => {}
            Phase::Waiting { .. } | Phase::Failed(_) => {}
        }
        if self.parked_until.is_some_and(|until| now >= until) {
            self.unpark();
        }
        self.turn(env);
        self.flush(env);
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<HostEvent> {
        if self.is_exposed() { None } else { self.events.pop_front() }
    }

    /// True if [`Controller::poll_event`] has something to tell, now or once the device is done.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Asserts what always holds: who is live has all queues that were granted.
    pub fn check(&self) {
        let wanted = if self.options.io_queues == 0 { 0 } else { self.granted_queues };
        assert!(
            !self.is_live() || self.io.len() == usize::from(wanted),
            "live with {} queues",
            self.io.len()
        );
        self.link.iter().for_each(|link| link.check());
    }

    /// Ends everything. Requests complete as gone.
    pub fn close(&mut self, env: &mut dyn Env) {
        if let Phase::Failed(Failure::Closed) = self.phase {
            return;
        }
        self.shut_down(env);
        self.fail(env, Failure::Closed);
        for memory in core::mem::take(&mut self.spare).into_values() {
            memory.unmap(env.mem());
        }
        // A device knows our memory until it was told otherwise.
        if self.link.is_none() {
            self.unmap(env);
        }
    }

    fn unmap(&self, env: &mut dyn Env) {
        env.mem().unmap(self.page.region);
        env.mem().unmap(self.zeros.region);
    }
}

/// Bytes of a Dataset Management range.
const RANGE_LEN: usize = 16;
/// Bytes of the zeros that stand in where a controller has no Write Zeroes. They cost no memory.
const ZEROS_LEN: u64 = 128 << 10;
/// Admin commands outstanding.
const ADMIN_COMMANDS_MAX: usize = 30;
/// Channels of all namespaces.
const CHANNELS_MAX: usize = 1 << 16;
