//! The seam between a controller and what carries its queues: commands in, responses out.
//!
//! A [`Queue`] is a queue pair over some transport. The controller hands it commands with their data and a token of its own,
//! and takes the completions; how capsules and data move is the transport's. What all transports keep of outstanding
//! commands is here, too: [`Commands`] and [`Submission`].
//!
//! What it is not: it knows no command by its meaning.

mod commands;
mod submission;

pub(in crate::host) use self::commands::Commands;
pub(in crate::host) use self::submission::Submission;

use super::event::Failure;
use super::{rdma, tcp};
use stdx::env::{Env, StreamId, What};
use stdx::mem::Span;
use stdx::time::Time;
use wire::nvme::{Status, SubmissionQueueEntry};

/// A queue pair over one of the transports.
#[derive(Debug)]
pub(in crate::host) enum Queue {
    /// Over a stream.
    Tcp(tcp::QueuePair),
    /// Over a connection of an RDMA device.
    Rdma(rdma::QueuePair),
}

/// How far a queue is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::host) enum State {
    /// The transport is not ready for commands yet.
    Opening,
    /// Commands may be sent.
    Established,
    /// It is over.
    Ended(Failure),
}

/// The data of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Data {
    /// There is none.
    None,
    /// Memory to controller.
    ToController(Span),
    /// Controller to memory.
    FromController(Span),
}

/// A command got its response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completed {
    /// Its owner's token.
    pub token: u64,
    /// How it went.
    pub status: Status,
    /// Dwords 0 and 1 of the completion.
    pub result: u64,
}

/// The queue takes no further command now: it is full, or not established.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

/// How much data goes along in a capsule (IOCCSZ, ICDOFF of Identify Controller).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(in crate::host) struct InCapsule {
    /// Bytes of data at most.
    pub max: u32,
    /// Bytes between the command and the data.
    pub offset: u32,
}

impl Queue {
    /// How far it is.
    pub fn state(&self) -> State {
        match self {
            Self::Tcp(queue) => match queue.state() {
                tcp::State::Connecting | tcp::State::Initializing => State::Opening,
                tcp::State::Established => State::Established,
                tcp::State::Ended(why) => State::Ended(why.into()),
            },
            Self::Rdma(queue) => match queue.state() {
                rdma::State::Asking | rdma::State::Connecting => State::Opening,
                rdma::State::Established => State::Established,
                rdma::State::Ended(why) => State::Ended(why.into()),
            },
        }
    }

    /// True if events of this stream are for it.
    pub fn is_on(&self, stream: StreamId) -> bool {
        match self {
            Self::Tcp(queue) => queue.stream() == stream,
            Self::Rdma(_) => false,
        }
    }

    /// Sets how much data a command may carry in its capsule. Before, it is what every controller takes.
    pub fn set_in_capsule(&mut self, in_capsule: InCapsule) {
        match self {
            // Data that does not begin right behind the command is not known over streams.
            Self::Tcp(queue) if in_capsule.offset > 0 => queue.set_in_capsule_max(0),
            Self::Tcp(queue) => queue.set_in_capsule_max(in_capsule.max),
            // It was made with what its controller takes.
            Self::Rdma(_) => {}
        }
    }

    /// How many commands are outstanding.
    pub fn outstanding(&self) -> usize {
        match self {
            Self::Tcp(queue) => queue.outstanding(),
            Self::Rdma(queue) => queue.outstanding(),
        }
    }

    /// True if something is to be done of which no event will tell: soon, [`Queue::receive_more`], or over RDMA what the
    /// device is needed for.
    pub fn has_unread(&self) -> bool {
        match self {
            Self::Tcp(queue) => queue.has_unread(),
            Self::Rdma(queue) => queue.wants_device(),
        }
    }

    /// Takes in what has come.
    pub fn receive_more(&mut self, env: &mut dyn Env) {
        match self {
            Self::Tcp(queue) => queue.receive_more(env),
            // What is wanted of the device is done when it is at hand.
            Self::Rdma(_) => {}
        }
    }

    /// The commands sent and not answered: identifier, token, and since when.
    pub fn unanswered(&self) -> impl Iterator<Item = (u16, u64, Time)> {
        let (tcp, rdma) = match self {
            Self::Tcp(queue) => (Some(queue.unanswered()), None),
            Self::Rdma(queue) => (None, Some(queue.unanswered())),
        };
        tcp.into_iter().flatten().chain(rdma.into_iter().flatten())
    }

    /// Takes a command on; its identifier and data pointer are filled in here. It is sent by the next [`Queue::flush`].
    pub fn submit(
        &mut self,
        env: &mut dyn Env,
        command: &SubmissionQueueEntry,
        data: Data,
        token: u64,
    ) -> Result<(), Refused> {
        match self {
            Self::Tcp(queue) => queue.submit(env, command, data, token),
            Self::Rdma(queue) => queue.submit(env.now(), command, data, token),
        }
    }

    /// Sends what waits to be sent; over RDMA that is done when the device is at hand.
    pub fn flush(&mut self, env: &mut dyn Env) {
        match self {
            Self::Tcp(queue) => queue.flush(env),
            Self::Rdma(_) => {}
        }
    }

    /// Appends what was completed since the last call.
    pub fn take_completed(&mut self, into: &mut Vec<Completed>) {
        match self {
            Self::Tcp(queue) => queue.take_completed(into),
            Self::Rdma(queue) => queue.take_completed(into),
        }
    }

    /// The queue pair, if it is one over RDMA.
    pub const fn as_rdma(&mut self) -> Option<&mut rdma::QueuePair> {
        match self {
            Self::Rdma(queue) => Some(queue),
            Self::Tcp(_) => None,
        }
    }

    /// Something happened to its stream.
    pub fn handle_event(&mut self, env: &mut dyn Env, what: &What) {
        match self {
            Self::Tcp(queue) => queue.handle_event(env, what),
            Self::Rdma(_) => {}
        }
    }
}

/// The longest submission queue we ask for: ten bits of the command identifier are the place.
pub const ENTRIES_MAX: u16 = 1024;
