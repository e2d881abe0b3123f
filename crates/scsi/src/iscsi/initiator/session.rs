//! One session: its connections, which share one order of commands (RFC 7143, section 4.2.1).
//!
//! A command, its data and its answer go by one connection (its allegiance); each command takes the one with the least to do.
//! What a connection that is lost had under way stays with it: at error recovery level 2 the other connections go on
//! with it, where there are some, and else it goes on by another stream; below, no session outlives one of its connections (section 7.1.4.4), and whoever owns the
//! session sees to both.
//!
//! Invariants: the first connection is the leading one; all others were added once it was in full feature phase.

use super::connection::{
    CONNECTIONS_MAX, Completed, Connection, ConnectionMemory, Data, News, Refused, Settings, State, Window,
};
use crate::iscsi::login::Parameters;
use stdx::env::{Env, IoError, Owner, StreamId};
use stdx::time::Time;
use wire::iscsi::Serial;
use wire::scsi::{Cdb, Lun};

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    connections: Vec<Connection>,
    window: Window,
    commands_max: usize,
}

impl Session {
    /// Starts a session by its leading connection.
    pub fn connect(
        env: &mut dyn Env,
        owner: Owner,
        settings: &Settings,
        memory: ConnectionMemory,
    ) -> Result<Self, IoError> {
        let leader = Connection::connect(env, owner, settings, memory)?;
        let (window, commands_max) = (settings.window.clone(), usize::from(settings.commands_max));
        Ok(Self { connections: vec![leader], window, commands_max })
    }

    /// Adds a connection; the leading one is in full feature phase.
    pub fn add(
        &mut self,
        env: &mut dyn Env,
        owner: Owner,
        settings: &Settings,
        memory: ConnectionMemory,
    ) -> Result<(), IoError> {
        let joined = Connection::join(env, owner, settings, memory, &self.connections[0])?;
        self.connections.push(joined);
        Ok(())
    }

    /// True if it has fewer connections than are wanted and than the target agreed to.
    pub fn wants_another(&self, wanted: u16) -> bool {
        let agreed = self.parameters().max_connections;
        self.connections.len() < usize::from(wanted.min(agreed).min(CONNECTIONS_MAX))
    }

    /// What was agreed on; of what each connection has of its own, that of the leading one.
    pub fn parameters(&self) -> &Parameters {
        self.connections[0].parameters()
    }

    /// The order of its commands.
    pub fn window(&self) -> Window {
        self.window.clone()
    }

    /// What the next command bears: where the order of the session that follows this one may begin.
    pub fn cmd_sn(&self) -> Serial {
        self.window.cmd_sn()
    }

    /// Its connections, the leading one first.
    pub fn connections(&self) -> &[Connection] {
        &self.connections
    }

    /// Ends it without a word; its connections, the leading one first.
    pub fn into_connections(self) -> Vec<Connection> {
        self.connections
    }

    /// Its connections, the leading one first.
    pub fn connections_mut(&mut self) -> &mut [Connection] {
        &mut self.connections
    }

