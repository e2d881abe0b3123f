//! Looking at the namespaces: the list of those active, then each (Base 5.17.2, NVM 4.1.5).
//!
//! It is done on the way up, and again whenever the controller says that something changed. What was found replaces what
//! was known only at the end; the differences are told to the owner.

use super::admin::AdminCommand;
use super::records::{Record, eui64_identity};
use super::{Controller, Phase};
use crate::host::event::{Failure, HostEvent, Step};
use crate::host::namespace::{Answer, answer_of};
use crate::host::queue::Data;
use block::Identity;
use std::collections::BTreeMap;
use stdx::env::Env;
use stdx::planted::{Bug, planted};
use wire::nvme::Status;
use wire::nvme::admin::IdentifyRequest;
use wire::nvme::identify::{
    CommandSet, NamespaceData, NamespaceDescriptor, NamespaceDescriptors, NamespaceList, Structure,
};

/// How far the look is.
#[derive(Debug)]
pub(super) struct Scan {
    stage: Stage,
    /// Something changed while we looked: look again.
    again: bool,
    /// Active namespaces still to be looked at, last first.
    pending: Vec<u32>,
    found: BTreeMap<u32, Record>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Idle,
    List,
    Namespace(u32),
    Descriptors(u32),
}

impl Scan {
    pub fn idle() -> Self {
        Self { stage: Stage::Idle, again: false, pending: Vec::new(), found: BTreeMap::new() }
    }

    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle
    }
}

impl Controller {
    /// Begins a look, or has the one under way repeated.
    pub(super) fn begin_scan(&mut self, env: &mut dyn Env) {
        if self.options.io_queues == 0 {
            return self.finish_scan(env);
        }
        if self.scan.stage != Stage::Idle {
            self.scan.again = true;
            return;
        }
        self.scan = Scan { stage: Stage::List, ..Scan::idle() };
        self.identify(env, Structure::ActiveNamespaceList, 0);
    }

    fn identify(&mut self, env: &mut dyn Env, structure: Structure, namespace_id: u32) {
        let request = IdentifyRequest { structure: structure.code(), ..Default::default() };
        let command = request.command(0, namespace_id);
        let sent = self.send_admin(env, AdminCommand::Scan, &command, Data::FromController(self.page));
        self.admin_or_lose(env, sent);
    }

    /// An answer that may be another one next time tells nothing of a namespace, and is no reason to take it away: the way
    /// up begins anew.
    pub(super) fn handle_scan_done(&mut self, env: &mut dyn Env, status: Status) {
        if let Answer::Again(_) = answer_of(status) {
            return self.lose(env, Failure::Refused { step: Step::Namespaces, status });
        }
        match self.scan.stage {
            Stage::Idle => {}
            Stage::List if status.is_success() => self.handle_list(env),
            Stage::List => self.handle_list_refused(env, status),
            Stage::Namespace(id) => self.handle_namespace(env, id, status),
            Stage::Descriptors(id) => self.handle_descriptors(env, id, status),
        }
    }

    fn handle_list(&mut self, env: &mut dyn Env) {
        let Ok(list) = NamespaceList::view(env.mem().bytes(self.page)) else { return };
        // Identifiers ascend over all lists: one that does not is of a controller that would never come to an end.
        let known = self.scan.pending.last().copied().unwrap_or(0);
        let mut last = known;
        let ascending = list.iter().take_while(|&id| core::mem::replace(&mut last, id) < id);
        let room = NAMESPACES_MAX - self.scan.pending.len();
        let before = self.scan.pending.len();
        self.scan.pending.extend(ascending.take(room));
        let is_full = self.scan.pending.len() - before == NamespaceList::CAPACITY;
        match self.scan.pending.last() {
            Some(&last) if is_full && self.scan.pending.len() < NAMESPACES_MAX => {
                self.identify(env, Structure::ActiveNamespaceList, last);
            }
            _ => {
                self.scan.pending.reverse();
                self.next_namespace(env);
            }
        }
    }

    fn handle_list_refused(&mut self, env: &mut dyn Env, status: Status) {
        self.scan = Scan::idle();
        if self.rises_by_scan() {
            self.lose(env, Failure::Refused { step: Step::Namespaces, status });
        }
    }

    /// True if the way up ends with the look under way. One that an event asked for on the way up may end before I/O
    /// queues are there: it is not the last step.
    pub(super) fn rises_by_scan(&self) -> bool {
        let early = planted(Bug::LiveBeforeItsQueues) && matches!(self.phase, Phase::Rising { .. });
        early || matches!(self.phase, Phase::Rising { step: Step::Namespaces, .. })
    }

