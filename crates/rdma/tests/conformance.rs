//! The soft device passes the suite of providers, over both versions of the Internet protocol.

mod support;

use support::{Faults, World};
use verbs::conformance::run;

#[test]
fn on_a_good_network() {
    run(|| Box::new(World::new(1, Faults::default(), |config| config)));
}

#[test]
fn over_ipv6() {
    run(|| Box::new(World::at(["fd00::1", "fd00::2"], 1, Faults::default(), |config| config)));
}
