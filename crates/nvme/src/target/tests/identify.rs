//! Identify, as far as hosts depend on it.

use super::world::{BLOCKS, Client, World, reading, subsystem_nqn};
use crate::target::{NamespaceConfig, Options, SubsystemConfig};
use block::BlockDevice;
use wire::nvme::admin::IdentifyRequest;
use wire::nvme::fabrics::Version;
use wire::nvme::identify::{
    ControllerData, ControllerList, ControllerType, IDENTIFY_LEN, NamespaceData, NamespaceDescriptor,
    NamespaceDescriptors, NamespaceList, Structure,
};
use wire::nvme::{NAMESPACE_ALL, Nqn, Status};

fn identify(world: &mut World, admin: Client, structure: Structure, id: u32) -> Result<Vec<u8>, Status> {
    let request = IdentifyRequest { structure: structure.code(), ..IdentifyRequest::default() };
    let answer = world.run(admin, reading(request.command(1, id), IDENTIFY_LEN), &[]);
    if answer.status.is_success() { Ok(answer.data) } else { Err(answer.status.kind()) }
}

fn controller(world: &mut World, admin: Client) -> ControllerData {
    let data = identify(world, admin, Structure::Controller, 0).unwrap();
    *ControllerData::view(&data).unwrap()
}

/// What Linux refuses a controller over Fabrics for (drivers/nvme/host/fabrics.c and core.c).
#[test]
fn linux_accepts_the_controller() {
    let mut world = World::new();
    let admin = world.admin(1);
    world.admin(2);
    let data = controller(&mut world, admin);
    assert_eq!(data.controller_id.get(), admin.controller_id);
    assert_eq!(data.subsystem(), Ok(subsystem_nqn()));
    assert!(data.command_capsule_size.get() >= 4 && data.response_capsule_size.get() >= 1);
    assert_eq!(data.in_capsule_data_offset.get(), 0);
    assert_ne!(data.keep_alive_granularity.get(), 0);
    assert_ne!(data.max_commands.get(), 0);
    assert_eq!(data.sgl_support.get() & 3, 1);
    assert_eq!(data.version.get(), Version::V2_0.bits());
    assert_eq!(data.controller_type, ControllerType::Io.code());
    assert_eq!((data.submission_entry_sizes, data.completion_entry_sizes), (0x66, 0x44));
    assert_eq!(data.namespaces.get(), 32);
    assert!(data.allowed_namespaces_max.get() <= data.namespaces.get());
    assert_eq!(data.retry_delays.map(|delay| delay.get()), [0; 3]);
    assert_ne!(data.multi_path & 0x2, 0, "several controllers");
}

#[test]
fn limits_are_those_of_the_options() {
    let options = Options {
        max_io_size: 256 << 10,
        in_capsule_data_size: 16384,
        max_queue_depth: 64,
        ..Options::default()
    };
    let mut world = World::with(options, SubsystemConfig::new(subsystem_nqn()));
    let admin = world.admin(1);
    let data = controller(&mut world, admin);
    assert_eq!(data.max_data_transfer, 6);
    assert_eq!(data.command_capsule_size.get(), (64 + 16384) / 16);
    assert_eq!(data.max_commands.get(), 64);
}

#[test]
fn a_namespace_is_described() {
    let mut world = World::new();
    let admin = world.admin(1);
    let data = identify(&mut world, admin, Structure::Namespace, 1).unwrap();
    let data = NamespaceData::view(&data).unwrap();
    assert_eq!((data.size.get(), data.capacity.get()), (BLOCKS, BLOCKS));
    assert_eq!(data.format().block_size(), Some(512));
    assert_eq!((data.nguid, data.sharing), ([1; 16], 1));
    assert_eq!(identify(&mut world, admin, Structure::Namespace, 2), Ok(vec![0; IDENTIFY_LEN]), "inactive");
    for id in [0, 33, NAMESPACE_ALL] {
        let refused = Err(Status::INVALID_NAMESPACE_OR_FORMAT);
        assert_eq!(identify(&mut world, admin, Structure::Namespace, id), refused);
    }
    let list = identify(&mut world, admin, Structure::NamespaceDescriptorList, 1).unwrap();
    let list: Vec<_> = NamespaceDescriptors::new(&list).map(Result::unwrap).collect();
    let expected = [
        NamespaceDescriptor::Nguid([1; 16]),
        NamespaceDescriptor::Uuid([1; 16]),
        NamespaceDescriptor::CommandSet(0),
    ];
    assert_eq!(list, expected);
}

#[test]
fn lists_begin_behind_the_identifier_given() {
    let mut world = World::new();
    world.add_ram(8, 2);
    let geometry = block::device::Geometry::new(512, 8).unwrap();
    let ram = std::rc::Rc::new(block::device::Ram::new(&mut world.env, geometry).unwrap());
    let channel = ram.open();
    let config = NamespaceConfig { nsid: Some(7), ..NamespaceConfig::default() };
    world.target.add_namespace(&subsystem_nqn(), config, ram, channel).unwrap();
    let admin = world.admin(1);
    let second = world.admin(2);
    let mut list = |id| {
        let data = identify(&mut world, admin, Structure::ActiveNamespaceList, id)?;
        Ok(NamespaceList::view(&data).unwrap().iter().collect::<Vec<_>>())
    };
    assert_eq!(list(0), Ok(vec![1, 2, 7]));
    assert_eq!(list(2), Ok(vec![7]));
    assert_eq!(list(NAMESPACE_ALL), Err(Status::INVALID_NAMESPACE_OR_FORMAT));
    let data = identify(&mut world, admin, Structure::ControllerList, 0).unwrap();
    let ids: Vec<_> = ControllerList::view(&data).unwrap().iter().collect();
    assert_eq!(ids, [admin.controller_id, second.controller_id]);
    let data = identify(&mut world, admin, Structure::CommandSets, 0).unwrap();
    assert_eq!((data[0], data[1]), (1, 0));
}

#[test]
fn structures_that_are_not_there() {
    let mut world = World::new();
    let admin = world.admin(1);
    for structure in [Structure::NvmSetList, Structure::UuidList, Structure::DomainList] {
        assert_eq!(identify(&mut world, admin, structure, 0), Err(Status::INVALID_FIELD));
    }
    let zoned = IdentifyRequest { structure: 6, command_set: 2, ..IdentifyRequest::default() };
    let answer = world.run(admin, reading(zoned.command(1, 0), IDENTIFY_LEN), &[]);
    assert_eq!(answer.status.kind(), Status::INVALID_FIELD);
    let short = reading(IdentifyRequest { structure: 1, ..Default::default() }.command(1, 0), 4092);
    assert_eq!(world.transfer(admin, &short).unwrap_err().kind(), Status::DATA_SGL_LENGTH_INVALID);
}

#[test]
fn a_discovery_controller_is_one() {
    let mut world = World::new();
    let admin = world.admin_of(&Nqn::discovery(), 1);
    let data = controller(&mut world, admin);
    assert_eq!(data.controller_type, ControllerType::Discovery.code());
    assert_eq!(data.subsystem(), Ok(Nqn::discovery()));
    assert_eq!(data.namespaces.get(), 0);
    assert_eq!(identify(&mut world, admin, Structure::Namespace, 1), Err(Status::INVALID_FIELD));
}
