//! Discovery: where the subsystems are (Base 5.16.1.23, figures 263 to 265).
//!
//! A header of 1,024 bytes, then as many entries of 1,024 bytes as it says.

use zerocopy::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page;
use crate::nvme::identify::{fill_text, read_text};
use crate::nvme::nqn::{NQN_FIELD_LEN, Nqn, NqnError};

codes! {
    /// Transport types (TRTYPE).
    pub enum TransportType: u8 {
        Rdma = 1, "rdma";
        FibreChannel = 2, "fc";
        Tcp = 3, "tcp";
        IntraHost = 254, "loop";
    }
}

codes! {
    /// Address families (ADRFAM).
    pub enum AddressFamily: u8 {
        Ipv4 = 1, "ipv4";
        Ipv6 = 2, "ipv6";
        InfiniBand = 3, "ib";
        FibreChannel = 4, "fc";
        IntraHost = 254, "loop";
    }
}

codes! {
    /// What an entry leads to (SUBTYPE).
    pub enum SubsystemType: u8 {
        Referral = 1, "discovery subsystem referral";
        Nvm = 2, "nvme subsystem";
        CurrentDiscovery = 3, "current discovery subsystem";
    }
}

codes! {
    /// Whether connections must use a secure channel (TREQ bits 1:0).
    pub enum SecureChannel: u8 {
        NotSpecified = 0, "not specified";
        Required = 1, "required";
        NotRequired = 2, "not required";
    }
}

bits! {
    /// Entry flags (EFLAGS).
    pub struct DiscoveryEntryFlags: u16 {
        /// This discovery controller returns the same information as the one asked (DUPRETINFO).
        DUPLICATE_INFORMATION = 0x1;
        /// The discovery controller keeps connections open with a keep alive timeout (EPCSD).
        PERSISTENT_CONNECTIONS = 0x2;
    }
}

/// The header: 1,024 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiscoveryHeader {
    /// Changes of the log since the discovery service started (GENCTR). A host that reads the log in pieces reads the
    /// header again at the end, and starts over if this differs.
    pub generation: U64,
    /// Entries that follow (NUMREC).
    pub records: U64,
    /// Record format (RECFMT): 0.
    pub record_format: U16,
    reserved18: [u8; 1006],
}

/// An entry: 1,024 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DiscoveryEntry {
    /// Transport type (TRTYPE): [`TransportType`].
    pub transport: u8,
    /// Address family (ADRFAM): [`AddressFamily`].
    pub address_family: u8,
    /// What the entry leads to (SUBTYPE): [`SubsystemType`].
    pub subsystem_type: u8,
    /// Transport requirements (TREQ): [`SecureChannel`] in bits 1:0, bit 2 if flow control may be disabled.
    pub requirements: u8,
    /// Port identifier (PORTID).
    pub port_id: U16,
    /// Controller identifier (CNTLID): FFFFh for the dynamic model.
    pub controller_id: U16,
    /// Largest admin submission queue (ASQSZ), at least 32.
    pub admin_queue_size_max: U16,
    /// Entry flags (EFLAGS): [`DiscoveryEntryFlags`].
    pub flags: U16,
    reserved12: [u8; 20],
    /// Transport service identifier (TRSVCID), text; over TCP the port in decimal.
    pub service_id: [u8; 32],
    reserved64: [u8; 192],
    /// Subsystem name (SUBNQN), zero-terminated.
    pub subsystem: [u8; NQN_FIELD_LEN],
    /// Transport address (TRADDR), text.
    pub address: [u8; 256],
    /// Transport specific address subtype (TSAS); over TCP the first byte is the security type, 0 for none.
    pub address_subtype: [u8; 256],
}

impl DiscoveryHeader {
    /// A header for this many entries.
    pub fn new(generation: u64, records: u64) -> Self {
        let mut header = Self::zeroed();
        header.generation = U64::new(generation);
        header.records = U64::new(records);
        header
    }
}

impl DiscoveryEntry {
    /// An entry for a port over TCP, dynamic controller model, no secure channel. `address` and `service_id` longer
    /// than their fields lose their end.
    pub fn tcp(
        family: AddressFamily,
        address: &str,
        service_id: &str,
        kind: SubsystemType,
        subsystem: &Nqn,
    ) -> Self {
        let mut entry = Self::zeroed();
        entry.transport = TransportType::Tcp.code();
        entry.address_family = family.code();
        entry.subsystem_type = kind.code();
        entry.requirements = SecureChannel::NotSpecified.code();
        entry.controller_id = U16::new(crate::nvme::CONTROLLER_ANY);
        entry.admin_queue_size_max = U16::new(ADMIN_QUEUE_SIZE_MIN);
        entry.subsystem = subsystem.to_field();
        fill_text(&mut entry.service_id, service_id);
        fill_text(&mut entry.address, address);
        entry
    }

    /// The subsystem's name.
    pub fn subsystem(&self) -> Result<Nqn, NqnError> {
        Nqn::from_field(&self.subsystem)
    }

    /// The transport address without its padding; `None` if it is no text.
    pub fn address(&self) -> Option<&str> {
        read_text(&self.address)
    }

    /// The transport service identifier without its padding; `None` if it is no text.
    pub fn service_id(&self) -> Option<&str> {
        read_text(&self.service_id)
    }
}

page!(DiscoveryHeader, 1024);
page!(DiscoveryEntry, 1024);

/// The least ASQSZ may be.
const ADMIN_QUEUE_SIZE_MIN: u16 = 32;

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn fields_stand_at_the_offsets_of_the_figure() {
        assert_eq!(offset_of!(DiscoveryEntry, service_id), 32);
        assert_eq!(offset_of!(DiscoveryEntry, subsystem), 256);
        assert_eq!(offset_of!(DiscoveryEntry, address), 512);
        assert_eq!(offset_of!(DiscoveryEntry, address_subtype), 768);
    }

    #[test]
    fn an_entry_survives_its_bytes() {
        let nqn = Nqn::discovery();
        let kind = SubsystemType::CurrentDiscovery;
        let entry = DiscoveryEntry::tcp(AddressFamily::Ipv6, "fe80::1", "8009", kind, &nqn);
        let mut bytes = [0; DiscoveryEntry::LEN];
        entry.encode(&mut bytes).unwrap();
        let back = DiscoveryEntry::view(&bytes).unwrap();
        assert_eq!((back.address(), back.service_id()), (Some("fe80::1"), Some("8009")));
        assert_eq!(back.subsystem(), Ok(nqn));
    }
}
