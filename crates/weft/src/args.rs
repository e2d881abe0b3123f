//! The command line: every command and option, declared once; help, completion and man page are made of it.

use crate::rdma::args::RdmaCommand;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::size::parse_size;
use engine::url::VolumeUrl;
use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Volumes served and used over the network, without kernel modules or root
///
/// A volume is named by URL: mem://?size=1G, null://?size=1T, file:///PATH, nvme+tcp://HOST:PORT/NQN?ns=1,
/// nvme+rdma://HOST:PORT/NQN?ns=1, iscsi://HOST:PORT/IQN/LUN, iser://HOST:PORT/IQN/LUN (both with USER%SECRET@ before HOST
/// for CHAP), srp://HOST:PORT/TARGET[/LUN]
#[derive(Debug, Parser)]
#[command(
    name = "weft",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on standard error: -v what happens, -vv every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Colour and progress on the terminal
    #[arg(long, global = true, value_enum, default_value_t = When::Auto)]
    pub color: When,
}

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum When {
    /// At a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve volumes; with no options a 1 GiB RAM volume on 127.0.0.1, over NVMe/TCP and NVMe/RDMA at port 4420, iSCSI and
    /// iSER at 3260, SRP at 5555
    Serve(ServeArgs),
    /// Tell what a volume, or a target, is
    Info(InfoArgs),
    /// List what a target offers
    Discover(DiscoverArgs),
    /// Copy from a volume to a file or standard output
    Read(ReadArgs),
    /// Copy from a file or standard input to a volume
    Write(WriteArgs),
    /// Copy one volume onto another
    Copy(CopyArgs),
    /// Compare two volumes, or write a pattern over one and read it back
    Verify(VerifyArgs),
    /// Measure a volume: rates, latency, histogram
    Bench(BenchArgs),
    /// Call a running daemon: `weft rpc` lists the methods
    Rpc(RpcArgs),
    /// Run a program whose TCP connections go past TCP where both ends run so
    Run(RunArgs),
    /// Show the connections of the programs that `weft run` started: how they are carried, and why not
    Top(TopArgs),
    /// Carry connections of programs under `weft run` to hosts where a relay runs too, where their policy says so
    Relay(RelayArgs),
    /// RDMA in user space: devices, ping, bench, captures
    #[command(subcommand)]
    Rdma(RdmaCommand),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the man pages into a directory
    Man {
        /// The directory
        directory: PathBuf,
    },
}

/// `weft serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Serve a RAM volume of this size (may be given more than once)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub ram: Vec<u64>,
    /// Serve a file or block device (may be given more than once); PATH or a file:// URL
    #[arg(long, value_name = "PATH")]
    pub file: Vec<String>,
    /// Serve any volume by URL, one of another target too (may be given more than once)
    #[arg(long, value_name = "URL", value_parser = UrlParser)]
    pub volume: Vec<VolumeUrl>,
    /// Keep the volume encrypted with the key in this file, which is made, with a random key, if there is none
    #[arg(long, value_name = "KEYFILE")]
    pub encrypt: Option<PathBuf>,
    /// Where to listen: ADDR for all protocols at their own ports, ADDR:PORT for NVMe alone (over TCP and RDMA); 127.0.0.1 by
    /// default
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    pub listen: Option<Listen>,
    /// Where to listen for iSCSI: ADDR or ADDR:PORT; where --listen says, at port 3260, unless that or --host is of NVMe alone
    #[arg(long, value_name = "ADDR", value_parser = parse_portal)]
    pub iscsi: Option<SocketAddr>,
    /// Where to listen for SRP: ADDR or ADDR:PORT; where --listen says, at port 5555, unless another protocol alone is asked for
    #[arg(long, value_name = "ADDR", value_parser = parse_srp)]
    pub srp: Option<SocketAddr>,
    /// The subsystem's name
    #[arg(long, value_name = "NQN", default_value = DEFAULT_NQN)]
    pub nqn: String,
    /// The iSCSI target's name
    #[arg(long, value_name = "IQN", default_value = DEFAULT_IQN)]
    pub iqn: String,
    /// Let in only this iSCSI initiator (may be given more than once); all, if none is given
    #[arg(long, value_name = "IQN")]
    pub initiator: Vec<String>,
    /// Let in only this NVMe host (may be given more than once); all, if none is given
    #[arg(long, value_name = "NQN")]
    pub host: Vec<String>,
    /// Start from a configuration file (SPDK's format, as `weft rpc save_config` prints it) instead of the options above
    #[arg(long, value_name = "FILE", conflicts_with_all = SETUP)]
    pub config: Option<PathBuf>,
    /// Where JSON-RPC is answered: a path, or ADDR:PORT
    #[arg(long, value_name = "SOCKET")]
    pub rpc_socket: Option<String>,
    /// Run the data path on this processor only
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<usize>,
}

