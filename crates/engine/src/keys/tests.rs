//! Key files: made, read again, and erased, with power cut at every moment.

use super::*;
use crate::{Limits, Spec};
use block::{BlockDevice, Channel, Done, Io, Op, Status};
use std::sync::{Arc, Mutex};
use stdx::env::OpenFile;
use stdx::mem::Span;
use stdx::testing::TestEnv;

/// A shard with a file and an encrypted volume over it.
struct Bench {
    env: TestEnv,
    shard: Shard,
}

type Made = Arc<Mutex<Option<Result<Identity, EncryptionError>>>>;

impl Bench {
    fn new(env: TestEnv) -> Self {
        let mut env = env;
        let mut shard = Shard::new(&mut env, Limits::default()).expect("memory");
        let file = crate::FileSpec {
            path: "disk".into(),
            block_size: Some(512),
            read_only: false,
            direct: false,
            create: Some(1 << 20),
        };
        shard.add_volume(&mut env, "base", Spec::File(file), None).expect("a volume");
        Self { env, shard }
    }

    /// The same after a power cut.
    fn again(self) -> Self {
        let mut env = self.env;
        env.files.cut_power();
        env.memory = TestEnv::new(64 << 20).memory;
        Self::new(env)
    }

    fn encrypt(&mut self, name: &str) -> Result<Identity, EncryptionError> {
        let made = Made::default();
        let told = Arc::clone(&made);
        let volume = Encrypted { name: name.into(), base: "base".into(), identity: None };
        let env = &mut self.env;
        self.shard.add_volume_with_key_file(env, volume, Path::new("key"), move |result| {
            *told.lock().unwrap() = Some(result);
        });
        while made.lock().unwrap().is_none() {
            self.shard.turn(&mut self.env);
        }
        let result = made.lock().unwrap().take();
        result.expect("it was told")
    }

    fn channel(&self, name: &str) -> Box<dyn Channel> {
        self.shard.volumes().get(name).expect("the volume").volume.open()
    }

    fn run(&mut self, op: Op, data: Span) -> Status {
        let mut channel = self.channel("secret");
        self.submit(&mut *channel, op, data);
        loop {
            let mut done: Vec<Done> = Vec::new();
            channel.poll(&mut self.env, &mut done);
            match done.first() {
                Some(done) => return done.status,
                None => self.shard.turn(&mut self.env),
            }
        }
    }

    fn submit(&mut self, channel: &mut dyn Channel, op: Op, data: Span) {
        let blocks = data.len / 512;
        let io = Io { tag: 1, op, lba: 8, blocks, fua: true, lend: false, data };
        channel.submit(&mut self.env, io).expect("it is idle");
    }

    fn write(&mut self, byte: u8) {
        let data = self.env.memory.take(512).expect("a buffer");
        self.env.memory.fill(data, byte);
        assert_eq!(self.run(Op::Write, data), Status::Ok);
        self.env.memory.give(data);
    }

    fn read(&mut self) -> Vec<u8> {
        let data = self.env.memory.take(512).expect("a buffer");
        assert_eq!(self.run(Op::Read, data), Status::Ok);
        let mut content = vec![0; 512];
        self.env.memory.read(data, &mut content);
        self.env.memory.give(data);
        content
    }

    /// What is in the key's file.
    fn file(&mut self) -> Vec<u8> {
        let env = &mut self.env;
        let open = OpenFile::existing(Path::new("key"));
        let file = env.open_file(&open).expect("the file");
        let data = env.memory.take(8192).expect("a buffer");
        let kind = stdx::env::FileOpKind::Read(data);
        let owner = stdx::env::Owner(u64::MAX - 1);
        env.submit(stdx::env::FileOp { owner, tag: 0, file, kind, offset: 0 }).expect("there is room");
        let mut events = Vec::new();
        while events.is_empty() {
            env.poll(&mut events, None);
        }
        let mut content = vec![0; 8192];
        env.memory.read(data, &mut content);
        env.memory.give(data);
        env.close_file(file);
        content
    }
}

/// The two places of a file without their serial numbers and checksums.
fn records(file: &[u8]) -> (&[u8], &[u8]) {
    let (one, other) = file.split_at(4096);
    (&one[24..], &other[24..])
}

