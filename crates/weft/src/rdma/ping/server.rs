//! The server: fetches what clients lay out, and brings it back.

use super::message::{Advertisement, text, text_len};
use super::{PARAMETERS, QUEUE_ENTRIES, READ, RECEIVE, WRITE, send};
use crate::error::Failure;
use crate::output::{Style, say};
use crate::rdma::args::PingArgs;
use crate::rdma::device::{self, Local, describe_status};
use core::net::SocketAddr;
use std::collections::BTreeMap;
use stdx::env::Env;
use verbs::station::{Buffer, Happening, OWNER};
use verbs::{
    Accept, Access, Completion, ConnectionEvent, ConnectionId, ConnectionWhat, Connections, Data, Object,
    PortSpace, Provider, QpId, ReceiveQueue, Receives, SendRequest, Status, Transport, Work,
};

/// Runs the server: until its first client has gone, or with `-P` until interrupted.
pub fn run(style: &Style, args: &PingArgs, verbose: bool) -> Result<(), Failure> {
    let wanted = args.address.as_deref().map(|host| device::resolve(host, args.port)).transpose()?;
    let named = wanted.map(|address| address.ip()).filter(|address| !address.is_unspecified());
    let address = SocketAddr::new(named.map_or_else(device::outward, Ok)?, args.port);
    let mut local = device::open(&args.device, address.ip())?;
    let listening = local.device.listen(OWNER, PortSpace::Tcp, address);
    listening.map_err(|why| Failure::Connection { peer: address, why: why.to_string() })?;
    if style.json {
        say!("{}", serde_json::json!({ "listening": address }));
    } else {
        say!("serving pings at {}", style.code(&address.to_string()));
    }
    let mut server = Server {
        sessions: BTreeMap::new(),
        size: args.size.max(SIZE_MIN),
        persistent: args.persistent,
        shows: verbose && !style.json,
        debug: args.debug,
        pings: 0,
    };
    let outcome = server.serve(&mut local);
    if style.json {
        say!("{}", serde_json::json!({ "pings": server.pings }));
    }
    device::close(local, style, &args.device)?;
    match outcome {
        // That is how one that serves many is ended.
        Err(Failure::Interrupted) if args.persistent => Ok(()),
        other => other,
    }
}

/// Every client.
struct Server {
    sessions: BTreeMap<QpId, Session>,
    /// Bytes of the longest ping.
    size: u32,
    persistent: bool,
    shows: bool,
    debug: bool,
    pings: u64,
}

/// One client.
struct Session {
    connection: ConnectionId,
    peer: SocketAddr,
    /// The ping, and behind it the client's last message.
    memory: Buffer,
    turn: Turn,
    /// Bytes of the last ping.
    len: u32,
}

/// Whose turn it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    /// The client says where the next ping lies.
    Source,
    /// It is being fetched.
    Reading,
    /// The client says where it is to go.
    Sink,
    /// It is being brought.
    Writing,
}

/// A client did what it may not, or something failed: in words.
type Complaint = &'static str;

impl Server {
    fn serve(&mut self, local: &mut Local) -> Result<(), Failure> {
        let mut had_one = false;
        loop {
            if crate::signals::interrupted() {
                return Err(Failure::Interrupted);
            }
            let Some(happening) = local.next(None) else { continue };
            if self.debug {
                eprintln!("{happening:?}");
            }
            match happening {
                Happening::Done(done) => self.done(local, &done),
                Happening::Connection(event) => self.connection(local, &event)?,
            }
            had_one |= !self.sessions.is_empty();
            if had_one && self.sessions.is_empty() && !self.persistent {
                return self.say_goodbye(local);
            }
        }
    }

    fn connection(&mut self, local: &mut Local, event: &ConnectionEvent) -> Result<(), Failure> {
        match event.what {
            ConnectionWhat::Requested { peer, .. } => {
                let is_taken = !self.persistent && !self.sessions.is_empty();
                if is_taken || self.sessions.len() >= SESSIONS_MAX {
                    // It may have given up in the meantime.
                    let _ = local.device.reject(event.connection, &[]);
                    return Ok(());
                }
                self.accept(local, event.connection, peer)
            }
            ConnectionWhat::Established { .. } => Ok(()),
            ConnectionWhat::Disconnected
            | ConnectionWhat::Unreachable
            | ConnectionWhat::Rejected { .. }
            | ConnectionWhat::Resolved { .. } => {
                self.remove(local, event.connection);
                Ok(())
            }
        }
    }

