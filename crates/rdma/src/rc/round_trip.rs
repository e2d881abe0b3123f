//! How long an acknowledgement usually takes, and with it how long one is waited for before its packet is tried again.
//!
//! The time-out that two ends agree on is made for the slowest path there is: Linux asks for two seconds. Whoever loses the last
//! packet of a window, whose loss nothing behind it shows, would stand still that long. So what is not acknowledged for a
//! few round trips is sent once more, and again after twice that time, until the agreed time is over; only that counts as
//! a retry. A peer that has it all drops what comes twice (9.7.1).

use super::requester::Requester;
use core::time::Duration;
use stdx::time::Time;
use wire::roce::Psn;

/// What is known of the way to a peer and back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RoundTrip {
    /// A packet that was sent once, and when.
    timed: Option<(Psn, Time)>,
    /// Packets before this one may have been sent twice: which of the two is acknowledged, nobody knows.
    twice_before: Option<Psn>,
    /// The mean, of which the newest is an eighth.
    mean: Option<Duration>,
    /// Packets that were tried again since something moved on.
    early: u8,
}

impl RoundTrip {
    /// A packet with this number has not been sent before.
    pub(super) fn is_first(&self, psn: Psn) -> bool {
        self.twice_before.is_none_or(|next| !psn.is_before(next))
    }

    /// A packet was sent.
    pub(super) fn sent(&mut self, psn: Psn, now: Time) {
        if self.is_first(psn) {
            self.twice_before = None;
            self.timed.get_or_insert((psn, now));
        }
    }

    /// Everything before `unacked` was acknowledged.
    pub(super) fn acknowledged(&mut self, unacked: Psn, now: Time) {
        self.early = 0;
        if let Some((_, sent)) = self.timed.take_if(|(psn, _)| psn.is_before(unacked)) {
            let took = now.since(sent);
            self.mean = Some(self.mean.map_or(took, |mean| (mean * 7 + took) / 8));
        }
    }

    /// Something before `next` is sent again.
    pub(super) const fn lost(&mut self, next: Psn) {
        (self.timed, self.twice_before) = (None, Some(next));
    }

    /// The same, because nothing was heard for [`RoundTrip::patience`].
    pub(super) const fn lost_early(&mut self, next: Psn) {
        self.lost(next);
        self.early = self.early.saturating_add(1);
    }

    /// How long nothing may be heard before the oldest packet is tried again; `None` until the way is known.
    pub(super) fn patience(&self) -> Option<Duration> {
        let doubled = 1u32.checked_shl(self.early.into())?;
        Some((self.mean? * ROUND_TRIPS).max(PATIENCE_MIN).saturating_mul(doubled))
    }
}

impl Requester {
    /// When the oldest packet is tried again if nothing is heard: before it counts as lost, or never.
    pub(super) fn be_patient(&mut self, now: Time) {
        let at = self.round_trip.patience().map(|patience| now + patience);
        self.early_at = at.filter(|at| self.lost_at.is_some_and(|lost_at| *at < lost_at));
    }
}

/// Round trips that an acknowledgement may take.
const ROUND_TRIPS: u32 = 8;
/// A process of the peer's may not have a processor for so long.
const PATIENCE_MIN: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn patience_follows_the_round_trips_and_doubles_while_nothing_is_heard() {
        let (mut trip, start) = (RoundTrip::default(), Time::ZERO);
        assert_eq!(trip.patience(), None);
        trip.sent(Psn::new(5), start);
        trip.sent(Psn::new(6), start + MS);
        trip.acknowledged(Psn::new(5), start + MS);
        assert_eq!(trip.patience(), None, "it is not acknowledged");
        trip.acknowledged(Psn::new(6), start + 10 * MS);
        assert_eq!(trip.patience(), Some(80 * MS));
        trip.lost_early(Psn::new(7));
        assert_eq!(trip.patience(), Some(160 * MS));
        trip.acknowledged(Psn::new(7), start + 11 * MS);
        assert_eq!(trip.patience(), Some(80 * MS));
        for _ in 0..100 {
            trip.sent(Psn::new(8), start);
            trip.acknowledged(Psn::new(9), start + MS);
        }
        assert_eq!(trip.patience(), Some(PATIENCE_MIN));
    }

    #[test]
    fn what_is_sent_twice_is_not_timed() {
        let mut trip = RoundTrip::default();
        trip.sent(Psn::new(5), Time::ZERO);
        trip.lost(Psn::new(6));
        trip.sent(Psn::new(5), Time::ZERO);
        trip.acknowledged(Psn::new(6), Time::ZERO + MS);
        assert_eq!(trip.patience(), None);
        trip.sent(Psn::new(6), Time::ZERO);
        trip.acknowledged(Psn::new(7), Time::ZERO + 10 * MS);
        assert_eq!(trip.patience(), Some(80 * MS));
    }
}
