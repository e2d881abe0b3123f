//! The client: lays out a ping, has the server fetch it and bring it back.

use super::message::{Advertisement, fill, text};
use super::{PARAMETERS, QUEUE_ENTRIES, RECEIVE, send};
use crate::error::Failure;
use crate::output::latency::{self, Latency};
use crate::output::{Style, say};
use crate::rdma::args::PingArgs;
use crate::rdma::device::{self, Local};
use core::net::SocketAddr;
use hdrhistogram::Histogram;
use std::time::Instant;
use stdx::env::Env;
use verbs::station::{Buffer, Happening, OWNER};
use verbs::{
    Access, Completion, Connect, ConnectionId, ConnectionWhat, Connections, PortSpace, Provider, QpId,
    ReceiveQueue, Receives, Rejection, Status, Transport,
};

/// Runs the client to its end.
pub fn run(style: &Style, args: &PingArgs, verbose: bool) -> Result<(), Failure> {
    let server = device::resolve(args.address.as_deref().unwrap_or_default(), args.port)?;
    let ours = args.source.map_or_else(|| device::facing(server.ip()), Ok)?;
    let mut local = device::open(&args.device, ours)?;
    let mut client = Client::new(&mut local, args, server)?;
    client.connect(&mut local)?;
    let outcome = client.ping(&mut local, args.count, verbose && !style.json);
    client.disconnect(&mut local);
    client.report(style);
    device::close(local, style, &args.device)?;
    outcome
}

/// One connection, and what is pinged over it.
struct Client {
    server: SocketAddr,
    qp: QpId,
    connection: Option<ConnectionId>,
    /// The ping.
    source: Buffer,
    /// Where it comes back to.
    sink: Buffer,
    /// Where messages come to.
    inbox: Buffer,
    validates: bool,
    debug: bool,
    /// Nanoseconds there and back.
    times: Histogram<u64>,
    bytes: Vec<u8>,
}

impl Client {
    fn new(local: &mut Local, args: &PingArgs, server: SocketAddr) -> Result<Self, Failure> {
        let len = u64::from(args.size);
        let access = Access::LOCAL_WRITE.with(Access::REMOTE_READ).with(Access::REMOTE_WRITE);
        let (source, sink) = (local.memory(len, access)?, local.memory(len, access)?);
        let inbox = local.memory(Advertisement::LEN as u64, Access::LOCAL_WRITE)?;
        let receives = Receives::Own { entries: QUEUE_ENTRIES, sges: 1 };
        let qp = local.queue_pair(Transport::ReliableConnection, receives, QUEUE_ENTRIES, Access::REMOTE)?;
        local.receive(ReceiveQueue::Own(qp), RECEIVE, &inbox, 0, Advertisement::LEN as u32);
        let times = latency::histogram();
        let (validates, debug) = (args.validate, args.debug);
        let bytes = vec![0; args.size as usize];
        Ok(Self { server, qp, connection: None, source, sink, inbox, validates, debug, times, bytes })
    }

    fn connect(&mut self, local: &mut Local) -> Result<(), Failure> {
        let connect = Connect {
            space: PortSpace::Tcp,
            to: self.server,
            from: None,
            qp: Some(self.qp),
            parameters: PARAMETERS,
            private_data: &[],
        };
        let connection = local.device.connect(&mut local.env, OWNER, &connect);
        self.connection = Some(connection.map_err(|why| self.ended(&why.to_string()))?);
        loop {
            match self.next(local)? {
                Happening::Connection(event) => match event.what {
                    ConnectionWhat::Established { .. } => return Ok(()),
                    what => return Err(self.refused(&what)),
                },
                Happening::Done(_) => {}
            }
        }
    }

