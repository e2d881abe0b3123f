//! The end that is measured against: it lends memory, takes messages, and counts them.

use super::message::{self, Message, Place, Plan};
use super::{ACCESS, CONTROL, PARAMETERS, SENDER_LEN, SIZE_MAX, UNACKNOWLEDGED, raise};
use crate::error::Failure;
use crate::output::{Style, say};
use crate::rdma::args::{DeviceArgs, Operation, Service};
use crate::rdma::device::{self, Local};
use core::net::{IpAddr, SocketAddr};
use stdx::env::Env;
use verbs::station::{Buffer, DATAGRAM_QUEUE_KEY, Happening, OWNER};
use verbs::{
    Accept, Access, Completion, CompletionKind, ConnectionEvent, ConnectionId, ConnectionWhat, Connections,
    Data, Destination, Object, PortSpace, Provider, QpId, ReceiveQueue, Receives, Remote, SendRequest,
    Status, Work,
};

/// Serves one client after the other until interrupted; without `stays` the first alone.
pub fn run(style: &Style, args: &DeviceArgs, address: SocketAddr, stays: bool) -> Result<(), Failure> {
    let mut local = device::open(args, address.ip())?;
    let listening = local.device.listen(OWNER, PortSpace::Tcp, address);
    listening.map_err(|why| Failure::Connection { peer: address, why: why.to_string() })?;
    if stays {
        say!("serving measurements at {}", style.code(&address.to_string()));
    }
    let mut client = None;
    let outcome = loop {
        if crate::signals::interrupted() {
            break if stays { Ok(()) } else { Err(Failure::Interrupted) };
        }
        let one = |client: &Option<Client>| client.as_ref().map(|client| client.connection);
        let had = one(&client);
        if let Some(happening) = local.next(None)
            && let Err(failure) = handle(&mut local, &mut client, happening)
        {
            // What one client did wrong is no reason to leave the next without a server.
            eprintln!("weft: {failure}");
            end(&mut local, &mut client);
        }
        if had.is_some() && one(&client) != had && !stays {
            break Ok(());
        }
    };
    device::close(local, style, args)?;
    outcome
}

/// A client.
struct Client {
    connection: ConnectionId,
    peer: IpAddr,
    control: QpId,
    inbox: Buffer,
    data: Option<Measured>,
}

/// The queue pair that is measured, and its memory.
struct Measured {
    plan: Plan,
    qp: QpId,
    memory: Buffer,
    to: Destination,
    /// Messages that came.
    arrived: u64,
}

fn handle(local: &mut Local, client: &mut Option<Client>, happening: Happening) -> Result<(), Failure> {
    match (happening, &mut *client) {
        (Happening::Connection(event), _) => connection(local, client, &event),
        (Happening::Done(done), Some(client)) => client.done(local, &done),
        // Of a client that has gone.
        (Happening::Done(_), None) => Ok(()),
    }
}

fn connection(
    local: &mut Local,
    client: &mut Option<Client>,
    event: &ConnectionEvent,
) -> Result<(), Failure> {
    match event.what {
        ConnectionWhat::Requested { peer, .. } if client.is_none() => {
            let control = local.queue_pair(Service::Rc.transport(), CONTROL, 4, Access::NONE)?;
            let inbox = local.memory(message::LEN as u64, Access::LOCAL_WRITE)?;
            local.receive(ReceiveQueue::Own(control), 0, &inbox, 0, message::LEN as u32);
            let (connection, peer) = (event.connection, peer.ip());
            *client = Some(Client { connection, peer, control, inbox, data: None });
            let accept = Accept { qp: control, parameters: PARAMETERS, queue_key: 0, private_data: &[] };
            // If the client has given up in the meantime, that is told.
            let _ = local.device.accept(&mut local.env, OWNER, connection, &accept);
        }
        ConnectionWhat::Requested { .. } => {
            // One measurement would disturb the other. It may have given up in the meantime.
            let _ = local.device.reject(event.connection, &[]);
        }
        ConnectionWhat::Established { .. } => {}
        ConnectionWhat::Resolved { .. }
        | ConnectionWhat::Rejected { .. }
        | ConnectionWhat::Unreachable
        | ConnectionWhat::Disconnected => {
            if client.as_ref().is_some_and(|client| client.connection == event.connection) {
                let next = linger(local);
                end(local, client);
                if let Some(next) = next {
                    return connection(local, client, &next);
                }
            }
        }
    }
    Ok(())
}

/// The client may not have heard our answer to its goodbye, and say it again. Who comes meanwhile is next.
fn linger(local: &mut Local) -> Option<ConnectionEvent> {
    let until = local.env.now() + local.device.config().time_wait;
    while let Some(happening) = local.next(Some(until)) {
        if let Happening::Connection(event) = happening
            && matches!(event.what, ConnectionWhat::Requested { .. })
        {
            return Some(*event);
        }
    }
    None
}

