//! Whole connections of an iSER target: requests for connections with any bytes, messages of any bytes and any length in any
//! state, commands whose headers advertise memory that is not there, data that nobody asked for, more messages than are
//! allowed, silence, ends, time. Whatever initiators do, all laws hold, and when they are gone, so is everything they had.
//!
//! The input is a list of steps: one byte that says what, one that says how, and bytes, if the step uses some.
#![allow(dead_code, reason = "each user uses its part")]

#[path = "../world/mod.rs"]
pub mod world;

use core::time::Duration;
use scsi::iscsi::target::Counters;
use scsi::iscsi::target::iser::Limits;
use stdx::slab::Key;
use verbs::endpoint::Happening;
use verbs::{Data, Parameters, PortSpace, Provider};
use wire::iscsi::{LogoutReason, RESERVED_TAG};
use wire::iser::{Advertised, Header};
use world::initiator::Initiator;
use world::rdma::{KEYS, MEMORY, RdmaWorld, initiator};
use world::{Settings, address};

/// Plays a list of steps, and says what was counted.
///
/// # Panics
/// Where a law does not hold.
pub fn play(input: &[u8]) -> Counters {
    let Some((&first, rest)) = input.split_first() else { return Counters::default() };
    let limits = Limits {
        connections_max: 8,
        receives: 64,
        sends: if first & 1 != 0 { 2 } else { 32 },
        queued_max: if first & 2 != 0 { 2 } else { 32 },
        ..Limits::default()
    };
    let settings = Settings { queue_depth: if first & 4 != 0 { 1 } else { 8 }, ..Settings::default() };
    let world = RdmaWorld::with(settings, limits);
    let mut run = Run { world, connections: Vec::new(), tag: 0 };
    if first & 8 == 0 {
        run.connect(&[0x60]);
        run.log_in(0);
    }
    let mut rest = rest;
    for _ in 0..STEPS_MAX {
        let Some(left) = run.step(rest) else { break };
        rest = left;
    }
    run.finish()
}

struct Run {
    world: RdmaWorld,
    connections: Vec<(Key, Initiator)>,
    tag: u32,
}

