//! udaddy: the client finds the server's datagram queue pair by its port (SIDR) and sends; the server answers each client with
//! as many datagrams. Every datagram carries its sender's queue pair number.

use crate::local::Local;
use crate::{Ends, Trouble};
use core::net::SocketAddr;
use stdx::env::Env;
use verbs::station::{Buffer, DATAGRAM_QUEUE_KEY, OWNER, Station};
use verbs::{
    Accept, Access, Completion, CompletionKind, Connect, ConnectionWhat, Connections, Data, Destination,
    Parameters, PortSpace, Provider, QpId, ReceiveQueue, Receives, SendRequest, Transition, Transport, Work,
};

pub fn run(ends: &Ends) -> Result<(), Trouble> {
    let mut local = Local::open(ends.address, &ends.device)?;
    let room = ends.size + SENDER_LEN;
    let memory = local.station.memory(u64::from(room), Access::LOCAL_WRITE)?;
    let qp = queue_pair(&mut local, ends.count as u32)?;
    for id in 0..ends.count {
        local.station.receive(ReceiveQueue::Own(qp), id, &memory, 0, room);
    }
    match ends.to {
        Some(to) => {
            let to = resolve(&mut local, to)?;
            println!("resolved");
            send(&mut local, ends, qp, &memory, to)?;
            wait(&mut local, ends, ends.count * 2, &mut None)?;
        }
        None => {
            serve(&mut local, ends, qp)?;
            let mut first = None;
            wait(&mut local, ends, ends.count, &mut first)?;
            let to = first.as_ref().and_then(sender).ok_or("a datagram without its sender")?;
            send(&mut local, ends, qp, &memory, to)?;
            wait(&mut local, ends, ends.count, &mut first)?;
        }
    }
    local.close()
}

/// A datagram queue pair that sends.
pub fn queue_pair(local: &mut Local, entries: u32) -> Result<QpId, Trouble> {
    let receives = Receives::Own { entries, sges: 1 };
    let qp = local.station.queue_pair(Transport::UnreliableDatagram, receives, entries, Access::NONE)?;
    let psn = local.station.env.entropy() as u32 & 0xff_ffff;
    let ready = Transition::ReadyToSend {
        psn,
        ack_timeout: 0,
        retry_count: 0,
        rnr_retry_count: 0,
        initiator_depth: 0,
    };
    local.station.device.modify_qp(qp, &Transition::ReadyToReceive(None))?;
    local.station.device.modify_qp(qp, &ready)?;
    Ok(qp)
}

fn resolve(local: &mut Local, to: SocketAddr) -> Result<Destination, Trouble> {
    let space = PortSpace::Udp;
    let parameters = Parameters::default();
    let connect = Connect { space, to, from: None, qp: None, parameters, private_data: &[] };
    let Station { env, device, .. } = &mut local.station;
    device.connect(env, OWNER, &connect)?;
    match local.event()?.what {
        ConnectionWhat::Resolved { to, .. } => Ok(to),
        what => Err(format!("not found: {what:?}").into()),
    }
}

fn serve(local: &mut Local, ends: &Ends, qp: QpId) -> Result<(), Trouble> {
    local.listen(PortSpace::Udp, SocketAddr::new(ends.address, ends.port))?;
    let event = local.event()?;
    let ConnectionWhat::Requested { .. } = event.what else {
        return Err(format!("a request was due: {event:?}").into());
    };
    let parameters = Parameters::default();
    let accept = Accept { qp, parameters, queue_key: DATAGRAM_QUEUE_KEY, private_data: &[] };
    let Station { env, device, .. } = &mut local.station;
    Ok(device.accept(env, OWNER, event.connection, &accept)?)
}

fn send(local: &mut Local, ends: &Ends, qp: QpId, memory: &Buffer, to: Destination) -> Result<(), Trouble> {
    let own = local.station.device.query_qp(qp).ok_or("no queue pair")?.qpn;
    for id in 0..ends.count {
        let list = [memory.registered.sge(u64::from(SENDER_LEN), ends.size)];
        let work = Work::Datagram { to, immediate: Some(own) };
        let request = SendRequest::new(id, work, Data::Gather(&list));
        local.station.device.post_send(qp, request).map_err(|rejected| rejected.why)?;
    }
    Ok(())
}

/// Waits for so many completions; keeps the first datagram's.
fn wait(local: &mut Local, ends: &Ends, count: u64, first: &mut Option<Completion>) -> Result<(), Trouble> {
    for _ in 0..count {
        let done = local.done()?;
        if done.kind == CompletionKind::Receive {
            if done.len != ends.size + SENDER_LEN {
                return Err(format!("{} bytes came", done.len).into());
            }
            first.get_or_insert(done);
        }
    }
    Ok(())
}

/// Whom to answer: the queue pair that the datagram names.
fn sender(done: &Completion) -> Option<Destination> {
    let address = done.origin?.address;
    Some(Destination { address, qpn: done.immediate?, queue_key: DATAGRAM_QUEUE_KEY })
}

/// Bytes about the sender before each datagram.
pub const SENDER_LEN: u32 = 40;
