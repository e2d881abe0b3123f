//! The queues of a shard, and the turn that drives them.

use super::queue::{Phase, Queue};
use super::{Context, Counters, Limits};
use crate::target::{Arrival, Executor, Portal, Response, Transport};
use std::collections::VecDeque;
use std::net::SocketAddr;
use stdx::env::Env;
use stdx::slab::{Key, Slab};
use stdx::time::Time;
use verbs::endpoint::{Endpoint, Happening, Options, Requested};
use verbs::{Access, ConnectError, ConnectionEvent, CreateError, Device, Event, Parameters, PortSpace};
use wire::nvme::rdma::{QueueAccept, QueueRequest, RejectStatus};
use wire::nvme::{CompletionQueueEntry, SubmissionQueueEntry};

/// The RDMA transport of one shard.
#[derive(Debug)]
pub struct Server {
    limits: Limits,
    counters: Counters,
    endpoint: Endpoint,
    queues: Slab<Queue>,
    /// The queue of each of the endpoint's connections, by its place.
    by_connection: Vec<Option<Key>>,
    /// When handshakes must be over, in the order of their times.
    handshakes: VecDeque<(Time, Key)>,
    /// Queues that wait for a buffer or for room at the device.
    stalled: Vec<Key>,
    retrying: Vec<Key>,
    responses: Vec<Response>,
    draining: bool,
}

/// A queue, for people and `nvmf_subsystem_get_qpairs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueInfo {
    /// Where it came in, and from where.
    pub arrival: Arrival,
    /// What it is doing.
    pub phase: Phase,
    /// The controller it belongs to (CNTLID), once it has one.
    pub controller_id: Option<u16>,
    /// Its identifier; 0 is the admin queue.
    pub queue_id: u16,
    /// Entries of the submission queue.
    pub entries: u32,
    /// Commands under way.
    pub outstanding: usize,
}

impl Server {
    /// A server without listeners. `owner_base` has its low 32 bits clear; all owners with these high 32 bits are its. The
    /// keys of its connections carry `tag`, by which a target's answers find it among other servers
    /// ([`Lanes`](crate::target::Lanes)).
    ///
    /// # Errors
    /// When the device allows less than the limits ask for, or the system has no memory.
    pub fn new(
        env: &mut dyn Env,
        device: &mut dyn Device,
        owner_base: u64,
        tag: u8,
        target: &dyn Executor,
        limits: Limits,
    ) -> Result<Self, CreateError> {
        let capsule = SubmissionQueueEntry::LEN as u32 + target.options().in_capsule_data_size;
        let options = Options {
            connections_max: limits.connections_max,
            receives: limits.receives,
            receive_len: capsule,
            sends: limits.sends,
            pieces: 1,
            inline_bytes: CompletionQueueEntry::LEN as u32,
            access: Access::NONE,
        };
        Ok(Self {
            limits,
            counters: Counters::default(),
            endpoint: Endpoint::new(env, device, owner_base, options)?,
            queues: Slab::tagged(limits.connections_max as usize, tag),
            by_connection: Vec::new(),
            handshakes: VecDeque::new(),
            stalled: Vec::new(),
            retrying: Vec::new(),
            responses: Vec::new(),
            draining: false,
        })
    }

    /// What has happened so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// All queues that are not over.
    pub fn queues(&self) -> impl Iterator<Item = QueueInfo> {
        self.queues.iter().map(|(_, queue)| QueueInfo {
            arrival: queue.arrival,
            phase: queue.phase,
            controller_id: queue.established.map(|established| established.controller_id),
            queue_id: queue.asked.queue_id,
            entries: queue.entries() as u32,
            outstanding: queue.outstanding(),
        })
    }

