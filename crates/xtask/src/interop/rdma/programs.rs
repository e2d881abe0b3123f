//! The example programs of librdmacm: ucmatose, udaddy, rdma_xserver and rdma_xclient, mckey.

use super::Wire;
use super::meeting::{Ours, ask_guest, serve_guest};
use crate::guest::HOST_ADDRESS;
use crate::interop::Scenario;
use crate::interop::lab::{GUEST, Lab};
use anyhow::Result;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("rdma-ucmatose", "messages of 100 and 60000 bytes both ways", ucmatose),
        scenario("rdma-udaddy", "datagrams to a service found by its port, and back", udaddy),
        scenario("rdma-xserver", "rdma_xserver and rdma_xclient: a message and its acknowledgement", xserver),
        scenario("rdma-mckey", "datagrams to a multicast group, mckey as member and as sender", mckey),
        scenario("rdma-ucmatose-loss", "messages while 1 and 5 of a hundred packets are lost", ucmatose_loss),
    ]
}

fn ucmatose(lab: &Lab) -> Result<()> {
    Wire::PLAIN.set_up(lab)?;
    messages(lab, 10, 100)?;
    messages(lab, 20, 60_000)
}

fn ucmatose_loss(lab: &Lab) -> Result<()> {
    for loss in [1, 5] {
        Wire { loss, ..Wire::PLAIN }.set_up(lab)?;
        messages(lab, 20, 10_000)?;
    }
    Wire::PLAIN.set_up(lab)
}

fn messages(lab: &Lab, count: u32, size: u32) -> Result<()> {
    let to = format!("{GUEST}:7471");
    let (many, bytes) = (count.to_string(), size.to_string());
    let common = ["messages", "--address", HOST_ADDRESS, "-C", &many, "-S", &bytes];
    let client = Ours::peer(lab, &[&common[..], &["--to", &to]].concat())?;
    ask_guest(lab, &format!("ucmatose -C {count} -S {size}"), &client)?;
    let server = Ours::peer(lab, &common)?;
    serve_guest(lab, &format!("ucmatose -s {HOST_ADDRESS} -C {count} -S {size}"), &server)?;
    Ok(())
}

fn udaddy(lab: &Lab) -> Result<()> {
    Wire::PLAIN.set_up(lab)?;
    let to = format!("{GUEST}:7174");
    for size in ["100", "1024"] {
        let common = ["datagrams", "--address", HOST_ADDRESS, "--port", "7174", "-S", size];
        let client = Ours::peer(lab, &[&common[..], &["--to", &to]].concat())?;
        ask_guest(lab, &format!("udaddy -S {size}"), &client)?;
        let server = Ours::peer(lab, &common)?;
        serve_guest(lab, &format!("udaddy -s {HOST_ADDRESS} -S {size}"), &server)?;
    }
    Ok(())
}

fn xserver(lab: &Lab) -> Result<()> {
    Wire::PLAIN.set_up(lab)?;
    let to = format!("{GUEST}:7471");
    let common = ["single", "--address", HOST_ADDRESS];
    let client = Ours::peer(lab, &[&common[..], &["--to", &to]].concat())?;
    ask_guest(lab, "rdma_xserver", &client)?;
    let server = Ours::peer(lab, &common)?;
    serve_guest(lab, &format!("rdma_xclient -s {HOST_ADDRESS}"), &server)?;
    Ok(())
}

fn mckey(lab: &Lab) -> Result<()> {
    Wire::PLAIN.set_up(lab)?;
    let ours = Ours::peer(lab, &["multicast", "--address", HOST_ADDRESS, "--group", GROUP])?;
    ask_guest(lab, &format!("mckey -m {GROUP} -b {GUEST}"), &ours)?;
    let arguments = ["multicast", "--member", "--address", HOST_ADDRESS, "--group", GROUP];
    let member = Ours::peer(lab, &arguments)?;
    serve_guest(lab, &format!("mckey -m {GROUP} -b {GUEST} -s"), &member)?;
    Ok(())
}

/// A group of an organisation's own (RFC 2365).
const GROUP: &str = "239.7.7.7";
