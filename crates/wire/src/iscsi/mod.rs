//! The protocol data units of iSCSI (RFC 7143, section 11, with the functions RFC 7144 adds).
//!
//! A PDU is a basic header of 48 bytes (BHS), additional header segments (AHS), and data; each of header and data may be
//! followed by a CRC32C. All is padded to multiples of four bytes, and everything is big-endian but the digests.
//!
//! ```text
//! 0     48           +4n      +4 if HeaderDigest      +DataSegmentLength   to 4    +4 if DataDigest
//! | BHS  | AHS ...    | digest                 | data                  | pad   | digest            |
//! ```
//!
//! Reading: take 48 bytes, [`Bhs::check`] them against what this side of this connection accepts ([`HeaderRules`]) and get
//! a [`PduLayout`]; take the rest of the header, compare its digest, decode the one type it says. Writing: `encode` gives a
//! header for so many bytes of data; the owner adds digests and padding where the layout says.
//!
//! Nothing here keeps state: sequence numbers are compared by [`Serial`], but whose turn it is the session knows.

mod ahs;
mod asynchronous;
mod bhs;
mod command;
mod data;
mod error;
mod login;
mod logout;
mod nop;
mod opcode;
mod ready;
mod reject;
mod response;
mod serial;
mod snack;
mod task;
mod text;

pub use ahs::{AdditionalHeaders, AhsType};
pub use asynchronous::{AsyncEvent, AsyncMessage};
pub use bhs::{Bhs, Digests, HeaderRules, PduLayout, padding};
pub use command::{ScsiCommand, TaskAttributeCode};
pub use data::{DataIn, DataInStatus, DataOut};
pub use error::HeaderError;
pub use login::{Isid, LoginRequest, LoginResponse, LoginStatus, Stage, VERSION};
pub use logout::{LogoutReason, LogoutRequest, LogoutResponse, LogoutResult};
pub use nop::{NopIn, NopOut};
pub use opcode::{Opcode, Receiver};
pub use ready::R2t;
pub use reject::{Reject, RejectReason};
pub use response::{Residual, ScsiResponse, ServiceResponse};
pub use serial::{Numbers, Serial};
pub use snack::{Snack, SnackType};
pub use task::{TaskFunction, TaskRequest, TaskResponse, TaskResult};
pub use text::{TextRequest, TextResponse};

/// The TCP port of iSCSI targets.
pub const PORT: u16 = 3260;

/// Bytes of the basic header.
pub const BHS_LEN: usize = 48;

/// The most bytes additional headers can have (TotalAHSLength counts words in one byte).
pub const AHS_LEN_MAX: usize = 255 * 4;

/// Bytes of a digest.
pub const DIGEST_LEN: usize = 4;

/// The longest header with its digest.
pub const HEADER_SPAN_MAX: usize = BHS_LEN + AHS_LEN_MAX + DIGEST_LEN;

/// The tag that names nothing (FFFFFFFFh), for either side.
pub const RESERVED_TAG: u32 = u32::MAX;

/// The data segment every side takes before it has declared another (MaxRecvDataSegmentLength, section 13.12), in bytes;
/// during login it is never more.
pub const LOGIN_DATA_MAX: u32 = 8192;
