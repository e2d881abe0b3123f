//! Every byte layout: headers and PDUs as checked views and meaning types.
//!
//! What it is: for each structure that crosses the network a `repr(C)` type with the exact bytes, and beside it a small
//! type with the meaning. Bytes become a meaning only through a check; bytes that are illegal can still be printed, but
//! there is no value of the meaning type for them.
//!
//! What it is not: it knows no connection and keeps no state, it allocates nothing, and it computes no digest (callers
//! pass the CRC as a `u32`).
//!
//! Invariants: no input can make a function of this crate panic, and every encoder writes exactly the length it returns.
//!
//! - [`nvme`]: NVM Express Base 2.0, NVM Command Set 1.0, the Fabrics commands, the TCP and RDMA transports 1.0.
//! - [`roce`]: RoCEv2, InfiniBand Architecture volume 1 with annex A17; [`cm`]: its communication management.
//! - [`management`]: the datagrams of InfiniBand's general services, and device management among them.
//! - [`pcap`]: capture files, and UDP datagrams as the packets in them.
//! - [`scsi`]: SAM-5, SPC-4 and SBC-3.
//! - [`iscsi`]: RFC 7143 and RFC 7144; [`iser`]: RFC 7145; [`srp`]: T10 SRP.
//! - [`sdp`]: the Sockets Direct Protocol, InfiniBand annex A4.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[macro_use]
mod codes;
pub mod cm;
pub mod iscsi;
pub mod iser;
pub mod management;
pub mod nvme;
pub mod pcap;
pub mod roce;
pub mod scsi;
pub mod sdp;
pub mod srp;

/// The output buffer is shorter than the structure to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the buffer has {available} bytes, {needed} are needed")]
pub struct BufferTooSmall {
    /// Bytes the structure takes.
    pub needed: usize,
    /// Bytes the buffer has.
    pub available: usize,
}

/// The input ends before the structure does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the input has {available} bytes, {needed} are needed")]
pub struct Truncated {
    /// Bytes the structure takes.
    pub needed: usize,
    /// Bytes the input has.
    pub available: usize,
}

/// Copies `value` to the front of `out` and returns how many bytes that took.
pub(crate) fn put<T>(value: &T, out: &mut [u8]) -> Result<usize, BufferTooSmall>
where
    T: zerocopy::IntoBytes + zerocopy::Immutable,
{
    let bytes = value.as_bytes();
    let available = out.len();
    let Some(front) = out.get_mut(..bytes.len()) else {
        return Err(BufferTooSmall { needed: bytes.len(), available });
    };
    front.copy_from_slice(bytes);
    Ok(bytes.len())
}

/// Borrows a `T` from the front of `bytes`.
pub(crate) fn view<T>(bytes: &[u8]) -> Result<&T, Truncated>
where
    T: zerocopy::FromBytes + zerocopy::Immutable + zerocopy::KnownLayout + zerocopy::Unaligned,
{
    match T::ref_from_prefix(bytes) {
        Ok((value, _rest)) => Ok(value),
        Err(_) => Err(Truncated { needed: size_of::<T>(), available: bytes.len() }),
    }
}
