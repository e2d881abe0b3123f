//! A request under way.
//!
//! ```text
//!             a table to fetch        room to read it      it is here
//!   free --+---------------> Table -------------------> FetchingTable --+
//!          |                                                            v           room to read the initiator's memory
//!          +-------------------------------------------------------> Buffer --+--> Fetch --> Fetching --+
//!          |                                                                  | (nothing to fetch)      v
//!          +------------------------------------------------------------------+-------------------> Executing
//!
//!   Executing (or any before it) --outcome--> Write --> Reply --> Replying --> free
//!                                        \--> Dropped: nobody is told, the device lets go ----^
//! ```
//!
//! Invariants: from its beginning to its outcome a task is the executor's, whatever its stage; what has work under way at the
//! device keeps its memory.

use super::pieces::Pieces;
use crate::target::TaskKey;
use stdx::mem::Span;
use verbs::endpoint::Received;
use wire::scsi::{Lun, Sense, Status};
use wire::srp::{MemoryDescriptor, ResponseCode};

/// See the module.
#[derive(Debug)]
pub(super) struct Task {
    /// The initiator's name for it.
    pub(super) tag: u64,
    pub(super) stage: Stage,
    /// What the executor calls it, while it has it; `None` for task management.
    pub(super) key: Option<TaskKey>,
    /// The executor has something to tell of it.
    pub(super) is_executors: bool,
    /// It is a task management request.
    pub(super) is_management: bool,
    /// The logical unit.
    pub(super) lun: Lun,
    /// For ABORT TASK, the tag of the task.
    pub(super) sought: u64,
    /// The message it came in, while its data is used from there.
    pub(super) received: Option<Received>,
    /// The table of descriptors in the initiator's memory, and the memory it is read to.
    pub(super) table: MemoryDescriptor,
    pub(super) table_buffer: Span,
    /// The initiator's memory.
    pub(super) pieces: Pieces,
    /// Of a command that moves data both ways, the memory that is written, and its table if that is still to be read: the
    /// other direction comes first.
    pub(super) answer_pieces: Pieces,
    pub(super) answer_table: Option<MemoryDescriptor>,
    /// Data goes both ways.
    pub(super) is_both: bool,
    /// The table that is being read is that of what is written.
    pub(super) reads_answer_table: bool,
    /// Immediate data that is to be in the buffer, too.
    pub(super) immediate: Span,
    /// A buffer of the shard, or empty.
    pub(super) buffer: Span,
    /// Bytes that the buffer must have.
    pub(super) wanted: u32,
    /// Data comes from the initiator.
    pub(super) is_out: bool,
    /// What the initiator is ready to send and to take.
    pub(super) out_len: u32,
    pub(super) in_len: u32,
    /// Bytes of data-out that the command wants.
    pub(super) out_wanted: u32,
    /// Whether a solicited event is wanted: with success, with failure.
    pub(super) solicit: (bool, bool),
    /// Work of it that the device has.
    pub(super) under_way: u32,
    /// What is wrong with its descriptors: it ends with this once the executor lets go of it.
    pub(super) fault: Option<ResponseCode>,
    /// How it ended.
    pub(super) answer: Answer,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) code: Option<ResponseCode>,
    pub(super) status: Status,
    pub(super) sense: Option<Sense>,
    /// Bytes that were read, whether or not the initiator takes them all.
    pub(super) in_len: u32,
}

/// How far a request is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// Nothing is there.
    Free,
    /// It waits for a buffer for its table, or for room to read it.
    Table,
    /// Its table is being read.
    FetchingTable,
    /// It waits for a buffer.
    Buffer,
    /// Not all of its data could be asked for yet.
    Fetch,
    /// Its data is being read.
    Fetching,
    /// The executor has all it needs.
    Executing,
    /// Not all that was read could be written yet.
    Write,
    /// It waits for room to answer.
    Reply,
    /// The answer is on its way.
    Replying,
    /// Nobody is told; the device has work of it.
    Dropped,
}

/// The requests of a channel.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    tasks: Vec<Task>,
    free: Vec<u16>,
}

impl Answer {
    /// GOOD, with so much data.
    pub(super) const fn good(in_len: u32) -> Self {
        Self { code: None, status: Status::Good, sense: None, in_len }
    }

    /// Not of SCSI.
    pub(super) const fn of(code: ResponseCode) -> Self {
        Self { code: Some(code), status: Status::Good, sense: None, in_len: 0 }
    }

    /// Everything went as asked for.
    pub(super) fn is_success(&self) -> bool {
        self.status == Status::Good && matches!(self.code, None | Some(ResponseCode::Complete))
    }
}

impl Task {
    const fn new() -> Self {
        Self {
            tag: 0,
            stage: Stage::Free,
            key: None,
            is_executors: false,
            is_management: false,
            lun: Lun([0; 8]),
            sought: 0,
            received: None,
            table: MemoryDescriptor { address: 0, key: 0, len: 0 },
            table_buffer: Span::EMPTY,
            pieces: Pieces::new(),
            answer_pieces: Pieces::new(),
            answer_table: None,
            is_both: false,
            reads_answer_table: false,
            immediate: Span::EMPTY,
            buffer: Span::EMPTY,
            wanted: 0,
            is_out: false,
            out_len: 0,
            in_len: 0,
            out_wanted: 0,
            solicit: (false, false),
            under_way: 0,
            fault: None,
            answer: Answer::good(0),
        }
    }
}

impl Tasks {
    /// A new request; it waits for nothing yet.
    pub(super) fn insert(&mut self, tag: u64) -> (u16, &mut Task) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.tasks.push(Task::new());
            (self.tasks.len() - 1) as u16
        });
        let task = &mut self.tasks[usize::from(index)];
        let (pieces, answer_pieces) =
            (core::mem::take(&mut task.pieces), core::mem::take(&mut task.answer_pieces));
        *task = Task { tag, stage: Stage::Executing, pieces, answer_pieces, ..Task::new() };
        (index, task)
    }

    pub(super) fn get_mut(&mut self, index: u16) -> Option<&mut Task> {
        self.tasks.get_mut(usize::from(index)).filter(|task| task.stage != Stage::Free)
    }

    pub(super) fn get(&self, index: u16) -> Option<&Task> {
        self.tasks.get(usize::from(index)).filter(|task| task.stage != Stage::Free)
    }

    /// Frees a place. What the request held is the caller's.
    pub(super) fn remove(&mut self, index: u16) {
        if let Some(task) = self.get_mut(index) {
            task.stage = Stage::Free;
            self.free.push(index);
        }
    }

    /// The command with a tag that the executor has.
    pub(super) fn find(&self, tag: u64) -> Option<u16> {
        let is_it = |(_, task): &(u16, &Task)| task.tag == tag && task.is_executors && !task.is_management;
        self.iter().find(is_it).map(|(index, _)| index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, &Task)> {
        let all = self.tasks.iter().enumerate();
        all.filter(|(_, task)| task.stage != Stage::Free).map(|(index, task)| (index as u16, task))
    }

    /// How many places there are, taken or not.
    pub(super) fn places(&self) -> u16 {
        self.tasks.len() as u16
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.len() - self.free.len()
    }
}