    /// The connection whose stream this is.
    pub fn connection_on(&mut self, stream: StreamId) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|connection| connection.stream() == Some(stream))
    }

    /// True once the connection added last can be used.
    pub fn is_up(&self) -> bool {
        self.connections.last().is_some_and(|connection| *connection.state() == State::FullFeature)
    }

    /// True if one of its connections has ended.
    pub fn has_ended(&self) -> bool {
        self.connections.iter().any(|connection| matches!(connection.state(), State::Ended(_)))
    }

    /// True if bytes may wait of which no event will tell.
    pub fn has_unread(&self) -> bool {
        self.connections.iter().any(Connection::has_unread)
    }

    /// Since when the oldest command waits for its answer.
    pub fn oldest(&self) -> Option<Time> {
        let tasks = self.connections.iter().flat_map(Connection::unanswered);
        tasks.map(|(_, _, since)| since).min()
    }

    /// Takes a command on, by the connection that has the least to do. It is sent by the next [`Session::flush`].
    pub fn submit(
        &mut self,
        env: &mut dyn Env,
        lun: Lun,
        cdb: &Cdb,
        data: Data,
        token: u64,
    ) -> Result<(), Refused> {
        if let [only] = self.connections.as_mut_slice() {
            return only.submit(env, lun, cdb, data, token);
        }
        let loads = self.connections.iter().map(Connection::load);
        if loads.clone().sum::<usize>() >= self.commands_max {
            return Err(Refused);
        }
        let first = loads.enumerate().min_by_key(|(_, load)| *load).map_or(0, |(index, _)| index);
        let (before, from) = self.connections.split_at_mut(first);
        let mut candidates = from.iter_mut().chain(before);
        let taken = candidates.any(|connection| connection.submit(env, lun, cdb, data, token).is_ok());
        if taken { Ok(()) } else { Err(Refused) }
    }

    /// The connection by which the target is to be asked to let go of a lost one: those that are left can go on with all that
    /// it had under way, and this one has the least to do.
    pub fn successor(&self, lost: usize) -> Option<usize> {
        let room = |connection: &Connection| connection.room_for_orphans();
        let wanted = self.connections.get(lost)?.commands();
        let (most, by) = self.connections.iter().map(room).zip(0..).max()?;
        let fits = wanted > 0 && most > 0 && self.connections.iter().map(room).sum::<usize>() >= wanted;
        fits.then_some(by)
    }

    /// What a lost connection had under way goes on by those that are left. True if nothing stays behind.
    pub fn hand_over(&mut self, lost: usize) -> bool {
        let Some(connection) = self.connections.get_mut(lost) else { return true };
        let mut orphans = connection.take_orphans();
        let left = self.connections.iter().filter(|left| left.room_for_orphans() > 0).count();
        let share = orphans.len().div_ceil(left.max(1));
        for connection in self.connections.iter_mut().filter(|left| left.room_for_orphans() > 0) {
            let others = orphans.split_off(share.min(orphans.len()));
            orphans = connection.adopt(orphans);
            orphans.extend(others);
        }
        let all = orphans.is_empty();
        if let Some(connection) = self.connections.get_mut(lost) {
            connection.adopt(orphans);
        }
        all
    }

    /// Sends what waits to be sent.
    pub fn flush(&mut self, env: &mut dyn Env) {
        for connection in &mut self.connections {
            connection.flush(env);
        }
    }

    /// Appends what was answered since the last call.
    pub fn take_completed(&mut self, into: &mut Vec<Completed>) {
        for connection in &mut self.connections {
            connection.take_completed(into);
        }
    }

    /// What the target told by any of them without being asked.
    pub fn poll_news(&mut self) -> Option<News> {
        self.connections.iter_mut().find_map(Connection::poll_news)
    }

    /// The target drops one of them, if it is one of them.
    pub fn handle_dropped(&mut self, env: &mut dyn Env, connection_id: u16) {
        let is_meant = |connection: &&mut Connection| connection.connection_id() == connection_id;
        if let Some(connection) = self.connections.iter_mut().find(is_meant) {
            connection.handle_dropped(env);
        }
    }

    /// Ends the session in good order, by the first connection that can tell the target so.
    pub fn log_out(&mut self, env: &mut dyn Env, token: u64) -> Result<(), Refused> {
        let told = self.connections.iter_mut().any(|connection| connection.log_out(env, token).is_ok());
        if told { Ok(()) } else { Err(Refused) }
    }

    /// Ends all connections without ceremony.
    pub fn close(&mut self, env: &mut dyn Env) {
        for connection in &mut self.connections {
            connection.close(env);
        }
    }

    /// Asserts what always holds.
    pub fn check(&self) {
        self.connections.iter().for_each(Connection::check);
        assert!(self.connections.len() <= usize::from(CONNECTIONS_MAX));
    }
}
