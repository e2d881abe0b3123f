//! PERSISTENT RESERVE IN and OUT (SPC-4, sections 6.14 and 6.15): from the parameter list to the logical unit's
//! reservations, and from there to the nexuses concerned.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::reservation::{Effects, Move, NexusName, Registration, ReservationError, Reservations};
use super::super::task::Fault;
use stdx::mem::Span;
use wire::scsi::reservation::{
    MoveParameters, PersistentType, RegisteredPorts, ReserveInAction, ReserveOutAction, ReserveOutError,
    ReserveOutFlags, ReserveOutParameters,
};
use wire::scsi::{Sense, Status};

const FF: u8 = 0xff;
/// Scope and type where they matter: the scope must be the logical unit.
const TYPE: u8 = 0x0f;

/// No persistent reservation stops them; keys decide. RESERVE does (SPC-4, section 5.13.3).
pub(in super::super) const ROWS: [CommandRow; 12] = [
    report(ReserveInAction::ReadKeys, &[0x5e, 0, 0, 0, 0, 0, 0, FF, FF, CONTROL]),
    report(ReserveInAction::ReadReservation, &[0x5e, 1, 0, 0, 0, 0, 0, FF, FF, CONTROL]),
    report(ReserveInAction::ReportCapabilities, &[0x5e, 2, 0, 0, 0, 0, 0, FF, FF, CONTROL]),
    report(ReserveInAction::ReadFullStatus, &[0x5e, 3, 0, 0, 0, 0, 0, FF, FF, CONTROL]),
    change(ReserveOutAction::Register, &[0x5f, 0, FF, 0, 0, FF, FF, FF, FF, CONTROL]),
    change(ReserveOutAction::Reserve, &[0x5f, 1, TYPE, 0, 0, FF, FF, FF, FF, CONTROL]),
    change(ReserveOutAction::Release, &[0x5f, 2, TYPE, 0, 0, FF, FF, FF, FF, CONTROL]),
    change(ReserveOutAction::Clear, &[0x5f, 3, FF, 0, 0, FF, FF, FF, FF, CONTROL]),
    change(ReserveOutAction::Preempt, &[0x5f, 4, TYPE, 0, 0, FF, FF, FF, FF, CONTROL]),
    change(ReserveOutAction::PreemptAndAbort, &[0x5f, 5, TYPE, 0, 0, FF, FF, FF, FF, CONTROL]),
    change(ReserveOutAction::RegisterAndIgnoreExistingKey, &[0x5f, 6, FF, 0, 0, FF, FF, FF, FF, CONTROL]),
    change(ReserveOutAction::RegisterAndMove, &[0x5f, 7, FF, 0, 0, FF, FF, FF, FF, CONTROL]),
];

const fn report(action: ReserveInAction, usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: Some(action.code()),
        usage,
        access: Access::Free,
        medium: MediumUse::Aside,
        always: false,
        data: Data::In(Field::new(7, 2)),
        execute: reserve_in,
    }
}

const fn change(action: ReserveOutAction, usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: Some(action.code()),
        usage,
        access: Access::Free,
        medium: MediumUse::Aside,
        always: false,
        data: Data::Out(Field::new(5, 4)),
        execute: reserve_out,
    }
}

fn reserve_in(call: &mut Call<'_>) -> Result<Step, Fault> {
    let action = ReserveInAction::from_code(call.cdb().byte(1) & 0x1f).ok_or(INVALID_ACTION)?;
    let unit = call.unit()?;
    refuse_reserved(&unit.reservations)?;
    let data = unit.reservations.report(action, unit.config.aptpl);
    call.answer(&data)
}

fn reserve_out(call: &mut Call<'_>) -> Result<Step, Fault> {
    let action = ReserveOutAction::from_code(call.cdb().byte(1) & 0x1f).ok_or(INVALID_ACTION)?;
    let nexus = call.nexus()?.name();
    let list = call.parameters();
    refuse_reserved(&call.unit()?.reservations)?;
    let persisted = call.unit()?.reservations.state().persist;
    let effects = if action == ReserveOutAction::RegisterAndMove {
        register_and_move(call, &nexus, &list)?
    } else {
        let (parameters, ports) = ReserveOutParameters::read(&list).map_err(of_list)?;
        change_state(call, action, &nexus, &parameters, ports)?
    };
    let aborts = action == ReserveOutAction::PreemptAndAbort;
    call.target.reservations_changed(call.env, call.key, &effects, aborts, persisted);
    Ok(if call.target.is_parked(call.key) { Step::UnderWay } else { Step::Good(Span::EMPTY) })
}