    fn accept(
        &mut self,
        local: &mut Local,
        connection: ConnectionId,
        peer: SocketAddr,
    ) -> Result<(), Failure> {
        let memory = local.memory(u64::from(self.size) + Advertisement::LEN as u64, Access::LOCAL_WRITE)?;
        let receives = Receives::Own { entries: QUEUE_ENTRIES, sges: 1 };
        let qp = local.queue_pair(Transport::ReliableConnection, receives, QUEUE_ENTRIES, Access::NONE)?;
        local.receive(
            ReceiveQueue::Own(qp),
            RECEIVE,
            &memory,
            u64::from(self.size),
            Advertisement::LEN as u32,
        );
        let accept = Accept { qp, parameters: PARAMETERS, queue_key: 0, private_data: &[] };
        self.sessions.insert(qp, Session { connection, peer, memory, turn: Turn::Source, len: 0 });
        if local.device.accept(&mut local.env, OWNER, connection, &accept).is_err() {
            self.remove(local, connection);
        }
        Ok(())
    }

    fn done(&mut self, local: &mut Local, done: &Completion) {
        let Some(session) = self.sessions.get_mut(&done.qp) else { return };
        let outcome = match (done.status, done.id) {
            (Status::Success, RECEIVE) => session.told(local, done, self.size),
            (Status::Success, READ) => {
                self.pings += 1;
                if self.shows {
                    let mut bytes = vec![0; session.len as usize];
                    local.mem().read(session.memory.span.first(bytes.len()), &mut bytes);
                    say!("server ping data: {}", text(&bytes));
                }
                session.turn = Turn::Sink;
                session.go_ahead(local, done.qp)
            }
            (Status::Success, WRITE) => {
                session.turn = Turn::Source;
                session.go_ahead(local, done.qp)
            }
            (Status::Success | Status::Flushed, _) => Ok(()),
            (status, _) => Err(describe_status(status)),
        };
        if let Err(complaint) = outcome {
            eprintln!("weft: {}: {complaint}", session.peer);
            // If it has ended already, that was told.
            let _ = local.device.disconnect(session.connection);
        }
    }

    fn remove(&mut self, local: &mut Local, connection: ConnectionId) {
        let found = self.sessions.iter().find(|(_, session)| session.connection == connection);
        if let Some(qp) = found.map(|(qp, _)| *qp)
            && let Some(session) = self.sessions.remove(&qp)
        {
            // It is ours, so it is there.
            let _ = local.device.destroy(&mut local.env, Object::Qp(qp));
            local.forget(&session.memory);
        }
        local.device.release(connection);
    }

    /// The client may not have heard our answer to its goodbye, and say it again.
    fn say_goodbye(&self, local: &mut Local) -> Result<(), Failure> {
        let until = local.env.now() + local.device.config().time_wait;
        while local.next(Some(until)).is_some() {}
        Ok(())
    }
}

impl Session {
    /// The client told where memory lies.
    fn told(&mut self, local: &mut Local, done: &Completion, size: u32) -> Result<(), Complaint> {
        if done.len as usize != Advertisement::LEN {
            return Err("a message that is none of a ping's");
        }
        let mut bytes = [0; Advertisement::LEN];
        local.mem().read(self.memory.span.from(size as usize), &mut bytes);
        let Advertisement { at, len } = Advertisement::decode(&bytes);
        let queue = ReceiveQueue::Own(done.qp);
        local.receive(queue, RECEIVE, &self.memory, u64::from(size), Advertisement::LEN as u32);
        let (id, work, len) = match self.turn {
            Turn::Source if len > size => return Err("the ping is longer than -S allows here"),
            Turn::Source => (READ, Work::Read(at), len),
            Turn::Sink => {
                // As rping has it: the text and its zero.
                let mut ping = vec![0; self.len as usize];
                local.mem().read(self.memory.span.first(ping.len()), &mut ping);
                let wanted = (text_len(&ping) as u32 + 1).min(self.len).min(len);
                (WRITE, Work::Write(at), wanted)
            }
            Turn::Reading | Turn::Writing => return Err("a message out of turn"),
        };
        self.turn = if id == READ { Turn::Reading } else { Turn::Writing };
        if id == READ {
            self.len = len;
        }
        let list = [self.memory.registered.sge(0, len)];
        let request = SendRequest::new(id, work, Data::Gather(&list));
        local.device.post_send(done.qp, request).map_err(|_| "the queue pair takes no more work")
    }

    fn go_ahead(&self, local: &mut Local, qp: QpId) -> Result<(), Complaint> {
        let bytes = [0; Advertisement::LEN];
        local.device.post_send(qp, send(&bytes)).map_err(|_| "the queue pair takes no more work")
    }
}

/// Every server takes pings of so many bytes.
const SIZE_MIN: u32 = 64 << 10;
/// Clients at once.
const SESSIONS_MAX: usize = 256;
