//! The attachment over RDMA: what happens when the device is at hand.
//!
//! Everything else only notes what is wanted, so that requests may be submitted while someone else has the device.

use super::{Attachment, InitiatorEvent};
use crate::iscsi::initiator::connection::Connection;
use crate::iscsi::initiator::iser::{Bearers, Carried, Link};
use crate::iscsi::initiator::session::Session;
use stdx::env::Env;
use verbs::{ConnectionEvent, Device, Event};

impl Attachment {
    /// Takes in what the device has to tell, draws the consequences, and has it do what is wanted.
    pub fn drive(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Self { sessions, link: Some(link), .. } = self else { return };
        if let Err(why) = link.poll(env, device, sessions) {
            self.lose(env, crate::iscsi::initiator::ConnectionEnd::from(why).into());
        }
        self.turn(env);
        let Self { sessions, link: Some(link), .. } = self else { return };
        link.post(env, device, sessions);
    }

    /// An event of the device for one of this attachment's owners.
    pub fn handle_device_event(&mut self, device: &mut dyn Device, event: &Event) {
        if let Some(link) = &mut self.link {
            link.handle_event(device, event);
        }
    }

    /// Something happened to a connection of this attachment's.
    pub fn handle_connection(&mut self, env: &mut dyn Env, device: &mut dyn Device, event: &ConnectionEvent) {
        if let Some(link) = &mut self.link {
            link.handle_connection(env, device, event);
        }
    }

    /// True if [`Attachment::drive`] has something to do.
    pub(super) fn wants_device(&self) -> bool {
        self.link.as_deref().is_some_and(Link::wants_device)
    }

    /// True while memory of requests that ended without an answer may be open to the target: nothing of them is told.
    pub(super) fn is_exposed(&self) -> bool {
        self.link.as_deref().is_some_and(Link::is_exposed)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<InitiatorEvent> {
        if self.is_exposed() { None } else { self.events.pop_front() }
    }

    /// True if nothing is left at the device.
    pub fn is_quiet(&self) -> bool {
        self.link.as_deref().is_none_or(Link::is_quiet)
    }

    /// Hands the connections over that the device carries. `orderly`: last words may still arrive.
    pub(super) fn leave_device(&mut self, orderly: bool) {
        let Some(link) = &mut self.link else { return };
        for (index, session) in self.sessions.drain(..).enumerate() {
            self.cmd_sns.insert(index, session.cmd_sn());
            link.leave_all(session, orderly);
        }
    }

    /// Gives back what the attachment has of the device, and the memory that the device knew.
    pub fn free(&mut self, env: &mut dyn Env, device: &mut dyn Device) {
        let Some(link) = self.link.take() else { return };
        link.free(env, device);
        self.units.unmap(env.mem());
    }
}

impl Bearers for Vec<Session> {
    fn connection(&mut self, (session, number): Carried) -> Option<&mut Connection> {
        self.get_mut(session)?.connections_mut().get_mut(number)
    }

    fn each(&mut self, act: &mut dyn FnMut(Carried, &mut Connection)) {
        for (index, session) in self.iter_mut().enumerate() {
            let connections = session.connections_mut().iter_mut().enumerate();
            connections.for_each(|(number, connection)| act((index, number), connection));
        }
    }
}
