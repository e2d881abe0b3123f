//! What a controller says that has one namespace, 65,536 blocks of 4 KiB, whatever carries it.

use wire::nvme::admin::LogPageRequest;
use wire::nvme::fabrics::{Capabilities, Property, PropertyGet, Version};
use wire::nvme::identify::{
    ControllerData, LbaFormat, MultiPath, NamespaceData, NamespaceList, NvmControllerData, Structure,
};
use wire::nvme::log::{AnaGroupHeader, AnaHeader, AnaState, LogPage};
use wire::nvme::{AdminOpcode, FabricsCommandType, SubmissionQueueEntry};
use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

/// What tells one such controller from another.
#[derive(Clone, Copy, Default)]
pub struct Controller {
    /// It is one of Base 2.0, and has these limits.
    pub limits: Option<NvmControllerData>,
    /// It tells this access state of its only group of namespaces.
    pub access: Option<AnaState>,
}

/// The result of a command of Fabrics, which succeeds.
pub fn fabrics(command: &SubmissionQueueEntry) -> u64 {
    match FabricsCommandType::from_code(command.fabrics_type_code()) {
        Some(FabricsCommandType::Connect) => 1,
        Some(FabricsCommandType::PropertyGet) => match PropertyGet::read(command).offset {
            offset if offset == Property::Capabilities.code() => capabilities().bits(),
            _ => 1,
        },
        _ => 0,
    }
}

impl Controller {
    /// The data of an admin command that succeeds; `None` for one that is not answered by itself.
    pub fn admin(&self, command: &SubmissionQueueEntry) -> Option<Vec<u8>> {
        match AdminOpcode::from_code(command.opcode) {
            Some(AdminOpcode::Identify) => self.identify(command),
            Some(AdminOpcode::GetLogPage) => Some(self.log_page(command)),
            Some(AdminOpcode::SetFeatures | AdminOpcode::KeepAlive) => Some(Vec::new()),
            _ => None,
        }
    }

    /// `None` if it does not have what is asked for.
    fn identify(&self, command: &SubmissionQueueEntry) -> Option<Vec<u8>> {
        let mut out = vec![0; 4096];
        match Structure::from_code(command.cdw10.to_bytes()[0]) {
            Some(Structure::Controller) => {
                let mut data = ControllerData::zeroed();
                data.command_capsule_size = U32::new((64 + 8192) / 16);
                data.volatile_write_cache = 1;
                data.nvm_commands = U16::new(0x0c);
                data.version = U32::new(self.limits.map_or(0, |_| Version::V2_0.bits()));
                data.async_events = U32::new(1 << 8);
                if self.access.is_some() {
                    data.multi_path = MultiPath::ANA_REPORTING.bits();
                    data.ana_groups = U32::new(1);
                    data.ana_transition_seconds = 10;
                }
                data.encode(&mut out).unwrap();
            }
            Some(Structure::CommandSetController) => {
                self.limits?.encode(&mut out).unwrap();
            }
            Some(Structure::ActiveNamespaceList) => {
                NamespaceList::collect([1]).encode(&mut out).unwrap();
            }
            Some(Structure::Namespace) => {
                let mut data = NamespaceData::zeroed();
                data.size = U64::new(65_536);
                data.formats[0] = LbaFormat::of_block_size(4096);
                data.nguid = [5; 16];
                data.ana_group_id = U32::new(u32::from(self.access.is_some()));
                data.encode(&mut out).unwrap();
            }
            _ => {}
        }
        Some(out)
    }

    fn log_page(&self, command: &SubmissionQueueEntry) -> Vec<u8> {
        let request = LogPageRequest::read(command);
        let mut out = vec![0; request.length as usize];
        let is_access = request.page == LogPage::AsymmetricNamespaceAccess.code();
        if let Some(state) = self.access.filter(|_| is_access) {
            let page = [
                AnaHeader::new(0, 1).as_bytes().to_vec(),
                AnaGroupHeader::new(1, 0, 0, state).as_bytes().to_vec(),
            ];
            let page = page.concat();
            let len = page.len().min(out.len());
            out[..len].copy_from_slice(&page[..len]);
        }
        out
    }
}

fn capabilities() -> Capabilities {
    let mut capabilities = Capabilities::from_bits(0);
    capabilities.queue_entries_max_zero_based = 127;
    capabilities.ready_timeout = 4;
    capabilities.command_sets = 0x41;
    capabilities
}
