//! SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS (SPC-4, sections 6.42 and 6.28): the default self-test, and the list of
//! diagnostic pages, which is the only one.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::task::Fault;
use stdx::mem::Span;
use wire::scsi::Sense;

pub(in super::super) const ROWS: [CommandRow; 2] = [
    // RECEIVE DIAGNOSTIC RESULTS.
    CommandRow {
        operation_code: 0x1c,
        service_action: None,
        usage: &[0x1c, 0x01, 0xff, 0xff, 0xff, CONTROL],
        access: Access::Read,
        medium: MediumUse::Aside,
        always: false,
        data: Data::In(Field::new(3, 2)),
        execute: receive_diagnostic,
    },
    // SEND DIAGNOSTIC. Self-tests in the background (SELF-TEST CODE) are not there.
    CommandRow {
        operation_code: 0x1d,
        service_action: None,
        usage: &[0x1d, 0x17, 0, 0xff, 0xff, CONTROL],
        access: Access::Write,
        medium: MediumUse::Needed,
        always: false,
        data: Data::Out(Field::new(3, 2)),
        execute: send_diagnostic,
    },
];

/// Without PCV the answer to the last SEND DIAGNOSTIC is meant: it can only have asked for the same.
fn receive_diagnostic(call: &mut Call<'_>) -> Result<Step, Fault> {
    if call.cdb().bit(1, 0) && call.cdb().byte(2) != SUPPORTED_PAGES {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(2)));
    }
    call.answer(&[SUPPORTED_PAGES, 0, 0, 1, SUPPORTED_PAGES])
}

/// SELFTEST: that the medium can be used was looked at before. Otherwise the list may ask for the list of pages.
fn send_diagnostic(call: &mut Call<'_>) -> Result<Step, Fault> {
    let self_test = call.cdb().bit(1, 2);
    let list = call.parameters();
    match *list {
        [] => Ok(Step::Good(Span::EMPTY)),
        _ if self_test => Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(3))),
        [SUPPORTED_PAGES, 0, 0, 0] => Ok(Step::Good(Span::EMPTY)),
        [SUPPORTED_PAGES, ..] => Err(Fault::Sense(Sense::PARAMETER_LIST_LENGTH)),
        _ => Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(0))),
    }
}

/// Supported Diagnostic Pages.
const SUPPORTED_PAGES: u8 = 0x00;
