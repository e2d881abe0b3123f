//! The codes: one constant and one name for each (Base 3.3.3.2.1, figures 94 to 99).

use super::{Status, StatusCodeType};

/// Declares constants of [`Status`] for one status code type, and the function that names its codes.
macro_rules! statuses {
    ( $(#[$meta:meta])* $function:ident, $kind:ident; $( $constant:ident = $code:literal, $text:literal; )+ ) => {
        impl Status {
            $( #[doc = $text] pub const $constant: Self = Self::new(StatusCodeType::$kind, $code); )+
        }

        $(#[$meta])*
        pub(super) const fn $function(code: u8) -> Option<&'static str> {
            match code {
                $( $code => Some($text), )+
                _ => None,
            }
        }
    };
}

statuses! {
    /// Names of the generic status codes (Base figures 94 and 95).
    generic_name, Generic;
    SUCCESS = 0x00, "Successful Completion";
    INVALID_OPCODE = 0x01, "Invalid Command Opcode";
    INVALID_FIELD = 0x02, "Invalid Field in Command";
    COMMAND_ID_CONFLICT = 0x03, "Command ID Conflict";
    DATA_TRANSFER_ERROR = 0x04, "Data Transfer Error";
    ABORTED_POWER_LOSS = 0x05, "Commands Aborted due to Power Loss Notification";
    INTERNAL_ERROR = 0x06, "Internal Error";
    ABORT_REQUESTED = 0x07, "Command Abort Requested";
    ABORTED_QUEUE_DELETION = 0x08, "Command Aborted due to SQ Deletion";
    ABORTED_FAILED_FUSED = 0x09, "Command Aborted due to Failed Fused Command";
    ABORTED_MISSING_FUSED = 0x0a, "Command Aborted due to Missing Fused Command";
    INVALID_NAMESPACE_OR_FORMAT = 0x0b, "Invalid Namespace or Format";
    COMMAND_SEQUENCE_ERROR = 0x0c, "Command Sequence Error";
    INVALID_SGL_SEGMENT_DESCRIPTOR = 0x0d, "Invalid SGL Segment Descriptor";
    INVALID_SGL_DESCRIPTOR_COUNT = 0x0e, "Invalid Number of SGL Descriptors";
    DATA_SGL_LENGTH_INVALID = 0x0f, "Data SGL Length Invalid";
    METADATA_SGL_LENGTH_INVALID = 0x10, "Metadata SGL Length Invalid";
    SGL_DESCRIPTOR_TYPE_INVALID = 0x11, "SGL Descriptor Type Invalid";
    INVALID_CONTROLLER_MEMORY_BUFFER = 0x12, "Invalid Use of Controller Memory Buffer";
    PRP_OFFSET_INVALID = 0x13, "PRP Offset Invalid";
    ATOMIC_WRITE_UNIT_EXCEEDED = 0x14, "Atomic Write Unit Exceeded";
    OPERATION_DENIED = 0x15, "Operation Denied";
    SGL_OFFSET_INVALID = 0x16, "SGL Offset Invalid";
    HOST_ID_INCONSISTENT_FORMAT = 0x18, "Host Identifier Inconsistent Format";
    KEEP_ALIVE_EXPIRED = 0x19, "Keep Alive Timer Expired";
    KEEP_ALIVE_TIMEOUT_INVALID = 0x1a, "Keep Alive Timeout Invalid";
    ABORTED_PREEMPT = 0x1b, "Command Aborted due to Preempt and Abort";
    SANITIZE_FAILED = 0x1c, "Sanitize Failed";
    SANITIZE_IN_PROGRESS = 0x1d, "Sanitize In Progress";
    SGL_GRANULARITY_INVALID = 0x1e, "SGL Data Block Granularity Invalid";
    COMMAND_NOT_SUPPORTED_IN_CMB = 0x1f, "Command Not Supported for Queue in CMB";
    NAMESPACE_WRITE_PROTECTED = 0x20, "Namespace is Write Protected";
    COMMAND_INTERRUPTED = 0x21, "Command Interrupted";
    TRANSIENT_TRANSPORT_ERROR = 0x22, "Transient Transport Error";
    PROHIBITED_BY_LOCKDOWN = 0x23, "Command Prohibited by Command and Feature Lockdown";
    ADMIN_COMMAND_MEDIA_NOT_READY = 0x24, "Admin Command Media Not Ready";
    LBA_OUT_OF_RANGE = 0x80, "LBA Out of Range";
    CAPACITY_EXCEEDED = 0x81, "Capacity Exceeded";
    NAMESPACE_NOT_READY = 0x82, "Namespace Not Ready";
    RESERVATION_CONFLICT = 0x83, "Reservation Conflict";
    FORMAT_IN_PROGRESS = 0x84, "Format In Progress";
}

statuses! {
    /// Names of the codes the admin and NVM commands give (Base figure 96, NVM figure 18).
    command_specific_name, CommandSpecific;
    COMPLETION_QUEUE_INVALID = 0x00, "Completion Queue Invalid";
    INVALID_QUEUE_ID = 0x01, "Invalid Queue Identifier";
    INVALID_QUEUE_SIZE = 0x02, "Invalid Queue Size";
    ABORT_LIMIT_EXCEEDED = 0x03, "Abort Command Limit Exceeded";
    ASYNC_EVENT_LIMIT_EXCEEDED = 0x05, "Asynchronous Event Request Limit Exceeded";
    INVALID_FIRMWARE_SLOT = 0x06, "Invalid Firmware Slot";
    INVALID_FIRMWARE_IMAGE = 0x07, "Invalid Firmware Image";
    INVALID_INTERRUPT_VECTOR = 0x08, "Invalid Interrupt Vector";
    INVALID_LOG_PAGE = 0x09, "Invalid Log Page";
    INVALID_FORMAT = 0x0a, "Invalid Format";
    FIRMWARE_NEEDS_CONVENTIONAL_RESET = 0x0b, "Firmware Activation Requires Conventional Reset";
    INVALID_QUEUE_DELETION = 0x0c, "Invalid Queue Deletion";
    FEATURE_NOT_SAVEABLE = 0x0d, "Feature Identifier Not Saveable";
    FEATURE_NOT_CHANGEABLE = 0x0e, "Feature Not Changeable";
    FEATURE_NOT_NAMESPACE_SPECIFIC = 0x0f, "Feature Not Namespace Specific";
    FIRMWARE_NEEDS_SUBSYSTEM_RESET = 0x10, "Firmware Activation Requires NVM Subsystem Reset";
    FIRMWARE_NEEDS_CONTROLLER_RESET = 0x11, "Firmware Activation Requires Controller Level Reset";
    FIRMWARE_MAXIMUM_TIME = 0x12, "Firmware Activation Requires Maximum Time Violation";
    FIRMWARE_PROHIBITED = 0x13, "Firmware Activation Prohibited";
    OVERLAPPING_RANGE = 0x14, "Overlapping Range";
    NAMESPACE_INSUFFICIENT_CAPACITY = 0x15, "Namespace Insufficient Capacity";
    NAMESPACE_ID_UNAVAILABLE = 0x16, "Namespace Identifier Unavailable";
    NAMESPACE_ALREADY_ATTACHED = 0x18, "Namespace Already Attached";
    NAMESPACE_IS_PRIVATE = 0x19, "Namespace Is Private";
    NAMESPACE_NOT_ATTACHED = 0x1a, "Namespace Not Attached";
    THIN_PROVISIONING_NOT_SUPPORTED = 0x1b, "Thin Provisioning Not Supported";
    CONTROLLER_LIST_INVALID = 0x1c, "Controller List Invalid";
    SELF_TEST_IN_PROGRESS = 0x1d, "Device Self-test In Progress";
    BOOT_PARTITION_WRITE_PROHIBITED = 0x1e, "Boot Partition Write Prohibited";
    INVALID_CONTROLLER_ID = 0x1f, "Invalid Controller Identifier";
    INVALID_SECONDARY_CONTROLLER_STATE = 0x20, "Invalid Secondary Controller State";
    INVALID_CONTROLLER_RESOURCES = 0x21, "Invalid Number of Controller Resources";
    INVALID_RESOURCE_ID = 0x22, "Invalid Resource Identifier";
    SANITIZE_PROHIBITED = 0x23, "Sanitize Prohibited While Persistent Memory Region is Enabled";
    ANA_GROUP_ID_INVALID = 0x24, "ANA Group Identifier Invalid";
    ANA_ATTACH_FAILED = 0x25, "ANA Attach Failed";
    INSUFFICIENT_CAPACITY = 0x26, "Insufficient Capacity";
    NAMESPACE_ATTACHMENT_LIMIT_EXCEEDED = 0x27, "Namespace Attachment Limit Exceeded";
    PROHIBITION_NOT_SUPPORTED = 0x28, "Prohibition of Command Execution Not Supported";
    COMMAND_SET_NOT_SUPPORTED = 0x29, "I/O Command Set Not Supported";
    COMMAND_SET_NOT_ENABLED = 0x2a, "I/O Command Set Not Enabled";
    COMMAND_SET_COMBINATION_REJECTED = 0x2b, "I/O Command Set Combination Rejected";
    INVALID_COMMAND_SET = 0x2c, "Invalid I/O Command Set";
    IDENTIFIER_UNAVAILABLE = 0x2d, "Identifier Unavailable";
    CONFLICTING_ATTRIBUTES = 0x80, "Conflicting Attributes";
    INVALID_PROTECTION_INFORMATION = 0x81, "Invalid Protection Information";
    WRITE_TO_READ_ONLY_RANGE = 0x82, "Attempted Write to Read Only Range";
    COMMAND_SIZE_LIMIT_EXCEEDED = 0x83, "Command Size Limit Exceeded";
}

statuses! {
    /// Names of the codes the Fabrics commands give (Base figure 97).
    fabrics_name_of_code, CommandSpecific;
    CONNECT_INCOMPATIBLE_FORMAT = 0x80, "Connect Incompatible Format";
    CONNECT_CONTROLLER_BUSY = 0x81, "Connect Controller Busy";
    CONNECT_INVALID_PARAMETERS = 0x82, "Connect Invalid Parameters";
    CONNECT_RESTART_DISCOVERY = 0x83, "Connect Restart Discovery";
    CONNECT_INVALID_HOST = 0x84, "Connect Invalid Host";
    DISCONNECT_INVALID_QUEUE_TYPE = 0x85, "Disconnect Invalid Queue Type";
    DISCOVER_RESTART = 0x90, "Discover Restart";
    AUTHENTICATION_REQUIRED = 0x91, "Authentication Required";
}

statuses! {
    /// Names of the media and data integrity errors (Base figure 98, NVM figure 19).
    media_name, MediaAndDataIntegrity;
    WRITE_FAULT = 0x80, "Write Fault";
    UNRECOVERED_READ_ERROR = 0x81, "Unrecovered Read Error";
    GUARD_CHECK_ERROR = 0x82, "End-to-end Guard Check Error";
    APPLICATION_TAG_CHECK_ERROR = 0x83, "End-to-end Application Tag Check Error";
    REFERENCE_TAG_CHECK_ERROR = 0x84, "End-to-end Reference Tag Check Error";
    COMPARE_FAILURE = 0x85, "Compare Failure";
    ACCESS_DENIED = 0x86, "Access Denied";
    DEALLOCATED_OR_UNWRITTEN_BLOCK = 0x87, "Deallocated or Unwritten Logical Block";
    STORAGE_TAG_CHECK_ERROR = 0x88, "End-to-end Storage Tag Check Error";
}

statuses! {
    /// Names of the path related codes (Base figure 99).
    path_name, PathRelated;
    INTERNAL_PATH_ERROR = 0x00, "Internal Path Error";
    ASYMMETRIC_ACCESS_PERSISTENT_LOSS = 0x01, "Asymmetric Access Persistent Loss";
    ASYMMETRIC_ACCESS_INACCESSIBLE = 0x02, "Asymmetric Access Inaccessible";
    ASYMMETRIC_ACCESS_TRANSITION = 0x03, "Asymmetric Access Transition";
    CONTROLLER_PATHING_ERROR = 0x60, "Controller Pathing Error";
    HOST_PATHING_ERROR = 0x70, "Host Pathing Error";
    ABORTED_BY_HOST = 0x71, "Command Aborted By Host";
}
