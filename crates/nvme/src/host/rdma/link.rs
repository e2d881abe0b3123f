//! All connections of an association on one device: the one place that has both the queues and the device at hand.

use super::QueueEnd;
use super::queue::{Context, Parameters, QueuePair, State};
use crate::host::HostOptions;
use crate::host::queue::{InCapsule, Queue};
use core::net::SocketAddr;
use stdx::env::{Env, Owner};
use stdx::mem::{Kind, OutOfMemory, Span};
use stdx::slab::Key;
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::{Access, ConnectionEvent, Device, Event};
use wire::nvme::{CompletionQueueEntry, SubmissionQueueEntry};

/// See the module.
#[derive(Debug)]
pub(in crate::host) struct Link {
    owner_base: u64,
    address: SocketAddr,
    options: Options,
    /// Entries of the admin queue, and of each I/O queue at most.
    entries: [u16; 2],
    endpoint: Option<Endpoint>,
    /// Capsules whose data goes along, then zeros.
    memory: Span,
    /// Whose each of the endpoint's connections is, by its place: the queue's identifier.
    places: Vec<Option<u16>>,
    leaving: Vec<Leaving>,
    /// Memory of commands that are told complete may be open to the controller yet.
    exposed: bool,
}

/// A queue that its controller has no use for any more.
#[derive(Debug)]
struct Leaving {
    queue: QueuePair,
    /// What was submitted is sent before the connection ends.
    orderly: bool,
}

/// The queues of an association.
pub(in crate::host) struct Queues<'a> {
    pub admin: Option<&'a mut Queue>,
    pub io: &'a mut [Queue],
}

