//! Asking a portal which targets there are: a discovery session with one SendTargets (RFC 7143, appendix C).

use super::connection::{
    Answer, Completed, Connection, ConnectionEnd, ConnectionMemory, Settings, State, Window,
};
use super::iser::{self, Link, STALE_MAX};
use super::options::{InitiatorOptions, Transport};
use super::session::Session;
use crate::iscsi::IscsiName;
use crate::iscsi::login::{InitiatorIdentity, Limits, Text, pairs};
use core::time::Duration;
use std::net::SocketAddr;
use std::rc::Rc;
use stdx::env::{Env, Event, Owner};
use stdx::mem::OutOfMemory;
use stdx::time::{Time, earliest};
use thiserror::Error;
use verbs::{ConnectionEvent, Device};
use wire::iscsi::{Isid, Serial};

/// A portal being asked.
#[derive(Debug)]
pub struct Discovery {
    /// The one session, until it is closed.
    sessions: Vec<Session>,
    /// Its device, over RDMA.
    link: Option<Box<Link>>,
    memory: Option<ConnectionMemory>,
    deadline: Time,
    stage: Stage,
    completed: Vec<Completed>,
    owner: Owner,
    settings: Settings,
    /// How often what an earlier connection of ours left was in the way.
    stale: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    LoggingIn,
    Asked,
    Told,
}

/// A target that the portal knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Discovered {
    /// Its name.
    pub target: IscsiName,
    /// Where it is; nothing if it is where it was asked for.
    pub portals: Vec<Portal>,
}

/// A portal of a target (TargetAddress, section 13.8).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Portal {
    /// `host:port`, as the target says it; without a port it is 3260.
    pub address: String,
    /// The tag of its portal group.
    pub group_tag: u16,
}

impl Portal {
    /// The address, if it is a number.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        let plain =
            || Some(SocketAddr::new(self.address.trim_matches(['[', ']']).parse().ok()?, wire::iscsi::PORT));
        self.address.parse().ok().or_else(plain)
    }
}

