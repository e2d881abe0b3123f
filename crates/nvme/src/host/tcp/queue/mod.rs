//! One queue pair over one stream: capsules out, responses and data in (TCP Transport 1.0).
//!
//! It knows commands by their 64 bytes, their data and their owner's token, and not what they mean. Whoever owns it
//! connects it to a controller with the Connect command once it is [`State::Established`].
//!
//! ```text
//!   Connecting --stream there, ICReq sent--> Initializing --ICResp--> Established
//!        |                                        |                       |
//!        +------- broken, closed, malformed PDU, termination request -----+--> Ended(why)
//! ```
//!
//! Invariants: no input panics or grows memory; a command's memory is not touched after it was told completed; once
//! ended, the stream is closed, and the commands that got no response are to be had from [`QueuePair::unanswered`].

mod command;
mod incoming;
mod outgoing;
mod receive;
mod session;

use self::command::Command;
use self::receive::Receive;
use crate::host::queue::{Commands, Completed, Data, ENTRIES_MAX, Refused, Submission};
use std::collections::VecDeque;
use std::net::SocketAddr;
use stdx::env::{Env, IoError, Owner, StreamId, What};
use stdx::mem::{Kind, Memory, OutOfMemory, Span};
use stdx::time::Time;
use stdx::transmit::{HEADER_MAX, Transmit};
use thiserror::Error;
use wire::nvme::SubmissionQueueEntry;
use wire::nvme::tcp::{
    ADMIN_IN_CAPSULE_MAX, DataAlignment, Digests, HEADER_SPAN_MAX, HeaderError, HeaderRules, Receiver,
};

/// One queue pair.
#[derive(Debug)]
pub struct QueuePair {
    stream: StreamId,
    state: State,
    digests_wanted: Digests,
    rules: HeaderRules,
    /// How the controller wants data aligned (CPDA).
    alignment: DataAlignment,
    /// MAXH2CDATA in bytes.
    h2c_data_max: u32,
    in_capsule_max: u32,
    memory: QueueMemory,
    commands: Commands<Command>,
    submission: Submission,
    transmit: Transmit,
    receive: Receive,
    /// Places of commands with an R2T to answer.
    requested: VecDeque<u16>,
    completed: Vec<Completed>,
    /// Outstanding reads long enough to be received into place.
    large_reads: usize,
    /// The stream takes no more until it says so.
    blocked: bool,
    /// Bytes may wait that no event will tell of.
    unread: bool,
    scratch: Vec<Span>,
}

/// How far the queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The stream is not there yet.
    Connecting,
    /// ICReq is out.
    Initializing,
    /// Commands may be sent.
    Established,
    /// It is over.
    Ended(QueueEnd),
}

/// Why a queue ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum QueueEnd {
    /// The stream could not be made, or broke.
    #[error("{0}")]
    Stream(#[from] IoError),
    /// The controller closed the stream.
    #[error("the controller closed the connection")]
    ByPeer,
    /// The controller sent something it must not send.
    #[error("the controller broke the protocol: {0}")]
    Malformed(#[from] HeaderError),
    /// The controller says we did.
    #[error("the controller ended the connection: fatal error {status:#x}, information {information:#x}")]
    Terminated {
        /// Fatal error status.
        status: u16,
        /// Fatal error information.
        information: u32,
    },
    /// The controller uses other digests than were asked for.
    #[error("the controller does not agree to the digests that were asked for")]
    Digests,
    /// Its owner closed it.
    #[error("closed")]
    Closed,
}

/// What a queue is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// Where the controller listens.
    pub address: SocketAddr,
    /// The digests to ask for.
    pub digests: Digests,
    /// Entries of the submission queue, 2 to 1,024. One less can be outstanding.
    pub entries: u16,
    /// The controller tells its submission queue head, and never completes a read by its last data alone.
    pub flow_control: bool,
    /// Bytes of the receive buffer.
    pub receive_len: usize,
}

/// The memory of a queue's own, to be used again by the queue that follows it.
#[derive(Clone, Copy, Debug)]
pub struct QueueMemory {
    ring: Span,
    receive: Span,
}

impl QueueMemory {
    /// Maps what a queue of these parameters needs.
    pub fn map(memory: &mut Memory, parameters: &Parameters) -> Result<Self, OutOfMemory> {
        let ring_len = (usize::from(parameters.entries) * 2 * HEADER_SPAN_MAX + 4 * HEADER_MAX).max(4096);
        let ring = memory.map(Kind::Private, ring_len as u64)?;
        match memory.map(Kind::Private, parameters.receive_len as u64) {
            Ok(receive) => Ok(Self {
                ring: memory.whole(ring).first(ring_len),
                receive: memory.whole(receive).first(parameters.receive_len),
            }),
            Err(error) => {
                memory.unmap(ring);
                Err(error)
            }
        }
    }

    /// Gives it back.
    pub fn unmap(self, memory: &mut Memory) {
        memory.unmap(self.ring.region);
        memory.unmap(self.receive.region);
    }
}

