//! Connect: a host asks for a queue, and with the admin queue for a controller (Base 6.3).
//!
//! Checks run from the outside in: format, names, access, then the queue. What is refused changes nothing. A host that
//! comes back while it still has an association waits ([`super::comeback`]).

use super::super::options::QUEUE_ENTRIES_MIN;
use super::super::portal::Arrival;
use super::super::queue::Queue;
use super::super::{Connected, QueueKey, Refusal, Target};
use super::errors::ErrorLog;
use super::events::{ChangedNamespaces, Events};
use super::features::Features;
use super::health::Health;
use super::keep_alive::KeepAlive;
use super::{Controller, no_configuration, no_status};
use crate::target::nvm::fused::Fusing;
use crate::target::nvm::reservation::NotificationLog;
use stdx::env::Env;
use stdx::slab::Key;
use stdx::time::earliest;
use wire::nvme::fabrics::{Connect, ConnectAttributes, ConnectData, ConnectField, ConnectResult, HostId};
use wire::nvme::{CONTROLLER_ANY, Nqn, Status, SubmissionQueueEntry};

/// Who asks for what, checked as far as it does not depend on the kind of queue.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Caller {
    pub(super) connection: Key,
    pub(super) arrival: Arrival,
    connect: Connect,
    pub(super) subsystem: Key,
    pub(super) host: Nqn,
    pub(super) host_id: HostId,
}

impl Target {
    /// A host's Connect on a connection that has no queue yet. `None` if the host has to wait for the end of an association
    /// it had: [`Target::poll_connected`] answers.
    pub fn connect(
        &mut self,
        env: &mut dyn Env,
        connection: Key,
        arrival: &Arrival,
        command: &SubmissionQueueEntry,
        data: &ConnectData,
    ) -> Option<Result<Connected, Refusal>> {
        match self.caller(connection, arrival, command, data) {
            Ok(caller) if caller.connect.queue_id == 0 => self.connect_or_wait(env, caller),
            Ok(caller) => Some(self.connect_io(&caller, data.controller_id.get())),
            Err(refusal) => Some(Err(refusal)),
        }
    }

    /// Checks what does not depend on the state of controllers.
    fn caller(
        &self,
        connection: Key,
        arrival: &Arrival,
        command: &SubmissionQueueEntry,
        data: &ConnectData,
    ) -> Result<Caller, Refusal> {
        let connect = Connect::read(command);
        if connect.record_format != 0 {
            return Err(refused(Status::CONNECT_INCOMPATIBLE_FORMAT));
        }
        let name = data.subsystem().map_err(invalid)?;
        let host = data.host().map_err(invalid)?;
        let subsystem = self.find_reachable(&name, arrival).ok_or(invalid(ConnectField::Subsystem))?;
        if !self.subsystems.get(subsystem).is_some_and(|subsystem| subsystem.allows(&host)) {
            return Err(refused(Status::CONNECT_INVALID_HOST));
        }
        self.check_queue_size(&connect)?;
        if connect.queue_id == 0 && data.controller_id.get() != CONTROLLER_ANY {
            return Err(invalid(ConnectField::ControllerId));
        }
        Ok(Caller { connection, arrival: *arrival, connect, subsystem, host, host_id: data.host_id })
    }

    /// The subsystem with this name, if it listens where the connection came in. The discovery subsystem is wherever
    /// anyone listens.
    fn find_reachable(&self, name: &Nqn, arrival: &Arrival) -> Option<Key> {
        let (key, subsystem) = self.subsystems.iter().find(|(_, subsystem)| subsystem.config.nqn == *name)?;
        (subsystem.discovery || subsystem.listens_on(&arrival.portal)).then_some(key)
    }

    fn check_queue_size(&self, connect: &Connect) -> Result<(), Refusal> {
        let entries = u32::from(connect.queue_size_zero_based) + 1;
        let most =
            if connect.queue_id == 0 { self.options.max_aq_depth } else { self.options.max_queue_depth };
        if entries < QUEUE_ENTRIES_MIN || entries > u32::from(most) {
            return Err(invalid(ConnectField::QueueSize));
        }
        Ok(())
    }

    /// Makes a controller; nothing of an earlier one of its host is in its way.
    pub(super) fn connect_admin(&mut self, env: &mut dyn Env, caller: &Caller) -> Result<Connected, Refusal> {
        if self.controllers.is_full() || self.queues.is_full() {
            return Err(refused(Status::CONNECT_CONTROLLER_BUSY));
        }
        let id = self.take_controller_id(caller.subsystem).ok_or(refused(Status::CONNECT_CONTROLLER_BUSY))?;
        let controller = self.new_controller(env, caller, id);
        let keep_alive = controller.keep_alive.due();
        let Ok(key) = self.controllers.insert(controller) else {
            return Err(refused(Status::CONNECT_CONTROLLER_BUSY));
        };
        self.next_timer = earliest(self.next_timer, keep_alive);
        if let Some(subsystem) = self.subsystems.get_mut(caller.subsystem) {
            subsystem.controllers.push(key);
        }
        self.refresh_ana(key);
        self.add_queue(caller, key, id)
    }

