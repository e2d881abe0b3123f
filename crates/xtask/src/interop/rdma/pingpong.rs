//! The example programs of libibverbs: queue pairs that are connected by hand.

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
        scenario("rdma-pingpong-rc", "ibv_rc_pingpong both ways, packets of 1500 and 9000 bytes", rc),
        scenario("rdma-pingpong-uc", "ibv_uc_pingpong both ways", |lab| plain(lab, "uc", 4096)),
        scenario("rdma-pingpong-ud", "ibv_ud_pingpong both ways", |lab| plain(lab, "ud", 1024)),
        scenario("rdma-pingpong-srq", "ibv_srq_pingpong both ways, sixteen queue pairs", |lab| {
            plain(lab, "srq", 4096)
        }),
        scenario("rdma-pingpong-loss", "ibv_rc_pingpong while 1 of a hundred packets is lost", loss),
    ]
}

fn rc(lab: &Lab) -> Result<()> {
    for mtu in [9000, 1500] {
        let wire = Wire { mtu, ..Wire::PLAIN };
        wire.set_up(lab)?;
        play(lab, "rc", 20_000, 100, wire.payload())?;
    }
    Ok(())
}

fn loss(lab: &Lab) -> Result<()> {
    let wire = Wire { loss: 1, ..Wire::PLAIN };
    wire.set_up(lab)?;
    play(lab, "rc", 4096, 50, wire.payload())?;
    Wire::PLAIN.set_up(lab)
}

fn plain(lab: &Lab, kind: &'static str, size: u32) -> Result<()> {
    Wire::PLAIN.set_up(lab)?;
    play(lab, kind, size, 200, Wire::PLAIN.payload())
}

fn play(lab: &Lab, kind: &str, size: u32, iterations: u32, payload: u32) -> Result<()> {
    let (bytes, many, mtu) = (size.to_string(), iterations.to_string(), payload.to_string());
    let common =
        ["pingpong", kind, "--address", HOST_ADDRESS, "--size", &bytes, "--iterations", &many, "--mtu", &mtu];
    // Datagrams are as long as the port allows; their program has no such option.
    let packets = if kind == "ud" { String::new() } else { format!("-m {payload}") };
    let guest = format!("ibv_{kind}_pingpong -g 1 -s {size} -n {iterations} {packets}");
    let client = Ours::peer(lab, &[&common[..], &["--to", GUEST]].concat())?;
    ask_guest(lab, &guest, &client)?;
    let server = Ours::peer(lab, &common)?;
    serve_guest(lab, &format!("{guest} {HOST_ADDRESS}"), &server)?;
    Ok(())
}
