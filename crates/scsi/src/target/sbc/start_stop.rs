//! START STOP UNIT.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::reservation::AccessKind;
use super::super::task::Fault;
use super::super::unit::Medium;
use super::cache::flush;
use stdx::mem::Span;
use wire::scsi::{Cdb, Sense};

pub(in super::super) const ROWS: [CommandRow; 1] = [
    // START STOP UNIT (SBC-3, section 5.21).
    CommandRow {
        operation_code: 0x1b,
        service_action: None,
        usage: &[0x1b, 0x01, 0, 0x0f, 0xf7, CONTROL],
        access: Access::Judged(access),
        medium: MediumUse::Aside,
        always: false,
        data: Data::None,
        execute,
    },
];

/// IMMED in byte 1; NO_FLUSH, LOEJ and START in byte 4, below POWER CONDITION.
const IMMEDIATE: u8 = 0x01;
const NO_FLUSH: u8 = 0x04;
const LOAD_EJECT: u8 = 0x02;
const START: u8 = 0x01;

/// To start is allowed to everybody (SBC-3, table 14).
const fn access(cdb: &Cdb) -> AccessKind {
    if cdb.byte(4) & 0xf1 == START { AccessKind::Persistent } else { AccessKind::Write }
}

/// A volume has no motor: it is never stopped, whatever power condition is asked for, but its cache is written before.
/// What can be done besides is to eject and load the medium of a removable one.
fn execute(call: &mut Call<'_>) -> Result<Step, Fault> {
    let (flags, condition) = (call.cdb().byte(4) & 0x0f, call.cdb().byte(4) >> 4);
    let (start, load_eject) = (flags & START != 0, flags & LOAD_EJECT != 0 && condition == 0);
    let unit = call.unit_mut()?;
    if load_eject && !unit.config.removable {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(4, 1)));
    }
    // What is prevented is any change of the medium: one that is out stays out, too.
    if load_eject && !unit.preventing.is_empty() {
        return Err(Fault::Sense(Sense::MEDIUM_REMOVAL_PREVENTED));
    }
    match unit.medium {
        Medium::Ejected if load_eject && start => unit.medium = Medium::Ready,
        Medium::Ready if load_eject && !start => unit.medium = Medium::Ejected,
        Medium::Ready | Medium::Ejected => {}
        Medium::Sanitizing { .. } | Medium::SanitizeFailed { .. } => {}
        Medium::Formatting { .. } | Medium::FormatFailed => {}
    }
    if start || flags & NO_FLUSH != 0 {
        return Ok(Step::Good(Span::EMPTY));
    }
    let step = flush(call)?;
    if call.cdb().byte(1) & IMMEDIATE != 0 {
        call.answer_early();
    }
    Ok(step)
}
