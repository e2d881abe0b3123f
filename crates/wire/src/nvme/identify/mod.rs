//! The data structures of Identify (Base 5.17.2, NVM 4.1.5). Each is 4,096 bytes long.
//!
//! The structures are plain: every field the controller or the host uses has a name, the rest are private and zero.
//! Make one with `zeroed`, set fields, `encode` it; or `view` received bytes.

mod command_set;
mod controller;
mod descriptor;
mod namespace;
mod support;

pub use command_set::{
    CommandSetCombinations, CommandSetVector, IndependentNamespaceData, NamespaceStatus, NvmControllerData,
    NvmNamespaceData,
};
pub use controller::{ControllerData, PowerState};
pub use descriptor::{DescriptorError, NamespaceDescriptor, NamespaceDescriptors, write_descriptors};
pub use namespace::{
    DeallocateFeatures, LbaFormat, NamespaceData, NamespaceFeatures, NamespaceSharing,
    ReservationCapabilities,
};
pub use support::{
    AdminCommands, AnaCapabilities, AsyncEvents, ControllerAttributes, FusedOperations, LogPageAttributes,
    MultiPath, NvmCommands, SglSupport, VolatileWriteCache,
};

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

/// Bytes of every Identify structure.
pub const IDENTIFY_LEN: usize = 4096;

codes! {
    /// Which structure Identify returns (CNS, Base figure 273).
    pub enum Structure: u8 {
        Namespace = 0x00, "Namespace";
        Controller = 0x01, "Controller";
        ActiveNamespaceList = 0x02, "Active Namespace ID List";
        NamespaceDescriptorList = 0x03, "Namespace Identification Descriptor List";
        NvmSetList = 0x04, "NVM Set List";
        CommandSetNamespace = 0x05, "I/O Command Set specific Namespace";
        CommandSetController = 0x06, "I/O Command Set specific Controller";
        CommandSetActiveNamespaceList = 0x07, "I/O Command Set specific Active Namespace ID List";
        IndependentNamespace = 0x08, "I/O Command Set Independent Namespace";
        AllocatedNamespaceList = 0x10, "Allocated Namespace ID List";
        AllocatedNamespace = 0x11, "Allocated Namespace";
        NamespaceControllerList = 0x12, "Namespace Attached Controller List";
        ControllerList = 0x13, "Controller List";
        PrimaryControllerCapabilities = 0x14, "Primary Controller Capabilities";
        SecondaryControllerList = 0x15, "Secondary Controller List";
        NamespaceGranularityList = 0x16, "Namespace Granularity List";
        UuidList = 0x17, "UUID List";
        DomainList = 0x18, "Domain List";
        EnduranceGroupList = 0x19, "Endurance Group List";
        CommandSetAllocatedNamespaceList = 0x1a, "I/O Command Set specific Allocated Namespace ID List";
        CommandSetAllocatedNamespace = 0x1b, "I/O Command Set specific Allocated Namespace";
        CommandSets = 0x1c, "I/O Command Set";
    }
}

codes! {
    /// Command Set Identifiers (CSI, Base figure 274).
    pub enum CommandSet: u8 {
        Nvm = 0x00, "NVM Command Set";
        KeyValue = 0x01, "Key Value Command Set";
        ZonedNamespace = 0x02, "Zoned Namespace Command Set";
    }
}

codes! {
    /// What a controller is for (CNTRLTYPE, Base figure 275).
    pub enum ControllerType: u8 {
        NotReported = 0x00, "Controller type not reported";
        Io = 0x01, "I/O controller";
        Discovery = 0x02, "Discovery controller";
        Administrative = 0x03, "Administrative controller";
    }
}

/// Up to 1,024 namespace identifiers in increasing order, then zeros. Also the Changed Namespace List log page, whose
/// single entry FFFFFFFFh says that more namespaces changed than it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NamespaceList {
    /// The identifiers.
    pub ids: [U32; NamespaceList::CAPACITY],
}

impl NamespaceList {
    /// The most identifiers a list holds.
    pub const CAPACITY: usize = 1024;

    /// A list of these identifiers, which the caller gives in increasing order; those past 1,024 are left out.
    pub fn collect(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut list = Self::new_zeroed();
        for (slot, id) in list.ids.iter_mut().zip(ids) {
            *slot = U32::new(id);
        }
        list
    }

    /// The identifiers up to the first zero.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.ids.iter().map(|id| id.get()).take_while(|id| *id != 0)
    }

    /// Borrows a list from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 4,096 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// Up to 2,047 controller identifiers in increasing order (Base figure 137).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ControllerList {
    /// How many identifiers follow.
    pub count: U16,
    /// The identifiers.
    pub ids: [U16; ControllerList::CAPACITY],
}

impl ControllerList {
    /// The most identifiers a list holds.
    pub const CAPACITY: usize = 2047;

    /// A list of these identifiers, which the caller gives in increasing order; those past 2,047 are left out.
    pub fn collect(ids: impl IntoIterator<Item = u16>) -> Self {
        let mut list = Self::new_zeroed();
        let mut count = 0;
        for (slot, id) in list.ids.iter_mut().zip(ids) {
            *slot = U16::new(id);
            count += 1;
        }
        list.count = U16::new(count);
        list
    }

    /// The identifiers; a count past the capacity is held to it.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.ids.iter().take(usize::from(self.count.get())).map(|id| id.get())
    }

    /// Borrows a list from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 4,096 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// Fills a text field: the text, then spaces. A text longer than the field loses its end (Base 1.4.2).
pub fn fill_text(field: &mut [u8], text: &str) {
    field.fill(b' ');
    for (slot, byte) in field.iter_mut().zip(text.bytes()) {
        *slot = byte;
    }
}

/// Reads a text field up to its padding of spaces or zeros; `None` if it is no text.
pub fn read_text(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    core::str::from_utf8(&field[..end]).ok().map(|text| text.trim_end_matches(' '))
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn lists_end_where_they_end() {
        let list = NamespaceList::collect([1, 5, 9]);
        assert_eq!(list.iter().collect::<Vec<_>>(), [1, 5, 9]);
        let full = NamespaceList::collect(1..=5000);
        assert_eq!(full.iter().count(), 1024);
        let mut bytes = [0; IDENTIFY_LEN];
        assert_eq!(full.encode(&mut bytes), Ok(IDENTIFY_LEN));
        assert_eq!(NamespaceList::view(&bytes), Ok(&full));
        let controllers = ControllerList::collect(0..3000);
        assert_eq!(controllers.iter().count(), 2047);
        let mut lying = ControllerList::collect([7]);
        lying.count = U16::new(u16::MAX);
        assert_eq!(lying.iter().count(), 2047);
    }

    #[test]
    fn text_is_padded_with_spaces_and_read_without() {
        let mut field = [0; 8];
        fill_text(&mut field, "weft");
        assert_eq!(&field, b"weft    ");
        assert_eq!(read_text(&field), Some("weft"));
        fill_text(&mut field, "longer than that");
        assert_eq!(read_text(&field), Some("longer t"));
        assert_eq!(read_text(b"a\0b"), Some("a"));
        assert_eq!(read_text(&[0xff, 0xfe]), None);
    }
}
