//! The parameter list of EXTENDED COPY (LID1; SPC-4, sections 6.4.3 to 6.4.6): a header, descriptors of the logical units
//! that take part (copy targets), and segments to copy.

use zerocopy::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::scsi::inquiry::Designator;
use crate::{BufferTooSmall, Truncated};

codes! {
    /// LIST ID USAGE (SPC-4, table 117).
    pub enum ListIdUsage: u8 {
        Hold = 0, "the results are held under the list identifier";
        Discard = 2, "the list identifier is used while the copy runs";
        Disable = 3, "there is no list identifier";
    }
}

/// The header: 16 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct CopyListHeader {
    /// LIST IDENTIFIER.
    pub list_id: u8,
    flags: u8,
    targets_len: U16,
    reserved4: [u8; 4],
    segments_len: U32,
    inline_len: U32,
}

/// An identification descriptor copy target, E4h: 32 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct TargetDescriptor {
    kind: u8,
    device_type: u8,
    initiator_port: U16,
    designator: [u8; 24],
    pad: u8,
    block_len: [u8; 3],
}

/// A block device to block device segment, 02h: 28 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct BlockToBlock {
    kind: u8,
    flags: u8,
    len: U16,
    /// SOURCE TARGET DESCRIPTOR INDEX.
    pub source: U16,
    /// DESTINATION TARGET DESCRIPTOR INDEX.
    pub destination: U16,
    reserved8: [u8; 2],
    /// BLOCK DEVICE NUMBER OF BLOCKS: of the source, or of the destination with DC.
    pub blocks: U16,
    /// SOURCE BLOCK DEVICE LOGICAL BLOCK ADDRESS.
    pub source_lba: U64,
    /// DESTINATION BLOCK DEVICE LOGICAL BLOCK ADDRESS.
    pub destination_lba: U64,
}

/// What a copy target descriptor says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target<'a> {
    /// The logical unit.
    pub designator: Designator<'a>,
    /// Bytes of its blocks.
    pub block_len: u32,
}

/// A whole list whose lengths agree; its descriptors are of the kinds there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopyList<'a> {
    /// LIST IDENTIFIER.
    pub list_id: u8,
    /// LIST ID USAGE.
    pub usage: ListIdUsage,
    targets: &'a [u8],
    segments: &'a [u8],
}

/// What is wrong with a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyListError {
    /// The lengths in the header do not fit the list, or are more than there may be: PARAMETER LIST LENGTH ERROR.
    #[error("the lengths of the descriptors do not fit the parameter list")]
    Length,
    /// TOO MANY TARGET DESCRIPTORS.
    #[error("there are more than {0} copy targets")]
    Targets(u16),
    /// TOO MANY SEGMENT DESCRIPTORS.
    #[error("there are more than {0} segments")]
    Segments(u16),
    /// UNSUPPORTED TARGET DESCRIPTOR TYPE CODE; where it stands.
    #[error("the copy target at byte {0} is of a kind that is not supported")]
    TargetKind(u16),
    /// UNSUPPORTED SEGMENT DESCRIPTOR TYPE CODE; where it stands.
    #[error("the segment at byte {0} is of a kind that is not supported")]
    SegmentKind(u16),
    /// INLINE DATA LENGTH EXCEEDED: no segment of ours has any.
    #[error("inline data is not supported")]
    Inline,
    /// INVALID FIELD IN PARAMETER LIST; where it stands.
    #[error("byte {0} of the parameter list is invalid")]
    Field(u16),
}

impl CopyListHeader {
    /// Bytes of the structure.
    pub const LEN: usize = 16;

    /// A header for this many descriptors.
    pub fn new(list_id: u8, usage: ListIdUsage, targets: usize, segments: usize) -> Self {
        Self {
            list_id,
            flags: usage.code() << 3,
            targets_len: U16::new((targets * TargetDescriptor::LEN) as u16),
            segments_len: U32::new((segments * BlockToBlock::LEN) as u32),
            ..Self::default()
        }
    }

