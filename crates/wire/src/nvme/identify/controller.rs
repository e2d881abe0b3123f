//! Identify Controller (Base 5.17.2.1, figure 275).

use zerocopy::little_endian::{U16, U32, U128};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::nvme::nqn::{NQN_FIELD_LEN, Nqn, NqnError};
use crate::{BufferTooSmall, Truncated};

/// The controller's description of itself: 4,096 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ControllerData {
    /// PCI vendor identifier (VID).
    pub vendor_id: U16,
    /// PCI subsystem vendor identifier (SSVID).
    pub subsystem_vendor_id: U16,
    /// Serial number (SN), text.
    pub serial_number: [u8; 20],
    /// Model number (MN), text.
    pub model_number: [u8; 40],
    /// Firmware revision (FR), text.
    pub firmware_revision: [u8; 8],
    /// Recommended arbitration burst (RAB), a power of two.
    pub arbitration_burst: u8,
    /// IEEE OUI of the vendor (IEEE), least significant byte first.
    pub ieee_oui: [u8; 3],
    /// Multi-path and sharing capabilities (CMIC): [`super::MultiPath`].
    pub multi_path: u8,
    /// Largest transfer (MDTS): a power of two of the smallest page; 0 for no limit.
    pub max_data_transfer: u8,
    /// Controller identifier (CNTLID).
    pub controller_id: U16,
    /// Version (VER), as the property VS.
    pub version: U32,
    /// RTD3 resume latency in microseconds (RTD3R).
    pub rtd3_resume_latency: U32,
    /// RTD3 entry latency in microseconds (RTD3E).
    pub rtd3_entry_latency: U32,
    /// Optional asynchronous events supported (OAES): [`super::AsyncEvents`].
    pub async_events: U32,
    /// Controller attributes (CTRATT): [`super::ControllerAttributes`].
    pub attributes: U32,
    /// Read recovery levels supported (RRLS).
    pub read_recovery_levels: U16,
    reserved102: [u8; 9],
    /// Controller type (CNTRLTYPE): [`super::ControllerType`].
    pub controller_type: u8,
    /// FRU globally unique identifier (FGUID).
    pub fru_guid: [u8; 16],
    /// Command retry delay times 1 to 3 (CRDT) in units of 100 ms.
    pub retry_delays: [U16; 3],
    reserved134: [u8; 119],
    /// NVM subsystem report (NVMSR).
    pub subsystem_report: u8,
    /// VPD write cycle information (VWCI).
    pub vpd_write_cycles: u8,
    /// Management endpoint capabilities (MEC).
    pub management_endpoints: u8,
    /// Optional admin commands supported (OACS): [`super::AdminCommands`].
    pub admin_commands: U16,
    /// Concurrent Abort commands less one (ACL).
    pub abort_limit_zero_based: u8,
    /// Outstanding asynchronous event requests less one (AERL).
    pub async_event_limit_zero_based: u8,
    /// Firmware updates (FRMW): bit 0 slot 1 is read-only, bits 3:1 number of slots.
    pub firmware_updates: u8,
    /// Log page attributes (LPA): [`super::LogPageAttributes`].
    pub log_page_attributes: u8,
    /// Entries of the error log less one (ELPE).
    pub error_log_entries_zero_based: u8,
    /// Power states less one (NPSS).
    pub power_states_zero_based: u8,
    /// Admin vendor specific command configuration (AVSCC).
    pub admin_vendor_commands: u8,
    /// Autonomous power state transition attributes (APSTA).
    pub autonomous_power_states: u8,
    /// Warning composite temperature in kelvin (WCTEMP).
    pub warning_temperature: U16,
    /// Critical composite temperature in kelvin (CCTEMP).
    pub critical_temperature: U16,
    /// Maximum time for firmware activation in units of 100 ms (MTFA).
    pub firmware_activation_time: U16,
    /// Host memory buffer preferred size in 4 KiB (HMPRE).
    pub host_memory_preferred: U32,
    /// Host memory buffer minimum size in 4 KiB (HMMIN).
    pub host_memory_minimum: U32,
    /// Total NVM capacity in bytes (TNVMCAP).
    pub total_capacity: U128,
    /// Unallocated NVM capacity in bytes (UNVMCAP).
    pub unallocated_capacity: U128,
    /// Replay protected memory block support (RPMBS).
    pub replay_protected_memory: U32,
    /// Extended device self-test time in minutes (EDSTT).
    pub self_test_minutes: U16,
    /// Device self-test options (DSTO).
    pub self_test_options: u8,
    /// Firmware update granularity in 4 KiB (FWUG).
    pub firmware_granularity: u8,
    /// Granularity of the keep alive timer in units of 100 ms (KAS); 0 if there is none.
    pub keep_alive_granularity: U16,
    /// Host controlled thermal management attributes (HCTMA).
    pub thermal_management: U16,
    /// Minimum thermal management temperature in kelvin (MNTMT).
    pub thermal_temperature_min: U16,
    /// Maximum thermal management temperature in kelvin (MXTMT).
    pub thermal_temperature_max: U16,
    /// Sanitize capabilities (SANICAP).
    pub sanitize_capabilities: U32,
    /// Host memory buffer minimum descriptor entry size in 4 KiB (HMMINDS).
    pub host_memory_descriptor_min: U32,
    /// Host memory maximum descriptor entries (HMMAXD).
    pub host_memory_descriptors_max: U16,
    /// NVM set identifier maximum (NSETIDMAX).
    pub nvm_set_id_max: U16,
    /// Endurance group identifier maximum (ENDGIDMAX).
    pub endurance_group_id_max: U16,
    /// ANA transition time in seconds (ANATT).
    pub ana_transition_seconds: u8,
    /// Asymmetric namespace access capabilities (ANACAP): [`super::AnaCapabilities`].
    pub ana_capabilities: u8,
    /// ANA group identifier maximum (ANAGRPMAX).
    pub ana_group_id_max: U32,
    /// Number of ANA group identifiers (NANAGRPID).
    pub ana_groups: U32,
    /// Persistent event log size in 64 KiB (PELS).
    pub persistent_event_log_size: U32,
    /// Domain identifier.
    pub domain_id: U16,
    reserved358: [u8; 10],
    /// Maximum capacity of one endurance group in bytes (MEGCAP).
    pub endurance_group_capacity_max: U128,
    reserved384: [u8; 128],
    /// Submission queue entry size (SQES): required in bits 3:0, maximum in 7:4, powers of two.
    pub submission_entry_sizes: u8,
    /// Completion queue entry size (CQES): required in bits 3:0, maximum in 7:4, powers of two.
    pub completion_entry_sizes: u8,
    /// Most commands outstanding on an I/O queue (MAXCMD).
    pub max_commands: U16,
    /// Largest namespace identifier (NN).
    pub namespaces: U32,
    /// Optional NVM commands supported (ONCS): [`super::NvmCommands`].
    pub nvm_commands: U16,
    /// Fused operations supported (FUSES): [`super::FusedOperations`].
    pub fused_operations: U16,
    /// Format NVM attributes (FNA).
    pub format_attributes: u8,
    /// Volatile write cache (VWC): [`super::VolatileWriteCache`].
    pub volatile_write_cache: u8,
    /// Atomic write unit normal less one, in blocks (AWUN).
    pub atomic_write_unit_normal: U16,
    /// Atomic write unit power fail less one, in blocks (AWUPF).
    pub atomic_write_unit_power_fail: U16,
    /// I/O command set vendor specific command configuration (ICSVSCC).
    pub vendor_commands: u8,
    /// Namespace write protection capabilities (NWPC).
    pub namespace_write_protection: u8,
    /// Atomic compare and write unit less one, in blocks (ACWU).
    pub atomic_compare_write_unit: U16,
    /// Copy descriptor formats supported (CDFS): bit 0 for format 0.
    pub copy_formats: U16,
    /// SGL support (SGLS): [`super::SglSupport`].
    pub sgl_support: U32,
    /// Maximum number of allowed namespaces (MNAN).
    pub allowed_namespaces_max: U32,
    /// Maximum domain namespace attachments (MAXDNA).
    pub domain_attachments_max: U128,
    /// Maximum I/O controller namespace attachments (MAXCNA).
    pub controller_attachments_max: U32,
    reserved564: [u8; 204],
    /// NVM subsystem NVMe qualified name (SUBNQN), zero-terminated.
    pub subsystem_nqn: [u8; NQN_FIELD_LEN],
    reserved1024: [u8; 768],
    /// I/O queue command capsule supported size in 16 bytes (IOCCSZ).
    pub command_capsule_size: U32,
    /// I/O queue response capsule supported size in 16 bytes (IORCSZ).
    pub response_capsule_size: U32,
    /// In capsule data offset in 16 bytes (ICDOFF).
    pub in_capsule_data_offset: U16,
    /// Fabrics controller attributes (FCATT): bit 0 for the static controller model.
    pub fabrics_attributes: u8,
    /// Maximum SGL data block descriptors in a capsule (MSDBD); 0 for no limit.
    pub sgl_descriptors_max: u8,
    /// Optional Fabrics commands supported (OFCS): bit 0 for Disconnect.
    pub fabrics_commands: U16,
    reserved1806: [u8; 242],
    /// Power state descriptors (PSD).
    pub power_states: [PowerState; 32],
    /// Vendor specific.
    pub vendor_specific: [u8; 1024],
}

