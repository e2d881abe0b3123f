//! Discovery services that are watched.

use std::sync::Arc;
use std::time::Duration;

use ::nvme::host::HostOptions;
use engine::Watched;
use stdx::env::Env;
use tokio::sync::oneshot;
use wire::nvme::Nqn;

use super::attach::{host_options, reach, seconds_of};
use super::attach_error;
use super::defaults::{Defaults, patience};
use super::params::{DiscoveryService, FoundController, StartDiscovery, StopDiscovery};
use super::show::transport_id;
use crate::config::Call;
use crate::dispatch::Dispatcher;
use crate::error::{Errno, RpcError};
use crate::fabric::{At, Fabric};
use crate::method::{NoParams, NotTaken};
use crate::methods::nvmf::{family_of, socket_address, transport, transport_name};

/// Answers at once, or, if asked to wait, when what the service leads to is attached.
pub(super) async fn start(
    dispatcher: Dispatcher<Fabric>,
    defaults: Arc<Defaults>,
    params: StartDiscovery,
) -> Result<bool, RpcError> {
    let (name, timeout) = (params.name.clone(), params.attach_timeout_ms.filter(|timeout| *timeout > 0));
    let waits = params.wait_for_attach == Some(true) || timeout.is_some();
    let (sender, receiver) = oneshot::channel();
    let begin = move |At { shard, env }: At<'_>| {
        let options = options(env, &defaults, &params)?;
        shard.start_discovery(env, &params.name, options, |result| drop(sender.send(result)));
        // What cannot be begun at all is known by now.
        Ok(shard.discoveries().get(&params.name).is_some())
    };
    let (mut receiver, begun) = (receiver, dispatcher.run(begin).await?);
    if begun && !waits {
        return match receiver.try_recv() {
            Ok(Err(error)) => Err(attach_error(error)),
            _ => Ok(true),
        };
    }
    let limit = Duration::from_millis(timeout.unwrap_or(u64::MAX).min(WAIT_MS_MAX));
    match tokio::time::timeout(limit, receiver).await {
        Ok(result) => {
            result.map_err(|_| NotTaken::Stopped)?.map_err(attach_error)?;
            Ok(true)
        }
        Err(_) => {
            let end = move |At { shard, env }: At<'_>| shard.stop_discovery(env, &name).map_err(attach_error);
            dispatcher.run(end).await?;
            Err(Errno::TimedOut.because("not all is attached in time"))
        }
    }
}

pub(super) fn stop(at: At<'_>, params: StopDiscovery) -> Result<bool, RpcError> {
    at.shard.stop_discovery(at.env, &params.name).map_err(attach_error)?;
    Ok(true)
}

pub(super) fn get_info(at: At<'_>, _: NoParams) -> Result<Vec<DiscoveryService>, RpcError> {
    let show = |watched: &Watched| DiscoveryService {
        name: watched.name.clone(),
        trid: transport_id(watched.options.transport, watched.options.address, &Nqn::discovery()),
        referrals: watched
            .found()
            .iter()
            .map(|found| FoundController {
                name: found.controller.clone(),
                trid: transport_id(watched.options.transport, found.address, &found.subsystem),
            })
            .collect(),
    };
    Ok(at.shard.discoveries().iter().map(show).collect())
}

/// The call that starts the watch again. It waits for what is attached now, since more may be built on that.
pub(super) fn call(watched: &Watched) -> Call {
    let options = &watched.options;
    let has_found = !watched.found().is_empty();
    let params = StartDiscovery {
        name: watched.name.clone(),
        trtype: transport_name(options.transport).to_owned(),
        traddr: options.address.ip().to_string(),
        adrfam: Some(family_of(options.address.ip()).to_owned()),
        trsvcid: Some(options.address.port().to_string()),
        hostnqn: Some(options.host.as_str().to_owned()),
        hostaddr: options.local.map(|local| local.to_string()),
        wait_for_attach: has_found.then_some(true),
        attach_timeout_ms: has_found.then_some(LOAD_TIMEOUT_MS),
        ctrlr_loss_timeout_sec: Some(options.controller_loss_timeout.map_or(-1, seconds_of)),
        reconnect_delay_sec: u32::try_from(options.reconnect_delay.as_secs()).ok().filter(|delay| *delay > 0),
        fast_io_fail_timeout_sec: options
            .fast_io_fail_timeout
            .and_then(|time| time.as_secs().try_into().ok()),
    };
    Call::new("bdev_nvme_start_discovery", params)
}

fn options(env: &mut dyn Env, defaults: &Defaults, params: &StartDiscovery) -> Result<HostOptions, RpcError> {
    let transport = transport(&params.trtype)?;
    let port = params.trsvcid.as_deref().or(Some(DISCOVERY_PORT));
    let address = socket_address(&params.traddr, params.adrfam.as_deref(), port)?;
    let mut options = host_options(env, defaults, address, Nqn::discovery(), params.hostnqn.as_deref())?;
    reach(&mut options, transport, params.hostaddr.as_deref())?;
    let (loss, delay) = (params.ctrlr_loss_timeout_sec, params.reconnect_delay_sec);
    patience(&mut options, loss, delay, params.fast_io_fail_timeout_sec);
    Ok(options)
}

/// The port of discovery services (NVMe over TCP Transport, section 3.1.1).
const DISCOVERY_PORT: &str = "8009";
/// How long loading a configuration waits for what a service leads to.
const LOAD_TIMEOUT_MS: u64 = 30_000;
const WAIT_MS_MAX: u64 = 3_600_000;
