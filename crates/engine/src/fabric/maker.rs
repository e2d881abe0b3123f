//! The one place that knows what devices are made of: RoCEv2 over the environment's datagrams, and shared memory where the peer
//! is on this machine.

use super::device::{DeviceInfo, OpenDevice};
use core::net::IpAddr;
use rdma::{Config, OpenError, SoftDevice};
use stdx::env::{Env, IoError, Owner};
use thiserror::Error;
use verbs::{Device, Mtu};

/// What all devices of a shard are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceOptions {
    /// The UDP port of all devices that are to reach each other.
    pub port: u16,
    /// Peers on this machine are reached through shared memory.
    pub shared_memory: bool,
}

/// Why there is no device at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DeviceError {
    /// It is the address of no machine in particular.
    #[error("RDMA needs an address of this machine, not one that stands for all of them")]
    Unspecified,
    /// There are as many devices as there may be.
    #[error("there are as many RDMA devices as there may be")]
    TooMany,
    /// Another process has a device there.
    #[error("another process has an RDMA device at this address (its UDP port {port} is in use)")]
    InUse {
        /// The port.
        port: u16,
    },
    /// The address is none of this machine's.
    #[error("this machine does not have that address")]
    NotOurs,
    /// The system refused.
    #[error("the RDMA device's socket: {0}")]
    Io(IoError),
    /// There is no memory for it.
    #[error("no memory for an RDMA device")]
    Memory,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self { port: wire::roce::PORT, shared_memory: true }
    }
}

/// Opens the device at an address, with packets of so many bytes at most. Events of what it has of the environment go to `owner`.
pub(super) fn open(
    env: &mut dyn Env,
    owner: Owner,
    address: IpAddr,
    packets: Option<Mtu>,
    options: &DeviceOptions,
) -> Result<Box<dyn OpenDevice>, DeviceError> {
    let mut config = Config { port: options.port, ..Config::new(address) };
    config.mtu = packets.unwrap_or(config.mtu);
    config.neighbours.enabled = options.shared_memory;
    let device = SoftDevice::open(env, owner, config).map_err(|why| match why {
        OpenError::Socket(IoError::AddressInUse) => DeviceError::InUse { port: options.port },
        OpenError::Socket(IoError::AddressNotAvailable) => DeviceError::NotOurs,
        OpenError::Socket(why) => DeviceError::Io(why),
        OpenError::Memory(_) => DeviceError::Memory,
    })?;
    Ok(Box::new(device))
}

impl OpenDevice for SoftDevice {
    fn device(&mut self) -> &mut dyn Device {
        self
    }

    fn as_device(&self) -> &dyn Device {
        self
    }

    fn info(&self) -> DeviceInfo {
        DeviceInfo { address: self.config().address, neighbours: self.neighbours() }
    }

    fn check(&self) {
        Self::check(self);
    }

    fn close(self: Box<Self>, env: &mut dyn Env) {
        Self::close(*self, env);
    }
}
