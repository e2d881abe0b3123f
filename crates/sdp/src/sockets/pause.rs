//! Streams that pause and go on with another queue pair (A4's suspension of a session).
//!
//! Whoever suspends listens at a port of the device's that nobody else knows, and tells the peer which; both finish what is under
//! way, and let go of the queue pair. The peer comes back to that port by itself, and is answered once [`Sockets::resume`] says so.
//! If both suspend at once, whoever connected in the first place comes back, once it resumes, too.
//!
//! ```text
//!         suspend, or the peer's            nothing is under way           both have greeted each other
//!   Open ------------------------> (Open) -----------------------> Suspended ----> Resuming ----> Open
//!                                       \________________________________________________________ Ended: it took too long
//! ```
//!
//! Invariants: no byte is lost or comes twice, since a queue pair goes only after both have said that nothing more comes; nobody
//! but the peer's device is let in at the port; a pause is over, one way or the other, by the time that
//! [`Config::resume_timeout`](super::Config::resume_timeout) gives it.

use super::stream::{Phase, Stream};
use super::{Context, SocketError, Sockets, StreamId};
use crate::Terms;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use stdx::env::Env;
use stdx::time::Time;
use verbs::endpoint::Requested;
use verbs::{ConnectionId, Device, Parameters, PortSpace};
use wire::sdp::Hello;

/// How far a pause has come.
#[derive(Debug)]
pub(super) struct Pause {
    /// When it has to be over.
    pub(super) until: Time,
    /// Where the peer is to come back to, if it is the one who comes.
    portal: Option<SocketAddr>,
    /// The port of the peer's device to come back to, if it is us.
    to: Option<u16>,
    /// The stream is to go on.
    is_wanted: bool,
    /// Nothing is sent any more by either end.
    pub(super) is_done: bool,
    /// The peer has come back.
    returned: Option<(ConnectionId, Hello)>,
}

impl Sockets {
    /// Has a stream pause: both ends let go of its queue pair once nothing is under way ([`Sockets::is_suspended`]). What is
    /// written meanwhile waits; [`Sockets::resume`] has it go on.
    ///
    /// # Errors
    /// When it is not open, pauses already, or the peer knows no such thing.
    pub fn suspend(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        id: StreamId,
    ) -> Result<(), SocketError> {
        let until = env.now() + self.config.resume_timeout;
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        let is_open = stream.phase == Phase::Open && stream.pause.is_none();
        let machine = stream.machine.as_mut().filter(|_| is_open).ok_or(SocketError::Closed)?;
        let at = SocketAddr::new(unspecified(stream.peer_device), 0);
        let portal = self.endpoint.listen(device, PortSpace::Sdp, at).map_err(|_| SocketError::Limit)?;
        if machine.suspend(env.now(), SERVICES | u64::from(portal.port())).is_err() {
            self.endpoint.unlisten(device, PortSpace::Sdp, portal);
            return Err(SocketError::Closed);
        }
        stream.pause = Some(Pause { portal: Some(portal), ..Pause::new(until, false) });
        self.portals.insert(portal, id);
        self.drive(&mut Context { env, device }, id);
        Ok(())
    }

    /// Has a stream that was suspended go on, at once or as soon as it has paused.
    pub fn resume(&mut self, env: &mut dyn Env, device: &mut dyn Device, id: StreamId) {
        if let Some(pause) = self.streams.get_mut(id.0).and_then(|stream| stream.pause.as_mut()) {
            pause.is_wanted = true;
            self.drive(&mut Context { env, device }, id);
        }
    }

    /// Whether a stream has paused: it has no queue pair, and bytes do not move.
    pub fn is_suspended(&self, id: StreamId) -> bool {
        self.streams.get(id.0).is_some_and(|stream| stream.phase == Phase::Suspended)
    }

    /// Whether a stream pauses, has paused, or is about to go on: there is no other pause meanwhile.
    pub fn is_pausing(&self, id: StreamId) -> bool {
        self.streams.get(id.0).is_some_and(|stream| stream.pause.is_some())
    }

    /// Nothing is sent any more by either end: `ours` is the service that we named, `theirs` the peer's.
    pub(super) fn handle_paused(&mut self, now: Time, id: StreamId, ours: Option<u64>, theirs: Option<u64>) {
        let until = now + self.config.resume_timeout;
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let pause = stream.pause.get_or_insert_with(|| Pause::new(until, true));
        pause.is_done = true;
        let Some(service) = theirs.filter(|_| ours.is_none() || stream.has_connected) else { return };
        let portal = pause.portal.take();
        pause.to = u16::try_from(service ^ SERVICES).ok().filter(|port| *port > 0);
        if pause.to.is_none() {
            stream.error = stream.error.or(Some(SocketError::Protocol));
            stream.pause = None;
            if let Some(machine) = stream.machine.as_mut() {
                machine.abort();
            }
            self.stir(id);
        }
        self.leave_portal(portal);
    }

