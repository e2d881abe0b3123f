//! What is done about congestion (annex A17.9; "Congestion Control for Large-Scale RDMA Deployments", SIGCOMM 2015, called
//! DCQCN).
//!
//! ```text
//!   our packets ── a switch marks some (ECN) ──> the peer's Notifier
//!        ^                                           │ a notification, now and then
//!     Limiter <──────────────────────────────────────┘
//! ```
//!
//! Both halves are a queue pair's own, and neither sends nor asks for the time: what is due is asked for.
//!
//! - [`notifier`]: tells the sender of marked packets, at most once in an interval.
//! - [`limiter`]: slows a queue pair down when it is told, and lets it become faster step by step.
//!
//! Datagram queue pairs have no peer, so theirs are counted and no more is done.

pub(crate) mod limiter;
pub(crate) mod notifier;

use core::time::Duration;

/// How senders react to congestion, and how they are told of it. The usual values are the paper's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Congestion {
    /// A queue pair's rate when nobody told it to slow down counts as this, in bytes a second; nothing holds it there.
    pub line_rate: u64,
    /// No queue pair becomes slower than this, in bytes a second.
    pub rate_min: u64,
    /// Bytes a second that a rate's target grows in a step.
    pub additive_step: u64,
    /// The same for each step after many without congestion.
    pub hyper_step: u64,
    /// Steps of fast recovery: each makes up for half of what was lost.
    pub recovery_steps: u32,
    /// A step is due after this time.
    pub step_interval: Duration,
    /// A step is due after this many bytes.
    pub step_bytes: u64,
    /// The estimate of congestion becomes smaller after this time without a notification.
    pub estimate_interval: Duration,
    /// How much of the estimate is replaced at once: two to minus this power.
    pub estimate_shift: u32,
    /// Bytes that may go at once at any rate.
    pub burst_bytes: u64,
    /// A peer is told of marked packets at most once in this time.
    pub notification_interval: Duration,
}

impl Default for Congestion {
    fn default() -> Self {
        Self {
            line_rate: 5_000_000_000,
            rate_min: 5_000_000,
            additive_step: 5_000_000,
            hyper_step: 50_000_000,
            recovery_steps: 5,
            step_interval: Duration::from_micros(55),
            step_bytes: 10_000_000,
            estimate_interval: Duration::from_micros(55),
            estimate_shift: 8,
            burst_bytes: 64 << 10,
            notification_interval: Duration::from_micros(50),
        }
    }
}