/// Where to listen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listen {
    /// The address.
    pub address: IpAddr,
    /// NVMe's port, if NVMe alone is meant.
    pub port: Option<u16>,
}

impl ServeArgs {
    /// Where to serve NVMe, if at all: unless something is said of iSCSI alone.
    pub fn nvme(&self) -> Option<SocketAddr> {
        let wanted = match self.listen {
            Some(Listen { port: Some(_), .. }) => true,
            Some(Listen { port: None, .. }) => self.iscsi.is_some() || self.initiator.is_empty(),
            None => self.iscsi.is_none() && self.initiator.is_empty(),
        };
        let port = self.listen.and_then(|listen| listen.port).unwrap_or(engine::url::NVME_PORT);
        (wanted || !self.host.is_empty()).then_some(SocketAddr::new(self.address(), port))
    }

    /// Where to serve SRP, if at all: unless something is said of other protocols alone.
    pub fn srp(&self) -> Option<SocketAddr> {
        let nvme_alone = self.listen.is_some_and(|listen| listen.port.is_some()) || !self.host.is_empty();
        let iscsi_alone = self.iscsi.is_some() || !self.initiator.is_empty();
        let wanted = !nvme_alone && !iscsi_alone;
        self.srp.or(wanted.then_some(SocketAddr::new(self.address(), engine::srp::PORT)))
    }

    /// Where to serve iSCSI, if at all.
    pub fn portal(&self) -> Option<SocketAddr> {
        let nvme_alone = self.listen.is_some_and(|listen| listen.port.is_some()) || !self.host.is_empty();
        let wanted = !nvme_alone || !self.initiator.is_empty();
        self.iscsi.or(wanted.then_some(SocketAddr::new(self.address(), wire::iscsi::PORT)))
    }

    fn address(&self) -> IpAddr {
        self.listen.map_or(LOOPBACK, |listen| listen.address)
    }
}

/// Where nobody else comes.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// `weft info`
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// The volume
    #[arg(value_parser = UrlParser)]
    pub url: VolumeUrl,
}

/// `weft discover`
#[derive(Debug, Args)]
pub struct DiscoverArgs {
    /// The target's discovery service: nvme+tcp://HOST:PORT or HOST:PORT, an iSCSI portal: iscsi://HOST:PORT or iser://HOST:PORT, or a
    /// machine with SRP targets: srp://HOST
    #[arg(default_value = "127.0.0.1:4420")]
    pub target: String,
    /// Who to say we are
    #[arg(long, value_name = "NQN")]
    pub hostnqn: Option<String>,
}

/// Which part of a volume.
#[derive(Clone, Copy, Debug, Args)]
pub struct RangeArgs {
    /// Start here, in bytes
    #[arg(long, value_name = "SIZE", default_value = "0", value_parser = parse_size)]
    pub offset: u64,
    /// This many bytes; to the end if not given
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub length: Option<u64>,
}

/// How hard to work.
#[derive(Clone, Copy, Debug, Args)]
pub struct FlowArgs {
    /// Requests under way at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub depth: u16,
    /// Bytes a request
    #[arg(long, value_name = "SIZE", default_value = "128K", value_parser = parse_size)]
    pub size: u64,
}

/// `weft read`
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// The volume
    #[arg(value_parser = UrlParser)]
    pub url: VolumeUrl,
    /// Where to put it; - is standard output
    #[arg(default_value = "-")]
    pub output: PathBuf,
    #[command(flatten)]
    pub range: RangeArgs,
    #[command(flatten)]
    pub flow: FlowArgs,
}

