//! The other end for the example programs of rdma-core, where `weft` itself has no such command: what they do, done with
//! Weft's verbs. `cargo xtask interop` runs them against the originals.
//!
//! Each ends with status 0 when everything went as its counterpart has it.

mod datagrams;
mod exchange;
mod local;
mod messages;
mod multicast;
mod pingpong;
mod single;

use clap::{Args, Parser, Subcommand};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use verbs::Mtu;

/// The command line.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Whose counterpart to be.
#[derive(Debug, Subcommand)]
enum Command {
    /// ucmatose: messages over a connection, both ways
    Messages(Ends),
    /// udaddy: datagrams to a service that is found by its port, and back
    Datagrams(Ends),
    /// rdma_xserver and rdma_xclient: a single message
    Single(Ends),
    /// ibv_rc_pingpong and its like: queue pairs that tell each other their numbers over TCP
    Pingpong(pingpong::Arguments),
    /// mckey: datagrams to a multicast group
    Multicast(multicast::Arguments),
}

/// Where this end is, and the other.
#[derive(Debug, Args)]
struct Ends {
    /// The address of the device
    #[arg(long)]
    address: IpAddr,
    /// The server; without it this is the server
    #[arg(long)]
    to: Option<SocketAddr>,
    /// Where the server listens
    #[arg(long, default_value_t = 7471)]
    port: u16,
    /// Messages each way
    #[arg(short = 'C', long, default_value_t = 10)]
    count: u64,
    /// Bytes of a message
    #[arg(short = 'S', long, default_value_t = 100)]
    size: u32,
    #[command(flatten)]
    device: Device,
}

/// What the device is like.
#[derive(Debug, Args)]
struct Device {
    /// Payload of a packet
    #[arg(long, default_value_t = 1024)]
    mtu: u32,
    /// Write every packet sent and received to this pcap file
    #[arg(long)]
    capture: Option<PathBuf>,
}

impl Device {
    fn mtu(&self) -> Result<Mtu, Trouble> {
        let found = Mtu::ALL.into_iter().find(|mtu| mtu.bytes() == self.mtu);
        found.ok_or_else(|| "no such MTU".into())
    }
}

/// Why it did not go well.
type Trouble = Box<dyn std::error::Error>;

fn main() -> Result<(), Trouble> {
    match Cli::parse().command {
        Command::Messages(ends) => messages::run(&ends),
        Command::Datagrams(ends) => datagrams::run(&ends),
        Command::Single(ends) => single::run(&ends),
        Command::Pingpong(arguments) => pingpong::run(&arguments),
        Command::Multicast(arguments) => multicast::run(&arguments),
    }
}
