//! Target ports as InfiniBand knows them: services of I/O controllers, found by device management and logged in to by their ids.

mod srp_pair;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use scsi::srp::initiator::{
    ChannelEnd, DiscoveredPort, Discovery, DiscoveryError, Failure, InitiatorEvent, InitiatorOptions,
};
use scsi::srp::target::{Access, Limits, TargetPort};
use srp_pair::{ADDRESS, PORT, World, options};
use stdx::env::{Env, Owner};
use verbs::{AgentId, Management, ManagementDatagram, PortSpace, Provider, Role};
use wire::management::Datagram;
use wire::management::device::{self, Request, Status};
use wire::srp::PortId;

/// Controllers have GUIDs that begin with who made them.
const GUID: u64 = 0x0002_c903_0001_0203;
const OTHER: u64 = 0x0002_c903_0001_0204;
const ASKS: Owner = Owner(9 << 32);
const PATIENCE: Duration = Duration::from_secs(5);

/// With so many ports of one controller, and one of another, besides one whose GUID is no service's.
fn world(ports: u64) -> World {
    let mut world = World::new(Limits::default());
    world.add_volume(512, 4096, 1);
    (0..ports).for_each(|extension| add(&mut world, PortId { extension, guid: GUID }));
    add(&mut world, PortId { extension: 0xabcd, guid: OTHER });
    world.settle();
    world
}

fn add(world: &mut World, id: PortId) {
    let port = TargetPort { id, device: world.scsi_device, relative_id: 1, access: Access::Any };
    world.server.as_mut().unwrap().registry_mut().add_port(port).unwrap();
}

/// Asks until there is an answer.
fn discover(world: &mut World, address: IpAddr) -> Result<Vec<DiscoveredPort>, DiscoveryError> {
    let mut discovery = Discovery::new(&mut world.env, ASKS, address, PATIENCE);
    for _ in 0..10_000 {
        discovery.drive(&mut world.env, &mut world.device);
        turn(world, &mut discovery);
        if let Some(told) = discovery.poll() {
            discovery.free(&mut world.device);
            return told;
        }
        if let Some(due) = discovery.deadline().filter(|due| *due > world.env.now()) {
            world.env.set_now(due);
            discovery.handle_timeout(&mut world.env);
        }
    }
    panic!("neither an answer nor an end");
}

/// Hands the device's events to whom they are for.
fn turn(world: &mut World, discovery: &mut Discovery) {
    let World { env, device, server, target, .. } = world;
    for _ in 0..3 {
        device.turn(env);
        while let Some(event) = device.poll_event() {
            match event.owner == ASKS {
                true => discovery.handle_device_event(device, &event),
                false => {
                    if let Some(server) = server {
                        server.handle_event(device, &event);
                    }
                }
            }
        }
        if let Some(server) = server {
            server.poll(env, device, target);
        }
    }
}

#[test]
fn every_target_port_is_found_by_name_and_service() {
    let mut world = world(9);
    let found = discover(&mut world, ADDRESS.ip()).unwrap();
    let ids: Vec<PortId> = found.iter().map(|port| port.id).collect();
    let expected = (0..9).map(|extension| PortId { extension, guid: GUID });
    let expected: Vec<PortId> = expected.chain([PortId { extension: 0xabcd, guid: OTHER }]).collect();
    assert_eq!(ids, expected, "but for the one whose GUID could be a port's");
    assert!(found.iter().all(|port| port.service == port.id.guid));
    assert!(found.iter().all(|port| port.controller.as_deref() == Some("Weft SRP target")));
}

#[test]
fn what_goes_is_found_no_more() {
    let mut world = world(1);
    let server = world.server.as_mut().unwrap();
    server.registry_mut().remove_port(PortId { extension: 0, guid: GUID }).unwrap();
    world.settle();
    let found = discover(&mut world, ADDRESS.ip()).unwrap();
    assert_eq!(found.iter().map(|port| port.id.guid).collect::<Vec<_>>(), [OTHER]);
    world.begin(InitiatorOptions { service: Some(GUID), ..options() });
    assert_eq!(world.events, [InitiatorEvent::Failed(Failure::Channel(ChannelEnd::NoListener))]);
    world.server.as_mut().unwrap().unlisten(&mut world.device, ADDRESS);
    world.settle();
    assert_eq!(discover(&mut world, ADDRESS.ip()), Err(DiscoveryError::TimedOut), "nobody is let in");
    let server = world.server.as_ref().unwrap();
    assert!(server.is_idle() && server.counters().discovered > 0);
}

#[test]
fn nobody_answers_where_nobody_is() {
    let mut world = World::new(Limits::default());
    let elsewhere = "10.9.8.7".parse().unwrap();
    let before = world.env.now();
    assert_eq!(discover(&mut world, elsewhere), Err(DiscoveryError::TimedOut));
    assert!(world.env.now() >= before + PATIENCE);
}

#[test]
fn a_service_lets_in_by_the_whole_login() {
    let mut world = world(1);
    let target = PortId { extension: 0, guid: GUID };
    world.connect(InitiatorOptions { service: Some(GUID), target, channels: 2, ..options() });
    assert_eq!(world.initiator().channels().len(), 2);
    assert!(world.initiator().channels().iter().all(|channel| channel.immediate_max == 8192));
    assert!(world.initiator().disk(0).is_some());
    world.close();
    // The login says which port it is for, and the service which controller it came by.
    world.connect(InitiatorOptions { service: Some(OTHER), target: PORT, ..options() });
}

