//! NVMe/TCP: Linux as the host of our target, and Linux as the target of our host.

pub(super) mod host;
pub(super) mod target;

use super::lab::{Daemon, GUEST, Lab, Script};
use super::{Scenario, TargetKind};
use crate::guest::HOST_ADDRESS;
use anyhow::Result;

/// The subsystem the scenarios serve.
pub(super) const NQN: &str = "nqn.2026-01.org.weft:interop";
/// Where it is served.
pub(super) const PORT: u16 = 4420;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    host::scenarios().into_iter().chain(target::scenarios()).collect()
}

/// What the kernel's host talks to in one scenario.
enum Peer {
    /// `weft serve`, beside the guest.
    Weft(Daemon),
    /// nvmet, in the guest.
    Kernel,
}

impl Peer {
    /// A peer that serves 64 MiB as namespace 1 of [`NQN`].
    fn start(lab: &Lab) -> Result<Peer> {
        match lab.target() {
            TargetKind::Weft => Ok(Peer::Weft(serve(lab, &["--ram", "64M"])?)),
            TargetKind::Kernel => {
                kernel_target(lab, "tcp")?;
                Ok(Peer::Kernel)
            }
        }
    }

    /// A script that finds this peer in its variables.
    fn script(&self, body: &'static str) -> Script {
        let address = match self {
            Peer::Weft(_) => HOST_ADDRESS,
            Peer::Kernel => GUEST,
        };
        script(body).set("ADDRESS", address)
    }

    /// Ends it in order.
    ///
    /// # Errors
    /// When Weft does not end well.
    fn finish(self) -> Result<()> {
        match self {
            Peer::Weft(daemon) => daemon.finish(),
            Peer::Kernel => Ok(()),
        }
    }
}

/// A script with what the scripts for NVMe share.
fn script(body: &'static str) -> Script {
    script_over("tcp", body)
}

/// The same for a transport, as nvme-cli names it.
pub(super) fn script_over(transport: &str, body: &'static str) -> Script {
    let script = Script::new(include_str!("inside/common.sh"), body);
    script.set("NQN", NQN).set("PORT", &PORT.to_string()).set("TRANSPORT", transport)
}

/// `weft serve` beside the guest, where the guest can reach it.
pub(super) fn serve(lab: &Lab, volumes: &[&str]) -> Result<Daemon> {
    let listen = format!("{HOST_ADDRESS}:{PORT}");
    let arguments: Vec<&str> = volumes.iter().copied().chain(["--nqn", NQN, "--listen", &listen]).collect();
    Daemon::start(lab, &arguments)
}

/// Has the kernel's target serve 64 MiB of RAM in the guest, over a transport.
pub(super) fn kernel_target(lab: &Lab, transport: &str) -> Result<()> {
    let serving = script_over(transport, include_str!("inside/nvmet.sh")).set("ADDRESS", GUEST);
    lab.once(if transport == "rdma" { "nvmet-rdma" } else { "nvmet-tcp" }, &serving)
}
