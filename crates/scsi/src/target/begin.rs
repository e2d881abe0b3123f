//! A command is delivered: it becomes a task of its logical unit's task set, or ends at once.

use super::attention::Attention;
use super::command::{self, CommandRow, MediumUse};
use super::options::TASK_SET_MAX;
use super::seam::{Begun, Command, TaskAttribute, TaskKey, Transfer};
use super::task::{Ending, Fault, State, Task};
use super::unit::{Medium, Unit};
use super::{Outcome, Target};
use stdx::env::Env;
use stdx::mem::{Memory, Span};
use stdx::slab::Key;
use wire::scsi::reservation::ReserveOutAction;
use wire::scsi::{Cdb, Sense, Status};

impl Target {
    /// See [`super::Executor::begin`].
    pub(super) fn begin_task(&mut self, env: &mut dyn Env, command: &Command) -> Begun {
        self.counters.begun += 1;
        match self.admit(env, command) {
            Ok(begun) => begun,
            Err(ending) => {
                self.tell_refused(command, ending);
                Begun { task: NO_TASK, transfer: Transfer::None }
            }
        }
    }

    /// Takes a command into its task set, or says how it ends. Statuses that say "not now" come first, then unit
    /// attentions (SAM-5, sections 5.3.3 and 5.14), then what is wrong with the command.
    fn admit(&mut self, env: &mut dyn Env, command: &Command) -> Result<Begun, Ending> {
        let nexus = self.nexuses.get(command.nexus.0).ok_or(Ending::ABORTED)?;
        let unit = self.unit_at(nexus, command.lun);
        let protocol = self.devices.get(nexus.device).map(|device| device.config.protocol);
        let row = command::find(&command.cdb);
        let always = row.as_ref().is_ok_and(|row| row.always);
        if unit.is_none() && !always {
            return Err(Fault::Sense(Sense::LOGICAL_UNIT_NOT_SUPPORTED).into());
        }
        if let Some(unit) = unit {
            self.refuse_for_task_set(unit, command)?;
            if !always {
                self.tell_attention(unit, command.nexus.0)?;
            }
        }
        let row = row.map_err(|sense| Ending::from(Fault::Sense(sense)))?;
        let info = unit.and_then(|key| self.units.get(key)).map(|unit| &unit.info);
        let ends = info.zip(protocol);
        if ends.is_some_and(|(info, protocol)| !command::is_offered(row, info, protocol)) {
            return Err(Fault::Sense(command::unknown(row)).into());
        }
        self.insert(env, command, unit, row)
    }

    fn insert(
        &mut self,
        env: &mut dyn Env,
        command: &Command,
        unit: Option<Key>,
        row: &'static CommandRow,
    ) -> Result<Begun, Ending> {
        let mut task = Task::new(command, unit, row);
        task.delivered = self.delivered(env, command.nexus.0);
        if self.tasks.is_full() {
            return Err(Ending::of(Status::Busy));
        }
        let mut begins = true;
        if let Some(unit) = unit.and_then(|key| self.units.get_mut(key)) {
            if unit.allegiance.is_some() && ends_allegiance(&command.cdb) {
                // It waits for nothing that the allegiance holds back.
                task.attribute = TaskAttribute::HeadOfQueue;
            }
            let held = task.attribute != TaskAttribute::Aca && !ends_allegiance(&command.cdb);
            begins = (unit.allegiance.is_none() || !held) && unit.tasks.enter(task.attribute);
        }
        if begins && let Err(fault) = self.may_execute(&task, Moment::Delivery) {
            self.leave(&task);
            return Err(fault.into());
        }
        let info = unit.and_then(|key| self.units.get(key)).map(|unit| unit.info);
        let transfer = row.data.transfer(info.as_ref(), &command.cdb);
        match transfer.and_then(|transfer| check_buffer(env, transfer)) {
            Ok(transfer) => task.transfer = transfer,
            Err(sense) => {
                if begins {
                    self.leave(&task);
                }
                return Err(Fault::Sense(sense).into());
            }
        }
        if !begins {
            task.state = State::Dormant { submitted: false };
        }
        let transfer = task.transfer;
        let key = self.tasks.insert(task).map_err(|_| Ending::of(Status::Busy))?;
        if let Some(unit) = unit.filter(|_| !begins).and_then(|key| self.units.get_mut(key)) {
            unit.tasks.queue(key, task.attribute);
        }
        Ok(Begun { task: TaskKey(key), transfer })
    }

