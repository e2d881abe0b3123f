//! The dwords of admin commands: Identify, Get Log Page, Get and Set Features, Abort (Base 5).
//!
//! Each type is the meaning of command dwords 10 to 15 of one command; `read` takes it from a command, `write` puts it
//! into one. Identifiers stay plain codes here: whether a page or feature exists is the controller's affair.

use zerocopy::little_endian::U32;

use super::command::SubmissionQueueEntry;
use super::opcode::AdminOpcode;

/// Identify (Base 5.17): which structure is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdentifyRequest {
    /// Controller or Namespace Structure (CNS); see [`super::identify::Structure`].
    pub structure: u8,
    /// Controller identifier (CNTID).
    pub controller_id: u16,
    /// Command set specific identifier, such as an NVM set.
    pub specific_id: u16,
    /// Command Set Identifier (CSI).
    pub command_set: u8,
    /// UUID index, 0 for none.
    pub uuid_index: u8,
}

impl IdentifyRequest {
    /// The meaning of an Identify command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let [structure, _, controller_low, controller_high] = command.cdw10.to_bytes();
        let [specific_low, specific_high, _, command_set] = command.cdw11.to_bytes();
        Self {
            structure,
            controller_id: u16::from_le_bytes([controller_low, controller_high]),
            specific_id: u16::from_le_bytes([specific_low, specific_high]),
            command_set,
            uuid_index: command.cdw14.to_bytes()[0] & UUID_INDEX_MASK,
        }
    }

    /// An Identify command.
    pub fn command(&self, command_id: u16, namespace_id: u32) -> SubmissionQueueEntry {
        let mut command = SubmissionQueueEntry::new(AdminOpcode::Identify.code(), command_id);
        let [controller_low, controller_high] = self.controller_id.to_le_bytes();
        let [specific_low, specific_high] = self.specific_id.to_le_bytes();
        command.cdw10 = U32::from_bytes([self.structure, 0, controller_low, controller_high]);
        command.cdw11 = U32::from_bytes([specific_low, specific_high, 0, self.command_set]);
        command.cdw14 = U32::new(u32::from(self.uuid_index & UUID_INDEX_MASK));
        command.with_namespace(namespace_id)
    }
}

/// Get Log Page (Base 5.16): which bytes of which page are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPageRequest {
    /// Log page identifier (LID); see [`super::log::LogPage`].
    pub page: u8,
    /// Log specific parameter (LSP), 7 bits.
    pub specific: u8,
    /// Whether the asynchronous event stays masked (RAE).
    pub retain_event: bool,
    /// Bytes wanted, a multiple of 4, at least 4.
    pub length: u64,
    /// Log specific identifier (LSI).
    pub specific_id: u16,
    /// First byte wanted (LPO), or the entry's index if `offset_is_index`.
    pub offset: u64,
    /// Whether `offset` counts entries (OT).
    pub offset_is_index: bool,
    /// Command Set Identifier (CSI).
    pub command_set: u8,
    /// UUID index, 0 for none.
    pub uuid_index: u8,
}

impl LogPageRequest {
    /// The meaning of a Get Log Page command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let [page, specific, lower0, lower1] = command.cdw10.to_bytes();
        let [upper0, upper1, id_low, id_high] = command.cdw11.to_bytes();
        let dwords_zero_based = u32::from_le_bytes([lower0, lower1, upper0, upper1]);
        let [uuid_index, _, flags, command_set] = command.cdw14.to_bytes();
        Self {
            page,
            specific: specific & SPECIFIC_MASK,
            retain_event: specific & RETAIN_EVENT != 0,
            length: (u64::from(dwords_zero_based) + 1) * 4,
            specific_id: u16::from_le_bytes([id_low, id_high]),
            offset: u64::from(command.cdw12.get()) | u64::from(command.cdw13.get()) << 32,
            offset_is_index: flags & OFFSET_TYPE != 0,
            command_set,
            uuid_index: uuid_index & UUID_INDEX_MASK,
        }
    }

    /// A Get Log Page command. The length is rounded up to dwords and counts at least one.
    pub fn command(&self, command_id: u16, namespace_id: u32) -> SubmissionQueueEntry {
        let mut command = SubmissionQueueEntry::new(AdminOpcode::GetLogPage.code(), command_id);
        let dwords_zero_based = self.length.div_ceil(4).clamp(1, 1 << 32) - 1;
        let [lower0, lower1, upper0, upper1] = (dwords_zero_based as u32).to_le_bytes();
        let [id_low, id_high] = self.specific_id.to_le_bytes();
        let retain = if self.retain_event { RETAIN_EVENT } else { 0 };
        let flags = if self.offset_is_index { OFFSET_TYPE } else { 0 };
        command.cdw10 = U32::from_bytes([self.page, self.specific & SPECIFIC_MASK | retain, lower0, lower1]);
        command.cdw11 = U32::from_bytes([upper0, upper1, id_low, id_high]);
        command.cdw12 = U32::new(self.offset as u32);
        command.cdw13 = U32::new((self.offset >> 32) as u32);
        command.cdw14 = U32::from_bytes([self.uuid_index & UUID_INDEX_MASK, 0, flags, self.command_set]);
        command.with_namespace(namespace_id)
    }
}

