//! The channels of a shard, and the turn that drives them.

use super::channel::{CHANNELS_MAX, Channel, LOGOUT_TOKEN, PLACE_SHIFT, Phase};
use super::credits::Pool;
use super::nexus::{Nexus, NexusName};
use super::services::Services;
use super::{Context, Counters, Limits, Registry};
use crate::target::{Executor, Outcome};
use std::net::SocketAddr;
use stdx::env::Env;
use stdx::slab::{Key, Slab};
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::{Access, ConnectError, ConnectionEvent, CreateError, Device, PortSpace, Status};
use wire::srp::LogoutReason;

/// The SRP transport of one shard.
#[derive(Debug)]
pub struct Server {
    pub(super) limits: Limits,
    pub(super) counters: Counters,
    pub(super) endpoint: Endpoint,
    pub(super) registry: Registry,
    pub(super) services: Services,
    pub(super) owner_base: u64,
    pub(super) nexuses: Slab<Nexus>,
    pub(super) channels: Slab<Channel>,
    pub(super) pool: Pool,
    /// The channel of each of the endpoint's connections, by its place.
    by_connection: Vec<Option<Key>>,
    /// Channels that wait for a buffer, for room at the device or for an earlier nexus.
    stalled: Vec<Key>,
    /// Those that are being looked at again.
    visiting: Vec<Key>,
    outcomes: Vec<Outcome>,
    scratch: Vec<u8>,
    seeking: Vec<(Key, u16)>,
    pub(super) draining: bool,
}

/// What a server reaches besides itself.
pub(super) struct Parts<'a> {
    pub(super) env: &'a mut dyn Env,
    pub(super) device: &'a mut dyn Device,
    pub(super) executor: &'a mut dyn Executor,
}

/// A channel, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChannelInfo {
    /// Who.
    pub nexus: NexusName,
    /// From where.
    pub peer: SocketAddr,
    /// What it is doing.
    pub phase: Phase,
    /// Its request limit.
    pub requests_max: u32,
    /// Requests under way.
    pub outstanding: usize,
}

impl Server {
    /// A server without ports and listeners. `owner_base` has its low 32 bits clear; all owners with these high 32 bits are
    /// its. Its slots carry `tag`, which tells it from other servers of the same target.
    ///
    /// # Errors
    /// When the device allows less than the limits ask for, or the system has no memory.
    pub fn new(
        env: &mut dyn Env,
        device: &mut dyn Device,
        owner_base: u64,
        tag: u8,
        limits: Limits,
    ) -> Result<Self, CreateError> {
        let limits = Limits { channels_max: limits.channels_max.min(CHANNELS_MAX), ..limits };
        let options = Options {
            connections_max: limits.channels_max,
            receives: limits.receives,
            receive_len: limits.iu_len,
            sends: limits.sends,
            pieces: 1,
            inline_bytes: super::limits::IU_LEN_TO_INITIATOR as u32,
            access: Access::NONE,
        };
        Ok(Self {
            limits,
            counters: Counters::default(),
            endpoint: Endpoint::new(env, device, owner_base, options)?,
            registry: Registry::default(),
            services: Services::default(),
            owner_base,
            nexuses: Slab::new(limits.channels_max as usize),
            channels: Slab::tagged(limits.channels_max as usize, tag),
            pool: Pool::new(limits.receives),
            by_connection: Vec::new(),
            stalled: Vec::new(),
            visiting: Vec::new(),
            outcomes: Vec::new(),
            scratch: Vec::new(),
            seeking: Vec::new(),
            draining: false,
        })
    }

    /// What has happened so far.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Target ports.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Target ports, to change them.
    pub const fn registry_mut(&mut self) -> &mut Registry {
        self.services.stir();
        &mut self.registry
    }

    /// All channels that are not over.
    pub fn channels(&self) -> impl Iterator<Item = ChannelInfo> {
        self.channels.iter().map(|(_, channel)| ChannelInfo {
            nexus: channel.login.name,
            peer: channel.peer,
            phase: channel.phase,
            requests_max: channel.credits.granted(),
            outstanding: channel.outstanding(),
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
        self.services.stir();
        self.endpoint.listen(device, PortSpace::Tcp, address)
    }

    /// One user less for an address. With the last, the listener is closed; channels that came in live on.
    pub fn unlisten(&mut self, device: &mut dyn Device, address: SocketAddr) {
        self.services.stir();
        self.endpoint.unlisten(device, PortSpace::Tcp, address);
    }

    /// The addresses listened on.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.endpoint.listening()
    }

    /// Something happened to a connection or listener of this server's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        self.endpoint.handle_connection(env, device, event);
    }

