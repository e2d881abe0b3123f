//! The controller side of NVMe over Fabrics, whatever the transport: subsystems, namespaces, controllers, and the
//! execution of commands over volumes (Base 2.0, NVM Command Set 1.0).
//!
//! What it is: one [`Target`] for each shard, sans-IO. Transports feed it commands through [`seam`]; the owner configures it
//! ([`registry`]) and gives it opened volumes; volumes complete through [`Target::poll`].
//!
//! What it is not: it knows no PDU, no digest, no socket, and it allocates no buffer: payload lies where the transport or
//! the volume put it.
//!
//! Invariants, asserted by [`Target::check`]: every submitted request is answered exactly once; a queue's count of
//! requests under way is that of the table; every queue belongs to a live controller, every controller to a live
//! subsystem; a namespace leaves only when its volume holds no buffer.
//!
//! - [`subsystem`], [`namespace`], [`portal`], [`discovery`]: what there is. [`registry`]: how it changes. [`readout`]: how
//!   it is seen from outside.
//! - [`controller`]: Connect, properties, admin commands, events. [`nvm`]: I/O commands and reservations.

mod check;
mod controller;
mod discovery;
mod executor;
mod identifiers;
mod lanes;
mod namespace;
mod nvm;
mod options;
mod outstanding;
mod portal;
mod queue;
pub mod rdma;
mod readout;
mod registry;
mod seam;
mod sgl;
mod status;
mod submission;
mod subsystem;
pub mod tcp;
#[cfg(test)]
mod tests;

pub use discovery::Referral;
pub use executor::Executor;
pub use lanes::{Lane, Lanes};
pub use namespace::NamespaceConfig;
pub use nvm::reservation::{Registrant, ReservationState};
pub use options::Options;
pub use portal::{AnaState, Arrival, Portal, Transport};
pub use readout::{
    ControllerInfo, ListenerInfo, NamespaceInfo, QueueInfo, Statistics, SubsystemInfo, Totals,
};
pub use registry::ConfigError;
pub use seam::{Connected, QueueKey, Refusal, Request, Response, Transfer};
pub use subsystem::SubsystemConfig;

use controller::Controller;
use controller::connect::Caller;
use discovery::Discovery;
use namespace::Namespace;
use nvm::reservation::Parked;
use options::{CONTROLLERS_MAX, NAMESPACES_MAX, OUTSTANDING_MAX, QUEUES_MAX, SUBSYSTEMS_MAX};
use outstanding::Outstanding;
use queue::Queue;
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::{Key, Slab};
use stdx::time::{Time, earliest};
use subsystem::Subsystem;
use wire::nvme::{FABRICS_OPCODE, Status, SubmissionQueueEntry};

/// Subsystems and everything behind them.
#[derive(Debug)]
pub struct Target {
    options: Options,
    /// Subsystems beside the discovery subsystem, at most.
    subsystems_max: usize,
    subsystems: Slab<Subsystem>,
    namespaces: Slab<Namespace>,
    controllers: Slab<Controller>,
    queues: Slab<Queue>,
    outstanding: Slab<Outstanding>,
    discovery: Discovery,
    /// Answers the next [`Target::poll`] hands out.
    responses: Vec<Response>,
    /// Connections the transport is to end.
    disconnects: VecDeque<Key>,
    /// Hosts that wait for the end of the association they had.
    comebacks: Vec<Caller>,
    /// Namespaces with I/O under way.
    busy: Vec<Key>,
    /// Reused by [`Target::poll`].
    done: Vec<block::Done>,
    /// No timer ends before this; it may lie before the first that does.
    next_timer: Option<Time>,
    /// Namespaces whose reservations changed and are to persist.
    reservation_changes: VecDeque<Key>,
    /// Commands that changed reservations and are not answered yet.
    parked: Vec<Parked>,
    counters: Counters,
}

/// Counts for [`Target::check`] and the read-outs.
#[derive(Clone, Copy, Default, Debug)]
struct Counters {
    submitted: u64,
    answered: u64,
    /// Requests that wait inside the target without a volume: parked event requests, halves of fused
    /// commands, changes of reservations that are being stored.
    held: u64,
}

