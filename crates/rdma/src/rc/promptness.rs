//! How soon a message that was taken is acknowledged.
//!
//! An acknowledgement that finds no place behind something else costs a datagram of its own, at both ends as much as a short
//! message. So one waits a little: what comes meanwhile is acknowledged with it, and what is sent meanwhile takes it along. A peer
//! that sends nothing more until it is acknowledged would only be slowed down by that. It is known by nothing having come in the last
//! part of the wait; then its next messages are acknowledged at once, before it is tried again, and ever more of them the more often
//! it was found to wait, so that its trials cost it next to nothing.

use core::time::Duration;
use stdx::time::Time;

/// When the acknowledgement that is owed to a peer is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Promptness {
    /// Since the first message came that is not acknowledged.
    due: Option<Time>,
    /// After this it is known to wait, if nothing comes.
    lonely: Option<Time>,
    /// Messages that came since the last acknowledgement.
    messages: u32,
    /// How many of these were there when it was last asked.
    seen: u32,
    /// Messages that are still to be acknowledged at once.
    hurry: u32,
    /// How often it was found to wait, one time after the other.
    trials: u32,
    /// It has waited, and nothing did.
    is_in_vain: bool,
}

impl Promptness {
    /// A message came that is to be acknowledged.
    pub(super) const fn owe(&mut self) {
        self.messages = self.messages.saturating_add(1);
    }

    /// A message came again: its sender waits.
    pub(super) fn hasten(&mut self) {
        self.hurry = self.hurry.max(1);
    }

    /// When the acknowledgement, which finds no place for nothing, is to be sent after all.
    pub(crate) fn due(&mut self, now: Time, delay: Duration) -> Time {
        let waits = self.hurry == 0 && self.messages < MESSAGES_MAX;
        let wanted = if waits { now + delay } else { now };
        let due = self.due.map_or(wanted, |due| due.min(wanted));
        if self.messages != self.seen {
            (self.seen, self.lonely) = (self.messages, Some(now + delay / LONELY));
        }
        let is_lonely = self.lonely.is_some_and(|lonely| lonely <= now);
        self.is_in_vain = waits && is_lonely && due <= now;
        self.due = Some(due);
        due
    }

    /// It was sent, or something that says the same.
    pub(super) fn acknowledged(&mut self) {
        let messages = self.messages.max(1);
        if self.is_in_vain {
            self.hurry = HURRY << self.trials;
            self.trials = (self.trials + 1).min(TRIALS_MAX);
        } else if self.hurry > 0 {
            self.hurry = self.hurry.saturating_sub(messages);
        } else if messages > 1 {
            self.trials = 0;
        }
        (self.due, self.lonely, self.is_in_vain) = (None, None, false);
        (self.messages, self.seen) = (0, 0);
    }
}

/// Messages that wait for one acknowledgement, at most.
const MESSAGES_MAX: u32 = 16;
/// Messages of a peer that waits which are acknowledged at once, the first time.
const HURRY: u32 = 64;
/// How often their number is doubled, at most.
const TRIALS_MAX: u32 = 6;
/// The part of the wait in which something has to come.
const LONELY: u32 = 2;

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
    fn who_waits_is_acknowledged_at_once_and_tried_again_ever_more_seldom() {
        let (mut promptness, start) = (Promptness::default(), Time::from_nanos(1000));
        for trial in 0..2 * TRIALS_MAX {
            // Several messages at once, and nothing more.
            for _ in 0..3 {
                promptness.owe();
                assert_eq!(promptness.due(start, DELAY), start + DELAY);
            }
            assert_eq!(promptness.due(start + DELAY, DELAY), start + DELAY);
            promptness.acknowledged();
            assert_eq!(hurried(&mut promptness, start), HURRY << trial.min(TRIALS_MAX));
        }
        for message in 0..4 {
            promptness.owe();
            promptness.due(start + DELAY / 4 * message, DELAY);
        }
        assert_eq!(promptness.due(start + DELAY, DELAY), start + DELAY);
        promptness.acknowledged();
        assert_eq!(hurried(&mut promptness, start), 0, "it went on sending");
        promptness.due(start + DELAY, DELAY);
        promptness.acknowledged();
        assert_eq!(hurried(&mut promptness, start), HURRY, "what was long ago counts no more");
    }

    /// Messages that are acknowledged at once; the one behind them is owed.
    fn hurried(promptness: &mut Promptness, now: Time) -> u32 {
        let mut count = 0;
        loop {
            promptness.owe();
            if promptness.due(now, DELAY) > now {
                return count;
            }
            promptness.acknowledged();
            count += 1;
        }
    }
}
