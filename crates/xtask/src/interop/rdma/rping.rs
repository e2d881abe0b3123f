//! `weft rdma ping` and rping.

use super::Wire;
use super::meeting::{Ours, ask_guest, serve_guest};
use crate::guest::HOST_ADDRESS;
use crate::interop::Scenario;
use crate::interop::lab::{GUEST, Lab};
use anyhow::{Result, ensure};

/// Bytes of pings: the smallest, those around a packet, and the longest that rping takes.
const SIZES: [u32; 5] = [27, 1024, 1025, 4097, 65_535];

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("rdma-ping-client", "rping serves: five sizes to 64 KiB, compared byte for byte", client),
        scenario("rdma-ping-server", "rping asks: five sizes to 64 KiB, compared byte for byte", server),
        scenario("rdma-ping-mtu", "rping both ways with packets of 1500, 4200 and 9000 bytes", packets),
        scenario("rdma-ping-loss", "rping both ways while 1 and 5 of a hundred packets are lost", loss),
    ]
}

fn client(lab: &Lab) -> Result<()> {
    Wire::PLAIN.set_up(lab)?;
    SIZES.into_iter().try_for_each(|size| ask(lab, size, 5))
}

fn server(lab: &Lab) -> Result<()> {
    Wire::PLAIN.set_up(lab)?;
    SIZES.into_iter().try_for_each(|size| serve(lab, size, 5))
}

fn packets(lab: &Lab) -> Result<()> {
    for mtu in [4200, 9000, 1500] {
        Wire { mtu, ..Wire::PLAIN }.set_up(lab)?;
        ask(lab, 20_000, 5)?;
        serve(lab, 20_000, 5)?;
    }
    Ok(())
}

fn loss(lab: &Lab) -> Result<()> {
    for loss in [1, 5] {
        Wire { loss, ..Wire::PLAIN }.set_up(lab)?;
        ask(lab, 20_000, 20)?;
        serve(lab, 20_000, 20)?;
    }
    Wire::PLAIN.set_up(lab)
}

fn ask(lab: &Lab, size: u32, count: u32) -> Result<()> {
    let (bytes, many) = (size.to_string(), count.to_string());
    let guest = format!("rping -s -a {GUEST} -S {size} -v");
    let ours = Ours::ping(lab, &["-c", "-a", GUEST, "-S", &bytes, "-C", &many, "-v", "-V"]);
    let (served, asked) = ask_guest(lab, &guest, &ours)?;
    let expected = count as usize;
    ensure!(served.matches("server ping data: rdma-ping-").count() == expected, "rping saw:\n{served}");
    ensure!(asked.matches("ping data: rdma-ping-").count() == expected, "we saw:\n{asked}");
    Ok(())
}

fn serve(lab: &Lab, size: u32, count: u32) -> Result<()> {
    let guest = format!("rping -c -a {HOST_ADDRESS} -S {size} -C {count} -v -V");
    let ours = Ours::ping(lab, &["-s", "-a", HOST_ADDRESS, "-v"]);
    let (asked, served) = serve_guest(lab, &guest, &ours)?;
    ensure!(!asked.contains("mismatch"), "rping:\n{asked}");
    let expected = count as usize;
    ensure!(asked.matches("ping data: rdma-ping-").count() == expected, "rping saw:\n{asked}");
    ensure!(served.matches("server ping data: rdma-ping-").count() == expected, "we saw:\n{served}");
    Ok(())
}
