//! The listeners and connections of a device, and the turn that drives them.

use super::super::connection::SHORT_LEN_MAX;
use super::super::server::{Link as Carried, Ready};
use super::super::{Arrival, Carrier, Server};
use super::Limits;
use super::link::Link;
use crate::target::Executor;
use std::net::SocketAddr;
use stdx::env::Env;
use stdx::slab::Key;
use verbs::endpoint::{Endpoint, Happening, Options, Received, Requested};
use verbs::{Access, ConnectError, ConnectionEvent, CreateError, Device, Event, Parameters, PortSpace};
use wire::iser::PrivateData;

/// See [the module](super).
#[derive(Debug)]
pub struct Transport {
    /// Its number among those of the server.
    number: u8,
    limits: Limits,
    endpoint: Endpoint,
    /// By the places of the endpoint's connections.
    links: Vec<Option<Link>>,
    /// Requests that were accepted: how they came, and what they asked for.
    coming: Vec<(Key, Requested)>,
    /// Peers at the server that have something to say for which there was no room.
    stalled: Vec<Key>,
    retrying: Vec<Key>,
}

/// What a step reaches besides the transport.
pub(super) struct Context<'a> {
    env: &'a mut dyn Env,
    device: &'a mut dyn Device,
    server: &'a mut Server,
    executor: &'a mut dyn Executor,
}