impl Link {
    /// For an association as the options say. `owner` has its low 32 bits clear: all owners with these high 32 bits are its.
    pub fn new(
        env: &mut dyn Env,
        owner: Owner,
        options: &HostOptions,
        admin_entries: u16,
    ) -> Result<Self, OutOfMemory> {
        debug_assert_eq!(owner.0 & u64::from(u32::MAX), 0);
        let io_entries = if options.io_queues == 0 { 0 } else { options.queue_size };
        let largest = u32::from(admin_entries.max(io_entries));
        let capsules = usize::from(admin_entries) + usize::from(io_entries) * usize::from(options.io_queues);
        let region =
            env.mem().map(Kind::Shared, (capsules * SubmissionQueueEntry::LEN + PADDING_MAX) as u64)?;
        Ok(Self {
            owner_base: owner.0,
            address: options.address,
            options: Options {
                // The connections of the last attempt may still be ending.
                connections_max: 2 * (1 + u32::from(options.io_queues)),
                receives: capsules as u32,
                receive_len: CompletionQueueEntry::LEN as u32,
                // Of each command: its memory is opened, its capsule is sent, its memory is closed; and capsules of commands that
                // are complete, whose receipt is yet to come.
                sends: 4 * (largest - 1),
                pieces: 3,
                inline_bytes: SubmissionQueueEntry::LEN as u32,
                access: Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE),
            },
            entries: [admin_entries, io_entries],
            endpoint: None,
            memory: env.mem().whole(region),
            places: Vec::new(),
            leaving: Vec::new(),
            exposed: false,
        })
    }

    /// A queue of this link, whose connection is yet to be asked for.
    pub fn queue(
        &self,
        id: u16,
        controller_id: u16,
        entries: u16,
        flow_control: bool,
        in_capsule: InCapsule,
    ) -> QueuePair {
        let [admin, io] = self.entries.map(usize::from);
        let first_capsule = if id == 0 { 0 } else { admin + io * (usize::from(id) - 1) };
        // Data further behind the command than we have zeros for goes another way.
        let is_near = in_capsule.offset as usize <= PADDING_MAX;
        let in_capsule = if is_near { in_capsule } else { InCapsule::default() };
        QueuePair::new(Parameters { id, controller_id, entries, flow_control, in_capsule, first_capsule })
    }

    /// Takes a queue that is not needed any more. `orderly`: what was submitted is to arrive.
    pub fn leave(&mut self, queue: QueuePair, orderly: bool) {
        self.exposed = true;
        self.leaving.push(Leaving { queue, orderly });
    }

    /// True while memory of commands that were given up may be open to the controller: until the next [`Link::post`].
    pub const fn is_exposed(&self) -> bool {
        self.exposed
    }

    /// True if there is something to do that needs the device, as far as is known without asking it.
    pub fn wants_device(&self) -> bool {
        self.exposed || self.endpoint.as_ref().is_some_and(Endpoint::is_ready)
    }

    /// True if no connection is left, as far as the device has told.
    pub fn is_quiet(&self) -> bool {
        let is_idle = |endpoint: &Endpoint| endpoint.connections().next().is_none();
        self.leaving.is_empty() && self.endpoint.as_ref().is_none_or(is_idle)
    }

    /// An event of the device for one of this link's owners.
    pub fn handle_event(&mut self, device: &mut dyn Device, event: &Event) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.handle_event(device, event);
        }
    }

    /// Something happened to a connection of this link's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.handle_connection(env, device, event);
        }
    }

    /// Takes in what the device has to tell of the queues.
    ///
    /// # Errors
    /// When the device has no room for the association.
    pub fn poll(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        queues: &mut Queues<'_>,
    ) -> Result<(), QueueEnd> {
        if self.endpoint.is_none() {
            self.endpoint = Some(Endpoint::new(env, device, self.owner_base, self.options)?);
        }
        self.end_leaving(env, device);
        while let Some(happening) = self.endpoint.as_mut().and_then(|endpoint| endpoint.poll(env, device)) {
            self.handle(env, device, queues, happening);
        }
        Ok(())
    }

    /// Has the device do what the queues want.
    pub fn post(&mut self, env: &mut dyn Env, device: &mut dyn Device, queues: &mut Queues<'_>) {
        self.end_leaving(env, device);
        let address = self.address;
        let admin = queues.admin.as_deref_mut();
        for queue in admin.into_iter().chain(queues.io.iter_mut()).filter_map(Queue::as_rdma) {
            let Some(mut cx) = self.context(env, device) else { return };
            if queue.state() == State::Asking {
                queue.ask(&mut cx, address);
                self.note(queue);
            } else {
                queue.post_waiting(&mut cx);
            }
        }
    }

    /// Gives everything back, whatever is under way.
    pub fn free(mut self, env: &mut dyn Env, device: &mut dyn Device) {
        for Leaving { queue, .. } in &mut self.leaving {
            queue.close_memory(env, device);
        }
        if let Some(endpoint) = self.endpoint {
            endpoint.free(env, device);
        }
        env.mem().unmap(self.memory.region);
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        if let Some(endpoint) = &self.endpoint {
            endpoint.check();
        }
    }

    fn handle(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        queues: &mut Queues<'_>,
        happening: Happening,
    ) {
        let (Happening::Established { connection, .. }
        | Happening::Refused { connection, .. }
        | Happening::Received { connection, .. }
        | Happening::Done { connection, .. }
        | Happening::Broken { connection }
        | Happening::Gone { connection }) = happening
        else {
            return self.refuse(env, device, happening);
        };
        let id = self.places.get(connection.index()).copied().flatten();
        let Some(queue) = id.and_then(|id| queues.find(id, connection)) else {
            return self.refuse(env, device, happening);
        };
        match happening {
            Happening::Established { private_data, .. } => queue.handle_established(&private_data),
            Happening::Refused { why, .. } => queue.handle_refused(why),
            Happening::Done { token, kind, status, .. } => queue.handle_done(token, kind, status),
            Happening::Broken { .. } | Happening::Gone { .. } => queue.handle_broken(),
            Happening::Received { received, .. } => {
                if let Some(mut cx) = self.context(env, device) {
                    queue.handle_received(&mut cx, received);
                }
            }
            Happening::Requested(_) => {}
        }
    }

    /// What is of no queue that is still used.
    fn refuse(&mut self, env: &mut dyn Env, device: &mut dyn Device, happening: Happening) {
        let Some(cx) = self.context(env, device) else { return };
        match happening {
            Happening::Received { connection, received } => {
                cx.endpoint.release(cx.device, connection, received);
            }
            // Nothing is listened on.
            Happening::Requested(requested) => cx.endpoint.reject(cx.device, requested.request, &[]),
            Happening::Established { .. } | Happening::Refused { .. } | Happening::Done { .. } => {}
            Happening::Broken { .. } | Happening::Gone { .. } => {}
        }
    }

    /// Ends the connections of queues that are not needed any more, after closing all memory of theirs.
    fn end_leaving(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        if self.leaving.is_empty() {
            return;
        }
        let mut leaving = core::mem::take(&mut self.leaving);
        leaving.retain_mut(|Leaving { queue, orderly }| {
            let Some(mut cx) = self.context(env, device) else { return false };
            if *orderly {
                queue.post_waiting(&mut cx);
            }
            queue.close_memory(cx.env, cx.device);
            let Some(connection) = queue.connection else { return false };
            let room = cx.endpoint.room(connection);
            let is_sending = room > 0 && room < cx.endpoint.options().sends;
            if !(*orderly && is_sending) {
                cx.endpoint.disconnect(cx.env, cx.device, connection);
                return false;
            }
            true
        });
        self.leaving = leaving;
        self.exposed = false;
    }

    /// Remembers whose a connection is.
    fn note(&mut self, queue: &QueuePair) {
        let Some(connection) = queue.connection else { return };
        let place = connection.index();
        if self.places.len() <= place {
            self.places.resize(place + 1, None);
        }
        self.places[place] = Some(queue.parameters.id);
    }

    fn context<'a>(&'a mut self, env: &'a mut dyn Env, device: &'a mut dyn Device) -> Option<Context<'a>> {
        let split = self.memory.len() - PADDING_MAX;
        let (capsules, padding) = (self.memory.first(split), self.memory.from(split));
        let endpoint = self.endpoint.as_mut()?;
        Some(Context { env, device, endpoint, capsules, padding })
    }
}

impl Queues<'_> {
    /// The queue of this identifier, if the connection is its.
    fn find(&mut self, id: u16, connection: Key) -> Option<&mut QueuePair> {
        let queue = match id.checked_sub(1) {
            None => self.admin.as_deref_mut()?,
            Some(place) => self.io.get_mut(usize::from(place))?,
        };
        queue.as_rdma().filter(|queue| queue.connection == Some(connection))
    }
}

/// The furthest that data lies behind its command in a capsule, in bytes.
pub(super) const PADDING_MAX: usize = 4096;
