//! Mode pages: the settings of a logical unit as bytes, and bytes as settings (SPC-4, section 7.5; SBC-3, section 6.5).
//!
//! What MODE SELECT sets holds for all nexuses until a reset; then what was saved does, where the owner of the logical unit
//! keeps that.

use super::super::unit::{QueueError, Settings, Unit};
use block::Info;
use wire::scsi::mode::{
    CachingFlags, CachingPage, ControlFlags, ControlPage, DeviceParameter, ErrorRecoveryPage,
    InformationalExceptionsPage, MODE_PAGE_LEN_MAX, ModePage, PageControl, PageHeader,
};

/// A mode page in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct PageBytes {
    bytes: [u8; MODE_PAGE_LEN_MAX],
    len: usize,
}

/// What is wrong with a page that MODE SELECT brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum PageError {
    /// There is no such page, or it has another length: the byte of the page that says so.
    Header(usize),
    /// A bit that cannot be changed would be: its byte and place.
    Unchangeable(usize, u8),
}

impl PageBytes {
    pub(in super::super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// DEVICE-SPECIFIC PARAMETER.
pub(in super::super) fn device_parameter(settings: &Settings, info: &Info) -> DeviceParameter {
    let protected = settings.write_protected || info.read_only;
    let protected = if protected { DeviceParameter::WRITE_PROTECTED } else { DeviceParameter::NONE };
    protected | DeviceParameter::DPO_FUA
}

/// A page, with the values that were asked for. What is changed in it can be saved, if the owner keeps that.
pub(in super::super) fn page(page: ModePage, control: PageControl, unit: &Unit) -> PageBytes {
    let mut bytes = match control {
        PageControl::Current => current(page, &unit.settings),
        PageControl::Default => current(page, &Settings::of(&unit.info)),
        PageControl::Changeable => changeable(page, &unit.info),
        PageControl::Saved => current(page, &unit.first_settings()),
    };
    if unit.config.aptpl && matches!(page, ModePage::Caching | ModePage::Control) {
        bytes.bytes[0] |= PageHeader::SAVEABLE;
    }
    bytes
}

/// The settings as they are once the page at the front of `list` is taken, and how many bytes it has.
pub(in super::super) fn take(
    list: &[u8],
    settings: &Settings,
    info: &Info,
) -> Result<(Settings, usize), PageError> {
    let header = PageHeader::view(list).map_err(|_| PageError::Header(0))?;
    let page = ModePage::from_code(header.page()).filter(|_| !header.is_subpage() && !header.saveable());
    let page = page.ok_or(PageError::Header(0))?;
    let (old, mask) = (current(page, settings), changeable(page, info));
    let len = PageHeader::LEN + usize::from(header.len);
    let new = list.get(..len).filter(|_| len == old.len).ok_or(PageError::Header(1))?;
    for (at, ((new, old), mask)) in new.iter().zip(old.bytes).zip(mask.bytes).enumerate().skip(2) {
        let odd = (new ^ old) & !mask;
        if odd != 0 {
            return Err(PageError::Unchangeable(at, odd.ilog2() as u8));
        }
    }
    // Both bits of QERR can be changed, but not to 10b, which is reserved.
    let settings = apply(page, new, settings).ok_or(PageError::Unchangeable(3, 2))?;
    Ok((settings, len))
}

fn current(page: ModePage, settings: &Settings) -> PageBytes {
    let mut bytes = [0; MODE_PAGE_LEN_MAX];
    let written = match page {
        // What lies below a volume finds other places for bad blocks.
        ModePage::ErrorRecovery => ErrorRecoveryPage::new(true).encode(&mut bytes),
        ModePage::Caching => {
            let cache = if settings.write_cache { CachingFlags::WRITE_CACHE } else { CachingFlags::NONE };
            CachingPage::new(cache).encode(&mut bytes)
        }
        ModePage::Control => {
            let mut flags = ControlFlags::LOGS_NOT_SAVED | ControlFlags::UNRESTRICTED_REORDERING;
            for (set, flag) in [
                (settings.descriptor_sense, ControlFlags::DESCRIPTOR_SENSE),
                (settings.write_protected, ControlFlags::SOFTWARE_WRITE_PROTECT),
                (settings.task_aborted_status, ControlFlags::TASK_ABORTED_STATUS),
            ] {
                flags = if set { flags | flag } else { flags };
            }
            let mut page = ControlPage::new(flags).with_queue_error(settings.queue_error as u8);
            page.busy_timeout = BUSY_UNLIMITED.into();
            page.encode(&mut bytes)
        }
        ModePage::InformationalExceptions => InformationalExceptionsPage::disabled().encode(&mut bytes),
    };
    // The place is as long as the longest page.
    PageBytes { bytes, len: written.unwrap_or(0) }
}

/// A bit is set where MODE SELECT may change it.
fn changeable(page: ModePage, info: &Info) -> PageBytes {
    let mut bytes = [0; MODE_PAGE_LEN_MAX];
    let written = match page {
        ModePage::ErrorRecovery => ErrorRecoveryPage::new(false).encode(&mut bytes),
        ModePage::Caching => {
            let cache = if info.volatile_cache { CachingFlags::WRITE_CACHE } else { CachingFlags::NONE };
            CachingPage::new(cache).encode(&mut bytes)
        }
        ModePage::Control => {
            let flags = ControlFlags::DESCRIPTOR_SENSE
                | ControlFlags::QUEUE_ERROR
                | ControlFlags::SOFTWARE_WRITE_PROTECT
                | ControlFlags::TASK_ABORTED_STATUS;
            ControlPage::new(flags).encode(&mut bytes)
        }
        ModePage::InformationalExceptions => {
            let written = InformationalExceptionsPage::disabled().encode(&mut bytes);
            bytes[PageHeader::LEN..].fill(0);
            written
        }
    };
    PageBytes { bytes, len: written.unwrap_or(0) }
}

/// The page has the length and the unchangeable bits it must have.
fn apply(page: ModePage, new: &[u8], settings: &Settings) -> Option<Settings> {
    let mut settings = *settings;
    match page {
        ModePage::Caching => {
            let flags = CachingPage::view(new).ok()?.flags();
            settings.write_cache = flags.contains(CachingFlags::WRITE_CACHE);
        }
        ModePage::Control => {
            let page = ControlPage::view(new).ok()?;
            let flags = page.flags();
            settings.descriptor_sense = flags.contains(ControlFlags::DESCRIPTOR_SENSE);
            settings.write_protected = flags.contains(ControlFlags::SOFTWARE_WRITE_PROTECT);
            settings.task_aborted_status = flags.contains(ControlFlags::TASK_ABORTED_STATUS);
            settings.queue_error = match page.queue_error() {
                0b00 => QueueError::GoOn,
                0b01 => QueueError::AbortAll,
                0b11 => QueueError::AbortNexus,
                _ => return None,
            };
        }
        ModePage::ErrorRecovery | ModePage::InformationalExceptions => {}
    }
    Some(settings)
}

/// BUSY TIMEOUT PERIOD without limit.
const BUSY_UNLIMITED: u16 = 0xffff;