    /// Lets go of the queue pair of a stream that pauses, and gets it another once it is to go on.
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let is_settled = stream.posted.is_empty() && matches!(stream.phase, Phase::Open | Phase::Suspended);
        let Some(pause) = stream.pause.as_mut().filter(|pause| pause.is_done && is_settled) else { return };
        if stream.phase == Phase::Open {
            stream.phase = Phase::Suspended;
            if let Some(connection) = stream.connection.take() {
                self.by_place[connection.index()] = None;
                self.endpoint.disconnect(cx.env, cx.device, connection);
            }
            self.note_change(id);
            return self.stir(id);
        }
        if !pause.is_wanted {
            return;
        }
        match (pause.to, pause.returned.take()) {
            (Some(port), _) => self.come_back(cx, id, port),
            (None, Some((request, hello))) => {
                let outcome = self.take_back(cx, id, request, &hello);
                if let Err(error) = outcome {
                    self.endpoint.reject(cx.device, request, &[]);
                    self.end(id, Some(error));
                }
            }
            (None, None) => {}
        }
        if self.streams.get(id.0).is_some_and(|it| it.phase == Phase::Ended && it.connection.is_none()) {
            self.unbind(cx.device, id);
        }
    }

    /// Asks the peer's device for another queue pair.
    fn come_back(&mut self, cx: &mut Context<'_>, id: StreamId, port: u16) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let options = stream.options;
        let hello = Terms::hello(&options, stream.local, stream.peer).encode();
        let (route, parameters) = (SocketAddr::new(stream.peer_device, port), Parameters::default());
        stream.phase = Phase::Resuming;
        self.endpoint.set_receives_each(options.receives.into());
        match self.endpoint.connect(cx.env, cx.device, PortSpace::Sdp, route, parameters, &hello) {
            Ok(connection) => self.bind(id, connection),
            Err(_) => self.end(id, Some(SocketError::Limit)),
        }
    }

    /// Gives the peer, who came back, another queue pair.
    fn take_back(
        &mut self,
        cx: &mut Context<'_>,
        id: StreamId,
        request: ConnectionId,
        hello: &Hello,
    ) -> Result<(), SocketError> {
        let stream = self.streams.get_mut(id.0).ok_or(SocketError::NotFound)?;
        let options = stream.options;
        let terms = Terms::of_hello(hello).map_err(|_| SocketError::Protocol)?;
        let ack = Terms::hello_ack(&options, hello).encode();
        self.endpoint.set_receives_each(options.receives.into());
        let answered = self.endpoint.accept(cx.env, cx.device, request, Parameters::default(), &ack);
        let connection = answered.map_err(|_| SocketError::Limit)?;
        stream.phase = Phase::Resuming;
        self.bind(id, connection);
        self.restart(cx.env.now(), id, terms);
        if self.streams.get(id.0).is_none_or(|stream| stream.phase == Phase::Ended) {
            self.endpoint.disconnect(cx.env, cx.device, connection);
        }
        Ok(())
    }

    /// The state machine goes on with what was agreed.
    pub(super) fn restart(&mut self, now: Time, id: StreamId, terms: Terms) {
        let message_len = terms.message_len.min(self.config.message_len());
        let machine = self.streams.get_mut(id.0).and_then(|stream| stream.machine.as_mut());
        let restarted = machine.map(|machine| machine.resume(now, Terms { message_len, ..terms }));
        if !matches!(restarted, Some(Ok(()))) {
            self.end(id, Some(SocketError::Protocol));
        }
    }

    /// Someone asks at a port where a stream's peer is to come back; `None` if it is not the peer.
    pub(super) fn hear_return(
        &mut self,
        cx: &mut Context<'_>,
        id: StreamId,
        requested: &Requested,
    ) -> Option<()> {
        let hello = Hello::decode(requested.private_data.bytes()).ok()?;
        let stream = self.streams.get_mut(id.0)?;
        let said = (SocketAddr::new(hello.source, hello.port), hello.destination);
        let is_peer = requested.peer.ip() == stream.peer_device && said == (stream.peer, stream.local.ip());
        let pause = stream.pause.as_mut().filter(|_| is_peer)?;
        // Who asks once more has given the first request up.
        if let Some((before, _)) = pause.returned.replace((requested.request, hello)) {
            self.endpoint.reject(cx.device, before, &[]);
        }
        self.stir(id);
        Some(())
    }

    /// A stream goes on.
    pub(super) fn resumed(&mut self, id: StreamId) {
        self.unschedule(id);
        let pause = self.streams.get_mut(id.0).and_then(|stream| stream.pause.take());
        self.leave_portal(pause.and_then(|pause| pause.portal));
    }

    /// The pause of a stream is over because the stream is.
    pub(super) fn give_up_pause(&mut self, id: StreamId) {
        let Some(pause) = self.streams.get_mut(id.0).and_then(|stream| stream.pause.take()) else { return };
        self.leave_portal(pause.portal);
        self.refused.extend(pause.returned.map(|(request, _)| request));
    }

    /// Nobody is waited for there any more.
    fn leave_portal(&mut self, portal: Option<SocketAddr>) {
        if let Some(portal) = portal {
            self.portals.remove(&portal);
            self.left_portals.push(portal);
        }
    }

    /// Tells the device where nobody is waited for any more.
    pub(super) fn close_portals(&mut self, cx: &mut Context<'_>) {
        while let Some(portal) = self.left_portals.pop() {
            self.endpoint.unlisten(cx.device, PortSpace::Sdp, portal);
        }
        while let Some(request) = self.refused.pop() {
            self.endpoint.reject(cx.device, request, &[]);
        }
    }
}

impl Pause {
    const fn new(until: Time, is_wanted: bool) -> Self {
        Self { until, portal: None, to: None, is_wanted, is_done: false, returned: None }
    }

    /// The peer comes back to us, and not we to it.
    pub(super) const fn is_host(&self) -> bool {
        self.to.is_none()
    }

    /// The stream goes on as soon as it can.
    pub(super) const fn want(&mut self) {
        self.is_wanted = true;
    }
}

impl Stream {
    /// Whether both ends have said that nothing more comes over the connection.
    pub(super) fn has_paused(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.is_done)
    }
}

/// The address at which a device listens that serves peers like this.
const fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

/// The service ids of the Sockets Direct Protocol: the port is in the last sixteen bits.
const SERVICES: u64 = 0x1_0000;