impl Run {
    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, argument], rest) = bytes.split_first_chunk()?;
        let raw = rest.get(..usize::from(argument)).unwrap_or(rest);
        let mut left = rest;
        match what % 8 {
            0 => {
                self.connect(raw);
                left = &rest[raw.len()..];
            }
            1 => self.log_in(what >> 3),
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
            6 if argument & 1 != 0 => self.data_out(what >> 3, argument),
            6 => self.other(what >> 3, argument >> 1),
            _ if argument < 32 => {
                if let Some((connection, _)) = self.at(argument) {
                    let connection = *connection;
                    self.world.host.disconnect(&mut self.world.world.env, &mut self.world.device, connection);
                }
            }
            _ => self.world.world.env.advance(Duration::from_millis(u64::from(argument) * 100)),
        }
        self.settle(TURNS);
        Some(left)
    }

    fn at(&mut self, argument: u8) -> Option<&mut (Key, Initiator)> {
        let count = self.connections.len().max(1);
        self.connections.get_mut(usize::from(argument) % count)
    }

    /// Asks for a connection with these bytes.
    fn connect(&mut self, said: &[u8]) {
        let said = &said[..said.len().min(PRIVATE_DATA_MAX)];
        let RdmaWorld { world, device, host, .. } = &mut self.world;
        // With as many as there may be, it is refused.
        let _ = host.connect(&mut world.env, device, PortSpace::Tcp, address(), Parameters::default(), said);
        self.settle(TURNS);
    }

    fn log_in(&mut self, argument: u8) {
        let Some((_, initiator)) = self.at(argument) else { return };
        let login = [&Header::default().encode()[..], &initiator.login(KEYS)].concat();
        self.send(argument, &login);
        self.settle(TURNS);
    }

    /// Sends bytes as a message; who is gone says nothing.
    fn send(&mut self, argument: u8, message: &[u8]) {
        let Some(&mut (connection, _)) = self.at(argument) else { return };
        let at = self.world.span.slice(MEMORY / 2, message.len());
        self.world.fill(MEMORY / 2, message);
        let _ = self.world.host.send(&mut self.world.device, connection, 1, Data::Own(&[at]));
        self.world.device.turn(&mut self.world.world.env);
    }

    /// A command that makes sense, but for some of its bytes.
    fn command(&mut self, place: u8, argument: u8, patch: Option<[u8; 4]>) {
        self.tag += 1;
        let (tag, blocks) = (self.tag, u16::from(argument & 7));
        let memory = match argument >> 3 & 3 {
            0 | 1 => Some(self.world.at(0)),
            2 => Some(Advertised { key: 0, ..self.world.at(MEMORY as u64 / 2 - 100) }),
            _ => None,
        };
        let is_write = argument & 32 != 0;
        let along = if argument & 64 != 0 { usize::from(blocks) * 512 } else { 0 };
        let header = if is_write {
            Header { write: memory, read: None }
        } else {
            Header { write: None, read: memory }
        };
        let Some((_, initiator)) = self.at(place) else { return };
        let pdu = match is_write {
            true => initiator.write_blocks(tag, 0, &vec![7; usize::from(blocks) * 512], along, true),
            false => initiator.read_blocks(tag, u32::from(argument), blocks),
        };
        let mut message = [&header.encode()[..], &pdu].concat();
        if let Some([first, a, second, b]) = patch {
            let places = message.len();
            message[usize::from(first) % places] = a;
            message[usize::from(second) % places] ^= b;
            message.truncate(if b & 1 != 0 { usize::from(b) } else { places });
        }
        self.send(place, &message);
    }

    /// A write whose data is in memory or along, and, before it is done, data for it or one of those before.
    fn data_out(&mut self, place: u8, argument: u8) {
        self.command(place, argument & 0x40 | 0x21, None);
        self.settle(usize::from(argument >> 1 & 3));
        let tag = self.tag.wrapping_sub(u32::from(argument >> 3 & 1));
        let transfer_tag = if argument & 16 != 0 { RESERVED_TAG } else { u32::from(argument >> 5 & 1) << 16 };
        let Some((_, initiator)) = self.at(place) else { return };
        let pdu = initiator.data_out(tag, transfer_tag, 0, 0, &[7; 512], argument & 128 == 0);
        let message = [&Header::default().encode()[..], &pdu].concat();
        self.send(place, &message);
    }

    /// Signs of life, text, task management, the last word.
    fn other(&mut self, place: u8, argument: u8) {
        let referenced = self.tag.wrapping_sub(u32::from(argument >> 5));
        let tag = 0x1000 + u32::from(argument);
        let Some((_, initiator)) = self.at(place) else { return };
        let pdu = match argument % 5 {
            0 => initiator.ping(tag, &[1, 2, 3]),
            1 => initiator.text(tag, "SendTargets=All"),
            2 | 3 => initiator.manage(tag, 1 + argument % 8, referenced),
            _ => initiator.logout(tag, LogoutReason::CloseSession),
        };
        let message = [&Header::default().encode()[..], &pdu].concat();
        self.send(place, &message);
    }

    fn settle(&mut self, turns: usize) {
        for _ in 0..turns {
            self.world.device.turn(&mut self.world.world.env);
            self.world.turn();
            for happening in core::mem::take(&mut self.world.happened) {
                self.handle(happening);
            }
        }
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Established { connection, .. } => {
                self.connections.push((connection, initiator(self.connections.len() as u8)));
            }
            Happening::Gone { connection } => self.connections.retain(|(of, _)| *of != connection),
            Happening::Received { connection, received } => {
                self.world.host.release(&mut self.world.device, connection, received);
            }
            Happening::Requested(_) | Happening::Refused { .. } => {}
            Happening::Done { .. } | Happening::Broken { .. } => {}
        }
    }

    fn finish(mut self) -> Counters {
        for (connection, _) in core::mem::take(&mut self.connections) {
            self.world.host.disconnect(&mut self.world.world.env, &mut self.world.device, connection);
        }
        for _ in 0..20 {
            self.settle(TURNS);
            self.world.world.env.advance(Duration::from_secs(2));
        }
        self.settle(TURNS);
        assert!(self.world.world.server.is_drained(), "every session is over");
        assert!(self.world.transport.is_drained(), "every connection is closed");
        *self.world.world.server.counters()
    }
}

/// Turns after a step.
const TURNS: usize = 4;
/// Steps of one run: longer ones find no more, and there are fewer of them.
const STEPS_MAX: usize = 64;
/// Bytes that a request for a connection carries.
const PRIVATE_DATA_MAX: usize = 56;
