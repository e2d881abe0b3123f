//! REPORT LUNS and REQUEST SENSE: which logical units there are, and what waits to be told.

use super::super::attention::Attention;
use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::task::Fault;
use wire::scsi::{Lun, Sense};

pub(in super::super) const ROWS: [CommandRow; 2] = [
    // REQUEST SENSE (SPC-4, section 6.39).
    CommandRow {
        operation_code: 0x03,
        service_action: None,
        usage: &[0x03, 0x01, 0, 0, 0xff, CONTROL],
        access: Access::Always,
        medium: MediumUse::Aside,
        always: true,
        data: Data::In(Field::new(4, 1)),
        execute: request_sense,
    },
    // REPORT LUNS (SPC-4, section 6.33).
    CommandRow {
        operation_code: 0xa0,
        service_action: None,
        usage: &[0xa0, 0, 0xff, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, CONTROL],
        access: Access::Always,
        medium: MediumUse::Aside,
        always: true,
        data: Data::In(Field::new(6, 4)),
        execute: report_luns,
    },
];

/// SELECT REPORT: all logical units but the well known ones, of which there are none; or the well known; or all.
fn report_luns(call: &mut Call<'_>) -> Result<Step, Fault> {
    let luns: Vec<u8> = match call.cdb().byte(2) {
        0x00 | 0x02 => call.device()?.units.keys().flat_map(|&lun| Lun::from_number(lun).0).collect(),
        0x01 => Vec::new(),
        _ => return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(2))),
    };
    call.nexus_mut()?.settle_everywhere(Attention::ReportedLunsChanged);
    let mut data = (luns.len() as u32).to_be_bytes().to_vec();
    data.extend([0; 4]);
    data.extend(luns);
    call.answer(&data)
}

/// The sense data is the command's data, and telling it clears a unit attention. DESC says in which form.
fn request_sense(call: &mut Call<'_>) -> Result<Step, Fault> {
    let descriptor = call.cdb().bit(1, 0);
    let sense = match call.task.unit {
        None => Sense::LOGICAL_UNIT_NOT_SUPPORTED,
        Some(key) => match call.nexus_mut()?.take_attention(key) {
            Some(attention) => attention.sense(),
            None => readiness(call)?,
        },
    };
    let mut data = [0; Sense::LEN_MAX];
    let len = Sense { descriptor, ..sense }.write(&mut data);
    call.answer(&data[..len])
}

/// What TEST UNIT READY would say.
fn readiness(call: &Call<'_>) -> Result<Sense, Fault> {
    let unit = call.unit()?;
    let offline = unit.info.offline.then_some(Sense::BECOMING_READY);
    Ok(unit.medium.fault().or(offline).unwrap_or(Sense::NO_ADDITIONAL_INFORMATION))
}
