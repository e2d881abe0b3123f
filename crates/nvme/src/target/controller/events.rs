//! Asynchronous events (Base 5.2): requests that wait for something to tell, and what waits for a request.
//!
//! A kind of event is told once and is then masked until the host has read the log page that belongs to it. Kinds the host
//! did not enable are not told; the log pages are kept all the same.

use super::super::{Request, Target};
use std::collections::{BTreeSet, VecDeque};
use stdx::mem::Span;
use stdx::slab::Key;
use wire::nvme::Status;
use wire::nvme::aer::AsyncEvent;
use wire::nvme::identify::{AsyncEvents, NamespaceList};

/// The events of one controller.
#[derive(Debug, Default)]
pub(in super::super) struct Events {
    enabled: AsyncEvents,
    /// Requests that wait for an event.
    parked: VecDeque<Request>,
    /// Events that wait for a request.
    pending: BTreeSet<AsyncEvent>,
    /// Told, and their log page not read since.
    masked: BTreeSet<AsyncEvent>,
}

impl Events {
    /// The feature Asynchronous Event Configuration.
    pub(super) const fn enabled(&self) -> AsyncEvents {
        self.enabled
    }

    pub(super) fn enable(&mut self, events: AsyncEvents) {
        self.enabled = events;
    }

    /// What a controller level reset forgets. Parked requests were taken out before.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Requests that wait.
    pub(in super::super) fn parked(&self) -> usize {
        self.parked.len()
    }

    /// The log page was read, and the host wants to hear of its event again.
    pub(super) fn clear(&mut self, event: AsyncEvent) {
        self.masked.remove(&event);
        self.pending.remove(&event);
    }

    /// Takes out the parked request with this identifier.
    pub(super) fn withdraw(&mut self, command_id: u16) -> Option<Request> {
        let is = |request: &Request| request.command.command_id.get() == command_id;
        let place = self.parked.iter().position(is)?;
        self.parked.remove(place)
    }

    /// Takes out all parked requests.
    pub(in super::super) fn drain(&mut self) -> VecDeque<Request> {
        core::mem::take(&mut self.parked)
    }

    /// The next event and the request that tells it.
    fn next(&mut self) -> Option<(Request, AsyncEvent)> {
        let event = self.pending.difference(&self.masked).next().copied()?;
        let request = self.parked.pop_front()?;
        self.pending.remove(&event);
        self.masked.insert(event);
        Some((request, event))
    }
}

impl Target {
    /// Asynchronous Event Request: parks it, or answers it at once with what is pending.
    pub(super) fn park(&mut self, key: Key, controller: Key, request: &Request) -> Result<(), Status> {
        let entry = self.controllers.get_mut(controller).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        if entry.events.parked.len() >= PARKED_MAX {
            return Err(Status::ASYNC_EVENT_LIMIT_EXCEEDED);
        }
        entry.events.parked.push_back(*request);
        self.counters.held += 1;
        self.tell(key, controller);
        Ok(())
    }

    /// Something happened that a controller's host may want to hear of.
    pub(in super::super) fn raise(&mut self, controller: Key, event: AsyncEvent) {
        let Some(entry) = self.controllers.get_mut(controller) else { return };
        if !event.enable_bit().is_none_or(|bit| entry.events.enabled.contains(bit)) {
            return;
        }
        entry.events.pending.insert(event);
        if let Some(queue) = entry.admin_queue() {
            self.tell(queue, controller);
        }
    }

    /// The same for every controller of a subsystem.
    pub(in super::super) fn raise_all(&mut self, subsystem: Key, event: AsyncEvent) {
        let Some(subsystem) = self.subsystems.get(subsystem) else { return };
        for controller in subsystem.controllers.clone() {
            self.raise(controller, event);
        }
    }

    /// Answers parked requests with pending events, as far as there are both.
    pub(super) fn tell(&mut self, key: Key, controller: Key) {
        while let Some((request, event)) =
            self.controllers.get_mut(controller).and_then(|entry| entry.events.next())
        {
            self.counters.held -= 1;
            self.answer(key, &request, Status::SUCCESS, u64::from(event.result().to_dword()), Span::EMPTY);
        }
    }

    /// Answers parked requests without an event: their controller is reset.
    pub(super) fn release_events(&mut self, controller: Key) {
        let Some(entry) = self.controllers.get_mut(controller) else { return };
        let Some(queue) = entry.admin_queue() else { return };
        for request in entry.events.drain() {
            self.counters.held -= 1;
            self.answer(queue, &request, Status::ABORTED_QUEUE_DELETION, 0, Span::EMPTY);
        }
    }
}

/// Namespaces that changed since the host read the list (Base 5.16.1.5).
#[derive(Debug, Default)]
pub(in super::super) struct ChangedNamespaces(BTreeSet<u32>);

impl ChangedNamespaces {
    pub(in super::super) fn note(&mut self, namespace_id: u32) {
        self.0.insert(namespace_id);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The list; FFFFFFFFh alone if more changed than it holds.
    pub(super) fn page(&self) -> NamespaceList {
        if self.0.len() > NamespaceList::CAPACITY {
            return NamespaceList::collect([wire::nvme::NAMESPACE_ALL]);
        }
        NamespaceList::collect(self.0.iter().copied())
    }
}

/// Requests that may wait at once (AERL + 1).
pub(super) const PARKED_MAX: usize = 4;

/// A reservation notification waits for the host of a controller.
pub(in super::super) fn tell_reservation(target: &mut Target, controller: Key) {
    target.raise(controller, AsyncEvent::ReservationLogAvailable);
}
