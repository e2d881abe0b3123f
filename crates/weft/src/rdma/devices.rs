//! `weft rdma devices`: every address of this machine is a device as soon as someone opens it.

use crate::error::Failure;
use crate::output::{Style, Table, say};
use reactor::InterfaceAddress;
use serde_json::json;
use std::net::UdpSocket;
use verbs::{Limits, Mtu};
use wire::cm::Gid;

/// Runs the command.
pub fn run(style: &Style, with_limits: bool) -> Result<(), Failure> {
    let mut found = reactor::interface_addresses().map_err(Failure::Start)?;
    // An address that is only right on one link needs its name to be used, which RDMA's addresses do not have.
    found.retain(|found| found.is_up && !is_link_local(found));
    if style.json {
        let all: Vec<_> = found.iter().map(describe).collect();
        say!("{}", json!(all));
        return Ok(());
    }
    let mut table = Table::new(["address", "interface", ">mtu", ">payload", "state", "gid"]);
    for found in &found {
        table.row([
            found.address.to_string(),
            found.interface.clone(),
            found.mtu.to_string(),
            payload(found).map_or_else(|| "-".to_owned(), |bytes| bytes.to_string()),
            state(found).to_owned(),
            gid(found),
        ]);
    }
    say!("{}", table.render(style));
    if with_limits {
        let mut table = Table::new(["each has", ">at most"]);
        for (name, most) in Limits::default().all() {
            table.row([name.to_owned(), most.to_string()]);
        }
        say!("\n{}", table.render(style));
    }
    Ok(())
}

fn describe(found: &InterfaceAddress) -> serde_json::Value {
    json!({
        "address": found.address,
        "interface": found.interface,
        "mtu": found.mtu,
        "payload_bytes": payload(found),
        "state": state(found),
        "gid": gid(found),
        "limits": Limits::default().all().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
    })
}

/// Bytes of payload in a packet; none if the interface has no room for the smallest.
fn payload(found: &InterfaceAddress) -> Option<u32> {
    Mtu::within(found.mtu).map(Mtu::bytes)
}

/// Whether a device could be opened there now.
fn state(found: &InterfaceAddress) -> &'static str {
    match UdpSocket::bind((found.address, wire::roce::PORT)) {
        Ok(_) => "free",
        Err(why) if why.kind() == std::io::ErrorKind::AddrInUse => "in use",
        Err(_) => "not usable",
    }
}

fn gid(found: &InterfaceAddress) -> String {
    let Gid(bytes) = Gid::from_ip(found.address);
    std::net::Ipv6Addr::from(bytes).to_string()
}

fn is_link_local(found: &InterfaceAddress) -> bool {
    match found.address {
        std::net::IpAddr::V4(_) => false,
        std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
