//! Streams whose both ends are on one loopback device.

#![allow(dead_code)] // Each test file uses only a part.

use sdp::Options;
use sdp::sockets::{Config, ListenerId, SocketError, Sockets, StreamId};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use stdx::conformance::still::StillEnv;
use verbs::loopback::Loopback;
use verbs::{Limits, Provider};

pub const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The device, and the sockets on it.
pub struct World {
    pub env: StillEnv,
    pub device: Loopback,
    pub sockets: Sockets,
}

impl World {
    /// Few and short receives, so that everything waits for credits.
    pub fn narrow() -> Self {
        let connection = Options {
            receives: 4,
            receive_len: 256,
            desired_remote_len: 256,
            ..Config::default().connection
        };
        Self::new(Config { connection, streams_max: 8, frames_each: 3, frames_max: 16, ..Config::default() })
    }

    pub fn new(config: Config) -> Self {
        let mut env = StillEnv::new(1);
        let mut device = Loopback::new(config.limits(Limits::default()), HOST);
        let sockets = Sockets::new(&mut env, &mut device, 1 << 32, config).expect("sockets");
        Self { env, device, sockets }
    }

    pub fn listen(&mut self) -> (ListenerId, SocketAddr) {
        self.sockets.listen(&mut self.device, SocketAddr::new(HOST, 0), 0).expect("a listener")
    }

    pub fn connect(&mut self, to: SocketAddr) -> StreamId {
        let from = SocketAddr::new(HOST, 0);
        self.sockets.connect(&mut self.env, &mut self.device, to, from, to).expect("a stream")
    }

    /// Two ends of a stream.
    pub fn pair(&mut self) -> [StreamId; 2] {
        let (listener, address) = self.listen();
        let client = self.connect(address);
        self.settle();
        let server = self.sockets.accept(listener).expect("a stream");
        [client, server]
    }

    pub fn turn(&mut self) -> bool {
        self.device.turn(&mut self.env);
        let found = self.sockets.progress(&mut self.env, &mut self.device);
        self.sockets.check();
        let has_posted = self.sockets.take_posted();
        found || has_posted
    }

    /// Lets everything happen that will without time.
    pub fn settle(&mut self) {
        while self.turn() {}
    }

    /// The same, without asserting what always holds: for so many streams that it takes long.
    pub fn settle_unchecked(&mut self) {
        loop {
            self.device.turn(&mut self.env);
            let found = self.sockets.progress(&mut self.env, &mut self.device);
            if !self.sockets.take_posted() && !found {
                return;
            }
        }
    }

    /// Lets time pass until something is due, and all that follows happen.
    pub fn wait(&mut self) {
        let due = self.sockets.deadline().expect("something is due");
        self.env.set_now(due);
        self.settle();
    }

    pub fn write(&mut self, id: StreamId, bytes: &[u8]) -> Result<usize, SocketError> {
        self.sockets.write(&mut self.env, &mut self.device, id, bytes)
    }

    pub fn read(&mut self, id: StreamId, into: &mut [u8]) -> Result<usize, SocketError> {
        self.sockets.read(&mut self.env, &mut self.device, id, into)
    }

    pub fn shut_write(&mut self, id: StreamId) {
        self.sockets.shut_write(&mut self.env, &mut self.device, id);
    }

    pub fn close(&mut self, id: StreamId) {
        self.sockets.close(&mut self.env, &mut self.device, id);
    }

    /// Everything that comes until there is no more for now.
    pub fn drain(&mut self, id: StreamId) -> Vec<u8> {
        let mut all = Vec::new();
        let mut place = [0; 100];
        loop {
            self.settle();
            match self.read(id, &mut place) {
                Ok(0) | Err(_) => return all,
                Ok(len) => all.extend_from_slice(&place[..len]),
            }
        }
    }
}
