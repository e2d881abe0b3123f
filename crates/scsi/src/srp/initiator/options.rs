//! What an initiator is told before it connects.

use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use verbs::PortSpace;
use wire::srp::PortId;

/// Where to connect, as whom, and how to behave when that breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InitiatorOptions {
    /// The target's address, and the port that its listener has with the RDMA connection manager.
    pub address: SocketAddr,
    /// The service to ask InfiniBand's own connection manager for, where that is the way in; `None` for the RDMA connection
    /// manager's, by the address's port.
    pub service: Option<u64>,
    /// The address of ours to connect from; `None` for whatever leads there.
    pub local: Option<IpAddr>,
    /// The target port.
    pub target: PortId,
    /// The initiator port: who we are.
    pub initiator: PortId,
    /// The one logical unit to look at; `None` for all the target lists.
    pub lun: Option<u16>,
    /// Channels, 1 to 64; users are spread over them. The target may allow fewer.
    pub channels: u16,
    /// Commands outstanding on a channel, 1 to 1,023; the target may allow fewer.
    pub commands_max: u16,
    /// The most bytes of a write that go along with its command, at most 65,536; 0 for none. The target may allow fewer, or
    /// none (SRP-2).
    pub immediate_max: u32,
    /// The most bytes that one descriptor names, at least 4,096: longer data is told as a table of several. `None` for no limit.
    pub piece_max: Option<u32>,
    /// How often one of the disks, each in its turn, is asked whether something has changed (TEST UNIT READY). Zero for never.
    pub watch_interval: Duration,
    /// How long the way up may take, from the first request for a channel to the last channel.
    pub connect_timeout: Duration,
    /// How long a command may take. Then it is aborted; after half of that time again its logical unit is reset, and after all of
    /// it the connection counts as lost.
    pub command_timeout: Duration,
    /// How long to wait before the first attempt to reconnect. The wait doubles with each that fails.
    pub reconnect_delay: Duration,
    /// The longest wait between two attempts.
    pub reconnect_delay_max: Duration,
    /// How long after the loss of the connection to give up for good; `None` for never, zero for at once.
    pub loss_timeout: Option<Duration>,
    /// How long after the loss waiting requests fail instead of waiting on; `None` for not before the target is given up.
    pub fast_io_fail_timeout: Option<Duration>,
    /// How many requests of all users may be under way or waiting.
    pub requests_max: usize,
}

/// Options that make no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InitiatorOptionsError {
    /// The number of commands.
    #[error("a channel has 1 to {max} commands outstanding, not {0}", max = InitiatorOptions::COMMANDS_MAX)]
    Commands(u16),
    /// The number of channels.
    #[error("there are 1 to {max} channels, not {0}", max = InitiatorOptions::CHANNELS_MAX)]
    Channels(u16),
    /// Immediate data.
    #[error("at most {max} bytes go along with a command, not {0}", max = InitiatorOptions::IMMEDIATE_MAX)]
    Immediate(u32),
    /// Pieces so small that a command could not name its data.
    #[error("a descriptor names {min} bytes or more, not {0}", min = InitiatorOptions::PIECE_MIN)]
    Piece(u32),
    /// A time-out of nothing would end every connection.
    #[error("time-outs are longer than zero")]
    Timeout,
    /// There is room for no request.
    #[error("at least one request must be allowed")]
    Requests,
    /// Numbers that ports have.
    #[error("service ids have more than 32 bits, unlike {0:#x}")]
    Service(u64),
    /// Logical units beyond what one level of numbers tells.
    #[error("logical units have numbers below 16384, not {0}")]
    Lun(u16),
}

impl InitiatorOptions {
    /// The most channels to one target.
    pub const CHANNELS_MAX: u16 = 64;
    /// The most commands outstanding on a channel.
    pub const COMMANDS_MAX: u16 = 1023;
    /// The most bytes that go along with a command.
    pub const IMMEDIATE_MAX: u32 = 1 << 16;
    /// The fewest bytes that a descriptor may be limited to.
    pub const PIECE_MIN: u32 = 4096;

    /// The usual: one channel of 128 commands, 8 KiB of immediate data, 30 s time-outs, ten minutes of patience.
    pub const fn new(address: SocketAddr, target: PortId, initiator: PortId) -> Self {
        Self {
            address,
            service: None,
            local: None,
            target,
            initiator,
            lun: None,
            channels: 1,
            commands_max: 128,
            immediate_max: 8 << 10,
            piece_max: None,
            watch_interval: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            command_timeout: Duration::from_secs(30),
            reconnect_delay: Duration::from_millis(250),
            reconnect_delay_max: Duration::from_secs(10),
            loss_timeout: Some(Duration::from_secs(600)),
            fast_io_fail_timeout: None,
            requests_max: 4096,
        }
    }

    /// What is wrong with them, if anything is.
    ///
    /// # Errors
    /// The first option that makes no sense.
    pub fn check(&self) -> Result<(), InitiatorOptionsError> {
        if !(1..=Self::COMMANDS_MAX).contains(&self.commands_max) {
            return Err(InitiatorOptionsError::Commands(self.commands_max));
        }
        if !(1..=Self::CHANNELS_MAX).contains(&self.channels) {
            return Err(InitiatorOptionsError::Channels(self.channels));
        }
        if self.immediate_max > Self::IMMEDIATE_MAX {
            return Err(InitiatorOptionsError::Immediate(self.immediate_max));
        }
        if let Some(piece) = self.piece_max.filter(|piece| *piece < Self::PIECE_MIN) {
            return Err(InitiatorOptionsError::Piece(piece));
        }
        if let Some(service) = self.service.filter(|service| !PortSpace::Service(*service).is_sound()) {
            return Err(InitiatorOptionsError::Service(service));
        }
        if let Some(lun) = self.lun.filter(|lun| *lun >= 1 << 14) {
            return Err(InitiatorOptionsError::Lun(lun));
        }
        if [self.connect_timeout, self.command_timeout, self.reconnect_delay].contains(&Duration::ZERO) {
            return Err(InitiatorOptionsError::Timeout);
        }
        if self.requests_max == 0 { Err(InitiatorOptionsError::Requests) } else { Ok(()) }
    }
}
