//! The mode pages of a disk (SPC-4, sections 7.5.8 and 7.5.11; SBC-3, section 6.5.5).

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::ModePage;
use crate::{BufferTooSmall, Truncated};

/// The front of a page without subpages: 2 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct PageHeader {
    code: u8,
    /// PAGE LENGTH: bytes behind the header.
    pub len: u8,
}

/// Read-Write Error Recovery, 01h: 12 bytes (SBC-3, section 6.5.8).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ErrorRecoveryPage {
    header: PageHeader,
    flags: u8,
    /// READ RETRY COUNT.
    pub read_retries: u8,
    obsolete4: [u8; 3],
    /// LBPERE in the highest bit.
    protection: u8,
    /// WRITE RETRY COUNT.
    pub write_retries: u8,
    reserved9: u8,
    /// RECOVERY TIME LIMIT, in milliseconds; 0 is the unit's own.
    pub time_limit_ms: U16,
}

bits! {
    /// Byte 2 of the Caching page.
    pub struct CachingFlags: u8 {
        /// WCE: a write may be answered before it is on stable storage.
        WRITE_CACHE = 1 << 2;
        /// RCD: reads always go to the medium.
        READ_CACHE_DISABLED = 1 << 0;
    }
}

/// Caching, 08h: 20 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct CachingPage {
    header: PageHeader,
    flags: u8,
    retention: u8,
    prefetch: [U16; 4],
    read_ahead: u8,
    segments: u8,
    segment_len: U16,
    reserved16: [u8; 4],
}

bits! {
    /// Bytes 2 to 5 of the Control page, as one number.
    pub struct ControlFlags: u32 {
        /// D_SENSE: sense data in descriptor format.
        DESCRIPTOR_SENSE = 1 << (24 + 2);
        /// GLTSD: log parameters are not saved of themselves.
        LOGS_NOT_SAVED = 1 << (24 + 1);
        /// QUEUE ALGORITHM MODIFIER 1h: simple tasks in any order.
        UNRESTRICTED_REORDERING = 1 << (16 + 4);
        /// QERR, both bits.
        QUEUE_ERROR = 3 << (16 + 1);
        /// SWP: writes are refused.
        SOFTWARE_WRITE_PROTECT = 1 << (8 + 3);
        /// TAS: tasks that another nexus ended are answered with TASK ABORTED.
        TASK_ABORTED_STATUS = 1 << 6;
    }
}

/// Control, 0Ah: 12 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct ControlPage {
    header: PageHeader,
    flags: U32,
    obsolete6: [u8; 2],
    /// BUSY TIMEOUT PERIOD, in units of 100 milliseconds; FFFFh is without limit.
    pub busy_timeout: U16,
    /// EXTENDED SELF-TEST COMPLETION TIME, in seconds.
    pub self_test_seconds: U16,
}

/// Informational Exceptions Control, 1Ch: 12 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct InformationalExceptionsPage {
    header: PageHeader,
    flags: u8,
    /// MRIE: how exceptions are told; 0 is not at all.
    pub method: u8,
    /// INTERVAL TIMER, in units of 100 milliseconds.
    pub interval: U32,
    /// REPORT COUNT.
    pub report_count: U32,
}

impl PageHeader {
    /// Bytes of the structure.
    pub const LEN: usize = 2;

    const fn of<T>(page: ModePage) -> Self {
        Self { code: page.code(), len: (size_of::<T>() - Self::LEN) as u8 }
    }

    /// PAGE CODE.
    pub const fn page(&self) -> u8 {
        self.code & 0x3f
    }

    /// SPF: the page is a subpage, with a longer header.
    pub const fn is_subpage(&self) -> bool {
        self.code & 0x40 != 0
    }

    /// PS: the page can be saved. Reserved in MODE SELECT.
    pub const fn saveable(&self) -> bool {
        self.code & Self::SAVEABLE != 0
    }

