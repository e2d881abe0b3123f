//! Communication management: the datagrams that connect queue pairs (InfiniBand Architecture volume 1, chapter 12; annex
//! A11 for addresses of the Internet protocol).
//!
//! What it is: the 256 bytes of a management datagram of class ComMgt as [`Message`], each message as a type of its own.
//!
//! What it is not: it knows no connection. Which message may come when is for the room `rdma` to say.
//!
//! Invariants: private data is always as long as its message has room for; lengths that a peer claims (rejections' and
//! redirections' additional information) never reach past their field.

mod address;
mod codes;
mod connect;
mod disconnect;
mod mad;
mod migrate;
mod path;
mod resolve;

pub use address::{IpAddresses, IpHeaderError, PortSpace, ServiceId};
pub use codes::{PathStatus, RejectReason, Rejected, ResolutionStatus, Service};
pub use connect::{ConnectReply, ConnectRequest, MessageReceiptAck, ReadyToUse, Reject};
pub use disconnect::{DisconnectReply, DisconnectRequest};
pub use mad::{Attribute, CLASS, MadError, Message};
pub use migrate::{AlternatePathResponse, LoadAlternatePath};
pub use path::{Gid, Path};
pub use resolve::{ResolutionReply, ResolutionRequest};

/// Bytes of a management datagram.
pub const MAD_LEN: usize = 256;

/// Bytes of a management datagram after its header.
const BODY_LEN: usize = MAD_LEN - mad::HEADER_LEN;
