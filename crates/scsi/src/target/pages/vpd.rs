//! INQUIRY data: the standard data and the vital product data pages (SPC-4, sections 6.6.2 and 7.8; SBC-3, section 6.6).
//! Everything told here is what the volume is and what the commands take.

use super::super::device::{Device, Protocol};
use super::super::options;
use super::super::unit::Unit;
use wire::scsi::Sense;
use wire::scsi::inquiry::{
    Association, BlockDeviceCharacteristics, BlockLimits, CodeSet, Designator, DesignatorKind, Designators,
    ExtendedInquiry, LogicalBlockProvisioning, PageHeader, Peripheral, Product, Provisioning,
    StandardInquiry, VpdPage, version,
};

/// Standard INQUIRY data; without a logical unit it says that there is none.
pub(in super::super) fn standard(device: &Device, unit: Option<&Unit>) -> Vec<u8> {
    let peripheral = if unit.is_some() { Peripheral::Disk } else { Peripheral::Absent };
    let transport = match device.config.protocol {
        Protocol::Srp => version::SRP,
        Protocol::Iscsi => version::ISCSI,
    };
    let named = unit.map_or("", |unit| &unit.config.product);
    let product = Product {
        vendor: VENDOR,
        product: if named.is_empty() { PRODUCT } else { named },
        revision: REVISION,
        removable: unit.is_some_and(|unit| unit.config.removable),
        several_ports: device.ports.len() > 1,
        versions: &[version::SAM_5, version::SPC_4, version::SBC_3, transport],
    };
    let mut data = vec![0; StandardInquiry::LEN];
    // The place is as long as the structure, here and below.
    let _ = StandardInquiry::new(peripheral, &product).encode(&mut data);
    data
}

/// A vital product data page, as it is told through a target port. `transfer_max` is the longest buffer there is, in bytes.
pub(in super::super) fn page(
    page: VpdPage,
    device: &Device,
    unit: &Unit,
    port: u16,
    transfer_max: u32,
) -> Vec<u8> {
    let mut data = vec![0; STRUCTURE_LEN_MAX];
    let written = match page {
        VpdPage::SupportedPages => {
            let pages: Vec<u8> = VpdPage::ALL.iter().map(|page| page.code()).collect();
            return behind_header(page, &pages);
        }
        VpdPage::UnitSerialNumber => return behind_header(page, serial(unit).as_bytes()),
        VpdPage::DeviceIdentification => return behind_header(page, &designators(device, unit, port)),
        VpdPage::ExtendedInquiryData => {
            ExtendedInquiry::new(unit.info.volatile_cache, Sense::LEN_MAX as u8).encode(&mut data)
        }
        VpdPage::BlockLimits => block_limits(unit, transfer_max).encode(&mut data),
        VpdPage::BlockDeviceCharacteristics => BlockDeviceCharacteristics::solid_state().encode(&mut data),
        VpdPage::LogicalBlockProvisioning => {
            let provisioning = if unit.info.thin { Provisioning::Thin } else { Provisioning::Full };
            LogicalBlockProvisioning::new(provisioning).encode(&mut data)
        }
    };
    data.truncate(written.unwrap_or(0));
    data
}

/// UNIT SERIAL NUMBER: what the owner said, or the digits of the UUID.
pub(in super::super) fn serial(unit: &Unit) -> String {
    if unit.config.serial.is_empty() {
        unit.config.uuid.iter().map(|byte| format!("{byte:02x}")).collect()
    } else {
        unit.config.serial.clone()
    }
}

/// The designator of the logical unit that is also in copy lists: NAA, locally assigned (SPC-4, section 7.8.6.6.4), with
/// the UUID mixed down to 60 bits.
pub(in super::super) fn naa(unit: &Unit) -> [u8; 8] {
    let uuid = u128::from_be_bytes(unit.config.uuid);
    let mixed = ((uuid >> 64) as u64).wrapping_mul(MIXER).wrapping_add(uuid as u64);
    (NAA_LOCAL << 60 | mixed & (u64::MAX >> 4)).to_be_bytes()
}

/// True if the designator is one of the logical unit's.
pub(in super::super) fn is_named(unit: &Unit, designator: &Designator<'_>) -> bool {
    let mut names = Vec::new();
    append_unit(&mut names, unit);
    Designators(&names).any(|name| name.names_the_same(designator))
}

