//! This end's device, and waiting for what is to happen next.

use crate::{Device, Ends, Trouble};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use rdma::{Config, Recorder, SoftDevice};
use reactor::{Options, Reactor};
use std::collections::VecDeque;
use std::fs::File;
use std::io::BufWriter;
use stdx::env::Env;
use stdx::mem::MemoryLimits;
use verbs::station::{Happening, OWNER, Station};
use verbs::{
    Accept, Completion, Connect, ConnectionEvent, ConnectionId, ConnectionWhat, Connections, Parameters,
    PortSpace, QpId, Status,
};

/// A device with all it needs.
pub struct Local {
    /// The device, and the environment it lives in.
    pub station: Station<Reactor, SoftDevice>,
    /// Work that was done while something else was waited for: a message may come before the connection is known to be there.
    kept: VecDeque<Completion>,
}

impl Local {
    /// Opens the device at `address`.
    pub fn open(address: IpAddr, device: &Device) -> Result<Self, Trouble> {
        let memory = MemoryLimits { buffer_bytes: 1 << 20 };
        let mut env = Reactor::new(Options { memory, ..Options::default() })?;
        let config = Config { mtu: device.mtu()?, ..Config::new(address) };
        let mut opened = SoftDevice::open(&mut env, OWNER, config)?;
        if let Some(path) = &device.capture {
            let file = BufWriter::new(File::create(path)?);
            opened.set_tap(Box::new(Recorder::new(file, env.now(), env.calendar_ms())));
        }
        Ok(Self { station: Station::new(env, opened, CQ_ENTRIES)?, kept: VecDeque::new() })
    }

    /// The next completion, which must be a good one.
    pub fn done(&mut self) -> Result<Completion, Trouble> {
        let done = match self.kept.pop_front() {
            Some(done) => done,
            None => match self.next()? {
                Happening::Done(done) => done,
                Happening::Connection(event) => {
                    return Err(format!("a completion was due: {event:?}").into());
                }
            },
        };
        if done.status == Status::Success { Ok(done) } else { Err(format!("failed: {done:?}").into()) }
    }

    /// The next event of a connection.
    pub fn event(&mut self) -> Result<ConnectionEvent, Trouble> {
        loop {
            match self.next()? {
                Happening::Connection(event) => return Ok(*event),
                Happening::Done(done) => self.kept.push_back(done),
            }
        }
    }

    fn next(&mut self) -> Result<Happening, Trouble> {
        let until = self.station.env.now() + PATIENCE;
        self.station.next(Some(until)).ok_or_else(|| "nothing happens any more".into())
    }

    /// Connects a queue pair, as client or as server.
    pub fn connect(&mut self, ends: &Ends, qp: QpId) -> Result<ConnectionId, Trouble> {
        let (space, parameters) = (PortSpace::Tcp, Parameters::default());
        match ends.to {
            Some(to) => {
                let connect = Connect { space, to, from: None, qp: Some(qp), parameters, private_data: &[] };
                let Station { env, device, .. } = &mut self.station;
                device.connect(env, OWNER, &connect)?;
            }
            None => {
                self.listen(space, SocketAddr::new(ends.address, ends.port))?;
                let event = self.event()?;
                let ConnectionWhat::Requested { .. } = event.what else {
                    return Err(format!("a request was due: {event:?}").into());
                };
                let accept = Accept { qp, parameters, queue_key: 0, private_data: &[] };
                let Station { env, device, .. } = &mut self.station;
                device.accept(env, OWNER, event.connection, &accept)?;
            }
        }
        let event = self.event()?;
        match event.what {
            ConnectionWhat::Established { .. } => Ok(event.connection),
            what => Err(format!("not connected: {what:?}").into()),
        }
    }

    /// Listens, and says so.
    pub fn listen(&mut self, space: PortSpace, address: SocketAddr) -> Result<(), Trouble> {
        self.station.device.listen(OWNER, space, address)?;
        println!("listening at {address}");
        Ok(())
    }

    /// Ends the connection, and waits until both know; the other end may be faster.
    pub fn disconnect(&mut self, connection: ConnectionId) -> Result<(), Trouble> {
        // Its end may be told already.
        let _ = self.station.device.disconnect(connection);
        self.disconnected()
    }

    /// Waits until the connection has ended.
    pub fn disconnected(&mut self) -> Result<(), Trouble> {
        let event = self.event()?;
        if event.what != ConnectionWhat::Disconnected {
            return Err(format!("the end was due: {event:?}").into());
        }
        Ok(())
    }

    /// Gives the other end time to ask once more for what it did not hear, and ends the capture.
    pub fn close(mut self) -> Result<(), Trouble> {
        let until = self.station.env.now() + LINGER;
        while self.station.next(Some(until)).is_some() {}
        println!("{:?}", self.station.device.counters());
        self.station.device.check();
        if let Some(mut tap) = self.station.device.take_tap() {
            tap.finish()?;
        }
        println!("done");
        Ok(())
    }
}

/// Completions that wait to be looked at.
const CQ_ENTRIES: u32 = 8192;
/// How long nothing may happen. The guest is slow, and its first timeouts are long.
const PATIENCE: Duration = Duration::from_secs(40);
/// Longer than lost answers are asked for again.
const LINGER: Duration = Duration::from_millis(1500);
