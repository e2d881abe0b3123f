//! The target allocates nothing per command in steady state.

use block::device::{Geometry, Ram};
use block::{BlockDevice, Identity, Volume};
use nvme::target::{
    Arrival, NamespaceConfig, Options, Portal, Request, SubsystemConfig, Target, Transfer, Transport,
};
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::{CountingAllocator, Span};
use stdx::slab::Slab;
use stdx::testing::TestEnv;
use wire::nvme::fabrics::{Connect, ConnectAttributes, ConnectData, Property, PropertySet};
use wire::nvme::nvm::{BlockCommand, Control};
use wire::nvme::{CONTROLLER_ANY, Nqn, NvmOpcode, Sgl, SubmissionQueueEntry};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn commands_allocate_nothing() {
    let mut env = TestEnv::new(64 << 20);
    let mut target = Target::new(Options::default());
    let nqn = Nqn::from_uuid(&[1; 16]);
    let address = "127.0.0.1:4420".parse().unwrap();
    let arrival =
        Arrival { portal: Portal { transport: Transport::Tcp, address }, local: address, peer: address };
    target.create_subsystem(SubsystemConfig::new(nqn)).unwrap();
    target.add_listener(&nqn, arrival.portal).unwrap();
    let ram = Ram::new(&mut env, Geometry::new(512, 4096).unwrap()).unwrap();
    let volume = Rc::new(Volume::new(Rc::new(ram), Identity([1; 16])));
    let channel = volume.open();
    target.add_namespace(&nqn, NamespaceConfig::default(), volume, channel).unwrap();
    let connection = Slab::new(1).insert(()).unwrap();
    let buffer = env.mem().take(4096).unwrap();
    let [_, queue] = [0, 1].map(|queue_id| {
        let controller_id = if queue_id == 0 { CONTROLLER_ANY } else { 1 };
        let attributes = ConnectAttributes::NONE;
        let connect =
            Connect { record_format: 0, queue_id, queue_size_zero_based: 127, attributes, keep_alive_ms: 0 };
        let data = ConnectData::new([1; 16], controller_id, &nqn, &nqn);
        let connected =
            target.connect(&mut env, connection, &arrival, &connect.command(0), &data).unwrap().unwrap();
        if queue_id == 0 {
            let command = PropertySet::command(Property::Configuration, 0x0046_0001, 1);
            let request = Request { connection, slot: 0, command, data: Span::EMPTY };
            target.submit(&mut env, connected.queue, request);
        }
        connected.queue
    });
    let mut responses = Vec::new();
    target.poll(&mut env, &mut responses);
    let mut turn = |opcode: NvmOpcode| {
        for slot in 0..64 {
            let mut command = SubmissionQueueEntry::new(opcode.code(), slot as u16).with_namespace(1);
            BlockCommand { first_block: u64::from(slot) * 8, blocks: 8, control: Control::NONE }
                .write(&mut command);
            let command = command.with_data(Sgl::Transport { length: 4096 });
            let data = match target.transfer(queue, &command).unwrap() {
                Transfer::FromController { lent: true, .. } | Transfer::None => Span::EMPTY,
                Transfer::FromController { .. } | Transfer::ToController { .. } => buffer,
            };
            target.submit(&mut env, queue, Request { connection, slot, command, data });
        }
        responses.clear();
        target.poll(&mut env, &mut responses);
        assert_eq!(responses.len(), 64);
        assert!(responses.iter().all(|response| response.status.is_success()));
    };
    let commands =
        [NvmOpcode::Write, NvmOpcode::Read, NvmOpcode::Compare, NvmOpcode::WriteZeroes, NvmOpcode::Flush];
    for opcode in commands {
        turn(opcode);
        let before = CountingAllocator::allocations();
        turn(opcode);
        assert_eq!(CountingAllocator::allocations() - before, 0, "{opcode}");
    }
}
