//! LOG SENSE (SPC-4, sections 6.9 and 7.3): which log pages there are, and that no failure is expected.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::task::Fault;
use wire::scsi::Sense;

pub(in super::super) const ROWS: [CommandRow; 1] = [CommandRow {
    operation_code: 0x4d,
    service_action: None,
    usage: &[0x4d, 0, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, CONTROL],
    access: Access::Free,
    medium: MediumUse::Aside,
    always: false,
    data: Data::In(Field::new(7, 2)),
    execute: log_sense,
}];

/// Pages and subpages there are, ascending.
const PAGES: [(u8, u8); 3] = [SUPPORTED, SUPPORTED_WITH_SUBPAGES, INFORMATIONAL_EXCEPTIONS];
const SUPPORTED: (u8, u8) = (0x00, 0x00);
const SUPPORTED_WITH_SUBPAGES: (u8, u8) = (0x00, 0xff);
const INFORMATIONAL_EXCEPTIONS: (u8, u8) = (0x2f, 0x00);

/// Values of all kinds (PC) are the same, as nothing here has a threshold.
fn log_sense(call: &mut Call<'_>) -> Result<Step, Fault> {
    let page = (call.cdb().byte(2) & 0x3f, call.cdb().byte(3));
    // PARAMETER POINTER: no page has a parameter beyond the first.
    if call.cdb().u16(5) != 0 {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(5)));
    }
    let parameters: Vec<u8> = match page {
        SUPPORTED => PAGES.iter().filter(|(_, subpage)| *subpage == 0).map(|(page, _)| *page).collect(),
        SUPPORTED_WITH_SUBPAGES => PAGES.iter().flat_map(|&(page, subpage)| [page, subpage]).collect(),
        // Parameter 0000h, binary: no additional sense code, and a temperature that is not known.
        INFORMATIONAL_EXCEPTIONS => vec![0, 0, 0x03, 4, 0, 0, 0xff, 0],
        _ => return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(2, 5))),
    };
    let subpage_format = if page.1 == 0 { 0 } else { 0x40 };
    let len = (parameters.len() as u16).to_be_bytes();
    let mut data = vec![subpage_format | page.0, page.1, len[0], len[1]];
    data.extend(parameters);
    call.answer(&data)
}
