//! A whole NVMe/RDMA target against hosts that do anything: requests for queues with any bytes, capsules of any bytes and any
//! length in any state, commands whose descriptors and lists name memory that is not there, more commands than a queue has
//! entries, silence, ends, time. Whatever they do, all laws hold, and when they are gone, so is everything they had.
//!
//! The input is a list of steps: one byte that says what, one that says how, and bytes, if the step uses some.
#![allow(dead_code, reason = "each user uses its part")]

#[path = "../rdma_world/mod.rs"]
pub mod rdma_world;

use core::time::Duration;
use nvme::target::rdma::{Counters, Limits};
use rdma_world::{BLOCK, MEMORY, TAG, World, block, connect, request, subsystem};
use stdx::env::Env;
use stdx::slab::Key;
use verbs::endpoint::Happening;
use verbs::{Data, Parameters, PortSpace, Provider};
use wire::nvme::fabrics::{ConnectAttributes, ConnectData, Property, PropertySet};
use wire::nvme::rdma::QueueRequest;
use wire::nvme::{AdminOpcode, CONTROLLER_ANY, Nqn, NvmOpcode, Sgl, SubmissionQueueEntry};
use zerocopy::IntoBytes;

/// Plays a list of steps, and says what was counted.
///
/// # Panics
/// Where a law does not hold.
pub fn play(input: &[u8]) -> Counters {
    let Some((&first, rest)) = input.split_first() else { return Counters::default() };
    let limits = Limits {
        connections_max: 8,
        receives: if first & 1 != 0 { 32 } else { 256 },
        sends: if first & 2 != 0 { 2 } else { 32 },
        ..Limits::default()
    };
    let mut run = Run { world: World::with(limits), queues: Vec::new(), id: 0 };
    if first & 4 == 0 {
        run.ask(&request(0).encode());
        run.associate(0, 0);
        run.enable(0);
        run.ask(&request(1).encode());
        run.associate(1, 1);
    }
    let mut rest = rest;
    for _ in 0..STEPS_MAX {
        let Some(left) = run.step(rest) else { break };
        rest = left;
    }
    run.finish()
}

struct Run {
    world: World,
    queues: Vec<Key>,
    /// The identifier of the last command.
    id: u16,
}

