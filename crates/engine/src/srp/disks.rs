//! Disks of SRP targets elsewhere.

use crate::OpenError;
use crate::disks::{AttachDiskError, AttachedDisk, Disks, Driven, Link, Way};
use crate::fabric::{Leaver, Told, User};
use crate::url::SrpUrl;
use crate::volumes::Spec;
use scsi::initiator::Disk;
use scsi::srp::initiator::{Failure, Initiator, InitiatorError, InitiatorEvent, InitiatorOptions};
use stdx::env::{Env, Owner};
use stdx::time::Time;
use verbs::Device;
use wire::srp::PortId;

/// The disks of SRP targets, by the names of their volumes.
pub type SrpDisks = Disks<Initiator>;

/// A disk of an SRP target.
pub type SrpDisk = AttachedDisk<Initiator>;

/// Why a disk is not attached.
pub type SrpAttachError = AttachDiskError<InitiatorError, Failure>;

impl Link for Initiator {
    type Url = SrpUrl;
    type Options = InitiatorOptions;
    type Error = InitiatorError;
    type Failure = Failure;
}

impl Driven for Initiator {
    fn user(place: u32) -> User {
        User::SrpDisk(place)
    }

    fn spec(lun: u16) -> Spec {
        Spec::SrpDisk { lun }
    }

    fn lun(url: &SrpUrl) -> Option<u16> {
        url.lun
    }

    fn way(options: &InitiatorOptions) -> Way {
        Way::Device(options.local)
    }

    fn connect(env: &mut dyn Env, owner: Owner, options: InitiatorOptions) -> Result<Self, InitiatorError> {
        Self::connect(env, owner, options)
    }

    fn disk(&self, lun: u16) -> Option<Disk> {
        self.disk(lun)
    }

    fn poll_event(&self) -> Option<InitiatorEvent> {
        self.poll_event()
    }

    fn has_events(&self) -> bool {
        self.has_events()
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline()
    }

    fn handle_timeout(&self, env: &mut dyn Env) {
        self.handle_timeout(env);
    }

    fn drive(&self, env: &mut dyn Env, device: &mut dyn Device) {
        self.drive(env, device);
    }

    fn handle_told(&self, env: &mut dyn Env, device: &mut dyn Device, told: &Told) {
        told.to_srp(env, device, self);
    }

    fn close(&self, _env: &mut dyn Env) {
        self.close();
    }

    fn into_leaver(self) -> Leaver {
        Leaver::SrpDisk(self)
    }
}

/// What a URL says, with a name of our own drawn at random where it says none.
pub fn connect_options(env: &mut dyn Env, url: &SrpUrl) -> Result<InitiatorOptions, OpenError> {
    let address = url.address().ok_or(OpenError::Unresolved)?;
    let random = PortId { extension: env.entropy(), guid: env.entropy() };
    let mut options = InitiatorOptions::new(address, url.target, url.initiator.unwrap_or(random));
    options.service = url.service;
    options.local = url.from;
    options.lun = url.lun;
    options.channels = url.channels.unwrap_or(options.channels);
    options.commands_max = url.depth.unwrap_or(options.commands_max);
    options.immediate_max = url.immediate_max.unwrap_or(options.immediate_max);
    options.piece_max = url.piece_max.or(options.piece_max);
    for (timer, time) in &url.timings {
        timer.set_srp(&mut options, *time);
    }
    Ok(options)
}