    /// Writes the 16 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl TargetDescriptor {
    /// Bytes of the structure.
    pub const LEN: usize = 32;

    /// A disk with this designator, of up to 20 bytes.
    pub fn new(designator: &Designator<'_>, block_len: u32) -> Result<Self, BufferTooSmall> {
        let [_, block_len @ ..] = block_len.to_be_bytes();
        let mut descriptor = Self { kind: IDENTIFICATION, block_len, ..Self::default() };
        designator.encode(&mut descriptor.designator)?;
        Ok(descriptor)
    }

    /// What it says; `None` if its designator is none, or it is no disk.
    pub fn target(&self) -> Option<Target<'_>> {
        if self.device_type & 0x1f != 0 {
            return None;
        }
        let [high, middle, low] = self.block_len;
        let block_len = u32::from_be_bytes([0, high, middle, low]);
        Some(Target { designator: Designator::read(&self.designator)?, block_len })
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 32 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl BlockToBlock {
    /// Bytes of the structure.
    pub const LEN: usize = 28;

    /// A segment from and to these copy targets and blocks.
    pub fn new(from: (u16, u64), to: (u16, u64), blocks: u16) -> Self {
        Self {
            kind: BLOCK_TO_BLOCK,
            len: U16::new((Self::LEN - 4) as u16),
            source: U16::new(from.0),
            destination: U16::new(to.0),
            blocks: U16::new(blocks),
            source_lba: U64::new(from.1),
            destination_lba: U64::new(to.1),
            ..Self::default()
        }
    }

    /// DC: the number of blocks counts those of the destination.
    pub const fn counts_destination(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 28 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl<'a> CopyList<'a> {
    /// Reads a list with at most so many copy targets and segments.
    pub fn read(list: &'a [u8], targets_max: u16, segments_max: u16) -> Result<Self, CopyListError> {
        let (header, rest) = CopyListHeader::ref_from_prefix(list).map_err(|_| CopyListError::Length)?;
        let (targets, segments) = (header.targets_len.get().into(), header.segments_len.get() as usize);
        let most =
            usize::from(targets_max) * TargetDescriptor::LEN + usize::from(segments_max) * BlockToBlock::LEN;
        if header.inline_len.get() != 0 {
            return Err(CopyListError::Inline);
        }
        let usage = ListIdUsage::from_code(header.flags >> 3 & 3).ok_or(CopyListError::Field(1))?;
        let fits = targets <= most && segments <= most - targets && targets + segments <= rest.len();
        if !fits || targets % TargetDescriptor::LEN != 0 {
            return Err(CopyListError::Length);
        }
        let (targets, rest) = rest.split_at(targets);
        let list = Self { list_id: header.list_id, usage, targets, segments: &rest[..segments] };
        list.check(targets_max, segments_max)?;
        Ok(list)
    }

    /// The copy targets, in the order of their indices.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = &'a TargetDescriptor> + Clone + use<'a> {
        let descriptors = <[TargetDescriptor]>::ref_from_bytes(self.targets).unwrap_or_default();
        descriptors.iter()
    }

    /// The segments, in the order in which they are to be copied.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &'a BlockToBlock> + Clone + use<'a> {
        let descriptors = <[BlockToBlock]>::ref_from_bytes(self.segments).unwrap_or_default();
        descriptors.iter()
    }

    fn check(&self, targets_max: u16, segments_max: u16) -> Result<(), CopyListError> {
        let mut at = CopyListHeader::LEN;
        if self.targets.len() > usize::from(targets_max) * TargetDescriptor::LEN {
            return Err(CopyListError::Targets(targets_max));
        }
        for target in self.targets() {
            if target.kind != IDENTIFICATION {
                return Err(CopyListError::TargetKind(at as u16));
            }
            at += TargetDescriptor::LEN;
        }
        // Segments of other kinds have other lengths: what each says of its own leads to the next.
        let mut rest = self.segments;
        let mut count = 0;
        while let [kind, _, high, low, ..] = *rest {
            if kind != BLOCK_TO_BLOCK {
                return Err(CopyListError::SegmentKind(at as u16));
            }
            if usize::from(u16::from_be_bytes([high, low])) != BlockToBlock::LEN - 4 {
                return Err(CopyListError::Field(at as u16 + 2));
            }
            rest = rest.get(BlockToBlock::LEN..).ok_or(CopyListError::Length)?;
            at += BlockToBlock::LEN;
            count += 1;
        }
        match rest {
            _ if count > segments_max => Err(CopyListError::Segments(segments_max)),
            [] => Ok(()),
            _ => Err(CopyListError::Length),
        }
    }
}

/// Descriptor type code of an identification descriptor copy target.
pub const IDENTIFICATION: u8 = 0xe4;
/// Descriptor type code of a block device to block device segment.
pub const BLOCK_TO_BLOCK: u8 = 0x02;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scsi::inquiry::{CodeSet, DesignatorKind};
    use std::vec::Vec;

