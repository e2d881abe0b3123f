//! ucmatose: the server sends all messages, the client answers with as many, then the server ends the connection.

use crate::local::Local;
use crate::{Ends, Trouble};
use verbs::station::Buffer;
use verbs::{
    Access, CompletionKind, Data, Provider, QpId, ReceiveQueue, Receives, SendRequest, Transport, Work,
};

pub fn run(ends: &Ends) -> Result<(), Trouble> {
    let mut local = Local::open(ends.address, &ends.device)?;
    let entries = ends.count as u32;
    let memory = local.station.memory(u64::from(ends.size) * 2, Access::LOCAL_WRITE)?;
    let receives = Receives::Own { entries, sges: 1 };
    let qp = local.station.queue_pair(Transport::ReliableConnection, receives, entries, Access::NONE)?;
    for id in 0..ends.count {
        local.station.receive(ReceiveQueue::Own(qp), id, &memory, u64::from(ends.size), ends.size);
    }
    let connection = local.connect(ends, qp)?;
    println!("connected");
    if ends.to.is_some() {
        exchange(&mut local, ends, |done| done.received == ends.count, false, qp, &memory)?;
        send(&mut local, ends, qp, &memory)?;
        // The server ends the connection once it has everything, which may flush what it has acknowledged late.
        local.disconnected()?;
    } else {
        exchange(&mut local, ends, |done| *done == Tally::all(ends.count), true, qp, &memory)?;
        local.disconnect(connection)?;
    }
    local.close()
}

/// What is done.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    sent: u64,
    received: u64,
}

impl Tally {
    fn all(count: u64) -> Self {
        Self { sent: count, received: count }
    }
}

fn exchange(
    local: &mut Local,
    ends: &Ends,
    is_over: impl Fn(&Tally) -> bool,
    sends: bool,
    qp: QpId,
    memory: &Buffer,
) -> Result<(), Trouble> {
    if sends {
        send(local, ends, qp, memory)?;
    }
    let mut tally = Tally::default();
    while !is_over(&tally) {
        let done = local.done()?;
        if done.kind == CompletionKind::Receive {
            if done.len != ends.size {
                return Err(format!("{} bytes came", done.len).into());
            }
            tally.received += 1;
        } else {
            tally.sent += 1;
        }
    }
    Ok(())
}

fn send(local: &mut Local, ends: &Ends, qp: QpId, memory: &Buffer) -> Result<(), Trouble> {
    for id in 0..ends.count {
        let list = [memory.registered.sge(0, ends.size)];
        let request = SendRequest::new(id, Work::Send, Data::Gather(&list));
        local.station.device.post_send(qp, request).map_err(|rejected| rejected.why)?;
    }
    Ok(())
}
