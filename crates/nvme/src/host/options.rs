//! What a host is told before it connects.

use crate::Transport;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use wire::nvme::Nqn;
use wire::nvme::fabrics::HostId;
use wire::nvme::tcp::Digests;

/// Where to connect, as whom, and how to behave when that breaks.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// What carries the queues.
    pub transport: Transport,
    /// The controller's address.
    pub address: SocketAddr,
    /// Over RDMA, the address of ours to connect from: says its owner which device to [drive](super::Host::drive) it with.
    pub local: Option<IpAddr>,
    /// The subsystem (SUBNQN).
    pub subsystem: Nqn,
    /// Who we are (HOSTNQN).
    pub host: Nqn,
    /// Who we are, in 16 bytes (HOSTID): one and the same for a host name.
    pub host_id: HostId,
    /// The digests to ask for; a controller that does not agree is not used.
    pub digests: Digests,
    /// I/O queues to ask for; the controller may grant fewer. 0 for a connection without I/O (discovery).
    pub io_queues: u16,
    /// Entries of each I/O submission queue, 2 to 1,024; the controller may grant fewer.
    pub queue_size: u16,
    /// Ask for submission queue flow control. Without it a controller may complete reads by their last data alone, which
    /// costs less. It is asked for anyway if the controller will not do without.
    pub flow_control: bool,
    /// How long the controller may hear nothing before it ends the association (KATO); a sign of life is sent at half of
    /// it. Zero for none.
    pub keep_alive: Duration,
    /// How long the connection may take to be made, from the stream to the last I/O queue.
    pub connect_timeout: Duration,
    /// How long an admin command may take before the connection counts as lost.
    pub admin_timeout: Duration,
    /// How long an I/O command may take. Then it is aborted, and after the same time again the connection counts as lost.
    pub command_timeout: Duration,
    /// How long to wait before the first attempt to reconnect. The wait doubles with each that fails.
    pub reconnect_delay: Duration,
    /// The longest wait between two attempts.
    pub reconnect_delay_max: Duration,
    /// How long after the loss of the connection to give up for good; `None` for never, zero for at once.
    pub controller_loss_timeout: Option<Duration>,
    /// How long after the loss waiting requests fail instead of waiting on; `None` for not before the controller is given
    /// up.
    pub fast_io_fail_timeout: Option<Duration>,
    /// How many requests of all channels may be under way or waiting.
    pub requests_max: usize,
}

/// Options that make no sense.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HostOptionsError {
    /// A queue has 2 to 1,024 entries.
    #[error("a queue has 2 to 1024 entries, not {0}")]
    QueueSize(u16),
    /// More queues than we drive.
    #[error("at most {max} I/O queues, not {0}", max = HostOptions::IO_QUEUES_MAX)]
    IoQueues(u16),
    /// A time-out of nothing would end every connection.
    #[error("time-outs are longer than zero")]
    Timeout,
    /// More than fits 32 bits of milliseconds.
    #[error("a keep alive timeout has at most 49 days")]
    KeepAlive,
    /// They are of streams.
    #[error("digests are for NVMe/TCP: RDMA checks what it moves by itself")]
    Digests,
    /// There is room for no request.
    #[error("at least one request must be allowed")]
    Requests,
}

impl HostOptions {
    /// The most I/O queues of one host.
    pub const IO_QUEUES_MAX: u16 = 64;

    /// The usual: one I/O queue of 128 entries, no digests, 30 s time-outs, and ten minutes of patience.
    pub fn new(address: SocketAddr, subsystem: Nqn, host: Nqn, host_id: HostId) -> Self {
        Self {
            transport: Transport::Tcp,
            address,
            local: None,
            subsystem,
            host,
            host_id,
            digests: Digests::default(),
            io_queues: 1,
            queue_size: 128,
            flow_control: false,
            keep_alive: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            admin_timeout: Duration::from_secs(30),
            command_timeout: Duration::from_secs(30),
            reconnect_delay: Duration::from_millis(250),
            reconnect_delay_max: Duration::from_secs(10),
            controller_loss_timeout: Some(Duration::from_secs(600)),
            fast_io_fail_timeout: None,
            requests_max: 4096,
        }
    }

    /// What is wrong with them, if anything is.
    pub fn check(&self) -> Result<(), HostOptionsError> {
        if !(2..=super::queue::ENTRIES_MAX).contains(&self.queue_size) {
            return Err(HostOptionsError::QueueSize(self.queue_size));
        }
        if self.io_queues > Self::IO_QUEUES_MAX {
            return Err(HostOptionsError::IoQueues(self.io_queues));
        }
        if self.transport == Transport::Rdma && self.digests != Digests::default() {
            return Err(HostOptionsError::Digests);
        }
        let timeouts = [self.connect_timeout, self.admin_timeout, self.command_timeout, self.reconnect_delay];
        if timeouts.contains(&Duration::ZERO) {
            return Err(HostOptionsError::Timeout);
        }
        if u32::try_from(self.keep_alive.as_millis()).is_err() {
            return Err(HostOptionsError::KeepAlive);
        }
        if self.requests_max == 0 { Err(HostOptionsError::Requests) } else { Ok(()) }
    }
}