fn change_state(
    call: &mut Call<'_>,
    action: ReserveOutAction,
    nexus: &NexusName,
    parameters: &ReserveOutParameters,
    ports: RegisteredPorts<'_>,
) -> Result<Effects, Fault> {
    let (key, action_key) = (parameters.key.get(), parameters.action_key.get());
    let kind = PersistentType::from_code(call.cdb().byte(2) & 0x0f);
    let kind = kind.ok_or(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(2, 3)));
    let done = match action {
        ReserveOutAction::Register => register(call, nexus, Some(key), parameters, ports)?,
        ReserveOutAction::RegisterAndIgnoreExistingKey => register(call, nexus, None, parameters, ports)?,
        ReserveOutAction::Reserve => {
            let kind = kind?;
            call.unit_mut()?.reservations.reserve(nexus, key, kind).map(|()| Effects::default())
        }
        ReserveOutAction::Release => call.unit_mut()?.reservations.release(nexus, key, kind?),
        ReserveOutAction::Clear => call.unit_mut()?.reservations.clear(nexus, key),
        ReserveOutAction::Preempt | ReserveOutAction::PreemptAndAbort => {
            call.unit_mut()?.reservations.preempt(nexus, key, action_key, kind?)
        }
        ReserveOutAction::RegisterAndMove => return Err(INVALID_ACTION),
    };
    done.map_err(of_state)
}

fn register(
    call: &mut Call<'_>,
    nexus: &NexusName,
    key: Option<u64>,
    parameters: &ReserveOutParameters,
    ports: RegisteredPorts<'_>,
) -> Result<Result<Effects, ReservationError>, Fault> {
    let flags = parameters.flags();
    let persist = flags.contains(ReserveOutFlags::ACTIVATE_PERSISTENCE);
    if persist && !call.unit()?.config.aptpl {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_bit(20, 0)));
    }
    let others = other_nexuses(call, nexus, flags.contains(ReserveOutFlags::ALL_TARGET_PORTS), ports)?;
    let registration = Registration {
        key,
        new_key: parameters.action_key.get(),
        persist,
        others: &others,
        names_initiators: flags.contains(ReserveOutFlags::SPECIFY_INITIATOR_PORTS),
    };
    Ok(call.unit_mut()?.reservations.register(nexus, &registration))
}

/// The nexuses that are registered together with this one: the ports of SPEC_I_PT, each through this target port or, with
/// ALL_TG_PT, through all of them.
fn other_nexuses(
    call: &Call<'_>,
    nexus: &NexusName,
    all_target_ports: bool,
    ports: RegisteredPorts<'_>,
) -> Result<Vec<NexusName>, Fault> {
    let mut initiators = vec![nexus.initiator];
    for named in ports {
        let before = initiators.len();
        if named.is_device() {
            let device = call.nexus()?.device;
            let known = call.target.nexuses.iter().filter(|(_, other)| other.device == device);
            let known = known.map(|(_, other)| other.initiator).filter(|port| named.covers(port));
            initiators.extend(known);
        } else {
            initiators.push(named);
        }
        if initiators.len() == before || initiators[before..].contains(&nexus.initiator) {
            return Err(of_state(ReservationError::InitiatorPorts));
        }
    }
    let ports: Vec<u16> = if all_target_ports {
        call.device()?.ports.keys().copied().collect()
    } else {
        vec![nexus.target_port]
    };
    let mut others = Vec::new();
    for initiator in initiators {
        others.extend(ports.iter().map(|&target_port| NexusName { initiator, target_port }));
    }
    others.retain(|other| other != nexus);
    Ok(others)
}

fn register_and_move(call: &mut Call<'_>, nexus: &NexusName, list: &[u8]) -> Result<Effects, Fault> {
    let (parameters, initiator) = MoveParameters::read(list).map_err(of_list)?;
    if parameters.persist() && !call.unit()?.config.aptpl {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_bit(17, 0)));
    }
    let target_port = parameters.target_port.get();
    if !call.device()?.ports.contains_key(&target_port) {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(18)));
    }
    let request = Move {
        key: parameters.key.get(),
        new_key: parameters.action_key.get(),
        to: NexusName { initiator, target_port },
        unregister: parameters.unregister(),
        persist: parameters.persist(),
    };
    let moved = call.unit_mut()?.reservations.register_and_move(nexus, &request);
    moved.map(|()| Effects::default()).map_err(of_state)
}

/// Nobody's persistent reservations are touched while the logical unit is reserved by RESERVE.
fn refuse_reserved(reservations: &Reservations) -> Result<(), Fault> {
    if reservations.reserved_by_unit() { Err(Fault::Status(Status::ReservationConflict)) } else { Ok(()) }
}

const fn of_list(error: ReserveOutError) -> Fault {
    Fault::Sense(match error {
        ReserveOutError::Length => Sense::PARAMETER_LIST_LENGTH,
        ReserveOutError::Field(at) => Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(at),
    })
}

const fn of_state(error: ReservationError) -> Fault {
    let invalid = Sense::INVALID_FIELD_IN_PARAMETER_LIST;
    Fault::Sense(match error {
        ReservationError::Conflict => return Fault::Status(Status::ReservationConflict),
        ReservationError::ActionKey => invalid.at_parameter_byte(8),
        ReservationError::Destination => invalid.at_parameter_byte(24),
        ReservationError::InitiatorPorts => invalid.at_parameter_bit(20, 3),
        ReservationError::NothingToMove => Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 4),
        ReservationError::Release => Sense::INVALID_RELEASE_OF_RESERVATION,
        ReservationError::Full => Sense::INSUFFICIENT_REGISTRATION_RESOURCES,
    })
}

/// The table has no row for it, so that this is never told.
const INVALID_ACTION: Fault = Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 4));
