//! The login phase: requests go to [`TargetLogin`], the last response makes the connection one of a session.
//!
//! Sections of RFC 7143: 6.3 (login), 6.3.5 (session reinstatement), 11.12 and 11.13 (the PDUs).

use super::super::registry::Granted;
use super::super::session::{Session, SessionName, Tasks, Window, give};
use super::super::{Context, Order, Shard};
use super::framer::{Incoming, Landing};
use super::hold::{Held, Problem, Taken};
use super::outgoing::{Item, WindowNumbers, buffer_of};
use super::{Connection, State};
use crate::iscsi::login::{
    self, Admission, Identity, Parameters, RdmaLimits, Refusal, SessionType, TargetLogin, Turn,
};
use crate::target::DeviceKey;
use std::collections::VecDeque;
use std::net::IpAddr;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::iscsi::{
    Bhs, Digests, HeaderRules, Isid, LOGIN_DATA_MAX, LoginRequest, LoginResponse, LoginStatus, Numbers,
    Opcode, PduLayout, Receiver, Stage, VERSION,
};
use wire::scsi::TransportId;

/// What may come before the login is over.
pub(super) const RULES: HeaderRules = HeaderRules {
    receiver: Receiver::Target,
    digests: Digests { header: false, data: false },
    data_max: LOGIN_DATA_MAX,
};

/// A login under way.
#[derive(Default)]
pub(super) struct LoggingIn {
    login: TargetLogin,
    /// The first request: what those after it must say again.
    first: Option<LoginRequest>,
    place: Option<Place>,
}

/// Where an initiator was let in.
#[derive(Clone, Debug)]
struct Place {
    name: SessionName,
    device: Option<DeviceKey>,
    queue_depth: u32,
}

impl core::fmt::Debug for LoggingIn {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("LoggingIn").field("first", &self.first).field("place", &self.place).finish()
    }
}

impl Connection {
    /// The header of a PDU before the login is over.
    pub(super) fn handle_login(
        &mut self,
        cx: &mut Context<'_>,
        layout: &PduLayout,
        bhs: &Bhs,
    ) -> Result<Taken, Problem> {
        if layout.opcode != Opcode::LoginRequest {
            self.refuse_login(cx, bhs, &Refusal::InvalidDuringLogin);
            return Ok(Taken(None));
        }
        self.coming.0 = *bhs;
        if layout.data_len == 0 {
            self.handle_login_text(cx, bhs, Span::EMPTY)?;
            return Ok(Taken(None));
        }
        let len = layout.data_len as usize;
        let buffer = cx.env.mem().take(len).ok_or(Problem::Held(Held::Buffers(len)))?;
        self.coming.1 = buffer;
        Ok(Taken(Incoming::new(layout, Landing::Pdu, buffer)))
    }

    /// A login request is whole.
    pub(super) fn handle_login_text(
        &mut self,
        cx: &mut Context<'_>,
        bhs: &Bhs,
        data: Span,
    ) -> Result<(), Problem> {
        let mut text = vec![0; data.len()];
        cx.env.mem().read(data, &mut text);
        give(cx.env, data);
        match self.answer_login(cx, bhs, &text) {
            Ok(()) => {}
            Err(refusal) => self.refuse_login(cx, bhs, &refusal),
        }
        Ok(())
    }

