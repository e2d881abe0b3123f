//! A shard: volumes, the targets that serve them and the hosts that use others', over one [`stdx::env::Env`],
//! reconfigured while it runs.
//!
//! A [`Shard`] is a function of what its environment tells it: it makes no system call, reads no clock and spawns no
//! thread. Other threads reach it through a [`Handle`]. Nothing here knows JSON or a command line.

#![forbid(unsafe_code)]

mod discoveries;
pub mod disks;
mod ending;
pub mod fabric;
mod handle;
mod hosts;
pub mod iscsi;
mod keys;
mod limits;
mod named;
mod nvmf;
mod open;
mod owners;
mod records;
mod shard;
pub mod size;
pub mod srp;
mod turn;
pub mod url;
pub mod volumes;

pub use discoveries::{Discoveries, Found, Watched};
pub use handle::{CALLS_MAX, Call, CallError, Handle};
pub use hosts::{AttachError, Attached, Hosts};
pub use keys::{Encrypted, EncryptionError, Keys};
pub use limits::Limits;
pub use nvmf::{ListenError, NamespaceError};
pub use open::{OpenError, Opening};
pub use shard::Shard;
pub use volumes::{Change, FileSpec, KeySource, Spec, VolumeError, Volumes};
