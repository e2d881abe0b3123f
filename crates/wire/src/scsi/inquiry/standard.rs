//! Standard INQUIRY data (SPC-4, section 6.6.2).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Peripheral;
use crate::{BufferTooSmall, Truncated};

/// Standard INQUIRY data with version descriptors: 96 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct StandardInquiry {
    /// Peripheral qualifier and device type: [`Peripheral`].
    pub peripheral: u8,
    removable: u8,
    /// VERSION: 6 is SPC-4.
    pub version: u8,
    format: u8,
    additional_len: u8,
    access: u8,
    ports: u8,
    queueing: u8,
    /// T10 VENDOR IDENTIFICATION, padded with spaces.
    pub vendor: [u8; 8],
    /// PRODUCT IDENTIFICATION, padded with spaces.
    pub product: [u8; 16],
    /// PRODUCT REVISION LEVEL, padded with spaces.
    pub revision: [u8; 4],
    vendor_specific: [u8; 20],
    reserved56: [u8; 2],
    /// VERSION DESCRIPTORS: [`version`].
    pub versions: [U16; VERSION_DESCRIPTORS_MAX],
    reserved74: [u8; 22],
}

/// What differs from one logical unit of ours to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Product<'a> {
    /// Vendor, cut to 8 characters.
    pub vendor: &'a str,
    /// Product, cut to 16 characters.
    pub product: &'a str,
    /// Revision, cut to 4 characters.
    pub revision: &'a str,
    /// RMB: the medium can be taken out.
    pub removable: bool,
    /// MULTIP: there is more than one target port.
    pub several_ports: bool,
    /// Standards it keeps, the transport's among them.
    pub versions: &'a [u16],
}

impl StandardInquiry {
    /// Bytes of the structure.
    pub const LEN: usize = 96;

    /// What a logical unit of ours says: SPC-4, ACA and hierarchical LUNs, implicit and explicit asymmetric access, copies,
    /// command queueing.
    pub fn new(peripheral: Peripheral, product: &Product<'_>) -> Self {
        let mut versions = [U16::ZERO; VERSION_DESCRIPTORS_MAX];
        for (place, version) in versions.iter_mut().zip(product.versions) {
            *place = U16::new(*version);
        }
        Self {
            peripheral: peripheral as u8,
            removable: u8::from(product.removable) << 7,
            version: VERSION_SPC4,
            format: NORMACA | HISUP | RESPONSE_FORMAT,
            additional_len: (Self::LEN - 5) as u8,
            access: TPGS_BOTH | THIRD_PARTY_COPY,
            ports: u8::from(product.several_ports) << 4,
            queueing: CMDQUE,
            vendor: padded(product.vendor),
            product: padded(product.product),
            revision: padded(product.revision),
            versions,
            ..Self::new_zeroed()
        }
    }

    /// RMB.
    pub const fn removable(&self) -> bool {
        self.removable & 0x80 != 0
    }

    /// 3PC: copies between logical units can be asked for.
    pub const fn third_party_copy(&self) -> bool {
        self.access & THIRD_PARTY_COPY != 0
    }

    /// TPGS: bit 0 implicit, bit 1 explicit asymmetric access.
    pub const fn target_port_groups(&self) -> u8 {
        self.access >> 4 & 3
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the 96 bytes to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// `text`, cut or padded with spaces. What is no printable ASCII becomes a question mark (SPC-4, section 4.3.1).
fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    for (place, byte) in field.iter_mut().zip(text.bytes()) {
        *place = if matches!(byte, b' '..=b'~') { byte } else { b'?' };
    }
    field
}

/// Version descriptors without a claim to a revision (SPC-4, table 142).
pub mod version {
    /// SAM-5.
    pub const SAM_5: u16 = 0x00a0;
    /// SPC-4.
    pub const SPC_4: u16 = 0x0460;
    /// SBC-3.
    pub const SBC_3: u16 = 0x04c0;
    /// SRP.
    pub const SRP: u16 = 0x0940;
    /// iSCSI.
    pub const ISCSI: u16 = 0x0960;
}

/// Version descriptors in standard INQUIRY data.
pub const VERSION_DESCRIPTORS_MAX: usize = 8;
const VERSION_SPC4: u8 = 6;
/// The only response data format there is.
const RESPONSE_FORMAT: u8 = 2;
const NORMACA: u8 = 1 << 5;
const HISUP: u8 = 1 << 4;
const TPGS_BOTH: u8 = 3 << 4;
const THIRD_PARTY_COPY: u8 = 1 << 3;
const CMDQUE: u8 = 1 << 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_standards() {
        let product = Product {
            vendor: "ACME",
            product: "a product with a long name",
            revision: "ä1",
            removable: false,
            several_ports: true,
            versions: &[version::SAM_5, version::SPC_4],
        };
        let mut out = [0xff; 97];
        assert_eq!(StandardInquiry::new(Peripheral::Disk, &product).encode(&mut out), Ok(96));
        assert_eq!(out[..8], [0, 0, 6, 0x32, 91, 0x38, 0x10, 0x02]);
        assert_eq!(&out[8..36], b"ACME    a product with a??1 ");
        assert_eq!(out[58..64], [0, 0xa0, 4, 0x60, 0, 0]);
        assert!(out[64..96].iter().all(|byte| *byte == 0) && out[96] == 0xff);
        let removable = Product { removable: true, ..product };
        assert!(StandardInquiry::new(Peripheral::Absent, &removable).removable());
    }
}
