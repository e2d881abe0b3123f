//! Property Get and Set: the commands that read and write a controller's registers (Base 6.5, 6.6).

use zerocopy::little_endian::U32;

use crate::nvme::command::SubmissionQueueEntry;
use crate::nvme::opcode::FabricsCommandType;

codes! {
    /// The properties a controller over Fabrics has, by their offset.
    pub enum Property: u32 {
        Capabilities = 0x00, "Controller Capabilities (CAP)";
        Version = 0x08, "Version (VS)";
        Configuration = 0x14, "Controller Configuration (CC)";
        Status = 0x1c, "Controller Status (CSTS)";
        SubsystemReset = 0x20, "NVM Subsystem Reset (NSSR)";
        ReadyTimeouts = 0x68, "Controller Ready Timeouts (CRTO)";
    }
}

codes! {
    /// How wide a property is (ATTRIB.SIZE).
    pub enum PropertySize: u8 {
        FourBytes = 0, "4 bytes";
        EightBytes = 1, "8 bytes";
    }
}

impl Property {
    /// How wide the property is.
    pub const fn size(self) -> PropertySize {
        match self {
            Self::Capabilities => PropertySize::EightBytes,
            Self::Version
            | Self::Configuration
            | Self::Status
            | Self::SubsystemReset
            | Self::ReadyTimeouts => PropertySize::FourBytes,
        }
    }
}

/// Property Get (Base 6.6): which property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertyGet {
    /// Byte offset (OFST).
    pub offset: u32,
    /// Width, `None` for a reserved code.
    pub size: Option<PropertySize>,
}

/// Property Set (Base 6.5): which property and its new value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PropertySet {
    /// Byte offset (OFST).
    pub offset: u32,
    /// Width, `None` for a reserved code.
    pub size: Option<PropertySize>,
    /// The value; a property of 4 bytes uses the low half.
    pub value: u64,
}

impl PropertyGet {
    /// The meaning of a Property Get command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        Self { offset: command.cdw11.get(), size: size_of_command(command) }
    }

    /// A Property Get command.
    pub fn command(property: Property, command_id: u16) -> SubmissionQueueEntry {
        let mut command = super::command(FabricsCommandType::PropertyGet, command_id);
        command.cdw10 = U32::new(u32::from(property.size().code()));
        command.cdw11 = U32::new(property.code());
        command
    }
}

impl PropertySet {
    /// The meaning of a Property Set command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        Self {
            offset: command.cdw11.get(),
            size: size_of_command(command),
            value: u64::from(command.cdw12.get()) | u64::from(command.cdw13.get()) << 32,
        }
    }

    /// A Property Set command.
    pub fn command(property: Property, value: u64, command_id: u16) -> SubmissionQueueEntry {
        let mut command = super::command(FabricsCommandType::PropertySet, command_id);
        command.cdw10 = U32::new(u32::from(property.size().code()));
        command.cdw11 = U32::new(property.code());
        command.cdw12 = U32::new(value as u32);
        command.cdw13 = U32::new((value >> 32) as u32);
        command
    }
}

fn size_of_command(command: &SubmissionQueueEntry) -> Option<PropertySize> {
    PropertySize::from_code(command.cdw10.to_bytes()[0] & 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_property_and_its_width() {
        let get = PropertyGet::read(&PropertyGet::command(Property::Capabilities, 1));
        assert_eq!(get, PropertyGet { offset: 0, size: Some(PropertySize::EightBytes) });
        let set = PropertySet::read(&PropertySet::command(Property::Configuration, 0x0046_0001, 1));
        assert_eq!((set.offset, set.size, set.value), (0x14, Some(PropertySize::FourBytes), 0x0046_0001));
        let mut odd = PropertyGet::command(Property::Status, 1);
        odd.cdw10 = U32::new(5);
        assert_eq!(PropertyGet::read(&odd).size, None);
    }
}