    fn answer_login(&mut self, cx: &mut Context<'_>, bhs: &Bhs, text: &[u8]) -> Result<(), Refusal> {
        let request = LoginRequest::decode(bhs).map_err(|_| Refusal::InitiatorError)?;
        let State::LoggingIn(logging_in) = &mut self.state else { return Ok(()) };
        let first = *logging_in.first.get_or_insert(request);
        check_request(&first, &request)?;
        let turn = Turn::of_request(&request);
        let arrival = self.arrival;
        let rdma = self.rdma.as_ref().map(|rdma| rdma.limits);
        let place = &mut logging_in.place;
        let Context { env, shard, .. } = cx;
        let mut admit = |identity: &Identity| {
            let (granted, admission) = admit(shard, identity, &first, &arrival, rdma)?;
            *place = Some(granted);
            Ok(admission)
        };
        let (turn, answer) = logging_in.login.handle(&mut || env.entropy(), turn, text, &mut admit)?;
        let mut response = respond(&request, turn);
        let data = buffer_of(cx.env, &answer).ok_or(Refusal::OutOfResources)?;
        let finished = turn.next == Some(Stage::FullFeature);
        if !finished {
            self.last_window = cx.shard.window_while_logging_in(logging_in.place.as_ref(), &request);
            self.outgoing.push(Item::Login { response, data });
            return Ok(());
        }
        match self.join_session(cx, &request) {
            Ok(tsih) => {
                response.tsih = tsih;
                self.begin_full_feature(cx, response, data);
                Ok(())
            }
            Err(refusal) => {
                give(cx.env, data);
                Err(refusal)
            }
        }
    }

    /// The login is over: the connection becomes one of its session's. Says the session's TSIH.
    fn join_session(&mut self, cx: &mut Context<'_>, request: &LoginRequest) -> Result<u16, Refusal> {
        let State::LoggingIn(logging_in) = &self.state else { return Err(Refusal::TargetError) };
        let parameters = logging_in.login.parameters()?;
        let place = logging_in.place.clone().ok_or(Refusal::TargetError)?;
        let connection_id = request.connection_id;
        let session = match request.tsih {
            0 => cx.begin_session(place, parameters, request)?,
            tsih => {
                let session = cx.shard.joinable(&place.name, tsih)?;
                cx.end_same_connection(session, connection_id);
                session
            }
        };
        let entry = cx.shard.sessions.get_mut(session).ok_or(Refusal::TargetError)?;
        entry.connections.push((connection_id, self.key));
        (self.session, self.connection_id) = (Some(session), connection_id);
        Ok(entry.tsih)
    }

    fn begin_full_feature(&mut self, cx: &mut Context<'_>, response: LoginResponse, data: Span) {
        let State::LoggingIn(logging_in) = core::mem::replace(&mut self.state, State::FullFeature) else {
            return;
        };
        let Ok(parameters) = logging_in.login.parameters() else { return self.leave(cx) };
        self.outgoing.push(Item::Login { response, data });
        // The last response goes without digests, and what follows with those agreed on.
        if self.rdma.is_none() {
            let window = self.window(cx);
            self.outgoing.pump(cx.env, &mut cx.shard.blocks, window);
            debug_assert_eq!(self.outgoing.backlog(), 0);
        }
        let digests = Digests { header: parameters.header_digest, data: parameters.data_digest };
        self.outgoing.digests = digests;
        self.outgoing.segment_max = parameters.max_send_data_segment_len;
        self.outgoing.burst_max = parameters.max_burst_len;
        if parameters.error_recovery_level > 0 {
            self.outgoing.begin_to_keep();
        }
        let data_max = parameters.max_recv_data_segment_len;
        self.framer.set_rules(HeaderRules { receiver: Receiver::Target, digests, data_max });
        let initiator = logging_in.login.identity().map(|identity| identity.initiator.as_str().to_owned());
        tracing::info!(peer = %self.arrival.peer, initiator, tsih = response.tsih, "an iSCSI initiator logged in");
    }

    /// The login is over before it led to anything (RFC 7143, section 11.13.5).
    fn refuse_login(&mut self, cx: &mut Context<'_>, bhs: &Bhs, refusal: &Refusal) {
        tracing::info!(peer = %self.arrival.peer, %refusal, "an iSCSI login is refused");
        cx.shard.counters.logins_refused += 1;
        cx.shard.counters.authentications_failed += u64::from(*refusal == Refusal::AuthenticationFailure);
        let status = refusal.status();
        let response = match LoginRequest::decode(bhs) {
            Ok(request) => LoginResponse { status, ..respond(&request, Turn::stay(request.current)) },
            Err(_) => LoginResponse { status, ..respond_to_nothing(bhs) },
        };
        let data = buffer_of(cx.env, &refusal.text()).unwrap_or(Span::EMPTY);
        self.outgoing.push(Item::Login { response, data });
        self.leave(cx);
    }
}

