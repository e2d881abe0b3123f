//! The way up: the leading connection of a first session, by which the logical units are looked at, then the session's other
//! connections, then the other sessions.

use super::{Attachment, Phase, Place};
use crate::iscsi::initiator::connection::{ConnectionMemory, Settings, Window};
use crate::iscsi::initiator::event::{Failure, InitiatorEvent, Stage};
use crate::iscsi::initiator::iser;
use crate::iscsi::initiator::session::Session;
use crate::iscsi::login::Limits;
use std::rc::Rc;
use stdx::env::{Env, IoError};
use wire::iscsi::{Isid, Serial};

impl Attachment {
    /// Begins the way up.
    pub(super) fn rise(&mut self, env: &mut dyn Env) {
        let deadline = env.now() + self.options.connect_timeout;
        self.phase = Phase::Rising { stage: Stage::Login, deadline };
        self.open_session(env);
    }

    /// Connects the next session.
    fn open_session(&mut self, env: &mut dyn Env) {
        let index = self.sessions.len();
        let cmd_sn = match self.cmd_sns.get(&index) {
            Some(cmd_sn) => *cmd_sn,
            None => self.options.cmd_sn.unwrap_or_else(|| Serial(env.entropy() as u32)),
        };
        let settings = self.settings((index, 0), Window::new(cmd_sn));
        let owner = self.owner;
        let opened = self.with_memory(env, (index, 0), &settings, |_, env, memory| {
            Session::connect(env, owner, &settings, memory)
        });
        match opened {
            Ok(session) => self.sessions.push(session),
            Err(why) => self.lose(env, why),
        }
    }

    /// Connects the next connection of the session that was connected last.
    fn add_connection(&mut self, env: &mut dyn Env) {
        let Some((session, before)) = self.sessions.split_last() else { return };
        let place = (before.len(), session.connections().len());
        let settings = self.settings(place, session.window());
        let owner = self.owner;
        let added = self.with_memory(env, place, &settings, |sessions, env, memory| {
            sessions[place.0].add(env, owner, &settings, memory)
        });
        if let Err(why) = added {
            self.lose(env, why);
        }
    }

    /// What the connection at a place is to be like.
    pub(super) fn settings(&self, (index, number): Place, window: Window) -> Settings {
        Settings {
            address: self.address,
            identity: Rc::clone(&self.identity),
            limits: self.limits(),
            isid: self.isid_of(index),
            window,
            connection_id: number as u16,
            commands_max: self.options.commands_max,
            receive_len: RECEIVE_LEN,
            text_max: 0,
            is_rdma: self.link.is_some(),
        }
    }

    /// Connects with the memory of the connection that was at a place before, or with new memory.
    fn with_memory<T>(
        &mut self,
        env: &mut dyn Env,
        place: Place,
        settings: &Settings,
        connect: impl FnOnce(&mut [Session], &mut dyn Env, ConnectionMemory) -> Result<T, IoError>,
    ) -> Result<T, Failure> {
        let link = self.link.as_mut();
        let memory = match self.spare.remove(&place).or_else(|| link.and_then(|link| link.take_memory())) {
            Some(memory) => memory,
            None => ConnectionMemory::map(env.mem(), settings)?,
        };
        connect(&mut self.sessions, env, memory).map_err(|error| {
            self.spare.insert(place, memory);
            error.into()
        })
    }

    /// One R2T at a time: that is all we need. Tasks need to outlive a connection only where they are taken over.
    fn limits(&self) -> Limits {
        let limits = Limits {
            header_digest: self.options.header_digest,
            data_digest: self.options.data_digest,
            max_connections: self.options.connections,
            max_outstanding_r2t: 1,
            time_to_retain_s: if self.options.error_recovery_level == 2 { RETAIN_S } else { 0 },
            error_recovery_level: self.options.error_recovery_level,
            ..Limits::default()
        };
        if self.link.is_some() { limits.over_rdma(iser::LIMITS) } else { limits }
    }

    /// Sessions differ in the qualifier, the last two bytes.
    fn isid_of(&self, index: usize) -> Isid {
        let Isid([a, b, c, d, e, f]) = self.isid;
        let [high, low] = u16::from_be_bytes([e, f]).wrapping_add(index as u16).to_be_bytes();
        Isid([a, b, c, d, high, low])
    }

    /// Goes on if the connection that the way up waits for is there.
    pub(super) fn handle_logged_in(&mut self, env: &mut dyn Env) {
        let Phase::Rising { stage, deadline } = self.phase else { return };
        if !self.sessions.last().is_some_and(Session::is_up) {
            return;
        }
        match stage {
            Stage::Login => {
                self.phase = Phase::Rising { stage: Stage::LogicalUnits, deadline };
                self.units.begin_look(env, &mut self.sessions);
            }
            Stage::LogicalUnits => {}
            Stage::Sessions => self.go_on_rising(env),
        }
    }

    /// The logical units are known. A look that was repeated while other sessions log in ends here once more: the way up
    /// then waits for those, not for it.
    pub(super) fn handle_scanned(&mut self, env: &mut dyn Env) {
        if let Phase::Rising { stage: Stage::LogicalUnits, deadline } = self.phase {
            self.phase = Phase::Rising { stage: Stage::Sessions, deadline };
            self.go_on_rising(env);
        }
    }

    fn go_on_rising(&mut self, env: &mut dyn Env) {
        let wanted = self.options.connections;
        if self.sessions.last().is_some_and(|session| session.wants_another(wanted)) {
            self.add_connection(env);
        } else if self.sessions.len() < usize::from(self.options.sessions) {
            self.open_session(env);
        } else {
            self.handle_risen(env);
        }
    }

    fn handle_risen(&mut self, env: &mut dyn Env) {
        self.phase = Phase::Live;
        self.moves = 0;
        self.backoff.reset();
        self.watch(env);
        let again = core::mem::replace(&mut self.was_live, true);
        self.events.push_back(if again { InitiatorEvent::Reconnected } else { InitiatorEvent::Connected });
        self.units.set_live(env, &mut self.sessions);
    }
}

/// For how many seconds tasks are to wait for another connection.
const RETAIN_S: u16 = 20;

/// Bytes of a connection's receive buffer: many small PDUs in one receive.
const RECEIVE_LEN: usize = 128 << 10;
