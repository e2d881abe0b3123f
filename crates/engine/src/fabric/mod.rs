//! RDMA on a shard: its devices, and the protocols that use them.
//!
//! What it is: [`Devices`], the shard's RDMA devices, one for each address of this machine that somebody uses; [`User`], which
//! protocol an event of a device is for; [`Servers`], a protocol's servers, one on each device that it listens on; and the
//! dispatch that takes events from the ones to the others.
//!
//! What it is not: it knows no protocol's messages, and nothing but [`maker`] knows what a device is made of. Everybody else has
//! a [`verbs::Device`].
//!
//! A turn of the shard: the environment's events reach the devices; each device that has something to do does it, and what it
//! tells goes to its users ([`Shard::turn_devices`](crate::Shard)); the users are polled, and post; then the devices that were
//! posted to have another go, so that what a turn asks for leaves in that turn.
//!
//! # How another protocol is put in
//!
//! 1. A variant of [`User`], with a number of its own. A target has one for all devices, an initiator one with its place, as
//!    [`Part`](crate::owners::Part) has for streams. Its [`User::owner_base`] is what its `verbs::endpoint` is made with.
//! 2. A target: [`End`] for its server, a field of [`Servers`] where its streams' server is, and [`Servers::on`] where a portal is
//!    added. That uses a device for as long as the server has a listener or a connection. An initiator:
//!    [`Devices::acquire`] when it is attached, [`Devices::release`] when it is detached, and its place in `Devices` in between; what was
//!    detached is handed to [`Devices::leave`], which lets its last words leave.
//! 3. An arm in [`dispatch`], where a device's events are handed out, and lines beside NVMe's in `Shard`'s `turn`, `deadline`,
//!    `handle_timeout`, `drain` and `check`.
//! 4. A target that streams reach, too, has its servers told apart by tags ([`Place::tag`], `nvme::target::Lanes`).
//!
//! Invariants: a device is opened when its first user comes, and closed when the last has gone and nothing of it is under way;
//! events never reach another user's endpoint; without devices a turn costs nothing.

mod device;
mod devices;
mod dispatch;
mod leaving;
mod maker;
mod servers;
mod users;

pub use device::DeviceInfo;
pub use devices::{DEVICES_MAX, Devices};
pub use maker::{DeviceError, DeviceOptions};

pub(crate) use devices::{Place, Told};
pub(crate) use leaving::Leaver;
pub(crate) use servers::{End, Servers};
pub(crate) use users::User;
