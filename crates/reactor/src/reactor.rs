//! The reactor: its parts put together into one [`Env`].

use crate::clock::{self, Clock};
use crate::datagrams::{Datagrams, IS_DATAGRAMS};
use crate::entropy::Entropy;
use crate::files::{FILES, Files};
use crate::links::{IS_LINK, IS_LINK_LISTENER, Links};
use crate::listeners::{IS_LISTENER, Listeners};
use crate::options::Options;
use crate::pace::{Pace, Socket, Turn};
use crate::poller::Poller;
use crate::streams::Streams;
use crate::waker::Bell;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use stdx::env::{
    Accepted, DatagramSocket, DatagramsId, DatagramsInfo, Env, Event, FileExtent, FileId, FileInfo, FileOp,
    IoError, LinkId, LinkListenerId, LinkMessage, LinkName, LinkPeer, ListenerId, OpenFile, Owner,
    ReceivedRun, Refused, Run, StreamId, Waker, What,
};
use stdx::mem::{Memory, OutOfMemory, RegionId, Span};
use stdx::slab::Key;
use stdx::time::{Time, earliest};
use thiserror::Error;

/// The outside world of one shard, on Linux. It belongs to the thread that polls it.
pub struct Reactor {
    clock: Clock,
    pace: Pace,
    poller: Poller,
    bell: Arc<Bell>,
    listeners: Listeners,
    streams: Streams,
    datagrams: Datagrams,
    links: Links,
    files: Files,
    entropy: Entropy,
    memory: Memory,
    /// See [`Env::waited`].
    waited: Duration,
}

/// Why there is no reactor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum StartError {
    /// The kernel gives no event set.
    #[error("cannot watch for events: {0}")]
    Events(#[from] IoError),
    /// The kernel gives no memory.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

impl Reactor {
    /// A world without streams or files yet.
    pub fn new(options: Options) -> Result<Self, StartError> {
        let poller = Poller::new()?;
        let bell = Bell::new(&poller, BELL)?;
        let mut memory = Memory::new(options.memory)?;
        memory.set_clock(clock::monotonic_ns);
        Ok(Self {
            clock: Clock::start(),
            pace: Pace::new(options.spin),
            poller,
            bell,
            listeners: Listeners::new(),
            streams: Streams::new(options.streams_max),
            datagrams: Datagrams::new(),
            links: Links::new(),
            files: Files::new(options.files, options.file_depth),
            entropy: Entropy::new(),
            memory,
            waited: Duration::ZERO,
        })
    }

    /// A descriptor that can be read once [`Env::poll`] has something to tell, if [`Reactor::rest`] was called since the last
    /// one. What memory that peers write has to tell, and deadlines, are no matter of it.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.poller.descriptor()
    }

    /// Readies [`Reactor::descriptor`] for a wait outside.
    pub fn rest(&mut self) {
        self.datagrams.come_back(&self.poller, |_| false);
    }

    /// What is known without asking the kernel's set.
    fn tell_known(&mut self, events: &mut Vec<Event>) {
        if self.bell.answer() {
            events.push(Event { owner: Owner::SHARD, what: What::Woken });
        }
        self.streams.tell_again(events);
        let told_before = events.len();
        self.files.turn(&mut self.memory, events);
        if events.len() > told_before {
            self.pace.useful(self.clock.now());
        }
    }

    /// Lets the owners of busy sockets try.
    fn tell_active(&mut self, now: Time, events: &mut Vec<Event>) {
        for socket in self.pace.active(now) {
            match socket {
                Socket::Stream(key) => self.streams.tell_try(key, events),
                Socket::Datagrams(key) => self.datagrams.tell_try(key, events),
            }
        }
    }

    /// Busy sockets leave the set, others return to it.
    fn leave_and_come_back(&mut self, now: Time) {
        let (pace, poller) = (&self.pace, &self.poller);
        let is_active = |socket| pace.active(now).any(|active| active == socket);
        self.datagrams.come_back(poller, |key| is_active(Socket::Datagrams(key)));
        self.streams.come_back(poller, |key| is_active(Socket::Stream(key)));
        for socket in pace.active(now) {
            match socket {
                Socket::Datagrams(key) => self.datagrams.leave(poller, key),
                Socket::Stream(key) => self.streams.leave(poller, key),
            }
        }
    }

    /// True if there is nothing to be told but what is seen in memory, which its owner looks into.
    fn has_memory_alone(&self, now: Time) -> bool {
        self.pace.is_memory_alone(now) && !self.streams.has_to_tell() && self.files.is_idle()
    }

    /// Looks for what happened until there is something, or the deadline has come.
    fn look(&mut self, events: &mut Vec<Event>, deadline: Option<Time>, is_same_time: bool) {
        let told_before = events.len();
        let mut began = None;
        loop {
            let now = if is_same_time { self.clock.now() } else { self.clock.turn() };
            let began = *began.get_or_insert(now);
            self.listeners.resume(&self.poller, now, false);
            self.streams.expire(now);
            self.tell_known(events);
            let comes_back = deadline.is_some_and(|at| at <= now);
            match self.pace.turn(now, comes_back) {
                Turn::Try => {
                    if self.pace.gives_way() {
                        std::thread::yield_now();
                    }
                    self.tell_active(now, events);
                }
                Turn::Ask => {
                    self.leave_and_come_back(now);
                    self.ask(Wait::No, events);
                    self.datagrams.tell_left(events);
                    self.streams.tell_left(events);
                }
                Turn::Sleep => {
                    self.datagrams.come_back(&self.poller, |_| false);
                    self.streams.come_back(&self.poller, |_| false);
                    let is_told = events.len() > told_before;
                    self.ask(if is_told { Wait::No } else { Wait::Until(deadline) }, events);
                }
            }
            if events.len() > told_before || deadline.is_some_and(|at| at <= self.clock.now()) {
                // No clock is read for this: what the turn's last look itself cost counts as work.
                self.waited += self.clock.now() - began;
                return;
            }
        }
    }

    /// Asks the kernel's set, waiting until `until` if that is given.
    fn ask(&mut self, until: Wait, events: &mut Vec<Event>) {
        match until {
            Wait::No => self.poller.wait(Some(Duration::ZERO)),
            Wait::Until(time) => {
                let retry_at = self.files.is_behind().then(|| self.clock.now() + RETRY);
                let own = earliest(self.listeners.resume_at(), self.streams.expire(self.clock.now()));
                let wake_at = earliest(time, earliest(own, retry_at));
                self.poller.wait(wake_at.map(|at| at - self.clock.now()));
                self.clock.turn();
            }
        }
        let mut place = 0;
        while let Some(ready) = self.poller.ready(place) {
            place += 1;
            match ready.token {
                BELL | FILES => {}
                token if token & IS_LISTENER != 0 => {
                    self.pace.useful(self.clock.now());
                    self.listeners.handle_ready(token, events);
                }
                token if token & IS_DATAGRAMS != 0 => {
                    if ready.readable {
                        self.pace.useful(self.clock.now());
                    }
                    self.datagrams.handle_ready(&self.poller, ready, events);
                }
                token if token & IS_LINK_LISTENER != 0 => self.links.handle_listener_ready(ready, events),
                token if token & IS_LINK != 0 => self.links.handle_ready(ready, events),
                _ => self.streams.handle_ready(ready, events),
            }
        }
        if self.bell.answer() {
            events.push(Event { owner: Owner::SHARD, what: What::Woken });
        }
    }
}

