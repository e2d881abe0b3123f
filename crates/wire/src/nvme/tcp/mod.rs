//! The protocol data units of NVMe/TCP (TCP Transport 1.0, section 3.6).
//!
//! A PDU is a header that begins with the same eight bytes, an optional header digest, padding, data, and an optional
//! data digest:
//!
//! ```text
//! 0      8          HLEN      +4 if HDGSTF   PDO                    PLEN-4      PLEN
//! | CH   | PSH       | HDGST   | pad          | data                 | DDGST     |
//! ```
//!
//! Reading: take eight bytes, [`CommonHeader::check`] them against what this side of this connection accepts
//! ([`HeaderRules`]) and get a [`PduLayout`]; take the header's remaining bytes, compare the digest
//! ([`PduLayout::verify_header`]), decode the one type it says. Writing: `encode` lays out a header and returns its
//! layout, [`PduLayout::seal`] adds digest and padding.
//!
//! Nothing here keeps state: whether a PDU is expected now is told by the rules, whether data is inside what was asked
//! for by [`H2cData::check_within`] and [`C2hData::check_within`].

mod capsule;
mod check;
mod data;
mod error;
mod header;
mod initialize;
mod terminate;

pub use capsule::{CapsuleCmd, CapsuleResp};
pub use check::{HeaderRules, Phase, Receiver};
pub use data::{C2hData, H2cData, R2t};
pub use error::{FatalError, FatalErrorStatus, HeaderError, HeaderField};
pub use header::{CommonHeader, DataAlignment, Digests, Flags, PduLayout, PduType};
pub use initialize::{IcReq, IcResp, MAX_H2C_DATA_MIN};
pub use terminate::{TERMINATE_LEN_MAX, TermReq};

/// The TCP port of NVMe subsystems.
pub const PORT_NVME: u16 = 4420;

/// The TCP port of discovery services.
pub const PORT_DISCOVERY: u16 = 8009;

/// Bytes of a digest.
pub const DIGEST_LEN: usize = 4;

/// The longest header with its digest and the padding to the widest alignment: no PDU's data begins later.
pub const HEADER_SPAN_MAX: usize = 128;

/// In-capsule data every controller takes on the admin queue (TCP Transport 3.3.2).
pub const ADMIN_IN_CAPSULE_MAX: u32 = 8192;
