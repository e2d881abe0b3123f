//! Compare and Write, fused (Base 3.4.2, NVM 2.1.2): two commands that follow each other on their queue and are executed
//! as one.
//!
//! The order is that of arrival, so the halves find each other in [`Target::transfer`]; their data may arrive in any order
//! later, so each half waits in its [`Pair`] for the other.
//!
//! ```text
//!   First arrives ---- Second arrives next ----> both submitted ---> one CompareWrite, two responses
//!        |  refused          |  refused, or of another range
//!        v                   v
//!   Second: Failed      First: Failed (or the same error)
//!        First, then anything else: First is Missing its other half; a Second alone likewise
//! ```

use super::super::outstanding::{Count, Work};
use super::super::{Request, Target, Transfer};
use super::execute::Start;
use super::transfer::range_of;
use block::Op;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::{Fuse, NvmOpcode, Status, SubmissionQueueEntry};

/// The fused commands of one queue.
#[derive(Debug, Default)]
pub(in super::super) struct Fusing {
    last: Last,
    pairs: Vec<Pair>,
}

/// What the last command that arrived was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Last {
    /// Nothing a Second could belong to.
    #[default]
    Other,
    /// A First that was refused.
    RefusedFirst,
    /// A First, with this identifier.
    First(u16),
}

/// Two halves, the second perhaps yet to come.
#[derive(Debug)]
struct Pair {
    first: u16,
    second: Option<u16>,
    /// The status of the first half, if its other half failed or never came.
    doomed: Option<Status>,
    compare: Option<Request>,
    write: Option<Request>,
}

impl Fusing {
    /// True if the next command is looked at for what came before it.
    pub(in super::super) fn expects_second(&self) -> bool {
        self.last != Last::Other
    }

    /// Takes out every half that waits, for the end of its queue.
    pub(in super::super) fn drain(&mut self) -> Vec<Request> {
        self.last = Last::Other;
        self.pairs.drain(..).flat_map(|pair| [pair.compare, pair.write]).flatten().collect()
    }

    /// Takes out the halves of the pair that the command belongs to, if one of them waits.
    pub(in super::super) fn withdraw(&mut self, command_id: u16) -> Vec<Request> {
        let waits = |half: &Option<Request>| {
            half.as_ref().is_some_and(|request| request.command.command_id.get() == command_id)
        };
        let Some(place) = self.pairs.iter().position(|pair| waits(&pair.compare) || waits(&pair.write))
        else {
            return Vec::new();
        };
        let pair = &mut self.pairs[place];
        pair.doomed = Some(Status::ABORTED_FAILED_FUSED);
        [pair.compare.take(), pair.write.take()].into_iter().flatten().collect()
    }

    /// How many halves wait.
    pub(in super::super) fn held(&self) -> usize {
        let halves = self.pairs.iter().flat_map(|pair| [&pair.compare, &pair.write]);
        halves.flatten().count()
    }

    /// Gives the first half its status, because there will be no second. It comes back if it waits already.
    fn doom(&mut self, first: u16, status: Status) -> Option<Request> {
        let place = self.pairs.iter().position(|pair| pair.first == first && pair.second.is_none())?;
        match self.pairs[place].compare.take() {
            Some(request) => {
                self.pairs.swap_remove(place);
                Some(request)
            }
            None => {
                self.pairs[place].doomed = Some(status);
                None
            }
        }
    }

    /// A half will not be submitted. The other comes back if it waits; else it is told when it comes.
    fn abandon(&mut self, id: u16, first: bool) -> Option<Request> {
        let of = |pair: &Pair| if first { pair.first == id } else { pair.second == Some(id) };
        let place = self.pairs.iter().position(of)?;
        let pair = &mut self.pairs[place];
        let other = if first { pair.write.take() } else { pair.compare.take() };
        let alone = first && pair.second.is_none();
        if alone && self.last == Last::First(id) {
            self.last = Last::RefusedFirst;
        }
        if other.is_some() || alone || pair.doomed.is_some() {
            self.pairs.swap_remove(place);
        } else {
            pair.doomed = Some(Status::ABORTED_FAILED_FUSED);
        }
        other
    }

    /// Puts a submitted half to its pair.
    fn place(&mut self, request: &Request) -> Placed {
        let id = request.command.command_id.get();
        let first = request.command.fuse() == Some(Fuse::First);
        let of = |pair: &Pair| if first { pair.first == id } else { pair.second == Some(id) };
        let Some(place) = self.pairs.iter().position(of) else { return Placed::Stray };
        let pair = &mut self.pairs[place];
        if let Some(status) = pair.doomed {
            self.pairs.swap_remove(place);
            return Placed::Doomed(status);
        }
        let half = if first { &mut pair.compare } else { &mut pair.write };
        *half = Some(*request);
        let (Some(compare), Some(write)) = (pair.compare, pair.write) else { return Placed::Waits };
        self.pairs.swap_remove(place);
        Placed::Complete(compare, write)
    }
}

enum Placed {
    /// Both halves are there.
    Complete(Request, Request),
    Waits,
    Doomed(Status),
    Stray,
}

