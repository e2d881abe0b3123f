//! `weft rdma`: its commands and options.

use crate::args::parse_seconds;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use engine::size::parse_size;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use verbs::Mtu;

/// The commands.
#[derive(Debug, Subcommand)]
pub enum RdmaCommand {
    /// List the addresses of this machine that can be RDMA devices; -v: and what each of them has
    Devices,
    /// Ping by RDMA reads and writes: speaks with rping, as client and as server
    #[command(disable_version_flag = true)]
    Ping(PingArgs),
    /// Measure sends, writes, reads and atomics: rates, latency, histogram; with no address both ends are here
    Bench(BenchArgs),
    /// Show the packets in a capture file, and whether their CRCs are right
    Capture(CaptureArgs),
}

/// What a device is to be like.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// Payload of a packet: 256, 512, 1024, 2048 or 4096; the most that the interface allows if not given
    #[arg(long, value_name = "BYTES", value_parser = parse_mtu)]
    pub mtu: Option<Mtu>,
    /// Reach devices of this machine by packets, too, not through shared memory
    #[arg(long)]
    pub packets: bool,
    /// Write every packet sent and received to this pcap file; implies --packets
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// Show the device's counters at the end, by the names that Linux's rdma_rxe gives them
    #[arg(long)]
    pub counters: bool,
}

/// `weft rdma ping`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("side").required(true).args(["server", "client"])))]
pub struct PingArgs {
    /// Be the server
    #[arg(short, long)]
    pub server: bool,
    /// Be the client
    #[arg(short, long, requires = "address")]
    pub client: bool,
    /// The client: where the server is; the server: which of this machine's addresses to serve, the first that leads
    /// elsewhere if not given
    #[arg(short, long, value_name = "ADDR")]
    pub address: Option<String>,
    /// The port
    #[arg(short, long, default_value_t = PORT)]
    pub port: u16,
    /// The client: from which of this machine's addresses
    #[arg(short = 'I', long, value_name = "ADDR", conflicts_with = "server")]
    pub source: Option<IpAddr>,
    /// The client: how many pings; until interrupted if 0
    #[arg(short = 'C', long, value_name = "N", default_value_t = 0)]
    pub count: u32,
    /// Bytes of a ping, with rping at most 65535; the server takes up to 64 KiB, or so many if that is more
    #[arg(short = 'S', long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(SIZES))]
    pub size: u32,
    /// The server: take many connections, until interrupted; otherwise it ends with the first
    #[arg(short = 'P', long, conflicts_with = "client")]
    pub persistent: bool,
    /// The client: compare what comes back with what was sent
    #[arg(short = 'V', long)]
    pub validate: bool,
    /// Tell every event and completion on standard error
    #[arg(short, long)]
    pub debug: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `weft rdma bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Where the server is, or with --server which of this machine's addresses to serve
    #[arg(value_name = "ADDR")]
    pub address: Option<String>,
    /// Be the server, for one client after the other
    #[arg(short, long)]
    pub server: bool,
    /// The port
    #[arg(short, long, default_value_t = BENCH_PORT)]
    pub port: u16,
    /// What to do
    #[arg(long, value_enum, default_value_t = Operation::Write)]
    pub op: Operation,
    /// The service
    #[arg(long, value_enum, default_value_t = Service::Rc)]
    pub service: Service,
    /// Bytes of a message
    #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = parse_size)]
    pub size: u64,
    /// Messages under way at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub depth: u16,
    /// How long, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub seconds: Duration,
    /// One message at a time; sends are answered by a message, and timed there and back
    #[arg(long, conflicts_with = "depth")]
    pub latency: bool,
    /// Show the histogram of latencies
    #[arg(long)]
    pub histogram: bool,
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// What to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Operation {
    /// Messages into the peer's receives
    Send,
    /// Into the peer's memory
    Write,
    /// From the peer's memory
    Read,
    /// Fetch and add, eight bytes
    Atomic,
}

/// By which service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Service {
    /// Reliable connection
    Rc,
    /// Unreliable connection
    Uc,
    /// Unreliable datagrams
    Ud,
}

/// `weft rdma capture`
#[derive(Debug, Args)]
pub struct CaptureArgs {
    /// The file, of pcap's classic form; - is standard input
    pub file: PathBuf,
    /// Only the totals
    #[arg(short, long)]
    pub quiet: bool,
}

fn parse_mtu(text: &str) -> Result<Mtu, String> {
    let bytes: u32 = text.parse().map_err(|_| "not a number".to_owned())?;
    let found = Mtu::ALL.into_iter().find(|mtu| mtu.bytes() == bytes);
    found.ok_or_else(|| "one of 256, 512, 1024, 2048, 4096".to_owned())
}

/// Where rping listens.
const PORT: u16 = 7174;
/// Where `weft rdma bench` listens.
const BENCH_PORT: u16 = 7175;
/// The shortest ping has room for its number, as rping has it.
const SIZES: core::ops::RangeInclusive<i64> = 27..=1 << 20;
