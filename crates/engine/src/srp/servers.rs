//! The servers of the SRP target, one on each RDMA device that is listened on, and what the shard does with all of them. They
//! share the target, each by a lane of its own.

use super::Srp;
use crate::fabric::{Devices, End, Told};
use scsi::srp::target::{ChannelInfo, Counters, Server};
use stdx::env::Env;
use stdx::time::{Time, earliest};
use verbs::Device;

impl Srp {
    /// What came of the channels, on all devices.
    pub fn counters(&self) -> Counters {
        self.servers.iter().fold(Counters::default(), |sum, (_, server)| sum.plus(server.counters()))
    }

    /// The channels, on all devices.
    pub fn channels(&self) -> impl Iterator<Item = ChannelInfo> {
        self.servers.iter().flat_map(|(_, server)| server.channels())
    }

    pub(crate) fn poll(&mut self, env: &mut dyn Env, devices: &mut Devices) {
        let Self { servers, target, lanes, .. } = self;
        servers.each(devices, |place, server, device| {
            server.poll(env, device, &mut lanes.of(target, place.tag()));
        });
        servers.sweep(env, devices);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let waiting = self.lanes.is_waiting().then_some(Time::ZERO);
        earliest(self.target.deadline(), waiting)
    }

    /// No new channels; what was asked is answered, then channels end.
    pub(crate) fn drain(&mut self, env: &mut dyn Env, devices: &mut Devices) {
        let Self { servers, target, lanes, .. } = self;
        servers.each(devices, |place, server, device| {
            server.drain(env, device, &mut lanes.of(target, place.tag()));
        });
    }

    /// All channels end now.
    pub(crate) fn close(&mut self, env: &mut dyn Env, devices: &mut Devices) {
        let Self { servers, target, lanes, .. } = self;
        servers.each(devices, |place, server, device| {
            server.close(env, device, &mut lanes.of(target, place.tag()));
        });
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.servers.is_drained()
    }

    /// Asserts what always holds between turns.
    pub(crate) fn check(&self) {
        self.target.check();
        self.servers.check();
    }
}

impl End for Server {
    fn handle(&mut self, env: &mut dyn Env, device: &mut dyn Device, told: &Told) {
        match told {
            Told::Event(event) => self.handle_event(device, event),
            Told::Connection(event) => self.handle_connection(env, device, event),
        }
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn is_drained(&self) -> bool {
        Self::is_drained(self)
    }

    fn is_idle(&self) -> bool {
        Self::is_idle(self)
    }

    fn check(&self) -> usize {
        Self::check(self)
    }

    fn free(self, env: &mut dyn Env, device: &mut dyn Device) {
        Self::free(self, env, device);
    }
}
