//! A device as a shard has it: what users of verbs see, and what only its owner does.

use core::net::IpAddr;
use stdx::env::Env;
use verbs::Device;

/// A device, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceInfo {
    /// Its address.
    pub address: IpAddr,
    /// Devices of other processes of this machine that it reaches through shared memory.
    pub neighbours: usize,
}

/// A device that was opened.
pub(super) trait OpenDevice {
    /// What its users see.
    fn device(&mut self) -> &mut dyn Device;

    /// The same, to look at.
    fn as_device(&self) -> &dyn Device;

    /// What it is.
    fn info(&self) -> DeviceInfo;

    /// Asserts what always holds between turns.
    fn check(&self);

    /// Gives back to the environment what it has of it.
    fn close(self: Box<Self>, env: &mut dyn Env);
}
