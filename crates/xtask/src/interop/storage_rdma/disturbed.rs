//! The kernel's targets with our initiators, disturbed: packets are lost, the cable is out, queue pairs go into error in the middle
//! of I/O, and the target ends every one of them and is gone for a while.
//!
//! Weft serves the target's volume on, by NVMe/TCP, to the guest that has it: so it is the kernel's own programs that write, note
//! what was acknowledged, and look whether it is there.

use super::struck::{End, break_one};
use super::{iser, lossy, plain, pull_cable, srp};
use crate::guest::HOST_ADDRESS;
use crate::interop::iscsi::IQN;
use crate::interop::iscsi::target::use_it;
use crate::interop::lab::{Daemon, Lab, Script};
use crate::interop::nvme::{self, NQN};
use crate::interop::{Scenario, disk};
use anyhow::{Result, ensure};
use std::cell::Cell;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What our initiators say when a connection ends that was in use.
const LOST: &str = "connection lost";
/// They say so within this time.
const LOSS_SEEN: Duration = Duration::from_secs(30);

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    let gone =
        "the kernel's target ends all queue pairs in mid I/O, comes back at once, and later: nothing is lost";
    let struck =
        "a queue pair of the kernel's target's and one of our initiator's put into error: nothing is lost";
    let cable = "the cable between our initiator and the kernel's target out for 8 s, twice during I/O: nothing is lost";
    let loss = "our initiator and the kernel's target, with one packet of a hundred lost";
    vec![
        scenario("storage-rdma-nvme-target-gone", gone, |lab| disturb(lab, NVMET)),
        scenario("storage-rdma-nvme-target-struck", struck, |lab| strike(lab, NVMET)),
        scenario("storage-rdma-nvme-target-cable", cable, |lab| pull(lab, NVMET)),
        scenario("storage-rdma-nvme-target-loss", loss, |lab| lose(lab, NVMET)),
        scenario("storage-rdma-iser-target-lio-gone", gone, |lab| {
            iser::with_lio(lab, |lab| disturb(lab, ISERT))
        }),
        scenario("storage-rdma-iser-target-lio-struck", struck, |lab| {
            iser::with_lio(lab, |lab| strike(lab, ISERT))
        }),
        scenario("storage-rdma-iser-target-lio-cable", cable, |lab| {
            iser::with_lio(lab, |lab| pull(lab, ISERT))
        }),
        scenario("storage-rdma-iser-target-lio-loss", loss, |lab| {
            iser::with_lio(lab, |lab| lose(lab, ISERT))
        }),
        scenario("storage-rdma-srp-srpt-gone", gone, |lab| disturb(lab, SRPT)),
        scenario("storage-rdma-srp-srpt-struck", struck, |lab| strike(lab, SRPT)),
        scenario("storage-rdma-srp-srpt-cable", cable, |lab| pull(lab, SRPT)),
        scenario("storage-rdma-srp-srpt-loss", loss, |lab| lose(lab, SRPT)),
    ]
}

/// One of the kernel's targets.
#[derive(Clone, Copy)]
struct Target {
    /// Its volume; it is there when this is known.
    url: fn(&Lab) -> Result<String>,
    /// How it is taken away, and how it comes back, in the guest's words.
    gone: &'static str,
}

const NVMET: Target = Target {
    url: |lab| {
        nvme::kernel_target(lab, "rdma")?;
        Ok(nvme::target::url("rdma"))
    },
    gone: include_str!("inside/nvmet_gone.sh"),
};
const ISERT: Target = Target { url: |_| Ok(iser::kernel_unit()), gone: include_str!("inside/isert_gone.sh") };
const SRPT: Target = Target { url: srp::kernel_unit, gone: include_str!("inside/srpt_gone.sh") };

/// The target ends all queue pairs and is gone for a while.
fn disturb(lab: &Lab, target: Target) -> Result<()> {
    let pause = Cell::new("0");
    through(lab, target, || {
        let script = Script::new("", target.gone).set("NQN", NQN).set("IQN", IQN);
        lab.inside(&script.set("PAUSE", pause.replace("5"))).map(drop)
    })
}

/// A queue pair goes into error, first the target's, then our initiator's.
fn strike(lab: &Lab, target: Target) -> Result<()> {
    let next = Cell::new(End::Guest);
    through(lab, target, || break_one(lab, next.replace(End::Ours)))
}

/// The cable is out for a while, which our initiator may bear or lose its connections by.
fn pull(lab: &Lab, target: Target) -> Result<()> {
    plain(lab)?;
    let url = (target.url)(lab)?;
    let out = |_: &Daemon| pull_cable(lab, Duration::from_secs(8));
    disk::interruption(lab, writers, |_| nvme::serve(lab, &["--volume", &url]), out)
}

/// What the writers do, to whom Weft serves on what it has of the target.
fn writers(body: &'static str) -> Script {
    nvme::script_over("tcp", body).set("ADDRESS", HOST_ADDRESS).set("BORNE", "beyond")
}

/// Two writers go on through it all, and it is our initiator that loses its connections: who writes is not told.
fn through(lab: &Lab, target: Target, disturb: impl Fn() -> Result<()>) -> Result<()> {
    plain(lab)?;
    let url = (target.url)(lab)?;
    let until_seen = |gateway: &Daemon| {
        let losses = || gateway.said().matches(LOST).count();
        let before = losses();
        disturb()?;
        let end = Instant::now() + LOSS_SEEN;
        while losses() == before {
            ensure!(Instant::now() < end, "our initiator lost no connection: {}", gateway.said());
            sleep(Duration::from_millis(100));
        }
        Ok(())
    };
    disk::interruption(lab, writers, |_| nvme::serve(lab, &["--volume", &url]), until_seen)
}

/// Our initiator does what it can do while packets are lost.
fn lose(lab: &Lab, target: Target) -> Result<()> {
    plain(lab)?;
    let url = (target.url)(lab)?;
    lossy(lab, || use_it(lab, &url, |arguments| lab.weft_says(arguments)))
}