impl QueuePair {
    /// Starts a connection. Events of its stream go to `owner`.
    pub fn connect(
        env: &mut dyn Env,
        owner: Owner,
        parameters: &Parameters,
        memory: QueueMemory,
    ) -> Result<Self, IoError> {
        let stream = env.connect(owner, parameters.address)?;
        let entries = parameters.entries.clamp(2, ENTRIES_MAX);
        Ok(Self {
            stream,
            state: State::Connecting,
            digests_wanted: parameters.digests,
            rules: HeaderRules::initialization(Receiver::Host),
            alignment: DataAlignment::default(),
            h2c_data_max: 0,
            in_capsule_max: ADMIN_IN_CAPSULE_MAX,
            memory,
            commands: Commands::new(entries - 1),
            submission: Submission::new(entries, parameters.flow_control),
            transmit: Transmit::new(memory.ring, usize::from(entries) * 4),
            receive: Receive::new(memory.receive),
            requested: VecDeque::with_capacity(usize::from(entries)),
            completed: Vec::with_capacity(usize::from(entries)),
            large_reads: 0,
            blocked: true,
            unread: false,
            scratch: Vec::with_capacity(usize::from(entries) * 4),
        })
    }

    /// Whose events are for this queue.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// How far it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Its memory, for the queue that follows it.
    pub fn memory(&self) -> QueueMemory {
        self.memory
    }

    /// Sets how much data a command may carry in its capsule, in bytes (IOCCSZ of Identify Controller). Before, it is
    /// what every controller takes with Fabrics and admin commands.
    pub fn set_in_capsule_max(&mut self, bytes: u32) {
        self.in_capsule_max = bytes;
    }

    /// How many commands are outstanding.
    pub fn outstanding(&self) -> usize {
        self.commands.len()
    }

    /// True if bytes may wait of which no event will tell: call [`QueuePair::receive_more`] soon.
    pub fn has_unread(&self) -> bool {
        self.unread
    }

    /// The commands sent and not answered: identifier, token, and since when.
    pub fn unanswered(&self) -> impl Iterator<Item = (u16, u64, Time)> {
        self.commands.iter().map(|(id, command)| (id, command.token, command.since))
    }

    /// Takes a command on; its identifier and data pointer are filled in here. It is sent by the next
    /// [`QueuePair::flush`].
    pub fn submit(
        &mut self,
        env: &mut dyn Env,
        command: &SubmissionQueueEntry,
        data: Data,
        token: u64,
    ) -> Result<(), Refused> {
        let room = self.transmit.room() >= 2 * HEADER_SPAN_MAX;
        if self.state != State::Established || self.commands.is_full() || self.submission.is_full() || !room {
            return Err(Refused);
        }
        let in_capsule = match data {
            Data::ToController(span) => span.len <= self.in_capsule_max,
            Data::None | Data::FromController(_) => false,
        };
        let now = env.now();
        let (slot, id) = self.commands.insert(Command::new(token, data, in_capsule, now)).ok_or(Refused)?;
        self.submission.advance();
        if let Data::FromController(span) = data
            && span.len() >= receive::DIRECT_LEN_MIN
        {
            self.large_reads += 1;
        }
        self.put_command(env.mem(), command, slot, id);
        Ok(())
    }

    /// Appends what was completed since the last call.
    pub fn take_completed(&mut self, into: &mut Vec<Completed>) {
        into.append(&mut self.completed);
    }

    /// Something happened to the stream.
    pub fn handle_event(&mut self, env: &mut dyn Env, what: &What) {
        match *what {
            What::Writable(stream) if stream == self.stream => {
                self.blocked = false;
                if self.state == State::Connecting {
                    self.put_initialization(env.mem());
                    self.state = State::Initializing;
                }
                self.flush(env);
            }
            What::Readable(stream) if stream == self.stream => self.receive_more(env),
            What::Broken(stream, error) if stream == self.stream => self.end(env, error.into()),
            What::Writable(_) | What::Readable(_) | What::Broken(..) => {}
            What::Acceptable(_) | What::FileDone { .. } | What::Woken => {}
            What::DatagramsReadable(_) | What::DatagramsWritable(_) => {}
            What::LinkAcceptable(_) | What::LinkReadable(_) => {}
        }
    }

    /// Ends the queue without ceremony. What was sent and did not leave yet goes on its way only if this is `orderly`:
    /// what is given up must not arrive later.
    pub fn close(&mut self, env: &mut dyn Env, orderly: bool) {
        self.end_by(env, QueueEnd::Closed, !orderly);
    }

    fn end(&mut self, env: &mut dyn Env, why: QueueEnd) {
        self.end_by(env, why, true);
    }

    fn end_by(&mut self, env: &mut dyn Env, why: QueueEnd, abort: bool) {
        if let State::Ended(_) = self.state {
            return;
        }
        self.state = State::Ended(why);
        self.unread = false;
        env.close(self.stream, abort);
    }
}
