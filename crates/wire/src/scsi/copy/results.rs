//! The data of RECEIVE COPY RESULTS (SPC-4, sections 6.18 and 6.20).

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{BLOCK_TO_BLOCK, IDENTIFICATION};
use crate::{BufferTooSmall, Truncated};

codes! {
    /// COPY STATUS (SPC-4, table 252).
    pub enum CopyProgress: u8 {
        InProgress = 0, "in progress";
        Completed = 1, "completed without errors";
        Failed = 2, "completed with errors";
    }
}

/// The data of COPY STATUS: 12 bytes.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct CopyStatus {
    available: U32,
    progress: u8,
    /// SEGMENTS PROCESSED.
    pub segments: U16,
    units: u8,
    transferred: U32,
}

/// Bytes of [`CopyStatus`].
pub const COPY_STATUS_LEN: usize = 12;

/// The data of FAILED SEGMENT DETAILS before its sense data: 60 bytes (SPC-4, section 6.19).
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct CopyFailureHeader {
    available: U32,
    reserved4: [u8; 52],
    /// EXTENDED COPY COMMAND STATUS: how the copy ended.
    pub status: u8,
    reserved57: u8,
    /// SENSE DATA LENGTH.
    pub sense_len: U16,
}

/// The data of OPERATING PARAMETERS with its two descriptor type codes: 46 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct OperatingParameters {
    available: U32,
    no_list_id: u8,
    reserved5: [u8; 3],
    /// MAXIMUM CSCD DESCRIPTOR COUNT: copy targets of one command.
    pub targets_max: U16,
    /// MAXIMUM SEGMENT DESCRIPTOR COUNT.
    pub segments_max: U16,
    /// MAXIMUM DESCRIPTOR LIST LENGTH, in bytes.
    pub list_len_max: U32,
    /// MAXIMUM SEGMENT LENGTH, in bytes.
    pub segment_len_max: U32,
    inline_max: U32,
    held_max: U32,
    stream_max: U32,
    reserved32: [u8; 2],
    /// TOTAL CONCURRENT COPIES.
    pub concurrent_total: U16,
    /// MAXIMUM CONCURRENT COPIES.
    pub concurrent_max: u8,
    granularity: u8,
    inline_granularity: u8,
    held_granularity: u8,
    reserved40: [u8; 3],
    descriptors_len: u8,
    descriptors: [u8; 2],
}

impl CopyStatus {
    /// A status; more bytes than 32 bits can tell are told in KiB.
    pub fn new(progress: CopyProgress, segments: u16, bytes: u64) -> Self {
        let (units, transferred) = match u32::try_from(bytes) {
            Ok(bytes) => (0, bytes),
            Err(_) => (1, u32::try_from(bytes >> 10).unwrap_or(u32::MAX)),
        };
        Self {
            available: U32::new((COPY_STATUS_LEN - 4) as u32),
            progress: progress.code(),
            segments: U16::new(segments),
            units,
            transferred: U32::new(transferred),
        }
    }

    /// COPY STATUS, if it is not reserved.
    pub fn progress(&self) -> Option<CopyProgress> {
        CopyProgress::from_code(self.progress & 0x7f)
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

impl CopyFailureHeader {
    /// Bytes of the structure.
    pub const LEN: usize = 60;

    /// The copy ended with this status, and so many bytes of sense data follow.
    pub fn new(status: u8, sense_len: u8) -> Self {
        Self {
            available: U32::new((Self::LEN - 4) as u32 + u32::from(sense_len)),
            reserved4: [0; 52],
            status,
            reserved57: 0,
            sense_len: U16::new(sense_len.into()),
        }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 60 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

impl OperatingParameters {
    /// Bytes of the structure.
    pub const LEN: usize = 46;

    /// What a copy manager can do that copies from disk to disk and holds no data.
    pub fn new(limits: &CopyLimits) -> Self {
        let lists = usize::from(limits.targets) * super::TargetDescriptor::LEN
            + usize::from(limits.segments) * super::BlockToBlock::LEN;
        Self {
            available: U32::new((Self::LEN - 4) as u32),
            no_list_id: 1,
            reserved5: [0; 3],
            targets_max: U16::new(limits.targets),
            segments_max: U16::new(limits.segments),
            list_len_max: U32::new(lists as u32),
            segment_len_max: U32::new(limits.segment_len),
            inline_max: U32::ZERO,
            held_max: U32::ZERO,
            stream_max: U32::ZERO,
            reserved32: [0; 2],
            concurrent_total: U16::new(limits.concurrent.into()),
            concurrent_max: limits.concurrent,
            granularity: limits.granularity_power,
            inline_granularity: 0,
            held_granularity: 0,
            reserved40: [0; 3],
            descriptors_len: 2,
            descriptors: [BLOCK_TO_BLOCK, IDENTIFICATION],
        }
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 46 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// The limits of a copy manager.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopyLimits {
    /// Copy targets of one command.
    pub targets: u16,
    /// Segments of one command.
    pub segments: u16,
    /// Bytes of one segment.
    pub segment_len: u32,
    /// Copies at once.
    pub concurrent: u8,
    /// DATA SEGMENT GRANULARITY: the power of two of bytes.
    pub granularity_power: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layouts_are_the_standards() {
        let mut out = [0xff; 46];
        CopyStatus::new(CopyProgress::Completed, 2, 0x0102_0304).encode(&mut out).unwrap();
        assert_eq!(out[..12], [0, 0, 0, 8, 1, 0, 2, 0, 1, 2, 3, 4]);
        CopyStatus::new(CopyProgress::Failed, 2, 1 << 40).encode(&mut out).unwrap();
        assert_eq!(out[4..12], [2, 0, 2, 1, 0x40, 0, 0, 0]);
        let mut failure = [0xff; 60];
        CopyFailureHeader::new(2, 18).encode(&mut failure).unwrap();
        assert_eq!((&failure[..5], &failure[55..]), (&[0, 0, 0, 74, 0][..], &[0, 2, 0, 0, 18][..]));
        let limits = CopyLimits {
            targets: 2,
            segments: 1,
            segment_len: 1 << 25,
            concurrent: 9,
            granularity_power: 12,
        };
        OperatingParameters::new(&limits).encode(&mut out).unwrap();
        assert_eq!(out[..20], [0, 0, 0, 42, 1, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 92, 2, 0, 0, 0]);
        assert_eq!(out[32..], [0, 0, 0, 9, 9, 12, 0, 0, 0, 0, 0, 2, 0x02, 0xe4]);
    }
}
