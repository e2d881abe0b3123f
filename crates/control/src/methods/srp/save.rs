//! The target side of SRP as the calls that make it again.

use engine::Shard;
use engine::srp::SrpLun;

use super::params::{AddLun, Admission};
use super::targets;
use crate::config::Call;
use crate::methods::rounds::Rounds;

/// The calls of a round: all but what is served from later volumes in the first.
pub(crate) fn save(shard: &Shard, round: usize) -> Vec<Call> {
    let srp = shard.srp();
    let mut calls = Vec::new();
    if round == 0 {
        calls.extend(srp.registry().ports().map(|port| {
            let [id_ext, ioc_guid] = targets::halves(port.id);
            let initiators = targets::initiators(&port.access);
            Call::new("srp_create_target", Admission { id_ext, ioc_guid, initiators })
        }));
        let listeners = srp.listening().map(targets::listener);
        calls.extend(listeners.map(|listener| Call::new("srp_add_listener", listener)));
    }
    let rounds = Rounds::new(shard);
    let is_now = |lun: &&SrpLun| {
        shard.volumes().get(&lun.volume).is_some_and(|entry| rounds.of_volume(entry) == round)
    };
    calls.extend(srp.luns().filter(is_now).map(|lun| {
        let [id_ext, ioc_guid] = targets::halves(lun.port);
        let (bdev_name, lun_id) = (lun.volume.clone(), Some(lun.number));
        Call::new("srp_target_add_lun", AddLun { id_ext, ioc_guid, bdev_name, lun_id })
    }));
    calls
}