/// A power state (Base figure 276): 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PowerState {
    /// Maximum power in centiwatts (MP), or in units of 0.1 mW if bit 0 of `flags` is set.
    pub max_power: U16,
    reserved2: u8,
    /// Bit 0 selects the scale of `max_power`, bit 1 says the state is not operational.
    pub flags: u8,
    /// Entry latency in microseconds (ENLAT).
    pub entry_latency: U32,
    /// Exit latency in microseconds (EXLAT).
    pub exit_latency: U32,
    reserved12: [u8; 20],
}

impl ControllerData {
    /// All fields zero.
    pub fn zeroed() -> Self {
        Self::new_zeroed()
    }

    /// The subsystem's name.
    pub fn subsystem(&self) -> Result<Nqn, NqnError> {
        Nqn::from_field(&self.subsystem_nqn)
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 4,096 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::super::NvmCommands;
    use super::*;

    #[test]
    fn fields_stand_at_the_offsets_of_the_figure() {
        assert_eq!(size_of::<ControllerData>(), 4096);
        let offsets = [
            (offset_of!(ControllerData, multi_path), 76),
            (offset_of!(ControllerData, version), 80),
            (offset_of!(ControllerData, controller_type), 111),
            (offset_of!(ControllerData, admin_commands), 256),
            (offset_of!(ControllerData, keep_alive_granularity), 320),
            (offset_of!(ControllerData, ana_capabilities), 343),
            (offset_of!(ControllerData, submission_entry_sizes), 512),
            (offset_of!(ControllerData, nvm_commands), 520),
            (offset_of!(ControllerData, sgl_support), 536),
            (offset_of!(ControllerData, subsystem_nqn), 768),
            (offset_of!(ControllerData, command_capsule_size), 1792),
            (offset_of!(ControllerData, power_states), 2048),
        ];
        for (actual, expected) in offsets {
            assert_eq!(actual, expected);
        }
    }

    #[test]
    fn a_description_survives_its_bytes() {
        let mut data = ControllerData::zeroed();
        data.subsystem_nqn = Nqn::discovery().to_field();
        data.nvm_commands = U16::new((NvmCommands::COMPARE | NvmCommands::COPY).bits());
        let mut bytes = [0xee; 4096];
        assert_eq!(data.encode(&mut bytes), Ok(4096));
        assert_eq!(bytes[520..522], [0x01, 0x01]);
        let back = ControllerData::view(&bytes).unwrap();
        assert_eq!(back.subsystem(), Ok(Nqn::discovery()));
        assert_eq!(
            ControllerData::view(&bytes[1..]).err(),
            Some(Truncated { needed: 4096, available: 4095 })
        );
    }
}
