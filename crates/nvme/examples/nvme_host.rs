//! A host on a Linux machine, by hand: connects to a subsystem, tells what is there, and moves blocks of its first
//! namespace.
//!
//!     nvme_host ADDRESS:PORT SUBSYSTEM-NQN [-g] [-G] [-q QUEUES] [verify BYTES | read DEPTH BYTES SECONDS | watch SECONDS]

use block::{BlockDevice, Channel, Done, Io, Op, Status};
use core::time::Duration;
use nvme::host::{Host, HostEvent, HostOptions, Namespace};
use reactor::{Options, Reactor};
use stdx::env::{Env, Event, Owner};
use stdx::mem::Span;
use stdx::prng::Prng;
use stdx::time::{Time, earliest};
use wire::nvme::Nqn;
use wire::nvme::identify::read_text;

fn main() {
    let mut words = std::env::args().skip(1);
    let address = words.next().and_then(|word| word.parse().ok()).expect("ADDRESS:PORT");
    let subsystem = Nqn::from_peer(&words.next().expect("SUBSYSTEM-NQN")).expect("a name");
    let mut options = HostOptions::new(address, subsystem, Nqn::from_uuid(&[7; 16]), [7; 16]);
    let mut job = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-g" => options.digests.header = true,
            "-G" => options.digests.data = true,
            "-q" => options.io_queues = number(words.next()) as u16,
            _ => job.push(word),
        }
    }
    let mut shard = Shard::connect(options);
    shard.describe();
    let argument = |place: usize| number(job.get(place).cloned());
    match job.first().map(String::as_str) {
        None => {}
        Some("verify") => shard.verify(argument(1)),
        Some("read") => shard.read(argument(1), argument(2), Duration::from_secs(argument(3))),
        Some("watch") => shard.watch(Duration::from_secs(argument(1))),
        Some(other) => panic!("no job is called {other}"),
    }
    shard.host.close(&mut shard.env);
}

fn number(word: Option<String>) -> u64 {
    word.and_then(|word| word.parse().ok()).expect("a number")
}

/// One thread with one host.
struct Shard {
    env: Reactor,
    host: Host,
    events: Vec<Event>,
}

impl Shard {
    fn connect(options: HostOptions) -> Self {
        let mut env = Reactor::new(Options::default()).expect("a reactor");
        let host = Host::connect(&mut env, Owner(1), options).expect("a host");
        let mut shard = Self { env, host, events: Vec::new() };
        loop {
            shard.turn(None);
            match shard.host.poll_event() {
                Some(HostEvent::Connected) => return shard,
                Some(HostEvent::Failed(why)) => panic!("{why}"),
                Some(_) | None => {}
            }
        }
    }

    /// Waits for something, at most until `until`, and has the host handle it.
    fn turn(&mut self, until: Option<Time>) {
        self.events.clear();
        let deadline = earliest(until, self.host.deadline());
        self.env.poll(&mut self.events, deadline);
        for event in &self.events {
            self.host.handle_event(&mut self.env, event);
        }
        if self.host.deadline().is_some_and(|deadline| deadline <= self.env.now()) {
            self.host.handle_timeout(&mut self.env);
        }
    }

    fn namespace(&self) -> Namespace {
        self.host.namespaces().into_iter().next().expect("a namespace")
    }

    fn describe(&self) {
        let data = self.host.controller_data().expect("connected");
        let model = read_text(&data.model_number).unwrap_or("?");
        println!(
            "controller {} ({model}), I/O queues {:?}",
            self.host.controller_id(),
            self.host.io_queues()
        );
        for namespace in self.host.namespaces() {
            println!("namespace {}: {:?}, {:?}", namespace.id(), namespace.info(), namespace.identity());
        }
    }

    /// One request, to its end.
    fn run(&mut self, channel: &mut dyn Channel, io: Io) -> Status {
        channel.submit(&mut self.env, io).expect("room");
        let mut done: Vec<Done> = Vec::new();
        loop {
            channel.poll(&mut self.env, &mut done);
            if let Some(done) = done.pop() {
                return done.status;
            }
            self.turn(None);
        }
    }

