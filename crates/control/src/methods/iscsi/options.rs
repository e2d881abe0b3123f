//! What holds for target nodes that are made without saying otherwise.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scsi::iscsi::IscsiName;
use scsi::iscsi::login::Limits;
use scsi::iscsi::target::ChapPolicy;

use super::auth::Wanted;
use super::params::SetOptions;
use super::results::Options;
use crate::config::Call;
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::method::NoParams;

/// The present defaults.
#[derive(Debug, Default)]
pub struct Defaults(Mutex<SetOptions>);

pub(super) fn set(at: At<'_>, defaults: &Defaults, params: SetOptions) -> Result<bool, RpcError> {
    if params.auth_file.as_ref().is_some_and(|file| !file.is_empty()) {
        return Err(Errno::NotSupported.because("auth_file: accounts are made by calls"));
    }
    let mut present = defaults.lock();
    let merged = merge(&present, &params);
    let limits = limits_of(&merged)?;
    debug_assert!(limits.max_connections > 0);
    let server = at.shard.iscsi_mut().server_mut();
    let chap = [params.disable_chap, params.require_chap, params.mutual_chap];
    if chap.iter().any(Option::is_some) || params.chap_group.is_some() {
        let wanted = Wanted {
            disable: params.disable_chap,
            require: params.require_chap,
            mutual: params.mutual_chap,
            group: params.chap_group,
        };
        let authentication = wanted.authentication(server.registry())?;
        server.registry_mut().set_discovery(authentication);
    }
    let (interval, timeout) = (seconds(merged.nop_in_interval)?, seconds(merged.nop_timeout)?);
    if interval.is_some() || timeout.is_some() {
        let interval = interval.unwrap_or(server.limits().heartbeat_interval);
        let missed = timeout.map_or(server.limits().heartbeats_missed_max.into(), |timeout| {
            timeout.as_secs().div_ceil(interval.as_secs().max(1))
        });
        server.set_heartbeat(interval, u32::try_from(missed).unwrap_or(u32::MAX).max(1));
    }
    *present = merged;
    Ok(true)
}

pub(super) fn get(at: At<'_>, defaults: &Defaults, _: NoParams) -> Result<Options, RpcError> {
    let present = defaults.lock();
    let (limits, server) = (limits_of(&present)?, at.shard.iscsi().server());
    let discovery = server.registry().discovery();
    let (interval, missed) = (server.limits().heartbeat_interval, server.limits().heartbeats_missed_max);
    Ok(Options {
        node_base: node_base(&present),
        nop_timeout: interval.as_secs() * u64::from(missed),
        nop_in_interval: interval.as_secs(),
        disable_chap: discovery.chap == ChapPolicy::Disabled,
        require_chap: discovery.chap == ChapPolicy::Required,
        mutual_chap: discovery.mutual,
        chap_group: discovery.group.unwrap_or(0),
        max_sessions: server.limits().sessions_max,
        max_queue_depth: present.max_queue_depth.unwrap_or(QUEUE_DEPTH),
        max_connections_per_session: limits.max_connections,
        default_time2wait: limits.time_to_wait_s,
        default_time2retain: limits.time_to_retain_s,
        first_burst_length: limits.first_burst_len,
        immediate_data: limits.immediate_data,
        error_recovery_level: limits.error_recovery_level,
        allow_duplicated_isid: false,
        max_r2t_per_connection: limits.max_outstanding_r2t,
    })
}

impl Defaults {
    /// The whole name of a node, what it wants of a negotiation, and the most commands of a session.
    pub(super) fn for_node(&self, name: &str) -> Result<(IscsiName, Limits, u32), RpcError> {
        let present = self.lock();
        let whole =
            IscsiName::parse(name).or_else(|_| IscsiName::parse(&format!("{}:{name}", node_base(&present))));
        let whole = whole.map_err(|error| Errno::Invalid.because(error))?;
        Ok((whole, limits_of(&present)?, present.max_queue_depth.unwrap_or(QUEUE_DEPTH).max(1)))
    }

