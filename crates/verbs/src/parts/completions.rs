//! Completion queues (10.2.6, 11.4.2).

use crate::{Completion, CqId, Event, Notify, Status, What};
use std::collections::VecDeque;
use stdx::env::Owner;
use stdx::slab::Slab;

/// Every completion queue of a provider.
#[derive(Debug)]
pub struct CompletionQueues {
    queues: Slab<Queue>,
}

#[derive(Debug)]
struct Queue {
    owner: Owner,
    entries: VecDeque<Completion>,
    entries_max: usize,
    armed: Option<Notify>,
    users: u32,
}

impl CompletionQueues {
    /// No queue, and at most `limit`.
    pub const fn new(limit: usize) -> Self {
        Self { queues: Slab::new(limit) }
    }

    /// Makes a queue; `None` if there are too many.
    pub fn create(&mut self, owner: Owner, entries: u32) -> Option<CqId> {
        let entries_max = entries as usize;
        let queue = Queue {
            owner,
            entries: VecDeque::with_capacity(entries_max),
            entries_max,
            armed: None,
            users: 0,
        };
        self.queues.insert(queue).ok().map(CqId)
    }

    /// Ends a queue: `None` if there is none, false if queue pairs use it.
    pub fn destroy(&mut self, cq: CqId) -> Option<bool> {
        if self.queues.get(cq.0)?.users > 0 {
            return Some(false);
        }
        self.queues.remove(cq.0);
        Some(true)
    }

    /// A queue pair begins to use the queue; false if there is none.
    pub fn attach(&mut self, cq: CqId) -> bool {
        self.queues.get_mut(cq.0).map(|queue| queue.users += 1).is_some()
    }

    /// A queue pair uses the queue no more.
    pub fn detach(&mut self, cq: CqId) {
        if let Some(queue) = self.queues.get_mut(cq.0) {
            queue.users -= 1;
        }
    }

    /// Asks for an event at the next completion.
    pub fn arm(&mut self, cq: CqId, notify: Notify) {
        if let Some(queue) = self.queues.get_mut(cq.0) {
            // Armed for all is not weakened by being armed for some.
            queue.armed = queue.armed.max(Some(notify));
        }
    }

    /// Appends a completion. False if there is no room: then the queue pair has to go into error.
    pub fn push(
        &mut self,
        cq: CqId,
        completion: Completion,
        solicited: bool,
        events: &mut VecDeque<Event>,
    ) -> bool {
        let Some(queue) = self.queues.get_mut(cq.0) else { return true };
        if queue.entries.len() == queue.entries_max {
            events.push_back(Event { owner: queue.owner, what: What::CqOverrun(cq) });
            return false;
        }
        queue.entries.push_back(completion);
        let is_wanted = match queue.armed {
            None => false,
            Some(Notify::All) => true,
            Some(Notify::Solicited) => solicited || completion.status != Status::Success,
        };
        if is_wanted {
            queue.armed = None;
            events.push_back(Event { owner: queue.owner, what: What::Completion(cq) });
        }
        true
    }

    /// Moves at most `max` completions to `done`.
    pub fn poll(&mut self, cq: CqId, max: usize, done: &mut Vec<Completion>) -> usize {
        let Some(queue) = self.queues.get_mut(cq.0) else { return 0 };
        let count = max.min(queue.entries.len());
        for _ in 0..count {
            done.extend(queue.entries.pop_front());
        }
        if queue.entries.is_empty() {
            // What comes next lies where the last lay, which is near, instead of wandering through all of a long queue.
            queue.entries.clear();
        }
        count
    }

    /// How many completions wait.
    pub fn waiting(&self, cq: CqId) -> usize {
        self.queues.get(cq.0).map_or(0, |queue| queue.entries.len())
    }

    /// How many queues there are.
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }
}
