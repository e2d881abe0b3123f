//! What can go wrong, told to a person: what happened, where, and what to do about it.

use crate::rdma::device;
use block::Status;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The shard could not be started.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The volume could not be opened.
    #[error("{url}: {why}")]
    Open {
        /// Its URL.
        url: String,
        /// Why not.
        why: engine::OpenError,
    },
    /// The machine gives no environment.
    #[error("cannot start: {0}")]
    Reactor(reactor::StartError),
    /// The machine has no memory left.
    #[error("cannot start: {0}")]
    Memory(stdx::mem::OutOfMemory),
    /// There is no relay.
    #[error("{0}")]
    Relay(relay::StartError),
    /// A target could not be asked what it offers.
    #[error("{target}: {why}")]
    Discover {
        /// The target.
        target: String,
        /// Why not.
        why: String,
    },
    /// A configuration file could not be used.
    #[error("{path}: {why}", path = path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A name has no address.
    #[error("{host}: no such host ({why})")]
    Host {
        /// The name.
        host: String,
        /// What the resolver said.
        why: std::io::Error,
    },
    /// A request failed.
    #[error("{what} at byte {offset}: {}", describe(*.status))]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where on the volume.
        offset: u64,
        /// How it failed.
        status: Status,
    },
    /// A local file could not be used.
    #[error("{path}: {why}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: std::io::Error,
    },
    /// Somebody answers at the control socket already.
    #[error("{socket}: {} answers there already; ask it with `weft rpc`, or start with another --rpc-socket", process(*.holder))]
    SocketTaken {
        /// The socket: a path, or an address and a port.
        socket: String,
        /// The process that listens, where the system tells.
        holder: Option<i32>,
    },
    /// The options do not fit the volume or each other.
    #[error("{0}")]
    Usage(String),
    /// Two volumes, or a volume and its pattern, differ.
    #[error("the data differ at byte {offset}")]
    Differ {
        /// The first byte that differs.
        offset: u64,
    },
    /// Memory is short.
    #[error("no buffer of {bytes} bytes: use a smaller --size or --depth")]
    NoBuffer {
        /// What was asked for.
        bytes: usize,
    },
    /// There is no RDMA device at an address.
    #[error("{address}: {}", device::describe(why))]
    Device {
        /// The address.
        address: IpAddr,
        /// Why not.
        why: rdma::OpenError,
    },
    /// The RDMA device does not give what is asked for.
    #[error("the device refuses: {0}")]
    Refused(#[from] verbs::CreateError),
    /// A connection of RDMA is not there, or no more.
    #[error("{peer}: {why}")]
    Connection {
        /// With whom.
        peer: SocketAddr,
        /// What happened.
        why: String,
    },
    /// RDMA work failed.
    #[error("{what}: {}", device::describe_status(*.status))]
    Work {
        /// What was tried.
        what: &'static str,
        /// How it failed.
        status: verbs::Status,
    },
    /// The library that `weft run` loads is not where it belongs.
    #[error("{path}: not there; build it with `cargo build --release -p preload`, or install it beside weft", path = path.display())]
    Library {
        /// Where it was looked for last.
        path: PathBuf,
    },
    /// A program could not be run.
    #[error("{program}: {why}")]
    Program {
        /// The program.
        program: String,
        /// Why not.
        why: std::io::Error,
    },
    /// The daemon could not be asked.
    #[error("{0}")]
    Rpc(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// The exit code: 1 failed, 2 wrong usage, 3 data differ, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Differ { .. } => 3,
            Self::Interrupted => 130,
            // As shells have it.
            Self::Program { why, .. } if why.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Program { .. } => 126,
            Self::Start(_)
            | Self::Reactor(_)
            | Self::Memory(_)
            | Self::Relay(_)
            | Self::Open { .. }
            | Self::Host { .. }
            | Self::Io { .. }
            | Self::Device { .. }
            | Self::Refused(_)
            | Self::Connection { .. }
            | Self::Work { .. } => 1,
            Self::File { .. }
            | Self::SocketTaken { .. }
            | Self::NoBuffer { .. }
            | Self::Library { .. }
            | Self::Rpc(_)
            | Self::Discover { .. }
            | Self::Config { .. } => 1,
        }
    }
}

/// A process in words.
fn process(id: Option<i32>) -> String {
    id.map_or_else(|| "another process".into(), |id| format!("process {id}"))
}

/// A status in words, with the next step where there is one.
fn describe(status: Status) -> &'static str {
    match status {
        Status::Ok => "done",
        Status::OutOfRange => "past the end of the volume",
        Status::BadLength => "the volume takes no request of this length; use a smaller --size",
        Status::ReadError => "the blocks cannot be read",
        Status::WriteError => "the blocks cannot be written",
        Status::NoSpace => "no space is left below the volume",
        Status::ReadOnly => "the volume is read-only",
        Status::Gone => "the volume is gone",
        Status::TimedOut => "the volume did not answer in time",
        Status::Aborted => "the request was given up",
        Status::Reserved => "another host holds a reservation on the volume",
        Status::Unsupported => "this kind of volume cannot do that",
        Status::Miscompare { .. } => "the data differ",
    }
}