    /// Listens on an address; says which it is, with the port the device chose for port 0. Asked again for the same
    /// address, it counts one user more.
    ///
    /// # Errors
    /// When someone else listens there, or the address is none of the device's.
    pub fn listen(
        &mut self,
        device: &mut dyn Device,
        address: SocketAddr,
    ) -> Result<SocketAddr, ConnectError> {
        self.endpoint.listen(device, PortSpace::Tcp, address)
    }

    /// One user less for an address. With the last, the listener is closed; queues that came in live on until the target
    /// ends them.
    pub fn unlisten(&mut self, device: &mut dyn Device, address: SocketAddr) {
        self.endpoint.unlisten(device, PortSpace::Tcp, address);
    }

    /// The addresses listened on.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.endpoint.listening()
    }

    /// An event of the device for one of this server's owners.
    pub fn handle_event(&mut self, device: &mut dyn Device, event: &Event) {
        self.endpoint.handle_event(device, event);
    }

    /// Something happened to a connection or listener of this server's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        self.endpoint.handle_connection(env, device, event);
    }

    /// When [`Server::handle_timeout`] or, if that is now, [`Server::poll`] wants to be called.
    pub fn deadline(&self) -> Option<Time> {
        if self.endpoint.is_ready() {
            return Some(Time::ZERO);
        }
        self.handshakes.front().map(|&(time, _)| time)
    }

    /// Ends connections whose time is over.
    pub fn handle_timeout(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor) {
        let now = env.now();
        while let Some((_, key)) = self.handshakes.pop_front_if(|(time, _)| *time <= now) {
            let is_late = |queue: &Queue| matches!(queue.phase, Phase::Opening | Phase::Connecting);
            if self.queues.get(key).is_some_and(is_late) {
                self.counters.handshakes_timed_out += 1;
                self.end(env, device, target, key);
            }
        }
    }

    /// Drives everything as far as it goes now: called once after the events of a turn were handled, before the device's
    /// turn.
    pub fn poll(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor) {
        for _ in 0..ROUNDS_MAX {
            let mut any = false;
            for _ in 0..HAPPENINGS_MAX {
                let Some(happening) = self.endpoint.poll(env, device) else { break };
                any = true;
                self.handle(env, device, target, happening);
            }
            any |= self.collect(env, device, target);
            self.retry(env, device, target);
            self.endpoint.send_answers(device);
            if !any {
                return;
            }
        }
    }

    /// Stops listening and takes no further command. Connections are ended as soon as what they were asked is answered.
    pub fn drain(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor) {
        self.draining = true;
        self.endpoint.close_listeners(device);
        let idle: Vec<Key> =
            self.queues.iter().filter(|(_, queue)| !queue.is_busy()).map(|(key, _)| key).collect();
        for key in idle {
            self.end(env, device, target, key);
        }
    }

    /// Ends every connection now. The server must still be polled until [`Server::is_drained`].
    pub fn close(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor) {
        self.draining = true;
        self.endpoint.close_listeners(device);
        let all: Vec<Key> = self.queues.iter().map(|(key, _)| key).collect();
        for key in all {
            self.end(env, device, target, key);
        }
    }

    /// Whether no connection is left.
    pub fn is_drained(&self) -> bool {
        self.queues.is_empty()
    }

    /// Whether there is neither a listener nor a connection.
    pub fn is_idle(&self) -> bool {
        self.is_drained() && self.endpoint.listening().next().is_none()
    }

    /// Gives everything back to the device and the environment, once the server is drained.
    pub fn free(self, env: &mut dyn Env, device: &mut dyn Device) {
        debug_assert!(self.is_drained());
        self.endpoint.free(env, device);
    }

    /// Asserts what always holds; says how many I/O buffers of the shard it has.
    pub fn check(&self) -> usize {
        self.endpoint.check();
        self.queues.iter().map(|(_, queue)| queue.check()).sum()
    }

    fn handle(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        target: &mut dyn Executor,
        happening: Happening,
    ) {
        match happening {
            Happening::Requested(requested) => self.answer_request(env, device, target, &requested),
            Happening::Established { connection, .. } => {
                if let Some(queue) = self.find(connection).and_then(|key| self.queues.get_mut(key))
                    && queue.phase == Phase::Opening
                {
                    queue.phase = Phase::Connecting;
                }
            }
            Happening::Refused { .. } => debug_assert!(false, "a server asks nobody"),
            Happening::Received { connection, received } => {
                let Some(key) = self.find(connection) else {
                    return self.endpoint.release(device, connection, received);
                };
                let taken =
                    self.with(env, device, target, key, |queue, cx| queue.handle_capsule(cx, received));
                if matches!(taken, Some(Err(_))) {
                    self.counters.terminated += 1;
                    self.end(env, device, target, key);
                }
            }
            Happening::Done { connection, token, kind, status } => {
                let Some(key) = self.find(connection) else { return };
                self.with(env, device, target, key, |queue, cx| queue.handle_done(cx, token, kind, status));
                self.settle(env, device, target, key);
            }
            Happening::Broken { connection } => {
                let Some(key) = self.find(connection) else { return };
                self.counters.broken += 1;
                self.with(env, device, target, key, |queue, cx| queue.end(cx));
            }
            Happening::Gone { connection } => {
                let Some(key) = self.find(connection) else { return };
                self.by_connection[connection.index()] = None;
                self.with(env, device, target, key, |queue, cx| queue.handle_gone(cx));
                self.settle(env, device, target, key);
            }
        }
    }

    /// Someone asks for a queue (RDMA Transport 3.2).
    fn answer_request(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        target: &dyn Executor,
        requested: &Requested,
    ) {
        let judged = self.judge(target, requested);
        let opened = judged.and_then(|asked| {
            let entries = asked.host_send_size_zero_based + 1;
            let private_data = QueueAccept { controller_receive_size: entries }.encode();
            let offered = requested.parameters;
            let parameters = Parameters {
                initiator_depth: offered.initiator_depth.min(self.limits.read_depth),
                responder_resources: 0,
                ..offered
            };
            let accepted = self.endpoint.accept(env, device, requested.request, parameters, &private_data);
            accepted.map(|connection| (connection, asked)).map_err(|_| RejectStatus::NoResources)
        });
        match opened {
            Ok((connection, asked)) => {
                self.counters.accepted += 1;
                self.add(env, connection, requested, asked);
            }
            Err(status) => {
                self.counters.rejected += 1;
                self.endpoint.reject(device, requested.request, &status.encode());
            }
        }
    }

    /// Whether a queue can be had as it is asked for.
    fn judge(&self, target: &dyn Executor, requested: &Requested) -> Result<QueueRequest, RejectStatus> {
        let asked = QueueRequest::decode(requested.private_data.bytes())?;
        let options = target.options();
        let is_admin = asked.queue_id == 0;
        let most = if is_admin { options.max_aq_depth } else { options.max_queue_depth };
        if !is_admin && asked.queue_id > options.max_io_qpairs_per_ctrlr {
            return Err(RejectStatus::QueueId);
        }
        if asked.host_send_size_zero_based == 0 || asked.host_send_size_zero_based >= most {
            return Err(RejectStatus::HostSendSize);
        }
        if asked.host_receive_size <= asked.host_send_size_zero_based {
            return Err(RejectStatus::HostReceiveSize);
        }
        // The controller reads what commands bring from the host's memory.
        if requested.parameters.initiator_depth == 0 {
            return Err(RejectStatus::InboundReadDepth);
        }
        // Hosts that say nothing of the controller say 0.
        if !is_admin && asked.controller_id != 0 && !target.has_controller(asked.controller_id) {
            return Err(RejectStatus::ControllerId);
        }
        if self.draining || self.queues.is_full() {
            return Err(RejectStatus::NoResources);
        }
        Ok(asked)
    }

    fn add(&mut self, env: &mut dyn Env, connection: Key, requested: &Requested, asked: QueueRequest) {
        let Some(key) = self.queues.next_key() else { return };
        let portal = Portal { transport: Transport::Rdma, address: requested.portal };
        let arrival = Arrival { portal, local: requested.local, peer: requested.peer };
        let inserted = self.queues.insert(Queue::new(key, connection, arrival, asked));
        debug_assert_eq!(inserted.ok(), Some(key));
        let place = connection.index();
        if self.by_connection.len() <= place {
            self.by_connection.resize(place + 1, None);
        }
        self.by_connection[place] = Some(key);
        self.handshakes.push_back((env.now() + self.limits.handshake_time, key));
    }

    /// Takes the target's answers to their queues, and lets those go that the target wants ended.
    fn collect(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor) -> bool {
        let mut responses = core::mem::take(&mut self.responses);
        target.poll(env, &mut responses);
        let mut any = !responses.is_empty();
        for response in responses.drain(..) {
            let key = response.connection;
            self.with(env, device, target, key, |queue, cx| queue.handle_response(cx, &response));
            self.settle(env, device, target, key);
        }
        self.responses = responses;
        while let Some(key) = target.poll_disconnect() {
            any = true;
            self.end(env, device, target, key);
        }
        while let Some((key, outcome)) = target.poll_connected(env) {
            any = true;
            let taken = self.with(env, device, target, key, |queue, cx| queue.handle_connected(cx, &outcome));
            if let (Ok(connected), None | Some(false)) = (&outcome, taken) {
                target.disconnect(env, connected.queue);
            }
        }
        any
    }

    /// What waits for buffers or room tries again, the longest wait first.
    fn retry(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor) {
        core::mem::swap(&mut self.stalled, &mut self.retrying);
        for at in 0..self.retrying.len() {
            let key = self.retrying[at];
            self.with(env, device, target, key, |queue, cx| queue.retry(cx));
        }
        self.retrying.clear();
    }

    /// Does something with a queue, and remembers if it waits for something afterwards.
    fn with<T>(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        target: &mut dyn Executor,
        key: Key,
        act: impl FnOnce(&mut Queue, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let queue = self.queues.get_mut(key)?;
        let (endpoint, counters) = (&mut self.endpoint, &mut self.counters);
        let outcome = act(queue, &mut Context { env, device, target, endpoint, counters });
        self.note_stalled(key);
        Some(outcome)
    }

    fn note_stalled(&mut self, key: Key) {
        if self.queues.get(key).is_some_and(Queue::is_stalled) && !self.stalled.contains(&key) {
            self.stalled.push(key);
        }
    }

    /// Ends a queue: what it was asked is given up, and its connection is ended.
    fn end(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor, key: Key) {
        self.with(env, device, target, key, |queue, cx| queue.end(cx));
        if let Some(connection) = self.queues.get(key).map(|queue| queue.connection) {
            self.endpoint.disconnect(env, device, connection);
        }
    }

    /// Forgets a queue of which nothing is left; ends one that is done, if the server is draining.
    fn settle(&mut self, env: &mut dyn Env, device: &mut dyn Device, target: &mut dyn Executor, key: Key) {
        let Some(queue) = self.queues.get(key) else { return };
        if queue.is_over() {
            self.queues.remove(key);
        } else if self.draining && queue.phase != Phase::Ending && !queue.is_busy() {
            self.end(env, device, target, key);
        }
    }

    /// The queue of a connection of the endpoint's.
    fn find(&self, connection: Key) -> Option<Key> {
        let key = self.by_connection.get(connection.index()).copied().flatten()?;
        self.queues.get(key).filter(|queue| queue.connection == connection).map(|_| key)
    }
}

/// Rounds of one poll: with the responses of one, the next may take what had to wait.
const ROUNDS_MAX: usize = 32;
/// Happenings taken before the target is asked for answers, so that none waits for long.
const HAPPENINGS_MAX: usize = 128;
