//! Tasks of a connection that is lost go on by those of its session that are left (RFC 7143, sections 7.2.2 and 11.5.1: a
//! change of allegiance), under the tags they have. Only at error recovery level 2, and once the target has let go of the
//! lost connection.

use super::tasks::{Kind, Task};
use super::{Connection, OWN_TASKS, State, receive};

/// A command on its way from one connection to another.
#[derive(Debug)]
pub(in super::super) struct Orphan {
    tag: u32,
    task: Task,
}

impl Connection {
    /// How many commands of others could go on by this one.
    pub fn room_for_orphans(&self) -> usize {
        if self.state != State::FullFeature {
            return 0;
        }
        self.tasks.room().saturating_sub(usize::from(OWN_TASKS))
    }

    /// How many commands are under way.
    pub fn commands(&self) -> usize {
        self.tasks.iter().filter(|(_, task)| task.kind == Kind::Command).count()
    }

    /// Gives up all that is under way, as far as it has come. The connection has ended.
    pub fn take_orphans(&mut self) -> Vec<Orphan> {
        self.forget_stream();
        let slots = self.tasks.slots();
        let orphans = slots.into_iter().filter_map(|slot| {
            let tag = self.tasks.tag(slot);
            let task = self.tasks.remove(slot)?;
            self.large_reads -= usize::from(is_large(&task));
            Some(Orphan { tag, task })
        });
        orphans.collect()
    }

    /// Takes commands of another connection on, as many as there is room for, and gives back the others. One that has ended
    /// keeps them for the stream that follows.
    pub fn adopt(&mut self, orphans: Vec<Orphan>) -> Vec<Orphan> {
        let ended = matches!(self.state, State::Ended(_));
        let room = if ended { self.tasks.room() } else { self.room_for_orphans() };
        let mut taken = orphans;
        let rest = taken.split_off(room.min(taken.len()));
        let mut slots = Vec::with_capacity(taken.len());
        for Orphan { tag, task } in taken {
            self.large_reads += usize::from(is_large(&task));
            slots.extend(self.tasks.adopt(tag, task));
        }
        if !ended {
            self.resume_these(slots);
        }
        rest
    }
}

fn is_large(task: &Task) -> bool {
    task.in_span().is_some_and(|span| span.len() >= receive::DIRECT_LEN_MIN)
}