/// There is no answer.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum DiscoveryError {
    /// No connection.
    #[error(transparent)]
    Connection(#[from] ConnectionEnd),
    /// No answer in time.
    #[error("the portal did not answer in time")]
    TimedOut,
    /// The answer makes no sense.
    #[error("the portal's answer makes no sense")]
    Nonsense,
    /// No memory for buffers.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl Discovery {
    /// Begins to ask the portal at the address in `options`; target and logical unit there mean nothing. Over RDMA `owner` is as
    /// for [`Initiator::connect`](super::Initiator::connect).
    pub fn connect(
        env: &mut dyn Env,
        owner: Owner,
        options: &InitiatorOptions,
    ) -> Result<Self, DiscoveryError> {
        let identity = InitiatorIdentity {
            initiator: options.initiator.clone(),
            alias: options.alias.clone(),
            target: None,
            chap: options.chap.clone().map(Rc::new),
        };
        let limits = Limits {
            header_digest: options.header_digest,
            data_digest: options.data_digest,
            max_recv_data_segment_len: SEGMENT_LEN,
            ..Limits::default()
        };
        let is_rdma = options.transport == Transport::Rdma;
        let limits = if is_rdma { limits.over_rdma(iser::LIMITS) } else { limits };
        let [_, a, b, c, ..] = env.entropy().to_be_bytes();
        let settings = Settings {
            address: options.address,
            identity: Rc::new(identity),
            limits,
            isid: options.isid.unwrap_or(Isid([0x80, a, b, c, 0, 0])),
            window: Window::new(options.cmd_sn.unwrap_or_else(|| Serial(env.entropy() as u32))),
            connection_id: 0,
            commands_max: COMMANDS_MAX,
            receive_len: 2 * SEGMENT_LEN as usize,
            text_max: TEXT_LEN_MAX,
            is_rdma,
        };
        let memory = ConnectionMemory::map(env.mem(), &settings)?;
        let session = Session::connect(env, owner, &settings, memory).map_err(|error| {
            memory.unmap(env.mem());
            ConnectionEnd::from(error)
        })?;
        let one =
            InitiatorOptions { sessions: 1, connections: 1, commands_max: COMMANDS_MAX, ..options.clone() };
        let deadline = env.now() + options.connect_timeout.max(Duration::from_millis(1));
        Ok(Self {
            sessions: vec![session],
            link: is_rdma.then(|| Box::new(Link::new(owner, &one))),
            memory: (!is_rdma).then_some(memory),
            deadline,
            stage: Stage::LoggingIn,
            completed: Vec::new(),
            owner,
            settings,
            stale: 0,
        })
    }

    /// An event of the owner's.
    pub fn handle_event(&mut self, env: &mut dyn Env, event: &Event) {
        if let Some(connection) = self.connection() {
            connection.handle_event(env, &event.what);
        }
    }

    /// Over RDMA: takes in what the device has to tell, and has it do what is wanted. As
    /// [`Initiator::drive`](super::Initiator::drive).
    pub fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Self { sessions, link: Some(link), .. } = self else { return };
        if let Err(why) = link.poll(env, device, sessions)
            && let Some(connection) = self.connection()
        {
            connection.fail(env, why.into());
        }
        let Self { sessions, link: Some(link), .. } = self else { return };
        link.post(env, device, sessions);
    }

    /// An event of the device for one of this discovery's owners.
    pub fn handle_device_event(&mut self, device: &mut dyn Device, event: &verbs::Event) {
        if let Some(link) = &mut self.link {
            link.handle_event(device, event);
        }
    }

    /// Something happened to its connection of the device.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        if let Some(link) = &mut self.link {
            link.handle_connection(env, device, event);
        }
    }

    /// True once nothing of a closed discovery is left at the device.
    pub fn is_quiet(&self) -> bool {
        self.link.as_deref().is_none_or(Link::is_quiet)
    }

    /// Gives back what a closed discovery has of its device.
    pub fn free(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        if let Some(link) = self.link.take() {
            link.free(env, device);
        }
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        self.sessions.first_mut()?.connections_mut().first_mut()
    }

    /// When [`Discovery::handle_timeout`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let wants_device = self.link.as_deref().is_some_and(Link::wants_device);
        let unread = wants_device || self.sessions.iter().any(Session::has_unread);
        let unread = unread.then_some(Time::ZERO);
        earliest(unread, (self.stage != Stage::Told).then_some(self.deadline))
    }

    /// The deadline has come, or any time later.
    pub fn handle_timeout(&mut self, env: &mut dyn Env) {
        if let Some(connection) = self.connection().filter(|connection| connection.has_unread()) {
            connection.receive_more(env);
        }
    }

    /// The answer, once it is there; call this after each of the above. Then close.
    pub fn poll(&mut self, env: &mut dyn Env) -> Option<Result<Vec<Discovered>, DiscoveryError>> {
        let told = self.look(env)?;
        if self.stage == Stage::Told {
            return None;
        }
        self.stage = Stage::Told;
        Some(told)
    }

    fn look(&mut self, env: &mut dyn Env) -> Option<Result<Vec<Discovered>, DiscoveryError>> {
        let Self { sessions, completed, .. } = self;
        let session = sessions.first_mut()?;
        session.take_completed(completed);
        for done in self.completed.drain(..) {
            if let Answer::Text(text) = done.answer {
                return Some(targets_of(&text));
            }
        }
        let connection = session.connections_mut().first_mut()?;
        match connection.state() {
            State::Ended(ConnectionEnd::Rdma(why)) if why.is_stale() && self.stale < STALE_MAX => {
                self.connect_again(env).err().map(Err)
            }
            State::Ended(why) => Some(Err(why.clone().into())),
            State::FullFeature if self.stage == Stage::LoggingIn => {
                self.stage = Stage::Asked;
                let mut text = Text::default();
                text.put("SendTargets", "All");
                // There is nothing else to send on this connection.
                let _ = connection.say(env, &text.into_bytes(), 0);
                connection.flush(env);
                None
            }
            _waiting if env.now() >= self.deadline => Some(Err(DiscoveryError::TimedOut)),
            State::Connecting | State::LoggingIn | State::FullFeature => None,
        }
    }

    fn connect_again(&mut self, env: &mut dyn Env) -> Result<(), DiscoveryError> {
        self.stale += 1;
        let Some(link) = &mut self.link else { return Ok(()) };
        self.sessions.drain(..).for_each(|session| link.leave_all(session, false));
        let memory = match link.take_memory() {
            Some(memory) => memory,
            None => ConnectionMemory::map(env.mem(), &self.settings)?,
        };
        let session = Session::connect(env, self.owner, &self.settings, memory);
        self.sessions.push(session.map_err(ConnectionEnd::from)?);
        Ok(())
    }

    /// Ends the connection and gives memory back. Over RDMA it is to be driven until it [is quiet](Discovery::is_quiet), and
    /// [freed](Discovery::free) then.
    pub fn close(&mut self, env: &mut dyn Env) {
        self.stage = Stage::Told;
        for mut session in self.sessions.drain(..) {
            let _ = session.log_out(env, 0);
            session.flush(env);
            match &mut self.link {
                Some(link) => link.leave_all(session, true),
                None => session.close(env),
            }
        }
        if let Some(memory) = self.memory.take() {
            memory.unmap(env.mem());
        }
    }
}

