//! MODE SENSE and MODE SELECT, in both sizes: the settings of a logical unit (SPC-4, sections 6.11 to 6.14).

use super::super::attention::Attention;
use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::pages::mode::{self, PageError};
use super::super::task::Fault;
use super::super::unit::Settings;
use block::Info;
use stdx::mem::Span;
use wire::scsi::Sense;
use wire::scsi::mode::{
    ALL_PAGES, ALL_SUBPAGES, LongBlockDescriptor, ModeHeader6, ModeHeader10, ModePage, PageControl,
    ShortBlockDescriptor,
};

/// MODE SELECT changes what others see: it counts as a write. MODE SENSE reads.
pub(in super::super) const ROWS: [CommandRow; 4] = [
    select(&[0x15, 0x11, 0, 0, 0xff, CONTROL], Field::new(4, 1)),
    sense(&[0x1a, 0x08, 0xff, 0xff, 0xff, CONTROL], Field::new(4, 1)),
    select(&[0x55, 0x11, 0, 0, 0, 0, 0, 0xff, 0xff, CONTROL], Field::new(7, 2)),
    sense(&[0x5a, 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, CONTROL], Field::new(7, 2)),
];

const fn select(usage: &'static [u8], len: Field) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Write,
        medium: MediumUse::Aside,
        always: false,
        data: Data::Out(len),
        execute: mode_select,
    }
}

const fn sense(usage: &'static [u8], len: Field) -> CommandRow {
    CommandRow {
        operation_code: usage[0],
        service_action: None,
        usage,
        access: Access::Read,
        medium: MediumUse::Aside,
        always: false,
        data: Data::In(len),
        execute: mode_sense,
    }
}

/// True for the commands of 10 bytes.
const fn is_long(call: &Call<'_>) -> bool {
    call.cdb().byte(0) >= 0x55
}

fn mode_sense(call: &mut Call<'_>) -> Result<Step, Fault> {
    let (page, subpage) = (call.cdb().byte(2) & 0x3f, call.cdb().byte(3));
    let control = PageControl::from_code(call.cdb().byte(2) >> 6).unwrap_or(PageControl::Saved);
    if control == PageControl::Saved && !call.unit()?.config.aptpl {
        return Err(Fault::Sense(Sense::SAVING_NOT_SUPPORTED));
    }
    if !matches!(subpage, 0 | ALL_SUBPAGES) {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(3)));
    }
    let chosen = ModePage::from_code(page);
    if chosen.is_none() && page != ALL_PAGES {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(2, 5)));
    }
    let unit = call.unit()?;
    let mut pages: Vec<u8> = Vec::new();
    for page in ModePage::ALL.iter().filter(|page| chosen.is_none_or(|chosen| chosen == **page)) {
        pages.extend_from_slice(mode::page(*page, control, unit).as_slice());
    }
    let descriptor = block_descriptor(call, &unit.info);
    let parameter = mode::device_parameter(&unit.settings, &unit.info);
    let len = descriptor.len() + pages.len();
    let mut data = vec![0; if is_long(call) { ModeHeader10::LEN } else { ModeHeader6::LEN }];
    // The place is as long as the structure.
    let _ = if is_long(call) {
        let behind = (ModeHeader10::LEN - 2 + len) as u16;
        let long = descriptor.len() == LongBlockDescriptor::LEN;
        ModeHeader10::new(behind, parameter, long, descriptor.len() as u16).encode(&mut data)
    } else {
        let behind = (ModeHeader6::LEN - 1 + len) as u8;
        ModeHeader6::new(behind, parameter, descriptor.len() as u8).encode(&mut data)
    };
    data.extend(descriptor);
    data.extend(pages);
    call.answer(&data)
}

/// None with DBD; a long one with LLBAA.
fn block_descriptor(call: &Call<'_>, info: &Info) -> Vec<u8> {
    let mut bytes = vec![0; LongBlockDescriptor::LEN];
    let written = if call.cdb().bit(1, 3) {
        Ok(0)
    } else if is_long(call) && call.cdb().bit(1, 4) {
        LongBlockDescriptor::new(info.blocks, info.block_size).encode(&mut bytes)
    } else {
        ShortBlockDescriptor::new(info.blocks, info.block_size).encode(&mut bytes)
    };
    bytes.truncate(written.unwrap_or(0));
    bytes
}

