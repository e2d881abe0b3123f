//! Attaching and letting go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::{AttachError, Attached};
use nvme::Transport;
use nvme::host::{HostOptions, host_id};
use stdx::env::{Env, random_uuid};
use tokio::sync::oneshot;
use wire::nvme::Nqn;
use wire::nvme::tcp::Digests;

use super::attach_error;
use super::defaults::{Defaults, patience, set};
use super::params::{AttachController, DetachController};
use crate::config::Call;
use crate::dispatch::Dispatcher;
use crate::error::{Errno, RpcError};
use crate::fabric::{At, Fabric};
use crate::facing::facing;
use crate::method::NotTaken;
use crate::methods::nvmf::{family_of, parse_nqn, socket_address, transport, transport_name};

/// Answers when the controller is there, with the names of its volumes. One that cannot be reached is forgotten.
pub(super) async fn attach(
    dispatcher: Dispatcher<Fabric>,
    defaults: Arc<Defaults>,
    params: AttachController,
) -> Result<Vec<String>, RpcError> {
    let name = params.name.clone();
    let (sender, receiver) = oneshot::channel();
    let begin = move |At { shard, env }: At<'_>| {
        let options = options(env, &defaults, &params)?;
        shard.attach(env, &params.name, options, |result| drop(sender.send(result)));
        Ok(())
    };
    dispatcher.run(begin).await?;
    let result = receiver.await.map_err(|_| NotTaken::Stopped)?;
    if let Err(AttachError::Failed(_)) = &result {
        let forget = move |At { shard, env }: At<'_>| shard.detach(env, &name).map_err(attach_error);
        dispatcher.run(forget).await?;
    }
    result.map_err(attach_error)
}

pub(super) fn detach(at: At<'_>, params: DetachController) -> Result<bool, RpcError> {
    at.shard.detach(at.env, &params.name).map_err(attach_error)?;
    Ok(true)
}

/// The call that attaches a controller again.
pub(super) fn call(attached: &Attached) -> Call {
    let options = &attached.options;
    let params = AttachController {
        name: attached.name.clone(),
        trtype: transport_name(options.transport).to_owned(),
        traddr: options.address.ip().to_string(),
        adrfam: Some(family_of(options.address.ip()).to_owned()),
        trsvcid: Some(options.address.port().to_string()),
        subnqn: Some(options.subsystem.as_str().to_owned()),
        hostnqn: Some(options.host.as_str().to_owned()),
        hostaddr: options.local.map(|local| local.to_string()),
        hdgst: Some(options.digests.header),
        ddgst: Some(options.digests.data),
        fabrics_connect_timeout_us: u64::try_from(options.connect_timeout.as_micros()).ok(),
        multipath: None,
        num_io_queues: Some(options.io_queues.into()),
        ctrlr_loss_timeout_sec: Some(options.controller_loss_timeout.map_or(-1, seconds_of)),
        reconnect_delay_sec: u32::try_from(options.reconnect_delay.as_secs()).ok().filter(|delay| *delay > 0),
        fast_io_fail_timeout_sec: options
            .fast_io_fail_timeout
            .and_then(|time| time.as_secs().try_into().ok()),
        prchk_reftag: None,
        prchk_guard: None,
        allow_unrecognized_csi: None,
        disable_sq_flow_control: None,
    };
    Call::new("bdev_nvme_attach_controller", params)
}

fn options(
    env: &mut dyn Env,
    defaults: &Defaults,
    params: &AttachController,
) -> Result<HostOptions, RpcError> {
    let transport = transport(&params.trtype)?;
    let address = socket_address(&params.traddr, params.adrfam.as_deref(), params.trsvcid.as_deref())?;
    let subsystem = params.subnqn.as_deref().ok_or_else(|| Errno::Invalid.because("subnqn is required"))?;
    let hostnqn = params.hostnqn.as_deref();
    let mut options = host_options(env, defaults, address, parse_nqn(subsystem)?, hostnqn)?;
    reach(&mut options, transport, params.hostaddr.as_deref())?;
    options.digests = Digests { header: params.hdgst.unwrap_or(false), data: params.ddgst.unwrap_or(false) };
    set(&mut options.connect_timeout, params.fabrics_connect_timeout_us.map(Duration::from_micros));
    let queues = params.num_io_queues.map(u16::try_from).transpose();
    set(&mut options.io_queues, queues.map_err(|_| Errno::Invalid.because("num_io_queues"))?);
    let (loss, delay) = (params.ctrlr_loss_timeout_sec, params.reconnect_delay_sec);
    patience(&mut options, loss, delay, params.fast_io_fail_timeout_sec);
    Ok(options)
}

/// The present defaults for a host of that name, or of one that nobody has.
pub(super) fn host_options(
    env: &mut dyn Env,
    defaults: &Defaults,
    address: SocketAddr,
    subsystem: Nqn,
    hostnqn: Option<&str>,
) -> Result<HostOptions, RpcError> {
    let host = hostnqn.map_or_else(|| Ok(Nqn::from_uuid(&random_uuid(env))), parse_nqn)?;
    let mut options = HostOptions::new(address, subsystem, host, host_id(&host));
    defaults.apply(&mut options);
    Ok(options)
}

/// Sets over what a controller is reached, and over RDMA from which address of ours.
pub(super) fn reach(
    options: &mut HostOptions,
    transport: Transport,
    hostaddr: Option<&str>,
) -> Result<(), RpcError> {
    options.transport = transport;
    options.local = match (transport, hostaddr) {
        (Transport::Tcp, Some(_)) => return Err(Errno::Invalid.because("hostaddr is for trtype RDMA")),
        (Transport::Tcp, None) => None,
        (Transport::Rdma, Some(text)) => {
            Some(text.parse().map_err(|_| Errno::Invalid.because("hostaddr is not an IP address"))?)
        }
        (Transport::Rdma, None) => {
            let none = |_| Errno::Invalid.because("no address of this machine leads to traddr");
            Some(facing(options.address.ip()).map_err(none)?)
        }
    };
    Ok(())
}

/// Whole seconds, as SPDK counts them.
pub(super) fn seconds_of(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
