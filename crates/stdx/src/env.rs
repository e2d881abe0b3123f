//! The outside world, as one contract: time, entropy, streams, files. The Linux reactor implements it for production and
//! the simulator from a seed; a shard is a function of what its `Env` tells it.
//!
//! Streams are by readiness (try now; on [`IoError::WouldBlock`] an event says when to try again), files by completion
//! (submit; an event says when it is done). Nothing here blocks but [`Env::poll`].

mod link;

pub use link::{LINK_MESSAGE_MAX, LinkId, LinkListenerId, LinkMessage, LinkName, LinkPeer};

use crate::mem::{Memory, RegionId, Span};
use crate::time::Time;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// What a shard may ask of the world.
pub trait Env {
    /// The time of this turn. It stands still between two calls of [`Env::poll`] in simulation, and may do so elsewhere.
    fn now(&self) -> Time;

    /// Milliseconds since 1970-01-01 UTC, as the calendar of this machine says.
    fn calendar_ms(&self) -> u64;

    /// 64 bits that no peer can guess.
    fn entropy(&mut self) -> u64;

    /// The shard's memory.
    fn mem(&mut self) -> &mut Memory;

    /// Listens for streams. Events of the listener go to `owner`.
    fn listen(&mut self, owner: Owner, address: SocketAddr) -> Result<ListenerId, IoError>;

    /// The address a listener got (its port, if 0 was asked for).
    fn listener_address(&self, listener: ListenerId) -> SocketAddr;

    /// Stops listening. Streams accepted before live on.
    fn close_listener(&mut self, listener: ListenerId);

    /// The next stream that waits, with its peer's and its own address. Its events go to `owner`.
    fn accept(&mut self, listener: ListenerId, owner: Owner) -> Result<Accepted, IoError>;

    /// Starts a stream to `address`. [`What::Writable`] says that it is there, [`What::Broken`] that it will not be.
    fn connect(&mut self, owner: Owner, address: SocketAddr) -> Result<StreamId, IoError>;

    /// Moves bytes that have arrived into `into`; `Ok(0)` is the end of the stream. After [`IoError::WouldBlock`], or when
    /// fewer bytes came than `into` has room for, [`What::Readable`] follows once there is something.
    fn recv(&mut self, stream: StreamId, into: Span) -> Result<usize, IoError>;

    /// Moves bytes of `from`, in order, out; says how many, at least one. They are copied before this returns. After
    /// [`IoError::WouldBlock`], or when not all was taken, [`What::Writable`] follows once there is room.
    fn send(&mut self, stream: StreamId, from: &[Span]) -> Result<usize, IoError>;

    /// Ends a stream. What was sent is still delivered if the peer takes it, unless `abort` is set: then the peer sees a
    /// reset. No event of it follows.
    fn close(&mut self, stream: StreamId, abort: bool);

    /// Opens a socket for datagrams (UDP) that reach `socket.address`. Its events go to `owner`.
    fn open_datagrams(&mut self, owner: Owner, socket: &DatagramSocket) -> Result<DatagramsId, IoError> {
        let _ = (owner, socket);
        Err(IoError::Unsupported)
    }

    /// Opens a socket for datagrams that are sent to a multicast group, at the group's port; the network that has the address
    /// `at` of this machine is asked for them. Others of this machine may be members, too. Nothing is sent from it.
    fn open_group(&mut self, owner: Owner, group: SocketAddr, at: IpAddr) -> Result<DatagramsId, IoError> {
        let _ = (owner, group, at);
        Err(IoError::Unsupported)
    }

    /// What a datagram socket is: its address (with the port it got, if 0 was asked for) and what it can do.
    fn datagrams_info(&self, socket: DatagramsId) -> DatagramsInfo {
        let _ = socket;
        DatagramsInfo::NONE
    }

    /// Closes a datagram socket. No event of it follows.
    fn close_datagrams(&mut self, socket: DatagramsId) {
        let _ = socket;
    }

    /// Sends a run of datagrams: all of them, or none. They are copied before this returns, and may be lost like any. After
    /// [`IoError::WouldBlock`], [`What::DatagramsWritable`] follows once there is room.
    fn send_run(&mut self, socket: DatagramsId, run: &Run<'_>) -> Result<(), IoError> {
        let _ = (socket, run);
        Err(IoError::Unsupported)
    }