fn end(local: &mut Local, client: &mut Option<Client>) {
    let Some(client) = client.take() else { return };
    local.device.release(client.connection);
    let measured = client.data.map(|data| (data.qp, data.memory));
    for (qp, memory) in [Some((client.control, client.inbox)), measured].into_iter().flatten() {
        // It is ours, so it is there.
        let _ = local.device.destroy(&mut local.env, Object::Qp(qp));
        local.forget(&memory);
    }
}

impl Client {
    fn done(&mut self, local: &mut Local, done: &Completion) -> Result<(), Failure> {
        if done.qp == self.control {
            return match (done.kind, done.status) {
                (CompletionKind::Receive, Status::Success) => self.told(local, done.len),
                _ => Ok(()),
            };
        }
        let Some(data) = self.data.as_mut().filter(|data| data.qp == done.qp) else { return Ok(()) };
        match (done.kind, done.status) {
            (CompletionKind::Receive, Status::Success) => data.arrive(local),
            (_, Status::Success | Status::Flushed) => Ok(()),
            (_, status) => Err(Failure::Work { what: "measuring", status }),
        }
    }

    fn told(&mut self, local: &mut Local, len: u32) -> Result<(), Failure> {
        let mut bytes = [0; message::LEN];
        local.mem().read(self.inbox.span, &mut bytes);
        local.receive(ReceiveQueue::Own(self.control), 0, &self.inbox, 0, message::LEN as u32);
        let message = if len as usize == message::LEN { Message::decode(&bytes).ok() } else { None };
        let answer = match message {
            Some(Message::Plan(plan, place)) if self.data.is_none() && is_possible(local, &plan) => {
                self.prepare(local, plan, &place)?
            }
            Some(Message::Over) => Message::Arrived(self.data.as_ref().map_or(0, |data| data.arrived)),
            _ => {
                // It learns of it by the connection's end.
                let _ = local.device.disconnect(self.connection);
                return Ok(());
            }
        };
        let bytes = answer.encode();
        let request = SendRequest::new(0, Work::Send, Data::Inline(&bytes));
        // A client that sends too many messages finds its answer missing.
        let _ = local.device.post_send(self.control, request);
        Ok(())
    }

    /// Makes the queue pair that is measured.
    fn prepare(&mut self, local: &mut Local, plan: Plan, theirs: &Place) -> Result<Message, Failure> {
        let memory = local.memory(u64::from(plan.size + SENDER_LEN), ACCESS)?;
        let entries = plan.depth * 2;
        let receives = Receives::Own { entries, sges: 1 };
        let sends = plan.depth + UNACKNOWLEDGED;
        let qp = local.queue_pair(plan.service.transport(), receives, sends, Access::REMOTE)?;
        let psn = local.env.entropy() as u32 & 0xff_ffff;
        raise(local, qp, plan.service, psn, self.peer, theirs)?;
        let to = Destination { address: self.peer, qpn: theirs.qpn, queue_key: DATAGRAM_QUEUE_KEY };
        let data = Measured { plan, qp, memory, to, arrived: 0 };
        if plan.op == Operation::Send {
            (0..entries).for_each(|_| data.receive(local));
        }
        let Some(qpn) = local.device.query_qp(qp).map(|info| info.qpn) else { return Ok(Message::Over) };
        let mtu = local.device.config().mtu;
        let at = Remote { address: memory.registered.address, key: memory.registered.key };
        self.data = Some(data);
        Ok(Message::Ready(Place { qpn, psn, mtu }, at))
    }
}

impl Measured {
    fn receive(&self, local: &mut Local) {
        local.receive(ReceiveQueue::Own(self.qp), 0, &self.memory, 0, self.plan.size + SENDER_LEN);
    }

    fn arrive(&mut self, local: &mut Local) -> Result<(), Failure> {
        self.arrived += 1;
        self.receive(local);
        if !self.plan.echoes {
            return Ok(());
        }
        let list = [self.memory.registered.sge(u64::from(SENDER_LEN), self.plan.size)];
        let work = match self.plan.service {
            Service::Rc | Service::Uc => Work::Send,
            Service::Ud => Work::Datagram { to: self.to, immediate: None },
        };
        let request = SendRequest { signaled: false, ..SendRequest::new(0, work, Data::Gather(&list)) };
        let posted = local.device.post_send(self.qp, request);
        posted.map_err(|_| Failure::Refused(verbs::CreateError::Limit))
    }
}

/// What the client wants is within what we lend.
fn is_possible(local: &Local, plan: &Plan) -> bool {
    let packet = local.device.config().mtu.bytes();
    let is_datagram = plan.service == Service::Ud;
    let size = 1..=if is_datagram { packet } else { SIZE_MAX as u32 };
    size.contains(&plan.size) && (1..=DEPTH_MAX).contains(&plan.depth)
}

/// Messages under way at once.
const DEPTH_MAX: u32 = 1024;
