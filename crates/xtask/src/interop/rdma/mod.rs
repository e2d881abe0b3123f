//! RDMA: the kernel's rdma_rxe in the guest with rdma-core's programs, each as client and as server of ours, over networks of
//! several packet sizes, and over some that lose packets.
//!
//! Of every run all that our device sent and received is captured: tshark must understand each packet without a warning, and each
//! CRC must be right.

pub(super) mod captured;
mod meeting;
mod pingpong;
mod programs;
mod rping;

use super::Scenario;
use super::lab::{Lab, Script};
use anyhow::{Result, ensure};
use std::process::Command;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    rping::scenarios().into_iter().chain(programs::scenarios()).chain(pingpong::scenarios()).collect()
}

/// A script with what the scripts for RDMA share.
fn script(body: &'static str) -> Script {
    Script::new(include_str!("inside/common.sh"), body)
}

/// What the network between us and the guest is like.
#[derive(Clone, Copy)]
pub(super) struct Wire {
    /// The largest IP packet, in bytes.
    pub(super) mtu: u32,
    /// How many of a hundred packets are lost, in each direction.
    pub(super) loss: u32,
}

impl Wire {
    /// Ethernet as most have it.
    pub(super) const PLAIN: Wire = Wire { mtu: 1500, loss: 0 };

    /// Makes the network so, with the kernel's device on it.
    pub(super) fn set_up(self, lab: &Lab) -> Result<()> {
        let mut ours = lab.machine()?.beside("ip");
        let mtu = self.mtu.to_string();
        succeed(ours.args(["link", "set", crate::guest::TAP, "mtu", &mtu]))?;
        let mut multicast = lab.machine()?.beside("ip");
        succeed(multicast.args(["route", "replace", "239.0.0.0/8", "dev", crate::guest::TAP]))?;
        let device = script(include_str!("inside/device.sh"));
        lab.inside(&device.set("LINK_MTU", &mtu).set("LOSS", &self.loss.to_string()))?;
        Ok(())
    }

    /// Payload of a packet, as the kernel's device reckons.
    fn payload(self) -> u32 {
        [4096, 2048, 1024].into_iter().find(|payload| payload + 80 <= self.mtu).unwrap_or(512)
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
