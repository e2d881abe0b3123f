//! Sockets of the Sockets Direct Protocol against a peer that does anything: greetings of any bytes, messages of any bytes in any state,
//! adverts of memory that is not there, and ends. The owner writes and reads, lends and places memory, says how streams are to be, pauses and closes.
//! Whatever they do, all laws hold, and when the peer is gone, so is everything it had.
//!
//! The input is a list of steps: one byte that says what, one that says how, and bytes, if the step uses some.
#![no_main]

#[path = "../../crates/rdma/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use sdp::sockets::{Config, ListenerId, Sockets, StreamId};
use sdp::{Options, Terms};
use std::net::SocketAddr;
use std::time::Duration;
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use support::World;
use verbs::conformance::Setting;
use verbs::endpoint::{self, Endpoint, Happening};
use verbs::{Access, Data, Key as MemoryKey, Parameters, PortSpace, Remote};
use wire::sdp::{Base, Body, Flags, MessageId};

fuzz_target!(|input: &[u8]| {
    let mut run = Run::new();
    run.connect(&[]);
    let mut rest = input;
    for _ in 0..STEPS_MAX {
        let Some(left) = run.step(rest) else { break };
        rest = left;
    }
    run.finish();
});

/// Sockets, and a peer on another device of the machine that has an endpoint and no laws.
struct Run {
    world: World,
    sockets: Sockets,
    listener: ListenerId,
    address: SocketAddr,
    peer: Endpoint,
    /// The peer's connections, and what it sent and saw of each.
    links: Vec<Link>,
    streams: Vec<StreamId>,
    /// Memory of the owner's, and how many names it has given.
    memory: Span,
    names: u64,
}

struct Link {
    connection: Key,
    sent: u32,
    seen: u32,
}

impl Run {
    fn new() -> Self {
        let mut world = World::on_one_machine(Kind::Published, [1000; 2], |usual| usual);
        let lens =
            Options { receive_len: 256, receive_len_max: 512, desired_remote_len: 512, ..Options::default() };
        let zero_copy =
            Config { zero_copy_min: 300, zero_copy_placed_min: 300, place_min: 300, ..Config::default() };
        let connection = Options { receives: 4, ..lens };
        let config =
            Config { connection, streams_max: 4, frames_each: 3, frames_max: 16, keys_max: 8, ..zero_copy };
        let address = SocketAddr::new(world.address(OWNER), 80);
        let (device, env) = world.end(OWNER);
        let mut sockets = Sockets::new(env, device, 1 << 32, config).expect("sockets");
        let (listener, address) = sockets.listen(device, address, 0).expect("a listener");
        let region = env.mem().map(Kind::Published, MEMORY_LEN).expect("memory");
        let memory = env.mem().whole(region).first(MEMORY_LEN as usize);
        let options = endpoint::Options {
            connections_max: 8,
            receives: 64,
            receive_len: 1024,
            sends: 32,
            pieces: 4,
            inline_bytes: 64,
            access: Access::LOCAL_WRITE.with(Access::REMOTE),
        };
        let (device, env) = world.end(PEER);
        let peer = Endpoint::new(env, device, 1 << 32, options).expect("an endpoint");
        Self {
            world,
            sockets,
            listener,
            address,
            peer,
            links: Vec::new(),
            streams: Vec::new(),
            memory,
            names: 0,
        }
    }