impl Target {
    /// A target with nothing but its discovery subsystem.
    pub fn new(options: Options) -> Self {
        let mut subsystems = Slab::new(SUBSYSTEMS_MAX);
        let discovery = Discovery::new(&mut subsystems);
        Self {
            options,
            subsystems_max: SUBSYSTEMS_MAX - 1,
            subsystems,
            namespaces: Slab::new(NAMESPACES_MAX),
            controllers: Slab::new(CONTROLLERS_MAX),
            queues: Slab::new(QUEUES_MAX),
            outstanding: Slab::new(OUTSTANDING_MAX),
            discovery,
            responses: Vec::new(),
            disconnects: VecDeque::new(),
            comebacks: Vec::new(),
            busy: Vec::new(),
            done: Vec::new(),
            next_timer: None,
            reservation_changes: VecDeque::new(),
            parked: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Which data a command moves, to be asked once for every command capsule of a queue but Connect, in the order they
    /// came: fused commands are recognised here. An error is the command's status; it is then not submitted.
    pub fn transfer(&mut self, queue: QueueKey, command: &SubmissionQueueEntry) -> Result<Transfer, Status> {
        let Some(entry) = self.queues.get(queue.0) else { return Err(Status::ABORTED_QUEUE_DELETION) };
        let outcome = if command.opcode == FABRICS_OPCODE {
            controller::fabrics::transfer(command)
        } else if entry.is_admin() {
            self.admin_transfer(entry, command)
        } else {
            self.io_transfer(queue.0, command)
        };
        outcome.map_err(|status| {
            let status = status::final_for_host(status);
            self.note_error(queue.0, command, status);
            status
        })
    }

    /// Executes a command whose data is there. Answered through [`Target::poll`], exactly once, in any order.
    pub fn submit(&mut self, env: &mut dyn Env, queue: QueueKey, request: Request) {
        self.counters.submitted += 1;
        let Some(entry) = self.queues.get_mut(queue.0) else {
            return self.push_response(&request, Status::ABORTED_QUEUE_DELETION, 0, Span::EMPTY);
        };
        entry.outstanding += 1;
        let admin = entry.is_admin();
        if request.command.opcode == FABRICS_OPCODE {
            self.fabrics(env, queue.0, &request);
        } else if admin {
            self.admin(env, queue.0, &request);
        } else {
            self.io(env, queue.0, &request);
        }
    }

    /// The transport answered a command with `status` itself after [`Target::transfer`] accepted it, because its data did
    /// not arrive intact. It is not submitted.
    pub fn abandon(&mut self, queue: QueueKey, command: &SubmissionQueueEntry, status: Status) {
        self.note_error(queue.0, command, status);
        self.fused_abandon(queue.0, command);
    }

    /// Drives volumes with I/O under way, and appends what is answered since the last call.
    pub fn poll(&mut self, env: &mut dyn Env, responses: &mut Vec<Response>) {
        while self.poll_volumes(env) {}
        self.settle_parked();
        responses.append(&mut self.responses);
    }

    /// The queue's connection is gone: what it had outstanding is given up. Each of its requests is still answered, at
    /// once or when its volume lets go of the buffer. The end of an admin queue is the end of its controller.
    pub fn disconnect(&mut self, env: &mut dyn Env, queue: QueueKey) {
        let Some(entry) = self.queues.remove(queue.0) else { return };
        self.give_up_requests(queue.0, entry);
        let _ = env;
    }

    /// The next connection the transport must end; what it has to send first, it may.
    pub fn poll_disconnect(&mut self) -> Option<Key> {
        self.disconnects.pop_front()
    }

    /// When [`Target::handle_timeout`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        // What was answered since the last poll wants to be told.
        if self.responses.is_empty() { self.next_timer } else { Some(Time::ZERO) }
    }

    /// The deadline has come, or any time later.
    pub fn handle_timeout(&mut self, env: &mut dyn Env) {
        let now = env.now();
        if self.next_timer.is_none_or(|timer| timer > now) {
            return;
        }
        let keys: Vec<Key> = self.controllers.iter().map(|(key, _)| key).collect();
        self.next_timer = None;
        for key in keys {
            let timer = self.expire_keep_alive(key, now);
            self.next_timer = earliest(self.next_timer, timer);
        }
    }

    /// One round over the volumes with I/O under way; true if something was done, so that another is worth it.
    fn poll_volumes(&mut self, env: &mut dyn Env) -> bool {
        let mut any = false;
        let mut place = 0;
        while let Some(&key) = self.busy.get(place) {
            let mut done = core::mem::take(&mut self.done);
            if let Some(namespace) = self.namespaces.get_mut(key) {
                namespace.channel.poll(env, &mut done);
            }
            any |= !done.is_empty();
            for completion in done.drain(..) {
                self.complete(env, &completion);
            }
            self.done = done;
            if self.retire_if_idle(key) {
                self.busy.swap_remove(place);
            } else {
                place += 1;
            }
        }
        any
    }

    /// Takes an idle namespace off the list of busy ones, and out of the table if it was removed.
    fn retire_if_idle(&mut self, key: Key) -> bool {
        let Some(namespace) = self.namespaces.get_mut(key) else { return true };
        if !namespace.channel.is_idle() {
            return false;
        }
        namespace.busy = false;
        if namespace.removed {
            self.namespaces.remove(key);
        }
        true
    }

    /// Answers a request of a queue: counts it, logs an error, and hands it to the next [`Target::poll`].
    fn answer(&mut self, queue: Key, request: &Request, status: Status, result: u64, data: Span) {
        let status = status::final_for_host(status);
        if !status.is_success() {
            self.note_error(queue, &request.command, status);
        }
        self.release(queue);
        self.push_response(request, status, result, data);
    }

    /// One request less under way on a queue, if it is still there.
    fn release(&mut self, queue: Key) {
        if let Some(entry) = self.queues.get_mut(queue) {
            entry.outstanding -= 1;
        }
    }

    fn push_response(&mut self, request: &Request, status: Status, result: u64, data: Span) {
        let &Request { connection, slot, .. } = request;
        self.counters.answered += 1;
        self.responses.push(Response { connection, slot, status, result, data });
    }

    /// Asks the transport to end a queue's connection, once.
    fn end_connection(&mut self, queue: Key) {
        let Some(entry) = self.queues.get_mut(queue) else { return };
        if !core::mem::replace(&mut entry.ending, true) {
            self.disconnects.push_back(entry.connection);
        }
    }
}
