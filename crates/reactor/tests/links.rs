//! The reactor's links keep the promises of the contract.

use reactor::{Options, Reactor};
use stdx::conformance::links;
use stdx::conformance::still::StillEnv;
use stdx::env::Env;
use stdx::mem::MemoryLimits;

/// A check of one promise.
type Check = fn(&mut dyn Env);

const CHECKS: [Check; 2] = [links::messages_and_memory_arrive, links::what_cannot_be_is_refused];

#[test]
fn the_reactor_conforms() {
    for check in CHECKS {
        let memory = MemoryLimits { buffer_bytes: 16 << 20 };
        check(&mut Reactor::new(Options { memory, ..Options::default() }).unwrap());
    }
}

#[test]
fn the_links_of_tests_conform() {
    for check in CHECKS {
        check(&mut StillEnv::on(&links::Machine::default(), 1000, 1));
    }
}