    /// Drives everything as far as it goes now: called once after the events of a turn were handled, before the device's
    /// turn.
    pub fn poll(&mut self, env: &mut dyn Env, device: &mut dyn Device, executor: &mut dyn Executor) {
        self.refresh_services(device);
        let parts = &mut Parts { env, device, executor };
        // What comes over their channels finds no unit any more: it is for the initiator to ask again elsewhere.
        self.end_lost(parts);
        for _ in 0..ROUNDS_MAX {
            let mut any = false;
            for _ in 0..HAPPENINGS_MAX {
                let Some(happening) = self.endpoint.poll(parts.env, parts.device) else { break };
                any = true;
                self.handle(parts, happening);
            }
            any |= self.collect(parts);
            self.retry(parts);
            self.endpoint.send_answers(parts.device);
            if !any {
                return;
            }
        }
    }

    /// Stops listening and lets nobody in. Channels are ended as soon as what they were asked is answered.
    pub fn drain(&mut self, env: &mut dyn Env, device: &mut dyn Device, executor: &mut dyn Executor) {
        self.stop_listening(device);
        let idle = self.channels.iter().filter(|(_, channel)| channel.outstanding() == 0);
        let idle: Vec<Key> = idle.map(|(key, _)| key).collect();
        self.leave_all(&mut Parts { env, device, executor }, idle);
    }

    /// Ends every channel now, without a word. The server must still be polled until [`Server::is_drained`].
    pub fn close(&mut self, env: &mut dyn Env, device: &mut dyn Device, executor: &mut dyn Executor) {
        self.stop_listening(device);
        let all: Vec<(Key, Key)> = self.channels.iter().map(|(key, it)| (key, it.connection)).collect();
        let parts = &mut Parts { env, device, executor };
        for (key, connection) in all {
            self.with(parts, key, |channel, cx| channel.end(cx));
            self.endpoint.disconnect(parts.env, parts.device, connection);
        }
    }

    fn stop_listening(&mut self, device: &mut dyn Device) {
        self.draining = true;
        self.endpoint.close_listeners(device);
        self.close_agent(device);
        self.services = Services::default();
    }

    /// Whether no channel is left.
    pub fn is_drained(&self) -> bool {
        self.channels.is_empty()
    }

    /// Whether there is neither a listener nor a channel.
    pub fn is_idle(&self) -> bool {
        self.is_drained() && self.listening().next().is_none()
    }

    /// Gives everything back to the device and the environment, once the server is drained.
    pub fn free(mut self, env: &mut dyn Env, device: &mut dyn Device) {
        debug_assert!(self.is_drained());
        self.close_agent(device);
        self.endpoint.free(env, device);
    }

    /// Asserts what always holds; says how many I/O buffers of the shard it has.
    pub fn check(&self) -> usize {
        self.endpoint.check();
        self.pool.check(self.channels.iter().map(|(_, channel)| &channel.credits));
        for (key, nexus) in self.nexuses.iter() {
            let of = self.channels.iter().filter(|(_, channel)| channel.login.nexus == key);
            assert_eq!(of.filter(|(_, channel)| channel.is_counted).count(), nexus.channels as usize);
        }
        self.channels.iter().map(|(_, channel)| channel.check()).sum()
    }

    fn handle(&mut self, parts: &mut Parts<'_>, happening: Happening) {
        match happening {
            Happening::Requested(requested) => self.answer_request(parts, &requested),
            Happening::Established { .. } => {}
            Happening::Refused { .. } => debug_assert!(false, "a server asks nobody"),
            Happening::Received { connection, received } => {
                let Some(key) = self.find(connection) else {
                    return self.endpoint.release(parts.device, connection, received);
                };
                self.with(parts, key, |channel, cx| {
                    if let Err(reason) = channel.handle_unit(cx, received) {
                        cx.counters.terminated += 1;
                        channel.leave(cx, reason);
                    }
                });
                self.seek(parts);
            }
            Happening::Done { connection, token, status, .. } => {
                let Some(key) = self.find(connection) else { return };
                if token == LOGOUT_TOKEN {
                    return self.endpoint.disconnect(parts.env, parts.device, connection);
                }
                let is_success = status == Status::Success;
                if let Ok(index) = u16::try_from(token) {
                    self.with(parts, key, |channel, cx| channel.handle_done(cx, index, is_success));
                }
            }
            Happening::Broken { connection } => {
                let Some(key) = self.find(connection) else { return };
                self.with(parts, key, |channel, cx| {
                    cx.counters.broken += u64::from(channel.phase == Phase::Open);
                    channel.end(cx);
                });
            }
            Happening::Gone { connection } => {
                let Some(key) = self.find(connection) else { return };
                self.by_connection[connection.index()] = None;
                self.with(parts, key, |channel, cx| {
                    channel.end(cx);
                    channel.is_gone = true;
                });
            }
        }
    }

