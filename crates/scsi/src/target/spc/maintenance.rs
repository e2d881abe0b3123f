//! MAINTENANCE IN and OUT: target port groups (SPC-4, sections 6.37 and 6.45), and which commands and task management
//! functions there are (sections 6.35 and 6.36).

use super::super::call::{Call, Step};
use super::super::command::{self, Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::task::Fault;
use stdx::mem::Span;
use wire::scsi::Sense;
use wire::scsi::report::{
    AccessState, CommandDescriptor, GroupDescriptor, GroupReportHeader, OneCommandHeader, Reporting,
    SetGroupDescriptor, StatusCode, TIMEOUTS_LEN, TaskFunctions, Timeouts,
};

const FF: u8 = 0xff;

pub(in super::super) const ROWS: [CommandRow; 4] = [
    report(0x0a, &[0xa3, 0xea, 0, 0, 0, 0, FF, FF, FF, FF, 0, CONTROL], Access::Free, report_groups),
    report(0x0c, &[0xa3, 0x0c, 0x87, FF, FF, FF, FF, FF, FF, FF, 0, CONTROL], Access::Read, report_commands),
    report(0x0d, &[0xa3, 0x0d, 0x80, 0, 0, 0, FF, FF, FF, FF, 0, CONTROL], Access::Read, report_functions),
    CommandRow {
        operation_code: 0xa4,
        service_action: Some(0x0a),
        usage: &[0xa4, 0x0a, 0, 0, 0, 0, FF, FF, FF, FF, 0, CONTROL],
        access: Access::Write,
        medium: MediumUse::Aside,
        always: false,
        data: Data::Out(Field::new(6, 4)),
        execute: set_groups,
    },
];

const fn report(
    action: u8,
    usage: &'static [u8],
    access: Access,
    execute: fn(&mut Call<'_>) -> Result<Step, Fault>,
) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: Some(action),
        usage,
        access,
        medium: MediumUse::Aside,
        always: false,
        data: Data::In(Field::new(6, 4)),
        execute,
    }
}

/// REPORT TARGET PORT GROUPS: each group with its state and its ports.
fn report_groups(call: &mut Call<'_>) -> Result<Step, Fault> {
    let extended = match call.cdb().byte(1) >> 5 {
        0 => false,
        1 => true,
        _ => return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 7))),
    };
    let device = call.device()?;
    let mut groups = Vec::new();
    for group in device.group_numbers() {
        let (state, status) = device.group(group);
        let ports: Vec<u16> = device.ports_of(group).collect();
        let start = groups.len();
        groups.resize(start + GroupDescriptor::LEN, 0);
        let descriptor = GroupDescriptor::new(group, state, false, status, ports.len().min(255) as u8);
        // The place is as long as the structure, here and below.
        let _ = descriptor.encode(&mut groups[start..]);
        for port in ports.into_iter().take(255) {
            groups.extend(u32::from(port).to_be_bytes());
        }
    }
    let mut data = vec![0; if extended { GroupReportHeader::EXTENDED_LEN } else { GroupReportHeader::LEN }];
    let _ = if extended {
        GroupReportHeader::encode_extended(groups.len(), &mut data)
    } else {
        GroupReportHeader::encode(groups.len(), &mut data)
    };
    data.extend(groups);
    call.answer(&data)
}

