//! Sense data: what happened, as a meaning. `format` is its two encodings, `conditions` names those a disk has.

mod conditions;
mod format;

/// What happened (SPC-4, section 4.5). Its fixed and descriptor forms are encodings of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sense {
    /// The kind.
    pub key: SenseKey,
    /// Additional sense code.
    pub code: u8,
    /// Additional sense code qualifier.
    pub qualifier: u8,
    /// INFORMATION: the block, or the offset, it is about.
    pub information: Option<u64>,
    /// Sense key specific information.
    pub specific: Option<Specific>,
    /// It is about a command that ended before (response codes 71h and 73h).
    pub deferred: bool,
    /// To be told in the descriptor form; in the fixed one otherwise (D_SENSE of the Control mode page).
    pub descriptor: bool,
}

/// Sense key specific information (SPC-4, section 4.5.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Specific {
    /// The field that is wrong.
    Field {
        /// In the CDB; in the parameter data otherwise.
        in_cdb: bool,
        /// The byte, counted from zero.
        byte: u16,
        /// The field's left-most bit in that byte, if that says more.
        bit: Option<u8>,
    },
    /// How much is done, of 65,536 parts.
    Progress(u16),
    /// There are more unit attention conditions than can be queued.
    AttentionOverflow(bool),
}

impl Sense {
    /// Sense data without particulars, in fixed form.
    pub const fn new(key: SenseKey, code: u8, qualifier: u8) -> Self {
        let (information, specific) = (None, None);
        Self { key, code, qualifier, information, specific, deferred: false, descriptor: false }
    }

    /// The same about this block, or offset.
    #[must_use]
    pub const fn with_information(self, information: u64) -> Self {
        Self { information: Some(information), ..self }
    }

    /// The same about a byte of the CDB.
    #[must_use]
    pub const fn at_cdb_byte(self, byte: u16) -> Self {
        Self { specific: Some(Specific::Field { in_cdb: true, byte, bit: None }), ..self }
    }

    /// The same about the field of the CDB whose left-most bit this is.
    #[must_use]
    pub const fn at_cdb_bit(self, byte: u16, bit: u8) -> Self {
        Self { specific: Some(Specific::Field { in_cdb: true, byte, bit: Some(bit) }), ..self }
    }

    /// The same about a byte of the parameter data.
    #[must_use]
    pub const fn at_parameter_byte(self, byte: u16) -> Self {
        Self { specific: Some(Specific::Field { in_cdb: false, byte, bit: None }), ..self }
    }

    /// The same about the field of the parameter data whose left-most bit this is.
    #[must_use]
    pub const fn at_parameter_bit(self, byte: u16, bit: u8) -> Self {
        Self { specific: Some(Specific::Field { in_cdb: false, byte, bit: Some(bit) }), ..self }
    }

    /// True if the two say the same but for their particulars.
    pub const fn is(&self, other: &Self) -> bool {
        self.key as u8 == other.key as u8 && self.code == other.code && self.qualifier == other.qualifier
    }
}

/// Sense keys (SPC-4, table 48).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the standard's own")]
pub enum SenseKey {
    NoSense = 0x0,
    RecoveredError = 0x1,
    NotReady = 0x2,
    MediumError = 0x3,
    HardwareError = 0x4,
    IllegalRequest = 0x5,
    UnitAttention = 0x6,
    DataProtect = 0x7,
    BlankCheck = 0x8,
    CopyAborted = 0xa,
    AbortedCommand = 0xb,
    VolumeOverflow = 0xd,
    Miscompare = 0xe,
    Completed = 0xf,
}

impl SenseKey {
    /// The key with this code; `None` for vendor specific and reserved ones.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x0 => Self::NoSense,
            0x1 => Self::RecoveredError,
            0x2 => Self::NotReady,
            0x3 => Self::MediumError,
            0x4 => Self::HardwareError,
            0x5 => Self::IllegalRequest,
            0x6 => Self::UnitAttention,
            0x7 => Self::DataProtect,
            0x8 => Self::BlankCheck,
            0xa => Self::CopyAborted,
            0xb => Self::AbortedCommand,
            0xd => Self::VolumeOverflow,
            0xe => Self::Miscompare,
            0xf => Self::Completed,
            _ => return None,
        })
    }
}
