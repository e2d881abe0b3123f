//! Every planted bug is found: a simulation that finds none is not known to work.

use sim::mutants::{bugs_of, hunt, seeds_max};
use sim::scenario::Protocol;

fn examine(protocol: Protocol) {
    std::panic::set_hook(Box::new(|_| ()));
    let (bugs, limit) = (bugs_of(protocol), seeds_max(protocol));
    let found: Vec<_> = bugs.iter().map(|&bug| (bug, hunt(protocol, bug, 0, limit))).collect();
    let missed: Vec<_> = found.iter().filter(|(_, find)| find.is_none()).map(|(bug, _)| bug).collect();
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "{missed:?} were not found by {limit} seeds");
    for (bug, find) in found {
        println!("{bug:?}: {find:?}");
    }
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_planted_in_nvme_is_found() {
    examine(Protocol::Nvme);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_planted_in_nvme_by_rdma_is_found() {
    examine(Protocol::NvmeRdma);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_that_several_protocols_show_is_found() {
    examine(Protocol::Every);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_planted_in_iscsi_is_found() {
    examine(Protocol::Iscsi);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_planted_in_iser_is_found() {
    examine(Protocol::Iser);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_planted_in_srp_is_found() {
    examine(Protocol::Srp);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_planted_in_rdma_is_found() {
    examine(Protocol::Rdma);
}

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_bug_planted_in_sdp_is_found() {
    examine(Protocol::Sdp);
}
