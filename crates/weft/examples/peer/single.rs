//! rdma_xserver and rdma_xclient: the client sends sixteen bytes, and whoever is done first ends the connection.

use crate::local::Local;
use crate::{Ends, Trouble};
use verbs::{Access, CompletionKind, Data, Provider, ReceiveQueue, Receives, SendRequest, Transport, Work};

pub fn run(ends: &Ends) -> Result<(), Trouble> {
    let mut local = Local::open(ends.address, &ends.device)?;
    let memory = local.station.memory(u64::from(LEN), Access::LOCAL_WRITE)?;
    let receives = Receives::Own { entries: 1, sges: 1 };
    let qp = local.station.queue_pair(Transport::ReliableConnection, receives, 1, Access::NONE)?;
    local.station.receive(ReceiveQueue::Own(qp), 0, &memory, 0, LEN);
    let connection = local.connect(ends, qp)?;
    println!("connected");
    if ends.to.is_some() {
        let bytes = [7; LEN as usize];
        let request = SendRequest::new(1, Work::Send, Data::Inline(&bytes));
        local.station.device.post_send(qp, request).map_err(|rejected| rejected.why)?;
    }
    let done = local.done()?;
    let expected = if ends.to.is_some() { CompletionKind::Send } else { CompletionKind::Receive };
    if done.kind != expected || done.len != LEN {
        return Err(format!("something else was due: {done:?}").into());
    }
    local.disconnect(connection)?;
    local.close()
}

/// Bytes of the message.
const LEN: u32 = 16;
