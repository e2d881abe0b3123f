//! What the target costs per command, without a transport: `transfer`, `submit` and `poll` over a RAM volume. Run with
//! `cargo bench -p nvme --bench target_io`.

use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use nvme::target::{
    Arrival, NamespaceConfig, Options, Portal, QueueKey, Request, Response, SubsystemConfig, Target,
    Transfer, Transport,
};
use std::rc::Rc;
use std::time::Instant;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::{Key, Slab};
use stdx::testing::TestEnv;
use wire::nvme::fabrics::{Connect, ConnectAttributes, ConnectData, Property, PropertySet};
use wire::nvme::nvm::{BlockCommand, Control};
use wire::nvme::{CONTROLLER_ANY, Nqn, NvmOpcode, Sgl, SubmissionQueueEntry};

fn main() {
    let mut bench = Bench::new();
    for (depth, opcode) in
        [1, 32, 128].into_iter().flat_map(|depth| [(depth, NvmOpcode::Read), (depth, NvmOpcode::Write)])
    {
        let nanoseconds = bench.measure(depth, opcode);
        println!("{opcode}, 4 KiB, {depth} at a time: {nanoseconds:.0} ns each");
    }
}

struct Bench {
    env: TestEnv,
    target: Target,
    queue: QueueKey,
    connection: Key,
    buffer: Span,
    responses: Vec<Response>,
}

impl Bench {
    fn new() -> Self {
        let mut env = TestEnv::new(64 << 20);
        let mut target = Target::new(Options::default());
        let nqn = Nqn::from_uuid(&[1; 16]);
        let address = "127.0.0.1:4420".parse().unwrap();
        let arrival =
            Arrival { portal: Portal { transport: Transport::Tcp, address }, local: address, peer: address };
        target.create_subsystem(SubsystemConfig::new(nqn)).unwrap();
        target.add_listener(&nqn, arrival.portal).unwrap();
        let ram = Ram::new(&mut env, Geometry::new(512, 1 << 21).unwrap()).unwrap();
        let volume = Rc::new(Volume::new(Rc::new(ram), Identity([1; 16])));
        let channel = volume.open();
        target.add_namespace(&nqn, NamespaceConfig::default(), volume, channel).unwrap();
        let connection = Slab::new(1).insert(()).unwrap();
        let buffer = env.mem().take(4096).unwrap();
        let queues = [0, 1].map(|queue_id| {
            let controller_id = if queue_id == 0 { CONTROLLER_ANY } else { 1 };
            let attributes = ConnectAttributes::NONE;
            let connect = Connect {
                record_format: 0,
                queue_id,
                queue_size_zero_based: 127,
                attributes,
                keep_alive_ms: 0,
            };
            let data = ConnectData::new([1; 16], controller_id, &nqn, &nqn);
            let connected =
                target.connect(&mut env, connection, &arrival, &connect.command(0), &data).unwrap().unwrap();
            let enable = PropertySet::command(Property::Configuration, 0x0046_0001, 1);
            if queue_id == 0 {
                let request = Request { connection, slot: 0, command: enable, data: Span::EMPTY };
                target.submit(&mut env, connected.queue, request);
            }
            connected.queue
        });
        let mut responses = Vec::new();
        target.poll(&mut env, &mut responses);
        Self { env, target, queue: queues[1], connection, buffer, responses }
    }

    /// The best of several runs, in nanoseconds a command.
    fn measure(&mut self, depth: u32, opcode: NvmOpcode) -> f64 {
        (0..7).map(|_| self.run(depth, opcode)).fold(f64::INFINITY, f64::min)
    }

    fn run(&mut self, depth: u32, opcode: NvmOpcode) -> f64 {
        let turns = 200_000 / depth;
        let start = Instant::now();
        for turn in 0..turns {
            for slot in 0..depth {
                let mut command = SubmissionQueueEntry::new(opcode.code(), slot as u16).with_namespace(1);
                let first_block = u64::from((turn * 31 + slot) % 4096) * 8;
                BlockCommand { first_block, blocks: 8, control: Control::NONE }.write(&mut command);
                let command = command.with_data(Sgl::Transport { length: 4096 });
                let data = match self.target.transfer(self.queue, &command).unwrap() {
                    Transfer::FromController { lent: true, .. } | Transfer::None => Span::EMPTY,
                    Transfer::FromController { .. } | Transfer::ToController { .. } => self.buffer,
                };
                let request = Request { connection: self.connection, slot, command, data };
                self.target.submit(&mut self.env, self.queue, request);
            }
            self.responses.clear();
            self.target.poll(&mut self.env, &mut self.responses);
            assert_eq!(self.responses.len(), depth as usize);
            assert!(self.responses.iter().all(|response| response.status.is_success()));
        }
        start.elapsed().as_nanos() as f64 / f64::from(turns * depth)
    }
}
