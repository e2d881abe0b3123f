//! What the tests of the TCP transport share.
#![allow(dead_code, reason = "each test binary uses its part")]

#[path = "../../../wire/tests/support/mod.rs"]
pub mod captures;
pub mod host;
pub mod nvme;
pub mod ram;
pub mod replay;

use ::nvme::target::Executor;
use ::nvme::target::tcp::{Limits, Server};
use host::{Answer, Form};
use ram::Ram;
use std::net::SocketAddr;
use stdx::env::StreamId;
use stdx::testing::TestEnv;
use wire::nvme::{NvmOpcode, Sgl, SubmissionQueueEntry};
use zerocopy::little_endian::U32;

/// A server over whatever executes commands, and the world around them.
pub struct World<T = Ram> {
    pub env: TestEnv,
    pub server: Server,
    pub target: T,
}

impl World {
    /// A small volume, the usual limits and 20 MiB of I/O buffers.
    pub fn new() -> Self {
        Self::with(Limits::default(), 20 << 20)
    }

    /// A small volume with these limits and so many bytes of I/O buffers.
    pub fn with(limits: Limits, buffer_bytes: usize) -> Self {
        let mut env = TestEnv::new(buffer_bytes);
        let target = Ram::new(&mut env);
        Self::over(env, target, limits)
    }
}

impl<T: Executor> World<T> {
    /// A server that listens.
    pub fn over(mut env: TestEnv, target: T, limits: Limits) -> Self {
        let mut server = Server::new(&mut env, 5 << 32, limits).unwrap();
        server.listen(&mut env, address()).unwrap();
        Self { env, server, target }
    }

    /// Handles all events, and turns until nothing is left to do.
    pub fn run(&mut self) {
        loop {
            while let Some(event) = self.env.next_event() {
                self.server.handle_event(&mut self.env, &mut self.target, &event);
            }
            self.server.poll(&mut self.env, &mut self.target);
            self.server.check(&mut self.env, 0);
            let idle = self.server.deadline().is_none_or(|time| time > stdx::env::Env::now(&self.env));
            if idle && self.env.is_quiet() {
                return;
            }
        }
    }

    /// A stream that was accepted.
    pub fn arrive(&mut self) -> StreamId {
        let stream = self.env.arrive();
        self.run();
        stream
    }

    /// Sends bytes to the server, and says what it answered.
    pub fn exchange(&mut self, stream: StreamId, form: &Form, bytes: &[u8]) -> Vec<Answer> {
        self.env.deliver(stream, bytes);
        self.run();
        self.answers(stream, form)
    }

    /// What the server has sent since it was last asked.
    pub fn answers(&mut self, stream: StreamId, form: &Form) -> Vec<Answer> {
        form.answers(&std::mem::take(&mut self.env.stream(stream).sent))
    }

    /// A stream with an admin queue of 32 entries; says the controller's identifier.
    pub fn admin(&mut self, form: &Form) -> (StreamId, u16) {
        let stream = self.arrive();
        let answers = self.exchange(stream, form, &form.initialize());
        assert!(matches!(answers[..], [Answer::Initialized(_)]));
        let answers = self.exchange(stream, form, &form.connect(0, 0xffff, 32, true));
        let [Answer::Response(completion)] = &answers[..] else { panic!("{answers:?}") };
        assert!(completion.status().is_success(), "{:?}", completion.status());
        (stream, completion.dword0() as u16)
    }

    /// A stream with an I/O queue of 128 entries.
    pub fn io(&mut self, form: &Form, controller_id: u16, flow_control: bool) -> StreamId {
        let stream = self.arrive();
        self.exchange(stream, form, &form.initialize());
        let answers = self.exchange(stream, form, &form.connect(1, controller_id, 128, flow_control));
        let [Answer::Response(completion)] = &answers[..] else { panic!("{answers:?}") };
        assert!(completion.status().is_success(), "{:?}", completion.status());
        stream
    }
}

/// A command for `blocks` blocks of 512 bytes from `lba` on.
pub fn io(opcode: NvmOpcode, command_id: u16, lba: u32, blocks: u32, sgl: Sgl) -> SubmissionQueueEntry {
    let mut command = SubmissionQueueEntry::new(opcode.code(), command_id).with_namespace(1).with_data(sgl);
    command.cdw10 = U32::new(lba);
    command.cdw12 = U32::new(blocks - 1);
    command
}

/// A read.
pub fn read(command_id: u16, lba: u32, blocks: u32) -> SubmissionQueueEntry {
    io(NvmOpcode::Read, command_id, lba, blocks, Sgl::Transport { length: blocks * 512 })
}

/// A write with its data in the capsule.
pub fn write(command_id: u16, lba: u32, blocks: u32) -> SubmissionQueueEntry {
    io(NvmOpcode::Write, command_id, lba, blocks, Sgl::InCapsule { offset: 0, length: blocks * 512 })
}

/// A write whose data is asked for.
pub fn long_write(command_id: u16, lba: u32, blocks: u32) -> SubmissionQueueEntry {
    io(NvmOpcode::Write, command_id, lba, blocks, Sgl::Transport { length: blocks * 512 })
}

/// So many bytes that differ from their neighbours.
pub fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add((at >> 8) as u8).wrapping_add(seed)).collect()
}

/// Where the server listens.
pub fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4420))
}
