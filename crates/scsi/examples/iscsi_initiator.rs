//! An initiator on a Linux machine, by hand: asks a portal for its targets, or connects to one, tells what is there, and
//! moves blocks of its first disk.
//!
//!     iscsi_initiator ADDRESS:PORT
//!     iscsi_initiator ADDRESS:PORT TARGET-NAME [-g] [-G] [-s SESSIONS] [-u USER%SECRET] [-m SECRET]
//!         [verify BYTES | read DEPTH BYTES SECONDS | watch SECONDS]

use block::{BlockDevice, Channel, Done, Io, Op, Status};
use core::time::Duration;
use reactor::{Options, Reactor};
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{Discovery, Disk, Initiator, InitiatorEvent, InitiatorOptions};
use scsi::iscsi::login::chap::ChapOptions;
use scsi::iscsi::login::{DigestPolicy, Secret};
use stdx::env::{Env, Event, Owner};
use stdx::mem::Span;
use stdx::prng::Prng;
use stdx::time::{Time, earliest};

fn main() {
    let mut words = std::env::args().skip(1);
    let address = words.next().and_then(|word| word.parse().ok()).expect("ADDRESS:PORT");
    let us = IscsiName::parse("iqn.2026-01.example.weft:by-hand").expect("a name");
    let target = words.next();
    let name = IscsiName::from_peer(target.as_deref().unwrap_or("none")).expect("TARGET-NAME");
    let mut options = InitiatorOptions::new(address, name, us);
    let mut job = Vec::new();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-g" => options.header_digest = DigestPolicy::Required,
            "-G" => options.data_digest = DigestPolicy::Required,
            "-s" => options.sessions = number(words.next()) as u16,
            "-u" => {
                let account = words.next().expect("USER%SECRET");
                let (user, secret) = account.split_once('%').expect("USER%SECRET");
                options.chap = Some(ChapOptions::one_way(user.to_owned(), secret_of(secret)));
            }
            "-m" => {
                let secret = words.next().expect("SECRET");
                let chap = options.chap.as_mut().expect("-u before -m");
                chap.mutual = Some((None, secret_of(&secret)));
            }
            _ => job.push(word),
        }
    }
    if target.is_none() {
        return discover(&options);
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
    shard.initiator.close(&mut shard.env);
}

fn number(word: Option<String>) -> u64 {
    word.and_then(|word| word.parse().ok()).expect("a number")
}

fn secret_of(text: &str) -> Secret {
    Secret::new(text.as_bytes()).expect("1 to 255 bytes")
}

fn discover(options: &InitiatorOptions) {
    let mut env = Reactor::new(Options::default()).expect("a reactor");
    let mut discovery = Discovery::connect(&mut env, Owner(1), options).expect("a discovery");
    let mut events = Vec::new();
    let targets = loop {
        env.poll(&mut events, discovery.deadline());
        events.drain(..).for_each(|event| discovery.handle_event(&mut env, &event));
        discovery.handle_timeout(&mut env);
        if let Some(targets) = discovery.poll(&mut env) {
            break targets;
        }
    };
    match targets {
        Ok(targets) => targets.iter().for_each(|target| println!("{} {:?}", target.target, target.portals)),
        Err(why) => println!("{why}"),
    }
    discovery.close(&mut env);
}

/// One thread with one initiator.
struct Shard {
    env: Reactor,
    initiator: Initiator,
    events: Vec<Event>,
}

impl Shard {
    fn connect(options: InitiatorOptions) -> Self {
        let mut env = Reactor::new(Options::default()).expect("a reactor");
        let initiator = Initiator::connect(&mut env, Owner(1), options).expect("an initiator");
        let mut shard = Self { env, initiator, events: Vec::new() };
        loop {
            shard.turn(None);
            match shard.initiator.poll_event() {
                Some(InitiatorEvent::Connected) => return shard,
                Some(InitiatorEvent::Failed(why)) => panic!("{why}"),
                Some(_) | None => {}
            }
        }
    }

    /// Waits for something, at most until `until`, and has the initiator handle it.
    fn turn(&mut self, until: Option<Time>) {
        self.events.clear();
        let deadline = earliest(until, self.initiator.deadline());
        self.env.poll(&mut self.events, deadline);
        for event in &self.events {
            self.initiator.handle_event(&mut self.env, event);
        }
        if self.initiator.deadline().is_some_and(|deadline| deadline <= self.env.now()) {
            self.initiator.handle_timeout(&mut self.env);
        }
    }

    fn disk(&self) -> Disk {
        self.initiator.disks().into_iter().next().expect("a disk")
    }

    fn describe(&self) {
        for session in self.initiator.sessions() {
            println!("session {session:?}");
        }
        for disk in self.initiator.disks() {
            println!("disk {}: {:?}, {:?}", disk.lun(), disk.info(), disk.identity());
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
        let disk = self.disk();
        let info = disk.info();
        let mut channel = disk.open();
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
        let disk = self.disk();
        let info = disk.info();
        let mut channel = disk.open();
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
            while let Some(event) = self.initiator.poll_event() {
                println!("{:?} {event:?}", self.env.now());
            }
        }
    }
}
