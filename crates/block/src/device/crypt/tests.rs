//! What an encrypting device leaves below it, and what becomes of that when its key changes.

use super::*;
use crate::device::{Geometry, Ram};
use crate::{Done, Identity, Io, Op, Volume};
use stdx::mem::Span;
use stdx::testing::TestEnv;

/// An encrypting device, what is below it, and one user.
struct Bench {
    env: TestEnv,
    ram: Rc<Ram>,
    crypt: Rc<Crypt>,
    channel: Box<dyn Channel>,
}

impl Bench {
    fn new(keeping: Keeping) -> Self {
        let mut env = TestEnv::new(64 << 20);
        let ram = Rc::new(Ram::new(&mut env, Geometry::new(512, 1000).unwrap()).unwrap());
        let key = Key::new(&[1; 32], &[2; 32]).unwrap();
        let crypt = Rc::new(Crypt::new(ram.clone(), &key, keeping));
        let channel = crypt.open();
        Self { env, ram, crypt, channel }
    }

    fn poll(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        self.channel.poll(&mut self.env, &mut done);
        done
    }

    fn run(&mut self, op: Op, lba: u64, data: Span) -> Status {
        let blocks = data.len / 512;
        let io = Io { tag: 1, op, lba, blocks, fua: false, lend: false, data };
        self.channel.submit(&mut self.env, io).unwrap();
        self.poll()[0].status
    }

    fn write(&mut self, lba: u64, byte: u8) -> Status {
        let data = self.env.memory.take(512).unwrap();
        self.env.memory.fill(data, byte);
        let status = self.run(Op::Write, lba, data);
        assert_eq!(self.content(data), [byte; 512], "its user's memory is left alone");
        self.env.memory.give(data);
        status
    }

    fn read(&mut self, lba: u64) -> Result<Vec<u8>, Status> {
        let data = self.env.memory.take(512).unwrap();
        let status = self.run(Op::Read, lba, data);
        let content = self.content(data);
        self.env.memory.give(data);
        if status == Status::Ok { Ok(content) } else { Err(status) }
    }

    /// What is below.
    fn below(&mut self, lba: u64) -> Vec<u8> {
        let data = self.env.memory.take(512).unwrap();
        let io = Io { tag: 1, op: Op::Read, lba, blocks: 1, fua: false, lend: false, data };
        self.ram.open().perform(&mut self.env, &io).unwrap();
        let content = self.content(data);
        self.env.memory.give(data);
        content
    }

    fn content(&self, data: Span) -> Vec<u8> {
        let mut content = vec![0; data.len()];
        self.env.memory.read(data, &mut content);
        content
    }

    fn begin_erase(&mut self, tag: u64) {
        let erase =
            Io { tag, op: Op::CryptoErase, lba: 0, blocks: 0, fua: false, lend: false, data: Span::EMPTY };
        self.channel.submit(&mut self.env, erase).unwrap();
    }
}

#[test]
fn what_lies_below_is_ciphertext_of_the_block_it_is_at() {
    let mut bench = Bench::new(Keeping::Nobody);
    assert_eq!((bench.write(3, 7), bench.write(4, 7)), (Status::Ok, Status::Ok));
    let mut expected = [7; 512];
    Xts::new(&Key::new(&[1; 32], &[2; 32]).unwrap()).encrypt(3, &mut expected);
    assert_eq!(bench.below(3), expected);
    assert_ne!(bench.below(4), expected);
    assert_eq!(bench.read(3).unwrap(), [7; 512]);
    assert_eq!(bench.read(5).unwrap(), [0; 512], "what was never written is zeros");
    assert_eq!(bench.env.memory.buffers_taken(), 0);
}

#[test]
fn where_nobody_keeps_a_new_key_there_is_no_erase() {
    let mut bench = Bench::new(Keeping::Nobody);
    assert!(!bench.crypt.info().crypto_erases);
    bench.begin_erase(9);
    assert_eq!(bench.poll()[0].status, Status::Unsupported);
    assert!(bench.crypt.poll_new_key().is_none());
}

