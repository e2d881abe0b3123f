//! The SCSI command set over volumes, and the transports that carry it, as target and as initiator.
//!
//! `target` is SAM-5's target device: logical units, task sets, commands; it knows no transport. `initiator` is what all
//! initiators share: disks, and requests for them; it knows none either. `iscsi` is RFC 7143 for both ends, `srp` T10's SRP.
//! Layouts of bytes are `wire`'s.

#![forbid(unsafe_code)]

pub mod initiator;
pub mod iscsi;
pub mod srp;
pub mod target;
