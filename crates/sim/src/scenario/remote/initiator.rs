//! An initiator on a device, whichever transport it speaks.

use super::super::disks::Disks;
use crate::env::NodeEnv;
use scsi::iscsi::initiator as iscsi;
use scsi::srp::initiator as srp;
use stdx::env::Owner;
use stdx::time::Time;
use verbs::{ConnectionEvent, Device, Event};

/// What an initiator is told before it connects.
#[derive(Clone, Debug)]
pub(in super::super) enum Options {
    Srp(Box<srp::InitiatorOptions>),
    Iser(Box<iscsi::InitiatorOptions>),
}

/// See the module.
pub(super) enum Remote {
    Srp(srp::Initiator),
    Iser(iscsi::Initiator),
}

impl Remote {
    pub(super) fn connect(env: &mut NodeEnv, owner: Owner, options: &Options) -> Self {
        match options {
            Options::Srp(options) => {
                Self::Srp(srp::Initiator::connect(env, owner, (**options).clone()).expect("memory"))
            }
            Options::Iser(options) => {
                Self::Iser(iscsi::Initiator::connect(env, owner, (**options).clone()).expect("memory"))
            }
        }
    }

    pub(super) fn drive(&self, env: &mut NodeEnv, device: &mut dyn Device) {
        match self {
            Self::Srp(initiator) => initiator.drive(env, device),
            Self::Iser(initiator) => {
                initiator.flush(env);
                initiator.drive(env, device);
            }
        }
    }

    pub(super) fn handle_device_event(&self, device: &mut dyn Device, event: &Event) {
        match self {
            Self::Srp(initiator) => initiator.handle_device_event(device, event),
            Self::Iser(initiator) => initiator.handle_device_event(device, event),
        }
    }

    pub(super) fn handle_connection(
        &self,
        env: &mut NodeEnv,
        device: &mut dyn Device,
        event: &ConnectionEvent,
    ) {
        match self {
            Self::Srp(initiator) => initiator.handle_connection(env, device, event),
            Self::Iser(initiator) => initiator.handle_connection(env, device, event),
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        match self {
            Self::Srp(initiator) => initiator.deadline(),
            Self::Iser(initiator) => initiator.deadline(),
        }
    }

    pub(super) fn handle_timeout(&self, env: &mut NodeEnv) {
        match self {
            Self::Srp(initiator) => initiator.handle_timeout(env),
            Self::Iser(initiator) => initiator.handle_timeout(env),
        }
    }

    pub(super) fn has_events(&self) -> bool {
        match self {
            Self::Srp(initiator) => initiator.has_events(),
            Self::Iser(initiator) => initiator.has_events(),
        }
    }

    /// Tells what happened to the disks.
    pub(super) fn tell(&self, disks: &mut Disks) {
        match self {
            Self::Srp(initiator) => {
                while let Some(event) = initiator.poll_event() {
                    disks.handle(&event, |lun| initiator.disk(lun));
                }
            }
            Self::Iser(initiator) => {
                while let Some(event) = initiator.poll_event() {
                    disks.handle(&event, |lun| initiator.disk(lun));
                }
            }
        }
    }

    pub(super) fn is_live(&self) -> bool {
        match self {
            Self::Srp(initiator) => initiator.is_live(),
            Self::Iser(initiator) => initiator.is_live(),
        }
    }

    pub(super) fn check(&self) {
        match self {
            Self::Srp(initiator) => initiator.check(),
            Self::Iser(initiator) => initiator.check(),
        }
    }

    pub(super) fn close(&self, env: &mut NodeEnv) {
        match self {
            Self::Srp(initiator) => initiator.close(),
            Self::Iser(initiator) => initiator.close(env),
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Srp(initiator) => initiator.is_quiet(),
            Self::Iser(initiator) => initiator.is_quiet(),
        }
    }

    pub(super) fn free(&self, env: &mut NodeEnv, device: &mut dyn Device) {
        match self {
            Self::Srp(initiator) => initiator.free(env, device),
            Self::Iser(initiator) => initiator.free(env, device),
        }
    }
}
