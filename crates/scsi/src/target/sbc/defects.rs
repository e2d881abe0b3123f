//! READ DEFECT DATA: a volume has no defects to tell of.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::task::Fault;

/// REQ_PLIST, REQ_GLIST and DEFECT LIST FORMAT: told back with the empty lists they name.
const LISTS: u8 = 0x1f;
const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 2] = [
    // READ DEFECT DATA (10) (SBC-3, section 5.17).
    row(&[0x37, 0, LISTS, 0, 0, 0, 0, FF, FF, CONTROL], Field::new(7, 2), |call| {
        let lists = call.cdb().byte(2) & LISTS;
        call.answer(&[0, lists, 0, 0])
    }),
    // READ DEFECT DATA (12) (SBC-3, section 5.18).
    row(&[0xb7, LISTS, FF, FF, FF, FF, FF, FF, FF, FF, 0, CONTROL], Field::new(6, 4), |call| {
        let lists = call.cdb().byte(1) & LISTS;
        call.answer(&[0, lists, 0, 0, 0, 0, 0, 0])
    }),
];

const fn row(
    usage: &'static [u8],
    allocation_len: Field,
    execute: fn(&mut Call<'_>) -> Result<Step, Fault>,
) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Read,
        medium: MediumUse::Needed,
        always: false,
        data: Data::In(allocation_len),
        execute,
    }
}
