//! RESERVE and RELEASE, in both sizes (SPC-2, sections 7.20 and 7.24): the logical unit as a whole, for the nexus itself.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::task::Fault;
use stdx::mem::Span;
use wire::scsi::Status;

/// They decide themselves whom they conflict with. Third parties and extents must not be asked for.
pub(in super::super) const ROWS: [CommandRow; 4] = [
    row(&[0x16, 0, 0, 0, 0, CONTROL], Access::Free, reserve),
    row(&[0x17, 0, 0, 0, 0, CONTROL], Access::Always, release),
    row(&[0x56, 0, 0, 0, 0, 0, 0, 0, 0, CONTROL], Access::Free, reserve),
    row(&[0x57, 0, 0, 0, 0, 0, 0, 0, 0, CONTROL], Access::Always, release),
];

const fn row(
    usage: &'static [u8],
    access: Access,
    execute: fn(&mut Call<'_>) -> Result<Step, Fault>,
) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access,
        medium: MediumUse::Aside,
        always: false,
        data: Data::None,
        execute,
    }
}

fn reserve(call: &mut Call<'_>) -> Result<Step, Fault> {
    let nexus = call.nexus()?.name();
    granted(call.unit_mut()?.reservations.reserve_unit(&nexus))
}

fn release(call: &mut Call<'_>) -> Result<Step, Fault> {
    let nexus = call.nexus()?.name();
    granted(call.unit_mut()?.reservations.release_unit(&nexus))
}

const fn granted(granted: bool) -> Result<Step, Fault> {
    if granted { Ok(Step::Good(Span::EMPTY)) } else { Err(Fault::Status(Status::ReservationConflict)) }
}
