//! What Linux's nvme-rdma said to nvmet-rdma, said to our target: each command is answered, with the status, and where both ends
//! have no choice with the result, that Linux's target answered with. The memory that commands name is ours.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;
mod rdma_world;

use frames::units;
use nvme::target::rdma::Limits;
use rdma_world::{World, subsystem};
use std::collections::BTreeMap;
use stdx::env::Env;
use stdx::slab::Key;
use verbs::endpoint::Happening;
use wire::cm::{IpAddresses, Message};
use wire::nvme::fabrics::ConnectData;
use wire::nvme::rdma::{PRIVATE_DATA_LEN, QueueAccept, QueueRequest};
use wire::nvme::{
    AdminOpcode, CompletionQueueEntry, FABRICS_OPCODE, FabricsCommandType, Nqn, NvmOpcode, Sgl, Status,
    SubmissionQueueEntry,
};
use zerocopy::{FromBytes, IntoBytes};

/// Blocks of the volume that Linux served.
const BLOCKS: u64 = 64 << 11;

/// Completions of a queue by command, in their order: identifiers are used again and again.
type Answers = BTreeMap<u16, Vec<CompletionQueueEntry>>;

/// A queue of the capture, and ours in its place.
struct Queue {
    id: u16,
    /// Its numbers at the host and at the controller.
    host: u32,
    controller: Option<u32>,
    /// The connection manager's name for the host's end.
    name: u32,
    connection: Key,
    accept: QueueAccept,
    commands: Vec<SubmissionQueueEntry>,
    theirs: Answers,
    ours: Answers,
}

struct Replay {
    world: World,
    queues: Vec<Queue>,
    controller_id: u16,
}

impl Replay {
    fn play(capture: &str) -> Self {
        let world = World::of_blocks(Limits::default(), BLOCKS);
        let mut replay = Self { world, queues: Vec::new(), controller_id: 0 };
        for unit in units(capture) {
            match unit.destination {
                1 => replay.manage(&unit.bytes),
                to if unit.bytes.len() == CompletionQueueEntry::LEN => {
                    let queue = replay.queues.iter_mut().find(|queue| queue.host == to).unwrap();
                    let completion = *CompletionQueueEntry::view(&unit.bytes).unwrap();
                    queue.theirs.entry(completion.command_id.get()).or_default().push(completion);
                }
                to => replay.command(to, &unit.bytes),
            }
        }
        replay
    }

    /// A message of the connection manager's. Who asks anew asks for the same.
    fn manage(&mut self, bytes: &[u8]) {
        match Message::decode(bytes).unwrap().1 {
            Message::ConnectRequest(asked) if self.queues.iter().all(|queue| queue.host != asked.qpn) => {
                let private_data = &asked.private_data[IpAddresses::LEN..][..PRIVATE_DATA_LEN];
                let request = QueueRequest::decode(private_data).unwrap();
                let ours = QueueRequest { controller_id: self.controller_id, ..request };
                let (connection, accept) = self.world.ask(&ours.encode()).unwrap();
                self.queues.push(Queue {
                    id: request.queue_id,
                    host: asked.qpn,
                    controller: None,
                    name: asked.local_id,
                    connection,
                    accept,
                    commands: Vec::new(),
                    theirs: Answers::new(),
                    ours: Answers::new(),
                });
            }
            Message::ConnectReply(reply) => {
                let theirs = QueueAccept::decode(&reply.private_data).unwrap().unwrap();
                let queue = self.queues.iter_mut().find(|queue| queue.name == reply.remote_id).unwrap();
                queue.controller = Some(reply.qpn);
                assert_eq!(queue.accept, theirs, "queue {}", queue.id);
            }
            _ => {}
        }
    }

