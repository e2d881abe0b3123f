//! What changes at the target is seen by the host: namespaces that come, go and grow; and discovery.

mod pair;

use block::{BlockDevice, Done, Io, Op, Status};
use core::time::Duration;
use nvme::host::discovery::{self, DiscoveryError, DiscoveryLog, is_referral};
use nvme::host::{Discovery, Failure, HostEvent, HostOptions, Step};
use nvme::target::{Portal, Referral, SubsystemConfig, Transport};
use pair::{Pair, address, options, subsystem};
use sim::faults::Faults;
use stdx::env::{Env, Event, Owner};
use stdx::mem::Span;
use stdx::time::Time;
use wire::nvme::{Nqn, Status as NvmeStatus};

fn connected() -> Pair {
    let mut pair = Pair::new(1, Faults::none());
    pair.target.add_volume(4096, 1024, 1);
    pair.connect(options());
    pair
}

#[test]
fn namespaces_that_come_grow_and_go_are_seen() {
    let mut pair = connected();
    let (volume, id) = pair.target.add_volume(512, 2048, 2);
    assert_eq!(pair.run_until_event(), HostEvent::NamespaceAdded(id));
    let namespace = pair.host().namespace(id).unwrap();
    assert_eq!((namespace.info().block_size, namespace.info().blocks), (512, 2048));
    assert_eq!(namespace.identity().unwrap().0, [2; 16]);

    volume.resize(&mut pair.target.env, 4096).unwrap();
    pair.target.target.namespace_changed(&subsystem(), id).unwrap();
    assert_eq!(pair.run_until_event(), HostEvent::NamespaceResized { namespace_id: id, blocks: 4096 });
    assert_eq!(namespace.info().blocks, 4096);

    pair.target.target.remove_namespace(&subsystem(), id).unwrap();
    assert_eq!(pair.run_until_event(), HostEvent::NamespaceRemoved(id));
    let mut channel = namespace.open();
    let data = pair.env.mem().take(512).unwrap();
    let read = Io { tag: 1, op: Op::Read, lba: 0, blocks: 1, fua: false, lend: false, data };
    channel.submit(&mut pair.env, read).unwrap();
    let mut done = Vec::new();
    channel.poll(&mut pair.env, &mut done);
    assert_eq!(done, [Done { tag: 1, status: Status::Gone, data: Span::EMPTY }]);
    assert_eq!(pair.host().namespaces().len(), 1);
}

/// The change is seen before the I/O queues are there, or while they come to be, or after: whenever it comes, the host is
/// not ready before all its queues are, and knows the namespace in the end.
#[test]
fn a_change_on_the_way_up_makes_no_host_ready_early() {
    for turns in 0..60 {
        let mut pair = Pair::new(1, Faults::none());
        pair.target.add_volume(4096, 1024, 1);
        let options = HostOptions { io_queues: 4, ..options() };
        pair.host = Some(nvme::host::Host::connect(&mut pair.env, Owner(77), options).unwrap());
        for _ in 0..turns {
            pair.turn(Time::NEVER);
        }
        let (_, id) = pair.target.add_volume(512, 2048, 2);
        let mut known = Vec::new();
        while known.len() < 3 {
            let event = pair.run_until_event();
            if event == HostEvent::Connected {
                assert_eq!(pair.host().io_queues().0, 4, "a change after {turns} turns");
            }
            known.push(event);
        }
        assert!(known.contains(&HostEvent::NamespaceAdded(id)), "{known:?} after {turns} turns");
    }
}

#[test]
fn another_volume_under_the_same_identifier_is_another_namespace() {
    let mut pair = connected();
    pair.target.target.remove_namespace(&subsystem(), 1).unwrap();
    pair.target.add_volume(4096, 1024, 7);
    assert_eq!(pair.run_until_event(), HostEvent::NamespaceRemoved(1));
    let next = pair.run_until_event();
    assert_eq!(next, HostEvent::NamespaceAdded(1));
    assert_eq!(pair.namespace().identity().unwrap().0, [7; 16]);
}

