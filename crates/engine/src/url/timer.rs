//! The time-outs of an initiator of disks as parameters of its URL: seconds, as many as one likes behind the point.

use super::{Query, UrlError};
use core::time::Duration;
use scsi::iscsi::initiator::InitiatorOptions;
use scsi::srp::initiator::InitiatorOptions as SrpOptions;

/// A time-out that a URL may set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Timer {
    /// How long a connection may be silent before the target is asked for a sign of life; 0 for ever.
    NopInterval,
    /// How long that may go without an answer.
    NopTimeout,
    /// How often a disk is asked whether something has changed; 0 for never.
    WatchInterval,
    /// How long the way up may take.
    ConnectTimeout,
    /// How long a command may take.
    CommandTimeout,
    /// How long to wait before the first attempt to reconnect.
    ReconnectDelay,
    /// The longest wait between two attempts.
    ReconnectDelayMax,
    /// How long after the loss of the connection to give up: a time or `never`.
    LossTimeout,
    /// How long after the loss requests fail instead of waiting: a time or `never`.
    FastIoFailTimeout,
}

/// What a URL says of a time-out: a time, or never.
pub type Timing = (Timer, Option<Duration>);

impl Timer {
    /// Those of an iSCSI initiator.
    pub(super) const ISCSI: [Self; 9] = [
        Self::NopInterval,
        Self::NopTimeout,
        Self::WatchInterval,
        Self::ConnectTimeout,
        Self::CommandTimeout,
        Self::ReconnectDelay,
        Self::ReconnectDelayMax,
        Self::LossTimeout,
        Self::FastIoFailTimeout,
    ];

    /// Those of an SRP initiator.
    pub(super) const SRP: [Self; 7] = [
        Self::WatchInterval,
        Self::ConnectTimeout,
        Self::CommandTimeout,
        Self::ReconnectDelay,
        Self::ReconnectDelayMax,
        Self::LossTimeout,
        Self::FastIoFailTimeout,
    ];

    /// The name of its parameter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NopInterval => "nop_interval",
            Self::NopTimeout => "nop_timeout",
            Self::WatchInterval => "watch_interval",
            Self::ConnectTimeout => "connect_timeout",
            Self::CommandTimeout => "command_timeout",
            Self::ReconnectDelay => "reconnect_delay",
            Self::ReconnectDelayMax => "reconnect_delay_max",
            Self::LossTimeout => "loss_timeout",
            Self::FastIoFailTimeout => "fast_io_fail_timeout",
        }
    }

    /// Sets it. There is a time, unless it may be never.
    pub(crate) fn set(self, options: &mut InitiatorOptions, time: Option<Duration>) {
        let place = match self {
            Self::NopInterval => &mut options.nop_interval,
            Self::NopTimeout => &mut options.nop_timeout,
            Self::WatchInterval => &mut options.watch_interval,
            Self::ConnectTimeout => &mut options.connect_timeout,
            Self::CommandTimeout => &mut options.command_timeout,
            Self::ReconnectDelay => &mut options.reconnect_delay,
            Self::ReconnectDelayMax => &mut options.reconnect_delay_max,
            Self::LossTimeout => return options.loss_timeout = time,
            Self::FastIoFailTimeout => return options.fast_io_fail_timeout = time,
        };
        *place = time.unwrap_or(*place);
    }

    /// The same for SRP, which asks for no sign of life.
    pub(crate) fn set_srp(self, options: &mut SrpOptions, time: Option<Duration>) {
        let place = match self {
            Self::NopInterval | Self::NopTimeout => return,
            Self::WatchInterval => &mut options.watch_interval,
            Self::ConnectTimeout => &mut options.connect_timeout,
            Self::CommandTimeout => &mut options.command_timeout,
            Self::ReconnectDelay => &mut options.reconnect_delay,
            Self::ReconnectDelayMax => &mut options.reconnect_delay_max,
            Self::LossTimeout => return options.loss_timeout = time,
            Self::FastIoFailTimeout => return options.fast_io_fail_timeout = time,
        };
        *place = time.unwrap_or(*place);
    }

    fn may_be_never(self) -> bool {
        self == Self::LossTimeout || self == Self::FastIoFailTimeout
    }

    /// Takes those of `known` that a URL has.
    pub(super) fn take(known: &[Self], query: &mut Query<'_>) -> Result<Vec<Timing>, UrlError> {
        let given = known.iter().copied().filter_map(|timer| Some((timer, query.take(timer.name())?)));
        given.map(|(timer, text)| timer.parse(text)).collect()
    }

    fn parse(self, text: &str) -> Result<Timing, UrlError> {
        if text == NEVER && self.may_be_never() {
            return Ok((self, None));
        }
        let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let expected = if self.may_be_never() { "seconds, or never" } else { "seconds, such as 30 or 0.5" };
        let wrong = || UrlError::Value { name: self.name(), value: text.into(), expected };
        let time = time.filter(|time| *time <= TIME_MAX).ok_or_else(wrong)?;
        Ok((self, Some(time)))
    }
}

/// As it stands in a URL.
pub(super) fn show((timer, time): &Timing) -> String {
    let time = time.map_or(NEVER.to_owned(), |time| time.as_secs_f64().to_string());
    format!("{}={time}", timer.name())
}

const NEVER: &str = "never";
/// Thirty years: what is to be longer is to be never.
const TIME_MAX: Duration = Duration::from_secs(30 * 365 * 86_400);
