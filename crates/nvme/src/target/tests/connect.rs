//! Connect: what is accepted, and the status and field of everything that is not.

use super::world::{World, arrival, connect, host_nqn, subsystem_nqn};
use crate::target::{Arrival, ConfigError, Options, Refusal, SubsystemConfig};
use stdx::slab::Slab;
use wire::nvme::fabrics::{Connect, ConnectData, ConnectField, ConnectResult};
use wire::nvme::{Nqn, Status};

fn data(host: u8, controller_id: u16) -> ConnectData {
    ConnectData::new([host; 16], controller_id, &subsystem_nqn(), &host_nqn(host))
}

fn invalid(field: ConnectField) -> Refusal {
    Refusal {
        status: Status::CONNECT_INVALID_PARAMETERS.with_do_not_retry(),
        result: u64::from(ConnectResult::Invalid(field).dword0()),
    }
}

fn refused(status: Status) -> Refusal {
    Refusal { status: status.with_do_not_retry(), result: 0 }
}

#[test]
fn a_host_gets_a_controller_and_queues() {
    let mut world = World::new();
    let admin = world.admin(1);
    assert_eq!(admin.controller_id, 1);
    let (_, connected) = world.connect(&connect(1), &data(1, 1)).unwrap();
    assert_eq!((connected.queue_id, connected.controller_id, connected.result), (1, 1, 1));
    assert_eq!(connected.entries, 32);
    assert_eq!(world.admin(2).controller_id, 2);
    let controllers = world.target.controllers(&subsystem_nqn()).unwrap();
    assert_eq!(controllers.iter().map(|one| one.io_queues).collect::<Vec<_>>(), [1, 0]);
}

/// Its old queues end first; by another path it has another controller beside.
#[test]
fn a_host_that_comes_back_takes_the_place_of_its_old_association() {
    let mut world = World::new();
    let old = world.admin(1);
    let old_io = world.io(old, 1);
    let mut keys = Slab::new(2);
    let [first, second] = [0, 1].map(|_| keys.insert(()).unwrap());
    let elsewhere = Arrival { peer: "10.0.0.3:51000".parse().unwrap(), ..arrival() };
    let command = connect(0).command(0);
    let beside = world.target.connect(&mut world.env, first, &elsewhere, &command, &data(1, 0xffff));
    assert!(beside.is_some_and(|answer| answer.is_ok()), "another path");
    let waits = world.target.connect(&mut world.env, second, &arrival(), &command, &data(1, 0xffff));
    assert_eq!(waits, None);
    let ended: Vec<_> = core::iter::from_fn(|| world.target.poll_disconnect()).collect();
    assert_eq!(ended, [old.connection, old_io.connection]);
    assert_eq!(world.target.poll_connected(&mut world.env), None);
    world.disconnect(old_io);
    world.disconnect(old);
    let (connection, answer) = world.target.poll_connected(&mut world.env).unwrap();
    assert_eq!((connection, answer.map(|connected| connected.queue_id)), (second, Ok(0)));
    assert_eq!(world.target.controllers(&subsystem_nqn()).unwrap().len(), 2);

    assert_eq!(world.target.connect(&mut world.env, second, &arrival(), &command, &data(1, 0xffff)), None);
    world.target.forget_connect(second);
    assert_eq!(world.target.poll_connected(&mut world.env), None);
}

#[test]
fn options_change_while_nobody_is_connected() {
    let mut world = World::new();
    let deeper = Options { max_queue_depth: 256, ..*world.target.options() };
    assert_eq!(world.target.set_options(Options { max_queue_depth: 0, ..deeper }), Err(ConfigError::Options));
    assert_eq!(world.target.set_options(deeper), Ok(()));
    world.admin(1);
    assert_eq!(world.target.set_options(deeper), Ok(()), "no change is no harm");
    assert_eq!(world.target.set_options(Options::default()), Err(ConfigError::Connected));
}

#[test]
fn subsystems_are_limited_on_request() {
    let mut world = World::new();
    let config = |name: u8| SubsystemConfig::new(Nqn::from_uuid(&[name; 16]));
    assert_eq!(world.target.set_subsystems_max(1024), Err(ConfigError::TooMany));
    assert_eq!(world.target.set_subsystems_max(2), Ok(()));
    assert_eq!(world.target.create_subsystem(config(1)), Ok(()));
    assert_eq!(world.target.create_subsystem(config(2)), Err(ConfigError::TooMany));
}