#[test]
fn a_key_is_drawn_once_and_found_again() {
    let mut bench = Bench::new(TestEnv::new(64 << 20));
    bench.encrypt("secret").expect("a volume");
    bench.write(7);
    assert_eq!(bench.encrypt("other"), Err(EncryptionError::FileInUse));
    let mut bench = bench.again();
    bench.encrypt("secret").expect("a volume");
    assert_eq!(bench.read(), [7; 512]);
    bench.shard.remove_volume(&mut bench.env, "secret").expect("it is there");
    bench.encrypt("secret").expect("the file is free");
    assert_eq!(bench.read(), [7; 512]);
}

#[test]
fn an_erase_leaves_nothing_of_the_old_key() {
    let mut bench = Bench::new(TestEnv::new(64 << 20));
    bench.encrypt("secret").expect("a volume");
    bench.write(7);
    let before = bench.file();
    assert_eq!(bench.run(Op::CryptoErase, Span::EMPTY), Status::Ok);
    assert_ne!(bench.read(), [7; 512]);
    let after = bench.file();
    let (one, other) = records(&after);
    assert_eq!(one, other, "both places hold the new key");
    assert_ne!(one, records(&before).0);
    bench.write(8);
    let mut bench = bench.again();
    bench.encrypt("secret").expect("a volume");
    assert_eq!(bench.read(), [8; 512]);
}

#[test]
fn a_power_cut_leaves_the_old_key_or_the_new_one() {
    let mut left_old = 0;
    for turns in 0..6 {
        let mut bench = Bench::new(TestEnv::seeded(turns, 64 << 20));
        bench.encrypt("secret").expect("a volume");
        bench.write(7);
        let mut channel = bench.channel("secret");
        bench.submit(&mut *channel, Op::CryptoErase, Span::EMPTY);
        let mut done = Vec::new();
        for _ in 0..turns {
            // It stands still when there is nothing left to do.
            if done.is_empty() {
                bench.shard.turn(&mut bench.env);
                channel.poll(&mut bench.env, &mut done);
            }
        }
        drop(channel);
        let mut bench = bench.again();
        bench.encrypt("secret").expect("a volume");
        let is_old = bench.read() == [7; 512];
        assert!(!is_old || done.is_empty(), "an acknowledged erase holds");
        left_old += u32::from(is_old);
        let file = bench.file();
        let (one, other) = records(&file);
        assert_eq!(one, other, "and the next start settles it");
    }
    assert!((1..6).contains(&left_old), "{left_old}");
}

#[test]
fn the_file_of_somebody_else_is_left_alone() {
    let mut bench = Bench::new(TestEnv::new(64 << 20));
    let env = &mut bench.env;
    let open = OpenFile { create: Some(8192), ..OpenFile::existing(Path::new("key")) };
    let file = env.open_file(&open).expect("a file");
    let data = env.memory.take(512).expect("a buffer");
    env.memory.fill(data, b'x');
    let kind = stdx::env::FileOpKind::Write { data, durable: true };
    let owner = stdx::env::Owner(u64::MAX - 1);
    env.submit(stdx::env::FileOp { owner, tag: 0, file, kind, offset: 0 }).expect("there is room");
    let mut events = Vec::new();
    env.poll(&mut events, None);
    let before = bench.file();
    assert_eq!(bench.encrypt("secret"), Err(EncryptionError::FileContents));
    assert_eq!(bench.file(), before);
}

#[test]
fn keys_have_names_and_are_kept_while_they_are_used() {
    let mut bench = Bench::new(TestEnv::new(64 << 20));
    let key = Key::new(&[1; 16], &[2; 16]).expect("a key");
    bench.shard.add_key("one", key.clone()).expect("it is new");
    assert_eq!(bench.shard.add_key("one", key), Err(EncryptionError::KeyExists));
    let volume = Encrypted { name: "secret".into(), base: "base".into(), identity: None };
    let env = &mut bench.env;
    let unknown = bench.shard.add_encrypted_volume(env, &volume, "two");
    assert_eq!(unknown, Err(EncryptionError::UnknownKey));
    bench.shard.add_encrypted_volume(env, &volume, "one").expect("a volume");
    assert_eq!(bench.shard.remove_key("one"), Err(EncryptionError::KeyInUse));
    assert!(!bench.shard.volumes().get("secret").expect("the volume").volume.info().crypto_erases);
    bench.write(3);
    assert_eq!(bench.read(), [3; 512]);
    bench.shard.remove_volume(&mut bench.env, "secret").expect("it is there");
    bench.shard.remove_key("one").expect("nobody uses it");
    assert_eq!(bench.shard.remove_key("one"), Err(EncryptionError::UnknownKey));
}
