//! What passes between a transport and the `Target`: requests in, responses out, and nothing else.
//!
//! A transport knows connections, capsules and buffers; the target knows commands. A transport calls, in this order and
//! for each command capsule in the order of its arrival: `connect(env, connection, &Arrival, command, &ConnectData)` for a
//! Connect, else `transfer(queue, command)` to learn which data the command moves, then, when the data is there,
//! `submit(env, queue, request)`. Or, instead of both and only where it helps, `perform(env, queue, command, data)`. Each submitted request is answered by exactly one [`Response`] of `poll`, whatever
//! happens to its queue meanwhile.

use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::{Status, SubmissionQueueEntry};

/// A queue that a Connect made: a submission queue and its completion queue, on a connection of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QueueKey(pub Key);

/// A command whose data, if it goes to the controller, has arrived.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The transport's connection; comes back in the response.
    pub connection: Key,
    /// The transport's name for the request on its connection; comes back in the response.
    pub slot: u32,
    /// The command.
    pub command: SubmissionQueueEntry,
    /// What the host sent, or the buffer for what it gets, as long as [`Transfer`] said; [`Span::EMPTY`] if there is
    /// neither, or if the volume is to lend its memory. The target's until the response.
    pub data: Span,
}

/// A request is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Response {
    /// The request's connection.
    pub connection: Key,
    /// The request's slot.
    pub slot: u32,
    /// How it went.
    pub status: Status,
    /// Dwords 0 and 1 of the completion.
    pub result: u64,
    /// What to send to the host before the completion: the front of the request's buffer, or memory the volume lends,
    /// which holds until the next request is submitted. Empty if there is nothing to send.
    pub data: Span,
}

/// Which data a command moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// None.
    None,
    /// From the host: fetch it before the request is submitted.
    ToController {
        /// Bytes: the length the command's SGL gives.
        len: u32,
    },
    /// To the host.
    FromController {
        /// Bytes: the length the command's SGL gives.
        len: u32,
        /// The volume lends its memory: a request without a buffer is answered with a span of the volume's own.
        lent: bool,
    },
}

/// A Connect was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connected {
    /// The queue that now exists.
    pub queue: QueueKey,
    /// The queue's identifier; 0 is the admin queue.
    pub queue_id: u16,
    /// The controller it belongs to.
    pub controller_id: u16,
    /// Entries of the submission queue: the most commands outstanding, plus one where flow control is in use.
    pub entries: u32,
    /// The host wants no flow control: SQHD means nothing.
    pub flow_control_disabled: bool,
    /// Dwords 0 and 1 of the completion.
    pub result: u64,
}

/// A Connect was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Why.
    pub status: Status,
    /// Dwords 0 and 1 of the completion: for "Connect Invalid Parameters" the field to blame.
    pub result: u64,
}
