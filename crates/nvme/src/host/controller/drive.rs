//! The association over RDMA: what happens when the device is at hand.
//!
//! Everything else only notes what is wanted, so that requests may be submitted while someone else has the device.

use super::Controller;
use crate::host::rdma::{Link, Queues};
use stdx::env::Env;
use verbs::{ConnectionEvent, Device, Event};

impl Controller {
    /// Takes in what the device has to tell, draws the consequences, and has it do what is wanted.
    pub fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Self { admin, io, link: Some(link), .. } = self else { return };
        let polled = link.poll(env, device, &mut Queues { admin: admin.as_mut(), io });
        if let Err(why) = polled {
            self.lose(env, why.into());
        }
        self.turn(env);
        let Self { admin, io, link: Some(link), .. } = self else { return };
        link.post(env, device, &mut Queues { admin: admin.as_mut(), io });
    }

    /// An event of the device for one of this association's owners.
    pub fn handle_device_event(&mut self, device: &mut dyn Device, event: &Event) {
        if let Some(link) = &mut self.link {
            link.handle_event(device, event);
        }
    }

    /// Something happened to a connection of this association's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        if let Some(link) = &mut self.link {
            link.handle_connection(env, device, event);
        }
    }

    /// True if [`Controller::drive`] has something to do.
    pub(super) fn wants_device(&self) -> bool {
        self.link.as_deref().is_some_and(Link::wants_device)
    }

    /// True while memory of requests that ended without an answer may be open to the controller: nothing of them is told.
    pub fn is_exposed(&self) -> bool {
        self.link.as_deref().is_some_and(Link::is_exposed)
    }

    /// True if nothing is left at the device.
    pub fn is_quiet(&self) -> bool {
        self.link.as_deref().is_none_or(Link::is_quiet)
    }

    /// Gives back what the association has of the device, and the memory that the device knew.
    pub fn free(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Some(link) = self.link.take() else { return };
        link.free(env, device);
        self.unmap(env);
    }
}
