//! All connections of an initiator on one device: the one place that has both the connections and the device at hand.

use super::RdmaEnd;
use crate::iscsi::initiator::connection::{Connection, ConnectionMemory, OWN_TASKS, RdmaContext};
use crate::iscsi::initiator::options::InitiatorOptions;
use crate::iscsi::initiator::session::Session;
use crate::iscsi::login::RdmaLimits;
use stdx::env::{Env, Owner};
use stdx::slab::Key;
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::{Access, ConnectionEvent, Device, Event};
use wire::iscsi::LOGIN_DATA_MAX;
use wire::iser::MESSAGE_LEN_MIN;

/// See the module.
#[derive(Debug)]
pub(in super::super) struct Link {
    owner_base: u64,
    options: Options,
    endpoint: Option<Endpoint>,
    /// Whose each of the endpoint's connections is, by its place.
    places: Vec<Option<Carried>>,
    leaving: Vec<Leaving>,
    /// Connections that the device is not done with, and the memory it has of them.
    ending: Vec<(Key, ConnectionMemory)>,
    /// Memory that no device has any more.
    spare: Vec<ConnectionMemory>,
    /// Memory of commands that are told complete may be open to the target yet.
    exposed: bool,
}

/// Which connection: the place of its session, and its place therein.
pub(in super::super) type Carried = (usize, usize);

/// Those who have connections.
pub(in super::super) trait Bearers {
    /// The connection at a place.
    fn connection(&mut self, place: Carried) -> Option<&mut Connection>;

    /// Does something with each.
    fn each(&mut self, act: &mut dyn FnMut(Carried, &mut Connection));
}

/// A connection that is not needed any more.
#[derive(Debug)]
struct Leaving {
    connection: Connection,
    /// What waits is sent before the connection ends.
    orderly: bool,
}

