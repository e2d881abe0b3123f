//! Sequence numbers and credits (A4.4): who may send how many more messages.
//!
//! Each message has the next number and says which one its sender received last and how many receives it has posted, so that
//! whoever reads it knows up to which number it may send. Numbers wrap.

use super::Violation;
use wire::sdp::Base;

/// The credits of both ends of a connection.
#[derive(Debug)]
pub(super) struct Credits {
    /// The number of the message sent last; the greeting's is 0.
    sent: u32,
    /// The last of ours that the peer said it received.
    acknowledged: u32,
    /// The last number that the peer has a receive for.
    may_send_to: u32,
    /// The number of the message received last.
    received: u32,
    /// The last number that the peer was told it may use.
    may_come_to: u32,
    /// Receives that are posted now.
    posted: u16,
    /// Receives there are.
    receives: u16,
    /// So many of them are not posted again once a message came.
    surplus: u16,
    /// There are more than the peer was ever told of.
    has_grown: bool,
    /// Messages up to this number are acknowledged, later ones not yet: what they ask for is under way.
    held_at: Option<u32>,
}

/// Whether the peer knows of something that we told it, or are to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notice {
    /// It does, or there is nothing.
    Known,
    /// The message that says so waits.
    Waiting,
    /// It went out with this number.
    Sent(u32),
}

impl Notice {
    /// Whether what the peer sent last was sent without knowing.
    pub(super) fn is_unknown(&mut self, credits: &Credits) -> bool {
        if let Self::Sent(sequence) = *self
            && credits.is_acknowledged(sequence)
        {
            *self = Self::Known;
        }
        *self != Self::Known
    }

    /// The message that says so has this number.
    pub(super) fn sent(&mut self, sequence: u32) {
        if *self == Self::Waiting {
            *self = Self::Sent(sequence);
        }
    }
}

impl Credits {
    pub(super) const fn new(theirs: u16, ours: u16) -> Self {
        Self {
            sent: 0,
            acknowledged: 0,
            may_send_to: theirs as u32,
            received: 0,
            may_come_to: ours as u32,
            posted: ours,
            receives: ours,
            surplus: 0,
            has_grown: false,
            held_at: None,
        }
    }

    /// Messages that may be sent.
    pub(super) const fn remaining(&self) -> u32 {
        let remaining = self.may_send_to.wrapping_sub(self.sent);
        if remaining > u16::MAX as u32 { 0 } else { remaining }
    }

    /// The number of the message sent last.
    pub(super) const fn sent(&self) -> u32 {
        self.sent
    }

    /// Whether the peer had received the message of this number when it sent what we received last.
    pub(super) const fn is_acknowledged(&self, sequence: u32) -> bool {
        is_at_or_before(sequence, self.acknowledged)
    }

    /// Whether acknowledgements are held back.
    pub(super) const fn is_holding(&self) -> bool {
        self.held_at.is_some()
    }

    /// Acknowledges no message from `sequence` on until [`Credits::resume`].
    pub(super) const fn hold(&mut self, sequence: u32) {
        self.held_at = Some(sequence.wrapping_sub(1));
    }

    /// Ends [`Credits::hold`].
    pub(super) const fn resume(&mut self) {
        self.held_at = None;
    }

    /// A message came.
    pub(super) fn receive(&mut self, base: &Base) -> Result<(), Violation> {
        let expected = self.received.wrapping_add(1);
        if base.sequence != expected {
            return Err(Violation::Sequence { expected, received: base.sequence });
        }
        if !is_at_or_before(expected, self.may_come_to) {
            return Err(Violation::CreditOverrun);
        }
        // What was acknowledged stays so, and nothing is that was not sent.
        if !is_at_or_before(self.acknowledged, base.acknowledged)
            || !is_at_or_before(base.acknowledged, self.sent)
        {
            return Err(Violation::Acknowledgement { sent: self.sent, received: base.acknowledged });
        }
        self.received = expected;
        self.acknowledged = base.acknowledged;
        self.may_send_to = base.acknowledged.wrapping_add(base.buffers.into());
        self.posted -= 1;
        Ok(())
    }

    /// A receive is posted again, unless there are too many: false if it is not. What came after the connection's end was not counted.
    pub(super) fn post(&mut self) -> bool {
        if self.surplus > 0 {
            self.surplus -= 1;
            self.receives -= 1;
            self.posted = self.posted.min(self.receives);
            return false;
        }
        self.posted = self.receives.min(self.posted + 1);
        true
    }

