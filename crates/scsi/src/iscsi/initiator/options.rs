//! What an initiator is told before it connects.

use crate::iscsi::IscsiName;
use crate::iscsi::login::DigestPolicy;
use crate::iscsi::login::chap::ChapOptions;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use wire::iscsi::{Isid, Serial};

/// Where to connect, as whom, and how to behave when that breaks.
#[derive(Clone, Debug)]
pub struct InitiatorOptions {
    /// The portal's address.
    pub address: SocketAddr,
    /// What carries the connections.
    pub transport: Transport,
    /// Over RDMA: the address of this machine to connect from.
    pub local: Option<IpAddr>,
    /// The target (TargetName).
    pub target: IscsiName,
    /// Who we are (InitiatorName).
    pub initiator: IscsiName,
    /// How we call ourselves (InitiatorAlias); empty for nothing.
    pub alias: String,
    /// Our part of the session's name; `None` for one drawn at random. Further sessions count its last two bytes up.
    pub isid: Option<Isid>,
    /// Where the order of a session's commands begins (CmdSN); `None` for a number drawn at random.
    pub cmd_sn: Option<Serial>,
    /// What we prove ourselves with, if the target asks, and whether it is to prove itself.
    pub chap: Option<ChapOptions>,
    /// Digests behind headers.
    pub header_digest: DigestPolicy,
    /// Digests behind data.
    pub data_digest: DigestPolicy,
    /// The highest error recovery level, 0 to 2: from 1 on damaged data is asked for again, at 2 commands go on by another
    /// connection when theirs is lost. The target may want less.
    pub error_recovery_level: u8,
    /// The one logical unit to look at; `None` for all the target lists.
    pub lun: Option<u16>,
    /// Sessions to the target; channels are spread over them. 1 to 64.
    pub sessions: u16,
    /// Connections of each session, 1 to 8; commands are spread over them. The target may allow fewer.
    pub connections: u16,
    /// Commands outstanding on a session, 2 to 1,023; the target may allow fewer.
    pub commands_max: u16,
    /// How long a session may be silent before the target is asked for a sign of life (NOP-Out). Zero for never.
    pub nop_interval: Duration,
    /// How long that may go without an answer before the connection counts as lost.
    pub nop_timeout: Duration,
    /// How often one of the disks, each in its turn, is asked whether something has changed (TEST UNIT READY): a target tells
    /// of sizes and of disks that come and go only when it is asked something. Zero for never.
    pub watch_interval: Duration,
    /// How long the way up may take, from the stream to the last session.
    pub connect_timeout: Duration,
    /// How long a command may take. Then it is aborted; after half of that time again its logical unit is reset, and after all of
    /// it the connection counts as lost.
    pub command_timeout: Duration,
    /// How long to wait before the first attempt to reconnect. The wait doubles with each that fails, and is never shorter
    /// than what the target asked for (DefaultTime2Wait).
    pub reconnect_delay: Duration,
    /// The longest wait between two attempts, unless the target asked for longer.
    pub reconnect_delay_max: Duration,
    /// How long after the loss of the connection to give up for good; `None` for never, zero for at once.
    pub loss_timeout: Option<Duration>,
    /// How long after the loss waiting requests fail instead of waiting on; `None` for not before the target is given up.
    pub fast_io_fail_timeout: Option<Duration>,
    /// How many requests of all channels may be under way or waiting.
    pub requests_max: usize,
}

/// What carries connections.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Transport {
    /// Streams.
    #[default]
    Tcp,
    /// Queue pairs of an RDMA device: iSER.
    Rdma,
}

/// Options that make no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum InitiatorOptionsError {
    /// The number of commands.
    #[error("a session has 2 to 1023 commands outstanding, not {0}")]
    Commands(u16),
    /// The number of sessions.
    #[error("there are 1 to {max} sessions, not {0}", max = InitiatorOptions::SESSIONS_MAX)]
    Sessions(u16),
    /// The number of connections.
    #[error("a session has 1 to {max} connections, not {0}", max = InitiatorOptions::CONNECTIONS_MAX)]
    Connections(u16),
    /// A time-out of nothing would end every connection.
    #[error("time-outs are longer than zero")]
    Timeout,
    /// There are three levels.
    #[error("error recovery levels are 0, 1 and 2, not {0}")]
    RecoveryLevel(u8),
    /// There is room for no request.
    #[error("at least one request must be allowed")]
    Requests,
    /// Logical units beyond what one level of numbers tells.
    #[error("logical units have numbers below 16384, not {0}")]
    Lun(u16),
    /// Both directions of CHAP share a secret, or there is no algorithm.
    #[error("CHAP needs another secret for each direction, and an algorithm")]
    Chap,
}

impl InitiatorOptions {
    /// The most sessions to one target.
    pub const SESSIONS_MAX: u16 = 64;
    /// The most connections of a session.
    pub const CONNECTIONS_MAX: u16 = super::connection::CONNECTIONS_MAX;

    /// The usual: one session of 128 commands, digests if the target prefers them, 30 s time-outs, ten minutes of patience.
    pub fn new(address: SocketAddr, target: IscsiName, initiator: IscsiName) -> Self {
        Self {
            address,
            transport: Transport::Tcp,
            local: None,
            target,
            initiator,
            alias: String::new(),
            isid: None,
            cmd_sn: None,
            chap: None,
            header_digest: DigestPolicy::Allowed,
            data_digest: DigestPolicy::Allowed,
            error_recovery_level: 0,
            lun: None,
            sessions: 1,
            connections: 1,
            commands_max: 128,
            nop_interval: Duration::from_secs(5),
            nop_timeout: Duration::from_secs(5),
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
    pub fn check(&self) -> Result<(), InitiatorOptionsError> {
        if !(2..=super::connection::TASKS_MAX).contains(&self.commands_max) {
            return Err(InitiatorOptionsError::Commands(self.commands_max));
        }
        if !(1..=Self::SESSIONS_MAX).contains(&self.sessions) {
            return Err(InitiatorOptionsError::Sessions(self.sessions));
        }
        if !(1..=Self::CONNECTIONS_MAX).contains(&self.connections) {
            return Err(InitiatorOptionsError::Connections(self.connections));
        }
        if self.error_recovery_level > 2 {
            return Err(InitiatorOptionsError::RecoveryLevel(self.error_recovery_level));
        }
        if let Some(lun) = self.lun.filter(|lun| *lun >= 1 << 14) {
            return Err(InitiatorOptionsError::Lun(lun));
        }
        let timeouts = [self.connect_timeout, self.command_timeout, self.reconnect_delay, self.nop_timeout];
        if timeouts.contains(&Duration::ZERO) {
            return Err(InitiatorOptionsError::Timeout);
        }
        if self.chap.as_ref().is_some_and(|chap| !chap.is_sound()) {
            return Err(InitiatorOptionsError::Chap);
        }
        if self.requests_max == 0 { Err(InitiatorOptionsError::Requests) } else { Ok(()) }
    }
}
