//! RoCEv2: InfiniBand's transport headers in UDP datagrams (InfiniBand Architecture volume 1, chapter 9; annex A17).
//!
//! What it is: the datagram's headers as meaning types, and the bytes its invariant CRC is computed over.
//!
//! What it is not: it knows no queue pair. Whether a header may come now is for the room `rdma` to say, and it computes no
//! CRC: [`icrc`] says which bytes go in.
//!
//! Invariants: a header decodes only if the whole datagram is as long as its opcode says; what decodes encodes to the
//! same bytes, but for reserved bits, which are sent as zero.

mod aeth;
mod bth;
mod extension;
mod grh;
pub mod icrc;
mod opcode;
mod packet;
mod psn;

pub use aeth::{Acknowledge, Nak, RnrTimer, Syndrome};
pub use bth::Bth;
pub use extension::{AtomicEth, Deth, Extension, Reth};
pub use grh::Grh;
pub use opcode::{Action, Opcode, Position, Shape, Transport};
pub use packet::{Headers, PacketError, pad_len};
pub use psn::Psn;

/// The UDP port that RoCEv2 listens on (A17.3.1).
pub const PORT: u16 = 4791;

/// Bytes of the base transport header.
pub const BTH_LEN: usize = 12;

/// Bytes of the invariant CRC, which ends every datagram.
pub const ICRC_LEN: usize = 4;

/// Bytes of the longest run of headers: BTH and an AtomicETH.
pub const HEADERS_LEN_MAX: usize = BTH_LEN + 28;

/// The partition every port belongs to, with full membership (10.9.1).
pub const DEFAULT_PARTITION_KEY: u16 = 0xffff;

/// The queue pair that management datagrams of the general services go to (chapter 13).
pub const GENERAL_SERVICES_QPN: u32 = 1;

/// The Q_Key of [`GENERAL_SERVICES_QPN`] (10.2.5).
pub const GENERAL_SERVICES_Q_KEY: u32 = 0x8001_0000;

/// The destination that stands for every member of a multicast group.
pub const MULTICAST_QPN: u32 = 0xff_ffff;

/// The low 24 bits of a big-endian field of three bytes.
pub(crate) fn read_u24(bytes: [u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

/// The low 24 bits of `value` as a big-endian field of three bytes.
pub(crate) fn write_u24(value: u32) -> [u8; 3] {
    let [_, bytes @ ..] = value.to_be_bytes();
    bytes
}