    /// Moves a run of datagrams that have arrived, one after the other, to the front of `into`. One that does not fit is
    /// cut off. After [`IoError::WouldBlock`], [`What::DatagramsReadable`] follows once there is one.
    fn recv_run(&mut self, socket: DatagramsId, into: Span) -> Result<ReceivedRun, IoError> {
        let _ = (socket, into);
        Err(IoError::Unsupported)
    }

    /// The same for several runs at once, as many as have arrived, each to a place of its own in `into`; `runs` gets what they
    /// are, in the order of the places. Says whether more may wait: if not, [`What::DatagramsReadable`] follows once there is one.
    fn recv_runs(
        &mut self,
        socket: DatagramsId,
        into: &[Span],
        runs: &mut Vec<ReceivedRun>,
    ) -> Result<bool, IoError> {
        for &place in into {
            match self.recv_run(socket, place) {
                Ok(run) => runs.push(run),
                Err(why) if runs.is_empty() => return Err(why),
                Err(why) => return Ok(why != IoError::WouldBlock),
            }
        }
        Ok(true)
    }

    /// Waits for links under a name. Events go to `owner`.
    fn listen_links(&mut self, owner: Owner, name: &LinkName) -> Result<LinkListenerId, IoError> {
        let _ = (owner, name);
        Err(IoError::Unsupported)
    }

    /// Waits no more. Links that were accepted live on.
    fn close_link_listener(&mut self, listener: LinkListenerId) {
        let _ = listener;
    }

    /// The next link that waits. Its events go to `owner`.
    fn accept_link(&mut self, listener: LinkListenerId, owner: Owner) -> Result<LinkId, IoError> {
        let _ = (listener, owner);
        Err(IoError::WouldBlock)
    }

    /// A link to whoever listens under a name; [`IoError::Refused`] at once if nobody does. It can be used at once.
    fn connect_link(&mut self, owner: Owner, name: &LinkName) -> Result<LinkId, IoError> {
        let _ = (owner, name);
        Err(IoError::Refused)
    }

    /// Who is at the other end.
    fn link_peer(&self, link: LinkId) -> Result<LinkPeer, IoError> {
        let _ = link;
        Err(IoError::Reset)
    }

    /// Sends a message of 1 to [`LINK_MESSAGE_MAX`] bytes, and lets the peer read a published region. After
    /// [`IoError::WouldBlock`] nothing was sent, and no event tells when there is room: the peer has to receive.
    fn send_link(&mut self, link: LinkId, message: &[u8], memory: Option<RegionId>) -> Result<(), IoError> {
        let _ = (link, message, memory);
        Err(IoError::Reset)
    }

    /// Takes the next message; what is longer than `into` is cut. [`IoError::Reset`] says that the peer is gone. After
    /// [`IoError::WouldBlock`], [`What::LinkReadable`] follows once there is something.
    fn recv_link(&mut self, link: LinkId, into: &mut [u8]) -> Result<LinkMessage, IoError> {
        let _ = (link, into);
        Err(IoError::Reset)
    }

    /// Ends a link. No event of it follows. Memory that came over it stays mapped.
    fn close_link(&mut self, link: LinkId) {
        let _ = link;
    }

    /// Says what looking into memory that peers write brought: something, or nothing yet. While it lately brought something,
    /// a [`Env::poll`] whose deadline has passed costs no more than it must.
    fn looked(&mut self, found: bool) {
        let _ = found;
    }

    /// Opens a file or block device.
    fn open_file(&mut self, open: &OpenFile) -> Result<FileId, IoError>;

    /// What the file is now. Its size may change behind our back.
    fn file_info(&mut self, file: FileId) -> Result<FileInfo, IoError>;

    /// What is known of the space behind the bytes from `offset` on. Who cannot tell says that all of them have some.
    fn file_extent(&mut self, file: FileId, offset: u64) -> Result<FileExtent, IoError> {
        let len = self.file_info(file)?.len.saturating_sub(offset);
        Ok(FileExtent { len, mapped: true })
    }

    /// Makes a regular file `len` bytes long.
    fn resize_file(&mut self, file: FileId, len: u64) -> Result<(), IoError>;

    /// Closes a file; operations under way complete first.
    fn close_file(&mut self, file: FileId);