impl Target {
    /// The data of a command that is fused, or that follows a First.
    pub(super) fn fused_transfer(
        &mut self,
        key: Key,
        command: &SubmissionQueueEntry,
        fuse: Fuse,
    ) -> Result<Transfer, Status> {
        let queue = self.queues.get_mut(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let last = core::mem::take(&mut queue.fusing.last);
        if let (Last::First(first), Fuse::Normal | Fuse::First) = (last, fuse) {
            self.doom_first(key, first, Status::ABORTED_MISSING_FUSED);
        }
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        match (fuse, last) {
            (Fuse::Normal, _) => self.io_data(queue, command),
            (Fuse::First, _) => {
                let outcome = self.half(key, command, NvmOpcode::Compare);
                self.note_first(key, command, outcome.is_ok());
                outcome
            }
            (Fuse::Second, Last::Other) => Err(Status::ABORTED_MISSING_FUSED),
            (Fuse::Second, Last::RefusedFirst) => Err(Status::ABORTED_FAILED_FUSED),
            (Fuse::Second, Last::First(first)) => self.second_transfer(key, command, first),
        }
    }

    fn second_transfer(
        &mut self,
        key: Key,
        command: &SubmissionQueueEntry,
        first: u16,
    ) -> Result<Transfer, Status> {
        let transfer = self.half(key, command, NvmOpcode::Write).inspect_err(|_| {
            self.doom_first(key, first, Status::ABORTED_FAILED_FUSED);
        })?;
        if let Some(queue) = self.queues.get_mut(key)
            && let Some(pair) = queue.fusing.pairs.iter_mut().find(|pair| pair.first == first)
        {
            pair.second = Some(command.command_id.get());
        }
        Ok(transfer)
    }

    /// Only Compare may come first, and only Write second.
    fn half(&self, key: Key, command: &SubmissionQueueEntry, opcode: NvmOpcode) -> Result<Transfer, Status> {
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        if command.opcode != opcode.code() {
            return Err(Status::INVALID_FIELD);
        }
        self.io_data(queue, command)
    }

    fn note_first(&mut self, key: Key, command: &SubmissionQueueEntry, accepted: bool) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        let first = command.command_id.get();
        queue.fusing.last = if accepted { Last::First(first) } else { Last::RefusedFirst };
        if accepted {
            let pair = Pair { first, second: None, doomed: None, compare: None, write: None };
            queue.fusing.pairs.push(pair);
        }
    }

    fn doom_first(&mut self, key: Key, first: u16, status: Status) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        if let Some(request) = queue.fusing.doom(first, status) {
            self.counters.held -= 1;
            self.answer(key, &request, status, 0, Span::EMPTY);
        }
    }

    /// A command that was accepted will not be submitted: if it is fused, its other half fails.
    pub(in super::super) fn fused_abandon(&mut self, key: Key, command: &SubmissionQueueEntry) {
        let first = match command.fuse() {
            Some(Fuse::First) => true,
            Some(Fuse::Second) => false,
            Some(Fuse::Normal) | None => return,
        };
        let Some(queue) = self.queues.get_mut(key) else { return };
        if let Some(other) = queue.fusing.abandon(command.command_id.get(), first) {
            self.counters.held -= 1;
            self.answer(key, &other, Status::ABORTED_FAILED_FUSED, 0, Span::EMPTY);
        }
    }

    /// A half whose data is there.
    pub(super) fn fused_submit(&mut self, env: &mut dyn Env, key: Key, request: &Request) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        match queue.fusing.place(request) {
            Placed::Waits => self.counters.held += 1,
            Placed::Stray => self.answer(key, request, Status::ABORTED_MISSING_FUSED, 0, Span::EMPTY),
            Placed::Doomed(status) => self.answer(key, request, status, 0, Span::EMPTY),
            Placed::Complete(compare, write) => {
                self.counters.held -= 1;
                if let Err((first, second)) = self.compare_and_write(env, key, &compare, &write) {
                    self.answer(key, &compare, first, 0, Span::EMPTY);
                    self.answer(key, &write, second, 0, Span::EMPTY);
                }
            }
        }
    }

    /// Starts both halves as one request to the volume; an error is the two statuses.
    fn compare_and_write(
        &mut self,
        env: &mut dyn Env,
        key: Key,
        compare: &Request,
        write: &Request,
    ) -> Result<(), (Status, Status)> {
        let first_failed = |status| (status, Status::ABORTED_FAILED_FUSED);
        let (namespace, info) = self.open(key, write, NvmOpcode::Write).map_err(first_failed)?;
        let first = range_of(&compare.command, &info).map_err(first_failed)?;
        let second = range_of(&write.command, &info).map_err(first_failed)?;
        let same = first.first_block == second.first_block && first.blocks == second.blocks;
        if !same || compare.command.namespace_id != write.command.namespace_id {
            return Err((Status::INVALID_FIELD, Status::INVALID_FIELD));
        }
        if second.blocks > info.blocks_max {
            return Err(first_failed(Status::ATOMIC_WRITE_UNIT_EXCEEDED));
        }
        let bytes = second.blocks * info.block_size;
        if compare.data.len != bytes || write.data.len != bytes {
            return Err(first_failed(Status::COMMAND_INTERRUPTED));
        }
        let work = Work::Fused { compare_slot: compare.slot, compare_id: compare.command.command_id.get() };
        let start = Start {
            op: Op::CompareWrite { expected: compare.data },
            lba: second.first_block,
            blocks: second.blocks,
            fua: second.force_unit_access(),
            lend: false,
            data: write.data,
            work,
            count: Count::Write(bytes),
        };
        self.start(env, key, write, namespace, start).map_err(first_failed)
    }
}
