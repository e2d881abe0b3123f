//! The discovery service: one subsystem with the well-known name, whose controllers have nothing but a log that says which
//! subsystems a host may reach, and where else to ask (Base 5.16.1.23, 8.4).

use super::controller::Controller;
use super::options::Options;
use super::portal::{Arrival, Portal, Transport};
use super::subsystem::{Subsystem, SubsystemConfig};
use std::net::SocketAddr;
use stdx::slab::{Key, Slab};
use wire::nvme::Nqn;
use wire::nvme::log::{
    AddressFamily, DiscoveryEntry, DiscoveryEntryFlags, DiscoveryHeader, SubsystemType, TransportType,
};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U16;

/// Another discovery service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Referral {
    /// Where it is.
    pub portal: Portal,
    /// Its subsystem's name: the well-known one, or its own.
    pub nqn: Nqn,
}

/// What the discovery log is made of, beside the subsystems themselves.
#[derive(Debug)]
pub(super) struct Discovery {
    /// The discovery subsystem.
    pub(super) subsystem: Key,
    pub(super) referrals: Vec<Referral>,
    /// Changes of the log (GENCTR).
    pub(super) generation: u64,
}

impl Discovery {
    /// The service, its subsystem put into the table, which is empty.
    pub(super) fn new(subsystems: &mut Slab<Subsystem>) -> Self {
        let mut config = SubsystemConfig::new(Nqn::discovery());
        config.max_namespaces = 0;
        let subsystem = subsystems.insert(Subsystem::new(config, true));
        let subsystem = subsystem.unwrap_or_else(|_| unreachable!("the table is empty"));
        Self { subsystem, referrals: Vec::new(), generation: 1 }
    }
}

/// The log as the host of a discovery controller may see it: subsystems that let it in, on the portals they listen on.
pub(super) fn page(
    discovery: &Discovery,
    subsystems: &Slab<Subsystem>,
    controller: &Controller,
    options: &Options,
) -> Vec<u8> {
    let Arrival { portal, local, .. } = controller.arrival;
    let current = SubsystemType::CurrentDiscovery;
    let mut entries = vec![entry(portal.transport, local, current, &Nqn::discovery(), options)];
    entries[0].flags = U16::new(OWN_FLAGS.bits());
    for (_, subsystem) in subsystems.iter().filter(|(_, subsystem)| subsystem.allows(&controller.host)) {
        for (index, listener) in subsystem.listeners.iter().enumerate() {
            if subsystem.discovery && listener.portal == portal {
                continue;
            }
            let kind = if subsystem.discovery { SubsystemType::CurrentDiscovery } else { SubsystemType::Nvm };
            let address = controller.arrival.reachable(&listener.portal);
            let mut one = entry(listener.portal.transport, address, kind, &subsystem.config.nqn, options);
            one.port_id = U16::new(index as u16);
            if subsystem.discovery {
                one.flags = U16::new(OWN_FLAGS.bits());
            }
            entries.push(one);
        }
    }
    entries.extend(discovery.referrals.iter().map(|referral| {
        let Referral { portal, nqn } = referral;
        entry(portal.transport, portal.address, SubsystemType::Referral, nqn, options)
    }));
    let header = DiscoveryHeader::new(discovery.generation, entries.len() as u64);
    let mut page = header.as_bytes().to_vec();
    entries.iter().for_each(|entry| page.extend_from_slice(entry.as_bytes()));
    page
}

fn entry(
    transport: Transport,
    address: SocketAddr,
    kind: SubsystemType,
    nqn: &Nqn,
    options: &Options,
) -> DiscoveryEntry {
    let family = if address.is_ipv4() { AddressFamily::Ipv4 } else { AddressFamily::Ipv6 };
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut entry = DiscoveryEntry::tcp(family, &ip, &port, kind, nqn);
    match transport {
        Transport::Tcp => {}
        Transport::Rdma => {
            entry.transport = TransportType::Rdma.code();
            entry.address_subtype[..RDMA_SUBTYPE.len()].copy_from_slice(&RDMA_SUBTYPE);
        }
    }
    entry.admin_queue_size_max = U16::new(options.max_aq_depth.max(ADMIN_QUEUE_ENTRIES_LEAST));
    entry.requirements |= FLOW_CONTROL_MAY_BE_DISABLED;
    entry
}

/// ASQSZ is never less.
const ADMIN_QUEUE_ENTRIES_LEAST: u16 = 32;
/// What an entry over RDMA says of how (RDMA Transport 3.4): reliable connections, RoCEv2, the RDMA connection manager.
const RDMA_SUBTYPE: [u8; 3] = [1, 4, 1];
/// TREQ bit 2.
const FLOW_CONTROL_MAY_BE_DISABLED: u8 = 1 << 2;
/// Every way to this discovery service tells the same, and may be kept open.
const OWN_FLAGS: DiscoveryEntryFlags =
    DiscoveryEntryFlags::DUPLICATE_INFORMATION.with(DiscoveryEntryFlags::PERSISTENT_CONNECTIONS);
