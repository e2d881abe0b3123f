//! What a change of reservations waits for before its command is answered: that the owner stored what is to outlive a power
//! loss (Base 8.19, persistence through power loss), and that commands of preempted hosts are done (Base 8.19.7).
//!
//! ```text
//!   Wanted --owner asks what changed--> Offered --owner stored it--> Done --> answered, once nothing is waited for
//!                                               --it could not------> Failed -^
//! ```

use crate::target::registry::ConfigError;
use crate::target::{Request, Target};
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::{Nqn, Status};

/// A command that changed reservations and waits.
#[derive(Debug)]
pub(in crate::target) struct Parked {
    pub(in crate::target) queue: Key,
    request: Request,
    namespace: Key,
    /// Commands of preempted hosts that volumes still work on.
    waits: Vec<Key>,
    storing: Storing,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Storing {
    /// The owner does not know yet.
    Wanted,
    /// The owner stores a state with this change.
    Offered,
    /// It is stored, or need not be.
    Done,
    /// It could not be stored.
    Failed,
}

impl Target {
    /// The next namespace whose reservations changed and are to persist: its subsystem and identifier. The owner stores its
    /// [`Target::reservation_state`] and says so by [`Target::reservations_stored`]; the commands that made the change are
    /// answered then.
    pub fn poll_reservation_change(&mut self) -> Option<(Nqn, u32)> {
        while let Some(key) = self.reservation_changes.pop_front() {
            let Some(namespace) = self.namespaces.get(key).filter(|namespace| !namespace.removed) else {
                continue;
            };
            let Some(subsystem) = self.subsystems.get(namespace.subsystem) else { continue };
            let changed = (subsystem.config.nqn, namespace.id);
            self.parked_move(key, Storing::Wanted, Storing::Offered);
            return Some(changed);
        }
        None
    }

    /// The state that was there at the last [`Target::poll_reservation_change`] for this namespace is stored, or could not
    /// be.
    pub fn reservations_stored(&mut self, nqn: &Nqn, id: u32, stored: bool) -> Result<(), ConfigError> {
        let key = self.namespace_key(nqn, id)?;
        self.parked_move(key, Storing::Offered, if stored { Storing::Done } else { Storing::Failed });
        self.settle_parked();
        Ok(())
    }

    /// A command changed the reservations of a namespace: it is answered now, or when there is nothing to wait for any more.
    /// `persisted` says whether they were to persist before.
    pub(in crate::target) fn answer_change(
        &mut self,
        queue: Key,
        request: &Request,
        namespace: Key,
        persisted: bool,
        waits: Vec<Key>,
    ) {
        let persists = self.namespaces.get(namespace).is_some_and(|one| one.reservations.persists());
        let is_kept = persists || persisted;
        if is_kept && !self.reservation_changes.contains(&namespace) {
            self.reservation_changes.push_back(namespace);
        }
        if !is_kept && waits.is_empty() {
            return self.answer(queue, request, Status::SUCCESS, 0, Span::EMPTY);
        }
        let storing = if is_kept { Storing::Wanted } else { Storing::Done };
        self.counters.held += 1;
        self.parked.push(Parked { queue, request: *request, namespace, waits, storing });
    }

    /// Answers the commands that wait for nothing any more.
    pub(in crate::target) fn settle_parked(&mut self) {
        if self.parked.is_empty() {
            return;
        }
        let outstanding = &self.outstanding;
        let settled = |parked: &mut Parked| {
            parked.waits.retain(|key| outstanding.get(*key).is_some());
            parked.waits.is_empty() && matches!(parked.storing, Storing::Done | Storing::Failed)
        };
        let settled: Vec<Parked> = self.parked.extract_if(.., settled).collect();
        for Parked { queue, request, storing, .. } in settled {
            let status = if storing == Storing::Done { Status::SUCCESS } else { Status::INTERNAL_ERROR };
            self.counters.held -= 1;
            self.answer(queue, &request, status, 0, Span::EMPTY);
        }
    }

    /// The namespace is gone, and with it what its owner would have stored.
    pub(in crate::target) fn abandon_changes(&mut self, namespace: Key) {
        for parked in self.parked.iter_mut().filter(|parked| parked.namespace == namespace) {
            parked.storing = Storing::Failed;
        }
        self.settle_parked();
    }

    /// Takes out the commands of a queue that is gone. What they changed stays changed.
    pub(in crate::target) fn take_parked(&mut self, queue: Key) -> impl Iterator<Item = Request> {
        let of_queue = |parked: &mut Parked| parked.queue == queue;
        let taken: Vec<Parked> = self.parked.extract_if(.., of_queue).collect();
        taken.into_iter().map(|parked| parked.request)
    }

    fn parked_move(&mut self, namespace: Key, from: Storing, to: Storing) {
        let of_namespace = self.parked.iter_mut().filter(|parked| parked.namespace == namespace);
        for parked in of_namespace.filter(|parked| parked.storing == from) {
            parked.storing = to;
        }
    }
}
