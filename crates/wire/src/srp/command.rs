//! SRP_CMD (section 6.8): a SCSI command and where its data lies.

use super::{Descriptor, LogoutReason, Opcode};
use crate::scsi::Lun;
use crate::{BufferTooSmall, put, view};
use zerocopy::big_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes before additional CDB bytes and descriptors.
pub const COMMAND_LEN: usize = 48;

codes! {
    /// How a command takes its place in the task set.
    pub enum TaskAttribute: u8 {
        Simple = 0, "SIMPLE";
        HeadOfQueue = 1, "HEAD OF QUEUE";
        Ordered = 2, "ORDERED";
        Aca = 4, "ACA";
    }
}

/// A SCSI command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// The initiator's name for it.
    pub tag: u64,
    /// The logical unit.
    pub lun: Lun,
    /// The code of its place in the task set; see [`TaskAttribute`].
    pub attribute: u8,
    /// The first 16 bytes of the command descriptor block.
    pub cdb: [u8; 16],
    /// The rest of it, a multiple of four bytes.
    pub additional_cdb: &'a [u8],
    /// Where the data to the device lies.
    pub data_out: Descriptor<'a>,
    /// Where the data from the device belongs.
    pub data_in: Descriptor<'a>,
    /// A solicited event is wanted with a response of status GOOD.
    pub solicit_success: bool,
    /// A solicited event is wanted with any other response.
    pub solicit_failure: bool,
}

/// A command that cannot be understood. The standard lets the target end the channel and names the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The unit ends before what it announces.
    #[error("the command is shorter than it says")]
    Truncated,
    /// The data-out descriptor has a format of no meaning.
    #[error("the format of the data-out buffer descriptor is unknown")]
    DataOutFormat,
    /// The data-in descriptor has a format of no meaning.
    #[error("the format of the data-in buffer descriptor is unknown")]
    DataInFormat,
    /// The data-out table has another size than the count says.
    #[error("the count of data-out descriptors does not fit")]
    DataOutCount,
    /// The data-in table has another size than the count says.
    #[error("the count of data-in descriptors does not fit")]
    DataInCount,
}

/// One of a command's two directions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Out,
    In,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Layout {
    opcode: u8,
    solicited: u8,
    reserved_1: [u8; 3],
    formats: u8,
    data_out_count: u8,
    data_in_count: u8,
    tag: U64,
    reserved_2: [u8; 4],
    lun: [u8; 8],
    reserved_3: u8,
    attribute: u8,
    reserved_4: u8,
    additional_cdb_len: u8,
    cdb: [u8; 16],
}

impl CommandError {
    /// What a target logout says of it.
    pub const fn reason(self) -> LogoutReason {
        match self {
            Self::Truncated => LogoutReason::Unspecified,
            Self::DataOutFormat => LogoutReason::DataOutFormat,
            Self::DataInFormat => LogoutReason::DataInFormat,
            Self::DataOutCount => LogoutReason::DataOutCount,
            Self::DataInCount => LogoutReason::DataInCount,
        }
    }
}

impl Side {
    pub(super) const fn format_error(self) -> CommandError {
        match self {
            Self::Out => CommandError::DataOutFormat,
            Self::In => CommandError::DataInFormat,
        }
    }

    pub(super) const fn count_error(self) -> CommandError {
        match self {
            Self::Out => CommandError::DataOutCount,
            Self::In => CommandError::DataInCount,
        }
    }
}

impl<'a> Command<'a> {
    /// Reads an IU of this type.
    ///
    /// # Errors
    /// Its lengths, formats or counts contradict each other.
    pub fn decode(iu: &'a [u8]) -> Result<Self, CommandError> {
        let layout: &Layout = view(iu).map_err(|_| CommandError::Truncated)?;
        let rest = &iu[COMMAND_LEN..];
        let additional_len = usize::from(layout.additional_cdb_len & !UNIT_BITS);
        let (additional_cdb, mut rest) =
            rest.split_at_checked(additional_len).ok_or(CommandError::Truncated)?;
        let data_out = Descriptor::take(Side::Out, layout.formats >> 4, layout.data_out_count, &mut rest)?;
        let data_in = Descriptor::take(Side::In, layout.formats & 0xf, layout.data_in_count, &mut rest)?;
        Ok(Self {
            tag: layout.tag.get(),
            lun: Lun(layout.lun),
            attribute: layout.attribute & ATTRIBUTE,
            cdb: layout.cdb,
            additional_cdb,
            data_out,
            data_in,
            solicit_success: layout.solicited & SOLICIT_SUCCESS != 0,
            solicit_failure: layout.solicited & SOLICIT_FAILURE != 0,
        })
    }

    /// Writes the unit and returns its length; immediate data is the caller's to put behind it.
    ///
    /// # Errors
    /// It does not fit.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let available = out.len();
        let mut at = put(&self.layout(), out)?;
        let needed = at + self.additional_cdb.len();
        let additional = out.get_mut(at..needed).ok_or(BufferTooSmall { needed, available })?;
        additional.copy_from_slice(self.additional_cdb);
        at = needed;
        at += self.data_out.put(&mut out[at..])?;
        at += self.data_in.put(&mut out[at..])?;
        Ok(at)
    }

    fn layout(&self) -> Layout {
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        Layout {
            opcode: Opcode::Command.code(),
            solicited: flag(self.solicit_success, SOLICIT_SUCCESS)
                | flag(self.solicit_failure, SOLICIT_FAILURE),
            reserved_1: [0; 3],
            formats: self.data_out.format() << 4 | self.data_in.format(),
            data_out_count: self.data_out.count() as u8,
            data_in_count: self.data_in.count() as u8,
            tag: U64::new(self.tag),
            reserved_2: [0; 4],
            lun: self.lun.0,
            reserved_3: 0,
            attribute: self.attribute,
            reserved_4: 0,
            additional_cdb_len: self.additional_cdb.len() as u8 & !UNIT_BITS,
            cdb: self.cdb,
        }
    }
}

/// The additional CDB's length is counted in words, from bit 2 on: without the lowest bits it is a count of bytes.
const UNIT_BITS: u8 = 0x03;
const ATTRIBUTE: u8 = 0x07;
const SOLICIT_SUCCESS: u8 = 0x02;
const SOLICIT_FAILURE: u8 = 0x04;
