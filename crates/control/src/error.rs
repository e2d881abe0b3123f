//! What a call can fail with: a code and a message, as SPDK's clients expect them.
//!
//! JSON-RPC 2.0 section 5.1 reserves -32768 to -32000. SPDK uses the remaining numbers for errnos, negated, with the
//! operating system's text as the message; a script tells `-17` (exists) from `-19` (no such device) by the number.

use serde::Serialize;

/// The error member of a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// One of the codes of JSON-RPC 2.0, or an errno, negated.
    pub code: i32,
    /// One line for a person. Never holds a secret, nor a value of the request.
    pub message: String,
}

impl RpcError {
    /// The bytes are no JSON.
    pub const PARSE_ERROR: i32 = -32700;
    /// The JSON is no request.
    pub const INVALID_REQUEST: i32 = -32600;
    /// There is no such method.
    pub const METHOD_NOT_FOUND: i32 = -32601;
    /// The parameters are not those of the method.
    pub const INVALID_PARAMS: i32 = -32602;
    /// The server is at fault, or is shutting down.
    pub const INTERNAL_ERROR: i32 = -32603;

    /// The bytes are no JSON, or can no longer be cut into values.
    pub fn parse(detail: impl std::fmt::Display) -> Self {
        Self { code: Self::PARSE_ERROR, message: format!("Parse error: {detail}") }
    }

    /// The JSON is no request.
    pub fn invalid_request(detail: impl std::fmt::Display) -> Self {
        Self { code: Self::INVALID_REQUEST, message: format!("Invalid request: {detail}") }
    }

    /// There is no such method.
    pub fn method_not_found() -> Self {
        Self { code: Self::METHOD_NOT_FOUND, message: "Method not found".to_owned() }
    }

    /// The parameters do not fit the method.
    pub fn invalid_params(detail: impl std::fmt::Display) -> Self {
        Self { code: Self::INVALID_PARAMS, message: format!("Invalid parameters: {detail}") }
    }

    /// The server is at fault, or is shutting down.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        Self { code: Self::INTERNAL_ERROR, message: format!("Internal error: {detail}") }
    }
}

/// The errnos that methods answer with, by Linux's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Errno {
    /// EPERM: not allowed.
    NotPermitted = 1,
    /// ENOENT: no such thing.
    NoEntry = 2,
    /// EIO: the device or the remote end failed.
    Io = 5,
    /// EAGAIN: out of something that comes back.
    Again = 11,
    /// ENOMEM: out of a limit.
    NoMemory = 12,
    /// EACCES: the operating system refuses.
    Access = 13,
    /// EBUSY: in use.
    Busy = 16,
    /// EEXIST: the name is taken.
    Exists = 17,
    /// ENODEV: no volume of that name.
    NoDevice = 19,
    /// EINVAL: a value makes no sense.
    Invalid = 22,
    /// ENOSPC: no room left.
    NoSpace = 28,
    /// EOPNOTSUPP: legal, but not offered here.
    NotSupported = 95,
    /// EADDRINUSE: somebody listens there already.
    AddressInUse = 98,
    /// EADDRNOTAVAIL: this machine does not have that address.
    AddressNotAvailable = 99,
    /// ETIMEDOUT: no answer in time.
    TimedOut = 110,
    /// ECONNREFUSED: nobody listens there.
    ConnectionRefused = 111,
}

impl Errno {
    /// This errno with a detail for the person who called.
    pub fn because(self, detail: impl std::fmt::Display) -> RpcError {
        RpcError { code: -(self as i32), message: format!("{}: {detail}", self.text()) }
    }

    fn text(self) -> &'static str {
        match self {
            Errno::NotPermitted => "Operation not permitted",
            Errno::NoEntry => "No such file or directory",
            Errno::Io => "Input/output error",
            Errno::Again => "Resource temporarily unavailable",
            Errno::NoMemory => "Cannot allocate memory",
            Errno::Access => "Permission denied",
            Errno::Busy => "Device or resource busy",
            Errno::Exists => "File exists",
            Errno::NoDevice => "No such device",
            Errno::Invalid => "Invalid argument",
            Errno::NoSpace => "No space left on device",
            Errno::NotSupported => "Operation not supported",
            Errno::AddressInUse => "Address already in use",
            Errno::AddressNotAvailable => "Cannot assign requested address",
            Errno::TimedOut => "Connection timed out",
            Errno::ConnectionRefused => "Connection refused",
        }
    }
}

impl From<Errno> for RpcError {
    fn from(errno: Errno) -> Self {
        Self { code: -(errno as i32), message: errno.text().to_owned() }
    }
}