    /// There are to be so many receives. Says how many are to be posted for it now; those that are too many were told to the peer, and
    /// go one by one as messages come.
    pub(super) const fn set_receives(&mut self, count: u16) -> u16 {
        let wanted = self.receives - self.surplus;
        if count <= wanted {
            self.surplus += wanted - count;
            return 0;
        }
        let more = count - wanted;
        let kept = if more < self.surplus { more } else { self.surplus };
        self.surplus -= kept;
        self.has_grown |= more > kept;
        self.receives += more - kept;
        self.posted += more - kept;
        more - kept
    }

    /// The fields of the next message: receives posted, its number, and what it acknowledges.
    pub(super) fn stamp(&mut self) -> (u16, u32, u32) {
        self.sent = self.sent.wrapping_add(1);
        self.may_come_to = self.may_come_to.wrapping_add(self.untold());
        self.has_grown = false;
        (self.posted, self.sent, self.acknowledges())
    }

    /// The number that a message acknowledges.
    fn acknowledges(&self) -> u32 {
        self.held_at.unwrap_or(self.received)
    }

    /// Credits that the next message brings.
    pub(super) fn untold(&self) -> u32 {
        let may_come_to = self.acknowledges().wrapping_add(self.posted.into());
        if is_at_or_before(self.may_come_to, may_come_to) {
            may_come_to.wrapping_sub(self.may_come_to)
        } else {
            0
        }
    }

    /// Whether a message should go out for nothing but its credits: the peer is about to run out of them, or does not
    /// know of half of what there is, or of new receives. Each of them takes at least two messages to be due, so two ends that have nothing else
    /// to say fall silent.
    pub(super) fn is_update_due(&self) -> bool {
        let untold = self.untold();
        let told = self.may_come_to.wrapping_sub(self.received);
        untold > 0 && (told <= RESERVED || untold > told || self.has_grown)
    }

    pub(super) fn check(&self) {
        assert!(self.posted <= self.receives && self.surplus <= self.receives);
        assert!(is_at_or_before(self.acknowledged, self.sent));
        assert!(is_at_or_before(self.received, self.may_come_to));
    }
}

/// Whether one number comes no later than another, on a circle.
const fn is_at_or_before(a: u32, b: u32) -> bool {
    b.wrapping_sub(a) <= u32::MAX / 2
}

/// Credits that messages with bytes of the stream leave (A4.4.2): one for what a peer must be told in between, and one for
/// telling it of credits.
pub(super) const RESERVED: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use wire::sdp::{Flags, MessageId};

    const fn message(sequence: u32, acknowledged: u32, buffers: u16) -> Base {
        Base { id: MessageId::Data, flags: Flags(0), buffers, len: 16, sequence, acknowledged }
    }

    #[test]
    fn what_is_under_way_is_subtracted() {
        let mut credits = Credits::new(3, 4);
        assert_eq!(credits.remaining(), 3);
        assert_eq!(credits.stamp(), (4, 1, 0));
        assert_eq!(credits.stamp(), (4, 2, 0));
        assert_eq!(credits.remaining(), 1);
        // The peer has seen the first and posted it again.
        credits.receive(&message(1, 1, 3)).expect("a message");
        assert_eq!(credits.remaining(), 2);
        assert_eq!(credits.stamp(), (3, 3, 1));
    }

    #[test]
    fn a_peer_that_sends_more_than_it_may_is_found() {
        let mut credits = Credits::new(8, 2);
        credits.receive(&message(1, 0, 8)).expect("the first");
        credits.receive(&message(2, 0, 8)).expect("the second");
        assert_eq!(credits.receive(&message(3, 0, 8)), Err(Violation::CreditOverrun));
    }

    #[test]
    fn numbers_that_cannot_be_are_found() {
        let mut credits = Credits::new(8, 8);
        let skipped = Violation::Sequence { expected: 1, received: 2 };
        assert_eq!(credits.receive(&message(2, 0, 8)), Err(skipped));
        let unsent = Violation::Acknowledgement { sent: 0, received: 1 };
        assert_eq!(credits.receive(&message(1, 1, 8)), Err(unsent));
    }

    #[test]
    fn two_idle_ends_fall_silent() {
        let mut ends = [Credits::new(4, 4), Credits::new(4, 4)];
        let mut messages = 0;
        // The first message is worth an answer, or is not; those that only bring credits die out.
        let mut due = Some(0);
        while let Some(from) = due {
            messages += 1;
            assert!(messages < 10, "they talk about nothing");
            let (buffers, sequence, acknowledged) = ends[from].stamp();
            let to = &mut ends[1 - from];
            to.receive(&message(sequence, acknowledged, buffers)).expect("a message");
            to.post();
            due = (0..2).find(|&index| ends[index].is_update_due());
        }
    }
}