    /// The call that sets them again, if there is anything to set. What discovery must prove is saved with its accounts.
    pub(super) fn call(&self) -> Option<Call> {
        let present = self.lock();
        (*present != SetOptions::default()).then(|| Call::new("iscsi_set_options", &*present))
    }

    fn lock(&self) -> MutexGuard<'_, SetOptions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn merge(present: &SetOptions, given: &SetOptions) -> SetOptions {
    SetOptions {
        node_base: given.node_base.clone().or_else(|| present.node_base.clone()),
        nop_timeout: given.nop_timeout.or(present.nop_timeout),
        nop_in_interval: given.nop_in_interval.or(present.nop_in_interval),
        max_queue_depth: given.max_queue_depth.or(present.max_queue_depth),
        max_connections_per_session: given
            .max_connections_per_session
            .or(present.max_connections_per_session),
        default_time2wait: given.default_time2wait.or(present.default_time2wait),
        default_time2retain: given.default_time2retain.or(present.default_time2retain),
        first_burst_length: given.first_burst_length.or(present.first_burst_length),
        immediate_data: given.immediate_data.or(present.immediate_data),
        error_recovery_level: given.error_recovery_level.or(present.error_recovery_level),
        max_r2t_per_connection: given.max_r2t_per_connection.or(present.max_r2t_per_connection),
        ..SetOptions::default()
    }
}

/// What nodes want of a negotiation, within what RFC 7143 (section 13) lets a key say.
fn limits_of(options: &SetOptions) -> Result<Limits, RpcError> {
    let default = Limits::default();
    let within = |name: &'static str, given: Option<u32>, default: u32, range: (u32, u32)| {
        let value = given.unwrap_or(default);
        let fits = (range.0..=range.1).contains(&value);
        if fits { Ok(value) } else { Err(Errno::Invalid.because(name)) }
    };
    let narrow = |name, given, default: u16, range| {
        within(name, given, default.into(), range).map(|value| u16::try_from(value).unwrap_or(u16::MAX))
    };
    let level = default.error_recovery_level.into();
    let level = within("error_recovery_level", options.error_recovery_level, level, (0, 2))?;
    Ok(Limits {
        max_connections: narrow(
            "max_connections_per_session",
            options.max_connections_per_session,
            default.max_connections,
            (1, 65_535),
        )?,
        time_to_wait_s: narrow(
            "default_time2wait",
            options.default_time2wait,
            default.time_to_wait_s,
            (0, 3600),
        )?,
        time_to_retain_s: narrow(
            "default_time2retain",
            options.default_time2retain,
            default.time_to_retain_s,
            (0, 3600),
        )?,
        first_burst_len: within(
            "first_burst_length",
            options.first_burst_length,
            default.first_burst_len,
            (512, (1 << 24) - 1),
        )?,
        max_outstanding_r2t: narrow(
            "max_r2t_per_connection",
            options.max_r2t_per_connection,
            default.max_outstanding_r2t,
            (1, 65_535),
        )?,
        immediate_data: options.immediate_data.unwrap_or(default.immediate_data),
        error_recovery_level: level as u8,
        // Data in any order is taken from initiators that ask for it.
        data_pdu_in_order: false,
        data_sequence_in_order: false,
        ..default
    })
}

fn seconds(given: Option<i32>) -> Result<Option<Duration>, RpcError> {
    let positive = |count: i32| u64::try_from(count).ok().filter(|count| *count > 0);
    let whole =
        given.map(|count| positive(count).ok_or_else(|| Errno::Invalid.because("at least one second")));
    Ok(whole.transpose()?.map(Duration::from_secs))
}

fn node_base(options: &SetOptions) -> String {
    options.node_base.clone().unwrap_or_else(|| NODE_BASE.to_owned())
}

const NODE_BASE: &str = "iqn.2026-01.org.weft";
/// Commands a session may have under way.
const QUEUE_DEPTH: u32 = 128;
