//! Identify (Base 5.17, NVM 4.1.5): the structures that say what there is.

use super::super::namespace::Namespace;
use super::super::nvm::ranges::{COPY_BLOCKS_MAX, COPY_RANGE_BLOCKS_MAX, COPY_RANGES_MAX};
use super::super::subsystem::Subsystem;
use super::super::{Options, Request, Target, Transport};
use super::admin::{Outcome, give};
use super::{Controller, errors, events, keep_alive};
use stdx::env::Env;
use stdx::slab::Key;
use wire::nvme::admin::IdentifyRequest;
use wire::nvme::fabrics::Version;
use wire::nvme::identify::{
    AnaCapabilities, AsyncEvents, CommandSet, CommandSetCombinations, CommandSetVector, ControllerAttributes,
    ControllerData, ControllerList, ControllerType, DeallocateFeatures, FusedOperations, IDENTIFY_LEN,
    IndependentNamespaceData, LbaFormat, LogPageAttributes, MultiPath, NamespaceData, NamespaceDescriptor,
    NamespaceList, NamespaceSharing, NamespaceStatus, NvmCommands, NvmControllerData, NvmNamespaceData,
    ReservationCapabilities, SglSupport, Structure, VolatileWriteCache, fill_text, write_descriptors,
};
use wire::nvme::{NAMESPACE_ALL, Status, SubmissionQueueEntry};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64, U128};

type Page = [u8; IDENTIFY_LEN];

