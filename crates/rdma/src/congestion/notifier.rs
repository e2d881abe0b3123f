//! Tells a peer that its packets met congestion: at most once in an interval, however many are marked (A17.9.3).

use core::time::Duration;
use stdx::time::Time;

/// What a queue pair's peer is to be told.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    told_at: Option<Time>,
    owes: bool,
}

impl Notifier {
    /// A packet of the peer's was marked.
    pub(crate) fn handle_marked(&mut self, now: Time, interval: Duration) {
        self.owes |= self.told_at.is_none_or(|at| now.since(at) >= interval);
    }

    /// The peer is to be told.
    pub(crate) const fn owes(&self) -> bool {
        self.owes
    }

    /// The peer was told.
    pub(crate) const fn told(&mut self, now: Time) {
        (self.told_at, self.owes) = (Some(now), false);
    }
}

/// True if a packet with this type of service, or traffic class, was marked (RFC 3168, section 5).
pub(crate) const fn is_marked(traffic_class: u8) -> bool {
    traffic_class & 0x03 == 0x03
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_marks_are_told_once_in_an_interval() {
        let mut notifier = Notifier::default();
        let mut told = 0;
        for us in 0..200 {
            let now = Time::from_nanos(us * 1000);
            notifier.handle_marked(now, Duration::from_micros(50));
            if notifier.owes() {
                notifier.told(now);
                told += 1;
            }
        }
        assert_eq!(told, 4);
        assert!(!notifier.owes());
        assert!([0, 1, 2].iter().all(|class| !is_marked(*class)) && is_marked(0xff));
    }
}
