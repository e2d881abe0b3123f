//! Showing the controllers.

use std::net::SocketAddr;

use engine::Attached;
use nvme::Transport;
use wire::nvme::Nqn;

use super::params::{Controller, GetControllers, HostId, Path, TransportId};
use crate::error::{Errno, RpcError};
use crate::fabric::At;
use crate::methods::nvmf::{family_of, transport_name};

pub(super) fn get_controllers(at: At<'_>, params: GetControllers) -> Result<Vec<Controller>, RpcError> {
    let hosts = at.shard.hosts();
    match &params.name {
        Some(name) => Ok(vec![show(hosts.get(name).ok_or(Errno::NoDevice)?)]),
        None => Ok(hosts.iter().map(show).collect()),
    }
}

fn show(attached: &Attached) -> Controller {
    let options = &attached.options;
    let state = match (attached.failure(), attached.host.is_live()) {
        (Some(_), _) => "failed",
        (None, true) => "enabled",
        (None, false) => "resetting",
    };
    let path = Path {
        state,
        trid: transport_id(options.transport, options.address, &options.subsystem),
        cntlid: attached.host.controller_id(),
        host: HostId { nqn: options.host.as_str().to_owned() },
    };
    Controller { name: attached.name.clone(), ctrlrs: vec![path] }
}

pub(super) fn transport_id(transport: Transport, address: SocketAddr, subsystem: &Nqn) -> TransportId {
    TransportId {
        trtype: transport_name(transport),
        adrfam: family_of(address.ip()),
        traddr: address.ip().to_string(),
        trsvcid: address.port().to_string(),
        subnqn: subsystem.as_str().to_owned(),
    }
}