    /// Writes and reads back the first `bytes` bytes in pieces of all sizes; then zeroes and discards some.
    fn verify(&mut self, bytes: u64) {
        let namespace = self.namespace();
        let info = namespace.info();
        let mut channel = namespace.open();
        let mut prng = Prng::new(1);
        let (mut lba, end) = (0, bytes / u64::from(info.block_size));
        while lba < end {
            let blocks = prng.between(1, u64::from(info.blocks_max)).min(end - lba) as u32;
            let data = self.env.mem().take((blocks * info.block_size) as usize).expect("a buffer");
            let copy = self.env.mem().take(data.len()).expect("a buffer");
            let mut pattern = vec![0; data.len()];
            prng.fill(&mut pattern);
            self.env.mem().write(data, &pattern);
            let io = Io { tag: 1, op: Op::Write, lba, blocks, fua: lba % 2 == 0, lend: false, data };
            assert_eq!(self.run(&mut *channel, io), Status::Ok, "write of {blocks} at {lba}");
            let read = Io { op: Op::Read, data: copy, ..io };
            assert_eq!(self.run(&mut *channel, read), Status::Ok, "read of {blocks} at {lba}");
            assert_eq!(self.env.mem().first_difference(data, copy), None, "{blocks} at {lba}");
            let zero = Io { op: Op::Zero { deallocate: false }, blocks: blocks.min(8), ..io };
            assert_eq!(self.run(&mut *channel, zero), Status::Ok);
            assert_eq!(self.run(&mut *channel, read), Status::Ok);
            assert!(self.env.mem().is_zero(copy.first((zero.blocks * info.block_size) as usize)));
            assert_eq!(self.run(&mut *channel, Io { op: Op::Discard, ..io }), Status::Ok);
            self.env.mem().give(data);
            self.env.mem().give(copy);
            lba += u64::from(blocks);
        }
        let flush =
            Io { tag: 1, op: Op::Flush, lba: 0, blocks: 0, fua: false, lend: false, data: Span::EMPTY };
        assert_eq!(self.run(&mut *channel, flush), Status::Ok);
        println!("{bytes} bytes written and read back equal");
    }

    /// Random reads of `len` bytes, `depth` at a time.
    fn read(&mut self, depth: u64, len: u64, time: Duration) {
        let namespace = self.namespace();
        let info = namespace.info();
        let mut channel = namespace.open();
        let (blocks, places) = ((len / u64::from(info.block_size)) as u32, info.bytes() / len);
        let mut prng = Prng::new(2);
        let begin = self.env.now();
        let (mut count, mut under_way) = (0_u64, 0);
        let mut done: Vec<Done> = Vec::new();
        for tag in 0..depth {
            let data = self.env.mem().take(len as usize).expect("a buffer");
            done.push(Done { tag, status: Status::Ok, data });
        }
        while self.env.now() < begin + time {
            for Done { tag, status, data } in done.drain(..) {
                assert_eq!(status, Status::Ok);
                let lba = prng.below(places) * u64::from(blocks);
                let io = Io { tag, op: Op::Read, lba, blocks, fua: false, lend: false, data };
                channel.submit(&mut self.env, io).expect("room");
                under_way += 1;
            }
            channel.poll(&mut self.env, &mut done);
            if done.is_empty() {
                self.turn(None);
                channel.poll(&mut self.env, &mut done);
            }
            under_way -= done.len();
            count += done.len() as u64;
        }
        let seconds = (self.env.now() - begin).as_secs_f64();
        println!(
            "{:.0} reads a second, {:.1} us each at depth {depth}",
            count as f64 / seconds,
            seconds * 1e6 * depth as f64 / count as f64
        );
        assert_eq!(under_way + done.len(), depth as usize);
    }

    /// Prints what happens.
    fn watch(&mut self, time: Duration) {
        let end = self.env.now() + time;
        while self.env.now() < end {
            self.turn(Some(end));
            while let Some(event) = self.host.poll_event() {
                println!("{:?} {event:?}", self.env.now());
            }
        }
    }
}