    /// PS in the first byte of a page.
    pub const SAVEABLE: u8 = 1 << 7;

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }
}

impl CachingPage {
    /// A page with these flags, and no prefetch.
    pub fn new(flags: CachingFlags) -> Self {
        Self { header: PageHeader::of::<Self>(ModePage::Caching), flags: flags.bits(), ..Self::default() }
    }

    /// The flags.
    pub const fn flags(&self) -> CachingFlags {
        CachingFlags(self.flags)
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 20 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl ControlPage {
    /// A page with these flags.
    pub fn new(flags: ControlFlags) -> Self {
        Self {
            header: PageHeader::of::<Self>(ModePage::Control),
            flags: U32::new(flags.bits()),
            ..Self::default()
        }
    }

    /// The flags.
    pub const fn flags(&self) -> ControlFlags {
        ControlFlags(self.flags.get())
    }

    /// QERR (SPC-4, table 409).
    pub const fn queue_error(&self) -> u8 {
        (self.flags.get() >> QERR_SHIFT) as u8 & 3
    }

    /// Sets QERR.
    #[must_use]
    pub fn with_queue_error(self, queue_error: u8) -> Self {
        let others = self.flags().without(ControlFlags::QUEUE_ERROR);
        let flags = others.bits() | u32::from(queue_error & 3) << QERR_SHIFT;
        Self { flags: U32::new(flags), ..self }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 12 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl ErrorRecoveryPage {
    /// The page of a unit that finds other places for bad blocks by itself (AWRE, ARRE), if it does.
    pub fn new(reassigns: bool) -> Self {
        Self {
            header: PageHeader::of::<Self>(ModePage::ErrorRecovery),
            flags: if reassigns { AWRE | ARRE } else { 0 },
            ..Self::default()
        }
    }

    /// Writes the 12 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl InformationalExceptionsPage {
    /// A page that says that none are told (DEXCPT).
    pub fn disabled() -> Self {
        Self {
            header: PageHeader::of::<Self>(ModePage::InformationalExceptions),
            flags: DEXCPT,
            ..Self::default()
        }
    }

    /// DEXCPT: exceptions are not told.
    pub const fn is_disabled(&self) -> bool {
        self.flags & DEXCPT != 0
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 12 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// Bytes of the longest page there is here.
pub const MODE_PAGE_LEN_MAX: usize = size_of::<CachingPage>();
const QERR_SHIFT: u32 = 16 + 1;
const DEXCPT: u8 = 1 << 3;
const AWRE: u8 = 1 << 7;
const ARRE: u8 = 1 << 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_standards() {
        let mut out = [0; MODE_PAGE_LEN_MAX];
        assert_eq!(CachingPage::new(CachingFlags::WRITE_CACHE).encode(&mut out), Ok(20));
        assert_eq!(out[..4], [0x08, 18, 4, 0]);
        let flags = ControlFlags::DESCRIPTOR_SENSE
            | ControlFlags::UNRESTRICTED_REORDERING
            | ControlFlags::SOFTWARE_WRITE_PROTECT
            | ControlFlags::TASK_ABORTED_STATUS;
        let page = ControlPage::new(flags).with_queue_error(3);
        assert_eq!((page.encode(&mut out), page.queue_error()), (Ok(12), 3));
        assert_eq!(out[..6], [0x0a, 10, 0x04, 0x16, 0x08, 0x40]);
        assert_eq!(InformationalExceptionsPage::disabled().encode(&mut out), Ok(12));
        assert_eq!(out[..4], [0x1c, 10, 0x08, 0]);
        assert_eq!(ErrorRecoveryPage::new(true).encode(&mut out), Ok(12));
        assert_eq!(out[..4], [0x01, 10, 0xc0, 0]);
        let header = PageHeader::view(&[0xca, 1]).unwrap();
        assert_eq!((header.page(), header.is_subpage(), header.saveable()), (0x0a, true, true));
    }
}
