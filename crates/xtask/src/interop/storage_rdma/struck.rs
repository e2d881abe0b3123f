//! Queue pairs that go into error in mid I/O, while both ends live and neither says a word: first one of the guest's, then one of
//! ours.
//!
//! No one can be asked to do that, so a packet does it that the peer seems to send: a write to memory that was not given
//! to it. Whoever has the queue pair refuses it and ends the connection.

use super::{iser, nvme, plain, srp};
use crate::guest::HOST_ADDRESS;
use crate::interop::lab::{Daemon, GUEST, Lab, Lacking, Script};
use crate::interop::{Scenario, disk};
use anyhow::{Context, Result, bail, ensure};
use std::cell::Cell;
use std::path::Path;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, run| {
        let about = "a queue pair of each end's put into error during I/O: nothing acknowledged is lost";
        Scenario { name, about, needs_weft: true, run }
    };
    vec![
        scenario("storage-rdma-nvme-struck", |lab| strike(lab, nvme::script, nvme::serve_file)),
        scenario("storage-rdma-iser-struck", |lab| strike(lab, iser::script, iser::serve_file)),
        scenario("storage-rdma-srp-struck", |lab| strike(lab, srp::script, srp::serve_file)),
    ]
}

/// Whose queue pair it is.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// The kernel's.
    Guest,
    /// Weft's.
    Ours,
}

fn strike(
    lab: &Lab,
    script: impl Fn(&'static str) -> Script,
    serve: impl Fn(&Lab, &Path) -> Result<Daemon>,
) -> Result<()> {
    plain(lab)?;
    let next = Cell::new(End::Guest);
    disk::interruption(lab, script, |file| serve(lab, file), |_| break_one(lab, next.replace(End::Ours)))
}

/// Puts the queue pair at one end of the last connection into error.
pub(super) fn break_one(lab: &Lab, end: End) -> Result<()> {
    for _ in 0..TRIES {
        let said = lab.inside(&Script::new("", include_str!("inside/queue_pair.sh")))?;
        let (number, expected) = said.trim().split_once(' ').context("the guest has no queue pair")?;
        match end {
            End::Guest => forge_here(lab, number, expected)?,
            End::Ours => {
                let forge = Script::new("", include_str!("inside/forge.sh")).set("FORGED", FORGED);
                lab.inside(&forge.set("FROM", GUEST).set("TO", HOST_ADDRESS).set("LQPN", number))?;
            }
        }
        let over = Script::new("", include_str!("inside/in_error.sh")).set("LQPN", number);
        if lab.inside(&over)?.contains("over") {
            return Ok(());
        }
    }
    bail!("no queue pair went into error")
}

fn forge_here(lab: &Lab, number: &str, expected: &str) -> Result<()> {
    let mut python = lab.machine()?.beside("python3");
    let status = python.args(["-c", FORGED, HOST_ADDRESS, GUEST, number, number, expected]).status();
    let status = status.map_err(|why| Lacking(format!("python3: {why}")))?;
    ensure!(status.success(), "python3: {status}");
    Ok(())
}

/// Sends the packets.
const FORGED: &str = include_str!("inside/forged.py");
/// The connection goes on while it is aimed at.
const TRIES: usize = 5;
