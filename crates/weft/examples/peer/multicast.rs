//! mckey: datagrams to every member of a group, from the sender or to a member.

use crate::datagrams::{SENDER_LEN, queue_pair};
use crate::local::Local;
use crate::{Device, Trouble};
use clap::Args;
use core::net::IpAddr;
use verbs::station::{DATAGRAM_QUEUE_KEY, Station};
use verbs::{Access, Data, Destination, MULTICAST_QPN, Provider, QpId, ReceiveQueue, SendRequest, Work};

/// The options.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The address of the device
    #[arg(long)]
    address: IpAddr,
    /// The group
    #[arg(long)]
    group: IpAddr,
    /// Be a member, and receive
    #[arg(long)]
    member: bool,
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
    if arguments.member {
        receive(&mut local, arguments, qp)?;
    } else {
        send(&mut local, arguments, qp)?;
    }
    local.close()
}

fn send(local: &mut Local, arguments: &Arguments, qp: QpId) -> Result<(), Trouble> {
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
    Ok(())
}

fn receive(local: &mut Local, arguments: &Arguments, qp: QpId) -> Result<(), Trouble> {
    let room = SENDER_LEN + arguments.size;
    let memory = local.station.memory(u64::from(room), Access::LOCAL_WRITE)?;
    for id in 0..arguments.count {
        local.station.receive(ReceiveQueue::Own(qp), id, &memory, 0, room);
    }
    let Station { env, device, .. } = &mut local.station;
    device.attach(env, qp, arguments.group)?;
    println!("listening at {}", arguments.group);
    for _ in 0..arguments.count {
        let done = local.done()?;
        if done.len != room {
            return Err(format!("{} bytes came", done.len).into());
        }
    }
    Ok(())
}