impl Transport {
    /// A transport without listeners. `owner_base` has its low 32 bits clear; all owners with these high 32 bits are its. No
    /// other transport of the same server has the same `number`.
    ///
    /// # Errors
    /// When the device allows less than the limits ask for, or the system has no memory.
    pub fn new(
        env: &mut dyn Env,
        device: &mut dyn Device,
        owner_base: u64,
        number: u8,
        limits: Limits,
    ) -> Result<Self, CreateError> {
        let options = Options {
            connections_max: limits.connections_max,
            receives: limits.receives,
            receive_len: limits.message_len_max(),
            sends: limits.sends,
            pieces: 1,
            inline_bytes: SHORT_LEN_MAX as u32,
            access: Access::NONE,
        };
        Ok(Self {
            number,
            limits,
            endpoint: Endpoint::new(env, device, owner_base, options)?,
            links: Vec::new(),
            coming: Vec::new(),
            stalled: Vec::new(),
            retrying: Vec::new(),
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

    /// One user less for an address. With the last, the listener is closed; connections that came in live on.
    pub fn unlisten(&mut self, device: &mut dyn Device, address: SocketAddr) {
        self.endpoint.unlisten(device, PortSpace::Tcp, address);
    }

    /// Takes no further connection at any address.
    pub fn close_listeners(&mut self, device: &mut dyn Device) {
        self.endpoint.close_listeners(device);
    }

    /// The addresses listened on.
    pub fn listening(&self) -> impl Iterator<Item = SocketAddr> {
        self.endpoint.listening()
    }

    /// An event of the device for one of this transport's owners.
    pub fn handle_event(&mut self, device: &mut dyn Device, event: &Event) {
        self.endpoint.handle_event(device, event);
    }

    /// Something happened to a connection or listener of this transport's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        self.endpoint.handle_connection(env, device, event);
    }

    /// Drives everything as far as it goes now, the server included: called once after the events of a turn were handled,
    /// before the device's turn.
    pub fn poll(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        server: &mut Server,
        executor: &mut dyn Executor,
    ) {
        let cx = &mut Context { env, device, server, executor };
        for _ in 0..ROUNDS_MAX {
            let mut any = false;
            for _ in 0..HAPPENINGS_MAX {
                let Some(happening) = self.endpoint.poll(cx.env, cx.device) else { break };
                any = true;
                self.handle(cx, happening);
            }
            cx.server.poll(cx.env, cx.executor);
            while let Some(ready) = cx.server.poll_ready(self.number) {
                any = true;
                match ready {
                    Ready::Look(peer) => self.look(cx, peer),
                    Ready::Close(connection) => self.close(cx, connection),
                }
            }
            self.retry(cx);
            self.endpoint.send_answers(cx.device);
            if !any {
                return;
            }
        }
    }

    /// Whether there is neither a listener nor a connection.
    pub fn is_idle(&self) -> bool {
        self.listening().next().is_none() && self.is_drained()
    }

    /// Whether no connection is left.
    pub fn is_drained(&self) -> bool {
        self.links.iter().all(Option::is_none) && self.coming.is_empty()
    }

    /// Gives everything back to the device and the environment, once the transport is drained.
    pub fn free(self, env: &mut dyn Env, device: &mut dyn Device) {
        debug_assert!(self.is_drained());
        self.endpoint.free(env, device);
    }

    /// Asserts what always holds; says how many I/O buffers of the shard it has.
    pub fn check(&self) -> usize {
        self.endpoint.check();
        self.links.iter().flatten().map(|link| link.check(self.limits.queued_max)).sum()
    }

    fn handle(&mut self, cx: &mut Context<'_>, happening: Happening) {
        match happening {
            Happening::Requested(requested) => self.answer_request(cx, &requested),
            Happening::Established { connection, .. } => self.establish(cx, connection),
            Happening::Refused { .. } => debug_assert!(false, "a target asks nobody"),
            Happening::Received { connection, received } => self.receive(cx, connection, received),
            Happening::Done { connection, token, kind, status } => {
                let Some(link) = self.link(connection) else { return };
                let peer = link.peer;
                let posted = link.handle_done(cx.env, token, kind, status);
                if let (Some(peer), Some(posted)) = (peer, posted) {
                    cx.server.handle_posted(cx.env, cx.executor, peer, posted);
                }
            }
            Happening::Broken { connection } => self.leave(cx, connection),
            Happening::Gone { connection } => {
                self.leave(cx, connection);
                self.coming.retain(|(of, _)| *of != connection);
                if self.link(connection).is_some() {
                    self.links[connection.index()] = None;
                }
            }
        }
    }

    /// Someone asks for a connection. What Linux calls a header is four bytes that say what an end cannot do.
    fn answer_request(&mut self, cx: &mut Context<'_>, requested: &Requested) {
        let accepted = if cx.server.has_room() {
            let offered = requested.parameters;
            let parameters = Parameters {
                initiator_depth: offered.initiator_depth.min(self.limits.read_depth),
                responder_resources: 0,
                ..offered
            };
            let said = PrivateData::decode(requested.private_data.bytes()).encode();
            self.endpoint.accept(cx.env, cx.device, requested.request, parameters, &said).ok()
        } else {
            None
        };
        match accepted {
            Some(connection) => self.coming.push((connection, *requested)),
            None => {
                cx.server.turn_away();
                self.endpoint.reject(cx.device, requested.request, &[]);
            }
        }
    }

    /// A connection is there: the server hears of it.
    fn establish(&mut self, cx: &mut Context<'_>, connection: Key) {
        let Some(place) = self.coming.iter().position(|(of, _)| *of == connection) else { return };
        let (_, requested) = self.coming.swap_remove(place);
        let arrival = Arrival {
            carrier: Carrier::Rdma,
            portal: requested.portal,
            local: requested.local,
            peer: requested.peer,
        };
        let said = PrivateData::decode(requested.private_data.bytes());
        let carried = Carried::Rdma { carrier: self.number, connection };
        let mut link = Link::new(connection, self.limits.sends);
        link.peer = cx.server.attach(cx.env, arrival, carried, self.limits.login, said);
        let is_taken = link.peer.is_some();
        if self.links.len() <= connection.index() {
            self.links.resize_with(connection.index() + 1, || None);
        }
        self.links[connection.index()] = Some(link);
        if !is_taken {
            self.endpoint.disconnect(cx.env, cx.device, connection);
        }
    }

    /// A message came: it is taken, or waits behind those that wait.
    fn receive(&mut self, cx: &mut Context<'_>, connection: Key, received: Received) {
        let queued_max = self.limits.queued_max;
        let peer = self.link(connection).and_then(|link| link.peer);
        let (Some(peer), Some(link)) = (peer, self.link(connection)) else {
            return self.endpoint.release(cx.device, connection, received);
        };
        if link.queued.is_empty() && cx.server.takes_messages(peer) {
            return self.take(cx, connection, peer, received);
        }
        if link.queued.len() < queued_max {
            return link.queued.push_back(received);
        }
        // More than any initiator may send before it is answered.
        self.endpoint.release(cx.device, connection, received);
        self.end(cx, connection);
    }

    fn take(&mut self, cx: &mut Context<'_>, connection: Key, peer: Key, received: Received) {
        let message = self.endpoint.message(&received);
        let pool = self.endpoint.pool(cx.env, cx.device, connection);
        cx.server.handle_message(cx.env, cx.executor, peer, message, pool);
        self.endpoint.release(cx.device, connection, received);
    }

    /// A peer may take what waits, and may have something to say.
    fn look(&mut self, cx: &mut Context<'_>, peer: Key) {
        let Some(connection) = self.of_peer(cx, peer) else { return };
        while cx.server.takes_messages(peer)
            && let Some(received) = self.link(connection).and_then(|link| link.queued.pop_front())
        {
            self.take(cx, connection, peer, received);
        }
        let Some(link) = self.links.get_mut(connection.index()).and_then(Option::as_mut) else { return };
        while link.has_room(&self.endpoint)
            && let Some(post) = cx.server.poll_post(cx.env, cx.executor, peer)
        {
            link.post(cx.env, cx.device, &mut self.endpoint, post);
        }
        if cx.server.has_unposted(peer) && !self.stalled.contains(&peer) {
            self.stalled.push(peer);
        }
    }

    /// Those for whom there was no room try again, the longest wait first.
    fn retry(&mut self, cx: &mut Context<'_>) {
        core::mem::swap(&mut self.stalled, &mut self.retrying);
        for at in 0..self.retrying.len() {
            self.look(cx, self.retrying[at]);
        }
        self.retrying.clear();
    }

    /// The server is done with a connection.
    fn close(&mut self, cx: &mut Context<'_>, connection: Key) {
        let Some(link) = self.links.get_mut(connection.index()).and_then(Option::as_mut) else { return };
        if link.connection == connection {
            link.peer = None;
            link.drop_queued(cx.device, &mut self.endpoint);
            self.endpoint.disconnect(cx.env, cx.device, connection);
        }
    }

    /// A peer did what ends its connection.
    fn end(&mut self, cx: &mut Context<'_>, connection: Key) {
        self.leave(cx, connection);
        self.endpoint.disconnect(cx.env, cx.device, connection);
    }

    /// A connection can go on no more: the server lets go of it.
    fn leave(&mut self, cx: &mut Context<'_>, connection: Key) {
        let Some(link) = self.links.get_mut(connection.index()).and_then(Option::as_mut) else { return };
        if link.connection != connection {
            return;
        }
        link.drop_queued(cx.device, &mut self.endpoint);
        if let Some(peer) = link.peer.take() {
            cx.server.detach(cx.env, cx.executor, peer);
        }
    }

    /// The endpoint's connection of a peer at the server.
    fn of_peer(&self, cx: &Context<'_>, peer: Key) -> Option<Key> {
        let connection = cx.server.carried_by(peer, self.number)?;
        let link = self.links.get(connection.index())?.as_ref()?;
        (link.connection == connection && link.peer == Some(peer)).then_some(connection)
    }

    fn link(&mut self, connection: Key) -> Option<&mut Link> {
        let link = self.links.get_mut(connection.index())?.as_mut()?;
        (link.connection == connection).then_some(link)
    }
}

/// Rounds of one poll: with the answers of one, the next may take what had to wait.
const ROUNDS_MAX: usize = 32;
/// Happenings taken before the server is driven, so that no answer waits for long.
const HAPPENINGS_MAX: usize = 128;
