//! The information units of SRP (T10 SRP, revision 16a, section 6; immediate data as SRP-2 adds it).
//!
//! An initiator and a target exchange information units (IUs) by SEND; the data of a command is moved by the target alone,
//! through RDMA to and from the memory that the command's descriptors name. Everything is big-endian.
//!
//! ```text
//! initiator                                target
//!    | LOGIN_REQ  (CM REQ private data) ->     |
//!    |     <- LOGIN_RSP (CM REP) or LOGIN_REJ (CM REJ)
//!    | CMD, TSK_MGMT ->                        |    each spends a request of the limit
//!    |                    RDMA READ / WRITE    |
//!    |                                 <- RSP  |    and gives requests back
//!    |     <- CRED_REQ, AER_REQ                |    each is answered by CRED_RSP, AER_RSP
//!    | I_LOGOUT ->           or   <- T_LOGOUT  |
//! ```
//!
//! Nothing here keeps state. A decoder takes the whole IU, says what it means, and refuses what its own lengths contradict;
//! [`CommandError`] says which logout reason that is.

mod command;
mod credit;
mod descriptor;
mod login;
mod login_answer;
mod logout;
mod opcode;
mod response;
mod task;

pub use command::{COMMAND_LEN, Command, CommandError, TaskAttribute};
pub use credit::{AsynchronousEvent, CreditRequest, Reply};
pub use descriptor::{DESCRIPTOR_LEN, Descriptor, DescriptorTable, INDIRECT_LEN, MemoryDescriptor};
pub use login::{BufferFormats, COMPACT_LOGIN_LEN, LOGIN_REQUEST_LEN, LoginFlags, LoginRequest, PortId};
pub use login_answer::{
    ChannelResult, LOGIN_REJECT_LEN, LOGIN_RESPONSE_LEN, LoginReject, LoginRejectReason, LoginResponse,
};
pub use logout::{InitiatorLogout, LogoutReason, TargetLogout};
pub use opcode::Opcode;
pub use response::{RESPONSE_LEN, Response, ResponseCode, ResponseFlags};
pub use task::{TASK_LEN, TaskFunction, TaskRequest};

/// The class of I/O controllers that are SRP targets as revision 16a has them (annex B.7, table B.7).
pub const IO_CLASS: u16 = 0x0100;
/// Which of that class: the committee that wrote the standard.
pub const IO_SUBCLASS: u16 = 0x609e;
/// The protocol they speak.
pub const PROTOCOL: u16 = 0x0108;
/// And in which version.
pub const PROTOCOL_VERSION: u16 = 1;

use crate::Truncated;

/// Bytes that every IU has at least: type, flags, request limit delta and tag.
pub const IU_LEN_MIN: usize = 16;

/// The type and the tag of an IU, whatever else it is.
///
/// # Errors
/// The IU is shorter than [`IU_LEN_MIN`]. An unknown type is `None`.
pub fn peek(iu: &[u8]) -> Result<(Option<Opcode>, u64), Truncated> {
    let start: &[u8; IU_LEN_MIN] =
        iu.first_chunk().ok_or(Truncated { needed: IU_LEN_MIN, available: iu.len() })?;
    let [opcode, _, _, _, _, _, _, _, tag @ ..] = *start;
    Ok((Opcode::from_code(opcode), u64::from_be_bytes(tag)))
}

/// The sender of an answer wants a solicited event at the receiver ("SOLNT").
const SOLICITED: u8 = 0x01;
