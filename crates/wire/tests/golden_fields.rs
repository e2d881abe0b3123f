//! The captures field by field: what a Linux host and a Linux target really say, and where.

mod support;

use support::{Connection, connections};
use wire::nvme::admin::{IdentifyRequest, LogPageRequest, SetFeatures};
use wire::nvme::fabrics::{
    Capabilities, Configuration, Connect, ConnectAttributes, ConnectData, ConnectResult, ControllerStatus,
    Property, PropertyGet, PropertySet, PropertySize, ShutdownNotification, ShutdownStatus, Version,
};
use wire::nvme::features::{Feature, NumberOfQueues};
use wire::nvme::identify::{
    AsyncEvents, CommandSet, ControllerAttributes, ControllerData, ControllerType, MultiPath, NamespaceData,
    NamespaceDescriptor, NamespaceDescriptors, NamespaceList, NvmCommands, SglSupport, Structure, read_text,
};
use wire::nvme::log::{
    AddressFamily, AnaGroups, AnaState, CommandEffects, DiscoveryEntry, DiscoveryHeader, EffectsLog,
    HealthLog, LogPage, SubsystemType, TransportType,
};
use wire::nvme::nvm::BlockCommand;
use wire::nvme::tcp::{C2hData, CapsuleCmd, CapsuleResp, H2cData, PduType, R2t};
use wire::nvme::{
    AdminOpcode, CONTROLLER_ANY, CompletionQueueEntry, FabricsCommandType, NAMESPACE_ALL, NvmOpcode, Sgl,
    Status, SubmissionQueueEntry,
};

const HOST: &str = "nqn.2014-08.org.nvmexpress:uuid:00000000-0000-4000-8000-00000000000b";
const SUBSYSTEM: &str = "nqn.2026-01.test.guest:ram";

/// A command with all that was exchanged for it.
struct Exchange {
    command: SubmissionQueueEntry,
    completion: CompletionQueueEntry,
    /// In-capsule data.
    sent: Vec<u8>,
    /// Data of the C2HData PDUs.
    received: Vec<u8>,
}

/// The commands of a connection, each with the next completion and data that bear its identifier.
fn exchanges(connection: &Connection) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    for (index, pdu) in connection.pdus.iter().enumerate() {
        if pdu.kind() != PduType::CapsuleCmd {
            continue;
        }
        let command = CapsuleCmd::view(pdu.header()).unwrap().command;
        let mut received = Vec::new();
        for later in &connection.pdus[index..] {
            if later.kind() == PduType::C2hData {
                let data = C2hData::decode(&later.layout, later.header()).unwrap();
                if data.command_id == command.command_id.get() {
                    assert_eq!(data.offset as usize, received.len());
                    received.extend_from_slice(later.data());
                }
            }
            if later.kind() == PduType::CapsuleResp {
                let completion = CapsuleResp::view(later.header()).unwrap().completion;
                if completion.command_id == command.command_id {
                    exchanges.push(Exchange { command, completion, sent: pdu.data().to_vec(), received });
                    break;
                }
            }
        }
    }
    exchanges
}

fn admin() -> Vec<Exchange> {
    exchanges(&connections("nvme-tcp.pcap")[0])
}

fn identify(exchanges: &[Exchange], structure: Structure) -> &Exchange {
    let code = AdminOpcode::Identify.code();
    let wanted = |exchange: &&Exchange| {
        let command = &exchange.command;
        command.opcode == code && IdentifyRequest::read(command).structure == structure.code()
    };
    exchanges.iter().find(wanted).unwrap()
}

fn log_page(exchanges: &[Exchange], page: LogPage) -> Vec<&Exchange> {
    let code = AdminOpcode::GetLogPage.code();
    let wanted = |exchange: &&Exchange| {
        let command = &exchange.command;
        command.opcode == code && LogPageRequest::read(command).page == page.code()
    };
    exchanges.iter().filter(wanted).collect()
}

