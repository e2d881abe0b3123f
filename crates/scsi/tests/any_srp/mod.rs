//! An SRP target against initiators that do anything: logins of any bytes, units of any bytes and any length in any state,
//! commands whose descriptors name memory that is not there, task management, silence, ends of channels, time. Whatever they do,
//! all laws hold, and when they are gone, so is everything they had.
//!
//! The input is a list of steps: one byte that says what, one that says how, and bytes, if the step uses some.
#![allow(dead_code, reason = "each user uses its part")]

#[path = "../srp/mod.rs"]
pub mod srp;

use core::time::Duration;
use scsi::srp::target::{Counters, Limits};
use srp::{IMMEDIATE_AT, PORT, World, command, login, ranged};
use stdx::env::Env;
use stdx::slab::Key;
use verbs::endpoint::Happening;
use verbs::{Data, Parameters, PortSpace, Provider};
use wire::scsi::Lun;
use wire::srp::{
    Command, Descriptor, DescriptorTable, InitiatorLogout, LoginFlags, MemoryDescriptor, Opcode, Reply,
    TaskRequest,
};

/// Plays a list of steps, and says what was counted.
///
/// # Panics
/// Where a law does not hold.
pub fn play(input: &[u8]) -> Counters {
    let Some((&first, rest)) = input.split_first() else { return Counters::default() };
    let limits = Limits {
        requests: if first & 1 != 0 { 2 } else { 8 },
        receives: if first & 2 != 0 { 32 } else { 256 },
        immediate_data: first & 4 == 0,
        descriptors: if first & 8 != 0 { 2 } else { 64 },
        sends: if first & 16 != 0 { 4 } else { 32 },
        channels_max: 8,
        ..Limits::default()
    };
    let mut run = Run { world: World::with(limits), channels: Vec::new(), tag: 0 };
    if first & 32 != 0 {
        run.world.slow_down(Duration::from_millis(50));
    }
    run.ask(Way::Port, &login(LoginFlags::IMMEDIATE).encode_compact());
    let mut rest = rest;
    for _ in 0..STEPS_MAX {
        let Some(left) = run.step(rest) else { break };
        rest = left;
    }
    run.finish()
}

/// How a channel is asked for.
#[derive(Clone, Copy)]
enum Way {
    /// By the RDMA connection manager.
    Port,
    /// By InfiniBand's own, which leaves room for the whole login.
    Service,
}

const fn way(what: u8) -> Way {
    if what & 8 == 0 { Way::Port } else { Way::Service }
}

struct Run {
    world: World,
    channels: Vec<Key>,
    tag: u64,
}

