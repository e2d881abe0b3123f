//! Disks of iSCSI targets elsewhere.

use crate::OpenError;
use crate::disks::{AttachDiskError, AttachedDisk, Disks, Driven, Link, Way};
use crate::fabric::{Leaver, Told, User};
use crate::owners::Part;
use crate::url::IscsiUrl;
use crate::volumes::Spec;
use scsi::initiator::Disk;
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{
    Failure, Initiator, InitiatorError, InitiatorEvent, InitiatorOptions, Transport,
};
use scsi::iscsi::login::DigestPolicy;
use scsi::iscsi::login::chap::ChapOptions;
use stdx::env::{Env, Event, Owner};
use stdx::time::Time;
use verbs::Device;

/// The disks of iSCSI targets, by the names of their volumes.
pub type IscsiDisks = Disks<Initiator>;

/// A disk of an iSCSI target.
pub type IscsiDisk = AttachedDisk<Initiator>;

/// Why a disk is not attached.
pub type IscsiAttachError = AttachDiskError<InitiatorError, Failure>;

impl Link for Initiator {
    type Url = IscsiUrl;
    type Options = InitiatorOptions;
    type Error = InitiatorError;
    type Failure = Failure;
}

impl Driven for Initiator {
    fn user(place: u32) -> User {
        User::Initiator(place)
    }

    fn stream_owner(place: u32) -> Owner {
        Part::Initiator(place).owner()
    }

    fn spec(lun: u16) -> Spec {
        Spec::Disk { lun }
    }

    fn lun(url: &IscsiUrl) -> Option<u16> {
        url.lun
    }

    fn way(options: &InitiatorOptions) -> Way {
        match options.transport {
            Transport::Tcp => Way::Stream,
            Transport::Rdma => Way::Device(options.local),
        }
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

    fn handle_event(&self, env: &mut dyn Env, event: &Event) {
        self.handle_event(env, event);
    }

    fn drive(&self, env: &mut dyn Env, device: &mut dyn Device) {
        self.drive(env, device);
    }

    fn handle_told(&self, env: &mut dyn Env, device: &mut dyn Device, told: &Told) {
        told.to_initiator(env, device, self);
    }

    fn flush(&self, env: &mut dyn Env) {
        self.flush(env);
    }

    fn close(&self, env: &mut dyn Env) {
        self.close(env);
    }

    fn into_leaver(self) -> Leaver {
        Leaver::Initiator(self)
    }
}

/// What a URL says, with this program's own name where it says nothing.
pub fn connect_options(url: &IscsiUrl) -> Result<InitiatorOptions, OpenError> {
    options_for(url, url.target.as_deref().ok_or(OpenError::NoTarget)?)
}

/// The same for asking the portal which targets it knows.
pub fn portal_options(url: &IscsiUrl) -> Result<InitiatorOptions, OpenError> {
    options_for(url, url.target.as_deref().unwrap_or(DEFAULT_INITIATOR))
}

fn options_for(url: &IscsiUrl, target: &str) -> Result<InitiatorOptions, OpenError> {
    let address = url.address().ok_or(OpenError::Unresolved)?;
    let parse = |text: &str| IscsiName::parse(text).map_err(OpenError::from);
    let target = parse(target)?;
    let initiator = parse(url.initiator.as_deref().unwrap_or(DEFAULT_INITIATOR))?;
    let mut options = InitiatorOptions::new(address, target, initiator);
    (options.transport, options.local) = (url.transport, url.from);
    options.lun = url.lun;
    options.chap = url.credentials.as_ref().map(|own| {
        let mutual = url.target_credentials.as_ref();
        ChapOptions {
            mutual: mutual.map(|peer| (Some(peer.user.clone()), peer.secret.0.clone())),
            ..ChapOptions::one_way(own.user.clone(), own.secret.0.clone())
        }
    });
    let digest = |wanted: bool| if wanted { DigestPolicy::Required } else { DigestPolicy::Allowed };
    options.header_digest = digest(url.header_digest);
    options.data_digest = digest(url.data_digest);
    options.sessions = url.sessions.unwrap_or(options.sessions);
    options.connections = url.connections.unwrap_or(options.connections);
    options.commands_max = url.depth.unwrap_or(options.commands_max);
    options.error_recovery_level = url.error_recovery_level.unwrap_or(options.error_recovery_level);
    options.alias = url.alias.clone().unwrap_or_default();
    options.isid = url.isid;
    for (timer, time) in &url.timings {
        timer.set(&mut options, *time);
    }
    Ok(options)
}

/// Who we are if nothing else is said.
const DEFAULT_INITIATOR: &str = "iqn.2026-01.org.weft:initiator";
