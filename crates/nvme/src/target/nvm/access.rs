//! Whether this controller's host may do this to this namespace now: asymmetric access (Base 8.1.3.3) and reservations
//! (Base 8.19.1, figure 424).

use super::super::Target;
use super::super::controller::Controller;
use super::super::namespace::Namespace;
use super::super::portal::AnaState;
use super::reservation::Group;
use wire::nvme::{NvmOpcode, Status};

impl Target {
    /// Refuses what the namespace's access state or another host's reservation forbids.
    pub(super) fn check_access(
        &self,
        controller: &Controller,
        namespace: &Namespace,
        opcode: NvmOpcode,
    ) -> Result<(), Status> {
        if controller.ana_restricted {
            let subsystem = self.subsystems.get(controller.subsystem);
            let state = subsystem.map_or(AnaState::PersistentLoss, |subsystem| {
                subsystem.ana_state(&controller.arrival.portal, namespace.ana_group)
            });
            refuse_inaccessible(state)?;
        }
        let Some(group) = group_of(opcode) else { return Ok(()) };
        if namespace.reservations.permits(&controller.host_id, group) {
            Ok(())
        } else {
            Err(Status::RESERVATION_CONFLICT)
        }
    }
}

/// The status of a command that an access state forbids.
pub(in super::super) const fn refuse_inaccessible(state: AnaState) -> Result<(), Status> {
    match state {
        AnaState::Optimized | AnaState::NonOptimized => Ok(()),
        AnaState::Inaccessible => Err(Status::ASYMMETRIC_ACCESS_INACCESSIBLE),
        AnaState::PersistentLoss => Err(Status::ASYMMETRIC_ACCESS_PERSISTENT_LOSS),
        AnaState::Change => Err(Status::ASYMMETRIC_ACCESS_TRANSITION),
    }
}

/// The command group a reservation knows the command by; reservation commands look after themselves.
const fn group_of(opcode: NvmOpcode) -> Option<Group> {
    match opcode {
        NvmOpcode::Read | NvmOpcode::Compare | NvmOpcode::Verify => Some(Group::Read),
        NvmOpcode::Flush
        | NvmOpcode::Write
        | NvmOpcode::WriteUncorrectable
        | NvmOpcode::WriteZeroes
        | NvmOpcode::DatasetManagement
        | NvmOpcode::Copy => Some(Group::Write),
        NvmOpcode::ReservationRegister
        | NvmOpcode::ReservationReport
        | NvmOpcode::ReservationAcquire
        | NvmOpcode::ReservationRelease
        | NvmOpcode::Fabrics => None,
    }
}
