//! What connects a shard with a target's disks.

use crate::fabric::{Leaver, Told, User};
use crate::volumes::Spec;
use core::fmt::Display;
use core::net::IpAddr;
use scsi::initiator::{Disk, InitiatorEvent};
use stdx::env::{Env, Event, Owner};
use stdx::time::Time;
use verbs::Device;

/// An initiator: of iSCSI, [`scsi::iscsi::initiator::Initiator`], or of SRP, [`scsi::srp::initiator::Initiator`].
pub trait Link: Sized {
    /// What names a disk.
    type Url: Clone;
    /// How to reach its target.
    type Options;
    /// What is wrong with options.
    type Error: Display;
    /// Why a target is lost for good.
    type Failure: Clone + Display;
}

/// What it is reached over.
pub(crate) enum Way {
    /// A stream.
    Stream,
    /// The RDMA device at this address of this machine.
    Device(Option<IpAddr>),
}

/// How [`Disks`](super::Disks) use it. What each call does is told where the initiators are.
pub(crate) trait Driven: Link {
    /// Who it is to devices.
    fn user(place: u32) -> User;
    /// Whose its streams are; of one that has none, nobody's.
    fn stream_owner(_place: u32) -> Owner {
        Owner(0)
    }
    /// How its volume was made.
    fn spec(lun: u16) -> Spec;
    /// The logical unit that a URL names.
    fn lun(url: &Self::Url) -> Option<u16>;
    /// What it is to be reached over.
    fn way(options: &Self::Options) -> Way;
    fn connect(env: &mut dyn Env, owner: Owner, options: Self::Options) -> Result<Self, Self::Error>;
    fn disk(&self, lun: u16) -> Option<Disk>;
    fn poll_event(&self) -> Option<InitiatorEvent<Self::Failure>>;
    fn has_events(&self) -> bool;
    fn deadline(&self) -> Option<Time>;
    fn handle_timeout(&self, env: &mut dyn Env);
    fn handle_event(&self, _env: &mut dyn Env, _event: &Event) {}
    fn drive(&self, env: &mut dyn Env, device: &mut dyn Device);
    fn handle_told(&self, env: &mut dyn Env, device: &mut dyn Device, told: &Told);
    fn flush(&self, _env: &mut dyn Env) {}
    fn close(&self, env: &mut dyn Env);
    /// Once it is closed: what stays of it on its device for a while.
    fn into_leaver(self) -> Leaver;
}