impl Shard {
    /// What is told of the window before a login is over: a session that is there has one already.
    fn window_while_logging_in(&self, place: Option<&Place>, request: &LoginRequest) -> WindowNumbers {
        let joined = place
            .filter(|_| request.tsih != 0)
            .and_then(|place| self.joinable(&place.name, request.tsih).ok());
        match joined.and_then(|key| self.sessions.get(key)) {
            Some(session) => {
                WindowNumbers { exp_cmd_sn: session.window.expected(), max_cmd_sn: session.window.max() }
            }
            None => WindowNumbers { exp_cmd_sn: request.cmd_sn, max_cmd_sn: request.cmd_sn },
        }
    }

    /// The session that another connection wants to be of.
    fn joinable(&self, name: &SessionName, tsih: u16) -> Result<Key, Refusal> {
        let mut named = self.sessions.iter().filter(|(_, session)| session.tsih == tsih && !session.ended);
        match named.next() {
            Some((key, session)) if session.name == *name => Ok(key),
            _ => Err(Refusal::NoSuchSession),
        }
    }

    /// A TSIH that no session has. There are fewer sessions than numbers.
    fn fresh_tsih(&mut self) -> u16 {
        loop {
            self.last_tsih = self.last_tsih.checked_add(1).unwrap_or(1);
            if self.sessions.iter().all(|(_, session)| session.tsih != self.last_tsih) {
                return self.last_tsih;
            }
        }
    }
}

impl Context<'_> {
    /// Begins a session, in place of one of the same name (section 6.3.5: reinstatement).
    fn begin_session(
        &mut self,
        place: Place,
        parameters: Parameters,
        request: &LoginRequest,
    ) -> Result<Key, Refusal> {
        let same =
            |session: &Session| !session.ended && session.name == place.name && place.name.target.is_some();
        let old = self.shard.sessions.iter().find(|(_, session)| same(session)).map(|(key, _)| key);
        if let Some(old) = old {
            self.shard.counters.reinstated += 1;
            self.end_session(old);
        }
        let key = self.shard.sessions.next_key().ok_or(Refusal::OutOfResources)?;
        let nexus = match place.device {
            Some(device) => {
                let port = TransportId::iscsi(place.name.initiator.as_str(), place.name.isid.0);
                let opened = self.executor.open_nexus(device, port, place.name.portal_group);
                Some(opened.map_err(|_| Refusal::OutOfResources)?)
            }
            None => None,
        };
        let tsih = self.shard.fresh_tsih();
        let depth = place.queue_depth.max(1);
        let session = Session {
            name: place.name,
            tsih,
            parameters,
            nexus,
            connections: Vec::new(),
            window: Window::new(request.cmd_sn, depth),
            tasks: Tasks::new(depth as usize + self.shard.limits.immediates_max),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            postponed: VecDeque::new(),
            lost: Vec::new(),
            stranded: Vec::new(),
            managements: Vec::new(),
            next_management: 0,
            ended: false,
        };
        let inserted = self.shard.sessions.insert(session);
        debug_assert_eq!(inserted.ok(), Some(key));
        if let Some(nexus) = nexus {
            self.shard.nexuses.insert(nexus, key);
        }
        self.shard.counters.sessions += 1;
        Ok(key)
    }

    /// A connection with the CID of another of the session takes its place (section 6.3.4: connection reinstatement).
    fn end_same_connection(&mut self, session: Key, connection_id: u16) {
        let Some(session) = self.shard.sessions.get_mut(session) else { return };
        let old = session.connections.iter().position(|(id, _)| *id == connection_id);
        let Some((place, connection)) = old.map(|old| (old, session.connections[old].1)) else { return };
        // Section 7.1.4.3: it is as if it had been logged out for recovery, where there is any.
        if !session.recovers(connection) {
            session.connections.swap_remove(place);
            self.give_up_connection(connection);
        }
        self.shard.orders.push_back(Order::End(connection));
    }
}