#[test]
fn connect_makes_the_admin_queue_and_an_io_queue() {
    let admin = &admin()[0];
    assert_eq!(admin.command.fabrics_type_code(), FabricsCommandType::Connect.code());
    assert_eq!(admin.command.data.decode(), Ok(Sgl::InCapsule { offset: 0, length: 1024 }));
    let expected = Connect {
        record_format: 0,
        queue_id: 0,
        queue_size_zero_based: 31,
        attributes: ConnectAttributes::NONE,
        keep_alive_ms: 5000,
    };
    assert_eq!(Connect::read(&admin.command), expected);
    assert_eq!(expected.command(0), admin.command, "our own Connect is the kernel's, byte for byte");
    let data = ConnectData::view(&admin.sent).unwrap();
    assert_eq!(data.host().unwrap().as_str(), HOST);
    assert_eq!(data.subsystem().unwrap().as_str(), SUBSYSTEM);
    assert_eq!(data.controller_id.get(), CONTROLLER_ANY);
    let written =
        ConnectData::new(data.host_id, CONTROLLER_ANY, &data.subsystem().unwrap(), &data.host().unwrap());
    assert_eq!(&written, data);
    let result = ConnectResult::connected(admin.completion.dword0());
    assert_eq!(result, ConnectResult::Connected { controller_id: 1, authentication_required: false });

    let io = &exchanges(&connections("nvme-tcp.pcap")[1])[0];
    let connect = Connect::read(&io.command);
    assert_eq!((connect.queue_id, connect.queue_size_zero_based, connect.keep_alive_ms), (1, 15, 0));
    assert_eq!(ConnectData::view(&io.sent).unwrap().controller_id.get(), 1);
}

#[test]
fn properties_bring_the_controller_up_and_down() {
    let exchanges = admin();
    let get = PropertyGet::read(&exchanges[1].command);
    assert_eq!((get.offset, get.size), (Property::Capabilities.code(), Some(PropertySize::EightBytes)));
    let capabilities = Capabilities::from_bits(exchanges[1].completion.result.get());
    assert_eq!(capabilities.bits(), 0x0820_0f00_03ff);
    assert_eq!((capabilities.queue_entries_max_zero_based, capabilities.ready_timeout), (1023, 15));
    assert_eq!(capabilities.command_sets, 0x41);

    let set = PropertySet::read(&exchanges[5].command);
    assert_eq!((set.offset, set.size), (Property::Configuration.code(), Some(PropertySize::FourBytes)));
    let configuration = Configuration::from_bits(set.value as u32);
    assert!(configuration.enable);
    assert_eq!((configuration.submission_entry_size, configuration.completion_entry_size), (6, 4));
    let written = PropertySet::command(Property::Configuration, set.value, 0x2001);
    assert_eq!(written.with_data(Sgl::Transport { length: 0 }), exchanges[5].command);

    let status = ControllerStatus::from_bits(exchanges[6].completion.dword0());
    assert!(status.ready && !status.fatal);
    assert_eq!(Version::from_bits(exchanges[7].completion.dword0()).to_string(), "1.3");

    let last = Configuration::from_bits(PropertySet::read(&exchanges[23].command).value as u32);
    assert_eq!(last.shutdown, Some(ShutdownNotification::Normal));
    let status = ControllerStatus::from_bits(exchanges[24].completion.dword0());
    assert_eq!((status.ready, status.shutdown), (false, Some(ShutdownStatus::Complete)));
}

#[test]
fn the_controller_describes_itself() {
    let exchanges = admin();
    let data = ControllerData::view(&identify(&exchanges, Structure::Controller).received).unwrap();
    assert_eq!(read_text(&data.serial_number), Some("GUEST0000000001"));
    assert_eq!(read_text(&data.model_number), Some("Linux"));
    assert_eq!(read_text(&data.firmware_revision), Some("6.1.0-56"));
    assert_eq!(data.subsystem().unwrap().as_str(), SUBSYSTEM);
    assert_eq!(data.controller_id.get(), 1);
    assert_eq!(Version::from_bits(data.version.get()).to_string(), "1.3");
    assert_eq!(data.controller_type, ControllerType::Io.code());
    assert_eq!((data.submission_entry_sizes, data.completion_entry_sizes), (0x66, 0x44));
    assert_eq!((data.max_commands.get(), data.namespaces.get()), (1024, 1024));
    assert_eq!((data.command_capsule_size.get(), data.response_capsule_size.get()), (1028, 1));
    assert_eq!((data.in_capsule_data_offset.get(), data.sgl_descriptors_max), (0, 1));
    assert_eq!((data.keep_alive_granularity.get(), data.max_data_transfer), (10, 0));
    assert_eq!(
        data.multi_path,
        (MultiPath::PORTS | MultiPath::CONTROLLERS | MultiPath::ANA_REPORTING).bits()
    );
    let commands = NvmCommands::DATASET_MANAGEMENT | NvmCommands::WRITE_ZEROES;
    assert_eq!(data.nvm_commands.get(), commands.bits());
    assert_eq!(data.sgl_support.get(), (SglSupport::SUPPORTED | SglSupport::IN_CAPSULE_OFFSET).bits());
    let attributes = ControllerAttributes::HOST_ID_128 | ControllerAttributes::TRAFFIC_BASED_KEEP_ALIVE;
    assert_eq!(data.attributes.get(), attributes.bits());
    let events = AsyncEvents::NAMESPACE_ATTRIBUTE | AsyncEvents::ANA_CHANGE;
    assert_eq!(data.async_events.get(), events.bits());
    assert_eq!((data.volatile_write_cache, data.ana_capabilities), (1, 0x1f));
    assert_eq!((data.ana_group_id_max.get(), data.ana_groups.get()), (128, 128));
}

