//! A queue pair's rate: lowered by notifications, raised by time and by bytes (DCQCN, sections 3.1 and 5).
//!
//! Without a notification there is no rate, and nothing is counted. The first sets one, half of the line's; each lowers it by
//! half of the estimated congestion. Then the rate rises in steps, which time and bytes count apart: at first towards what it
//! was, then with a target that grows, and faster once both counts are high. Back at the line's rate, it is forgotten.

use super::Congestion;
use core::time::Duration;
use stdx::time::Time;

/// What holds a queue pair back, if anything does.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Bytes a second.
    rate: u64,
    /// The rate it rises to.
    target: u64,
    /// How much congestion there is, of [`ONE`].
    estimate: u64,
    estimate_at: Time,
    step_at: Time,
    steps_of_time: u32,
    steps_of_bytes: u32,
    /// Bytes since the last step of bytes.
    bytes: u64,
    /// When all that was sent would have gone at the rate.
    free_at: Time,
    /// A burst was sent; nothing more goes before `free_at`.
    is_held: bool,
}

impl Limiter {
    /// The peer says that our packets meet congestion.
    pub(crate) fn handle_notification(&mut self, now: Time, config: &Congestion) {
        self.advance(now, config);
        let limit = self.limit.get_or_insert(Limit {
            rate: config.line_rate,
            target: config.line_rate,
            estimate: ONE,
            estimate_at: now,
            step_at: now,
            steps_of_time: 0,
            steps_of_bytes: 0,
            bytes: 0,
            free_at: now,
            is_held: false,
        });
        limit.target = limit.rate;
        let lost = (u128::from(limit.rate) * u128::from(limit.estimate) / u128::from(2 * ONE)) as u64;
        limit.rate = (limit.rate - lost).max(config.rate_min);
        limit.estimate =
            limit.estimate - (limit.estimate >> config.estimate_shift) + (ONE >> config.estimate_shift);
        (limit.steps_of_time, limit.steps_of_bytes, limit.bytes) = (0, 0, 0);
        (limit.estimate_at, limit.step_at) = (now + config.estimate_interval, now + config.step_interval);
    }

    /// Until when nothing may be sent; `None`: it may.
    pub(crate) fn held_until(&mut self, now: Time, config: &Congestion) -> Option<Time> {
        self.advance(now, config);
        let limit = self.limit.as_mut()?;
        if limit.free_at <= now {
            limit.is_held = false;
        } else if limit.free_at.since(now) > limit.time_of(config.burst_bytes) {
            limit.is_held = true;
        }
        limit.is_held.then_some(limit.free_at)
    }

    /// So many bytes were sent.
    pub(crate) fn sent(&mut self, now: Time, bytes: u64, config: &Congestion) {
        let Some(limit) = &mut self.limit else { return };
        limit.free_at = limit.free_at.max(now) + limit.time_of(bytes);
        limit.bytes += bytes;
        while limit.bytes >= config.step_bytes.max(1) {
            limit.bytes -= config.step_bytes.max(1);
            limit.steps_of_bytes += 1;
            limit.step(config);
        }
        self.forget_if_free(config);
    }

    /// Bytes a second, if there is a limit.
    #[cfg(test)]
    fn rate(&self) -> Option<u64> {
        self.limit.map(|limit| limit.rate)
    }

    /// Does what time brings.
    fn advance(&mut self, now: Time, config: &Congestion) {
        let Some(limit) = &mut self.limit else { return };
        for _ in 0..due(&mut limit.estimate_at, now, config.estimate_interval) {
            limit.estimate -= limit.estimate >> config.estimate_shift;
        }
        for _ in 0..due(&mut limit.step_at, now, config.step_interval) {
            limit.steps_of_time += 1;
            limit.step(config);
        }
        self.forget_if_free(config);
    }

    fn forget_if_free(&mut self, config: &Congestion) {
        self.limit.take_if(|limit| limit.rate >= config.line_rate - config.line_rate / 1024);
    }
}

impl Limit {
    /// Raises the rate by a step.
    fn step(&mut self, config: &Congestion) {
        let (time, bytes) = (self.steps_of_time, self.steps_of_bytes);
        let hyper = time.min(bytes).saturating_sub(config.recovery_steps);
        if hyper > 0 {
            self.target = self.target.saturating_add(config.hyper_step.saturating_mul(u64::from(hyper)));
        } else if time.max(bytes) > config.recovery_steps {
            self.target = self.target.saturating_add(config.additive_step);
        }
        self.target = self.target.min(config.line_rate);
        self.rate = self.rate.midpoint(self.target);
    }

    /// How long so many bytes take.
    fn time_of(&self, bytes: u64) -> Duration {
        Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / self.rate.max(1))
    }
}

