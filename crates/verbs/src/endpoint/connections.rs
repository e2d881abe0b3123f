//! Connections: how they come, how they end.

use super::answers::Answers;
use super::{Endpoint, Happening, Received, Requested};
use crate::{
    Accept, Connect, ConnectError, ConnectionEvent, ConnectionId, ConnectionWhat, CreateError, Device,
    Object, Parameters, PortSpace, PrivateData, QpId, QpInit, Receives, Rejection, Transition, Transport,
};
use core::net::SocketAddr;
use stdx::env::{Env, Owner};
use stdx::mem::RegionId;
use stdx::slab::Key;
use thiserror::Error;

/// A connection, and what is under way on it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) qp: QpId,
    pub(super) id: ConnectionId,
    pub(super) phase: Phase,
    /// Receives that it brought.
    receives: u32,
    /// Requests under way.
    pub(super) sends: u32,
    /// Those of them that wait for others.
    pub(super) answers: Answers,
    /// Where the buffers lie that its peer reads itself.
    pub(super) pool: Option<RegionId>,
    /// Messages that the owner has, or that wait for the connection to be known.
    pub(super) held: u32,
    /// Messages that came before the connection was known to be there.
    pub(super) early: Vec<Received>,
    /// The device has told that it ended.
    is_ended: bool,
    /// It is over and gone from the device, and its owner is yet to hear so. Its place stays taken until then: otherwise the next
    /// connection could have it, and its owner take the end of this one for that of another.
    pub(super) is_over: bool,
}

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// We asked.
    Connecting,
    /// We said yes.
    Accepting,
    /// It sends.
    Open,
    /// It ends.
    Closing,
}

/// A connection, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConnectionInfo {
    /// Its key.
    pub connection: Key,
    /// What it is doing.
    pub phase: Phase,
    /// Requests under way.
    pub sends: u32,
    /// Messages that its owner has.
    pub held: u32,
}

