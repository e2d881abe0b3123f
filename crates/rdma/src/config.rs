//! Every limit and choice of a device, in one place.

use crate::Congestion;
use core::net::IpAddr;
use core::time::Duration;
use verbs::{Limits, Mtu};
use wire::roce;

/// What a device is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// The address it has. Several devices of one machine have several (127.0.0.0/8 has room).
    pub address: IpAddr,
    /// The UDP port of all devices that are to reach each other.
    pub port: u16,
    /// The largest payload of a packet.
    pub mtu: Mtu,
    /// What it allows.
    pub limits: Limits,
    /// Packets of requests under way on one connection.
    pub window_packets: u32,
    /// A request for an acknowledgement at least every so many packets.
    pub ack_every_packets: u32,
    /// How long an acknowledgement that costs a datagram of its own waits for others to join it; see `rc::promptness`.
    pub ack_delay: Duration,
    /// Packets of one queue pair before it is the next one's turn.
    pub burst_packets: u32,
    /// Runs of datagrams taken in one turn.
    pub runs_per_turn: u32,
    /// The partition.
    pub partition_key: u16,
    /// Acknowledgements tell how many receives are posted, and what peers tell so is heeded (9.7.7.2).
    pub credits: bool,
    /// How long connections made by the manager wait for an acknowledgement: 4.096 microseconds times two to this power.
    pub ack_timeout: u8,
    /// How long peers of such connections wait when there is no receive: a code of 0 to 31.
    pub rnr_timer: u8,
    /// How long the manager waits for an answer before it asks again.
    pub cm_timeout: Duration,
    /// How often it asks again.
    pub cm_retries: u8,
    /// What is done about congestion.
    pub congestion: Congestion,
    /// How long an ended connection is remembered, so that late packets find nothing.
    pub time_wait: Duration,
    /// Devices of other processes of this machine, which are reached through shared memory.
    pub neighbours: shm::Config,
}

impl Config {
    /// A device at `address` with the usual values.
    pub fn new(address: IpAddr) -> Self {
        Self {
            address,
            port: roce::PORT,
            mtu: Mtu::Mtu4096,
            limits: Limits::default(),
            window_packets: 512,
            ack_every_packets: 64,
            ack_delay: Duration::from_micros(200),
            burst_packets: 64,
            runs_per_turn: 32,
            partition_key: roce::DEFAULT_PARTITION_KEY,
            credits: true,
            ack_timeout: 14,
            rnr_timer: 12,
            cm_timeout: Duration::from_millis(500),
            cm_retries: 7,
            congestion: Congestion::default(),
            time_wait: Duration::from_millis(250),
            neighbours: shm::Config::default(),
        }
    }
}
