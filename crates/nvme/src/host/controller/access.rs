//! How well namespaces are reached through this controller: asymmetric namespace access (Base 8.1.3, 5.16.1.13).
//!
//! The log is read on the way up, after each look at the namespaces, when the controller says that it changed, and when a
//! command is refused for it. Requests of a namespace that cannot be reached now are held here until it can; one that is
//! lost for good takes its requests with it. Optimized or not makes no difference to a host with one path.

use super::admin::AdminCommand;
use super::{Controller, Phase};
use crate::host::event::{Failure, Step};
use crate::host::queue::Data;
use core::time::Duration;
use std::collections::BTreeMap;
use stdx::env::Env;
use stdx::mem::{Memory, Span};
use stdx::slab::Key;
use stdx::time::Time;
use wire::nvme::admin::LogPageRequest;
use wire::nvme::identify::MultiPath;
use wire::nvme::log::{AnaGroupHeader, AnaHeader, AnaState, LogPage};
use wire::nvme::{NAMESPACE_ALL, Status};

/// What is known of the groups.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// A reading under way.
    reading: Option<Reading>,
    /// Something changed meanwhile: read again.
    again: bool,
    states: BTreeMap<u32, AnaState>,
    /// Some group cannot be reached now: only then each request is looked at.
    restricted: bool,
    /// Requests of namespaces that cannot be reached now.
    pub(super) held: Vec<Key>,
    /// When a change must be over that is under way (ANATT).
    settled_by: Option<Time>,
}

/// The log is read piece by piece, groups only.
#[derive(Debug, Default)]
struct Reading {
    /// Groups read.
    groups: u32,
    /// Groups that the log has, by the first piece.
    total: u32,
    states: BTreeMap<u32, AnaState>,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// It is sent.
    Now,
    /// It waits.
    Later,
    /// It fails.
    Never,
}

/// What a piece of the log was.
enum Piece {
    /// The last.
    Last,
    /// There is more.
    More,
    /// It cannot be.
    Nonsense,
}

impl Access {
    /// How namespaces of a group are reached. A group that the controller does not tell of is.
    pub(super) fn reach(&self, group: u32) -> Reach {
        match self.states.get(&group) {
            None | Some(AnaState::Optimized | AnaState::NonOptimized) => Reach::Now,
            Some(AnaState::Inaccessible | AnaState::Change) => Reach::Later,
            Some(AnaState::PersistentLoss) => Reach::Never,
        }
    }

    /// The state of a group, if the controller told it.
    pub(super) fn state(&self, group: u32) -> Option<AnaState> {
        self.states.get(&group).copied()
    }

    /// The connection is gone: what was known is read anew with the next. Held requests wait with all others.
    pub(super) fn forget_reading(&mut self) {
        self.reading = None;
        self.again = false;
        self.settled_by = None;
        self.held.clear();
    }

    /// When a change takes too long.
    pub(super) const fn deadline(&self) -> Option<Time> {
        self.settled_by
    }
}

impl Controller {
    /// Begins to read the log, or has the reading under way repeated. Controllers without one reach everything.
    pub(super) fn read_access(&mut self, env: &mut dyn Env) {
        if !self.reports_access() {
            self.access.states.clear();
            return self.finish_access(env);
        }
        if self.access.reading.is_some() {
            self.access.again = true;
            return;
        }
        self.access.reading = Some(Reading::default());
        self.read_access_piece(env);
    }

    fn reports_access(&self) -> bool {
        let multi_path = self.data.as_ref().map_or(0, |data| data.multi_path);
        self.options.io_queues > 0 && MultiPath(multi_path).contains(MultiPath::ANA_REPORTING)
    }

    fn read_access_piece(&mut self, env: &mut dyn Env) {
        let Some(reading) = &self.access.reading else { return };
        let first = reading.groups == 0;
        let groups_max = self.data.as_ref().map_or(0, |data| data.ana_groups.get());
        let left = groups_max.checked_sub(reading.groups).filter(|left| *left > 0);
        let groups = left.unwrap_or(GROUPS_A_PIECE).min(GROUPS_A_PIECE);
        let header = if first { AnaHeader::LEN } else { 0 };
        let length = header + groups as usize * AnaGroupHeader::LEN;
        let behind = u64::from(reading.groups) * AnaGroupHeader::LEN as u64;
        let offset = if first { 0 } else { AnaHeader::LEN as u64 + behind };
        let page = LogPage::AsymmetricNamespaceAccess.code();
        let request = LogPageRequest {
            page,
            specific: GROUPS_ONLY,
            length: length as u64,
            offset,
            ..Default::default()
        };
        let data = Data::FromController(self.access_page.first(length));
        let command = request.command(0, NAMESPACE_ALL);
        let sent = self.send_admin(env, AdminCommand::AccessLog { length }, &command, data);
        self.admin_or_lose(env, sent);
    }

