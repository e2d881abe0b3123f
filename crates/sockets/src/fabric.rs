//! What all sockets of a process share.

use crate::keeper;
use crate::state::State;
use crate::waiting::Shared;
use reactor::StartError;
use sdp::sockets::Config;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdx::env::IoError;
use stdx::mem::MemoryLimits;
use thiserror::Error;
use verbs::CreateError;

/// Devices and the sockets on them. Clones are the same fabric.
#[derive(Clone)]
pub struct Fabric(pub(crate) Arc<Shared>);

/// What a fabric is made with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Limits of sockets.
    pub sockets: Config,
    /// Users besides our own whose processes on this machine may share memory with ours, and may say where listeners are.
    pub other_users: [Option<u32>; 4],
    /// The UDP port of devices that peers elsewhere use.
    pub network_port: u16,
    /// How long whoever waits looks again and again after something came, before it sleeps.
    pub spin: Duration,
}

/// There is no fabric.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The system gives no event set, or no memory.
    #[error("no event set: {0}")]
    Start(#[from] StartError),
    /// The system gives no descriptor, or no thread.
    #[error("no descriptor or thread: {0}")]
    Descriptor(#[from] io::Error),
    /// The system gives no descriptor to wake sleepers with.
    #[error("no descriptor to be woken by: {0}")]
    Doorbell(#[from] IoError),
    /// There is no device.
    #[error("no device: {0}")]
    Device(#[from] rdma::OpenError),
    /// The device is too small, or there is no memory.
    #[error("no sockets on the device: {0}")]
    Sockets(#[from] CreateError),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sockets: Config::default(),
            other_users: [None; 4],
            network_port: wire::roce::PORT,
            spin: Duration::from_micros(50),
        }
    }
}

impl Options {
    pub(crate) fn reactor(&self) -> reactor::Options {
        let memory = MemoryLimits { buffer_bytes: BUFFER_BYTES };
        reactor::Options { memory, spin: self.spin, ..reactor::Options::default() }
    }

    /// Streams and listeners at once.
    pub(crate) const fn sockets_max(&self) -> usize {
        (self.sockets.streams_max as usize + self.sockets.listeners_max as usize) * 2
    }
}

impl Fabric {
    /// A new fabric, beside the process's own if there is one.
    ///
    /// # Errors
    /// When the system lacks something.
    pub fn new(options: Options) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared::new(State::new(options)?)?);
        keeper::start(&shared)?;
        Ok(Self(shared))
    }

    /// The process's own, made now if it is not there. A child that was forked gets one of its own; what it inherited is its
    /// parent's, and must not be used.
    ///
    /// # Errors
    /// As [`Fabric::new`].
    pub fn of_process() -> Result<Self, OpenError> {
        let mut own = OF_PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        if let Some((_, fabric)) = own.as_ref().filter(|(owner, _)| *owner == process) {
            return Ok(fabric.clone());
        }
        let fabric = Self::new(Options::default())?;
        // The parent's descriptors and memory stay as they are: closing would say goodbye to its peers.
        core::mem::forget(own.replace((process, fabric.clone())));
        Ok(fabric)
    }

    /// Does what there is to do, without waiting; true if anything came of it. For whoever waits in a way of their own: a turn is
    /// due at [`Fabric::deadline`], and when [`Fabric::descriptor`] can be read.
    pub fn turn(&self) -> bool {
        self.0.turn()
    }

    /// How long until the next turn is due though nothing happens: zero while turns may bring what no descriptor tells; `None`
    /// is for ever. The descriptor is ready to be waited for once this is not zero.
    pub fn deadline(&self) -> Option<Duration> {
        self.0.rest()
    }

    /// A descriptor that can be read once a turn is due.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.descriptor()
    }

    /// The address of the device that peers on this machine reach.
    pub fn device_address(&self) -> IpAddr {
        self.0.lock().local_device()
    }

    /// Where the device of this machine is that serves a listener, for peers that are told of it otherwise than by its address:
    /// see [`SdpStream::connect_to_device`](crate::SdpStream::connect_to_device).
    pub fn route(&self, listener: &crate::SdpListener) -> Option<SocketAddr> {
        self.0.lock().route(listener.key())
    }
}

impl core::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Fabric").finish_non_exhaustive()
    }
}

/// The process's own, and which process that is.
static OF_PROCESS: Mutex<Option<(u32, Fabric)>> = Mutex::new(None);

/// Bytes of buffers that memory of peers is read into.
const BUFFER_BYTES: usize = 64 << 20;