    /// Starts an operation on a file. [`What::FileDone`] follows to its owner, exactly once. The span belongs to the
    /// operation until then. Refused (and handed back) only when too many are under way.
    fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>>;

    /// Appends what has happened to `events`. With none to tell it waits until there is one, or until `deadline` (`None`:
    /// for ever; a time past: not at all).
    fn poll(&mut self, events: &mut Vec<Event>, deadline: Option<Time>);

    /// How long [`Env::poll`] has looked for events in vain, in all; the rest of the time since the start was work. Zero
    /// where nobody counts.
    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    /// A way for other threads to end a wait in [`Env::poll`], which then tells [`What::Woken`] to [`Owner::SHARD`].
    fn waker(&self) -> Waker;
}

/// A random UUID (RFC 9562, section 5.4), in network byte order.
pub fn random_uuid(env: &mut dyn Env) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&env.entropy().to_be_bytes());
    bytes[8..].copy_from_slice(&env.entropy().to_be_bytes());
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

/// See [`Env::waker`].
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Whom an event is for: the shard knows what is behind the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner(pub u64);

impl Owner {
    /// The shard itself.
    pub const SHARD: Self = Self(u64::MAX);
}

/// A listening socket of this shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListenerId(pub u64);

/// A connected socket of this shard. Never used again for another within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// A datagram socket of this shard. Never used again for another within a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DatagramsId(pub u64);

/// A datagram socket to be opened.
///
/// It is not connected, and its IP packets are never cut: they carry Don't Fragment. Where the system can, a run is one
/// call, and several datagrams that arrive together are handed over together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatagramSocket {
    /// Where datagrams reach it. The unspecified address stands for every address of this machine; port 0 for a free port.
    pub address: SocketAddr,
}

/// What a datagram socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatagramsInfo {
    /// Where datagrams reach it.
    pub address: SocketAddr,
    /// Most datagrams in a run that is sent; 1 where each is a call of its own. It may become so after a run that failed.
    pub run_max: u16,
    /// Most bytes in a run that is sent, all its datagrams together.
    pub run_bytes_max: u32,
    /// Bytes of long datagrams that wait for whoever takes them; those that come beyond are lost.
    pub inbox_bytes: u32,
}

impl DatagramsInfo {
    /// A socket that does not exist.
    pub const NONE: Self = Self {
        address: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
        run_max: 0,
        run_bytes_max: 0,
        inbox_bytes: 0,
    };
}

/// Datagrams to one address, all equally long but the last, which may be shorter.
///
/// Over IPv4, datagram k of the run has identification k: the checksums of some protocols cover it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run<'a> {
    /// Where they go.
    pub to: SocketAddr,
    /// From which address of this machine; `None` for the socket's own, or the system's choice.
    pub from: Option<IpAddr>,
    /// The bytes of all of them, one after the other, gathered from these pieces.
    pub pieces: &'a [Span],
    /// Bytes of each datagram but the last. At least 1, and at most as many as all pieces have.
    pub datagram_len: u16,
    /// Type of service, or traffic class: the two lowest bits are for congestion (ECN).
    pub traffic_class: u8,
}

/// Datagrams that arrived together, all equally long but the last, which may be shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceivedRun {
    /// Where they come from.
    pub from: SocketAddr,
    /// The address of this machine that they came to.
    pub to: IpAddr,
    /// Bytes of all of them.
    pub len: u32,
    /// Bytes of each but the last.
    pub datagram_len: u16,
    /// Type of service, or traffic class: the two lowest bits are for congestion (ECN).
    pub traffic_class: u8,
}

/// An open file of this shard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub u64);

/// A stream that came to a listener.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    /// The stream.
    pub stream: StreamId,
    /// Where it comes from.
    pub peer: SocketAddr,
    /// The address it came to: the listener's, unless that listens on all.
    pub local: SocketAddr,
}