#[test]
fn the_namespace_describes_itself() {
    let exchanges = admin();
    let list = NamespaceList::view(&identify(&exchanges, Structure::ActiveNamespaceList).received).unwrap();
    assert_eq!(list.iter().collect::<Vec<_>>(), [1]);
    let data = NamespaceData::view(&identify(&exchanges, Structure::Namespace).received).unwrap();
    assert_eq!((data.size.get(), data.capacity.get(), data.utilization.get()), (131_072, 131_072, 131_072));
    assert_eq!((data.format().block_size(), data.formats_zero_based), (Some(512), 0));
    assert_eq!((data.features, data.sharing, data.ana_group_id.get()), (0x12, 1, 1));
    let exchange = identify(&exchanges, Structure::NamespaceDescriptorList);
    let descriptors: Vec<_> = NamespaceDescriptors::new(&exchange.received).map(Result::unwrap).collect();
    let uuid = 0x4c6b_86dc_5bed_4513_8951_2f11_0f9f_bd47_u128.to_be_bytes();
    let command_set = CommandSet::Nvm.code();
    assert_eq!(descriptors, [NamespaceDescriptor::Uuid(uuid), NamespaceDescriptor::CommandSet(command_set)]);
}

#[test]
fn features_and_log_pages_of_an_io_controller() {
    let exchanges = admin();
    let set = |feature: Feature| {
        let is_set = |exchange: &&Exchange| {
            exchange.command.opcode == AdminOpcode::SetFeatures.code()
                && SetFeatures::read(&exchange.command).feature == feature.code()
        };
        exchanges.iter().find(is_set).unwrap()
    };
    let queues = NumberOfQueues::from_dword(set(Feature::NumberOfQueues).completion.dword0());
    assert_eq!(queues, Some(NumberOfQueues { submission: 128, completion: 128 }));
    let events = SetFeatures::read(&set(Feature::AsynchronousEventConfiguration).command);
    assert_eq!(events.dword11, (AsyncEvents::NAMESPACE_ATTRIBUTE | AsyncEvents::ANA_CHANGE).bits());

    let effects = log_page(&exchanges, LogPage::CommandEffects)[0];
    let effects = EffectsLog::view(&effects.received).unwrap();
    let supported: Vec<_> = (0..256).filter(|opcode| effects.io[*opcode].get() != 0).collect();
    assert_eq!(supported, [0x00, 0x01, 0x02, 0x08, 0x09]);
    assert_eq!(effects.admin[0x18].get(), CommandEffects::SUPPORTED.bits());

    let ana = log_page(&exchanges, LogPage::AsymmetricNamespaceAccess)[0];
    let request = LogPageRequest::read(&ana.command);
    assert_eq!((request.length, request.offset), (8208, 0));
    let written = request.command(0x0c, NAMESPACE_ALL).with_data(Sgl::Transport { length: 8208 });
    assert_eq!(written, ana.command);
    let groups: Vec<_> = AnaGroups::new(&ana.received).unwrap().map(Result::unwrap).collect();
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].header.group_id.get(), groups[0].header.state()), (1, Some(AnaState::Optimized)));
    assert_eq!(groups[0].namespaces().collect::<Vec<_>>(), [1]);

    let health = log_page(&exchanges, LogPage::Health)[0];
    assert_eq!(HealthLog::view(&health.received).unwrap(), &HealthLog::zeroed());

    let aborted = &exchanges.iter().find(|exchange| exchange.command.opcode == 0x0c).unwrap().completion;
    assert_eq!(aborted.status(), Status::INTERNAL_ERROR.with_do_not_retry());
}

