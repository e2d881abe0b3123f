//! The orderly end of a shard: nobody is let in, what was asked is answered, volumes are flushed.
//!
//! ```text
//!   No --drain--> Draining --its time is over--> Closing
//!                     \                              |
//!                      `---- nobody is connected ----+---> Flushing --> Done
//! ```

use crate::Shard;
use crate::hosts::Hosts;
use crate::iscsi::IscsiDisks;
use crate::srp::SrpDisks;
use crate::volumes::{Entry, Spec, Volumes};
use block::{BlockDevice, Channel, Done, Io, Op};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::time::Time;

/// How far an orderly end has come.
#[derive(Debug, Default)]
pub(crate) enum Ending {
    /// Not asked for.
    #[default]
    No,
    /// Connections finish what they were asked, until then.
    Draining(Time),
    /// Peers that did not take their answers lose their connections.
    Closing,
    /// Volumes write what they cache.
    Flushing(Vec<Flush>),
    /// Nothing is left to do.
    Done,
}

/// A volume that writes what it caches.
#[derive(Debug)]
pub(crate) struct Flush {
    volume: String,
    channel: Box<dyn Channel>,
    done: bool,
}

impl Shard {
    /// Begins an orderly end: no new connections, what was asked is answered, volumes are flushed. Who has not taken the answers
    /// within [`Limits::drain`](crate::Limits::drain) loses the connection.
    pub fn drain(&mut self, env: &mut dyn Env) {
        if matches!(self.ending, Ending::No) {
            self.drain_nvmf(env);
            self.srp.drain(env, &mut self.devices);
            self.iscsi.drain(env, &mut self.devices);
            self.ending = Ending::Draining(env.now() + self.limits.drain);
        }
    }

    /// True when an orderly end is complete.
    pub fn is_drained(&self) -> bool {
        matches!(self.ending, Ending::Done)
    }

    /// Whether nobody is connected to a target of ours any more.
    fn is_target_drained(&self) -> bool {
        self.is_nvmf_drained() && self.iscsi.is_drained() && self.srp.is_drained()
    }

    /// Whether an orderly end was asked for.
    pub(crate) const fn is_ending(&self) -> bool {
        !matches!(self.ending, Ending::No)
    }

    /// Ends the connections that are left.
    fn close_target(&mut self, env: &mut dyn Env) {
        self.close_nvmf(env);
        self.srp.close(env, &mut self.devices);
        self.iscsi.close(env);
    }

    /// When peers have had the time that an orderly end gives them.
    pub(crate) const fn ending_deadline(&self) -> Option<Time> {
        if let Ending::Draining(until) = &self.ending { Some(*until) } else { None }
    }

    /// Takes an orderly end one step further.
    pub(crate) fn end(&mut self, env: &mut dyn Env) {
        match &self.ending {
            Ending::No | Ending::Done => {}
            Ending::Draining(until) if !self.is_target_drained() => {
                if *until <= env.now() {
                    tracing::warn!("closing the connections whose peers do not take their answers");
                    self.close_target(env);
                    self.ending = Ending::Closing;
                }
            }
            Ending::Closing if !self.is_target_drained() => {}
            Ending::Draining(_) | Ending::Closing => {
                let flush = |entry: &Entry| {
                    let mut channel = entry.volume.open();
                    let done = channel.submit(env, FLUSH).is_err();
                    Flush { volume: entry.name.clone(), channel, done }
                };
                self.ending = Ending::Flushing(self.volumes.iter().map(flush).collect());
                self.finish_flushes(env);
            }
            Ending::Flushing(_) => self.finish_flushes(env),
        }
    }

    /// Looks which volumes are flushed. One that is not says by an event, or a deadline of its own, when to look again.
    fn finish_flushes(&mut self, env: &mut dyn Env) {
        let Ending::Flushing(flushes) = &mut self.ending else { return };
        let mut finished: Vec<Done> = Vec::new();
        for Flush { volume, channel, done } in flushes.iter_mut().filter(|flush| !flush.done) {
            finished.clear();
            channel.poll(env, &mut finished);
            // Nobody waits for a peer that is gone, least of all for our own target, which has been drained.
            let reachable =
                is_reachable(&self.volumes, &self.hosts, &self.iscsi_disks, &self.srp_disks, volume);
            *done = !finished.is_empty() || !reachable;
        }
        if flushes.iter().all(|flush| flush.done) {
            self.ending = Ending::Done;
        }
    }
}

/// False if what a volume stands on is behind a connection that is lost.
fn is_reachable(
    volumes: &Volumes,
    hosts: &Hosts,
    iscsi_disks: &IscsiDisks,
    srp_disks: &SrpDisks,
    name: &str,
) -> bool {
    let base = |entry: &&Entry| entry.spec.base().and_then(|base| volumes.get(base));
    let lowest = std::iter::successors(volumes.get(name), base).last();
    match lowest.map(|entry| &entry.spec) {
        Some(Spec::Disk { .. }) => {
            let attached = lowest.and_then(|entry| iscsi_disks.get(&entry.name));
            attached.is_some_and(|attached| attached.initiator.is_live())
        }
        Some(Spec::SrpDisk { .. }) => {
            let attached = lowest.and_then(|entry| srp_disks.get(&entry.name));
            attached.is_some_and(|attached| attached.initiator.is_live())
        }
        Some(Spec::Remote { controller, .. }) => {
            let is_live = hosts.get(controller).is_some_and(|attached| attached.host.is_live());
            is_live && lowest.is_some_and(|entry| !entry.volume.info().offline)
        }
        Some(_) => true,
        None => false,
    }
}

const FLUSH: Io = Io { tag: 0, op: Op::Flush, lba: 0, blocks: 0, fua: false, lend: false, data: Span::EMPTY };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use crate::volumes::FileSpec;
    use stdx::testing::TestEnv;

    /// A disk may take its time; the shard sleeps meanwhile, and time passes for those who only simulate it.
    #[test]
    fn the_end_waits_for_flushes_without_turning() {
        let mut env = TestEnv::new(64 << 20);
        let mut shard = Shard::new(&mut env, Limits::default()).expect("memory");
        let file = FileSpec {
            path: "disk".into(),
            block_size: Some(512),
            read_only: false,
            direct: false,
            create: Some(1 << 20),
        };
        shard.add_volume(&mut env, "disk", Spec::File(file), None).expect("a volume");
        shard.drain(&mut env);
        shard.end(&mut env);
        assert!(!shard.is_drained(), "the disk flushes");
        assert_eq!(shard.deadline(), None, "nothing is due before it has");
        shard.turn(&mut env);
        assert!(shard.is_drained());
    }
}