impl Run {
    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, argument], rest) = bytes.split_first_chunk()?;
        let raw = rest.get(..usize::from(argument)).unwrap_or(rest);
        let mut left = rest;
        match what % 8 {
            0 => {
                self.ask(way(what), raw);
                left = &rest[raw.len()..];
            }
            1 => {
                let login = login(LoginFlags::default().with(flags(argument)));
                match way(what) {
                    Way::Port => self.ask(Way::Port, &login.encode_compact()),
                    // Here the compact one is none.
                    Way::Service if argument & 16 == 0 => self.ask(Way::Service, &login.encode()),
                    Way::Service => self.ask(Way::Service, &login.encode_compact()),
                }
            }
            2 => {
                self.send(what, raw);
                left = &rest[raw.len()..];
            }
            3 | 4 => self.command(what, argument, None),
            5 => {
                let (&patch, others) = rest.split_first_chunk::<4>()?;
                self.command(what, argument, Some(patch));
                left = others;
            }
            6 => self.other(what, argument),
            _ if argument < 32 => {
                if let Some(channel) = self.channel(argument) {
                    let World { env, device, host, .. } = &mut self.world;
                    host.disconnect(env, device, channel);
                }
            }
            _ => {
                let later = self.world.env.now() + Duration::from_millis(u64::from(argument));
                self.world.env.set_now(later);
            }
        }
        self.settle(TURNS);
        Some(left)
    }

    fn channel(&self, argument: u8) -> Option<Key> {
        self.channels.get(usize::from(argument) % self.channels.len().max(1)).copied()
    }

    /// Asks for a channel with these bytes.
    fn ask(&mut self, way: Way, private_data: &[u8]) {
        let World { env, device, host, address, .. } = &mut self.world;
        let (space, most) = match way {
            Way::Port => (PortSpace::Tcp, PRIVATE_DATA_MAX),
            Way::Service => (PortSpace::Service(PORT.guid), SERVICE_DATA_MAX),
        };
        let bytes = &private_data[..private_data.len().min(most)];
        let parameters = Parameters::default();
        // With as many as there may be, it is refused.
        let _ = host.connect(env, device, space, *address, parameters, bytes);
        self.settle(TURNS);
    }

    /// Sends bytes by a channel; who is gone says nothing.
    fn send(&mut self, channel: u8, unit: &[u8]) {
        let Some(channel) = self.channel(channel >> 3) else { return };
        let at = self.world.span.slice(0, unit.len());
        self.world.env.mem().write(at, unit);
        let _ = self.world.host.send(&mut self.world.device, channel, 1, Data::Own(&[at]));
        self.world.device.turn(&mut self.world.env);
    }

    /// A command that makes sense, but for some of its bytes.
    fn command(&mut self, channel: u8, argument: u8, patch: Option<[u8; 4]>) {
        self.tag += 1;
        let blocks = u16::from(argument & 7);
        let len = usize::from(blocks) * srp::BLOCK;
        let memory = match argument >> 3 & 3 {
            0 | 1 => self.world.piece(4096, len),
            2 => self.world.piece(srp::MEMORY - 256, len),
            _ => MemoryDescriptor { address: 0, key: 0, len: len as u32 },
        };
        let half = MemoryDescriptor { len: memory.len / 2, ..memory };
        let table = [half.encode(), half.encode()].concat();
        self.world.fill(TABLE_AT, &table);
        let whole = self.world.piece(TABLE_AT, table.len());
        let described = match argument >> 5 {
            0 | 1 => Descriptor::Direct(memory),
            2 => Descriptor::Indirect { table: whole, len: memory.len, first: DescriptorTable::new(&table) },
            3 => Descriptor::Indirect {
                table: whole,
                len: memory.len,
                first: DescriptorTable::new(&table[..16]),
            },
            4 => Descriptor::Indirect { table: memory, len: memory.len, first: DescriptorTable::new(&[]) },
            5 => Descriptor::Immediate { len: memory.len },
            _ => Descriptor::None,
        };
        let is_write = channel & 64 != 0 || argument >> 5 == 5;
        let cdb = ranged(if is_write { 0x2a } else { 0x28 }, u32::from(argument), blocks);
        let (data_out, data_in) =
            if is_write { (described, Descriptor::None) } else { (Descriptor::None, described) };
        let lun = Lun::from_number(u16::from(channel >> 7));
        let unit = Command { lun, data_out, data_in, ..command(self.tag, &cdb) };
        let mut bytes = vec![0; IMMEDIATE_AT + 256];
        let Ok(used) = unit.encode(&mut bytes) else { return };
        bytes.truncate(used);
        if argument >> 5 == 5 {
            bytes.resize(IMMEDIATE_AT + len, 7);
        }
        if let Some([first, a, second, b]) = patch {
            let places = bytes.len();
            bytes[usize::from(first) % places] = a;
            bytes[usize::from(second) % places] ^= b;
            bytes.truncate(if b & 1 != 0 { usize::from(b) } else { places });
        }
        self.send(channel, &bytes);
    }

    /// Task management, answers to what was asked or not, the last word.
    fn other(&mut self, channel: u8, argument: u8) {
        let tag = u64::from(argument >> 4);
        match argument % 8 {
            0..=3 => {
                let function = [1, 2, 4, 8, 0x40, 0x20][usize::from(argument >> 2) % 6];
                let (lun, task_tag) = (Lun::from_number(u16::from(channel >> 7)), self.tag.wrapping_sub(tag));
                self.send(channel, &TaskRequest { tag: !tag, lun, function, task_tag }.encode());
            }
            4 => self.send(channel, &Reply { opcode: Opcode::CreditResponse, tag: tag << 63 }.encode()),
            5 => {
                self.send(
                    channel,
                    &Reply { opcode: Opcode::AsynchronousEventResponse, tag: 1 << 63 }.encode(),
                );
            }
            6 => self.send(channel, &InitiatorLogout { tag }.encode()),
            _ => self.world.server.drain(&mut self.world.env, &mut self.world.device, &mut self.world.target),
        }
    }

    fn settle(&mut self, turns: usize) {
        for _ in 0..turns {
            self.world.device.turn(&mut self.world.env);
            self.world.turn();
            for happening in core::mem::take(&mut self.world.happened) {
                self.handle(happening);
            }
        }
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Established { connection, .. } => self.channels.push(connection),
            Happening::Gone { connection } => self.channels.retain(|channel| *channel != connection),
            Happening::Received { connection, received } => {
                self.world.host.release(&mut self.world.device, connection, received);
            }
            Happening::Requested(_) | Happening::Refused { .. } => {}
            Happening::Done { .. } | Happening::Broken { .. } => {}
        }
    }

    fn finish(mut self) -> Counters {
        for channel in core::mem::take(&mut self.channels) {
            let World { env, device, host, .. } = &mut self.world;
            host.disconnect(env, device, channel);
        }
        for _ in 0..20 {
            self.settle(TURNS);
            let later = self.world.env.now() + Duration::from_secs(1);
            self.world.env.set_now(later);
        }
        assert!(self.world.server.is_drained(), "every channel is over");
        assert_eq!(self.world.env.mem().buffers_taken(), 0, "and every buffer is back");
        *self.world.server.counters()
    }
}

fn flags(argument: u8) -> LoginFlags {
    let flag = |bit: u8, flag: LoginFlags| if argument & bit != 0 { flag } else { LoginFlags::default() };
    flag(1, LoginFlags::MULTICHANNEL)
        .with(flag(2, LoginFlags::IMMEDIATE))
        .with(flag(4, LoginFlags::SOLICIT_CREDIT))
        .with(flag(8, LoginFlags::SOLICIT_EVENT))
}

/// Turns after a step.
const TURNS: usize = 4;
/// Steps of one run: longer ones find no more, and there are fewer of them.
const STEPS_MAX: usize = 64;
/// Bytes that a request for a connection carries, and those of one without the addresses that go before them.
const PRIVATE_DATA_MAX: usize = 56;
const SERVICE_DATA_MAX: usize = 92;
/// Where a table of descriptors lies that is to be read.
const TABLE_AT: usize = 1 << 20;
