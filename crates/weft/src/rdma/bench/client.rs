//! The end that measures.

use super::load::Load;
use super::message::{self, Message, Place, Plan};
use super::report::Report;
use super::{ACCESS, CONTROL, PARAMETERS, SENDER_LEN, UNACKNOWLEDGED, raise};
use crate::error::Failure;
use crate::output::{Progress, Style};
use crate::rdma::args::{BenchArgs, Operation, Service};
use crate::rdma::device::{self, Local};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use stdx::env::Env;
use verbs::station::{Buffer, DATAGRAM_QUEUE_KEY, Happening, OWNER};
use verbs::{
    Access, CompletionKind, Connect, ConnectionId, ConnectionWhat, Connections, Data, Destination, PortSpace,
    Provider, QpId, ReceiveQueue, Receives, SendRequest, Status, Work,
};

/// Measures against the server at an address.
pub fn run(style: &Style, args: &BenchArgs, server: SocketAddr) -> Result<(), Failure> {
    run_from(style, args, device::facing(server.ip())?, server)
}

/// The same from an address of ours.
pub fn run_from(style: &Style, args: &BenchArgs, ours: IpAddr, server: SocketAddr) -> Result<(), Failure> {
    let mut local = device::open(&args.device, ours)?;
    let packet = local.device.config().mtu.bytes();
    if args.service == Service::Ud && args.size > u64::from(packet) {
        return Err(Failure::Usage(format!("a datagram is of at most {packet} bytes here")));
    }
    let mut control = Control::connect(&mut local, server)?;
    let outcome = measure(style, args, &mut local, &mut control);
    control.disconnect(&mut local);
    let report = outcome?;
    report.print(style, args.histogram);
    device::close(local, style, &args.device)
}

fn measure(
    style: &Style,
    args: &BenchArgs,
    local: &mut Local,
    control: &mut Control,
) -> Result<Report, Failure> {
    let depth = if args.latency { 1 } else { u32::from(args.depth) };
    let echoes = args.latency && args.op == Operation::Send;
    let plan = Plan { op: args.op, service: args.service, size: args.size as u32, depth, echoes };
    let memory = local.memory(u64::from(plan.size + SENDER_LEN), ACCESS)?;
    let receives = Receives::Own { entries: 2, sges: 1 };
    let sends = depth + UNACKNOWLEDGED;
    let qp = local.queue_pair(plan.service.transport(), receives, sends, Access::REMOTE)?;
    let qpn = local.device.query_qp(qp).map_or(0, |info| info.qpn);
    let (psn, mtu) = (local.env.entropy() as u32 & 0xff_ffff, local.device.config().mtu);
    control.say(local, &Message::Plan(plan, Place { qpn, psn, mtu }))?;
    let Message::Ready(theirs, remote) = control.hear(local)? else {
        return Err(control.ended(&message::Unknown.to_string()));
    };
    let peer = control.server.ip();
    raise(local, qp, plan.service, psn, peer, &theirs)?;
    let to = Destination { address: peer, qpn: theirs.qpn, queue_key: DATAGRAM_QUEUE_KEY };
    let mut load = Load::new(plan, qp, memory, remote, to);
    let progress = Progress::time(style, "measuring", args.seconds.as_millis() as u64);
    let warm_up = (args.seconds / 10).min(Duration::from_secs(1));
    load.run(local, warm_up, &progress)?;
    let before = control.arrived(local)?;
    load.reset();
    load.run(local, args.seconds, &progress)?;
    let arrived = control.arrived(local)? - before;
    progress.finish();
    Ok(Report::new(args, control.server, &load, arrived))
}

/// The connection on which the ends agree.
struct Control {
    server: SocketAddr,
    connection: ConnectionId,
    qp: QpId,
    inbox: Buffer,
}

impl Control {
    fn connect(local: &mut Local, server: SocketAddr) -> Result<Self, Failure> {
        let qp = local.queue_pair(Service::Rc.transport(), CONTROL, 4, Access::NONE)?;
        let inbox = local.memory(message::LEN as u64, Access::LOCAL_WRITE)?;
        local.receive(ReceiveQueue::Own(qp), 0, &inbox, 0, message::LEN as u32);
        let connect = Connect {
            space: PortSpace::Tcp,
            to: server,
            from: None,
            qp: Some(qp),
            parameters: PARAMETERS,
            private_data: &[],
        };
        let connection = local.device.connect(&mut local.env, OWNER, &connect);
        let ended = |why: String| Failure::Connection { peer: server, why };
        let connection = connection.map_err(|why| ended(why.to_string()))?;
        let control = Self { server, connection, qp, inbox };
        loop {
            if let Happening::Connection(event) = control.next(local)? {
                return match event.what {
                    ConnectionWhat::Established { .. } => Ok(control),
                    ConnectionWhat::Rejected { .. } => {
                        Err(ended("no server, or it is busy: start `weft rdma bench --server` there".into()))
                    }
                    _ => Err(ended("no answer: does UDP port 4791 get through?".into())),
                };
            }
        }
    }

    fn say(&self, local: &mut Local, message: &Message) -> Result<(), Failure> {
        let bytes = message.encode();
        let request = SendRequest::new(0, Work::Send, Data::Inline(&bytes));
        let posted = local.device.post_send(self.qp, request);
        posted.map_err(|rejected| self.ended(&rejected.why.to_string()))
    }

    fn hear(&self, local: &mut Local) -> Result<Message, Failure> {
        loop {
            let done = match self.next(local)? {
                Happening::Done(done) if done.qp == self.qp => done,
                // What comes late of a measurement counts no more.
                Happening::Done(_) => continue,
                Happening::Connection(_) => {
                    return Err(self.ended("the server does not take this measurement"));
                }
            };
            if done.status != Status::Success {
                return Err(Failure::Work { what: "agreeing with the server", status: done.status });
            }
            if done.kind == CompletionKind::Receive {
                let mut bytes = [0; message::LEN];
                local.mem().read(self.inbox.span, &mut bytes);
                local.receive(ReceiveQueue::Own(self.qp), 0, &self.inbox, 0, message::LEN as u32);
                return Message::decode(&bytes).map_err(|why| self.ended(&why.to_string()));
            }
        }
    }

    /// How many messages have come to the server.
    fn arrived(&self, local: &mut Local) -> Result<u64, Failure> {
        self.say(local, &Message::Over)?;
        match self.hear(local)? {
            Message::Arrived(count) => Ok(count),
            Message::Plan(..) | Message::Ready(..) | Message::Over => {
                Err(self.ended(&message::Unknown.to_string()))
            }
        }
    }

    fn next(&self, local: &mut Local) -> Result<Happening, Failure> {
        loop {
            if let Some(happening) = local.next(None) {
                return Ok(happening);
            }
            if crate::signals::interrupted() {
                return Err(Failure::Interrupted);
            }
        }
    }

    fn disconnect(&self, local: &mut Local) {
        let until = local.env.now() + GOODBYE;
        if local.device.disconnect(self.connection).is_err() {
            return;
        }
        while let Some(happening) = local.next(Some(until)) {
            if let Happening::Connection(event) = happening
                && event.what == ConnectionWhat::Disconnected
            {
                return;
            }
        }
    }

    fn ended(&self, why: &str) -> Failure {
        Failure::Connection { peer: self.server, why: why.to_owned() }
    }
}

/// How long the server may take to hear that we go.
const GOODBYE: Duration = Duration::from_secs(4);