#[test]
fn an_erase_is_done_when_its_key_is_stored_and_the_data_is_gone() {
    let mut bench = Bench::new(Keeping::Owner);
    assert!(bench.crypt.info().crypto_erases);
    bench.write(3, 7);
    let before = bench.below(3);
    bench.begin_erase(9);
    bench.begin_erase(10);
    let key = bench.crypt.poll_new_key().expect("a key to be stored");
    assert!(bench.crypt.poll_new_key().is_none(), "once");
    assert_eq!(bench.poll(), [], "it is not stored");
    assert_eq!(bench.read(3).unwrap(), [7; 512], "the old key is in force");
    bench.crypt.key_stored(true);
    let done: Vec<_> = bench.poll().iter().map(|done| (done.tag, done.status)).collect();
    assert_eq!(done, [(9, Status::Ok), (10, Status::Ok)]);
    assert_ne!(bench.read(3).unwrap(), [7; 512]);
    assert_eq!(bench.below(3), before, "nothing below was touched");
    bench.write(3, 8);
    let again = Crypt::new(bench.ram.clone(), &key, Keeping::Owner);
    bench.channel = again.open();
    assert_eq!(bench.read(3).unwrap(), [8; 512], "with the key that was stored");
}

#[test]
fn while_nobody_knows_which_key_is_kept_nothing_is_read_or_written() {
    let mut bench = Bench::new(Keeping::Owner);
    bench.write(3, 7);
    bench.begin_erase(9);
    bench.crypt.poll_new_key().unwrap();
    bench.crypt.key_stored(false);
    assert_eq!(bench.poll()[0].status, Status::WriteError);
    assert_eq!(bench.read(3), Err(Status::ReadError));
    assert_eq!(bench.write(3, 7), Status::WriteError);
    bench.begin_erase(10);
    bench.crypt.poll_new_key().unwrap();
    assert_eq!(bench.write(3, 7), Status::WriteError, "until it is known");
    bench.crypt.key_stored(true);
    assert_eq!(bench.poll()[0].status, Status::Ok);
    assert_eq!((bench.write(3, 8), bench.read(3)), (Status::Ok, Ok(vec![8; 512])));
}

#[test]
fn an_erase_does_not_come_between_the_halves_of_a_copy() {
    let mut bench = Bench::new(Keeping::Owner);
    bench.write(3, 7);
    let latencies = crate::device::Latencies {
        read_average: core::time::Duration::from_millis(1),
        ..crate::device::Latencies::default()
    };
    let slow = Rc::new(crate::device::Delay::new(bench.crypt.clone(), latencies, 1));
    let volume = Volume::new(slow, Identity::default());
    bench.channel = volume.open();
    let copy = Op::Copy { from: 3 };
    let io = Io { tag: 8, op: copy, lba: 500, blocks: 1, fua: false, lend: false, data: Span::EMPTY };
    bench.channel.submit(&mut bench.env, io).unwrap();
    bench.begin_erase(9);
    assert_eq!(bench.poll(), []);
    assert!(bench.crypt.poll_new_key().is_none(), "it waits for the copy");
    let mut told = Vec::new();
    for _ in 0..10 {
        bench.env.now += core::time::Duration::from_millis(1);
        told.extend(bench.poll().iter().map(|done| done.tag));
        if bench.crypt.poll_new_key().is_some() {
            assert_eq!(told, [8], "the copy is done");
            bench.crypt.key_stored(true);
        }
    }
    assert_eq!(told, [8, 9]);
    bench.channel = bench.crypt.open();
    assert_ne!(bench.read(500).unwrap(), [7; 512]);
}

#[test]
fn a_write_waits_for_a_buffer() {
    let mut bench = Bench::new(Keeping::Nobody);
    let data = bench.env.memory.take(512).unwrap();
    bench.env.memory.fill(data, 5);
    let mut taken = Vec::new();
    while let Some(buffer) = bench.env.memory.take(512) {
        taken.push(buffer);
    }
    let io = Io { tag: 1, op: Op::Write, lba: 3, blocks: 1, fua: false, lend: false, data };
    bench.channel.submit(&mut bench.env, io).unwrap();
    assert_eq!(bench.poll(), []);
    assert!(bench.crypt.deadline().is_some(), "it asks again");
    let untouched = Io { tag: 2, ..io };
    bench.channel.submit(&mut bench.env, untouched).unwrap();
    assert!(bench.channel.withdraw(2), "nothing was done of it");
    taken.into_iter().for_each(|buffer| bench.env.memory.give(buffer));
    bench.env.now = bench.crypt.deadline().unwrap();
    bench.crypt.handle_timeout(&mut bench.env);
    assert_eq!(bench.poll().len(), 1);
    bench.env.memory.give(data);
    assert_eq!(bench.read(3).unwrap(), [5; 512]);
}