/// Each TargetName is followed by the TargetAddress of each of its portals.
fn targets_of(text: &[u8]) -> Result<Vec<Discovered>, DiscoveryError> {
    let mut targets: Vec<Discovered> = Vec::new();
    // An answer may have far more pairs than a negotiation: it is cut into runs that the reader of text takes.
    for piece in text.split(|byte| *byte == 0).filter(|piece| !piece.is_empty()) {
        let pair = pairs(piece).next().and_then(Result::ok).ok_or(DiscoveryError::Nonsense)?;
        match pair.key {
            "TargetName" => {
                let target = IscsiName::from_peer(pair.value).map_err(|_| DiscoveryError::Nonsense)?;
                targets.push(Discovered { target, portals: Vec::new() });
            }
            "TargetAddress" => {
                let last = targets.last_mut().ok_or(DiscoveryError::Nonsense)?;
                last.portals.push(portal_of(pair.value).ok_or(DiscoveryError::Nonsense)?);
            }
            _another => {}
        }
    }
    Ok(targets)
}

fn portal_of(value: &str) -> Option<Portal> {
    let (address, tag) = value.rsplit_once(',').unwrap_or((value, "1"));
    Some(Portal { address: address.to_owned(), group_tag: tag.parse().ok()? })
}

/// Nothing but text is sent: the fewest commands that a connection is made for.
const COMMANDS_MAX: u16 = 2;
/// The most text of one PDU, in bytes.
const SEGMENT_LEN: u32 = 64 << 10;
/// The most text of an answer, in bytes: thousands of targets.
const TEXT_LEN_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_the_portals_that_follow_them() {
        let text = b"TargetName=iqn.2001-04.com.example:a\0TargetAddress=192.0.2.1:3260,1\0\
            TargetAddress=[2001:db8::1]:3260,2\0TargetName=iqn.2001-04.com.example:b\0";
        let targets = targets_of(text).unwrap();
        assert_eq!(targets.len(), 2);
        assert_eq!(targets[0].portals[1].group_tag, 2);
        assert_eq!(targets[0].portals[0].socket_address(), "192.0.2.1:3260".parse().ok());
        assert_eq!(targets[0].portals[1].socket_address(), "[2001:db8::1]:3260".parse().ok());
        assert!(targets[1].portals.is_empty());
        assert_eq!(targets_of(b"TargetAddress=192.0.2.1,1\0"), Err(DiscoveryError::Nonsense));
    }

    #[test]
    fn an_address_without_a_port_is_at_the_usual_one() {
        let portal = |address: &str| Portal { address: address.to_owned(), group_tag: 1 }.socket_address();
        assert_eq!(portal("192.0.2.1"), "192.0.2.1:3260".parse().ok());
        assert_eq!(portal("[2001:db8::1]"), "[2001:db8::1]:3260".parse().ok());
        assert_eq!(portal("storage.example"), None);
    }
}
