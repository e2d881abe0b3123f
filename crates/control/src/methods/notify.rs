//! `notify_*`: what happened to volumes, for clients that poll.
//!
//! The last events are kept in a ring; an event's id is its number since the start, so that a client asks for what
//! follows the last one it saw and can tell when it missed some.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::method::{Method, NoParams, Target};

/// The last events.
#[derive(Debug, Default)]
pub struct Notifications(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    /// The id of the next event.
    next_id: u64,
    events: VecDeque<Event>,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventType {
    /// A volume is there.
    BdevRegister,
    /// A volume is gone.
    BdevUnregister,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Event {
    /// What.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// To whom: the volume's name.
    pub ctx: String,
    /// The number of the event, from 0.
    pub id: u64,
}

impl Notifications {
    /// Adds an event, at the price of the oldest if there are many.
    pub fn push(&self, event_type: EventType, volume: &str) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.events.len() == EVENTS_MAX {
            ring.events.pop_front();
        }
        let id = ring.next_id;
        ring.next_id += 1;
        ring.events.push_back(Event { event_type, ctx: volume.to_owned(), id });
    }

    /// The events from `id` on, the oldest first, as far as they are kept.
    pub fn since(&self, id: u64, count_max: usize) -> Vec<Event> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.events.iter().filter(|event| event.id >= id).take(count_max).cloned().collect()
    }
}

/// Which events to list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetNotifications {
    /// The first event to list; the oldest that is kept by default.
    #[serde(default)]
    id: u64,
    /// How many to list at most; all by default.
    max: Option<u64>,
}

/// The `notify_*` methods.
pub fn methods<T: Target>(notifications: &Arc<Notifications>) -> Vec<Method<T>> {
    let notifications = Arc::clone(notifications);
    vec![
        Method::local("notify_get_types", "What can happen.", |_: NoParams| {
            Ok([EventType::BdevRegister, EventType::BdevUnregister])
        }),
        Method::local("notify_get_notifications", "What happened.", move |which: GetNotifications| {
            let max = which.max.and_then(|max| usize::try_from(max).ok()).unwrap_or(usize::MAX);
            Ok(notifications.since(which.id, max))
        }),
    ]
}

/// Events that are kept.
const EVENTS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_kept_under_their_numbers() {
        let notifications = Notifications::default();
        for number in 0..EVENTS_MAX + 3 {
            notifications.push(EventType::BdevRegister, &number.to_string());
        }
        let all = notifications.since(0, usize::MAX);
        assert_eq!(all.len(), EVENTS_MAX);
        assert_eq!((all[0].id, all[0].ctx.as_str()), (3, "3"));
        let last = notifications.since(EVENTS_MAX as u64 + 1, 1);
        assert_eq!(last.len(), 1);
        assert_eq!(last[0].ctx, (EVENTS_MAX + 1).to_string());
    }
}
