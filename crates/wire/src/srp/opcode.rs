//! The types of information units (section 6.1).

codes! {
    /// What an information unit is.
    pub enum Opcode: u8 {
        LoginRequest = 0x00, "SRP_LOGIN_REQ";
        TaskManagement = 0x01, "SRP_TSK_MGMT";
        Command = 0x02, "SRP_CMD";
        InitiatorLogout = 0x03, "SRP_I_LOGOUT";
        CreditResponse = 0x41, "SRP_CRED_RSP";
        AsynchronousEventResponse = 0x42, "SRP_AER_RSP";
        TargetLogout = 0x80, "SRP_T_LOGOUT";
        CreditRequest = 0x81, "SRP_CRED_REQ";
        AsynchronousEventRequest = 0x82, "SRP_AER_REQ";
        LoginResponse = 0xc0, "SRP_LOGIN_RSP";
        Response = 0xc1, "SRP_RSP";
        LoginReject = 0xc2, "SRP_LOGIN_REJ";
    }
}

impl Opcode {
    /// Whether an initiator sends it; otherwise a target does.
    pub const fn is_from_initiator(self) -> bool {
        self.code() & 0x80 == 0
    }
}
