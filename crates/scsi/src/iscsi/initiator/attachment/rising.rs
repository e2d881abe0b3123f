//! The way up: a first session, by which the logical units are looked at, then the others.

use super::{Attachment, Phase};
use crate::iscsi::initiator::connection::{Connection, ConnectionMemory, Settings, State};
use crate::iscsi::initiator::event::{Failure, InitiatorEvent, Stage};
use crate::iscsi::login::Limits;
use std::rc::Rc;
use stdx::env::Env;
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
        let opened = self.connect_session(env, index);
        match opened {
            Ok(session) => self.sessions.push(session),
            Err(why) => self.lose(env, why),
        }
    }

    /// What the connection of the session at a place is to be like.
    pub(super) fn settings(&mut self, env: &mut dyn Env, index: usize) -> Settings {
        let cmd_sn = match self.cmd_sns.get(&index) {
            Some(cmd_sn) => *cmd_sn,
            None => self.options.cmd_sn.unwrap_or_else(|| Serial(env.entropy() as u32)),
        };
        Settings {
            address: self.address,
            identity: Rc::clone(&self.identity),
            limits: self.limits(),
            isid: self.isid_of(index),
            cmd_sn,
            commands_max: self.options.commands_max,
            receive_len: RECEIVE_LEN,
            text_max: 0,
        }
    }

    fn connect_session(&mut self, env: &mut dyn Env, index: usize) -> Result<Connection, Failure> {
        let settings = self.settings(env, index);
        let memory = match self.spare.remove(&index) {
            Some(memory) => memory,
            None => ConnectionMemory::map(env.mem(), &settings)?,
        };
        Connection::connect(env, self.owner, &settings, memory).map_err(|error| {
            self.spare.insert(index, memory);
            error.into()
        })
    }

    /// One R2T at a time: that is all we need. Tasks need to outlive a connection only where they are taken over.
    fn limits(&self) -> Limits {
        Limits {
            header_digest: self.options.header_digest,
            data_digest: self.options.data_digest,
            max_outstanding_r2t: 1,
            time_to_retain_s: if self.options.error_recovery_level == 2 { RETAIN_S } else { 0 },
            error_recovery_level: self.options.error_recovery_level,
            ..Limits::default()
        }
    }

    /// Sessions differ in the qualifier, the last two bytes.
    fn isid_of(&self, index: usize) -> Isid {
        let Isid([a, b, c, d, e, f]) = self.isid;
        let [high, low] = u16::from_be_bytes([e, f]).wrapping_add(index as u16).to_be_bytes();
        Isid([a, b, c, d, high, low])
    }

    /// Goes on if the session that the way up waits for is there.
    pub(super) fn handle_logged_in(&mut self, env: &mut dyn Env) {
        let Phase::Rising { stage, deadline } = self.phase else { return };
        if self.sessions.last().is_none_or(|session| *session.state() != State::FullFeature) {
            return;
        }
        match stage {
            Stage::Login => {
                self.phase = Phase::Rising { stage: Stage::LogicalUnits, deadline };
                self.begin_scan(env);
            }
            Stage::LogicalUnits => {}
            Stage::Sessions => self.next_session_or_live(env),
        }
    }

    /// The logical units are known. A look that was repeated while other sessions log in ends here once more: the way up
    /// then waits for those, not for it.
    pub(super) fn handle_scanned(&mut self, env: &mut dyn Env) {
        if let Phase::Rising { stage: Stage::LogicalUnits, deadline } = self.phase {
            self.phase = Phase::Rising { stage: Stage::Sessions, deadline };
            self.next_session_or_live(env);
        }
    }

    fn next_session_or_live(&mut self, env: &mut dyn Env) {
        if self.sessions.len() < usize::from(self.options.sessions) {
            self.open_session(env);
        } else {
            self.handle_risen(env);
        }
    }

    fn handle_risen(&mut self, env: &mut dyn Env) {
        self.phase = Phase::Live;
        self.lost_at = None;
        self.moves = 0;
        self.backoff.reset();
        self.watch(env);
        self.ask_disks_at = env.now() + self.options.watch_interval;
        let again = core::mem::replace(&mut self.was_live, true);
        self.events.push_back(if again { InitiatorEvent::Reconnected } else { InitiatorEvent::Connected });
        self.issue_waiting(env);
    }
}

/// For how many seconds tasks are to wait for another connection.
const RETAIN_S: u16 = 20;

/// Bytes of a connection's receive buffer: many small PDUs in one receive.
const RECEIVE_LEN: usize = 128 << 10;
