//! At which addresses there are RDMA devices, and what to say where there is none: streams are served all the same.

use crate::error::Failure;
use engine::fabric::DeviceError;
use engine::srp::SrpListenError;
use engine::{ListenError, NamespaceError};
use std::net::IpAddr;

/// The addresses that RDMA is served at where streams are served at `address`: itself, or, since a device has one address, every
/// one of this machine if it stands for all of them.
pub(super) fn at(address: IpAddr) -> Result<Vec<IpAddr>, Failure> {
    if !address.is_unspecified() {
        return Ok(vec![address]);
    }
    let found = reactor::interface_addresses().map_err(Failure::Start)?;
    let is_meant = |ip: &IpAddr| ip.is_ipv4() == address.is_ipv4() && !is_link_local(ip);
    Ok(found.iter().filter(|found| found.is_up).map(|found| found.address).filter(is_meant).collect())
}

/// Why RDMA is not served at an address, with the next step where there is one.
pub(super) fn explain(address: IpAddr, why: &NamespaceError) -> String {
    let in_use = |why: &NamespaceError| {
        matches!(why, NamespaceError::Listen { why: ListenError::Device(DeviceError::InUse { .. }), .. })
    };
    let next = match in_use(why) {
        true if address.is_loopback() => "; --listen 127.0.0.2, or another of 127.0.0.0/8, has its own",
        true => " (the kernel's rdma_rxe has it for all addresses)",
        false => "",
    };
    format!("not over RDMA at {address}: {why}{next}")
}

/// The same for SRP.
pub(super) fn explain_srp(address: IpAddr, why: &SrpListenError) -> String {
    format!("not over SRP at {address}: {why}")
}

/// Such an address means something on one link alone, which RDMA's addresses do not name.
fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
