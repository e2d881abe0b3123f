//! Asymmetric namespace access as the host heeds it, and many namespaces.

mod pair;

use block::{BlockDevice, Channel, Done, Io, Op, Status};
use core::time::Duration;
use nvme::host::{Failure, HostEvent, Namespace};
use nvme::target::AnaState;
use pair::{Pair, options, portal, subsystem};
use sim::faults::Faults;
use stdx::env::Env;
use stdx::time::Time;
use wire::nvme::log::AnaState as Told;

fn connected() -> (Pair, Namespace) {
    let mut pair = Pair::new(1, Faults::none());
    pair.target.add_volume(4096, 1024, 1);
    pair.target.add_volume(4096, 1024, 2);
    pair.connect(options());
    let namespace = pair.namespace();
    (pair, namespace)
}

impl Pair {
    /// The target changes how group 1 is reached, and the host has time to learn of it.
    fn set(&mut self, state: AnaState) {
        let target = &mut self.target.target;
        target.listener_set_ana_state(&subsystem(), &portal(), state, Some(1)).unwrap();
        self.target.env.rest(Some(Time::ZERO));
        self.run_for(Duration::from_millis(100));
    }

    fn read(&mut self, channel: &mut dyn Channel) {
        let data = self.env.mem().take(4096).unwrap();
        let read = Io { tag: 1, op: Op::Read, lba: 0, blocks: 1, fua: false, lend: false, data };
        channel.submit(&mut self.env, read).unwrap();
    }

    fn outcome(&mut self, channel: &mut dyn Channel) -> Option<Status> {
        let mut done: Vec<Done> = Vec::new();
        for _ in 0..100 {
            channel.poll(&mut self.env, &mut done);
            if !done.is_empty() {
                break;
            }
            self.run_for(Duration::from_millis(1));
        }
        done.pop().map(|done| done.status)
    }
}

#[test]
fn a_namespace_that_cannot_be_reached_is_waited_for() {
    let (mut pair, namespace) = connected();
    assert_eq!(namespace.access_state(), Some(Told::Optimized));
    let mut channel = namespace.open();
    for (state, told) in [(AnaState::Inaccessible, Told::Inaccessible), (AnaState::Change, Told::Change)] {
        pair.set(state);
        assert!(namespace.info().offline);
        assert_eq!(namespace.access_state(), Some(told));
        pair.read(&mut *channel);
        assert_eq!(pair.outcome(&mut *channel), None, "it waits");
        let other = pair.host().namespace(2).unwrap();
        assert!(!other.info().offline, "another group is reached as ever");
        let mut others = other.open();
        pair.read(&mut *others);
        assert_eq!(pair.outcome(&mut *others), Some(Status::Ok));
        pair.set(AnaState::NonOptimized);
        assert!(!namespace.info().offline);
        assert_eq!(pair.outcome(&mut *channel), Some(Status::Ok), "it goes on");
    }
}

#[test]
fn a_change_that_comes_while_commands_are_under_way_is_heeded() {
    let (mut pair, namespace) = connected();
    let mut channel = namespace.open();
    let target = &mut pair.target.target;
    target.listener_set_ana_state(&subsystem(), &portal(), AnaState::Inaccessible, Some(1)).unwrap();
    // The host has not heard of it: the command is sent, refused, and kept.
    pair.read(&mut *channel);
    assert_eq!(pair.outcome(&mut *channel), None);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.outcome(&mut *channel), None, "it has all the time there is");
    pair.set(AnaState::Optimized);
    assert_eq!(pair.outcome(&mut *channel), Some(Status::Ok));
}

#[test]
fn what_is_lost_for_good_fails() {
    let (mut pair, namespace) = connected();
    let mut channel = namespace.open();
    pair.set(AnaState::Inaccessible);
    pair.read(&mut *channel);
    pair.set(AnaState::PersistentLoss);
    assert_eq!(pair.outcome(&mut *channel), Some(Status::Gone), "what waited");
    pair.read(&mut *channel);
    assert_eq!(pair.outcome(&mut *channel), Some(Status::Gone), "what comes later");
}

#[test]
fn a_change_has_the_time_that_the_controller_says() {
    let (mut pair, _) = connected();
    pair.set(AnaState::Change);
    pair.run_for(Duration::from_secs(9));
    assert_eq!(pair.host().poll_event(), None);
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.host().poll_event(), Some(HostEvent::ConnectionLost(Failure::AccessNotSettled)));
    assert_eq!(pair.run_until_event(), HostEvent::Reconnected);
}

#[test]
fn all_of_many_namespaces_are_found_and_reached() {
    let mut pair = Pair::new(1, Faults::none());
    for _ in 0..MANY {
        pair.target.add_null();
    }
    pair.connect(options());
    assert_eq!(pair.host().namespaces().len(), MANY);
    let last = pair.host().namespace(MANY as u32).unwrap();
    assert_eq!(last.access_state(), Some(Told::Optimized));
    pair.target.target.remove_namespace(&subsystem(), 1).unwrap();
    assert_eq!(pair.run_until_event(), HostEvent::NamespaceRemoved(1));
    assert_eq!(pair.host().namespaces().len(), MANY - 1);
}

/// More than a list of identifiers holds.
const MANY: usize = 1100;