    fn ping(&mut self, local: &mut Local, count: u32, shows: bool) -> Result<(), Failure> {
        let numbers = if count == 0 { 0..u32::MAX } else { 0..count };
        for number in numbers {
            fill(&mut self.bytes, number);
            let (source, sink) = (self.source, self.sink);
            local.mem().write(source.span, &self.bytes);
            let began = Instant::now();
            for buffer in [source, sink] {
                let bytes = Advertisement::of(&buffer.registered).encode();
                let posted = local.device.post_send(self.qp, send(&bytes));
                posted.map_err(|rejected| self.ended(&rejected.why.to_string()))?;
                self.wait_for_go_ahead(local)?;
            }
            self.times.saturating_record(began.elapsed().as_nanos() as u64);
            if self.validates
                && let Some(offset) = local.mem().first_difference(source.span, sink.span)
            {
                return Err(Failure::Differ { offset: offset as u64 });
            }
            if shows {
                local.mem().read(sink.span, &mut self.bytes);
                say!("ping data: {}", text(&self.bytes));
            }
        }
        Ok(())
    }

    fn wait_for_go_ahead(&mut self, local: &mut Local) -> Result<(), Failure> {
        loop {
            let Completion { status, id, len, .. } = match self.next(local)? {
                Happening::Done(done) => done,
                Happening::Connection(_) => return Err(self.ended("the server ended the connection")),
            };
            if status != Status::Success {
                return Err(Failure::Work { what: "ping", status });
            }
            if id != RECEIVE {
                continue;
            }
            if len as usize != Advertisement::LEN {
                return Err(self.ended("the server sent something else than a ping's message"));
            }
            let (qp, inbox) = (ReceiveQueue::Own(self.qp), self.inbox);
            local.receive(qp, RECEIVE, &inbox, 0, Advertisement::LEN as u32);
            return Ok(());
        }
    }

    /// Tells the server, and waits until it knows.
    fn disconnect(&self, local: &mut Local) {
        let Some(connection) = self.connection else { return };
        if local.device.disconnect(connection).is_err() {
            return;
        }
        let until = local.env.now() + GOODBYE;
        while let Some(happening) = local.next(Some(until)) {
            if let Happening::Connection(event) = happening
                && event.what == ConnectionWhat::Disconnected
            {
                return;
            }
        }
    }

    fn next(&self, local: &mut Local) -> Result<Happening, Failure> {
        loop {
            if let Some(happening) = local.next(None) {
                if self.debug {
                    eprintln!("{happening:?}");
                }
                return Ok(happening);
            }
            if crate::signals::interrupted() {
                return Err(Failure::Interrupted);
            }
        }
    }

    fn refused(&self, what: &ConnectionWhat) -> Failure {
        let why = match what {
            ConnectionWhat::Rejected { why: Rejection::NoListener, .. } => {
                "nobody listens on this port: start `weft rdma ping -s` or `rping -s` there".to_owned()
            }
            ConnectionWhat::Rejected { why: Rejection::Consumer, .. } => {
                "the server said no; it may be serving another client (-P serves many)".to_owned()
            }
            ConnectionWhat::Rejected { why: Rejection::Other(reason), .. } => {
                format!("the connection was refused, reason {reason}")
            }
            ConnectionWhat::Unreachable => {
                "no answer: is there an RDMA device, and does UDP port 4791 get through?".to_owned()
            }
            ConnectionWhat::Disconnected => "the server ended the connection".to_owned(),
            ConnectionWhat::Requested { .. }
            | ConnectionWhat::Established { .. }
            | ConnectionWhat::Resolved { .. } => "the server answered something else".to_owned(),
        };
        self.ended(&why)
    }

    fn ended(&self, why: &str) -> Failure {
        Failure::Connection { peer: self.server, why: why.to_owned() }
    }

    fn report(&self, style: &Style) {
        let (pings, bytes) = (self.times.len(), self.bytes.len());
        let latency = Latency::of(&self.times);
        if style.json {
            let report = serde_json::json!({ "pings": pings, "size_bytes": bytes, "latency_us": latency });
            say!("{report}");
        } else if pings > 0 {
            say!("{}  {pings} x {bytes} B, there and back", self.server);
            latency.print(style);
        }
    }
}

/// How long the server may take to hear that we go.
const GOODBYE: core::time::Duration = core::time::Duration::from_secs(4);