    /// A command, with our memory and names instead of theirs.
    fn command(&mut self, to: u32, capsule: &[u8]) {
        let place = self.queues.iter().position(|queue| queue.controller == Some(to)).unwrap();
        let (command, data) = capsule.split_at(SubmissionQueueEntry::LEN);
        let mut command = *SubmissionQueueEntry::view(command).unwrap();
        let mut data = data.to_vec();
        self.queues[place].commands.push(command);
        let connects = is_connect(&command);
        let (sgl, len) = match command.data.decode().unwrap() {
            // Memory of ours stays open.
            Sgl::Keyed { length, .. } => (self.world.keyed(0, length as usize), length as usize),
            other => (other, 0),
        };
        command = command.with_data(sgl);
        if connects {
            let controller = if self.queues[place].id == 0 { 0xffff } else { self.controller_id };
            let named = ConnectData::new([9; 16], controller, &subsystem(), &Nqn::from_uuid(&[9; 16]));
            match len {
                0 => data = named.as_bytes().to_vec(),
                _ => self.world.fill(0, named.as_bytes()),
            }
        }
        let connection = self.queues[place].connection;
        self.world.send(connection, &command, &data);
        self.collect();
        if connects && self.queues[place].id == 0 {
            let completion = self.queues[place].ours[&command.command_id.get()][0];
            self.controller_id = completion.dword0() as u16;
        }
    }

    fn collect(&mut self) {
        for happening in self.world.happened() {
            let Happening::Received { connection, received } = happening else { continue };
            let mut bytes = [0; CompletionQueueEntry::LEN];
            self.world.env.mem().read(self.world.host.message(&received), &mut bytes);
            let completion = CompletionQueueEntry::read_from_bytes(&bytes).unwrap();
            let queue = self.queues.iter_mut().find(|queue| queue.connection == connection).unwrap();
            queue.ours.entry(completion.command_id.get()).or_default().push(completion);
            self.world.host.release(&mut self.world.device, connection, received);
        }
    }
}

fn is_connect(command: &SubmissionQueueEntry) -> bool {
    command.opcode == FABRICS_OPCODE && command.fabrics_type_code() == FabricsCommandType::Connect.code()
}

/// Whether the result of a command is no choice of the controller's: I/O, and what a host sets.
fn has_fixed_result(queue: &Queue, command: &SubmissionQueueEntry) -> bool {
    queue.id != 0 && command.opcode != FABRICS_OPCODE || command.opcode == AdminOpcode::KeepAlive.code()
}

#[test]
fn linux_is_answered_as_by_linux() {
    let replay = Replay::play("nvme-rdma");
    let (mut compared, mut moved) = (0, 0);
    for queue in &replay.queues {
        // Linux answers its parked event requests when their controller is reset; the standard has them just go.
        let is_parked =
            |command: &&SubmissionQueueEntry| command.opcode == AdminOpcode::AsynchronousEventRequest.code();
        let parked: Vec<u16> = queue
            .commands
            .iter()
            .filter(|command| queue.id == 0 && is_parked(command))
            .map(|command| command.command_id.get())
            .collect();
        let mut taken = BTreeMap::<u16, usize>::new();
        let mut waiting = 0;
        for command in &queue.commands {
            let id = command.command_id.get();
            let nth = taken.entry(id).or_default();
            let answer = |of: &Answers| of.get(&id).and_then(|all| all.get(*nth)).copied();
            let (theirs, ours) = (answer(&queue.theirs), answer(&queue.ours));
            *nth += 1;
            if parked.contains(&id) {
                waiting += 1;
                continue;
            }
            let context = format!("queue {}, command {id:#x}: {:#x}", queue.id, command.opcode);
            // The capture may end before an answer.
            let Some(theirs) = theirs else { continue };
            let ours = ours.unwrap_or_else(|| panic!("{context} has no answer"));
            assert_eq!(ours.status(), theirs.status(), "{context}");
            // The head is behind all that was taken (Base 3.3.3.2.1); Linux has it behind all that was answered.
            let head = (theirs.submission_queue_head.get() + waiting) % queue.accept.controller_receive_size;
            assert_eq!(ours.submission_queue_head.get(), head, "{context}");
            if has_fixed_result(queue, command) {
                assert_eq!(ours.result, theirs.result, "{context}");
            }
            compared += 1;
            let is_moved = [NvmOpcode::Read.code(), NvmOpcode::Write.code()].contains(&command.opcode);
            moved += usize::from(queue.id != 0 && is_moved && ours.status() == Status::SUCCESS);
        }
    }
    assert!(replay.queues.len() > 1 && compared > 20 && moved > 5, "{compared} {moved}");
}
