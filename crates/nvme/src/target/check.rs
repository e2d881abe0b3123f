//! The laws of a target, asserted (for the simulator after each step, and for tests).

use super::Target;

impl Target {
    /// Panics if a law is broken: a bug of this crate, never of a peer.
    pub fn check(&self) {
        self.check_requests();
        self.check_queues();
        self.check_controllers();
        self.check_namespaces();
    }

    /// Every submitted request is answered, held, or with a volume; and of those, exactly one.
    fn check_requests(&self) {
        let with_volumes: usize = self.outstanding.iter().map(|(_, one)| one.answers()).sum();
        let held = self.controllers.iter().map(|(_, controller)| controller.events.parked());
        let halves = self.queues.iter().map(|(_, queue)| queue.fusing.held());
        let held: usize = held.sum::<usize>() + halves.sum::<usize>() + self.parked.len();
        assert_eq!(held as u64, self.counters.held, "requests held");
        let open = self.counters.submitted - self.counters.answered;
        assert_eq!(open, with_volumes as u64 + self.counters.held, "requests submitted and not answered");
    }

    /// A queue's count is that of the tables, and its controller lives and knows it.
    fn check_queues(&self) {
        for (key, queue) in self.queues.iter() {
            let volumes = self.outstanding.iter().filter(|(_, one)| one.queue == key);
            let mut count: usize = volumes.map(|(_, one)| one.answers()).sum();
            count += queue.fusing.held();
            count += self.parked.iter().filter(|parked| parked.queue == key).count();
            if let Some(controller) = self.controllers.get(queue.controller) {
                assert_eq!(controller.queues[usize::from(queue.id)], Some(key), "a controller's queue");
                count += if queue.is_admin() { controller.events.parked() } else { 0 };
            } else {
                assert!(queue.ending, "a queue without a controller ends");
            }
            assert_eq!(count, queue.outstanding as usize, "requests of queue {}", queue.id);
        }
    }

    /// A controller has its admin queue; its subsystem lives and knows it, or its connections end.
    fn check_controllers(&self) {
        for (key, controller) in self.controllers.iter() {
            let admin = controller.admin_queue().and_then(|queue| self.queues.get(queue));
            let admin = admin.expect("a controller has its admin queue");
            match self.subsystems.get(controller.subsystem) {
                Some(subsystem) => assert!(subsystem.controllers.contains(&key), "known to its subsystem"),
                None => assert!(admin.ending, "a controller without a subsystem ends"),
            }
        }
        for (_, subsystem) in self.subsystems.iter() {
            let live = |key: &stdx::slab::Key| self.controllers.get(*key).is_some();
            assert!(subsystem.controllers.iter().all(live), "a subsystem's controllers live");
        }
    }

    /// What a namespace has under way is what the table has for it, and it is polled while it has.
    fn check_namespaces(&self) {
        for (key, namespace) in self.namespaces.iter() {
            let load = self.outstanding.iter().filter(|(_, one)| one.namespace == key).count();
            assert_eq!(load, namespace.channel.load(), "requests of namespace {}", namespace.id);
            assert!(namespace.channel.is_idle() || namespace.busy, "a namespace with requests is polled");
            assert_eq!(namespace.busy, self.busy.contains(&key), "the list of busy namespaces");
            let active = self.subsystems.get(namespace.subsystem).and_then(|one| one.namespace(namespace.id));
            assert!(namespace.removed || active == Some(key), "a namespace its subsystem knows");
        }
    }
}