    /// Takes the executor's answers to their channels.
    fn collect(&mut self, parts: &mut Parts<'_>) -> bool {
        let mut outcomes = core::mem::take(&mut self.outcomes);
        parts.executor.poll(parts.env, &mut outcomes);
        let mut any = !outcomes.is_empty();
        for outcome in outcomes.drain(..) {
            if let Some((key, index)) = self.place(outcome.slot) {
                self.with(parts, key, |channel, cx| channel.handle_outcome(cx, index, &outcome));
            }
        }
        self.outcomes = outcomes;
        while let Some((_, slot, outcome)) = parts.executor.poll_management() {
            any = true;
            if let Some((key, index)) = self.place(slot) {
                self.with(parts, key, |channel, cx| channel.handle_managed(cx, index, outcome));
            }
        }
        while let Some(event) = parts.executor.poll_event() {
            any = true;
            let of = |channel: &Channel| self.nexuses.get(channel.login.nexus).map(|nexus| nexus.key);
            let is_its = |channel: &Channel| channel.is_open() && of(channel) == Some(event.nexus);
            let found = self.channels.iter().find(|(_, channel)| is_its(channel)).map(|(key, _)| key);
            if let Some(key) = found {
                self.with(parts, key, |channel, cx| channel.tell(cx, event.lun, event.sense));
            }
        }
        any | self.end_lost(parts)
    }

    /// Ends the nexuses that the executor wants ended.
    fn end_lost(&mut self, parts: &mut Parts<'_>) -> bool {
        let mut any = false;
        while let Some(lost) = parts.executor.poll_lost() {
            any = true;
            let found = self.nexuses.iter().find(|(_, nexus)| nexus.key == lost).map(|(key, _)| key);
            if let Some(nexus) = found {
                self.end_nexus(parts, nexus, LogoutReason::Unspecified);
            }
        }
        any
    }

    /// What waits for buffers or room tries again, the longest wait first.
    fn retry(&mut self, parts: &mut Parts<'_>) {
        core::mem::swap(&mut self.stalled, &mut self.visiting);
        for at in 0..self.visiting.len() {
            self.with(parts, self.visiting[at], |channel, cx| {
                if let Err(reason) = channel.retry(cx) {
                    cx.counters.terminated += 1;
                    channel.leave(cx, reason);
                }
            });
            self.seek(parts);
        }
        self.visiting.clear();
    }

    /// Looks in the other channels of a nexus for tasks that are to be aborted.
    fn seek(&mut self, parts: &mut Parts<'_>) {
        while let Some((key, index)) = self.seeking.pop() {
            let Some(channel) = self.channels.get(key) else { continue };
            let Some(tag) = channel.tasks.get(index).map(|task| task.sought) else { continue };
            let nexus = channel.login.nexus;
            let mut others = self.channels.iter().filter(|(_, other)| other.login.nexus == nexus);
            let slot = others.find_map(|(_, other)| other.tasks.find(tag).map(|found| other.slot(found)));
            drop(others);
            self.with(parts, key, |channel, cx| channel.found(cx, index, slot));
        }
    }