/// All of the list is looked at before any of it is taken. Where nobody keeps pages none is saved.
fn mode_select(call: &mut Call<'_>) -> Result<Step, Fault> {
    // PF: the pages are as the standard says. SP: they are to be saved.
    if !call.cdb().bit(1, 4) {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 4)));
    }
    let saves = call.cdb().bit(1, 0);
    if saves && !call.unit()?.config.aptpl {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 0)));
    }
    let list = call.parameters();
    if !list.is_empty() {
        take(call, &list)?;
    }
    match call.task.unit {
        Some(unit) if saves => {
            call.target.save_mode(call.key, unit);
            Ok(Step::UnderWay)
        }
        Some(_) | None => Ok(Step::Good(Span::EMPTY)),
    }
}

/// Sets what the list says, and tells the other nexuses.
fn take(call: &mut Call<'_>, list: &[u8]) -> Result<(), Fault> {
    let unit = call.unit()?;
    let new = if is_long(call) {
        let header = ModeHeader10::view(list).map_err(|_| Sense::PARAMETER_LIST_LENGTH)?;
        let (long, len) = (header.long(), header.descriptors_len.get().into());
        settings_of(list, ModeHeader10::LEN, long, len, &unit.settings, &unit.info)?
    } else {
        let header = ModeHeader6::view(list).map_err(|_| Sense::PARAMETER_LIST_LENGTH)?;
        let len = header.descriptors_len.into();
        settings_of(list, ModeHeader6::LEN, false, len, &unit.settings, &unit.info)?
    };
    let old = core::mem::replace(&mut call.unit_mut()?.settings, new);
    if old != new {
        let (unit, nexus) = (call.task.unit, call.task.nexus);
        if let Some(unit) = unit {
            call.target.attend(unit, Attention::ModeParametersChanged, Some(nexus));
        }
    }
    Ok(())
}

/// The settings as they are once the list is taken. Header and block descriptors change nothing: the number and the length
/// of blocks are the volume's.
fn settings_of(
    list: &[u8],
    header_len: usize,
    long: bool,
    descriptors_len: usize,
    settings: &Settings,
    info: &Info,
) -> Result<Settings, Sense> {
    let pages = header_len + descriptors_len;
    let descriptors = list.get(header_len..pages).ok_or(Sense::PARAMETER_LIST_LENGTH)?;
    check_descriptors(descriptors, long, info).map_err(|at| invalid(header_len + at))?;
    let mut settings = *settings;
    let mut at = pages;
    while at < list.len() {
        let (next, len) = mode::take(&list[at..], &settings, info).map_err(|error| match error {
            PageError::Header(byte) if at + byte >= list.len() => Sense::PARAMETER_LIST_LENGTH,
            PageError::Header(byte) => invalid(at + byte),
            PageError::Unchangeable(byte, bit) => {
                Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_bit((at + byte) as u16, bit)
            }
        })?;
        settings = next;
        at += len;
    }
    Ok(settings)
}

/// One descriptor at most, which says what is so: the present number of blocks, all of them, or 0 for no change. An error
/// is the byte that is wrong.
fn check_descriptors(descriptors: &[u8], long: bool, info: &Info) -> Result<(), usize> {
    let none = descriptors.is_empty();
    let (blocks, most, block_len, len_at) = if long {
        let Ok(descriptor) = LongBlockDescriptor::view(descriptors) else { return empty(none) };
        (descriptor.blocks.get(), u64::MAX, descriptor.block_len.get(), 12)
    } else {
        let Ok(descriptor) = ShortBlockDescriptor::view(descriptors) else { return empty(none) };
        (descriptor.blocks().into(), ShortBlockDescriptor::MORE.into(), descriptor.block_len(), 5)
    };
    let whole = if long { LongBlockDescriptor::LEN } else { ShortBlockDescriptor::LEN };
    if descriptors.len() > whole {
        return Err(whole);
    }
    if blocks != 0 && blocks != most && blocks != info.blocks {
        return Err(0);
    }
    if block_len == info.block_size { Ok(()) } else { Err(len_at) }
}

const fn empty(none: bool) -> Result<(), usize> {
    if none { Ok(()) } else { Err(0) }
}

const fn invalid(at: usize) -> Sense {
    Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(at as u16)
}
