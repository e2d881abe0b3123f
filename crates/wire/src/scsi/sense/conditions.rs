//! The conditions a disk has, by their names in SPC-4 (annex F.2).

use super::{Sense, SenseKey};

/// Sense keys are joined with additional sense codes as SPC-4, SAM-5 and SBC-3 do where they name the condition.
#[allow(missing_docs, reason = "the names are the standard's own")]
impl Sense {
    pub const NO_ADDITIONAL_INFORMATION: Self = Self::new(SenseKey::NoSense, 0x00, 0x00);

    pub const CAUSE_NOT_REPORTABLE: Self = Self::new(SenseKey::NotReady, 0x04, 0x00);
    pub const BECOMING_READY: Self = Self::new(SenseKey::NotReady, 0x04, 0x01);
    pub const INITIALIZING_COMMAND_REQUIRED: Self = Self::new(SenseKey::NotReady, 0x04, 0x02);
    pub const FORMAT_IN_PROGRESS: Self = Self::new(SenseKey::NotReady, 0x04, 0x04);
    pub const ASYMMETRIC_ACCESS_TRANSITION: Self = Self::new(SenseKey::NotReady, 0x04, 0x0a);
    pub const TARGET_PORT_IN_STANDBY: Self = Self::new(SenseKey::NotReady, 0x04, 0x0b);
    pub const TARGET_PORT_UNAVAILABLE: Self = Self::new(SenseKey::NotReady, 0x04, 0x0c);
    pub const SANITIZE_IN_PROGRESS: Self = Self::new(SenseKey::NotReady, 0x04, 0x1b);
    pub const MEDIUM_NOT_PRESENT: Self = Self::new(SenseKey::NotReady, 0x3a, 0x00);

    pub const WRITE_ERROR: Self = Self::new(SenseKey::MediumError, 0x0c, 0x00);
    pub const UNRECOVERED_READ_ERROR: Self = Self::new(SenseKey::MediumError, 0x11, 0x00);
    pub const MEDIUM_FORMAT_CORRUPTED: Self = Self::new(SenseKey::MediumError, 0x31, 0x00);
    pub const FORMAT_COMMAND_FAILED: Self = Self::new(SenseKey::MediumError, 0x31, 0x01);
    pub const SANITIZE_FAILED: Self = Self::new(SenseKey::MediumError, 0x31, 0x03);

    pub const INTERNAL_TARGET_FAILURE: Self = Self::new(SenseKey::HardwareError, 0x44, 0x00);