    /// Does something with a channel, then draws the consequences.
    pub(super) fn with(
        &mut self,
        parts: &mut Parts<'_>,
        key: Key,
        act: impl FnOnce(&mut Channel, &mut Context<'_>),
    ) {
        if !self.act(parts, key, act) {
            return;
        }
        self.act(parts, key, |channel, cx| {
            channel.tell_next(cx);
            channel.give_credit(cx);
        });
        let Some(channel) = self.channels.get_mut(key) else { return };
        if channel.is_stalled() && !self.stalled.contains(&key) {
            self.stalled.push(key);
        }
        if self.draining && channel.phase == Phase::Open && channel.outstanding() == 0 {
            self.act(parts, key, |channel, cx| channel.leave(cx, LogoutReason::Unspecified));
        }
        self.settle(parts, key);
    }

    fn act(
        &mut self,
        parts: &mut Parts<'_>,
        key: Key,
        act: impl FnOnce(&mut Channel, &mut Context<'_>),
    ) -> bool {
        let Some(channel) = self.channels.get_mut(key) else { return false };
        let cx = &mut Context {
            env: parts.env,
            device: parts.device,
            executor: parts.executor,
            endpoint: &mut self.endpoint,
            counters: &mut self.counters,
            scratch: &mut self.scratch,
            seeking: &mut self.seeking,
        };
        act(channel, cx);
        true
    }

    /// A channel that has ended is none of its nexus's; one of which nothing is left is forgotten.
    fn settle(&mut self, parts: &mut Parts<'_>, key: Key) {
        let Some(channel) = self.channels.get_mut(key) else { return };
        if channel.phase != Phase::Open && core::mem::take(&mut channel.is_counted) {
            let nexus = channel.login.nexus;
            if !self.leave_nexus(parts, nexus) {
                self.act(parts, key, |channel, cx| channel.abandon_tasks(cx));
            }
        }
        let Some(channel) = self.channels.get(key).filter(|channel| channel.is_over()) else { return };
        self.pool.close(&channel.credits);
        self.channels.remove(key);
        self.share(parts);
    }

    /// One channel less for a nexus. With the last, it is lost: then the answer is true.
    pub(super) fn leave_nexus(&mut self, parts: &mut Parts<'_>, key: Key) -> bool {
        let Some(nexus) = self.nexuses.get_mut(key) else { return true };
        nexus.channels -= 1;
        if nexus.channels > 0 {
            return false;
        }
        let lost = nexus.key;
        self.nexuses.remove(key);
        parts.executor.lose(parts.env, lost);
        let of = self.channels.iter().filter(|(_, channel)| channel.login.nexus == key);
        let of: Vec<Key> = of.map(|(key, _)| key).collect();
        for key in of {
            // One that has ended may have waited for nothing else.
            self.with(parts, key, |channel, cx| channel.forget_managements(cx));
        }
        true
    }

    /// Ends all channels of a nexus.
    pub(super) fn end_nexus(&mut self, parts: &mut Parts<'_>, nexus: Key, reason: LogoutReason) {
        let of = self.channels.iter().filter(|(_, channel)| channel.login.nexus == nexus);
        let of: Vec<Key> = of.map(|(key, _)| key).collect();
        for key in of {
            self.with(parts, key, |channel, cx| channel.leave(cx, reason));
        }
    }

    fn leave_all(&mut self, parts: &mut Parts<'_>, channels: Vec<Key>) {
        for key in channels {
            self.with(parts, key, |channel, cx| channel.leave(cx, LogoutReason::Unspecified));
        }
    }

    /// Credits that came back go to channels that were given fewer than they might have.
    fn share(&mut self, parts: &mut Parts<'_>) {
        let wanted = self.limits.requests;
        let short = self.channels.iter().filter(|(_, channel)| channel.credits.granted() < wanted);
        let short: Vec<Key> = short.map(|(key, _)| key).collect();
        for key in short {
            let Some(channel) = self.channels.get_mut(key).filter(|channel| channel.is_open()) else {
                continue;
            };
            if self.pool.top_up(&mut channel.credits, wanted) {
                self.act(parts, key, |channel, cx| channel.give_credit(cx));
            }
        }
    }

    /// Which channel and request the executor speaks of.
    fn place(&self, slot: u32) -> Option<(Key, u16)> {
        let place = slot >> PLACE_SHIFT & CHANNELS_MAX;
        Some((self.channels.key_at(place as usize)?, slot as u16))
    }

    pub(super) fn note_connection(&mut self, connection: Key, channel: Key) {
        let place = connection.index();
        if self.by_connection.len() <= place {
            self.by_connection.resize(place + 1, None);
        }
        self.by_connection[place] = Some(channel);
    }

    /// The channel of a connection of the endpoint's.
    fn find(&self, connection: Key) -> Option<Key> {
        let key = self.by_connection.get(connection.index()).copied().flatten()?;
        self.channels.get(key).filter(|channel| channel.connection == connection).map(|_| key)
    }
}

/// Rounds of one poll: with the outcomes of one, the next may take what had to wait.
const ROUNDS_MAX: usize = 32;
/// Happenings taken before the executor is asked for outcomes, so that none waits for long.
const HAPPENINGS_MAX: usize = 128;
