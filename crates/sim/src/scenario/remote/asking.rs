//! Asking which SRP targets there are, by device management, beside an initiator that logs in to one of them. Who is not answered,
//! as the network loses packets and the server its power, asks until its time is over; an answer has the target in it.

use super::Options;
use crate::env::NodeEnv;
use core::time::Duration;
use scsi::srp::initiator::{Discovery, DiscoveryError};
use stdx::env::{Env, Owner};
use stdx::time::Time;
use verbs::{Device, Event};
use wire::srp::PortId;

/// See the module.
pub(super) struct Asking {
    discovery: Discovery,
    target: PortId,
    service: u64,
}

impl Asking {
    /// Begins, if the target is asked for as a service.
    pub(super) fn begin(env: &mut NodeEnv, options: &Options) -> Option<Self> {
        let Options::Srp(options) = options else { return None };
        let discovery = Discovery::new(env, OWNER, options.address.ip(), PATIENCE);
        options.service.map(|service| Self { discovery, target: options.target, service })
    }

    /// Has it do what there is to do. True once it is over.
    pub(super) fn drive(&mut self, env: &mut NodeEnv, device: &mut dyn Device) -> bool {
        self.discovery.drive(env, device);
        let Some(told) = self.discovery.poll() else { return false };
        match told {
            Ok(ports) => {
                let is_it = ports.iter().any(|port| (port.id, port.service) == (self.target, self.service));
                assert!(is_it, "the target is not among those that were told: {ports:?}");
            }
            Err(why) => assert_eq!(why, DiscoveryError::TimedOut),
        }
        self.discovery.free(device);
        true
    }

    pub(super) fn handle_device_event(&mut self, device: &mut dyn Device, event: &Event) {
        self.discovery.handle_device_event(device, event);
    }

    pub(super) fn handle_timeout(&mut self, env: &mut NodeEnv) {
        if self.discovery.deadline().is_some_and(|deadline| deadline <= env.now()) {
            self.discovery.handle_timeout(env);
        }
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.discovery.deadline()
    }
}

/// Whom the events of its agent go to: no initiator has such a number.
pub(super) const OWNER: Owner = Owner(u64::MAX << 32);
/// How long it asks.
const PATIENCE: Duration = Duration::from_secs(5);