/// Names of the logical unit, of the port it is seen through, and of the device.
fn designators(device: &Device, unit: &Unit, port: u16) -> Vec<u8> {
    let mut list = Vec::new();
    append_unit(&mut list, unit);
    let protocol = Some(device.config.protocol as u8);
    if let Some(port) = device.ports.get(&port) {
        for (kind, number) in [
            (DesignatorKind::RelativeTargetPort, port.relative_id),
            (DesignatorKind::TargetPortGroup, port.group),
        ] {
            let number = u32::from(number).to_be_bytes();
            append(&mut list, &of_port(protocol, CodeSet::Binary, kind, &number));
        }
        let name = name_string(&port.name);
        append(&mut list, &of_port(protocol, CodeSet::Utf8, DesignatorKind::ScsiName, &name));
    }
    let device = Designator {
        protocol,
        code_set: CodeSet::Utf8,
        association: Association::TargetDevice,
        kind: DesignatorKind::ScsiName,
        identifier: &name_string(&device.config.name),
    };
    append(&mut list, &device);
    list
}

/// Names of the logical unit alone.
fn append_unit(list: &mut Vec<u8>, unit: &Unit) {
    let naa = naa(unit);
    append(list, &Designator::of_unit(CodeSet::Binary, DesignatorKind::Naa, &naa));
    let t10 = format!("{VENDOR:<8}{}", serial(unit));
    append(list, &Designator::of_unit(CodeSet::Ascii, DesignatorKind::T10VendorId, t10.as_bytes()));
    let mut uuid = [0; 18];
    uuid[0] = UUID_RFC4122;
    uuid[2..].copy_from_slice(&unit.config.uuid);
    append(list, &Designator::of_unit(CodeSet::Binary, DesignatorKind::Uuid, &uuid));
}

const fn of_port(
    protocol: Option<u8>,
    code_set: CodeSet,
    kind: DesignatorKind,
    identifier: &[u8],
) -> Designator<'_> {
    Designator { protocol, code_set, association: Association::TargetPort, kind, identifier }
}

fn append(list: &mut Vec<u8>, designator: &Designator<'_>) {
    let start = list.len();
    list.resize(start + designator.encoded_len(), 0);
    let _ = designator.encode(&mut list[start..]);
}

/// A SCSI name string: ends with a zero, and is padded to a multiple of four (SPC-4, section 7.8.6.11). A name too long for
/// a designator is cut.
fn name_string(name: &str) -> Vec<u8> {
    let name = name.as_bytes();
    let mut bytes = name.get(..NAME_LEN_MAX).unwrap_or(name).to_vec();
    bytes.resize((bytes.len() + 1).next_multiple_of(4), 0);
    bytes
}

/// What one command may move and change, in blocks.
fn block_limits(unit: &Unit, transfer_max: u32) -> BlockLimits {
    let info = &unit.info;
    let blocks = |bytes: u32| bytes / info.block_size;
    let mut limits = BlockLimits::new();
    limits.compare_and_write_max = options::COMPARE_BLOCKS_MAX;
    let transfer_max = blocks(options::TRANSFER_MAX.min(transfer_max));
    limits.transfer_max = transfer_max.into();
    let granularity = blocks(info.physical_block_size.max(PAGE));
    limits.optimal_granularity = (granularity as u16).into();
    limits.optimal_transfer = transfer_max.min(info.blocks_max).into();
    limits.write_same_max = u64::from(options::WRITE_SAME_BLOCKS_MAX).into();
    limits.atomic_max = options::atomic_blocks_max(info).into();
    if info.thin {
        limits.unmap_max = options::UNMAP_BLOCKS_MAX.into();
        limits.unmap_descriptors_max = options::UNMAP_DESCRIPTORS_MAX.into();
        limits.unmap_granularity = granularity.into();
        limits = limits.with_unmap_alignment(0);
    }
    limits
}

/// A page that is a list.
fn behind_header(page: VpdPage, list: &[u8]) -> Vec<u8> {
    let mut data = vec![0; PageHeader::LEN];
    let _ = PageHeader::new(Peripheral::Disk, page, list.len()).encode(&mut data);
    data.extend_from_slice(list);
    data
}

/// T10 VENDOR IDENTIFICATION.
pub(in super::super) const VENDOR: &str = "WEFT";
const PRODUCT: &str = "VOLUME";
/// PRODUCT REVISION LEVEL: the release's major and minor number.
const REVISION: &str = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
/// Bytes of the longest page that is one structure.
const STRUCTURE_LEN_MAX: usize = 64;
/// Bytes of a name in a designator, without its end.
const NAME_LEN_MAX: usize = 251;
/// NAA 3h.
const NAA_LOCAL: u64 = 3;
/// An odd number with its bits well spread: 2^64 divided by the golden ratio.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;
/// UUID TYPE 1h (SPC-5).
const UUID_RFC4122: u8 = 0x10;
/// What volumes give back at best: memory and files by pages.
const PAGE: u32 = 4096;
