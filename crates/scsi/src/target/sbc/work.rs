//! What follows when a volume has answered a task's request.

use super::super::call::{Call, Step};
use super::super::copy;
use super::super::task::Fault;
use super::run::{Run, next_of_run};
use super::sanitize::{self, Sanitizing, next_of_sanitize};
use super::status::of_volume;
use super::tail::{Tail, next_of_tail};
use super::unmap::next_of_unmap;
use block::Done;
use stdx::mem::Span;

/// What follows when the present request of a task is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Work {
    /// Nothing.
    Whole,
    /// More of a range of blocks.
    Run(Run),
    /// A block that is written in part.
    Tail(Tail),
    /// More descriptors of an UNMAP, read from the task's data.
    Unmap {
        /// The next descriptor.
        next: u32,
        /// How many there are.
        count: u32,
    },
    /// More of the medium.
    Sanitize(Sanitizing),
    /// More of a copy: its state is the copy manager's.
    Copy,
}

/// Carries a task on that rested.
pub(in super::super) fn after_rest(call: &mut Call<'_>) -> Result<Step, Fault> {
    match call.task.work {
        Work::Sanitize(sanitizing) => sanitize::after_rest(call, sanitizing),
        Work::Whole | Work::Run(_) | Work::Tail(_) | Work::Unmap { .. } | Work::Copy => Ok(Step::UnderWay),
    }
}

/// Carries a task on from its volume's answer.
pub(in super::super) fn resume(call: &mut Call<'_>, done: &Done) -> Result<Step, Fault> {
    match call.task.work {
        Work::Whole => of_volume(done.status, 0).map(|()| Step::Good(Span::EMPTY)),
        Work::Run(run) => next_of_run(call, run, done),
        Work::Unmap { next, count } => {
            of_volume(done.status, 0)?;
            next_of_unmap(call, next, count)
        }
        Work::Tail(tail) => next_of_tail(call, tail, done),
        Work::Copy => copy::resume(call, done),
        Work::Sanitize(sanitizing) => next_of_sanitize(call, sanitizing, done),
    }
}
