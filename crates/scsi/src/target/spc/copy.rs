//! EXTENDED COPY and RECEIVE COPY RESULTS, with the shorter list identifier (SPC-4, sections 6.4 and 6.17): the copy manager
//! is in the logical unit that the command is sent to. The copying itself is in [`copy`].

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::copy::{self, LIMITS};
use super::super::task::Fault;
use stdx::mem::Span;
use wire::scsi::Sense;
use wire::scsi::copy::{
    COPY_STATUS_LEN, CopyFailureHeader, CopyList, CopyListError, CopyListHeader, CopyResultsAction,
    OperatingParameters,
};

const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 4] = [
    CommandRow {
        operation_code: 0x83,
        service_action: Some(0x00),
        usage: &[0x83, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF, FF, FF, FF, 0, CONTROL],
        access: Access::Write,
        medium: MediumUse::Aside,
        always: false,
        data: Data::Out(Field::new(10, 4)),
        execute: extended_copy,
    },
    results(CopyResultsAction::CopyStatus, &[0x84, 0, FF, 0, 0, 0, 0, 0, 0, 0, FF, FF, FF, FF, 0, CONTROL]),
    results(
        CopyResultsAction::OperatingParameters,
        &[0x84, 3, FF, 0, 0, 0, 0, 0, 0, 0, FF, FF, FF, FF, 0, CONTROL],
    ),
    results(
        CopyResultsAction::FailedSegmentDetails,
        &[0x84, 4, FF, 0, 0, 0, 0, 0, 0, 0, FF, FF, FF, FF, 0, CONTROL],
    ),
];

const fn results(action: CopyResultsAction, usage: &'static [u8]) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: Some(action.code()),
        usage,
        access: Access::Read,
        medium: MediumUse::Aside,
        always: false,
        data: Data::In(Field::new(10, 4)),
        execute: match action {
            CopyResultsAction::CopyStatus => copy_status,
            CopyResultsAction::OperatingParameters => operating_parameters,
            CopyResultsAction::FailedSegmentDetails => failed_segment_details,
        },
    }
}

fn extended_copy(call: &mut Call<'_>) -> Result<Step, Fault> {
    let list = call.parameters();
    if list.is_empty() {
        return Ok(Step::Good(Span::EMPTY));
    }
    let list = CopyList::read(&list, LIMITS.targets, LIMITS.segments).map_err(of_list)?;
    let mut targets = Vec::new();
    for (place, descriptor) in list.targets().enumerate() {
        let at = CopyListHeader::LEN + place * size_of_val(descriptor);
        targets.push(copy::resolve(call, descriptor, at as u16)?);
    }
    copy::begin(call, &list, targets)
}

fn copy_status(call: &mut Call<'_>) -> Result<Step, Fault> {
    let (list_id, unit) = (call.cdb().byte(2), call.task.unit);
    let status = call.nexus_mut()?.copies.take_status(unit, list_id);
    let status = status.ok_or(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(2)))?;
    let mut data = [0; COPY_STATUS_LEN];
    // The place is as long as the structure, here and below.
    let _ = status.encode(&mut data);
    call.answer(&data)
}

fn failed_segment_details(call: &mut Call<'_>) -> Result<Step, Fault> {
    let (list_id, unit) = (call.cdb().byte(2), call.task.unit);
    let failure = call.nexus_mut()?.copies.take_failure(unit, list_id);
    let failure = failure.ok_or(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(2)))?;
    let mut sense = [0; Sense::LEN_MAX];
    let len = call.target.formed(unit, failure.sense).map_or(0, |formed| formed.write(&mut sense));
    let mut data = vec![0; CopyFailureHeader::LEN];
    let _ = CopyFailureHeader::new(failure.status as u8, len as u8).encode(&mut data);
    data.extend_from_slice(&sense[..len]);
    call.answer(&data)
}

fn operating_parameters(call: &mut Call<'_>) -> Result<Step, Fault> {
    let mut data = [0; OperatingParameters::LEN];
    let _ = OperatingParameters::new(&LIMITS).encode(&mut data);
    call.answer(&data)
}

const fn of_list(error: CopyListError) -> Fault {
    Fault::Sense(match error {
        CopyListError::Length => Sense::PARAMETER_LIST_LENGTH,
        CopyListError::Targets(_) => Sense::TOO_MANY_TARGET_DESCRIPTORS,
        CopyListError::Segments(_) => Sense::TOO_MANY_SEGMENT_DESCRIPTORS,
        CopyListError::TargetKind(at) => Sense::UNSUPPORTED_TARGET_DESCRIPTOR.at_parameter_byte(at),
        CopyListError::SegmentKind(at) => Sense::UNSUPPORTED_SEGMENT_DESCRIPTOR.at_parameter_byte(at),
        CopyListError::Inline => Sense::INLINE_DATA_LENGTH_EXCEEDED,
        CopyListError::Field(at) => Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(at),
    })
}