/// How often an interval has passed since `at`, which becomes when the next one has.
fn due(at: &mut Time, now: Time, interval: Duration) -> u32 {
    let mut count = 0;
    while *at <= now && count < DUE_MAX {
        (*at, count) = (*at + interval, count + 1);
    }
    if *at <= now {
        *at = now + interval;
    }
    count
}

/// An estimate of nothing but congestion.
const ONE: u64 = 1 << 20;

/// Intervals that are made up for, at most: after so many the estimate is nothing, and rates are what they were.
const DUE_MAX: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(us: u64) -> Time {
        Time::from_nanos(us * 1000)
    }

    #[test]
    fn the_first_notification_halves_the_rate_and_later_ones_by_the_estimate() {
        let (mut limiter, config) = (Limiter::default(), Congestion::default());
        assert_eq!(limiter.held_until(at(0), &config), None);
        assert_eq!(limiter.rate(), None);
        limiter.handle_notification(at(0), &config);
        assert_eq!(limiter.rate(), Some(config.line_rate / 2));
        limiter.handle_notification(at(1), &config);
        assert_eq!(limiter.rate(), Some(config.line_rate / 4), "the estimate is still one");
    }

    #[test]
    fn without_notifications_the_estimate_shrinks_so_that_the_next_costs_less() {
        let config = Congestion { step_interval: Duration::from_secs(9), ..Congestion::default() };
        let mut limiter = Limiter::default();
        limiter.handle_notification(at(0), &config);
        for us in [8000, 8001] {
            let before = limiter.rate().unwrap();
            limiter.handle_notification(at(us), &config);
            let lost = before - limiter.rate().unwrap();
            assert!(lost > before / 4 && lost < before * 3 / 8, "at {us}: {lost} of {before}");
        }
    }

    #[test]
    fn notifications_without_end_lead_to_the_smallest_rate() {
        let (mut limiter, config) = (Limiter::default(), Congestion::default());
        for us in 0..1000 {
            limiter.handle_notification(at(us * 50), &config);
        }
        assert_eq!(limiter.rate(), Some(config.rate_min));
    }

    #[test]
    fn fast_recovery_makes_up_for_half_in_each_step() {
        let (mut limiter, config) = (Limiter::default(), Congestion::default());
        limiter.handle_notification(at(0), &config);
        limiter.handle_notification(at(0), &config);
        let (half, quarter) = (config.line_rate / 2, config.line_rate / 4);
        for step in 1..=4 {
            limiter.held_until(at(step * 55), &config);
            assert_eq!(limiter.rate(), Some(half - (quarter >> step)), "step {step}");
        }
        // Then the target rises, by little as long as only time counts.
        limiter.held_until(at(20 * 55), &config);
        let rate = limiter.rate().unwrap();
        assert!(rate > half && rate < half + 20 * config.additive_step, "{rate}");
    }

    #[test]
    fn bytes_and_time_together_rise_fast_until_the_limit_is_forgotten() {
        let config = Congestion { step_bytes: 100_000, ..Congestion::default() };
        let mut limiter = Limiter::default();
        for _ in 0..8 {
            limiter.handle_notification(at(0), &config);
        }
        let mut us = 0;
        while limiter.rate().is_some() {
            us += 55;
            assert!(us < 100_000, "it is forgotten at last");
            if limiter.held_until(at(us), &config).is_none() {
                limiter.sent(at(us), 100_000, &config);
            }
        }
        assert_eq!(limiter.held_until(at(us), &config), None);
    }

    #[test]
    fn what_is_sent_keeps_to_the_rate() {
        let (mut limiter, mut config) = (Limiter::default(), Congestion::default());
        // The rate stays: no step is ever due.
        (config.step_interval, config.step_bytes) = (Duration::from_secs(9), u64::MAX);
        limiter.handle_notification(at(0), &config);
        limiter.handle_notification(at(0), &config);
        let rate = limiter.rate().unwrap();
        let (mut sent, mut now) = (0, at(0));
        while now < at(10_000) {
            match limiter.held_until(now, &config) {
                Some(until) => now = until,
                None => {
                    limiter.sent(now, 4096, &config);
                    sent += 4096;
                }
            }
        }
        let allowed = rate / 100 + config.burst_bytes + 2 * 4096;
        assert!(sent <= allowed && sent >= rate / 100 - 4096, "{sent} of {allowed}");
    }

    #[test]
    fn a_long_sleep_is_made_up_for_in_bounded_time() {
        let (mut limiter, config) = (Limiter::default(), Congestion::default());
        limiter.handle_notification(at(0), &config);
        limiter.held_until(at(1 << 50), &config);
        assert_eq!(limiter.rate(), None);
    }
}