    pub const PARAMETER_LIST_LENGTH: Self = Self::new(SenseKey::IllegalRequest, 0x1a, 0x00);
    pub const INVALID_OPERATION_CODE: Self = Self::new(SenseKey::IllegalRequest, 0x20, 0x00);
    pub const INVALID_FIELD_IN_INFORMATION_UNIT: Self = Self::new(SenseKey::IllegalRequest, 0x0e, 0x03);
    pub const LBA_OUT_OF_RANGE: Self = Self::new(SenseKey::IllegalRequest, 0x21, 0x00);
    pub const INVALID_FIELD_IN_CDB: Self = Self::new(SenseKey::IllegalRequest, 0x24, 0x00);
    pub const LOGICAL_UNIT_NOT_SUPPORTED: Self = Self::new(SenseKey::IllegalRequest, 0x25, 0x00);
    pub const INVALID_FIELD_IN_PARAMETER_LIST: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x00);
    pub const TOO_MANY_TARGET_DESCRIPTORS: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x06);
    pub const UNSUPPORTED_TARGET_DESCRIPTOR: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x07);
    pub const TOO_MANY_SEGMENT_DESCRIPTORS: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x08);
    pub const UNSUPPORTED_SEGMENT_DESCRIPTOR: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x09);
    pub const INLINE_DATA_LENGTH_EXCEEDED: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x0b);
    pub const OPERATION_IN_PROGRESS: Self = Self::new(SenseKey::IllegalRequest, 0x00, 0x16);
    pub const INVALID_RELEASE_OF_RESERVATION: Self = Self::new(SenseKey::IllegalRequest, 0x26, 0x04);
    pub const SAVING_NOT_SUPPORTED: Self = Self::new(SenseKey::IllegalRequest, 0x39, 0x00);
    pub const INVALID_MESSAGE: Self = Self::new(SenseKey::IllegalRequest, 0x49, 0x00);
    pub const MEDIUM_REMOVAL_PREVENTED: Self = Self::new(SenseKey::IllegalRequest, 0x53, 0x02);
    pub const INSUFFICIENT_REGISTRATION_RESOURCES: Self = Self::new(SenseKey::IllegalRequest, 0x55, 0x04);

    pub const POWER_ON: Self = Self::new(SenseKey::UnitAttention, 0x29, 0x00);
    pub const BUS_DEVICE_RESET: Self = Self::new(SenseKey::UnitAttention, 0x29, 0x03);
    pub const NEXUS_LOSS: Self = Self::new(SenseKey::UnitAttention, 0x29, 0x07);
    pub const MODE_PARAMETERS_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x2a, 0x01);
    pub const RESERVATIONS_PREEMPTED: Self = Self::new(SenseKey::UnitAttention, 0x2a, 0x03);
    pub const RESERVATIONS_RELEASED: Self = Self::new(SenseKey::UnitAttention, 0x2a, 0x04);
    pub const REGISTRATIONS_PREEMPTED: Self = Self::new(SenseKey::UnitAttention, 0x2a, 0x05);
    pub const ASYMMETRIC_ACCESS_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x2a, 0x06);
    pub const CAPACITY_DATA_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x2a, 0x09);
    pub const COMMANDS_CLEARED: Self = Self::new(SenseKey::UnitAttention, 0x2f, 0x00);
    pub const SPACE_ALLOCATION_THRESHOLD: Self = Self::new(SenseKey::UnitAttention, 0x38, 0x07);
    pub const INQUIRY_DATA_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x3f, 0x03);
    pub const REPORTED_LUNS_CHANGED: Self = Self::new(SenseKey::UnitAttention, 0x3f, 0x0e);

    pub const WRITE_PROTECTED: Self = Self::new(SenseKey::DataProtect, 0x27, 0x00);
    pub const SOFTWARE_WRITE_PROTECTED: Self = Self::new(SenseKey::DataProtect, 0x27, 0x02);
    pub const SPACE_ALLOCATION_FAILED: Self = Self::new(SenseKey::DataProtect, 0x27, 0x07);

    pub const COPY_ABORTED: Self = Self::new(SenseKey::CopyAborted, 0x00, 0x00);
    pub const UNREACHABLE_COPY_TARGET: Self = Self::new(SenseKey::CopyAborted, 0x08, 0x04);
    pub const THIRD_PARTY_DEVICE_FAILURE: Self = Self::new(SenseKey::CopyAborted, 0x0d, 0x01);
    pub const COPY_TARGET_NOT_REACHABLE: Self = Self::new(SenseKey::CopyAborted, 0x0d, 0x02);
    pub const INCORRECT_COPY_TARGET_DEVICE_TYPE: Self = Self::new(SenseKey::CopyAborted, 0x0d, 0x03);
    pub const UNEXPECTED_INEXACT_SEGMENT: Self = Self::new(SenseKey::CopyAborted, 0x26, 0x0a);

    pub const COMMAND_TIMEOUT: Self = Self::new(SenseKey::AbortedCommand, 0x2e, 0x02);
    pub const DATA_PHASE_ERROR: Self = Self::new(SenseKey::AbortedCommand, 0x4b, 0x00);
    pub const COMMAND_ABORTED: Self = Self::new(SenseKey::AbortedCommand, 0x00, 0x00);

    pub const MISCOMPARE_DURING_VERIFY: Self = Self::new(SenseKey::Miscompare, 0x1d, 0x00);
}