    const UNIT: Designator<'static> =
        Designator::of_unit(CodeSet::Binary, DesignatorKind::Naa, &[0x31, 2, 3, 4, 5, 6, 7, 8]);

    fn list(targets: usize, segments: usize) -> Vec<u8> {
        let header = CopyListHeader::new(7, ListIdUsage::Discard, targets, segments);
        let mut list = header.as_bytes().to_vec();
        let target = TargetDescriptor::new(&UNIT, 4096).unwrap();
        (0..targets).for_each(|_| list.extend(target.as_bytes()));
        let segment = BlockToBlock::new((0, 5), (1, 9), 3);
        (0..segments).for_each(|_| list.extend(segment.as_bytes()));
        list
    }

    #[test]
    fn a_list_reads_back() {
        let bytes = list(2, 3);
        assert_eq!(bytes[..12], [7, 0x10, 0, 64, 0, 0, 0, 0, 0, 0, 0, 84]);
        let read = CopyList::read(&bytes, 2, 3).unwrap();
        assert_eq!((read.list_id, read.usage), (7, ListIdUsage::Discard));
        let target = read.targets().next().unwrap().target().unwrap();
        assert_eq!(target, Target { designator: UNIT, block_len: 4096 });
        let segment = read.segments().last().unwrap();
        assert_eq!((segment.source.get(), segment.destination.get()), (0, 1));
        assert_eq!((segment.source_lba.get(), segment.destination_lba.get()), (5, 9));
        assert_eq!((read.targets().len(), read.segments().len(), segment.blocks.get()), (2, 3, 3));
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        let bytes = list(1, 1);
        for len in [1, 15, 16, 16 + 31, 16 + 32, bytes.len() - 1] {
            assert_eq!(CopyList::read(&bytes[..len], 2, 2).err(), Some(CopyListError::Length), "{len}");
        }
        assert_eq!(CopyList::read(&list(3, 0), 2, 2).err(), Some(CopyListError::Targets(2)));
        assert_eq!(CopyList::read(&list(0, 3), 2, 2).err(), Some(CopyListError::Segments(2)));
        assert_eq!(CopyList::read(&list(3, 2), 2, 2).err(), Some(CopyListError::Length), "too long at all");
        let with = |at: usize, value: u8| {
            let mut bytes = list(1, 1);
            bytes[at] = value;
            CopyList::read(&bytes, 2, 2).err()
        };
        assert_eq!(with(16, 0xe0), Some(CopyListError::TargetKind(16)));
        assert_eq!(with(48, 0x03), Some(CopyListError::SegmentKind(48)));
        assert_eq!(with(51, 23), Some(CopyListError::Field(50)));
        assert_eq!(with(15, 1), Some(CopyListError::Inline));
        assert_eq!(with(1, 1 << 3), Some(CopyListError::Field(1)));
        assert_eq!(with(3, 31), Some(CopyListError::Length));
        assert_eq!(with(8, 0xff), Some(CopyListError::Length));
    }
}