#[test]
fn the_field_to_blame_is_named() {
    let mut world = World::new();
    let admin = connect(0);
    let mut refuse = |connect: &Connect, data: &ConnectData| world.connect(connect, data).unwrap_err();
    let good = data(1, 0xffff);
    let stranger = ConnectData::new([1; 16], 0xffff, &host_nqn(9), &host_nqn(1));
    assert_eq!(refuse(&admin, &stranger), invalid(ConnectField::Subsystem));
    let mut unterminated = good;
    unterminated.subsystem = [b'n'; 256];
    assert_eq!(refuse(&admin, &unterminated), invalid(ConnectField::Subsystem));
    let mut nameless = good;
    nameless.host = [0; 256];
    assert_eq!(refuse(&admin, &nameless), invalid(ConnectField::Host));
    assert_eq!(refuse(&admin, &data(1, 5)), invalid(ConnectField::ControllerId));
    assert_eq!(refuse(&connect(1), &data(1, 5)), invalid(ConnectField::ControllerId));
    for queue_size_zero_based in [0, 128, u16::MAX] {
        let odd = Connect { queue_size_zero_based, ..admin };
        assert_eq!(refuse(&odd, &good), invalid(ConnectField::QueueSize));
    }
    let format = Connect { record_format: 1, ..admin };
    assert_eq!(refuse(&format, &good), refused(Status::CONNECT_INCOMPATIBLE_FORMAT));
}

#[test]
fn an_io_queue_belongs_to_its_host_and_a_ready_controller() {
    let mut world = World::new();
    let admin = world.admin(1);
    let mut theirs = data(2, admin.controller_id);
    assert_eq!(world.connect(&connect(1), &theirs).unwrap_err(), refused(Status::CONNECT_INVALID_HOST));
    theirs = data(1, admin.controller_id);
    theirs.host_id = [9; 16];
    assert_eq!(world.connect(&connect(1), &theirs).unwrap_err(), refused(Status::CONNECT_INVALID_HOST));
    let mine = data(1, admin.controller_id);
    assert_eq!(world.connect(&connect(128), &mine).unwrap_err(), invalid(ConnectField::QueueId));
    world.connect(&connect(1), &mine).unwrap();
    assert_eq!(world.connect(&connect(1), &mine).unwrap_err(), refused(Status::COMMAND_SEQUENCE_ERROR));
    let (_, idle) = world.connect(&connect(0), &data(3, 0xffff)).unwrap();
    let early = data(3, idle.controller_id);
    assert_eq!(world.connect(&connect(1), &early).unwrap_err(), refused(Status::COMMAND_SEQUENCE_ERROR));
}

#[test]
fn only_hosts_on_the_list_come_in_and_through_their_portal() {
    let mut config = SubsystemConfig::new(subsystem_nqn());
    config.allow_any_host = false;
    let mut world = World::with(Options::default(), config);
    let refusal = world.connect(&connect(0), &data(1, 0xffff)).unwrap_err();
    assert_eq!(refusal, refused(Status::CONNECT_INVALID_HOST));
    world.target.add_host(&subsystem_nqn(), host_nqn(1)).unwrap();
    let admin = world.admin(1);
    world.target.remove_host(&subsystem_nqn(), &host_nqn(1)).unwrap();
    assert_eq!(world.target.poll_disconnect(), Some(admin.connection));
    assert_eq!(world.target.poll_disconnect(), None);
    world.disconnect(admin);
    world.target.allow_any_host(&subsystem_nqn(), true).unwrap();
    world.target.remove_listener(&subsystem_nqn(), &arrival().portal).unwrap();
    let refusal = world.connect(&connect(0), &data(1, 0xffff)).unwrap_err();
    assert_eq!(refusal, invalid(ConnectField::Subsystem));
    world.admin_of(&Nqn::discovery(), 1);
}

#[test]
fn controllers_run_out_and_come_back() {
    let mut config = SubsystemConfig::new(subsystem_nqn());
    (config.min_cntlid, config.max_cntlid) = (7, 8);
    let mut world = World::with(Options::default(), config);
    let first = world.admin(1);
    assert_eq!((first.controller_id, world.admin(2).controller_id), (7, 8));
    let refusal = world.connect(&connect(0), &data(3, 0xffff)).unwrap_err();
    assert_eq!(refusal, Refusal { status: Status::CONNECT_CONTROLLER_BUSY, result: 0 });
    world.disconnect(first);
    assert_eq!(world.admin(3).controller_id, 7);
}
