//! One target, several transports: each gets the answers that are its own.
//!
//! The keys of connections say which transport they are of ([`Transport::tag`]); what comes for another is kept until that one
//! asks.

use super::{
    Arrival, Connected, Executor, Options, QueueKey, Refusal, Request, Response, Target, Transfer, Transport,
};
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::fabrics::ConnectData;
use wire::nvme::{Status, SubmissionQueueEntry};

/// Answers that wait for their transport.
#[derive(Debug, Default)]
pub struct Lanes {
    lanes: [Waiting; TRANSPORTS],
    /// Reused from poll to poll.
    polled: Vec<Response>,
}

/// What waits for one transport.
#[derive(Debug, Default)]
struct Waiting {
    responses: Vec<Response>,
    disconnects: VecDeque<Key>,
    connected: VecDeque<(Key, Result<Connected, Refusal>)>,
}

/// A target as one transport sees it.
#[derive(Debug)]
pub struct Lane<'a> {
    target: &'a mut Target,
    lanes: &'a mut Lanes,
    transport: Transport,
}

impl Lanes {
    /// The target, for the server of a transport.
    pub const fn of<'a>(&'a mut self, target: &'a mut Target, transport: Transport) -> Lane<'a> {
        Lane { target, lanes: self, transport }
    }

    /// Whether something waits for a transport.
    pub fn is_waiting(&self, transport: Transport) -> bool {
        let lane = &self.lanes[usize::from(transport.tag())];
        !(lane.responses.is_empty() && lane.disconnects.is_empty() && lane.connected.is_empty())
    }

    fn lane(&mut self, tag: u8) -> &mut Waiting {
        &mut self.lanes[usize::from(tag)]
    }
}

impl Executor for Lane<'_> {
    fn options(&self) -> &Options {
        self.target.options()
    }

    fn connect(
        &mut self,
        env: &mut dyn Env,
        connection: Key,
        arrival: &Arrival,
        command: &SubmissionQueueEntry,
        data: &ConnectData,
    ) -> Option<Result<Connected, Refusal>> {
        debug_assert_eq!(connection.tag(), self.transport.tag());
        self.target.connect(env, connection, arrival, command, data)
    }

    fn poll_connected(&mut self, env: &mut dyn Env) -> Option<(Key, Result<Connected, Refusal>)> {
        while let Some((connection, outcome)) = self.target.poll_connected(env) {
            self.lanes.lane(connection.tag()).connected.push_back((connection, outcome));
        }
        self.lanes.lane(self.transport.tag()).connected.pop_front()
    }

    fn forget_connect(&mut self, connection: Key) {
        let lane = self.lanes.lane(self.transport.tag());
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
        self.target.poll(env, &mut self.lanes.polled);
        for response in self.lanes.polled.drain(..) {
            self.lanes.lanes[usize::from(response.connection.tag())].responses.push(response);
        }
        responses.append(&mut self.lanes.lane(self.transport.tag()).responses);
    }

    fn disconnect(&mut self, env: &mut dyn Env, queue: QueueKey) {
        self.target.disconnect(env, queue);
    }

    fn poll_disconnect(&mut self) -> Option<Key> {
        while let Some(connection) = self.target.poll_disconnect() {
            self.lanes.lane(connection.tag()).disconnects.push_back(connection);
        }
        self.lanes.lane(self.transport.tag()).disconnects.pop_front()
    }
}

/// How many transports there are.
const TRANSPORTS: usize = 2;
