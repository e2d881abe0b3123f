//! The reactor alone.

use super::contender::{Contender, exchange};
use super::nvme::messages;
use super::{Options, Programs};

/// The yardstick, and the same exchange through the reactor.
pub fn contenders(options: &Options, programs: &Programs) -> Vec<Contender> {
    vec![
        exchange("yardstick", &[], options, &programs.xtask, &["yardstick"], messages),
        exchange("reactor", &[0], options, &programs.exchange, &[], messages),
    ]
}
