//! One target, several servers: each gets the answers that are its own.
//!
//! The keys of a server's connections carry its tag ([`Slab::tagged`](stdx::slab::Slab::tagged)); what comes for another is kept
//! until that one asks. The server of streams has the tag 0; those of devices have others, each its own.
//!
//! What a volume lends holds until the next request is submitted, so a server that takes lent answers is polled last of all in
//! a turn: nothing is then kept for it while others submit.

use super::{Arrival, Connected, Executor, Options, QueueKey, Refusal, Request, Response, Target, Transfer};
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::fabrics::ConnectData;
use wire::nvme::{Status, SubmissionQueueEntry};

/// Answers that wait for their server.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: [Waiting; Key::TAGS],
    /// Reused from poll to poll.
    polled: Vec<Response>,
}

/// What waits for one server.
#[derive(Debug, Default)]
struct Waiting {
    responses: Vec<Response>,
    disconnects: VecDeque<Key>,
    connected: VecDeque<(Key, Result<Connected, Refusal>)>,
}

/// A target as one server sees it.
#[derive(Debug)]
pub struct Lane<'a> {
    target: &'a mut Target,
    lanes: &'a mut Lanes,
    tag: u8,
}

impl Lanes {
    /// The target, for the server whose connections' keys carry `tag`, which is below [`Key::TAGS`].
    pub const fn of<'a>(&'a mut self, target: &'a mut Target, tag: u8) -> Lane<'a> {
        Lane { target, lanes: self, tag }
    }

    /// Whether something waits for a server that was asked before it came: all want to be polled again then.
    pub fn is_waiting(&self) -> bool {
        self.lanes.iter().any(|lane| {
            !(lane.responses.is_empty() && lane.disconnects.is_empty() && lane.connected.is_empty())
        })
    }

    fn lane(&mut self, tag: u8) -> &mut Waiting {
        &mut self.lanes[usize::from(tag)]
    }
}

impl Executor for Lane<'_> {
    fn options(&self) -> &Options {
        self.target.options()
    }

    fn has_controller(&self, controller_id: u16) -> bool {
        self.target.has_controller(controller_id)
    }

    fn connect(
        &mut self,
        env: &mut dyn Env,
        connection: Key,
        arrival: &Arrival,
        command: &SubmissionQueueEntry,
        data: &ConnectData,
    ) -> Option<Result<Connected, Refusal>> {
        debug_assert_eq!(connection.tag(), self.tag);
        self.target.connect(env, connection, arrival, command, data)
    }

    fn poll_connected(&mut self, env: &mut dyn Env) -> Option<(Key, Result<Connected, Refusal>)> {
        while let Some((connection, outcome)) = self.target.poll_connected(env) {
            self.lanes.lane(connection.tag()).connected.push_back((connection, outcome));
        }
        self.lanes.lane(self.tag).connected.pop_front()
    }

    fn forget_connect(&mut self, connection: Key) {
        let lane = self.lanes.lane(self.tag);
        lane.connected.retain(|(waiting, outcome)| *waiting != connection || outcome.is_ok());
        self.target.forget_connect(connection);
    }

    fn transfer(&mut self, queue: QueueKey, command: &SubmissionQueueEntry) -> Result<Transfer, Status> {
        self.target.transfer(queue, command)
    }

    fn perform(
        &mut self,
        env: &mut dyn Env,
        queue: QueueKey,
        command: &SubmissionQueueEntry,
        data: Span,
    ) -> Option<Span> {
        self.target.perform(env, queue, command, data)
    }

    fn submit(&mut self, env: &mut dyn Env, queue: QueueKey, request: Request) {
        self.target.submit(env, queue, request);
    }

    fn abandon(&mut self, queue: QueueKey, command: &SubmissionQueueEntry, status: Status) {
        self.target.abandon(queue, command, status);
    }

    fn poll(&mut self, env: &mut dyn Env, responses: &mut Vec<Response>) {
        let Lanes { lanes, polled } = &mut *self.lanes;
        self.target.poll(env, polled);
        responses.append(&mut lanes[usize::from(self.tag)].responses);
        for response in polled.drain(..) {
            match response.connection.tag() {
                tag if tag == self.tag => responses.push(response),
                tag => lanes[usize::from(tag)].responses.push(response),
            }
        }
    }

    fn disconnect(&mut self, env: &mut dyn Env, queue: QueueKey) {
        self.target.disconnect(env, queue);
    }

    fn poll_disconnect(&mut self) -> Option<Key> {
        while let Some(connection) = self.target.poll_disconnect() {
            self.lanes.lane(connection.tag()).disconnects.push_back(connection);
        }
        self.lanes.lane(self.tag).disconnects.pop_front()
    }
}
