//! The simulator's own examination: bugs are planted one by one, and each must be found. A simulator that never found a
//! bug is not known to work.

use crate::scenario::{Report, run};
use stdx::planted::plant;
pub use stdx::planted::{BUGS, Bug};

/// How a planted bug was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Find {
    /// The bug.
    pub bug: Bug,
    /// How many seeds it took.
    pub seeds: u64,
    /// The run that found it.
    pub report: Report,
}

/// Plants the bug on this thread, and plays at most `limit` seeds from `from` on until one fails.
pub fn hunt(bug: Bug, from: u64, limit: u64) -> Option<Find> {
    plant(Some(bug));
    let report = (from..from + limit).map(run).find(|report| !report.passed());
    plant(None);
    report.map(|report| Find { bug, seeds: report.seed - from + 1, report })
}

/// How many seeds a bug may take to be found.
pub const SEEDS_MAX: u64 = 300;
