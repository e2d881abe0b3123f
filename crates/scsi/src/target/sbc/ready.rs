//! TEST UNIT READY: whether the medium can be used.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::task::Fault;
use stdx::mem::Span;

pub(in super::super) const ROWS: [CommandRow; 1] = [
    // TEST UNIT READY (SPC-4, section 6.47).
    CommandRow {
        operation_code: 0x00,
        service_action: None,
        usage: &[0x00, 0, 0, 0, 0, CONTROL],
        access: Access::Free,
        medium: MediumUse::Needed,
        always: false,
        data: Data::None,
        execute: test_unit_ready,
    },
];

/// What could be wrong was looked at before.
fn test_unit_ready(_: &mut Call<'_>) -> Result<Step, Fault> {
    Ok(Step::Good(Span::EMPTY))
}
