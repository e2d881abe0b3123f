//! What holds for controllers that are attached without saying otherwise.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nvme::host::HostOptions;

use super::params::SetOptions;
use crate::config::Call;
use crate::error::{Errno, RpcError};

/// The present defaults.
#[derive(Debug, Default)]
pub struct Defaults(Mutex<SetOptions>);

impl Defaults {
    /// Changes those that are given.
    pub(super) fn set(&self, given: SetOptions) -> Result<(), RpcError> {
        let zero = [
            given.timeout_us == Some(0),
            given.timeout_admin_us == Some(0),
            given.tcp_connect_timeout_ms == Some(0),
        ];
        if zero.contains(&true) {
            return Err(Errno::Invalid.because("there is always a time-out"));
        }
        let mut present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *present = SetOptions {
            timeout_us: given.timeout_us.or(present.timeout_us),
            timeout_admin_us: given.timeout_admin_us.or(present.timeout_admin_us),
            keep_alive_timeout_ms: given.keep_alive_timeout_ms.or(present.keep_alive_timeout_ms),
            ctrlr_loss_timeout_sec: given.ctrlr_loss_timeout_sec.or(present.ctrlr_loss_timeout_sec),
            reconnect_delay_sec: given.reconnect_delay_sec.or(present.reconnect_delay_sec),
            fast_io_fail_timeout_sec: given.fast_io_fail_timeout_sec.or(present.fast_io_fail_timeout_sec),
            tcp_connect_timeout_ms: given.tcp_connect_timeout_ms.or(present.tcp_connect_timeout_ms),
            io_queue_requests: given.io_queue_requests.or(present.io_queue_requests),
            ..SetOptions::default()
        };
        Ok(())
    }

    /// The call that sets them again, if there is anything to set.
    pub(super) fn call(&self) -> Option<Call> {
        let present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (*present != SetOptions::default()).then(|| Call::new("bdev_nvme_set_options", &*present))
    }

    /// Applies the present defaults.
    pub(super) fn apply(&self, options: &mut HostOptions) {
        let present = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        set(&mut options.command_timeout, present.timeout_us.map(Duration::from_micros));
        set(&mut options.admin_timeout, present.timeout_admin_us.map(Duration::from_micros));
        set(&mut options.keep_alive, present.keep_alive_timeout_ms.map(millis));
        set(&mut options.connect_timeout, present.tcp_connect_timeout_ms.map(millis));
        set(&mut options.requests_max, present.io_queue_requests.and_then(|count| count.try_into().ok()));
        patience(
            options,
            present.ctrlr_loss_timeout_sec,
            present.reconnect_delay_sec,
            present.fast_io_fail_timeout_sec,
        );
    }
}

/// SPDK's three numbers that say what to do after a connection is lost, in seconds.
pub(super) fn patience(
    options: &mut HostOptions,
    loss: Option<i32>,
    delay: Option<u32>,
    fast_fail: Option<u32>,
) {
    set(
        &mut options.controller_loss_timeout,
        loss.map(|loss| u64::try_from(loss).ok().map(Duration::from_secs)),
    );
    let fast_fail = fast_fail.map(|fast| (fast > 0).then(|| Duration::from_secs(fast.into())));
    set(&mut options.fast_io_fail_timeout, fast_fail);
    if let Some(delay) = delay.filter(|delay| *delay > 0) {
        options.reconnect_delay = Duration::from_secs(delay.into());
        options.reconnect_delay_max = options.reconnect_delay_max.max(options.reconnect_delay);
    }
}

pub(super) fn set<T>(to: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *to = given;
    }
}

fn millis(count: u32) -> Duration {
    Duration::from_millis(count.into())
}
