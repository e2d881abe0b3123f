//! The data of INQUIRY: the standard data, and the vital product data pages a disk has (SPC-4, sections 6.6 and 7.8;
//! SBC-3, section 6.6).

mod designator;
mod limits;
mod standard;
mod vpd;

pub use designator::{Association, CodeSet, Designator, DesignatorKind, Designators};
pub use limits::BlockLimits;
pub use standard::{Product, StandardInquiry, VERSION_DESCRIPTORS_MAX, version};
pub use vpd::{
    BlockDeviceCharacteristics, ExtendedInquiry, LogicalBlockProvisioning, PageHeader, Provisioning,
};

codes! {
    /// Vital product data pages (SPC-4, table 536).
    pub enum VpdPage: u8 {
        SupportedPages = 0x00, "Supported VPD Pages";
        UnitSerialNumber = 0x80, "Unit Serial Number";
        DeviceIdentification = 0x83, "Device Identification";
        ExtendedInquiryData = 0x86, "Extended INQUIRY Data";
        BlockLimits = 0xb0, "Block Limits";
        BlockDeviceCharacteristics = 0xb1, "Block Device Characteristics";
        LogicalBlockProvisioning = 0xb2, "Logical Block Provisioning";
    }
}

/// The first byte of all INQUIRY data: peripheral qualifier and device type (SPC-4, section 6.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Peripheral {
    /// A disk is there.
    Disk = 0x00,
    /// There could be one, but there is none behind this number: qualifier 011b, type 1Fh.
    Absent = 0x7f,
}
