//! The submission queue entry: 64 bytes, the same for every command set (Base 3.3.3.1, figure 88).

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::sgl::{Sgl, SglDescriptor};
use crate::{BufferTooSmall, Truncated};

/// The 64 bytes of a command.
///
/// Fields mean what the opcode says they mean; [`super::admin`], [`super::nvm`] and [`super::fabrics`] have the views.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct SubmissionQueueEntry {
    /// Opcode (OPC).
    pub opcode: u8,
    /// Fused operation in bits 1:0, reserved bits 5:2, PRP or SGL in bits 7:6.
    pub flags: u8,
    /// Command identifier (CID), unique among the commands outstanding on a queue.
    pub command_id: U16,
    /// Namespace identifier (NSID); a Fabrics command has its type in the low byte instead.
    pub namespace_id: U32,
    /// Command dword 2.
    pub cdw2: U32,
    /// Command dword 3.
    pub cdw3: U32,
    /// Metadata pointer (MPTR).
    pub metadata: U64,
    /// Data pointer (DPTR); over Fabrics always an SGL descriptor.
    pub data: SglDescriptor,
    /// Command dword 10.
    pub cdw10: U32,
    /// Command dword 11.
    pub cdw11: U32,
    /// Command dword 12.
    pub cdw12: U32,
    /// Command dword 13.
    pub cdw13: U32,
    /// Command dword 14.
    pub cdw14: U32,
    /// Command dword 15.
    pub cdw15: U32,
}

/// Whether a command is half of a fused operation (FUSE).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuse {
    /// A command of its own.
    Normal,
    /// The first of two.
    First,
    /// The second of two.
    Second,
}

/// How the data pointer is to be read (PSDT).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataPointer {
    /// Physical region pages, never over Fabrics.
    Prp,
    /// An SGL descriptor; metadata, if any, in one contiguous buffer.
    Sgl,
    /// An SGL descriptor; metadata through an SGL of its own.
    SglWithMetadata,
}

impl SubmissionQueueEntry {
    /// Bytes of a command.
    pub const LEN: usize = 64;

    /// A command with this opcode, everything else zero but the data pointer, which says "SGL" as Fabrics demands.
    pub fn new(opcode: u8, command_id: u16) -> Self {
        Self { opcode, flags: FLAGS_SGL, command_id: U16::new(command_id), ..Self::default() }
    }

    /// The same command for a namespace.
    pub fn with_namespace(mut self, namespace_id: u32) -> Self {
        self.namespace_id = U32::new(namespace_id);
        self
    }

    /// The same command with its data described by `sgl`.
    pub fn with_data(mut self, sgl: Sgl) -> Self {
        self.data = sgl.encode();
        self
    }

    /// The same command as a part of a fused operation.
    pub fn with_fuse(mut self, fuse: Fuse) -> Self {
        let bits = match fuse {
            Fuse::Normal => 0,
            Fuse::First => 1,
            Fuse::Second => 2,
        };
        self.flags = self.flags & !3 | bits;
        self
    }

    /// Whether the command is part of a fused operation; `None` for the reserved value.
    pub const fn fuse(&self) -> Option<Fuse> {
        match self.flags & 3 {
            0 => Some(Fuse::Normal),
            1 => Some(Fuse::First),
            2 => Some(Fuse::Second),
            _ => None,
        }
    }

    /// How the data pointer is to be read; `None` for the reserved value.
    pub const fn data_pointer(&self) -> Option<DataPointer> {
        match self.flags >> 6 {
            0 => Some(DataPointer::Prp),
            1 => Some(DataPointer::Sgl),
            2 => Some(DataPointer::SglWithMetadata),
            _ => None,
        }
    }

    /// The type of a Fabrics command (FCTYPE), where the namespace identifier's low byte is.
    pub fn fabrics_type_code(&self) -> u8 {
        self.namespace_id.to_bytes()[0]
    }

    /// Borrows a command from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 64 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

const FLAGS_SGL: u8 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_standard_puts_them() {
        let mut command = SubmissionQueueEntry::new(0x02, 0xa55a).with_namespace(0x0102_0304);
        command = command.with_fuse(Fuse::Second).with_data(Sgl::Transport { length: 0x1000 });
        command.cdw15 = U32::new(0xdead_beef);
        let mut bytes = [0u8; 64];
        assert_eq!(command.encode(&mut bytes), Ok(64));
        assert_eq!(bytes[..8], [0x02, 0x42, 0x5a, 0xa5, 4, 3, 2, 1]);
        assert_eq!(bytes[32..40], [0x00, 0x10, 0, 0, 0, 0, 0, 0x5a]);
        assert_eq!(bytes[60..], [0xef, 0xbe, 0xad, 0xde]);
        let back = SubmissionQueueEntry::view(&bytes).unwrap();
        assert_eq!(*back, command);
        assert_eq!(back.fuse(), Some(Fuse::Second));
        assert_eq!(back.data_pointer(), Some(DataPointer::Sgl));
    }

    #[test]
    fn short_buffers_and_reserved_values_are_told() {
        assert_eq!(SubmissionQueueEntry::view(&[0; 63]), Err(Truncated { needed: 64, available: 63 }));
        let mut out = [0; 10];
        let refused = BufferTooSmall { needed: 64, available: 10 };
        assert_eq!(SubmissionQueueEntry::default().encode(&mut out), Err(refused));
        let reserved = SubmissionQueueEntry { flags: 0xc3, ..SubmissionQueueEntry::default() };
        assert_eq!(reserved.fuse(), None);
        assert_eq!(reserved.data_pointer(), None);
    }
}