    /// A piece of the log has come. A controller that does not give it after all reaches everything, as far as we know.
    pub(super) fn handle_access_log(&mut self, env: &mut dyn Env, status: Status, length: usize) {
        let Some(mut reading) = self.access.reading.take() else { return };
        if !status.is_success() {
            tracing::warn!(subsystem = %self.options.subsystem, %status, "the log of access states cannot be read");
            self.access.states.clear();
            return self.finish_access(env);
        }
        match reading.take_piece(env.mem(), self.access_page, length) {
            Piece::Last => {
                self.access.states = reading.states;
                self.finish_access(env);
            }
            Piece::More => {
                self.access.reading = Some(reading);
                self.read_access_piece(env);
            }
            Piece::Nonsense => self.lose(env, Failure::Nonsense(Step::Namespaces)),
        }
    }

    /// The states are known: what was held goes on, or ends. On the way up that was the last step.
    fn finish_access(&mut self, env: &mut dyn Env) {
        if core::mem::take(&mut self.access.again) {
            return self.read_access(env);
        }
        self.access.restricted =
            self.access.states.keys().any(|group| self.access.reach(*group) != Reach::Now);
        self.watch_change(env);
        self.drop_lost();
        let held = core::mem::take(&mut self.access.held);
        for key in &held {
            if let Some(request) = self.requests.get_mut(*key) {
                request.forgive();
            }
        }
        self.waiting.extend(held);
        if self.rises_by_scan() && self.scan.is_idle() {
            self.handle_risen(env);
        } else if self.is_live() {
            self.issue_waiting(env);
        }
    }

    /// A change of state may take as long as the controller says (ANATT), no longer.
    fn watch_change(&mut self, env: &mut dyn Env) {
        let changes = self.access.states.values().any(|state| *state == AnaState::Change);
        let seconds = self.data.as_ref().map_or(0, |data| data.ana_transition_seconds);
        if !changes || seconds == 0 {
            self.access.settled_by = None;
        } else {
            let by = env.now() + Duration::from_secs(seconds.into());
            self.access.settled_by.get_or_insert(by);
        }
    }

    /// The time for a change is over: the association begins anew (Base 8.1.3.3).
    pub(super) fn handle_change_deadline(&mut self, env: &mut dyn Env) {
        if self.phase == Phase::Live && self.access.settled_by.is_some_and(|by| by <= env.now()) {
            self.lose(env, Failure::AccessNotSettled);
        }
    }

    /// Requests of namespaces that are lost for good end, unless commands of theirs are under way, which end by themselves.
    fn drop_lost(&mut self) {
        let lost: Vec<u32> = self
            .records
            .iter()
            .filter_map(|(&id, record)| (self.access.reach(record.ana_group()) == Reach::Never).then_some(id))
            .collect();
        lost.into_iter().for_each(|id| self.drop_requests_of(id));
    }

    /// What becomes of a namespace's requests now.
    pub(super) fn reach(&self, namespace_id: u32) -> Reach {
        if !self.access.restricted {
            return Reach::Now;
        }
        let group = self.records.get(&namespace_id).map_or(0, |record| record.ana_group());
        self.access.reach(group)
    }

    /// How a namespace is reached, if the controller tells that.
    pub fn access_state(&self, namespace_id: u32) -> Option<AnaState> {
        self.access.state(self.records.get(&namespace_id)?.ana_group())
    }

    /// A command was refused because of an access state: the one we know is not the newest.
    pub(super) fn refused_for_access(&mut self, env: &mut dyn Env, status: Status) {
        let states = [
            Status::ASYMMETRIC_ACCESS_INACCESSIBLE,
            Status::ASYMMETRIC_ACCESS_TRANSITION,
            Status::ASYMMETRIC_ACCESS_PERSISTENT_LOSS,
        ];
        if states.contains(&status.kind()) && self.reports_access() && self.access.reading.is_none() {
            self.read_access(env);
        }
    }
}

impl Reading {
    /// Takes in a piece: the header if it is the first, then groups.
    fn take_piece(&mut self, mem: &Memory, page: Span, length: usize) -> Piece {
        let bytes = &mem.bytes(page)[..length];
        let mut rest = bytes;
        if self.groups == 0 {
            let Ok(header) = AnaHeader::view(bytes) else { return Piece::Nonsense };
            self.total = header.groups.get().into();
            rest = &bytes[AnaHeader::LEN..];
        }
        while self.groups < self.total {
            let Ok(group) = AnaGroupHeader::view(rest) else { return Piece::More };
            let Some(state) = group.state() else { return Piece::Nonsense };
            if group.namespaces.get() != 0 {
                return Piece::Nonsense;
            }
            self.states.insert(group.group_id.get(), state);
            self.groups += 1;
            rest = &rest[AnaGroupHeader::LEN..];
        }
        Piece::Last
    }
}

/// LSP: without the identifiers of the groups' namespaces (RGO).
const GROUPS_ONLY: u8 = 1;
/// As many as the page of memory has room for, with the header.
const GROUPS_A_PIECE: u32 = 127;