/// Something happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// To whom.
    pub owner: Owner,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A stream may wait to be accepted.
    Acceptable(ListenerId),
    /// A stream may have bytes, its end, or an error to tell: try [`Env::recv`].
    Readable(StreamId),
    /// A stream is connected or may have room again: try [`Env::send`].
    Writable(StreamId),
    /// A stream could not be connected, or broke.
    Broken(StreamId, IoError),
    /// Datagrams may have arrived: try [`Env::recv_run`].
    DatagramsReadable(DatagramsId),
    /// There may be room again: try [`Env::send_run`].
    DatagramsWritable(DatagramsId),
    /// A link may wait to be accepted: try [`Env::accept_link`].
    LinkAcceptable(LinkListenerId),
    /// A message, or the end of the link, may have come: try [`Env::recv_link`].
    LinkReadable(LinkId),
    /// The operation with this tag is done: how many bytes it moved.
    FileDone {
        /// The operation's tag.
        tag: u64,
        /// Bytes moved: all of them unless the file ends before. An error means nothing is known of any byte.
        result: Result<u32, IoError>,
    },
    /// Another thread called the waker.
    Woken,
}

/// What went wrong outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum IoError {
    /// Not now; an event will tell.
    #[error("would block")]
    WouldBlock,
    /// Nobody listens there.
    #[error("connection refused: nothing listens there")]
    Refused,
    /// The peer ended the stream without ceremony, or it broke.
    #[error("the connection was reset")]
    Reset,
    /// No answer in time, or no way there.
    #[error("the other end cannot be reached")]
    Unreachable,
    /// Someone listens on the address already.
    #[error("the address is in use")]
    AddressInUse,
    /// The address is not one of this machine.
    #[error("the address is not one of this machine's")]
    AddressNotAvailable,
    /// No such file.
    #[error("no such file or directory")]
    NotFound,
    /// There is one already.
    #[error("the file exists already")]
    Exists,
    /// We may not.
    #[error("permission denied")]
    Permission,
    /// No room on the device, or the file may not grow that far.
    #[error("no space left on the device")]
    NoSpace,
    /// The file, system or device cannot do that.
    #[error("not supported here")]
    Unsupported,
    /// The medium failed.
    #[error("input/output error")]
    Media,
    /// A limit of this process or machine is reached (descriptors, memory).
    #[error("a limit of this process is reached (open files, memory)")]
    Limit,
    /// Another error of the system, by its errno.
    #[error("system error {0}")]
    Os(i32),
}

/// How to open a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenFile {
    /// Where it is.
    pub path: PathBuf,
    /// Do not write.
    pub read_only: bool,
    /// Past the page cache (O_DIRECT): offsets, lengths and addresses are then multiples of [`FileInfo::alignment`].
    pub direct: bool,
    /// Make a sparse file of this many bytes if there is none.
    pub create: Option<u64>,
}

impl OpenFile {
    /// An existing file, for reading and writing through the page cache.
    pub fn existing(path: &Path) -> Self {
        Self { path: path.to_owned(), read_only: false, direct: false, create: None }
    }
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileInfo {
    /// Bytes.
    pub len: u64,
    /// The device's logical block in bytes; 512 for a regular file.
    pub block_size: u32,
    /// What operations must be multiples of, in bytes; 1 through the page cache.
    pub alignment: u32,
    /// A block device, not a regular file.
    pub is_device: bool,
    /// [`FileOpKind::Punch`] and [`FileOpKind::Zero`] work.
    pub can_punch: bool,
}

/// Bytes of a file that are alike in whether there is space behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileExtent {
    /// How many, from the one that was asked about: none past the end of the file. The next extent may be alike.
    pub len: u64,
    /// There is space. Bytes without read as zero.
    pub mapped: bool,
}

/// An operation on a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileOp {
    /// To whom its completion goes.
    pub owner: Owner,
    /// What the completion is to say it is of.
    pub tag: u64,
    /// The file.
    pub file: FileId,
    /// What to do.
    pub kind: FileOpKind,
    /// Where in the file, in bytes.
    pub offset: u64,
}

/// What to do with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileOpKind {
    /// File to shared memory.
    Read(Span),
    /// Shared memory to file.
    Write {
        /// The bytes.
        data: Span,
        /// Done only when the bytes survive a power cut.
        durable: bool,
    },
    /// Done only when everything written before survives a power cut (fdatasync).
    Sync,
    /// These bytes become zero and give their space back.
    Punch {
        /// Bytes.
        len: u64,
    },
    /// These bytes become zero; their space stays reserved if the file system can do that.
    Zero {
        /// Bytes.
        len: u64,
    },
}

/// A request that was not taken: there is no room for it now. It comes back to its owner unharmed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused<T>(pub T);