    /// Lets the tasks of a logical unit begin that waited and may.
    pub(super) fn enable_waiting(&mut self, env: &mut dyn Env, key: Key) {
        loop {
            let Some(unit) = self.units.get_mut(key).filter(|unit| unit.allegiance.is_none()) else { return };
            let Some(next) = unit.tasks.next() else { return };
            let Some(task) = self.tasks.get_mut(next) else { continue };
            let submitted = task.state == State::Dormant { submitted: true };
            task.state = State::Enabled;
            let task = *task;
            if let Err(fault) = self.may_execute(&task, Moment::Turn) {
                self.end(env, next, fault.into());
            } else if submitted {
                self.execute(env, next);
            }
        }
    }

    /// What stands against a command's execution: reservations, unit attentions that came while it waited, the medium.
    fn may_execute(&mut self, task: &Task, moment: Moment) -> Result<(), Fault> {
        let Some(unit) = task.unit else { return Ok(()) };
        if moment == Moment::Turn && !task.row.always {
            self.attention_of(unit, task.nexus).map_or(Ok(()), |attention| Err(attention.sense()))?;
        }
        let Some(unit) = self.units.get(unit) else {
            return Err(Fault::Sense(Sense::LOGICAL_UNIT_NOT_SUPPORTED));
        };
        if !unit.reservations.is_open() {
            let nexus = self.nexuses.get(task.nexus).ok_or(Fault::Status(Status::TaskAborted))?;
            if !unit.reservations.permits(&nexus.name(), task.row.access.kind(&task.cdb)) {
                return Err(Fault::Status(Status::ReservationConflict));
            }
        }
        if task.row.medium != MediumUse::Aside {
            let nexus = self.nexuses.get(task.nexus).ok_or(Fault::Status(Status::TaskAborted))?;
            self.port_refusal(nexus).map_or(Ok(()), Err)?;
        }
        check_state(unit, task.row)?;
        Ok(())
    }

    /// Refuses what a full task set or an auto contingent allegiance keeps out (SAM-5, sections 5.9.2 and 5.3.1).
    fn refuse_for_task_set(&self, unit: Key, command: &Command) -> Result<(), Ending> {
        let Some(unit) = self.units.get(unit) else { return Ok(()) };
        if unit.tasks.len() >= TASK_SET_MAX {
            return Err(Ending::of(Status::TaskSetFull));
        }
        let aca = command.attribute == TaskAttribute::Aca;
        match unit.allegiance {
            None if aca => Err(Fault::Sense(Sense::INVALID_MESSAGE).into()),
            None => Ok(()),
            Some(faulted) if faulted == command.nexus.0 => {
                if aca && unit.tasks.has_no_aca() {
                    Ok(())
                } else {
                    Err(Ending::of(Status::AcaActive))
                }
            }
            Some(_) if ends_allegiance(&command.cdb) => Ok(()),
            Some(_) if command.cdb.naca() => Err(Ending::of(Status::AcaActive)),
            Some(_) => Err(Ending::of(Status::Busy)),
        }
    }

    fn tell_attention(&mut self, unit: Key, nexus: Key) -> Result<(), Ending> {
        match self.attention_of(unit, nexus) {
            None => Ok(()),
            Some(attention) => Err(Fault::Sense(attention.sense()).into()),
        }
    }

    fn attention_of(&mut self, unit: Key, nexus: Key) -> Option<Attention> {
        self.nexuses.get_mut(nexus)?.take_attention(unit)
    }

