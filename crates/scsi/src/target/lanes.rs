//! One target, several servers: each gets the outcomes that are its own.
//!
//! The highest four bits of a slot say which server it is of ([`tagged`]); what comes for another is kept until that one asks.
//! The server of streams has the tag 0; those of devices have others, each its own.
//!
//! What a volume lends holds until the next request is submitted, so a server that takes lent answers is polled last of all in
//! a turn: nothing is then kept for it while others submit.

use super::{
    Begun, Command, ConfigError, DeviceKey, Event, Executor, Management, ManagementOutcome, NexusKey,
    Outcome, Target, TaskKey,
};
use std::collections::{BTreeMap, VecDeque};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::scsi::TransportId;

/// Outcomes that wait for their server.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: [Waiting; Key::TAGS],
    /// Whose each nexus is.
    nexuses: BTreeMap<NexusKey, u8>,
    /// Reused from poll to poll.
    polled: Vec<Outcome>,
}

/// What waits for one server.
#[derive(Debug, Default)]
struct Waiting {
    outcomes: Vec<Outcome>,
    managed: VecDeque<(NexusKey, u32, ManagementOutcome)>,
    lost: VecDeque<NexusKey>,
    events: VecDeque<Event>,
}

/// A target as one server sees it.
#[derive(Debug)]
pub struct Lane<'a> {
    target: &'a mut Target,
    lanes: &'a mut Lanes,
    tag: u8,
}

/// The slot of a server with a tag below [`Key::TAGS`]; `slot` is below 2^28.
pub const fn tagged(tag: u8, slot: u32) -> u32 {
    (tag as u32) << TAG_SHIFT | slot & ((1 << TAG_SHIFT) - 1)
}

/// The tag in a slot.
const fn tag_of(slot: u32) -> u8 {
    (slot >> TAG_SHIFT) as u8
}

impl Lanes {
    /// The target, for the server whose slots carry `tag`, which is below [`Key::TAGS`].
    pub const fn of<'a>(&'a mut self, target: &'a mut Target, tag: u8) -> Lane<'a> {
        Lane { target, lanes: self, tag }
    }

    /// Whether something waits for a server that was asked before it came: all want to be polled again then.
    pub fn is_waiting(&self) -> bool {
        self.lanes
            .iter()
            .any(|lane| !(lane.outcomes.is_empty() && lane.managed.is_empty() && lane.lost.is_empty()))
    }

    fn lane(&mut self, tag: u8) -> &mut Waiting {
        &mut self.lanes[usize::from(tag)]
    }
}

impl Executor for Lane<'_> {
    fn open_nexus(
        &mut self,
        device: DeviceKey,
        initiator: TransportId,
        port: u16,
    ) -> Result<NexusKey, ConfigError> {
        let nexus = self.target.open_nexus(device, initiator, port)?;
        self.lanes.nexuses.insert(nexus, self.tag);
        Ok(nexus)
    }

    fn begin(&mut self, env: &mut dyn Env, command: &Command) -> Begun {
        debug_assert_eq!(tag_of(command.slot), self.tag);
        Executor::begin(self.target, env, command)
    }

    fn perform(&mut self, env: &mut dyn Env, command: &Command, data: Span) -> Option<Span> {
        Executor::perform(self.target, env, command, data)
    }

    fn submit(&mut self, env: &mut dyn Env, task: TaskKey, data: Span) {
        Executor::submit(self.target, env, task, data);
    }

    fn manage(&mut self, env: &mut dyn Env, request: &Management) {
        debug_assert_eq!(tag_of(request.slot), self.tag);
        Executor::manage(self.target, env, request);
    }

    fn poll(&mut self, env: &mut dyn Env, outcomes: &mut Vec<Outcome>) {
        Executor::poll(self.target, env, &mut self.lanes.polled);
        for outcome in self.lanes.polled.drain(..) {
            self.lanes.lanes[usize::from(tag_of(outcome.slot))].outcomes.push(outcome);
        }
        outcomes.append(&mut self.lanes.lane(self.tag).outcomes);
    }

    fn poll_management(&mut self) -> Option<(NexusKey, u32, ManagementOutcome)> {
        while let Some(managed) = Executor::poll_management(self.target) {
            self.lanes.lane(tag_of(managed.1)).managed.push_back(managed);
        }
        self.lanes.lane(self.tag).managed.pop_front()
    }

    fn lose(&mut self, env: &mut dyn Env, nexus: NexusKey) {
        self.lanes.nexuses.remove(&nexus);
        let lane = self.lanes.lane(self.tag);
        lane.managed.retain(|(of, _, _)| *of != nexus);
        lane.lost.retain(|lost| *lost != nexus);
        lane.events.retain(|event| event.nexus != nexus);
        Executor::lose(self.target, env, nexus);
    }

    fn awaits_predecessor(&mut self, nexus: NexusKey) -> bool {
        Executor::awaits_predecessor(self.target, nexus)
    }

    fn poll_lost(&mut self) -> Option<NexusKey> {
        while let Some(nexus) = Executor::poll_lost(self.target) {
            if let Some(&tag) = self.lanes.nexuses.get(&nexus) {
                self.lanes.lane(tag).lost.push_back(nexus);
            }
        }
        self.lanes.lane(self.tag).lost.pop_front()
    }

    fn poll_event(&mut self) -> Option<Event> {
        while let Some(event) = Executor::poll_event(self.target) {
            let Some(&tag) = self.lanes.nexuses.get(&event.nexus) else { continue };
            // A server that has no way to tell never asks.
            let events = &mut self.lanes.lane(tag).events;
            if events.len() < EVENTS_MAX && !events.contains(&event) {
                events.push_back(event);
            }
        }
        self.lanes.lane(self.tag).events.pop_front()
    }
}

/// Events that wait for one server. Those beyond are lost, as events may be.
const EVENTS_MAX: usize = 256;

/// Where a slot ends and the tag begins.
const TAG_SHIFT: u32 = 28;