impl Link {
    /// For connections as the options say. `owner` has its low 32 bits clear: all owners with these high 32 bits are its.
    pub fn new(owner: Owner, options: &InitiatorOptions) -> Self {
        debug_assert_eq!(owner.0 & u64::from(u32::MAX), 0);
        let connections = u32::from(options.sessions) * u32::from(options.connections);
        let tasks = u32::from(options.commands_max) + u32::from(OWN_TASKS);
        Self {
            owner_base: owner.0,
            options: Options {
                // The connections of the last attempt may still be ending.
                connections_max: 2 * connections,
                receives: connections * (tasks + LIMITS.unexpected_pdus_max),
                receive_len: MESSAGE_LEN_MIN as u32 + LIMITS.initiator_recv_data_segment_len,
                // Of each task: its memory is opened, its message is sent, its memory is closed.
                sends: 3 * tasks,
                pieces: 2,
                inline_bytes: MESSAGE_LEN_MIN as u32,
                access: Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE),
            },
            endpoint: None,
            places: Vec::new(),
            leaving: Vec::new(),
            ending: Vec::new(),
            spare: Vec::new(),
            exposed: false,
        }
    }

    /// Memory for a connection, if there is some that is not used any more.
    pub fn take_memory(&mut self) -> Option<ConnectionMemory> {
        self.spare.pop()
    }

    /// Takes a session that is not needed any more. `orderly`: what waits is to arrive.
    pub fn leave_all(&mut self, session: Session, orderly: bool) {
        self.exposed = true;
        let connections = session.into_connections().into_iter();
        self.leaving.extend(connections.map(|connection| Leaving { connection, orderly }));
    }

    /// True while memory of commands that were given up may be open to the target: until the next [`Link::post`].
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

    /// Takes in what the device has to tell of the connections.
    ///
    /// # Errors
    /// When the device has no room for them.
    pub fn poll(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        bearers: &mut dyn Bearers,
    ) -> Result<(), RdmaEnd> {
        if self.endpoint.is_none() {
            self.endpoint = Some(Endpoint::new(env, device, self.owner_base, self.options)?);
        }
        self.end_leaving(env, device);
        while let Some(happening) = self.endpoint.as_mut().and_then(|endpoint| endpoint.poll(env, device)) {
            self.handle(env, device, bearers, happening);
        }
        Ok(())
    }

    /// Has the device do what the connections want.
    pub fn post(&mut self, env: &mut dyn Env, device: &mut dyn Device, bearers: &mut dyn Bearers) {
        self.end_leaving(env, device);
        let Self { endpoint: Some(endpoint), places, .. } = self else { return };
        bearers.each(&mut |place, connection| {
            let cx = &mut RdmaContext { env, device, endpoint };
            if connection.wants_asking() {
                connection.ask(cx);
                note(places, place, connection.carried_by());
            } else {
                connection.post_waiting(cx);
            }
        });
    }

    /// Gives everything back, whatever is under way.
    pub fn free(mut self, env: &mut dyn Env, device: &mut dyn Device) {
        for Leaving { connection, .. } in &mut self.leaving {
            connection.close_memory(env, device);
        }
        if let Some(endpoint) = self.endpoint {
            endpoint.free(env, device);
        }
        let left = self.leaving.iter().map(|leaving| leaving.connection.memory());
        let memories = left.chain(self.ending.iter().map(|(_, memory)| *memory)).chain(self.spare);
        memories.for_each(|memory| memory.unmap(env.mem()));
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
        bearers: &mut dyn Bearers,
        happening: Happening,
    ) {
        let Self { endpoint: Some(endpoint), places, ending, spare, .. } = self else { return };
        let (Happening::Established { connection: key, .. }
        | Happening::Refused { connection: key, .. }
        | Happening::Received { connection: key, .. }
        | Happening::Done { connection: key, .. }
        | Happening::Broken { connection: key }
        | Happening::Gone { connection: key }) = happening
        else {
            if let Happening::Requested(requested) = happening {
                // Nothing is listened on.
                endpoint.reject(device, requested.request, &[]);
            }
            return;
        };
        if let Happening::Gone { .. } | Happening::Refused { .. } = happening {
            let (gone, under_way) = core::mem::take(ending).into_iter().partition(|(of, _)| *of == key);
            *ending = under_way;
            let gone: Vec<(Key, ConnectionMemory)> = gone;
            spare.extend(gone.into_iter().map(|(_, memory)| memory));
        }
        let place = places.get(key.index()).copied().flatten();
        let connection = place.and_then(|place| bearers.connection(place));
        let Some(connection) = connection.filter(|connection| connection.carried_by() == Some(key)) else {
            if let Happening::Received { received, .. } = happening {
                endpoint.release(device, key, received);
            }
            return;
        };
        match happening {
            Happening::Established { .. } => connection.handle_established(env),
            Happening::Refused { why, .. } => connection.handle_refused(env, why),
            Happening::Done { token, kind, status, .. } => connection.handle_done(token, kind, status),
            Happening::Broken { .. } | Happening::Gone { .. } => connection.handle_broken(env),
            Happening::Received { received, .. } => {
                connection.handle_received(&mut RdmaContext { env, device, endpoint }, received);
            }
            Happening::Requested(_) => {}
        }
    }

    /// Ends the connections that are not needed any more, after closing all memory of theirs.
    fn end_leaving(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        if self.leaving.is_empty() {
            return;
        }
        let Self { endpoint: Some(endpoint), leaving, ending, spare, .. } = self else { return };
        let mut staying = Vec::new();
        for mut left in leaving.drain(..) {
            if left.orderly {
                left.connection.post_waiting(&mut RdmaContext { env, device, endpoint });
            }
            left.connection.close_memory(env, device);
            let memory = left.connection.memory();
            let there = |key: &Key| endpoint.connections().any(|info| info.connection == *key);
            let Some(key) = left.connection.carried_by().filter(there) else {
                spare.push(memory);
                continue;
            };
            let room = endpoint.room(key);
            let is_sending = room > 0 && room < endpoint.options().sends;
            if left.orderly && is_sending {
                staying.push(left);
            } else {
                ending.push((key, memory));
                endpoint.disconnect(env, device, key);
            }
        }
        *leaving = staying;
        self.exposed = false;
    }
}

/// Remembers whose a connection is.
fn note(places: &mut Vec<Option<Carried>>, place: Carried, connection: Option<Key>) {
    let Some(key) = connection else { return };
    if places.len() <= key.index() {
        places.resize(key.index() + 1, None);
    }
    places[key.index()] = Some(place);
}

/// What we say of messages in logins. What a target sends is short: answers with sense data, and text.
pub(in super::super) const LIMITS: RdmaLimits = RdmaLimits {
    initiator_recv_data_segment_len: LOGIN_DATA_MAX,
    target_recv_data_segment_len: LOGIN_DATA_MAX,
    unexpected_pdus_max: 8,
};