/// A connection was not begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum OpenError {
    /// There are as many as there may be.
    #[error("too many connections")]
    TooMany,
    /// No queue pair could be made.
    #[error("no queue pair: {0}")]
    QueuePair(#[from] CreateError),
    /// The connection could not be asked for or answered.
    #[error("no connection: {0}")]
    Connect(#[from] ConnectError),
}

impl Endpoint {
    /// Asks for a connection. [`Happening::Established`] or [`Happening::Refused`] follows.
    ///
    /// # Errors
    /// When a limit is reached, or there is no way to the peer. Nothing is left behind then.
    pub fn connect(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        space: PortSpace,
        to: SocketAddr,
        parameters: Parameters,
        private_data: &[u8],
    ) -> Result<Key, OpenError> {
        let (key, owner, qp) = self.prepare(env, device)?;
        let connect = Connect { space, to, from: None, qp: Some(qp), parameters, private_data };
        let asked = device.connect(env, owner, &connect);
        self.add(env, device, key, qp, Phase::Connecting, asked)
    }

    /// Answers a request with yes. [`Happening::Established`] follows, or [`Happening::Gone`] if the peer has gone away.
    ///
    /// # Errors
    /// When a limit is reached, or the request is no more. The request stands then: reject it.
    pub fn accept(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        request: ConnectionId,
        parameters: Parameters,
        private_data: &[u8],
    ) -> Result<Key, OpenError> {
        let (key, owner, qp) = self.prepare(env, device)?;
        let accept = Accept { qp, parameters, queue_key: 0, private_data };
        let answered = device.accept(env, owner, request, &accept).map(|()| request);
        self.add(env, device, key, qp, Phase::Accepting, answered)
    }

    /// Answers a request with no.
    pub fn reject(&mut self, device: &mut dyn Device, request: ConnectionId, private_data: &[u8]) {
        // One that is no more needs no answer.
        let _ = device.reject(request, private_data);
        device.release(request);
    }

    /// Ends a connection. What is under way is told as done or flushed, then [`Happening::Gone`].
    pub fn disconnect(&mut self, env: &mut dyn Env, device: &mut dyn Device, connection: Key) {
        if let Some(found) = self.connections.get_mut(connection)
            && core::mem::replace(&mut found.phase, Phase::Closing) != Phase::Closing
        {
            self.leave(device, connection);
            self.finish(env, device, connection);
        }
    }

    /// A connection has so many receives more; false, and none, if there are not as many, or there is no such connection.
    pub fn bring_receives(&mut self, device: &mut dyn Device, connection: Key, more: u32) -> bool {
        let found = self.connections.get_mut(connection).filter(|found| !found.is_over);
        let Some(found) = found else { return false };
        let is_there = self.receives.add(device, more);
        if is_there {
            found.receives += more;
        }
        is_there
    }

    /// A connection needs so many receives less, of those that it brought: as many that are given back from now on are not posted again.
    pub fn take_receives(&mut self, connection: Key, fewer: u32) {
        if let Some(found) = self.connections.get_mut(connection) {
            let fewer = fewer.min(found.receives);
            found.receives -= fewer;
            self.receives.remove(fewer);
        }
    }

    /// All connections.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> {
        self.connections.iter().map(|(key, connection)| ConnectionInfo {
            connection: key,
            phase: connection.phase,
            sends: connection.sends,
            held: connection.held,
        })
    }

    /// Something happened to a connection or listener of this endpoint's owners.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        if let ConnectionWhat::Requested { listener, peer, local, parameters, private_data } = event.what {
            let request = event.connection;
            let known = self.listeners.iter().find(|known| known.listener == listener);
            let Some(portal) = known.map(|known| known.address) else {
                return self.reject(device, request, &[]);
            };
            let requested = Requested { request, portal, peer, local, parameters, private_data };
            return self.happenings.push_back(Happening::Requested(requested));
        }
        let found = self.by_place(event.owner);
        let Some(key) = found.filter(|key| {
            self.connections.get(*key).is_some_and(|it| it.id == event.connection && !it.is_over)
        }) else {
            return;
        };
        match event.what {
            ConnectionWhat::Established { parameters, private_data } => {
                self.establish(key, parameters, private_data);
            }
            ConnectionWhat::Rejected { why, private_data } => {
                self.refuse(env, device, key, Some((why, private_data)));
            }
            ConnectionWhat::Unreachable => self.refuse(env, device, key, None),
            ConnectionWhat::Disconnected => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.is_ended = true;
                }
                self.break_off(device, key);
                self.finish(env, device, key);
            }
            ConnectionWhat::Resolved { .. } | ConnectionWhat::Requested { .. } => {}
        }
    }

    /// The connection whose events go to this owner.
    pub(super) fn by_place(&self, owner: Owner) -> Option<Key> {
        let place = (owner.0 & u64::from(u32::MAX)).checked_sub(1)?;
        self.connections.key_at(place as usize)
    }

    /// A connection can go on no more: its owner is told once.
    pub(super) fn break_off(&mut self, device: &mut dyn Device, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if core::mem::replace(&mut connection.phase, Phase::Closing) == Phase::Closing {
            return;
        }
        self.happenings.push_back(Happening::Broken { connection: key });
        self.leave(device, key);
    }

    /// Tells that a connection is gone, once it is, and nothing of it is under way.
    pub(super) fn finish(&mut self, env: &mut dyn Env, device: &mut dyn Device, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        let is_over = connection.is_over;
        if connection.phase == Phase::Closing && connection.is_ended && connection.sends == 0 && !is_over {
            self.leave_device(env, device, key);
            self.happenings.push_back(Happening::Gone { connection: key });
        }
    }

    /// Takes a connection away from the device. Its place is free once its owner has heard of its end.
    pub(super) fn leave_device(&mut self, env: &mut dyn Env, device: &mut dyn Device, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if core::mem::replace(&mut connection.is_over, true) {
            return;
        }
        connection.phase = Phase::Closing;
        self.receives.remove(core::mem::take(&mut connection.receives));
        let held = core::mem::take(&mut connection.held);
        if self.receives_each > 0 {
            // What its owner still holds was taken from what is posted for others; once given back it is not posted.
            self.receives.add(device, held);
        }
        for received in core::mem::take(&mut connection.early) {
            match self.receives_each {
                0 => self.receives.post(device, received.index),
                _ => self.receives.keep(received.index),
            }
        }
        if let Some(place) = self.by_qp.get_mut(connection.qp.0.index()) {
            *place = None;
        }
        device.release(connection.id);
        let destroyed = device.destroy(env, Object::Qp(connection.qp));
        debug_assert!(destroyed.is_ok(), "{destroyed:?}");
        if let Some(region) = connection.pool.take() {
            env.mem().unmap_pool(region);
        }
    }

    /// Makes a queue pair for the next connection, whose events go to the owner.
    fn prepare(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
    ) -> Result<(Key, Owner, QpId), OpenError> {
        let key = self.connections.next_key().ok_or(OpenError::TooMany)?;
        let fits = self.reserved(self.connections.len() as u64 + 1) <= self.cq_entries.into();
        if !fits || !self.receives.add(device, self.receives_each) {
            return Err(OpenError::TooMany);
        }
        let prepared = self.make_pair(device, env, key);
        if prepared.is_err() {
            self.receives.remove(self.receives_each);
        }
        prepared
    }

    fn make_pair(
        &self,
        device: &mut dyn Device,
        env: &mut dyn Env,
        key: Key,
    ) -> Result<(Key, Owner, QpId), OpenError> {
        let owner = Owner(self.owner_base | (key.index() as u64 + 1));
        let init = QpInit {
            pd: self.pd,
            transport: Transport::ReliableConnection,
            send_cq: self.cq,
            receive_cq: self.cq,
            receives: Receives::Shared(self.receives.queue()),
            send_entries: self.options.sends,
            send_sges: self.options.pieces,
            inline_bytes: self.options.inline_bytes,
        };
        let qp = device.create_qp(owner, &init)?;
        let initialize = Transition::Initialize { access: self.options.access, queue_key: 0 };
        if device.modify_qp(qp, &initialize).is_err() {
            let _ = device.destroy(env, Object::Qp(qp));
            return Err(OpenError::QueuePair(CreateError::Invalid));
        }
        Ok((key, owner, qp))
    }

    fn add(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        key: Key,
        qp: QpId,
        phase: Phase,
        id: Result<ConnectionId, ConnectError>,
    ) -> Result<Key, OpenError> {
        let id = id.inspect_err(|_| {
            let _ = device.destroy(env, Object::Qp(qp));
            self.receives.remove(self.receives_each);
        })?;
        let (answers, early) = (Answers::default(), Vec::new());
        let (pool, is_ended, is_over) = (None, false, false);
        let (receives, sends, held) = (self.receives_each, 0, 0);
        let connection =
            Connection { qp, id, phase, receives, sends, answers, pool, held, early, is_ended, is_over };
        let inserted = self.connections.insert(connection);
        debug_assert_eq!(inserted.ok(), Some(key));
        let place = qp.0.index();
        if self.by_qp.len() <= place {
            self.by_qp.resize(place + 1, None);
        }
        self.by_qp[place] = Some(key);
        Ok(key)
    }

    /// Asks the device to end a connection, and flushes what is under way.
    fn leave(&mut self, device: &mut dyn Device, key: Key) {
        self.send_answers_of(device, key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !connection.is_ended && device.disconnect(connection.id).is_err() {
            // The device knows nothing of it any more: what is under way is flushed by the queue pair alone.
            connection.is_ended = true;
            let _ = device.modify_qp(connection.qp, &Transition::Error);
        }
        for received in core::mem::take(&mut connection.early) {
            connection.held -= 1;
            self.receives.post(device, received.index);
        }
    }

    /// The connection is there: what came before is told after it.
    fn establish(&mut self, key: Key, parameters: Parameters, private_data: PrivateData) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if !matches!(connection.phase, Phase::Connecting | Phase::Accepting) {
            return;
        }
        connection.phase = Phase::Open;
        self.happenings.push_back(Happening::Established { connection: key, parameters, private_data });
        for received in core::mem::take(&mut connection.early) {
            self.happenings.push_back(Happening::Received { connection: key, received });
        }
    }

    /// A connection did not come about.
    fn refuse(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        key: Key,
        why: Option<(Rejection, PrivateData)>,
    ) {
        let Some(connection) = self.connections.get(key).filter(|connection| !connection.is_over) else {
            return;
        };
        let we_asked = connection.phase == Phase::Connecting;
        self.leave_device(env, device, key);
        self.happenings.push_back(match we_asked {
            true => Happening::Refused { connection: key, why },
            false => Happening::Gone { connection: key },
        });
    }
}