/// SET TARGET PORT GROUPS: all of the list is looked at before any state changes.
fn set_groups(call: &mut Call<'_>) -> Result<Step, Fault> {
    let list = call.parameters();
    if list.is_empty() {
        return Ok(Step::Good(Span::EMPTY));
    }
    let invalid =
        |at: usize| Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(at as u16));
    let descriptors =
        list.get(SetGroupDescriptor::LEN..).filter(|rest| rest.len() % SetGroupDescriptor::LEN == 0);
    let descriptors = descriptors.ok_or(Fault::Sense(Sense::PARAMETER_LIST_LENGTH))?;
    let mut states = Vec::new();
    for (place, bytes) in descriptors.chunks_exact(SetGroupDescriptor::LEN).enumerate() {
        let at = (place + 1) * SetGroupDescriptor::LEN;
        let descriptor = SetGroupDescriptor::view(bytes).map_err(|_| invalid(at))?;
        let state = descriptor.state().filter(|state| *state != AccessState::Transitioning);
        let state = state.ok_or_else(|| invalid(at))?;
        let group = descriptor.group.get();
        if !call.device()?.group_numbers().contains(&group) {
            return Err(invalid(at + 2));
        }
        states.push((group, state));
    }
    let (device, nexus) = (call.nexus()?.device, call.task.nexus);
    for (group, state) in states {
        call.target.change_group(device, group, state, StatusCode::Explicit, Some(nexus));
    }
    Ok(Step::Good(Span::EMPTY))
}

/// REPORT SUPPORTED OPERATION CODES, from the table by which commands are recognised.
fn report_commands(call: &mut Call<'_>) -> Result<Step, Fault> {
    let timeouts = call.cdb().bit(2, 7);
    let (code, action) = (call.cdb().byte(3), call.cdb().u16(4));
    let info = call.info()?;
    let protocol = call.device()?.config.protocol;
    let offered = command::rows().filter(|row| command::is_offered(row, &info, protocol));
    let options = Reporting::from_code(call.cdb().byte(2) & 7);
    let options = options.ok_or(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(2, 2)))?;
    if options == Reporting::All {
        return call.answer(&all_commands(offered, timeouts));
    }
    let mut rows = offered.filter(|row| row.operation_code == code);
    let has_actions = rows.clone().next().map(|row| row.service_action.is_some());
    let row = match (options, has_actions) {
        (Reporting::Code, Some(true)) => {
            return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(3)));
        }
        (Reporting::Action, Some(false)) => {
            return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(4)));
        }
        (Reporting::Code, _) => rows.next(),
        _ => rows.find(|row| u16::from(row.service_action.unwrap_or(0)) == action),
    };
    call.answer(&one_command(row, timeouts))
}

fn all_commands(rows: impl Iterator<Item = &'static CommandRow>, timeouts: bool) -> Vec<u8> {
    let mut data = vec![0; 4];
    for row in rows {
        let start = data.len();
        data.resize(start + CommandDescriptor::LEN, 0);
        let descriptor =
            CommandDescriptor::new(row.operation_code, row.service_action, row.usage.len(), timeouts);
        let _ = descriptor.encode(&mut data[start..]);
        append_timeouts(&mut data, timeouts);
    }
    let len = (data.len() - 4) as u32;
    data[..4].copy_from_slice(&len.to_be_bytes());
    data
}

fn one_command(row: Option<&CommandRow>, timeouts: bool) -> Vec<u8> {
    let mut data = vec![0; OneCommandHeader::LEN];
    let Some(row) = row else {
        let _ = OneCommandHeader::not_supported().encode(&mut data);
        return data;
    };
    let _ = OneCommandHeader::supported(row.usage.len(), timeouts).encode(&mut data);
    data.extend(row.usage);
    append_timeouts(&mut data, timeouts);
    data
}

fn append_timeouts(data: &mut Vec<u8>, wanted: bool) {
    if wanted {
        let start = data.len();
        data.resize(start + TIMEOUTS_LEN, 0);
        let _ = Timeouts::unknown().encode(&mut data[start..]);
    }
}

/// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS: all of them.
fn report_functions(call: &mut Call<'_>) -> Result<Step, Fault> {
    let mut data = [0; TaskFunctions::EXTENDED_LEN];
    let written = if call.cdb().bit(2, 7) {
        TaskFunctions::all().encode_extended(&mut data)
    } else {
        TaskFunctions::all().encode(&mut data)
    };
    call.answer(&data[..written.unwrap_or(0)])
}
