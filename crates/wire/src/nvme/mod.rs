//! NVM Express: commands, completions, the structures they carry, and the capsules of NVMe over Fabrics.
//!
//! Sections named in this folder are those of the NVM Express Base Specification 2.0, the NVM Command Set Specification
//! 1.0, and the TCP and RDMA Transport Specifications 1.0. Integers are little-endian, except inside EUI64, NGUID and UUID.

pub mod admin;
pub mod aer;
pub mod command;
pub mod completion;
pub mod copy;
pub mod dsm;
pub mod fabrics;
pub mod features;
pub mod identify;
pub mod log;
pub mod nqn;
pub mod nvm;
pub mod opcode;
pub mod rdma;
pub mod reservation;
pub mod sgl;
pub mod status;
pub mod tcp;

pub use command::{Fuse, SubmissionQueueEntry};
pub use completion::CompletionQueueEntry;
pub use nqn::Nqn;
pub use opcode::{AdminOpcode, FABRICS_OPCODE, FabricsCommandType, NvmOpcode};
pub use sgl::{Sgl, SglDescriptor, SglError};
pub use status::{Status, StatusCodeType};

/// The namespace identifier that stands for every namespace (Base 3.2.1.2).
pub const NAMESPACE_ALL: u32 = 0xffff_ffff;

/// The controller identifier with which a host asks the dynamic controller model for any controller (Fabrics 3.3).
pub const CONTROLLER_ANY: u16 = 0xffff;

/// The largest controller identifier a controller may have; those above are reserved (Base 5.17.2.1).
pub const CONTROLLER_ID_MAX: u16 = 0xffef;