/// Whether an initiator is let in, and what is wanted of it.
fn admit(
    shard: &Shard,
    identity: &Identity,
    first: &LoginRequest,
    arrival: &super::super::Arrival,
    rdma: Option<RdmaLimits>,
) -> Result<(Place, Admission), Refusal> {
    let carried = |limits: login::Limits| match rdma {
        Some(rdma) => limits.over_rdma(rdma),
        None => limits,
    };
    let initiator = identity.initiator.clone();
    let peer: IpAddr = arrival.peer.ip().to_canonical();
    let target = match (identity.session_type, &identity.target) {
        (SessionType::Normal, Some(target)) => target,
        (SessionType::Normal, None) => return Err(Refusal::MissingParameter),
        (SessionType::Discovery, _) => {
            let name = SessionName { initiator, isid: first.isid, target: None, portal_group: 0 };
            let admission = Admission {
                authentication: shard
                    .registry
                    .authentication(shard.registry.discovery_through(arrival.portal)),
                limits: carried(login::Limits::default()),
                joins: None,
                portal_group_tag: 0,
                target_alias: String::new(),
            };
            return Ok((Place { name, device: None, queue_depth: DISCOVERY_DEPTH }, admission));
        }
    };
    let Granted { node, portal_group, authentication } =
        shard.registry.grant(target, &identity.initiator, arrival.portal, peer)?;
    let name = SessionName { initiator, isid: first.isid, target: Some(target.clone()), portal_group };
    let joins = match first.tsih {
        0 => None,
        tsih => {
            let session = shard.joinable(&name, tsih)?;
            let session = shard.sessions.get(session).ok_or(Refusal::NoSuchSession)?;
            let others = session.connections.iter().filter(|(id, _)| *id != first.connection_id).count();
            // RFC 7145, section 5.1: all connections of a session are of iSER, or none.
            if session.parameters.rdma_extensions != rdma.is_some() {
                return Err(Refusal::CannotInclude);
            }
            if others >= usize::from(session.parameters.max_connections) {
                return Err(Refusal::TooManyConnections);
            }
            Some(session.parameters)
        }
    };
    let admission = Admission {
        authentication,
        limits: carried(node.limits.clone()),
        joins,
        portal_group_tag: portal_group,
        target_alias: node.alias.clone(),
    };
    Ok((Place { name, device: Some(node.device), queue_depth: node.queue_depth }, admission))
}

/// Section 11.12: what names the session and the connection is the same in all requests of a login.
fn check_request(first: &LoginRequest, request: &LoginRequest) -> Result<(), Refusal> {
    if request.version_min > VERSION {
        return Err(Refusal::UnsupportedVersion);
    }
    let names =
        |request: &LoginRequest| (request.isid, request.tsih, request.connection_id, request.task_tag);
    if names(first) == names(request) { Ok(()) } else { Err(Refusal::InitiatorError) }
}

fn respond(request: &LoginRequest, turn: Turn) -> LoginResponse {
    LoginResponse {
        transit: turn.next.is_some(),
        continues: turn.more,
        current: turn.stage,
        next: turn.next.unwrap_or(Stage::Security),
        version_max: VERSION,
        version_active: VERSION,
        isid: request.isid,
        tsih: request.tsih,
        task_tag: request.task_tag,
        numbers: Numbers::default(),
        status: LoginStatus::Success,
    }
}

/// The answer to what is no login request.
fn respond_to_nothing(bhs: &Bhs) -> LoginResponse {
    LoginResponse {
        transit: false,
        continues: false,
        current: Stage::Security,
        next: Stage::Security,
        version_max: VERSION,
        version_active: VERSION,
        isid: Isid::default(),
        tsih: 0,
        task_tag: bhs.task_tag.get(),
        numbers: Numbers::default(),
        status: LoginStatus::InitiatorError,
    }
}

/// Requests of a discovery session at once.
const DISCOVERY_DEPTH: u32 = 16;
