//! Opcodes of the admin, NVM and Fabrics command sets (Base figures 138 and 390, NVM figure 21).

codes! {
    /// Opcodes of the admin command set.
    pub enum AdminOpcode: u8 {
        DeleteIoSubmissionQueue = 0x00, "Delete I/O Submission Queue";
        CreateIoSubmissionQueue = 0x01, "Create I/O Submission Queue";
        GetLogPage = 0x02, "Get Log Page";
        DeleteIoCompletionQueue = 0x04, "Delete I/O Completion Queue";
        CreateIoCompletionQueue = 0x05, "Create I/O Completion Queue";
        Identify = 0x06, "Identify";
        Abort = 0x08, "Abort";
        SetFeatures = 0x09, "Set Features";
        GetFeatures = 0x0a, "Get Features";
        AsynchronousEventRequest = 0x0c, "Asynchronous Event Request";
        NamespaceManagement = 0x0d, "Namespace Management";
        FirmwareCommit = 0x10, "Firmware Commit";
        FirmwareImageDownload = 0x11, "Firmware Image Download";
        DeviceSelfTest = 0x14, "Device Self-test";
        NamespaceAttachment = 0x15, "Namespace Attachment";
        KeepAlive = 0x18, "Keep Alive";
        DirectiveSend = 0x19, "Directive Send";
        DirectiveReceive = 0x1a, "Directive Receive";
        VirtualizationManagement = 0x1c, "Virtualization Management";
        ManagementInterfaceSend = 0x1d, "NVMe-MI Send";
        ManagementInterfaceReceive = 0x1e, "NVMe-MI Receive";
        CapacityManagement = 0x20, "Capacity Management";
        Lockdown = 0x24, "Lockdown";
        DoorbellBufferConfig = 0x7c, "Doorbell Buffer Config";
        Fabrics = 0x7f, "Fabrics";
        FormatNvm = 0x80, "Format NVM";
        SecuritySend = 0x81, "Security Send";
        SecurityReceive = 0x82, "Security Receive";
        Sanitize = 0x84, "Sanitize";
        GetLbaStatus = 0x86, "Get LBA Status";
    }
}

codes! {
    /// Opcodes of the NVM command set, with the I/O commands every set has.
    pub enum NvmOpcode: u8 {
        Flush = 0x00, "Flush";
        Write = 0x01, "Write";
        Read = 0x02, "Read";
        WriteUncorrectable = 0x04, "Write Uncorrectable";
        Compare = 0x05, "Compare";
        WriteZeroes = 0x08, "Write Zeroes";
        DatasetManagement = 0x09, "Dataset Management";
        Verify = 0x0c, "Verify";
        ReservationRegister = 0x0d, "Reservation Register";
        ReservationReport = 0x0e, "Reservation Report";
        ReservationAcquire = 0x11, "Reservation Acquire";
        ReservationRelease = 0x15, "Reservation Release";
        Copy = 0x19, "Copy";
        Fabrics = 0x7f, "Fabrics";
    }
}

codes! {
    /// Types of the Fabrics command; the opcode is [`FABRICS_OPCODE`] (Base figure 390).
    pub enum FabricsCommandType: u8 {
        PropertySet = 0x00, "Property Set";
        Connect = 0x01, "Connect";
        PropertyGet = 0x04, "Property Get";
        AuthenticationSend = 0x05, "Authentication Send";
        AuthenticationReceive = 0x06, "Authentication Receive";
        Disconnect = 0x08, "Disconnect";
    }
}

/// The opcode of every Fabrics command, on admin and I/O queues alike.
pub const FABRICS_OPCODE: u8 = 0x7f;

/// Which way the data of a command goes, as bits 1:0 of its opcode say (Base figure 138).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataTransfer {
    /// No data.
    None,
    /// From host to controller.
    HostToController,
    /// From controller to host.
    ControllerToHost,
    /// Both ways.
    Bidirectional,
}

impl DataTransfer {
    /// The direction of the data of `opcode`; for a Fabrics command pass the command type instead.
    pub const fn of_opcode(opcode: u8) -> Self {
        match opcode & 3 {
            0 => Self::None,
            1 => Self::HostToController,
            2 => Self::ControllerToHost,
            _ => Self::Bidirectional,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_values_are_each_others_inverse() {
        for opcode in AdminOpcode::ALL {
            assert_eq!(AdminOpcode::from_code(opcode.code()), Some(*opcode));
        }
        for opcode in NvmOpcode::ALL {
            assert_eq!(NvmOpcode::from_code(opcode.code()), Some(*opcode));
        }
        assert_eq!(NvmOpcode::from_code(0x03), None);
        assert_eq!(AdminOpcode::from_code(0xc0), None);
        assert_eq!(FabricsCommandType::from_code(0x02), None);
    }

    #[test]
    fn direction_follows_the_low_bits() {
        assert_eq!(DataTransfer::of_opcode(NvmOpcode::Write.code()), DataTransfer::HostToController);
        assert_eq!(DataTransfer::of_opcode(NvmOpcode::Read.code()), DataTransfer::ControllerToHost);
        assert_eq!(DataTransfer::of_opcode(NvmOpcode::Flush.code()), DataTransfer::None);
        assert_eq!(
            DataTransfer::of_opcode(FabricsCommandType::Connect.code()),
            DataTransfer::HostToController
        );
    }
}