#[test]
fn a_server_that_drains_leaves_no_service_behind() {
    let mut world = world(1);
    world.stop();
    let any = SocketAddr::new(ADDRESS.ip(), 0);
    let space = PortSpace::Service(GUID);
    let listener = verbs::Connections::listen(&mut world.device, ASKS, space, any);
    assert!(listener.is_ok(), "the number is free");
    assert!(world.device.open_agent(ASKS, device::CLASS, Role::Answers).is_ok(), "and the class");
}

/// The status that a datagram is answered with.
fn status(world: &mut World, agent: AgentId, asked: &Datagram) -> Option<Status> {
    let asked = ManagementDatagram {
        class: asked.class,
        class_version: asked.class_version,
        method: asked.method,
        status: asked.status,
        class_specific: asked.class_specific,
        transaction: asked.transaction,
        attribute: asked.attribute,
        modifier: asked.modifier,
        data: asked.data,
    };
    world.device.send_datagram(agent, ADDRESS.ip(), &asked).unwrap();
    let mut nobody = Discovery::new(&mut world.env, ASKS, ADDRESS.ip(), PATIENCE);
    turn(world, &mut nobody);
    let (_, answer) = world.device.poll_datagram(agent).unwrap();
    assert_eq!((answer.transaction, answer.attribute), (asked.transaction, asked.attribute));
    Status::from_code(answer.status)
}

#[test]
fn questions_without_answers_are_answered_with_the_reason() {
    let mut world = world(5);
    let agent = world.device.open_agent(ASKS, device::CLASS, Role::Asks).unwrap();
    let mut ask = |request: Request| status(&mut world, agent, &request.datagram(3));
    assert_eq!(ask(Request::ClassPortInfo), Some(Status::Good));
    assert_eq!(ask(Request::IoControllerProfile { slot: 1 }), Some(Status::Good));
    for slot in [0, 17, u32::MAX] {
        assert_eq!(ask(Request::IoControllerProfile { slot }), Some(Status::InvalidField));
    }
    assert_eq!(ask(Request::IoControllerProfile { slot: 3 }), Some(Status::NoResponse));
    let services = |slot, first, last| Request::ServiceEntries { slot, first, last };
    assert_eq!(ask(services(1, 0, 3)), Some(Status::Good));
    assert_eq!(ask(services(1, 4, 4)), Some(Status::Good));
    for (first, last) in [(4, 5), (1, 0), (0, 4), (255, 255)] {
        assert_eq!(ask(services(1, first, last)), Some(Status::NoServiceEntries), "{first} to {last}");
    }
    assert_eq!(ask(services(0, 0, 0)), Some(Status::InvalidField));
    let unit = Request::IoUnitInfo.datagram(4);
    let mut other = |asked: Datagram| status(&mut world, agent, &asked);
    assert_eq!(other(Datagram { method: 0x02, ..unit }), Some(Status::UnsupportedAttribute));
    assert_eq!(other(Datagram { method: 0x05, ..unit }), Some(Status::UnsupportedMethod));
    assert_eq!(other(Datagram { class_version: 9, ..unit }), Some(Status::UnsupportedVersion));
    assert_eq!(other(Datagram { attribute: 0x20, ..unit }), Some(Status::UnsupportedAttribute));
}

/// What a discovery says when its first answers are these.
fn told_by(answers: &[(u16, [u8; device::ATTRIBUTE_LEN])]) -> Result<Vec<DiscoveredPort>, DiscoveryError> {
    let mut world = World::new(Limits::default());
    world.stop();
    let liar = world.device.open_agent(ASKS, device::CLASS, Role::Answers).unwrap();
    let mut discovery = Discovery::new(&mut world.env, ASKS, ADDRESS.ip(), PATIENCE);
    let mut answers = answers.iter();
    for _ in 0..100 {
        discovery.drive(&mut world.env, &mut world.device);
        turn(&mut world, &mut discovery);
        if let Some((from, asked)) = world.device.poll_datagram(liar) {
            let (status, attribute) = *answers.next().expect("it asks for no more");
            let mut data = [0; 232];
            data[device::ATTRIBUTE_AT..].copy_from_slice(&attribute);
            let answer = ManagementDatagram { method: 0x81, status, data, ..asked };
            // Not to this question, then to it.
            let late = ManagementDatagram { transaction: asked.transaction ^ 1, status: 0x1c, ..answer };
            world.device.send_datagram(liar, from, &late).unwrap();
            world.device.send_datagram(liar, from, &answer).unwrap();
        }
        turn(&mut world, &mut discovery);
        if let Some(told) = discovery.poll() {
            assert_eq!(answers.len(), 0, "it asked for all");
            return told;
        }
    }
    panic!("no end");
}

fn padded(bytes: &[u8]) -> [u8; device::ATTRIBUTE_LEN] {
    core::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
}

#[test]
fn answers_of_all_kinds_come_to_an_end() {
    let refused = DiscoveryError::Refused { attribute: device::Attribute::IoUnitInfo, status: 0x0c };
    assert_eq!(told_by(&[(0x0c, padded(&[]))]), Err(refused));
    // No slots; then slots whose controllers are gone, or none of SRP's.
    assert_eq!(told_by(&[(0, padded(&[]))]), Ok(vec![]));
    let unit = padded(&[0, 1, 2, 0, 0x11]);
    assert_eq!(told_by(&[(0, unit), (0x100, padded(&[])), (0, padded(&[]))]), Ok(vec![]));
    // A controller of 255 services that tells of none.
    let mut profile = [0; 128];
    profile[28..36].copy_from_slice(&[1, 0, 0x60, 0x9e, 1, 8, 0, 1]);
    profile[54] = 255;
    let one = padded(&[0, 1, 1, 0, 0x10]);
    let mut answers = vec![(0, one), (0, padded(&profile))];
    answers.extend([(0, padded(&[])); 64]);
    assert_eq!(told_by(&answers), Ok(vec![]));
}
