//! One end: a device, a queue pair and memory for both directions.

use rdma::{Config, SoftDevice};
use reactor::{Options, Reactor};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use stdx::env::{Env, Event, Owner};
use stdx::mem::{Kind, MemoryLimits};
use verbs::{
    Accept, Access, Completion, Connect, ConnectionEvent, ConnectionWhat, Connections, CqId, Key, Mtu,
    Parameters, PortSpace, Provider, QpId, QpInit, ReceiveQueue, ReceiveRequest, Receives, Registered,
    Registration, Remote, SendRequest, Transition, Transport,
};

/// A device with one queue pair.
pub struct End {
    env: Reactor,
    /// The device.
    pub device: SoftDevice,
    qp: QpId,
    cq: CqId,
    /// What the peer may read and write.
    pub memory: Registered,
    events: Vec<Event>,
    done: Vec<Completion>,
}

impl End {
    /// Opens a device; port 0 takes a free one. Devices of this machine are reached through shared memory, or as all others.
    pub fn open(address: IpAddr, port: u16, shares: bool) -> Result<Self, Box<dyn Error>> {
        let limits = MemoryLimits { buffer_bytes: 8 << 20 };
        let mut env = Reactor::new(Options { memory: limits, spin: SPIN, ..Options::default() })?;
        let usual = Config::new(address);
        let neighbours = shm::Config { enabled: shares, ..usual.neighbours };
        let config = Config { mtu: Mtu::Mtu4096, port, neighbours, ..usual };
        let mut device = SoftDevice::open(&mut env, Owner(1), config)?;
        let region = env.mem().map(Kind::Published, MEMORY_LEN)?;
        let span = env.mem().whole(region);
        env.mem().fill(span, 1);
        let pd = device.alloc_pd()?;
        let cq = device.create_cq(Owner(1), 4 * DEPTH_MAX)?;
        let access = Access::LOCAL_WRITE.with(Access::REMOTE);
        let memory = device.register(&mut env, pd, &Registration { pieces: &[span], address: 0, access })?;
        let init = QpInit {
            pd,
            transport: Transport::ReliableConnection,
            send_cq: cq,
            receive_cq: cq,
            receives: Receives::Own { entries: DEPTH_MAX, sges: 1 },
            send_entries: DEPTH_MAX,
            send_sges: 1,
            inline_bytes: 64,
        };
        let qp = device.create_qp(Owner(1), &init)?;
        device.modify_qp(qp, &Transition::Initialize { access: Access::REMOTE, queue_key: 0 })?;
        let (events, done) = (Vec::with_capacity(64), Vec::new());
        let mut end = Self { env, device, qp, cq, memory, events, done };
        for id in 0..u64::from(DEPTH_MAX) {
            end.receive(id)?;
        }
        Ok(end)
    }

    /// Connects; gives the peer's memory.
    pub fn connect(&mut self, peer: IpAddr, private_data: &[u8]) -> Result<Remote, Box<dyn Error>> {
        let connect = Connect {
            space: PortSpace::Tcp,
            to: SocketAddr::new(peer, PORT),
            from: None,
            qp: Some(self.qp),
            parameters: Parameters::default(),
            private_data,
        };
        self.device.connect(&mut self.env, Owner(1), &connect)?;
        match self.next_event().what {
            ConnectionWhat::Established { private_data, .. } => {
                let key = private_data.bytes().first_chunk().ok_or("no key")?;
                Ok(Remote { address: 0, key: Key(u32::from_le_bytes(*key)) })
            }
            other => Err(format!("{other:?}").into()),
        }
    }

    /// Waits for a connection; gives what the peer says.
    pub fn accept(&mut self) -> Result<Vec<u8>, Box<dyn Error>> {
        let address = SocketAddr::new(self.device.config().address, PORT);
        self.device.listen(Owner(1), PortSpace::Tcp, address)?;
        let mut said = Vec::new();
        loop {
            let ConnectionEvent { connection, what, .. } = self.next_event();
            match what {
                ConnectionWhat::Requested { private_data, parameters, .. } => {
                    said = private_data.bytes().to_vec();
                    let key = self.memory.key.0.to_le_bytes();
                    let accept = Accept { qp: self.qp, parameters, queue_key: 0, private_data: &key };
                    self.device.accept(&mut self.env, Owner(1), connection, &accept)?;
                }
                ConnectionWhat::Established { .. } => return Ok(said),
                other => return Err(format!("{other:?}").into()),
            }
        }
    }

    /// Posts a send.
    pub fn post(&mut self, request: SendRequest<'_>) -> Result<(), Box<dyn Error>> {
        self.device.post_send(self.qp, request).map_err(|refused| refused.why.into())
    }

    /// Posts a receive.
    pub fn receive(&mut self, id: u64) -> Result<(), Box<dyn Error>> {
        let scatter = [self.memory.sge(id * 64, 64)];
        let request = ReceiveRequest { id, scatter: &scatter };
        self.device.post_receive(ReceiveQueue::Own(self.qp), request).map_err(|refused| refused.why.into())
    }

    /// Sends what was posted, looks for what happened, and takes it.
    pub fn turn(&mut self) {
        self.env.poll(&mut self.events, self.device.deadline());
        for event in self.events.drain(..) {
            self.device.handle_event(&mut self.env, &event);
        }
        self.device.turn(&mut self.env);
        self.device.poll_cq(self.cq, usize::MAX, &mut self.done);
        self.done.reverse();
    }

    /// The next completion of the last turn.
    pub fn next_done(&mut self) -> Option<Completion> {
        self.done.pop()
    }

    fn next_event(&mut self) -> ConnectionEvent {
        loop {
            if let Some(event) = self.device.poll_connection() {
                return event;
            }
            self.turn();
        }
    }
}

/// Where connections are asked for.
const PORT: u16 = 7471;
/// How long an end looks for what comes before it sleeps: longer than anything takes, as others that are measured do.
const SPIN: Duration = Duration::from_millis(10);
/// Requests at once, at most.
const DEPTH_MAX: u32 = 1024;
/// Bytes of memory.
const MEMORY_LEN: u64 = 32 << 20;
