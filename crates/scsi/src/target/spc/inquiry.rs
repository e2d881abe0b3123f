//! INQUIRY: what is behind a logical unit number (SPC-4, section 6.6).

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::pages::vpd;
use super::super::task::Fault;
use wire::scsi::Sense;
use wire::scsi::inquiry::VpdPage;

pub(in super::super) const ROWS: [CommandRow; 1] = [CommandRow {
    operation_code: 0x12,
    service_action: None,
    usage: &[0x12, 0x01, 0xff, 0xff, 0xff, CONTROL],
    access: Access::Always,
    medium: MediumUse::Aside,
    always: true,
    data: Data::In(Field::new(3, 2)),
    execute: inquiry,
}];

fn inquiry(call: &mut Call<'_>) -> Result<Step, Fault> {
    let vital_product_data = call.cdb().bit(1, 0);
    let page = call.cdb().byte(2);
    let refused = Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(2)));
    let transfer_max = call.env.mem().buffer_len_max() as u32;
    let device = call.device()?;
    let data = match (call.unit(), vital_product_data) {
        (_, false) if page != 0 => return refused,
        (Ok(unit), false) => vpd::standard(device, Some(unit)),
        (Err(_), false) => vpd::standard(device, None),
        (Err(_), true) => return refused,
        (Ok(unit), true) => {
            let Some(page) = VpdPage::from_code(page) else { return refused };
            vpd::page(page, device, unit, call.nexus()?.port, transfer_max)
        }
    };
    call.answer(&data)
}