impl Target {
    /// Identify.
    pub(super) fn identify(
        &mut self,
        env: &mut dyn Env,
        controller: Key,
        request: &Request,
    ) -> Result<Outcome, Status> {
        let entry = self.controllers.get(controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let subsystem = self.subsystems.get(entry.subsystem).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let mut page: Page = [0; IDENTIFY_LEN];
        self.identify_page(entry, subsystem, &request.command, &mut page)?;
        Ok(give(env, request, &page))
    }

    fn identify_page(
        &self,
        controller: &Controller,
        subsystem: &Subsystem,
        command: &SubmissionQueueEntry,
        page: &mut Page,
    ) -> Result<(), Status> {
        let request = IdentifyRequest::read(command);
        let id = command.namespace_id.get();
        let structure = Structure::from_code(request.structure).ok_or(Status::INVALID_FIELD)?;
        if controller.discovery && structure != Structure::Controller {
            return Err(Status::INVALID_FIELD);
        }
        let ids = || subsystem.active_ids().map(|(id, _)| id);
        match structure {
            Structure::Controller => put(page, &controller_data(&self.options, controller, subsystem)),
            Structure::Namespace | Structure::AllocatedNamespace => {
                if let Some(namespace) = self.described(subsystem, id)? {
                    put(page, &namespace_data(namespace, subsystem));
                }
            }
            Structure::ActiveNamespaceList | Structure::AllocatedNamespaceList => {
                put(page, &list_after(id, ids())?);
            }
            Structure::NamespaceDescriptorList => {
                let namespace = self.described(subsystem, id)?.ok_or(Status::INVALID_NAMESPACE_OR_FORMAT)?;
                write_descriptors(&descriptors(namespace), page);
            }
            Structure::CommandSetNamespace => {
                only_nvm(&request)?;
                if self.described(subsystem, id)?.is_some() {
                    put(page, &NvmNamespaceData::zeroed());
                }
            }
            Structure::CommandSetController => {
                only_nvm(&request)?;
                put(page, &NvmControllerData::zeroed());
            }
            Structure::CommandSetActiveNamespaceList | Structure::CommandSetAllocatedNamespaceList => {
                only_nvm(&request)?;
                put(page, &list_after(id, ids())?);
            }
            Structure::IndependentNamespace => {
                if let Some(namespace) = self.described(subsystem, id)? {
                    put(page, &independent_data(namespace, subsystem));
                }
            }
            Structure::NamespaceControllerList => {
                self.described(subsystem, id)?.ok_or(Status::INVALID_FIELD)?;
                put(page, &self.controller_list(subsystem, request.controller_id));
            }
            Structure::ControllerList => {
                put(page, &self.controller_list(subsystem, request.controller_id));
            }
            Structure::CommandSets => put(page, &command_sets()),
            Structure::CommandSetAllocatedNamespace
            | Structure::NvmSetList
            | Structure::PrimaryControllerCapabilities
            | Structure::SecondaryControllerList
            | Structure::NamespaceGranularityList
            | Structure::UuidList
            | Structure::DomainList
            | Structure::EnduranceGroupList => return Err(Status::INVALID_FIELD),
        }
        Ok(())
    }

    /// The namespace a structure is wanted of; `None` if it is inactive, an error if it cannot exist.
    fn described(&self, subsystem: &Subsystem, id: u32) -> Result<Option<&Namespace>, Status> {
        if id == 0 || id > subsystem.config.max_namespaces {
            return Err(Status::INVALID_NAMESPACE_OR_FORMAT);
        }
        Ok(subsystem.namespace(id).and_then(|key| self.namespaces.get(key)))
    }

    fn controller_list(&self, subsystem: &Subsystem, from: u16) -> ControllerList {
        let controllers = subsystem.controllers.iter().filter_map(|&key| self.controllers.get(key));
        let mut ids: Vec<u16> = controllers.map(|entry| entry.id).filter(|&id| id >= from).collect();
        ids.sort_unstable();
        ControllerList::collect(ids)
    }
}

fn put<T: IntoBytes + zerocopy::Immutable>(page: &mut Page, structure: &T) {
    page.copy_from_slice(structure.as_bytes());
}

fn only_nvm(request: &IdentifyRequest) -> Result<(), Status> {
    let nvm = request.command_set == CommandSet::Nvm.code();
    if nvm { Ok(()) } else { Err(Status::INVALID_FIELD) }
}

/// The identifiers above `id`. The two highest values are no place to start (Base 5.17.2.2).
fn list_after(id: u32, ids: impl Iterator<Item = u32>) -> Result<NamespaceList, Status> {
    if id >= NAMESPACE_ALL - 1 {
        return Err(Status::INVALID_NAMESPACE_OR_FORMAT);
    }
    Ok(NamespaceList::collect(ids.filter(|&other| other > id)))
}

fn controller_data(options: &Options, controller: &Controller, subsystem: &Subsystem) -> ControllerData {
    let mut data = ControllerData::zeroed();
    fill_text(&mut data.serial_number, &subsystem.config.serial);
    fill_text(&mut data.model_number, &subsystem.config.model);
    fill_text(&mut data.firmware_revision, env!("CARGO_PKG_VERSION"));
    data.max_data_transfer = options.transfer_size_power();
    data.controller_id = U16::new(controller.id);
    data.version = U32::new(Version::V2_0.bits());
    let attributes = ControllerAttributes::HOST_ID_128 | ControllerAttributes::TRAFFIC_BASED_KEEP_ALIVE;
    data.attributes = U32::new(attributes.bits());
    data.async_event_limit_zero_based = (events::PARKED_MAX - 1) as u8;
    data.error_log_entries_zero_based = (errors::ENTRIES - 1) as u8;
    data.firmware_updates = ONE_READ_ONLY_SLOT;
    data.keep_alive_granularity = U16::new((keep_alive::GRANULARITY_MS / 100) as u16);
    data.max_commands = U16::new(options.max_queue_depth);
    let moved = match controller.arrival.portal.transport {
        Transport::Tcp => SglSupport::TRANSPORT_DATA_BLOCK,
        Transport::Rdma => SglSupport::KEYED,
    };
    let sgl = SglSupport::SUPPORTED | SglSupport::IN_CAPSULE_OFFSET | moved;
    data.sgl_support = U32::new(sgl.bits());
    data.subsystem_nqn = subsystem.config.nqn.to_field();
    data.command_capsule_size =
        U32::new((SubmissionQueueEntry::LEN as u32 + options.in_capsule_data_size) / 16);
    data.response_capsule_size = U32::new(1);
    data.sgl_descriptors_max = match controller.arrival.portal.transport {
        Transport::Tcp => 1,
        Transport::Rdma => crate::target::rdma::DESCRIPTORS_MAX,
    };
    if controller.discovery {
        data.controller_type = ControllerType::Discovery.code();
        data.async_events = U32::new(AsyncEvents::DISCOVERY_LOG_CHANGE.bits());
        data.log_page_attributes = LogPageAttributes::EXTENDED_DATA.bits();
    } else {
        io_controller_data(&mut data, subsystem);
    }
    data
}

/// What only a controller with namespaces has.
fn io_controller_data(data: &mut ControllerData, subsystem: &Subsystem) {
    let ana = subsystem.config.ana_reporting;
    let paths = MultiPath::PORTS | MultiPath::CONTROLLERS;
    data.controller_type = ControllerType::Io.code();
    data.multi_path = if ana { paths.with(MultiPath::ANA_REPORTING).bits() } else { paths.bits() };
    let events = AsyncEvents::NAMESPACE_ATTRIBUTE;
    data.async_events =
        U32::new(if ana { events.with(AsyncEvents::ANA_CHANGE).bits() } else { events.bits() });
    data.arbitration_burst = ARBITRATION_BURST;
    data.abort_limit_zero_based = ABORT_LIMIT_ZERO_BASED;
    let pages = LogPageAttributes::COMMAND_EFFECTS
        | LogPageAttributes::EXTENDED_DATA
        | LogPageAttributes::SUPPORTED_PAGES;
    data.log_page_attributes = pages.bits();
    data.submission_entry_sizes = 0x66;
    data.completion_entry_sizes = 0x44;
    data.namespaces = U32::new(subsystem.config.max_namespaces);
    data.allowed_namespaces_max = U32::new(subsystem.config.max_namespaces);
    data.nvm_commands = U16::new(nvm_commands().bits());
    data.fused_operations = U16::new(FusedOperations::COMPARE_AND_WRITE.bits());
    let cache = VolatileWriteCache::PRESENT | VolatileWriteCache::FLUSH_ALL_SUPPORTED;
    data.volatile_write_cache = cache.bits();
    data.copy_formats = U16::new(COPY_FORMAT_0);
    if ana {
        data.ana_transition_seconds = ANA_TRANSITION_SECONDS;
        let states = AnaCapabilities::OPTIMIZED
            | AnaCapabilities::NON_OPTIMIZED
            | AnaCapabilities::INACCESSIBLE
            | AnaCapabilities::PERSISTENT_LOSS
            | AnaCapabilities::CHANGE;
        data.ana_capabilities = states.bits();
        data.ana_group_id_max = U32::new(subsystem.ana_groups());
        data.ana_groups = U32::new(subsystem.ana_groups());
    }
}

fn nvm_commands() -> NvmCommands {
    NvmCommands::COMPARE
        | NvmCommands::WRITE_UNCORRECTABLE
        | NvmCommands::DATASET_MANAGEMENT
        | NvmCommands::WRITE_ZEROES
        | NvmCommands::SAVE_AND_SELECT
        | NvmCommands::RESERVATIONS
        | NvmCommands::TIMESTAMP
        | NvmCommands::VERIFY
        | NvmCommands::COPY
}

fn namespace_data(namespace: &Namespace, subsystem: &Subsystem) -> NamespaceData {
    let info = &namespace.info;
    let mut data = NamespaceData::zeroed();
    data.size = U64::new(info.blocks);
    data.capacity = U64::new(info.blocks);
    data.utilization = U64::new(info.blocks);
    data.sharing = NamespaceSharing::SHARED.bits();
    data.reservations = reservation_capabilities(namespace).bits();
    data.deallocate_features = DeallocateFeatures::WRITE_ZEROES_DEALLOCATE.bits();
    data.nvm_capacity = U128::new(u128::from(info.bytes()));
    data.copy_range_max = U16::new(COPY_RANGE_BLOCKS_MAX);
    data.copy_length_max = U32::new(COPY_BLOCKS_MAX);
    data.copy_ranges_max_zero_based = (COPY_RANGES_MAX - 1) as u8;
    data.ana_group_id = U32::new(shown_ana_group(namespace, subsystem));
    data.attributes = u8::from(info.read_only);
    data.nguid = namespace.nguid();
    data.eui64 = namespace.config.eui64.unwrap_or_default();
    data.formats[0] = LbaFormat::of_block_size(info.block_size);
    data
}

fn independent_data(namespace: &Namespace, subsystem: &Subsystem) -> IndependentNamespaceData {
    let mut data = IndependentNamespaceData::zeroed();
    data.sharing = NamespaceSharing::SHARED.bits();
    data.reservations = reservation_capabilities(namespace).bits();
    data.ana_group_id = U32::new(shown_ana_group(namespace, subsystem));
    data.attributes = u8::from(namespace.info.read_only);
    data.status = NamespaceStatus::READY.bits();
    data
}

/// Groups exist for hosts only where asymmetric access is reported.
fn shown_ana_group(namespace: &Namespace, subsystem: &Subsystem) -> u32 {
    if subsystem.config.ana_reporting { namespace.ana_group } else { 0 }
}

fn reservation_capabilities(namespace: &Namespace) -> ReservationCapabilities {
    let all = ReservationCapabilities::WRITE_EXCLUSIVE
        | ReservationCapabilities::EXCLUSIVE_ACCESS
        | ReservationCapabilities::WRITE_EXCLUSIVE_REGISTRANTS_ONLY
        | ReservationCapabilities::EXCLUSIVE_ACCESS_REGISTRANTS_ONLY
        | ReservationCapabilities::WRITE_EXCLUSIVE_ALL_REGISTRANTS
        | ReservationCapabilities::EXCLUSIVE_ACCESS_ALL_REGISTRANTS
        | ReservationCapabilities::IGNORE_EXISTING_KEY;
    if namespace.config.ptpl { all.with(ReservationCapabilities::PERSIST) } else { all }
}

fn descriptors(namespace: &Namespace) -> Vec<NamespaceDescriptor> {
    let mut list = Vec::with_capacity(4);
    list.extend(namespace.config.eui64.map(NamespaceDescriptor::Eui64));
    if namespace.nguid() != [0; 16] {
        list.push(NamespaceDescriptor::Nguid(namespace.nguid()));
    }
    if namespace.config.uuid != [0; 16] {
        list.push(NamespaceDescriptor::Uuid(namespace.config.uuid));
    }
    list.push(NamespaceDescriptor::CommandSet(CommandSet::Nvm.code()));
    list
}

fn command_sets() -> CommandSetCombinations {
    let mut sets = CommandSetCombinations::zeroed();
    sets.vectors[0] = U64::new(CommandSetVector::NVM.bits());
    sets
}

/// FRMW: one slot, not to be written.
const ONE_READ_ONLY_SLOT: u8 = 0x03;
/// RAB: bursts of 2^6 commands.
const ARBITRATION_BURST: u8 = 6;
/// ACL: four at a time; they take no time.
const ABORT_LIMIT_ZERO_BASED: u8 = 3;
/// CDFS bit 0.
const COPY_FORMAT_0: u16 = 1;
/// ANATT: how long a change of an access state may take.
const ANA_TRANSITION_SECONDS: u8 = 10;