/// `weft write`
#[derive(Debug, Args)]
pub struct WriteArgs {
    /// The volume
    #[arg(value_parser = UrlParser)]
    pub url: VolumeUrl,
    /// Where to take it from; - is standard input
    #[arg(default_value = "-")]
    pub input: PathBuf,
    #[command(flatten)]
    pub range: RangeArgs,
    #[command(flatten)]
    pub flow: FlowArgs,
}

/// `weft copy`
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The volume to copy from
    #[arg(value_parser = UrlParser)]
    pub from: VolumeUrl,
    /// The volume to copy to; it must be at least as large
    #[arg(value_parser = UrlParser)]
    pub to: VolumeUrl,
    /// Read both back and compare when done
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub flow: FlowArgs,
}

/// `weft verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The volume
    #[arg(value_parser = UrlParser)]
    pub url: VolumeUrl,
    /// Compare with this volume; without it a pattern is written over the volume and read back
    #[arg(value_parser = UrlParser)]
    pub other: Option<VolumeUrl>,
    /// Needed to write the pattern: what is on the volume is lost
    #[arg(long, conflicts_with = "other", required_unless_present = "other")]
    pub destroy: bool,
    #[command(flatten)]
    pub range: RangeArgs,
    #[command(flatten)]
    pub flow: FlowArgs,
}

/// `weft bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The volume
    #[arg(value_parser = UrlParser)]
    pub url: VolumeUrl,
    /// What to do
    #[arg(long, value_enum, default_value_t = Pattern::Randread)]
    pub pattern: Pattern,
    /// Bytes a request
    #[arg(long, value_name = "SIZE", default_value = "4K", value_parser = parse_size)]
    pub size: u64,
    /// Requests under way at once
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub depth: u16,
    /// How long, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub seconds: Duration,
    /// Percentage of reads for the mixed pattern
    #[arg(long, value_name = "PERCENT", default_value_t = 70, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub reads: u8,
    /// Needed by patterns that write: what is on the volume is lost
    #[arg(long)]
    pub destroy: bool,
    /// Run on this processor only
    #[arg(long, value_name = "CPU")]
    pub cpu: Option<usize>,
    /// Show the histogram of latencies
    #[arg(long)]
    pub histogram: bool,
    /// Over RDMA, reach devices of this machine by packets, too, not through shared memory
    #[arg(long)]
    pub packets: bool,
}

/// Access patterns, by fio's names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Pattern {
    /// One after the other
    Read,
    /// One after the other
    Write,
    /// Anywhere
    Randread,
    /// Anywhere
    Randwrite,
    /// Anywhere, reads and writes mixed
    Randrw,
}

/// `weft relay`
#[derive(Debug, Args)]
pub struct RelayArgs {
    /// An address of this host whose connections are carried (may be given more than once)
    #[arg(required = true, value_name = "ADDR")]
    pub addresses: Vec<IpAddr>,
    /// What the relays of all hosts have in common, and nobody else: a file of at least 16 bytes that only its owner can read
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
}

/// `weft run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which connections may leave TCP: a file in the grammar of libsdp.conf, `use sdp|tcp|both server|client PROGRAM ADDR:PORT`
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// A directory that this container shares with others: programs under Weft in them meet there. Its owner alone may write to it,
    /// and is the user whom they must run as
    #[arg(long, value_name = "DIRECTORY")]
    pub shared: Option<PathBuf>,
    /// Say on standard error, when the program has ended, what was carried how
    #[arg(long)]
    pub stats: bool,
    /// The program, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// `weft top`
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Show it once, and not every second
    #[arg(long)]
    pub once: bool,
}

/// `weft rpc`
#[derive(Debug, Args)]
pub struct RpcArgs {
    /// The daemon's socket: a path, or ADDR:PORT
    #[arg(short, long, value_name = "SOCKET")]
    pub socket: Option<String>,
    /// The method, then its parameters as --name value or as one JSON object
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub call: Vec<String>,
}

/// The name of the subsystem that `weft serve` makes when nothing else is said.
pub const DEFAULT_NQN: &str = "nqn.2026-01.org.weft:volume";

