//! PREVENT ALLOW MEDIUM REMOVAL (SBC-3, section 5.8): whether START STOP UNIT may eject.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::reservation::AccessKind;
use super::super::task::Fault;
use stdx::mem::Span;
use wire::scsi::Cdb;

pub(in super::super) const ROWS: [CommandRow; 1] = [CommandRow {
    operation_code: 0x1e,
    service_action: None,
    usage: &[0x1e, 0, 0, 0, PREVENT, CONTROL],
    access: Access::Judged(access),
    medium: MediumUse::Aside,
    always: false,
    data: Data::None,
    execute: prevent_allow,
}];

/// To allow is allowed to everybody (SPC-4, table 66).
const fn access(cdb: &Cdb) -> AccessKind {
    if cdb.byte(4) & PREVENT == 0 { AccessKind::Always } else { AccessKind::Write }
}

/// Each nexus prevents for itself; nobody's prevention outlives its nexus.
fn prevent_allow(call: &mut Call<'_>) -> Result<Step, Fault> {
    let (nexus, prevent) = (call.task.nexus, call.cdb().byte(4) & PREVENT != 0);
    let preventing = &mut call.unit_mut()?.preventing;
    if prevent {
        preventing.insert(nexus);
    } else {
        preventing.remove(&nexus);
    }
    Ok(Step::Good(Span::EMPTY))
}

/// PREVENT; its second bit is obsolete.
const PREVENT: u8 = 0x01;
