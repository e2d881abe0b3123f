//! What a PDU is, and who sends it (RFC 7143, section 11.2.1.2).

codes! {
    /// Operation codes: the low six bits of a PDU's first byte.
    pub enum Opcode: u8 {
        NopOut = 0x00, "NOP-Out";
        ScsiCommand = 0x01, "SCSI Command";
        TaskRequest = 0x02, "Task Management Function Request";
        LoginRequest = 0x03, "Login Request";
        TextRequest = 0x04, "Text Request";
        DataOut = 0x05, "SCSI Data-Out";
        LogoutRequest = 0x06, "Logout Request";
        Snack = 0x10, "SNACK Request";
        NopIn = 0x20, "NOP-In";
        ScsiResponse = 0x21, "SCSI Response";
        TaskResponse = 0x22, "Task Management Function Response";
        LoginResponse = 0x23, "Login Response";
        TextResponse = 0x24, "Text Response";
        DataIn = 0x25, "SCSI Data-In";
        LogoutResponse = 0x26, "Logout Response";
        R2t = 0x31, "Ready To Transfer";
        AsyncMessage = 0x32, "Asynchronous Message";
        Reject = 0x3f, "Reject";
    }
}

/// The side that reads a PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// The target reads what the initiator sends.
    Target,
    /// The initiator reads what the target sends.
    Initiator,
}

impl Opcode {
    /// Who receives PDUs of this type.
    pub const fn receiver(self) -> Receiver {
        if self.code() & TO_INITIATOR == 0 { Receiver::Target } else { Receiver::Initiator }
    }

    /// Whether additional headers may follow: only a command has use for them.
    pub const fn may_have_additional_headers(self) -> bool {
        matches!(self, Self::ScsiCommand)
    }

    /// Whether such a PDU takes its place in the order of commands unless it is immediate (section 4.2.2.1).
    pub const fn is_numbered(self) -> bool {
        match self {
            Self::NopOut
            | Self::ScsiCommand
            | Self::TaskRequest
            | Self::TextRequest
            | Self::LogoutRequest => true,
            // A login's CmdSN begins the order; it does not take part in it.
            Self::LoginRequest | Self::DataOut | Self::Snack => false,
            Self::NopIn
            | Self::ScsiResponse
            | Self::TaskResponse
            | Self::LoginResponse
            | Self::TextResponse
            | Self::DataIn
            | Self::LogoutResponse
            | Self::R2t
            | Self::AsyncMessage
            | Self::Reject => false,
        }
    }
}

/// The bit that tells the target's operation codes from the initiator's.
const TO_INITIATOR: u8 = 0x20;