/// The name of the iSCSI target that `weft serve` makes when nothing else is said.
pub const DEFAULT_IQN: &str = "iqn.2026-01.org.weft:volume";

/// The options that a configuration file stands for.
const SETUP: [&str; 11] =
    ["ram", "file", "volume", "encrypt", "listen", "iscsi", "srp", "nqn", "iqn", "host", "initiator"];

/// Reads a volume's URL. What is wrong with one is told without the URL itself: it may hold a secret.
#[derive(Clone, Copy, Debug)]
struct UrlParser;

impl TypedValueParser for UrlParser {
    type Value = VolumeUrl;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<VolumeUrl, clap::Error> {
        let read = value.to_str().ok_or_else(|| "not UTF-8".to_owned());
        read.and_then(|text| text.parse().map_err(|why: engine::url::UrlError| why.to_string())).map_err(
            |why| {
                let place = argument.map_or_else(|| "URL".to_owned(), |argument| argument.to_string());
                clap::Error::raw(ErrorKind::ValueValidation, format!("invalid value for '{place}': {why}\n"))
                    .with_cmd(command)
            },
        )
    }
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    let (one, other) = (parse_address(text, 1)?, parse_address(text, 2)?);
    // A port that is not said is what it is by default.
    Ok(Listen { address: one.ip(), port: (one == other).then_some(one.port()) })
}

fn parse_srp(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, engine::srp::PORT)
}

fn parse_portal(text: &str) -> Result<SocketAddr, String> {
    parse_address(text, wire::iscsi::PORT)
}

fn parse_address(text: &str, port: u16) -> Result<SocketAddr, String> {
    let (host, port) = engine::url::parse_authority(text, port).map_err(|e| e.to_string())?;
    let host = if host == "localhost" { "127.0.0.1".into() } else { host };
    let address = host.parse().map_err(|_| format!("{host:?} is not an IP address"))?;
    Ok(SocketAddr::new(address, port))
}

/// Seconds, also parts of one.
pub fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.trim_end_matches('s').parse().map_err(|_| "not a number of seconds".to_string())?;
    if (0.05..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("between 0.05 and 86400 seconds".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_let_in_unless_asked_for() {
        let Command::Serve(args) = Cli::parse_from(["weft", "serve"]).command else {
            panic!("another command")
        };
        for (place, port) in [(args.nvme(), engine::url::NVME_PORT), (args.portal(), wire::iscsi::PORT)] {
            let place = place.expect("both are served");
            assert!(place.ip().is_loopback(), "{place} is not loopback");
            assert_eq!(place.port(), port);
        }
    }

    #[test]
    fn what_is_not_named_is_not_opened_besides() {
        let served = |words: &[&str]| {
            let words = [&["weft", "serve"], words].concat();
            let Command::Serve(args) = Cli::parse_from(words).command else { panic!("another command") };
            (args.nvme().is_some(), args.portal().is_some())
        };
        assert_eq!(served(&["--listen", "127.0.0.1"]), (true, true));
        assert_eq!(served(&["--listen", "127.0.0.1:4420"]), (true, false));
        assert_eq!(served(&["--listen", "127.0.0.1", "--host", "nqn.2026-01.org.example:a"]), (true, false));
        assert_eq!(served(&["--listen", "[::1]", "--initiator", "iqn.2026-01.org.example:a"]), (false, true));
        assert_eq!(served(&["--iscsi", "127.0.0.1"]), (false, true));
        assert_eq!(served(&["--host", "nqn.2026-01.org.example:a"]), (true, false));
        assert_eq!(served(&["--initiator", "iqn.2026-01.org.example:a"]), (false, true));
        assert_eq!(served(&["--iscsi", "127.0.0.1", "--listen", "127.0.0.1"]), (true, true));
    }

    #[test]
    fn a_url_that_is_wrong_is_not_shown() {
        let wrong = Cli::try_parse_from(["weft", "info", "iscsi://me%s3cr3t@host:x/iqn.2026-01.org.weft:a"]);
        let shown = wrong.expect_err("no port").to_string();
        assert!(!shown.contains("s3cr3t") && shown.contains("host:x"), "{shown}");
    }
}