impl Run {
    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, argument], rest) = bytes.split_first_chunk()?;
        let raw = rest.get(..usize::from(argument)).unwrap_or(rest);
        let mut left = rest;
        match what % 8 {
            0 => {
                self.ask(raw);
                left = &rest[raw.len()..];
            }
            1 => self.ask_well(argument),
            2 => {
                self.send(what >> 3, raw);
                left = &rest[raw.len()..];
            }
            3 | 4 => self.command(what >> 3, argument, None),
            5 => {
                let (&patch, others) = rest.split_first_chunk::<4>()?;
                self.command(what >> 3, argument, Some(patch));
                left = others;
            }
            6 => self.other(what >> 3, argument),
            _ if argument < 32 => {
                if let Some(queue) = self.queue(argument) {
                    self.world.host.disconnect(&mut self.world.env, &mut self.world.device, queue);
                }
            }
            _ => {
                let later = self.world.env.now() + Duration::from_millis(u64::from(argument) * 20);
                self.world.env.set_now(later);
            }
        }
        // Commands may come before those in front of them are done.
        self.settle(if argument & 128 != 0 { 1 } else { TURNS });
        Some(left)
    }

    fn queue(&self, argument: u8) -> Option<Key> {
        self.queues.get(usize::from(argument) % self.queues.len().max(1)).copied()
    }

    /// Asks for a queue with these bytes.
    fn ask(&mut self, said: &[u8]) {
        let World { env, device, host, address, .. } = &mut self.world;
        let said = &said[..said.len().min(PRIVATE_DATA_MAX)];
        // With as many as there may be, it is refused.
        let _ = host.connect(env, device, PortSpace::Tcp, *address, Parameters::default(), said);
        self.settle(TURNS);
    }

    /// Asks for a queue that may be had, or nearly.
    fn ask_well(&mut self, argument: u8) {
        let entries = [1, 4, 32, 128][usize::from(argument >> 2 & 3)];
        let asked = QueueRequest {
            queue_id: u16::from(argument & 3),
            host_receive_size: entries,
            host_send_size_zero_based: entries - u16::from(argument & 16 == 0),
            controller_id: u16::from(argument >> 5 & 1),
        };
        self.ask(&asked.encode());
    }

    /// Sends bytes as a capsule; who is gone says nothing.
    fn send(&mut self, queue: u8, capsule: &[u8]) {
        let Some(queue) = self.queue(queue) else { return };
        let at = self.world.span.slice(CAPSULE_AT, capsule.len());
        self.world.env.mem().write(at, capsule);
        let _ = self.world.host.send(&mut self.world.device, queue, 1, Data::Own(&[at]));
        self.world.device.turn(&mut self.world.env);
    }

    fn next_id(&mut self) -> u16 {
        self.id = self.id.wrapping_add(1);
        self.id
    }

    /// Connect, with its data in the capsule.
    fn associate(&mut self, queue: u8, queue_id: u16) {
        let controller = if queue_id == 0 { CONTROLLER_ANY } else { 1 };
        let data = ConnectData::new([9; 16], controller, &subsystem(), &Nqn::from_uuid(&[9; 16]));
        let command = connect(queue_id, ConnectAttributes::NONE).command(self.next_id());
        self.send(queue, &[command.as_bytes(), data.as_bytes()].concat());
        self.settle(TURNS);
    }

    /// Has the controller made ready.
    fn enable(&mut self, queue: u8) {
        let command = PropertySet::command(Property::Configuration, 0x0046_0001, self.next_id());
        self.send(queue, command.as_bytes());
        self.settle(TURNS);
    }

    /// A read or write that makes sense, but for some of its bytes.
    fn command(&mut self, queue: u8, argument: u8, patch: Option<[u8; 4]>) {
        let blocks = u32::from(argument & 7) + 1;
        let len = blocks as usize * BLOCK;
        let opcode = match argument >> 3 & 3 {
            0 => NvmOpcode::Read,
            1 | 2 => NvmOpcode::Write,
            _ => NvmOpcode::Compare,
        };
        let id = self.next_id();
        let (sgl, along) = self.data(queue, argument >> 5, len);
        let command = block(opcode, id, u64::from(argument), blocks, sgl);
        let mut capsule = [command.as_bytes(), &along].concat();
        if let Some([first, a, second, b]) = patch {
            let places = capsule.len();
            capsule[usize::from(first) % places] = a;
            capsule[usize::from(second) % places] ^= b;
            capsule.truncate(if b & 1 != 0 { usize::from(b) } else { places });
        }
        self.send(queue, &capsule);
    }

    /// How a command says where its data is, and what goes along in its capsule.
    fn data(&self, queue: u8, way: u8, len: usize) -> (Sgl, Vec<u8>) {
        let length = len as u32;
        let halves = |second: usize| [self.world.keyed(0, len / 2), self.world.keyed(second, len / 2)];
        match way {
            0 => (self.world.keyed(0, len), Vec::new()),
            // A key that was never told.
            1 => (Sgl::Keyed { address: 0, length, key: 77, invalidate: queue & 1 != 0 }, Vec::new()),
            2 => (self.world.keyed(MEMORY - BLOCK / 2, len), Vec::new()),
            3 | 4 => (Sgl::InCapsule { offset: 0, length }, vec![7; len]),
            5 => list(&halves(8192), queue),
            6 => list(&halves(MEMORY - BLOCK / 2), queue),
            _ => list(&[self.world.keyed(0, 0); 17], queue),
        }
    }

    /// What is no read or write: an association, the controller's commands.
    fn other(&mut self, queue: u8, argument: u8) {
        let queue_id = u16::from(argument >> 4 & 3);
        let opcode = match argument % 8 {
            0 | 1 => return self.associate(queue, queue_id),
            2 => return self.enable(queue),
            3 => AdminOpcode::Identify,
            4 => AdminOpcode::AsynchronousEventRequest,
            5 => AdminOpcode::KeepAlive,
            6 => AdminOpcode::GetLogPage,
            _ => AdminOpcode::Abort,
        };
        let mut command =
            SubmissionQueueEntry::new(opcode.code(), self.next_id()).with_data(self.world.keyed(0, 4096));
        command.cdw10 = u32::from(argument >> 3).into();
        self.send(queue, command.as_bytes());
    }

    fn settle(&mut self, turns: usize) {
        for _ in 0..turns {
            self.world.device.turn(&mut self.world.env);
            let deadline = self.world.device.deadline();
            self.world.env.poll(&mut Vec::new(), deadline);
            self.world.turn();
            for happening in core::mem::take(&mut self.world.happened) {
                self.handle(happening);
            }
        }
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Established { connection, .. } => self.queues.push(connection),
            Happening::Gone { connection } => self.queues.retain(|queue| *queue != connection),
            Happening::Received { connection, received } => {
                self.world.host.release(&mut self.world.device, connection, received);
            }
            Happening::Requested(_) | Happening::Refused { .. } => {}
            Happening::Done { .. } | Happening::Broken { .. } => {}
        }
    }

    fn finish(mut self) -> Counters {
        for queue in core::mem::take(&mut self.queues) {
            self.world.host.disconnect(&mut self.world.env, &mut self.world.device, queue);
        }
        let World { env, device, server, target, lanes, .. } = &mut self.world;
        server.drain(env, device, &mut lanes.of(target, TAG));
        for _ in 0..20 {
            self.settle(TURNS);
            let later = self.world.env.now() + Duration::from_secs(1);
            self.world.env.set_now(later);
        }
        assert!(self.world.server.is_drained(), "every queue is over");
        assert_eq!(self.world.env.mem().buffers_taken(), 0, "and every buffer is back");
        *self.world.server.counters()
    }
}

/// A last segment of these descriptors, somewhere in the capsule's data.
fn list(descriptors: &[Sgl], place: u8) -> (Sgl, Vec<u8>) {
    let offset = usize::from(place & 3) * 16;
    let mut along = vec![0xee; offset];
    descriptors.iter().for_each(|sgl| along.extend_from_slice(sgl.encode().as_bytes()));
    let length = (descriptors.len() * 16) as u32;
    (Sgl::Segment { address: offset as u64, length, in_capsule: true, last: true }, along)
}

/// Turns after a step.
const TURNS: usize = 4;
/// Steps of one run: longer ones find no more, and there are fewer of them.
const STEPS_MAX: usize = 64;
/// Bytes that a request for a queue carries.
const PRIVATE_DATA_MAX: usize = 56;
/// Where capsules lie.
const CAPSULE_AT: usize = MEMORY - 16384;