#[test]
fn an_idle_association_is_kept_alive() {
    let mut pair = connected();
    pair.run_for(Duration::from_secs(300));
    assert_eq!(pair.host().poll_event(), None);
    assert!(pair.host().is_live());
}

#[test]
fn a_subsystem_that_is_not_there_is_refused_with_its_reason() {
    let mut pair = Pair::new(1, Faults::none());
    let unknown = Nqn::parse("nqn.2026-01.test.weft:nobody").unwrap();
    let options = HostOptions { subsystem: unknown, ..options() };
    pair.host = Some(nvme::host::Host::connect(&mut pair.env, Owner(1), options).unwrap());
    let HostEvent::Failed(Failure::Refused { step: Step::Connect, status }) = pair.run_until_event() else {
        panic!("connected to nobody");
    };
    assert_eq!(status.kind(), NvmeStatus::CONNECT_INVALID_PARAMETERS);
}

/// Asks for the log, and goes on until it is there. `between` is called before each turn of the host.
fn discover(pair: &mut Pair, mut between: impl FnMut(&mut Pair)) -> Result<DiscoveryLog, DiscoveryError> {
    let mut discovery = Discovery::connect(&mut pair.env, Owner(5), &options()).unwrap();
    let mut events: Vec<Event> = Vec::new();
    loop {
        events.clear();
        between(pair);
        pair.env.poll(&mut events, discovery.deadline());
        for event in &events {
            discovery.handle_event(&mut pair.env, event);
        }
        if discovery.deadline().is_some_and(|deadline| deadline <= pair.env.now()) {
            discovery.handle_timeout(&mut pair.env);
        }
        if let Some(told) = discovery.poll(&mut pair.env) {
            discovery.close(&mut pair.env);
            return told;
        }
        pair.step();
    }
}

fn add_subsystems(pair: &mut Pair, names: core::ops::Range<u32>) {
    for name in names {
        let nqn = Nqn::parse(&format!("nqn.2026-01.test.weft:{name}")).unwrap();
        pair.target.target.create_subsystem(SubsystemConfig::new(nqn)).unwrap();
        let portal = Portal { transport: Transport::Tcp, address: address() };
        pair.target.target.add_listener(&nqn, portal).unwrap();
    }
}

#[test]
fn the_discovery_log_is_read_whole() {
    let mut pair = Pair::new(1, Faults::none());
    add_subsystems(&mut pair, 0..10);
    let other = Portal { transport: Transport::Tcp, address: "10.0.0.9:8009".parse().unwrap() };
    pair.target.target.add_referral(Referral { portal: other, nqn: Nqn::discovery() }).unwrap();
    let log = discover(&mut pair, |_| ()).unwrap();
    let found: Vec<_> = log.entries.iter().filter(|entry| !is_referral(entry)).collect();
    assert!(found.iter().any(|entry| entry.subsystem() == Ok(subsystem())));
    assert!(found.iter().all(|entry| discovery::address(entry) == Some((Transport::Tcp, address()))));
    assert!(found.len() >= 11);
    let referral = log.entries.iter().find(|entry| is_referral(entry)).unwrap();
    assert_eq!(discovery::address(referral), Some((Transport::Tcp, other.address)));
}

#[test]
fn a_log_that_changes_is_read_again() {
    let mut pair = Pair::new(1, Faults::none());
    add_subsystems(&mut pair, 0..10);
    let (mut turns, mut added) = (0, 10);
    let log = discover(&mut pair, |pair| {
        turns += 1;
        if turns % 12 == 0 && added < 14 {
            add_subsystems(pair, added..added + 1);
            added += 1;
        }
    });
    let log = log.unwrap();
    let names = log.entries.iter().filter(|entry| entry.subsystem().is_ok_and(|nqn| !nqn.is_discovery()));
    assert_eq!(names.count(), 1 + added as usize, "all there were at the end");
}