#[test]
fn a_large_write_goes_by_ready_to_transfer() {
    let connection = &connections("nvme-tcp-hdgst-ddgst.pcap")[1];
    let exchanges = exchanges(connection);
    let is_large_write =
        |exchange: &&Exchange| exchange.command.opcode == NvmOpcode::Write.code() && exchange.sent.is_empty();
    let write = exchanges.iter().find(is_large_write).unwrap();
    assert_eq!(write.command.data.decode(), Ok(Sgl::Transport { length: 65_536 }));
    let range = BlockCommand::read(&write.command);
    assert_eq!((range.first_block, range.blocks, range.force_unit_access()), (128, 128, false));
    assert!(write.completion.status().is_success());

    let ready = R2t::decode(connection.of_kind(PduType::R2t).next().unwrap().header()).unwrap();
    assert_eq!((ready.offset, ready.length), (0, 65_536));
    assert_eq!(ready.command_id, write.command.command_id.get());
    assert_eq!(ready.check_within(65_536), Ok(()));
    let pdu = connection.of_kind(PduType::H2cData).next().unwrap();
    let data = H2cData::decode(&pdu.layout, pdu.header()).unwrap();
    assert_eq!((data.offset, data.length, data.last), (0, 65_536, true));
    assert_eq!((data.command_id, data.transfer_tag), (ready.command_id, ready.transfer_tag));
    assert_eq!(data.check_within(ready.offset, ready.length), Ok(()));
    assert_eq!((pdu.layout.data_offset, pdu.layout.pdu_len), (28, 28 + 65_536 + 4));

    let is_read_back = |exchange: &&Exchange| exchange.received.len() == 65_536;
    let read = exchanges.iter().find(is_read_back).unwrap();
    assert_eq!(read.received, pdu.data(), "what was written is read back");
}

#[test]
fn a_small_write_goes_in_its_capsule() {
    let exchanges = exchanges(&connections("nvme-tcp.pcap")[1]);
    let is_small_write = |exchange: &&Exchange| {
        exchange.command.opcode == NvmOpcode::Write.code() && !exchange.sent.is_empty()
    };
    let write = exchanges.iter().find(is_small_write).unwrap();
    assert_eq!(write.command.data.decode(), Ok(Sgl::InCapsule { offset: 0, length: 4096 }));
    assert_eq!(write.sent.len(), 4096);
    let range = BlockCommand::read(&write.command);
    assert_eq!((range.first_block, range.blocks), (0, 8));
}

#[test]
fn discovery_leads_to_the_subsystem() {
    let exchanges = exchanges(&connections("nvme-tcp-discovery.pcap")[0]);
    let data = ControllerData::view(&identify(&exchanges, Structure::Controller).received).unwrap();
    assert_eq!(data.controller_type, ControllerType::Discovery.code());
    assert!(data.subsystem().unwrap().is_discovery());

    let reads = log_page(&exchanges, LogPage::Discovery);
    let lengths: Vec<_> = reads.iter().map(|read| LogPageRequest::read(&read.command).length).collect();
    assert_eq!(lengths, [1024, 3072], "first the header, then all");
    let page = &reads[1].received;
    let header = DiscoveryHeader::view(page).unwrap();
    assert_eq!((header.generation.get(), header.records.get(), header.record_format.get()), (2, 2, 0));
    let expected = [
        (SubsystemType::CurrentDiscovery, "nqn.2014-08.org.nvmexpress.discovery"),
        (SubsystemType::Nvm, SUBSYSTEM),
    ];
    for (index, (kind, nqn)) in expected.into_iter().enumerate() {
        let entry = DiscoveryEntry::view(&page[1024 * (index + 1)..]).unwrap();
        assert_eq!(entry.transport, TransportType::Tcp.code());
        assert_eq!(entry.address_family, AddressFamily::Ipv4.code());
        assert_eq!(entry.subsystem_type, kind.code());
        assert_eq!((entry.port_id.get(), entry.controller_id.get()), (1, CONTROLLER_ANY));
        assert_eq!(entry.admin_queue_size_max.get(), 32);
        assert_eq!((entry.address(), entry.service_id()), (Some("10.77.0.11"), Some("4420")));
        assert_eq!(entry.subsystem().unwrap().as_str(), nqn);
    }
}
