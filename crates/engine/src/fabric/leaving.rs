//! Initiators that were let go, for as long as their last words are under way.

use super::{Devices, Place, Told, User};
use nvme::host::{Discovery, Host};
use scsi::iscsi::initiator::Initiator;
use scsi::srp::initiator::Initiator as SrpInitiator;
use stdx::env::Env;
use stdx::time::{Time, earliest};
use verbs::Device;

/// One that was closed, and is freed once its device is done with it.
pub(crate) enum Leaver {
    /// A remote controller.
    Host(Host),
    /// A discovery service.
    Discovery(Discovery),
    /// A remote iSCSI target.
    Initiator(Initiator),
    /// An SRP target.
    SrpDisk(SrpInitiator),
}

/// See the module.
pub(super) struct Leaving {
    user: User,
    place: Place,
    who: Leaver,
}

impl Devices {
    /// Takes a closed initiator. Its device is used until it is gone, and its number as a user taken.
    pub(crate) fn leave(&mut self, user: User, place: Place, who: Leaver) {
        self.retain(place);
        self.leaving.push(Leaving { user, place, who });
    }

    /// Whether a user of that number has not gone yet.
    pub(crate) fn is_leaving(&self, user: User) -> bool {
        self.leaving.iter().any(|leaving| leaving.user == user)
    }

    /// Whether anybody's last words are under way.
    pub fn has_leavers(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// Lets them do what there is to do, and go.
    pub(crate) fn drive_leavers(&mut self, env: &mut dyn Env) {
        for index in (0..self.leaving.len()).rev() {
            let leaving = self.leaving.swap_remove(index);
            let place = leaving.place;
            let Some(device) = self.get(place) else { continue };
            leaving.who.drive(env, device);
            if leaving.who.is_quiet() {
                leaving.who.free(env, device);
                self.release(place);
            } else {
                self.leaving.push(leaving);
            }
        }
    }

    /// Something happened to a user, if it is one of these. False if it is not.
    pub(super) fn handle_leaver(&mut self, env: &mut dyn Env, user: User, told: &Told) -> bool {
        let Some(index) = self.leaving.iter().position(|leaving| leaving.user == user) else { return false };
        let leaving = self.leaving.swap_remove(index);
        if let Some(device) = self.get(leaving.place) {
            leaving.who.handle(env, device, told);
        }
        self.leaving.push(leaving);
        true
    }

    /// When one of them has something to do.
    pub(super) fn leavers_deadline(&self) -> Option<Time> {
        self.leaving.iter().map(|leaving| leaving.who.deadline()).fold(None, earliest)
    }
}

impl Leaver {
    fn drive(&self, env: &mut dyn Env, device: &mut dyn Device) {
        match self {
            Self::Host(host) => host.drive(env, device),
            Self::Discovery(discovery) => discovery.host().drive(env, device),
            Self::Initiator(initiator) => initiator.drive(env, device),
            Self::SrpDisk(initiator) => initiator.drive(env, device),
        }
    }

    fn handle(&self, env: &mut dyn Env, device: &mut dyn Device, told: &Told) {
        match self {
            Self::Host(host) => told.to_host(env, device, host),
            Self::Discovery(discovery) => told.to_host(env, device, discovery.host()),
            Self::Initiator(initiator) => told.to_initiator(env, device, initiator),
            Self::SrpDisk(initiator) => told.to_srp(env, device, initiator),
        }
    }

    fn is_quiet(&self) -> bool {
        match self {
            Self::Host(host) => host.is_quiet(),
            Self::Discovery(discovery) => discovery.host().is_quiet(),
            Self::Initiator(initiator) => initiator.is_quiet(),
            Self::SrpDisk(initiator) => initiator.is_quiet(),
        }
    }

    fn deadline(&self) -> Option<Time> {
        match self {
            Self::Host(host) => host.deadline(),
            Self::Discovery(discovery) => discovery.host().deadline(),
            Self::Initiator(initiator) => initiator.deadline(),
            Self::SrpDisk(initiator) => initiator.deadline(),
        }
    }

    fn free(self, env: &mut dyn Env, device: &mut dyn Device) {
        match self {
            Self::Host(host) => host.free(env, device),
            Self::Discovery(discovery) => discovery.free(env, device),
            Self::Initiator(initiator) => initiator.free(env, device),
            Self::SrpDisk(initiator) => initiator.free(env, device),
        }
    }
}

impl Told {
    /// Tells it to a host.
    pub(crate) fn to_host(&self, env: &mut dyn Env, device: &mut dyn Device, host: &Host) {
        match self {
            Self::Event(event) => host.handle_device_event(device, event),
            Self::Connection(event) => host.handle_connection(env, device, event),
        }
    }

    /// Tells it to an initiator.
    pub(crate) fn to_initiator(&self, env: &mut dyn Env, device: &mut dyn Device, initiator: &Initiator) {
        match self {
            Self::Event(event) => initiator.handle_device_event(device, event),
            Self::Connection(event) => initiator.handle_connection(env, device, event),
        }
    }

    /// Tells it to an SRP initiator.
    pub(crate) fn to_srp(&self, env: &mut dyn Env, device: &mut dyn Device, initiator: &SrpInitiator) {
        match self {
            Self::Event(event) => initiator.handle_device_event(device, event),
            Self::Connection(event) => initiator.handle_connection(env, device, event),
        }
    }
}