/// How long to wait for the kernel's set.
enum Wait {
    No,
    Until(Option<Time>),
}

impl Env for Reactor {
    fn now(&self) -> Time {
        self.clock.now()
    }

    fn calendar_ms(&self) -> u64 {
        clock::calendar_ms()
    }

    fn entropy(&mut self) -> u64 {
        self.entropy.next()
    }

    fn mem(&mut self) -> &mut Memory {
        &mut self.memory
    }

    fn listen(&mut self, owner: Owner, address: SocketAddr) -> Result<ListenerId, IoError> {
        self.listeners.listen(&self.poller, owner, address)
    }

    fn listener_address(&self, listener: ListenerId) -> SocketAddr {
        self.listeners.address(listener)
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.listeners.close(listener);
    }

    fn accept(&mut self, listener: ListenerId, owner: Owner) -> Result<Accepted, IoError> {
        let accepted = if self.streams.is_full() {
            Err(IoError::Limit)
        } else {
            self.listeners.accept(listener).and_then(|(fd, peer, local)| {
                let stream = self.streams.adopt(&self.poller, fd, owner)?;
                Ok(Accepted { stream, peer, local })
            })
        };
        match accepted {
            Err(IoError::Limit) => self.listeners.pause(&self.poller, listener, self.clock.now()),
            Ok(_) => self.pace.useful(self.clock.now()),
            Err(_) => {}
        }
        accepted
    }

    fn connect(&mut self, owner: Owner, address: SocketAddr) -> Result<StreamId, IoError> {
        self.streams.connect(&self.poller, owner, address)
    }

    fn recv(&mut self, stream: StreamId, into: Span) -> Result<usize, IoError> {
        let key = Key::from_u64(stream.0);
        let len = self.streams.recv(key, &mut self.memory, into)?;
        if len > 0 {
            self.pace.useful_socket(self.clock.now(), Socket::Stream(key));
        }
        Ok(len)
    }

    fn send(&mut self, stream: StreamId, from: &[Span]) -> Result<usize, IoError> {
        self.streams.send(&self.poller, Key::from_u64(stream.0), &self.memory, from)
    }