    fn next_namespace(&mut self, env: &mut dyn Env) {
        match self.scan.pending.pop() {
            Some(id) => {
                self.scan.stage = Stage::Namespace(id);
                self.identify(env, Structure::Namespace, id);
            }
            None => self.finish_scan(env),
        }
    }

    /// A namespace that went between the list and now, or that we cannot use, is not there.
    fn handle_namespace(&mut self, env: &mut dyn Env, id: u32, status: Status) {
        let Some(controller) = &self.data else { return };
        let page_size_min = self.capabilities.page_size_min;
        let data = NamespaceData::view(env.mem().bytes(self.page)).ok().filter(|_| status.is_success());
        match data.and_then(|data| Record::new(controller, page_size_min, &self.limits, data)) {
            Some(record) => {
                self.scan.found.insert(id, record);
                self.scan.stage = Stage::Descriptors(id);
                self.identify(env, Structure::NamespaceDescriptorList, id);
            }
            None => self.next_namespace(env),
        }
    }

    fn handle_descriptors(&mut self, env: &mut dyn Env, id: u32, status: Status) {
        let bytes = env.mem().bytes(self.page);
        if status.is_success() && !is_of_blocks(bytes) {
            self.scan.found.remove(&id);
        } else if status.is_success()
            && let Some(record) = self.scan.found.get_mut(&id)
            && let Some(identity) = best_identity(bytes)
        {
            record.identity = Some(identity);
        }
        self.next_namespace(env);
    }

    fn finish_scan(&mut self, env: &mut dyn Env) {
        let again = self.scan.again;
        let found = core::mem::take(&mut self.scan.found);
        self.scan = Scan::idle();
        self.replace_records(found);
        // Which group a namespace is in, and how that is reached, are two questions: the way up ends with the second.
        self.read_access(env);
        if again {
            self.begin_scan(env);
        }
    }

    /// A namespace of the same identifier that is another (or has blocks of another size) is one gone and one come.
    fn replace_records(&mut self, found: BTreeMap<u32, Record>) {
        let known = core::mem::take(&mut self.records);
        for (&id, old) in &known {
            let stays = found.get(&id).is_some_and(|new| is_same(old, new));
            if !stays {
                self.events.push_back(HostEvent::NamespaceRemoved(id));
                self.drop_requests_of(id);
            }
        }
        for (&id, new) in &found {
            match known.get(&id).filter(|old| is_same(old, new)) {
                None => self.events.push_back(HostEvent::NamespaceAdded(id)),
                Some(old) if old.info.blocks != new.info.blocks => {
                    let blocks = new.info.blocks;
                    self.events.push_back(HostEvent::NamespaceResized { namespace_id: id, blocks });
                }
                Some(_) => {}
            }
        }
        self.records = found;
        let closed = known.iter().filter(|(_, old)| old.closed);
        for (id, _) in closed {
            if let Some(record) = self.records.get_mut(id) {
                record.closed = true;
            }
        }
    }
}

fn is_same(old: &Record, new: &Record) -> bool {
    old.identity == new.identity && old.info.block_size == new.info.block_size
}

/// True unless a list of descriptors says that the namespace is of another command set than the NVM one.
fn is_of_blocks(bytes: &[u8]) -> bool {
    NamespaceDescriptors::new(bytes).map_while(Result::ok).all(|descriptor| match descriptor {
        NamespaceDescriptor::CommandSet(code) => code == CommandSet::Nvm.code(),
        NamespaceDescriptor::Eui64(_) | NamespaceDescriptor::Nguid(_) | NamespaceDescriptor::Uuid(_) => true,
    })
}

/// The longest-lived name of a list of descriptors: UUID before NGUID before EUI64.
fn best_identity(bytes: &[u8]) -> Option<Identity> {
    let descriptors = NamespaceDescriptors::new(bytes).map_while(Result::ok);
    let ranked = descriptors.filter_map(|descriptor| match descriptor {
        NamespaceDescriptor::Uuid(uuid) => Some((2, Identity(uuid))),
        NamespaceDescriptor::Nguid(nguid) => Some((1, Identity(nguid))),
        NamespaceDescriptor::Eui64(eui64) => Some((0, eui64_identity(&eui64))),
        NamespaceDescriptor::CommandSet(_) => None,
    });
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, identity)| identity)
}

/// How many namespaces of a controller we look at. What is known of one takes 4 KiB.
const NAMESPACES_MAX: usize = 8 * NamespaceList::CAPACITY;
