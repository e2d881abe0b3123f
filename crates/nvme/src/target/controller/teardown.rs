//! The end of queues and controllers.
//!
//! Whoever wants a controller gone asks the transport to end its connections; the queues go when their connections have
//! gone, and the controller goes with its admin queue.

use super::super::Target;
use super::super::queue::Queue;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::Status;

impl Target {
    /// Asks the transport to end every connection of a controller.
    pub(in super::super) fn end_controller(&mut self, key: Key) {
        let Some(controller) = self.controllers.get_mut(key) else { return };
        controller.status.ready = false;
        let queues: Vec<Key> = controller.queues.iter().flatten().copied().collect();
        for queue in queues {
            self.end_connection(queue);
        }
    }

    /// Gives up what a queue that is gone had outstanding: what waits inside the target is answered now, what a volume
    /// works on when it is done.
    pub(in super::super) fn give_up_requests(&mut self, key: Key, mut queue: Queue) {
        let mut waiting = queue.fusing.drain();
        if let Some(controller) = self.controllers.get_mut(queue.controller) {
            controller.queues[usize::from(queue.id)] = None;
            if queue.is_admin() {
                waiting.extend(controller.events.drain());
            }
        }
        waiting.extend(self.take_parked(key));
        for request in waiting {
            self.counters.held -= 1;
            self.push_response(&request, Status::ABORTED_QUEUE_DELETION, 0, Span::EMPTY);
        }
        if queue.outstanding > 0 {
            for withdrawn in self.withdraw(|outstanding| outstanding.queue == key) {
                self.finish(withdrawn, Status::ABORTED_QUEUE_DELETION, Span::EMPTY);
            }
            for (_, outstanding) in
                self.outstanding.iter_mut().filter(|(_, one)| one.answers() > 0 && one.queue == key)
            {
                outstanding.given_up = Some(Status::ABORTED_QUEUE_DELETION);
            }
        }
        if queue.is_admin() {
            self.remove_controller(queue.controller);
        }
    }

    /// The admin queue is gone, and with it the controller. Its I/O connections end.
    fn remove_controller(&mut self, key: Key) {
        let Some(controller) = self.controllers.remove(key) else { return };
        let queues: Vec<Key> = controller.io_queues().collect();
        for queue in queues {
            self.end_connection(queue);
        }
        if let Some(subsystem) = self.subsystems.get_mut(controller.subsystem) {
            subsystem.controllers.retain(|other| *other != key);
        }
    }
}
