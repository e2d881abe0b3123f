//! How soon a message that was taken is acknowledged.
//!
//! An acknowledgement that finds no place behind something else costs a datagram of its own, at both ends as much as a short
//! message. So one waits a little: what comes meanwhile is acknowledged with it, and what is sent meanwhile takes it along. A peer
//! that sends nothing more until it is acknowledged would only be slowed down by that. It is known by the wait having been in
//! vain; then its next messages are acknowledged at once, before it is tried again.

use core::time::Duration;
use stdx::time::Time;

/// When the acknowledgement that is owed to a peer is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Promptness {
    /// Since the first message came that is not acknowledged.
    due: Option<Time>,
    /// Messages that came since the last acknowledgement.
    messages: u32,
    /// Messages that are still to be acknowledged at once.
    hurry: u32,
    /// Something more came while the acknowledgement waited.
    has_joined: bool,
    /// It has waited, and nothing did.
    is_in_vain: bool,
}

impl Promptness {
    /// A message came that is to be acknowledged.
    pub(super) const fn owe(&mut self) {
        self.messages = self.messages.saturating_add(1);
        self.has_joined |= self.due.is_some();
    }

    /// A message came again: its sender waits.
    pub(super) fn hasten(&mut self) {
        self.hurry = self.hurry.max(1);
    }

    /// When the acknowledgement, which finds no place for nothing, is to be sent after all.
    pub(crate) fn due(&mut self, now: Time, delay: Duration) -> Time {
        let waits = self.hurry == 0 && self.messages < MESSAGES_MAX;
        let wanted = if waits { now + delay } else { now };
        self.is_in_vain = waits && !self.has_joined && self.due.is_some_and(|due| due <= now);
        let due = self.due.map_or(wanted, |due| due.min(wanted));
        self.due = Some(due);
        due
    }

    /// It was sent, or something that says the same.
    pub(super) fn acknowledged(&mut self) {
        self.hurry = if self.is_in_vain { HURRY } else { self.hurry.saturating_sub(self.messages.max(1)) };
        (self.due, self.messages, self.has_joined, self.is_in_vain) = (None, 0, false, false);
    }
}

/// Messages that wait for one acknowledgement, at most.
const MESSAGES_MAX: u32 = 16;
/// Messages of a peer that waits which are acknowledged at once.
const HURRY: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_micros(20);

    #[test]
    fn who_sends_on_is_acknowledged_later() {
        let (mut promptness, start) = (Promptness::default(), Time::from_nanos(1000));
        for message in 0..MESSAGES_MAX - 1 {
            promptness.owe();
            assert_eq!(promptness.due(start + DELAY / 50 * message, DELAY), start + DELAY);
        }
        promptness.owe();
        assert_eq!(promptness.due(start, DELAY), start, "enough is enough");
        promptness.acknowledged();
        promptness.owe();
        assert_eq!(promptness.due(start, DELAY), start + DELAY);
        promptness.hasten();
        assert_eq!(promptness.due(start, DELAY), start);
    }

    #[test]
    fn who_waits_is_acknowledged_at_once_and_tried_again_later() {
        let (mut promptness, start) = (Promptness::default(), Time::from_nanos(1000));
        promptness.owe();
        assert_eq!(promptness.due(start, DELAY), start + DELAY);
        assert_eq!(promptness.due(start + DELAY, DELAY), start + DELAY);
        promptness.acknowledged();
        for _ in 0..HURRY {
            promptness.owe();
            assert_eq!(promptness.due(start, DELAY), start);
            promptness.acknowledged();
        }
        promptness.owe();
        assert_eq!(promptness.due(start, DELAY), start + DELAY);
    }
}
