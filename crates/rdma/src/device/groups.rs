//! The device's multicast groups: each has a socket, for as long as a queue pair is a member (A17.9.1).
//!
//! What is sent to a group goes out as all else does; only what comes in needs a socket that the network sends it to.

use super::SoftDevice;
use core::net::{IpAddr, SocketAddr};
use stdx::env::{DatagramsId, Env};
use verbs::{AttachError, QpId};

/// A group with members here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    pub(super) address: IpAddr,
    pub(super) socket: DatagramsId,
    /// There may be datagrams to take.
    pub(super) is_readable: bool,
}

impl SoftDevice {
    /// See [`verbs::Provider::attach`].
    pub(super) fn join(&mut self, env: &mut dyn Env, qp: QpId, address: IpAddr) -> Result<(), AttachError> {
        if !self.core.registry.attach(qp, address)? {
            return Ok(());
        }
        let place = SocketAddr::new(address, self.core.config.port);
        match env.open_group(self.owner, place, self.core.config.address) {
            Ok(socket) => {
                self.groups.push(Group { address, socket, is_readable: true });
                Ok(())
            }
            Err(_) => {
                self.core.registry.groups.detach(qp, address)?;
                Err(AttachError::Network)
            }
        }
    }

    /// See [`verbs::Provider::detach`].
    pub(super) fn leave(&mut self, env: &mut dyn Env, qp: QpId, address: IpAddr) -> Result<(), AttachError> {
        let is_last = self.core.registry.groups.detach(qp, address)?;
        let place = self.groups.iter().position(|group| group.address == address);
        if let Some(place) = place.filter(|_| is_last) {
            env.close_datagrams(self.groups.swap_remove(place).socket);
        }
        Ok(())
    }

    /// A queue pair that is destroyed is no member any more.
    pub(super) fn leave_all(&mut self, env: &mut dyn Env, qp: QpId) {
        while let Some(group) = self.core.registry.groups.group_of(qp) {
            if self.leave(env, qp, group).is_err() {
                return;
            }
        }
    }

    /// The group's socket has something, if it is one's.
    pub(super) fn wake_group(&mut self, socket: DatagramsId) {
        if let Some(group) = self.groups.iter_mut().find(|group| group.socket == socket) {
            group.is_readable = true;
        }
    }
}
