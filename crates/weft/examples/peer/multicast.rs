//! mckey: datagrams to every member of a group.

use crate::datagrams::queue_pair;
use crate::local::Local;
use crate::{Device, Trouble};
use clap::Args;
use core::net::IpAddr;
use verbs::station::DATAGRAM_QUEUE_KEY;
use verbs::{Access, Data, Destination, Provider, SendRequest, Work};
use wire::roce::MULTICAST_QPN;

/// The options.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The address of the device
    #[arg(long)]
    address: IpAddr,
    /// The group
    #[arg(long)]
    group: IpAddr,
    /// Datagrams
    #[arg(short = 'C', long, default_value_t = 10)]
    count: u64,
    /// Bytes of a datagram
    #[arg(short = 'S', long, default_value_t = 100)]
    size: u32,
    #[command(flatten)]
    device: Device,
}

pub fn run(arguments: &Arguments) -> Result<(), Trouble> {
    let mut local = Local::open(arguments.address, &arguments.device)?;
    let qp = queue_pair(&mut local, arguments.count as u32)?;
    let memory = local.station.memory(u64::from(arguments.size), Access::LOCAL_WRITE)?;
    let own = local.station.device.query_qp(qp).ok_or("no queue pair")?.qpn;
    let to = Destination { address: arguments.group, qpn: MULTICAST_QPN, queue_key: DATAGRAM_QUEUE_KEY };
    for id in 0..arguments.count {
        let list = [memory.registered.sge(0, arguments.size)];
        let work = Work::Datagram { to, immediate: Some(own) };
        let request = SendRequest::new(id, work, Data::Gather(&list));
        local.station.device.post_send(qp, request).map_err(|rejected| rejected.why)?;
    }
    for _ in 0..arguments.count {
        local.done()?;
    }
    local.close()
}
