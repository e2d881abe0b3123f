//! A host that comes back: Connect of an admin queue by a host that has an association by the same path, or whose last one
//! left changes that volumes still work on.
//!
//! The standard has hosts wait before they send anew what a lost association may still carry out (Base 2.1, communication
//! loss handling); those there are do not. A target that takes the old connection for alive would carry out what lies in
//! it after what came by the new one: an old write over a newer. So an association ends when its host connects anew, and
//! Connect is answered when nothing of the old one can change a block any more.
//!
//! Only the same path counts: host name, host identifier, subsystem, portal, and both addresses. Hosts with several paths
//! have as many associations, and nobody has two by the same path but by order (`nvme connect -D`), which is not served:
//! the later takes the place of the earlier.

use super::super::{Connected, Refusal, Target};
use super::connect::{Caller, refused};
use super::{Arrival, Controller};
use stdx::env::Env;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use wire::nvme::Status;
use wire::nvme::fabrics::HostId;

impl Target {
    /// Answers Connect of an admin queue, or has the caller wait.
    pub(super) fn connect_or_wait(
        &mut self,
        env: &mut dyn Env,
        caller: Caller,
    ) -> Option<Result<Connected, Refusal>> {
        for key in self.associations_before(&caller) {
            self.end_controller(key);
        }
        if !self.must_wait(&caller) {
            return Some(self.connect_admin(env, &caller));
        }
        if self.comebacks.len() >= COMEBACKS_MAX {
            return Some(Err(refused(Status::CONNECT_CONTROLLER_BUSY)));
        }
        self.comebacks.push(caller);
        None
    }

    /// The answer to a Connect that had to wait, and its connection.
    pub fn poll_connected(&mut self, env: &mut dyn Env) -> Option<(Key, Result<Connected, Refusal>)> {
        let place = self.comebacks.iter().position(|caller| !self.must_wait(caller))?;
        let caller = self.comebacks.remove(place);
        let reachable = self.subsystems.get(caller.subsystem).is_some();
        let outcome = if reachable { self.connect_admin(env, &caller) } else { Err(refused(GONE)) };
        Some((caller.connection, outcome))
    }

    /// The connection of a Connect that waits is gone.
    pub fn forget_connect(&mut self, connection: Key) {
        self.comebacks.retain(|caller| caller.connection != connection);
    }

    fn must_wait(&self, caller: &Caller) -> bool {
        !self.associations_before(caller).is_empty() || self.is_changing_for(caller.host_id)
    }

    /// The controllers that the caller had by the same path.
    fn associations_before(&self, caller: &Caller) -> Vec<Key> {
        if planted(Bug::OldAssociationKept) {
            return Vec::new();
        }
        let of_caller = |controller: &Controller| {
            !controller.discovery
                && controller.subsystem == caller.subsystem
                && controller.host == caller.host
                && controller.host_id == caller.host_id
                && is_same_path(&controller.arrival, &caller.arrival)
        };
        let before = self.controllers.iter().filter(|(_, controller)| of_caller(controller));
        before.map(|(key, _)| key).collect()
    }

    /// Whether a volume still works on changes that this host asked for by a connection it has lost. What it sends by the
    /// next one, the same changes again among it, must not be overtaken by those.
    fn is_changing_for(&self, host_id: HostId) -> bool {
        self.outstanding.iter().any(|(_, one)| {
            let lost = one.given_up.is_some() || self.controllers.get(one.controller).is_none();
            lost && one.changes_for == Some(host_id)
        })
    }
}

fn is_same_path(one: &Arrival, other: &Arrival) -> bool {
    one.portal == other.portal && one.local.ip() == other.local.ip() && one.peer.ip() == other.peer.ip()
}

/// Connect's answer if the subsystem went while it waited.
const GONE: Status = Status::CONNECT_INVALID_PARAMETERS;

/// Hosts that may wait at once.
const COMEBACKS_MAX: usize = 256;
