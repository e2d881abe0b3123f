//! Abort (Base 5.1): a command that waits inside the target, or that its volume gives back because nothing was done of it,
//! ends at once. One that a volume works on goes on, and dword 0 says so: it may be done already.

use super::super::{Request, Target};
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::Status;
use wire::nvme::admin::{ABORT_NOT_DONE, AbortRequest};

impl Target {
    /// Aborts a command of a queue of this controller. The result is dword 0: 0 if it was aborted.
    pub(super) fn abort(&mut self, controller: Key, request: &Request) -> Result<u64, Status> {
        let AbortRequest { queue_id, command_id } = AbortRequest::read(&request.command);
        let entry = self.controllers.get_mut(controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        let queue = entry.queues.get(usize::from(queue_id)).copied().flatten();
        let queue = queue.ok_or(Status::INVALID_QUEUE_ID)?;
        let parked = if queue_id == 0 { entry.events.withdraw(command_id) } else { None };
        let mut waiting: Vec<Request> = parked.into_iter().collect();
        if let Some(queue) = self.queues.get_mut(queue) {
            waiting.extend(queue.fusing.withdraw(command_id));
        }
        let aborted = !waiting.is_empty();
        for request in waiting {
            self.counters.held -= 1;
            self.answer(queue, &request, Status::ABORT_REQUESTED, 0, Span::EMPTY);
        }
        let withdrawn =
            self.withdraw(|outstanding| outstanding.queue == queue && outstanding.command_id == command_id);
        for key in &withdrawn {
            self.finish(*key, Status::ABORT_REQUESTED, Span::EMPTY);
        }
        let done = aborted || !withdrawn.is_empty();
        Ok(u64::from(if done { 0 } else { ABORT_NOT_DONE }))
    }

    /// Takes requests back that nothing was done of yet; the caller finishes them.
    pub(in super::super) fn withdraw(&mut self, of: impl Fn(&super::super::Outstanding) -> bool) -> Vec<Key> {
        let chosen = self.outstanding.iter().filter(|(_, one)| one.answers() > 0 && of(one));
        let chosen: Vec<(Key, Key)> = chosen.map(|(key, outstanding)| (key, outstanding.namespace)).collect();
        let mut withdrawn = Vec::new();
        for (key, namespace) in chosen {
            let namespace = self.namespaces.get_mut(namespace);
            if namespace.is_some_and(|namespace| namespace.channel.withdraw(key.as_u64())) {
                withdrawn.push(key);
            }
        }
        withdrawn
    }
}