    fn take_controller_id(&mut self, subsystem: Key) -> Option<u16> {
        let subsystem = self.subsystems.get_mut(subsystem)?;
        let mut taken: Vec<u16> = Vec::with_capacity(subsystem.controllers.len());
        taken.extend(subsystem.controllers.iter().filter_map(|&key| Some(self.controllers.get(key)?.id)));
        taken.sort_unstable();
        subsystem.next_controller_id(|id| taken.binary_search(&id).is_ok())
    }

    fn new_controller(&self, env: &mut dyn Env, caller: &Caller, id: u16) -> Controller {
        let discovery = self.subsystems.get(caller.subsystem).is_some_and(|subsystem| subsystem.discovery);
        let silence = discovery.then_some(self.options.discovery_silence);
        Controller {
            subsystem: caller.subsystem,
            id,
            discovery,
            host: caller.host,
            host_id: caller.host_id,
            arrival: caller.arrival,
            queues: vec![None; 1 + usize::from(self.options.max_io_qpairs_per_ctrlr)],
            configuration: no_configuration(),
            status: no_status(),
            shutdown: None,
            keep_alive: KeepAlive::new(env.now(), caller.connect.keep_alive_ms, silence),
            features: Features::new(env, self.options.max_io_qpairs_per_ctrlr),
            events: Events::default(),
            changed: ChangedNamespaces::default(),
            notifications: NotificationLog::default(),
            errors: ErrorLog::default(),
            health: Health::new(env.now()),
            ana_restricted: false,
        }
    }

    fn connect_io(&mut self, caller: &Caller, id: u16) -> Result<Connected, Refusal> {
        let subsystem = self.subsystems.get(caller.subsystem).ok_or(invalid(ConnectField::Subsystem))?;
        let same = |key: &Key| self.controllers.get(*key).is_some_and(|controller| controller.id == id);
        let key = subsystem.controllers.iter().copied().find(same);
        let key = key.ok_or(invalid(ConnectField::ControllerId))?;
        let controller = self.controllers.get(key).ok_or(invalid(ConnectField::ControllerId))?;
        if controller.host != caller.host || controller.host_id != caller.host_id {
            return Err(refused(Status::CONNECT_INVALID_HOST));
        }
        if controller.discovery || caller.connect.queue_id > controller.features.io_queues {
            return Err(invalid(ConnectField::QueueId));
        }
        let taken = controller.queues.get(usize::from(caller.connect.queue_id));
        if !controller.status.ready || taken.is_none_or(Option::is_some) {
            return Err(refused(Status::COMMAND_SEQUENCE_ERROR));
        }
        self.add_queue(caller, key, id)
    }

    /// Makes the queue; everything was checked but the size of the table.
    fn add_queue(&mut self, caller: &Caller, controller: Key, id: u16) -> Result<Connected, Refusal> {
        let Caller { connection, arrival, connect, subsystem, .. } = *caller;
        let entries = u32::from(connect.queue_size_zero_based) + 1;
        let queue = Queue {
            connection,
            controller,
            subsystem,
            id: connect.queue_id,
            entries,
            arrival,
            outstanding: 0,
            fusing: Fusing::default(),
            ending: false,
        };
        let key = self.queues.insert(queue).map_err(|_| refused(Status::CONNECT_CONTROLLER_BUSY))?;
        if let Some(controller) = self.controllers.get_mut(controller) {
            controller.queues[usize::from(connect.queue_id)] = Some(key);
        }
        let result = ConnectResult::Connected { controller_id: id, authentication_required: false };
        Ok(Connected {
            queue: QueueKey(key),
            queue_id: connect.queue_id,
            controller_id: id,
            entries,
            flow_control_disabled: connect.attributes.contains(ConnectAttributes::DISABLE_FLOW_CONTROL),
            result: u64::from(result.dword0()),
        })
    }
}

fn invalid(field: ConnectField) -> Refusal {
    let result = u64::from(ConnectResult::Invalid(field).dword0());
    Refusal { status: Status::CONNECT_INVALID_PARAMETERS.with_do_not_retry(), result }
}

pub(super) fn refused(status: Status) -> Refusal {
    Refusal { status: super::super::status::final_for_host(status), result: 0 }
}
