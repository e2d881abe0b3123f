//! The servers of the NVMe target, and what the shard does with all of them: that of streams, and one on each RDMA device that
//! is listened on.
//!
//! They share the target, each by a lane of its own. That of streams takes lent answers, so it is polled last
//! ([`nvme::target::Lanes`]).

use crate::Shard;
use crate::fabric::{End, Told};
use nvme::target::rdma::{Counters, QueueInfo, Server};
use stdx::env::Env;
use stdx::time::{Time, earliest};
use verbs::Device;

impl Shard {
    /// What came of the queues over RDMA, on all devices.
    pub fn nvmf_rdma_counters(&self) -> Counters {
        self.nvmf_rdma.iter().fold(Counters::default(), |sum, (_, server)| sum.plus(server.counters()))
    }

    /// The queues that came in by RDMA, on all devices.
    pub fn nvmf_rdma_queues(&self) -> impl Iterator<Item = QueueInfo> {
        self.nvmf_rdma.iter().flat_map(|(_, server)| server.queues())
    }

    pub(crate) fn poll_nvmf(&mut self, env: &mut dyn Env) {
        let Self { target, lanes, nvmf_rdma, devices, server, .. } = self;
        nvmf_rdma.each(devices, |place, server, device| {
            server.poll(env, device, &mut lanes.of(target, place.tag()));
        });
        server.poll(env, &mut lanes.of(target, STREAMS));
        nvmf_rdma.sweep(env, devices);
    }

    pub(crate) fn nvmf_deadline(&self) -> Option<Time> {
        let waiting = self.lanes.is_waiting().then_some(Time::ZERO);
        [self.server.deadline(), self.nvmf_rdma.deadline(), waiting].into_iter().fold(None, earliest)
    }

    pub(crate) fn handle_nvmf_timeout(&mut self, env: &mut dyn Env) {
        let Self { target, lanes, nvmf_rdma, devices, server, .. } = self;
        nvmf_rdma.each(devices, |place, server, device| {
            server.handle_timeout(env, device, &mut lanes.of(target, place.tag()));
        });
        server.handle_timeout(env, &mut lanes.of(target, STREAMS));
    }

    /// No new connections; what was asked is answered, then connections end.
    pub(crate) fn drain_nvmf(&mut self, env: &mut dyn Env) {
        let Self { target, lanes, nvmf_rdma, devices, server, .. } = self;
        server.drain(env);
        nvmf_rdma.each(devices, |place, server, device| {
            server.drain(env, device, &mut lanes.of(target, place.tag()));
        });
    }

    /// All connections end now.
    pub(crate) fn close_nvmf(&mut self, env: &mut dyn Env) {
        let Self { target, lanes, nvmf_rdma, devices, server, .. } = self;
        server.close(env, &mut lanes.of(target, STREAMS));
        nvmf_rdma.each(devices, |place, server, device| {
            server.close(env, device, &mut lanes.of(target, place.tag()));
        });
    }

    pub(crate) fn is_nvmf_drained(&self) -> bool {
        self.server.is_drained() && self.nvmf_rdma.is_drained()
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
        Self::deadline(self)
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

/// The tag of the server of streams.
pub(crate) const STREAMS: u8 = 0;
