//! The status field of a completion (Base 3.3.3.2.1, figure 93).
//!
//! A [`Status`] is any 15 bits, because a peer may send any: known ones have a constant and a name, the rest print as
//! numbers. The tables of codes are in `table`.

mod table;

use core::fmt;

/// A status: type, code, and the three fields that say how to go on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Status(u16);

codes! {
    /// Status code type (SCT).
    pub enum StatusCodeType: u8 {
        Generic = 0x0, "Generic Command Status";
        CommandSpecific = 0x1, "Command Specific Status";
        MediaAndDataIntegrity = 0x2, "Media and Data Integrity Errors";
        PathRelated = 0x3, "Path Related Status";
        VendorSpecific = 0x7, "Vendor Specific";
    }
}

impl Status {
    /// The status with this type and code, no retry advice.
    pub const fn new(kind: StatusCodeType, code: u8) -> Self {
        Self((kind as u16) << TYPE_SHIFT | code as u16)
    }

    /// Reads the 16-bit field of a completion, dropping the phase tag in bit 0.
    pub const fn from_wire(field: u16) -> Self {
        Self(field >> 1)
    }

    /// The 16-bit field of a completion, phase tag zero.
    pub const fn to_wire(self) -> u16 {
        self.0 << 1
    }

    /// Whether the command succeeded.
    pub const fn is_success(self) -> bool {
        self.0 & (TYPE_MASK | CODE_MASK) == 0
    }

    /// Status code type, `None` if the three bits are a reserved value.
    pub const fn code_type(self) -> Option<StatusCodeType> {
        StatusCodeType::from_code(self.code_type_bits())
    }

    /// The three bits of the status code type.
    pub const fn code_type_bits(self) -> u8 {
        ((self.0 & TYPE_MASK) >> TYPE_SHIFT) as u8
    }

    /// Status code (SC).
    pub const fn code(self) -> u8 {
        (self.0 & CODE_MASK) as u8
    }

    /// Whether trying again is known to be useless (DNR).
    pub const fn do_not_retry(self) -> bool {
        self.0 & DO_NOT_RETRY != 0
    }

    /// Whether the error log has more to say (M).
    pub const fn more(self) -> bool {
        self.0 & MORE != 0
    }

    /// Which of the controller's three retry delays to wait (CRD); 0 is none.
    pub const fn retry_delay(self) -> u8 {
        ((self.0 & RETRY_DELAY_MASK) >> RETRY_DELAY_SHIFT) as u8
    }

    /// The same status with "do not retry".
    pub const fn with_do_not_retry(self) -> Self {
        Self(self.0 | DO_NOT_RETRY)
    }

    /// The same status with "more in the error log".
    pub const fn with_more(self) -> Self {
        Self(self.0 | MORE)
    }

    /// The same status with a retry delay index; only its low two bits exist.
    pub const fn with_retry_delay(self, index: u8) -> Self {
        Self(self.0 & !RETRY_DELAY_MASK | (index as u16 & 3) << RETRY_DELAY_SHIFT)
    }

    /// Type and code alone: what two statuses are compared by.
    pub const fn kind(self) -> Self {
        Self(self.0 & (TYPE_MASK | CODE_MASK))
    }

    /// The standard's name of a status that an admin or NVM command gave.
    pub const fn name(self) -> Option<&'static str> {
        match self.code_type() {
            Some(StatusCodeType::Generic) => table::generic_name(self.code()),
            Some(StatusCodeType::CommandSpecific) => table::command_specific_name(self.code()),
            Some(StatusCodeType::MediaAndDataIntegrity) => table::media_name(self.code()),
            Some(StatusCodeType::PathRelated) => table::path_name(self.code()),
            Some(StatusCodeType::VendorSpecific) | None => None,
        }
    }

    /// The standard's name of a status that a Fabrics command gave: its specific codes reuse the NVM ones' numbers.
    pub const fn fabrics_name(self) -> Option<&'static str> {
        match self.code_type() {
            Some(StatusCodeType::CommandSpecific) => table::fabrics_name_of_code(self.code()),
            Some(
                StatusCodeType::Generic
                | StatusCodeType::MediaAndDataIntegrity
                | StatusCodeType::PathRelated
                | StatusCodeType::VendorSpecific,
            )
            | None => self.name(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name)?,
            None => f.write_str("status")?,
        }
        write!(f, " ({:x}h/{:02x}h", self.code_type_bits(), self.code())?;
        if self.retry_delay() != 0 {
            write!(f, ", retry delay {}", self.retry_delay())?;
        }
        if self.more() {
            f.write_str(", more")?;
        }
        if self.do_not_retry() {
            f.write_str(", do not retry")?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status[{self}]")
    }
}

const CODE_MASK: u16 = 0x00ff;
const TYPE_MASK: u16 = 0x0700;
const TYPE_SHIFT: u16 = 8;
const RETRY_DELAY_MASK: u16 = 0x1800;
const RETRY_DELAY_SHIFT: u16 = 11;
const MORE: u16 = 0x2000;
const DO_NOT_RETRY: u16 = 0x4000;

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn every_field_has_its_bits() {
        let status = Status::COMPARE_FAILURE.with_do_not_retry().with_more().with_retry_delay(2);
        assert_eq!(status.to_wire(), 0xe50a);
        assert_eq!(Status::from_wire(0xe50b), status, "the phase tag is no part of the status");
        assert_eq!(status.code_type(), Some(StatusCodeType::MediaAndDataIntegrity));
        assert_eq!((status.code(), status.retry_delay()), (0x85, 2));
        assert!(status.more() && status.do_not_retry() && !status.is_success());
        assert_eq!(status.kind(), Status::COMPARE_FAILURE);
    }

    #[test]
    fn names_depend_on_who_answers() {
        let status = Status::CONNECT_INVALID_PARAMETERS;
        assert_eq!(status, Status::WRITE_TO_READ_ONLY_RANGE);
        assert_eq!(status.fabrics_name(), Some("Connect Invalid Parameters"));
        assert_eq!(status.name(), Some("Attempted Write to Read Only Range"));
        assert_eq!(Status::LBA_OUT_OF_RANGE.fabrics_name(), Some("LBA Out of Range"));
    }

    #[test]
    fn unknown_codes_print_as_numbers() {
        let odd = Status::from_wire(0x0bfe);
        assert_eq!(odd.code_type(), None);
        assert_eq!(odd.to_string(), "status (5h/ffh)");
        let known = Status::INVALID_FIELD.with_do_not_retry();
        assert_eq!(known.to_string(), "Invalid Field in Command (0h/02h, do not retry)");
    }
}