    /// The peer asks for a stream: by a greeting that is right but for what the bytes change.
    fn connect(&mut self, changes: &[u8]) {
        let options = Options { receives: 16, receive_len: 400, ..Options::default() };
        let from = SocketAddr::new(self.world.address(PEER), 50_000);
        let mut hello = Terms::hello(&options, from, self.address).encode();
        for change in changes.chunks_exact(2) {
            let place = usize::from(change[0]) % hello.len();
            hello[place] ^= change[1];
        }
        let (device, env) = self.world.end(PEER);
        let _ = self.peer.connect(env, device, PortSpace::Sdp, self.address, Parameters::default(), &hello);
        self.settle();
    }

    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, how], rest) = bytes.split_first_chunk()?;
        let link = usize::from(how >> 6);
        match what % 16 {
            0..=6 => {
                let len = usize::from(how & 0x3f).min(rest.len());
                let (body, left) = rest.split_at(len);
                self.say(link, what, body);
                return Some(left);
            }
            7 => {
                let (changes, left) = rest.split_at(rest.len().min(usize::from(how & 6)));
                self.connect(changes);
                return Some(left);
            }
            8 => {
                if let Some(link) = self.links.get(link) {
                    let to = Remote { address: u64::from(how) * 16, key: MemoryKey(u32::from(what) << 4) };
                    let _ = self.peer.write(self.world.end(PEER).0, link.connection, 0, to, &[]);
                }
            }
            9 if how & 0x30 == 0 => {
                if let Some(link) = self.links.get(link) {
                    let (device, env) = self.world.end(PEER);
                    self.peer.disconnect(env, device, link.connection);
                }
            }
            _ => self.own(what, how),
        }
        self.settle();
        Some(rest)
    }

    /// The peer says something, whose header may be right.
    fn say(&mut self, link: usize, what: u8, body: &[u8]) {
        let Some(link) = self.links.get_mut(link) else { return };
        let (kind, rest) = body.split_first().unwrap_or((&0xff, &[]));
        let id = MessageId::from_code(*kind).unwrap_or(MessageId::Data);
        // A message whose own header makes no sense is sent as well, now and then.
        if what & 0x10 == 0 && Body::decode(id, rest).is_err() {
            return;
        }
        link.sent += 1;
        let len = (16 + rest.len()) as u32;
        let base = Base {
            id,
            flags: Flags(what >> 5),
            buffers: 16,
            len: if what & 0x18 == 0x18 { len + 1 } else { len },
            sequence: link.sent,
            acknowledged: link.seen,
        };
        let message = [base.encode().as_slice(), rest].concat();
        let _ = self.peer.send(self.world.end(PEER).0, link.connection, 0, Data::Inline(&message));
        self.settle();
    }

    /// The owner does something to a stream.
    fn own(&mut self, what: u8, how: u8) {
        if self.streams.is_empty() {
            return;
        }
        let id = self.streams[usize::from(how >> 6) % self.streams.len()];
        let Self { world, sockets, .. } = self;
        let (device, env) = world.end(OWNER);
        let place = self.memory.slice(usize::from(how & 7) * 1024, 1024);
        self.names += 1;
        match what % 16 {
            // What is refused changes nothing.
            9 => drop(sockets.write_urgent(env, device, id, &[5; 20])),
            10 => drop(sockets.write(env, device, id, &vec![how; usize::from(how) * 5 + 1])),
            11 => drop(sockets.read(env, device, id, &mut vec![0; usize::from(how) * 3 + 1])),
            12 => drop(sockets.write_from(env, device, id, place, self.names)),
            13 => drop(sockets.read_into(env, device, id, place, self.names)),
            14 => match how & 7 {
                0 => sockets.withdraw(env, device, id),
                1 => sockets.recall(env, device, id),
                2 => drop(sockets.set_receive_buffer(device, id, u64::from(how) * 50)),
                3 => sockets.set_keep_alive(id, Some(Duration::from_secs(1))),
                4 => drop(sockets.suspend(env, device, id)),
                5 => sockets.resume(env, device, id),
                6 => sockets.shut_read(id),
                _ => sockets.shut_write(env, device, id),
            },
            _ if how & 0x38 == 0 => {
                sockets.close(env, device, id);
                self.streams.retain(|other| *other != id);
            }
            _ => {
                let now = env.now() + Duration::from_millis(u64::from(how) * 10);
                self.world.set_now(now);
            }
        }
    }

    /// Lets both do what there is to do.
    fn settle(&mut self) {
        for _ in 0..TURNS {
            self.world.turn();
            let (device, env) = self.world.end(OWNER);
            self.sockets.progress(env, device);
            self.sockets.check();
            while self.sockets.poll_changed().is_some() {}
            while self.sockets.poll_returned().is_some() {}
            self.streams.extend(core::iter::from_fn(|| self.sockets.accept(self.listener)));
            self.hear();
        }
    }

    /// The peer takes what came.
    fn hear(&mut self) {
        let (device, env) = self.world.end(PEER);
        while let Some(event) = device.poll_event() {
            self.peer.handle_event(device, &event);
        }
        while let Some(event) = device.poll_connection() {
            self.peer.handle_connection(env, device, &event);
        }
        while let Some(happening) = self.peer.poll(env, device) {
            match happening {
                Happening::Established { connection, .. } => {
                    self.links.push(Link { connection, sent: 0, seen: 0 });
                }
                Happening::Received { connection, received } => {
                    if let Some(link) = self.links.iter_mut().find(|link| link.connection == connection) {
                        link.seen += 1;
                    }
                    self.peer.release(device, connection, received);
                }
                Happening::Gone { connection } => self.links.retain(|link| link.connection != connection),
                Happening::Requested(requested) => self.peer.reject(device, requested.request, &[]),
                Happening::Refused { .. } | Happening::Done { .. } | Happening::Broken { .. } => {}
            }
        }
    }

    /// All close, and time passes: nothing is left.
    fn finish(&mut self) {
        for id in core::mem::take(&mut self.streams) {
            let (device, env) = self.world.end(OWNER);
            self.sockets.close(env, device, id);
        }
        let (device, env) = self.world.end(OWNER);
        self.sockets.close_listener(env, device, self.listener);
        for _ in 0..WAITS_MAX {
            self.settle();
            if self.sockets.streams() == 0 {
                return;
            }
            let later = self.world.end(OWNER).1.now() + Duration::from_secs(1);
            self.world.set_now(later);
        }
        panic!("{} streams are left: {:?}", self.sockets.streams(), self.sockets);
    }
}

/// The two devices.
const PEER: usize = 0;
const OWNER: usize = 1;
/// Bytes of the owner's memory.
const MEMORY_LEN: u64 = 8 << 10;
/// Steps of one input.
const STEPS_MAX: usize = 64;
/// Turns in which what was asked for has come.
const TURNS: usize = 6;
/// Seconds in which every time-out is over.
const WAITS_MAX: usize = 200;
