//! The four reservation commands, from the queue to the state and from there to the hosts concerned.

use super::change::Effects;
use crate::target::controller::events::tell_reservation;
use crate::target::outstanding::Outstanding;
use crate::target::seam::Transfer;
use crate::target::sgl::{self, Limits};
use crate::target::{Request, Target};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::fabrics::HostId;
use wire::nvme::log::ReservationNotificationType;
use wire::nvme::reservation::{
    Acquire, RESERVATION_KEY_LEN, RESERVATION_KEYS_LEN, Register, Release, Report, ReservationKeys,
};
use wire::nvme::{NvmOpcode, Status, SubmissionQueueEntry};
use zerocopy::FromBytes;

/// The data of a reservation command.
pub(in super::super::super) fn transfer(
    opcode: NvmOpcode,
    command: &SubmissionQueueEntry,
    limits: &Limits,
) -> Result<Transfer, Status> {
    match opcode {
        NvmOpcode::ReservationReport => {
            sgl::from_controller(command, Report::read(command).length, false, limits)
        }
        NvmOpcode::ReservationRelease => sgl::to_controller(command, RESERVATION_KEY_LEN as u64, limits),
        _ => sgl::to_controller(command, RESERVATION_KEYS_LEN as u64, limits),
    }
}

impl Target {
    /// A reservation command, its data there.
    pub(in super::super) fn reservation(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        request: &Request,
        opcode: NvmOpcode,
    ) -> Result<(), Status> {
        let (namespace, _) = self.open(key, request, opcode)?;
        if opcode == NvmOpcode::ReservationReport {
            return self.reservation_report(env, key, request, namespace);
        }
        let keys = read_keys(env, request.data);
        let command = &request.command;
        let host = self.host_of(key)?;
        let entry = self.namespaces.get_mut(namespace).ok_or(Status::INVALID_FIELD)?;
        let state = &mut entry.reservations;
        let persisted = state.persists();
        let effects = match opcode {
            NvmOpcode::ReservationRegister => {
                let register = Register::read(command).map_err(|_| Status::INVALID_FIELD)?;
                state.register(&host, &register, &keys)?
            }
            NvmOpcode::ReservationAcquire => {
                let acquire = Acquire::read(command).map_err(|_| Status::INVALID_FIELD)?;
                state.acquire(&host, &acquire, &keys)?
            }
            _ => {
                let release = Release::read(command).map_err(|_| Status::INVALID_FIELD)?;
                state.release(&host, &release, keys.current.get())?
            }
        };
        let waits = self.apply(namespace, &effects);
        self.answer_change(key, request, namespace, persisted, waits);
        Ok(())
    }

    fn reservation_report(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        request: &Request,
        namespace: Key,
    ) -> Result<(), Status> {
        // Over Fabrics host identifiers have 16 bytes (Base 7.5).
        if !Report::read(&request.command).extended {
            return Err(Status::HOST_ID_INCONSISTENT_FORMAT);
        }
        let entry = self.namespaces.get(namespace).ok_or(Status::INVALID_FIELD)?;
        let all = self.controllers.iter().map(|(_, controller)| controller);
        let controllers: Vec<(HostId, u16)> = all
            .filter(|controller| controller.subsystem == entry.subsystem)
            .map(|controller| (controller.host_id, controller.id))
            .collect();
        let report = entry.reservations.report(&controllers);
        let len = report.len().min(request.data.len());
        env.mem().fill(request.data, 0);
        env.mem().write(request.data, &report[..len]);
        self.answer(key, request, Status::SUCCESS, 0, request.data);
        Ok(())
    }

    fn host_of(&self, key: Key) -> Result<HostId, Status> {
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let controller = self.controllers.get(queue.controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        Ok(controller.host_id)
    }

    /// Tells hosts, and aborts commands of those that lost their registration, if that was asked for: what a volume works on
    /// already is given up, and returned to be waited for.
    fn apply(&mut self, namespace: Key, effects: &Effects) -> Vec<Key> {
        let Some(entry) = self.namespaces.get(namespace) else { return Vec::new() };
        let (id, subsystem) = (entry.id, entry.subsystem);
        for (host, notice) in &effects.notices {
            self.notify(subsystem, id, host, *notice);
        }
        if effects.aborted.is_empty() {
            return Vec::new();
        }
        let theirs = self.controllers.iter().filter(|(_, controller)| {
            controller.subsystem == subsystem && effects.aborted.contains(&controller.host_id)
        });
        let theirs: Vec<Key> = theirs.map(|(key, _)| key).collect();
        let of_theirs = |outstanding: &Outstanding| {
            outstanding.namespace == namespace && theirs.contains(&outstanding.controller)
        };
        for key in self.withdraw(of_theirs) {
            self.finish(key, Status::ABORTED_PREEMPT, Span::EMPTY);
        }
        let running = self.outstanding.iter_mut().filter(|(_, one)| one.answers() > 0 && of_theirs(one));
        running
            .map(|(key, one)| {
                one.given_up.get_or_insert(Status::ABORTED_PREEMPT);
                key
            })
            .collect()
    }

    /// A notification for every controller of a host that did not mask it.
    fn notify(&mut self, subsystem: Key, id: u32, host: &HostId, notice: ReservationNotificationType) {
        let theirs = self.controllers.iter_mut().filter(|(_, controller)| {
            controller.subsystem == subsystem
                && controller.host_id == *host
                && controller.features.reservation_mask(id) >> notice.code() & 1 == 0
        });
        let mut told = Vec::new();
        for (key, controller) in theirs {
            controller.notifications.note(notice, id);
            told.push(key);
        }
        for key in told {
            tell_reservation(self, key);
        }
    }
}

/// The keys in a request's buffer; the second is zero where the command has one key only.
fn read_keys(env: &mut dyn Env, data: Span) -> ReservationKeys {
    let mut bytes = [0; RESERVATION_KEYS_LEN];
    let len = data.len().min(bytes.len());
    env.mem().read(data, &mut bytes[..len]);
    ReservationKeys::read_from_bytes(&bytes).unwrap_or_default()
}
