//! Every planted bug is found: a simulation that finds none is not known to work.

use sim::mutants::{BUGS, SEEDS_MAX, hunt};

#[test]
#[cfg_attr(not(debug_assertions), ignore = "bugs can be planted in debug builds only")]
fn every_planted_bug_is_found() {
    std::panic::set_hook(Box::new(|_| ()));
    let found: Vec<_> = BUGS.into_iter().map(|bug| (bug, hunt(bug, 0, SEEDS_MAX))).collect();
    let missed: Vec<_> = found.iter().filter(|(_, find)| find.is_none()).map(|(bug, _)| bug).collect();
    let _ = std::panic::take_hook();
    assert!(missed.is_empty(), "{missed:?} were not found by {SEEDS_MAX} seeds");
    for (bug, find) in found {
        println!("{bug:?}: {find:?}");
    }
}