    fn close(&mut self, stream: StreamId, abort: bool) {
        let key = Key::from_u64(stream.0);
        self.streams.close(&self.poller, key, abort, self.clock.now());
        self.pace.forget(Socket::Stream(key));
        self.listeners.resume(&self.poller, self.clock.now(), true);
    }

    fn open_datagrams(&mut self, owner: Owner, socket: &DatagramSocket) -> Result<DatagramsId, IoError> {
        self.datagrams.open(&self.poller, owner, socket)
    }

    fn open_group(&mut self, owner: Owner, group: SocketAddr, at: IpAddr) -> Result<DatagramsId, IoError> {
        self.datagrams.open_group(&self.poller, owner, group, at)
    }

    fn datagrams_info(&self, socket: DatagramsId) -> DatagramsInfo {
        self.datagrams.info(socket)
    }

    fn close_datagrams(&mut self, socket: DatagramsId) {
        self.pace.forget(Socket::Datagrams(Key::from_u64(socket.0)));
        self.datagrams.close(socket);
    }

    fn send_run(&mut self, socket: DatagramsId, run: &Run<'_>) -> Result<(), IoError> {
        self.datagrams.send(&self.poller, socket, &self.memory, run)
    }

    fn recv_run(&mut self, socket: DatagramsId, into: Span) -> Result<ReceivedRun, IoError> {
        let run = self.datagrams.recv(socket, &mut self.memory, into)?;
        self.pace.useful_socket(self.clock.now(), Socket::Datagrams(Key::from_u64(socket.0)));
        Ok(run)
    }

    fn recv_runs(
        &mut self,
        socket: DatagramsId,
        into: &[Span],
        runs: &mut Vec<ReceivedRun>,
    ) -> Result<bool, IoError> {
        let is_more = self.datagrams.recv_all(socket, &mut self.memory, into, runs)?;
        self.pace.useful_socket(self.clock.now(), Socket::Datagrams(Key::from_u64(socket.0)));
        Ok(is_more)
    }

    fn listen_links(&mut self, owner: Owner, name: &LinkName) -> Result<LinkListenerId, IoError> {
        self.links.listen(&self.poller, owner, name)
    }

    fn close_link_listener(&mut self, listener: LinkListenerId) {
        self.links.close_listener(listener);
    }

    fn accept_link(&mut self, listener: LinkListenerId, owner: Owner) -> Result<LinkId, IoError> {
        self.links.accept(&self.poller, listener, owner)
    }

    fn connect_link(&mut self, owner: Owner, name: &LinkName) -> Result<LinkId, IoError> {
        self.links.connect(&self.poller, owner, name)
    }

    fn link_peer(&self, link: LinkId) -> Result<LinkPeer, IoError> {
        self.links.peer(link)
    }

    fn send_link(&mut self, link: LinkId, message: &[u8], memory: Option<RegionId>) -> Result<(), IoError> {
        self.links.send(&self.memory, link, message, memory)
    }

    fn recv_link(&mut self, link: LinkId, into: &mut [u8]) -> Result<LinkMessage, IoError> {
        self.links.recv(&mut self.memory, link, into)
    }

    fn close_link(&mut self, link: LinkId) {
        self.links.close(link);
    }

    fn looked(&mut self, found: bool) {
        self.pace.looked(self.clock.now(), found);
    }

    fn open_file(&mut self, open: &OpenFile) -> Result<FileId, IoError> {
        self.files.open(&self.poller, open)
    }

    fn file_info(&mut self, file: FileId) -> Result<FileInfo, IoError> {
        self.files.info(file)
    }

    fn file_extent(&mut self, file: FileId, offset: u64) -> Result<FileExtent, IoError> {
        self.files.extent(file, offset)
    }

    fn resize_file(&mut self, file: FileId, len: u64) -> Result<(), IoError> {
        self.files.resize(file, len)
    }

    fn close_file(&mut self, file: FileId) {
        self.files.close(file);
    }

    fn submit(&mut self, op: FileOp) -> Result<(), Refused<FileOp>> {
        self.files.submit(&mut self.memory, op)
    }

    fn poll(&mut self, events: &mut Vec<Event>, deadline: Option<Time>) {
        let then = self.clock.now();
        let is_same_time = deadline.is_some_and(|at| at <= then) && self.pace.is_same_time(then);
        if is_same_time && self.has_memory_alone(then) {
            return;
        }
        self.look(events, deadline, is_same_time);
    }

    fn waited(&self) -> Duration {
        self.waited
    }

    fn waker(&self) -> Waker {
        let bell = Arc::clone(&self.bell);
        Arc::new(move || bell.ring())
    }
}

impl Drop for Reactor {
    /// The kernel may still be moving bytes of files; the memory must outlast that.
    fn drop(&mut self) {
        self.files.finish(&mut self.memory);
    }
}

/// How long a kernel that could not take a file operation is left alone.
const RETRY: Duration = Duration::from_millis(1);

/// The bell's number in the set; no table has so many places.
const BELL: u64 = u64::MAX;