    /// The outcome of a command that did not become a task.
    fn tell_refused(&mut self, command: &Command, ending: Ending) {
        let unit = self.nexuses.get(command.nexus.0).and_then(|nexus| self.unit_at(nexus, command.lun));
        if ending.is_check_condition() {
            self.after_check_condition(unit, command.nexus.0, &command.cdb);
        }
        self.tell(Outcome {
            nexus: command.nexus,
            slot: command.slot,
            status: ending.status,
            sense: self.formed(unit, ending.sense),
            data: Span::EMPTY,
        });
    }
}

/// Where memory is short there are no buffers for the longest transfers, and none of them is to wait for one.
fn check_buffer(env: &mut dyn Env, transfer: Transfer) -> Result<Transfer, Sense> {
    let len = match transfer {
        Transfer::None | Transfer::In { lent: true, .. } => 0,
        Transfer::Out { len } | Transfer::In { len, lent: false } | Transfer::Both { len } => len as usize,
    };
    if len <= Memory::BUFFER_MAX || len <= env.mem().buffer_len_max() {
        Ok(transfer)
    } else {
        Err(Sense::INVALID_FIELD_IN_CDB)
    }
}

/// PERSISTENT RESERVE OUT with PREEMPT AND ABORT: another nexus's auto contingent allegiance does not keep it out, since it
/// is the way to be rid of a nexus that does not end its own (SAM-5, section 5.9.4).
const fn ends_allegiance(cdb: &Cdb) -> bool {
    cdb.operation_code() == 0x5f && cdb.byte(1) & 0x1f == ReserveOutAction::PreemptAndAbort.code()
}

/// When a command is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// It was delivered, and its unit attentions told.
    Delivery,
    /// It waited, and its turn has come.
    Turn,
}

/// What the state of the medium forbids a command. While it is sanitized or formatted nearly everything; after that failed,
/// what makes it good again goes on alone (SBC-3, sections 4.11 and 5.3).
pub(super) fn check_state(unit: &Unit, row: &CommandRow) -> Result<(), Sense> {
    let is_under_way = matches!(unit.medium, Medium::Sanitizing { .. } | Medium::Formatting { .. });
    let mends = match unit.medium {
        Medium::SanitizeFailed { .. } => row.operation_code == SANITIZE,
        Medium::FormatFailed => [SANITIZE, FORMAT_UNIT].contains(&row.operation_code),
        Medium::Ready | Medium::Ejected | Medium::Sanitizing { .. } | Medium::Formatting { .. } => false,
    };
    match unit.medium.fault() {
        Some(fault) if is_under_way && !row.always => Err(fault),
        _ if mends => check_writable(unit, row.medium),
        _ => check_medium(unit, row.medium),
    }
}

/// What the state of the medium forbids whoever needs it so.
pub(super) fn check_medium(unit: &Unit, needs: MediumUse) -> Result<(), Sense> {
    if needs == MediumUse::Aside {
        return Ok(());
    }
    match unit.medium.fault() {
        Some(fault) => Err(fault),
        None if unit.info.offline => Err(Sense::BECOMING_READY),
        None => check_writable(unit, needs),
    }
}

const fn check_writable(unit: &Unit, needs: MediumUse) -> Result<(), Sense> {
    match needs {
        MediumUse::Changed | MediumUse::Rekeyed if unit.info.read_only => Err(Sense::WRITE_PROTECTED),
        MediumUse::Changed | MediumUse::Rekeyed if unit.settings.write_protected => {
            Err(Sense::SOFTWARE_WRITE_PROTECTED)
        }
        MediumUse::Changed | MediumUse::Rekeyed | MediumUse::Needed | MediumUse::Aside => Ok(()),
    }
}

/// The operation codes of SANITIZE and FORMAT UNIT.
const SANITIZE: u8 = 0x48;
const FORMAT_UNIT: u8 = 0x04;

/// The key of a task that never was.
const NO_TASK: TaskKey = TaskKey(Key::from_u64(u64::MAX));