/// Abort (Base 5.1): which command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortRequest {
    /// The queue the command was sent to.
    pub queue_id: u16,
    /// The command's identifier.
    pub command_id: u16,
}

impl AbortRequest {
    /// The meaning of an Abort command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let [queue_low, queue_high, id_low, id_high] = command.cdw10.to_bytes();
        Self {
            queue_id: u16::from_le_bytes([queue_low, queue_high]),
            command_id: u16::from_le_bytes([id_low, id_high]),
        }
    }

    /// An Abort command with an identifier of its own.
    pub fn command(&self, own_command_id: u16) -> SubmissionQueueEntry {
        let mut command = SubmissionQueueEntry::new(AdminOpcode::Abort.code(), own_command_id);
        command.cdw10 = U32::new(u32::from(self.queue_id) | u32::from(self.command_id) << 16);
        command
    }
}

/// Dword 0 of Abort's completion: set when the command was not aborted (Base figure 145).
pub const ABORT_NOT_DONE: u32 = 1;

codes! {
    /// Which value of a feature Get Features asks for (SEL, Base figure 190).
    pub enum FeatureSelect: u8 {
        Current = 0, "Current";
        Default = 1, "Default";
        Saved = 2, "Saved";
        SupportedCapabilities = 3, "Supported Capabilities";
    }
}

/// Get Features (Base 5.15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetFeatures {
    /// Feature identifier (FID); see [`super::features::Feature`].
    pub feature: u8,
    /// Which value, `None` for a reserved code.
    pub select: Option<FeatureSelect>,
    /// Dword 11, whose meaning is the feature's.
    pub dword11: u32,
}

impl GetFeatures {
    /// The meaning of a Get Features command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let [feature, select, _, _] = command.cdw10.to_bytes();
        Self { feature, select: FeatureSelect::from_code(select & 7), dword11: command.cdw11.get() }
    }

    /// A Get Features command.
    pub fn command(
        feature: u8,
        select: FeatureSelect,
        dword11: u32,
        command_id: u16,
    ) -> SubmissionQueueEntry {
        let mut command = SubmissionQueueEntry::new(AdminOpcode::GetFeatures.code(), command_id);
        command.cdw10 = U32::from_bytes([feature, select.code(), 0, 0]);
        command.cdw11 = U32::new(dword11);
        command
    }
}

/// Set Features (Base 5.27).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetFeatures {
    /// Feature identifier (FID); see [`super::features::Feature`].
    pub feature: u8,
    /// Whether the value shall outlive a reset (SV).
    pub save: bool,
    /// Dword 11, whose meaning is the feature's.
    pub dword11: u32,
}

impl SetFeatures {
    /// The meaning of a Set Features command.
    pub fn read(command: &SubmissionQueueEntry) -> Self {
        let [feature, _, _, save] = command.cdw10.to_bytes();
        Self { feature, save: save & 0x80 != 0, dword11: command.cdw11.get() }
    }

    /// A Set Features command.
    pub fn command(&self, command_id: u16) -> SubmissionQueueEntry {
        let mut command = SubmissionQueueEntry::new(AdminOpcode::SetFeatures.code(), command_id);
        command.cdw10 = U32::from_bytes([self.feature, 0, 0, if self.save { 0x80 } else { 0 }]);
        command.cdw11 = U32::new(self.dword11);
        command
    }
}

const UUID_INDEX_MASK: u8 = 0x7f;
const SPECIFIC_MASK: u8 = 0x7f;
const RETAIN_EVENT: u8 = 0x80;
/// Bit 23 of dword 14.
const OFFSET_TYPE: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_page_request_survives_its_command() {
        let request = LogPageRequest {
            page: 0x70,
            specific: 0x5,
            retain_event: true,
            length: 0x12_3450,
            specific_id: 7,
            offset: 0x1_0000_0400,
            offset_is_index: true,
            command_set: 2,
            uuid_index: 3,
        };
        let command = request.command(1, 0);
        assert_eq!(command.cdw10.get(), 0x8d13_8570);
        assert_eq!(command.cdw11.get(), 0x0007_0004);
        assert_eq!(LogPageRequest::read(&command), request);
        let all = LogPageRequest { length: 1 << 34, ..request };
        assert_eq!(LogPageRequest::read(&all.command(1, 0)), all);
    }

    #[test]
    fn other_requests_survive_their_commands() {
        let identify = IdentifyRequest {
            structure: 6,
            controller_id: 0x1234,
            specific_id: 9,
            command_set: 2,
            uuid_index: 1,
        };
        let command = identify.command(1, 5);
        assert_eq!(IdentifyRequest::read(&command), identify);
        assert_eq!(command.namespace_id.get(), 5);
        let abort = AbortRequest { queue_id: 3, command_id: 0xbeef };
        assert_eq!(AbortRequest::read(&abort.command(1)), abort);
        let set = SetFeatures { feature: 7, save: true, dword11: 0x0003_0003 };
        assert_eq!(SetFeatures::read(&set.command(1)), set);
        let get = GetFeatures::command(0xf, FeatureSelect::SupportedCapabilities, 4, 1);
        let back =
            GetFeatures { feature: 0xf, select: Some(FeatureSelect::SupportedCapabilities), dword11: 4 };
        assert_eq!(GetFeatures::read(&get), back);
    }
}
