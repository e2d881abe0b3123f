//! A whole SRP initiator against a target that does anything: right answers, wrong ones, units of any bytes, credits given and
//! taken, logouts, writes where they do not belong, silence, ends of channels, time. Whatever it does, each request is completed
//! once, and nothing of a closed initiator is left.
//!
//! The input is a list of steps: one byte that says what, one that says how, and bytes, if the step uses some.
#![no_main]

mod requests;
#[path = "../../crates/scsi/tests/srp_script/mod.rs"]
mod srp_script;

use block::{BlockDevice, Channel};
use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use requests::Requests;
use scsi::srp::initiator::InitiatorOptions;
use srp_script::{ADDRESS, Script, good, pieces, written};
use stdx::env::Env;
use stdx::slab::Key;
use wire::scsi::{Lun, Sense, SenseKey};
use wire::srp::{
    AsynchronousEvent, ChannelResult, Command, CreditRequest, LoginRejectReason, LogoutReason, Opcode,
    PortId, Response, ResponseCode, ResponseFlags, TargetLogout,
};

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else { return };
    let options = InitiatorOptions {
        channels: 1 + u16::from(first & 1),
        commands_max: if first & 2 != 0 { 2 } else { 16 },
        immediate_max: if first & 4 != 0 { 0 } else { 4096 },
        piece_max: (first & 8 != 0).then_some(4096),
        fast_io_fail_timeout: (first & 16 != 0).then_some(Duration::from_secs(3)),
        requests_max: 64,
        lun: Some(0),
        ..InitiatorOptions::new(ADDRESS, PORT, PORT)
    };
    let script = Script::connected(options);
    let channel = script.initiator.disk(0).expect("a disk").open();
    let mut run = Run { script, channel, requests: Requests::new(512, 31) };
    requests::play(rest, |rest| run.step(rest));
    run.finish();
});

struct Run {
    script: Script,
    channel: Box<dyn Channel>,
    requests: Requests,
}

impl Run {
    /// Does what the first bytes say; gives the others.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (&[what, argument], rest) = bytes.split_first_chunk()?;
        let mut left = rest;
        match what % 8 {
            0 | 1 => self.requests.submit(&mut self.script.env, &mut *self.channel, argument),
            2 | 3 => self.answer(argument),
            4 => {
                let raw = rest.get(..usize::from(argument)).unwrap_or(rest);
                left = &rest[raw.len()..];
                if let Some(channel) = self.at(what >> 3) {
                    self.script.send(channel, raw);
                }
            }
            5 => self.say(what, argument),
            6 => self.script.pass(Duration::from_millis(u64::from(argument) * 40)),
            _ => self.change(argument),
        }
        self.settle();
        Some(left)
    }

    fn at(&self, argument: u8) -> Option<Key> {
        let channels = &self.script.channels;
        channels.get(usize::from(argument) % channels.len().max(1)).copied()
    }

    /// A response to a unit that has come, perhaps again.
    fn answer(&mut self, argument: u8) {
        let units = &self.script.units;
        let place = usize::from(argument & 15) % units.len().max(1);
        let Some((channel, unit)) = units.get(place).cloned() else { return };
        if argument & 16 == 0 {
            self.script.units.remove(place);
        }
        let Ok((_, tag)) = wire::srp::peek(&unit) else { return };
        let response = match argument >> 5 {
            0..=2 => {
                if let Ok(command) = Command::decode(&unit) {
                    return self.script.answer(channel, &command);
                }
                good(tag)
            }
            3 => Response { status: 2, ..good(tag) },
            4 => Response { flags: ResponseFlags::DATA_OUT_UNDERFLOW, data_out_residual: 512, ..good(tag) },
            5 => Response { code: Some(ResponseCode::InvalidFields), ..good(tag) },
            6 => Response { code: Some(ResponseCode::Complete), ..good(tag) },
            _ => Response { request_limit_delta: -2, ..good(tag) },
        };
        self.script.send(channel, &written(&response));
    }

    /// What a target asks unasked, and writes where it pleases.
    fn say(&mut self, what: u8, argument: u8) {
        let Some(channel) = self.at(what >> 3) else { return };
        let (tag, delta) = (u64::from(argument), i32::from(argument >> 3) - 4);
        match argument % 8 {
            0 | 1 => {
                let unit = CreditRequest { request_limit_delta: delta, solicited: false, tag }.encode();
                self.script.send(channel, &unit);
            }
            2 | 3 => {
                let sense = Sense::new(SenseKey::UnitAttention, 0x3f, 0x0e);
                let mut bytes = [0; Sense::LEN_MAX];
                let sense_len = sense.write(&mut bytes);
                let (lun, request_limit_delta, sense) = (Lun::from_number(0), delta, &bytes[..sense_len]);
                let event = AsynchronousEvent { request_limit_delta, solicited: false, tag, lun, sense };
                let mut unit = [0; 300];
                if let Ok(len) = event.encode(&mut unit) {
                    self.script.send(channel, &unit[..len]);
                }
            }
            4 if argument > 200 => {
                let unit = TargetLogout { reason: LogoutReason::NewLogin, solicited: false, tag }.encode();
                self.script.send(channel, &unit);
            }
            5 if argument > 128 => {
                let Script { env, device, target, .. } = &mut self.script;
                target.disconnect(env, device, channel);
            }
            _ => self.write(argument),
        }
    }

    /// Data for a command, where it belongs or beside it.
    fn write(&mut self, argument: u8) {
        let units = &self.script.units;
        let found = units.get(usize::from(argument) % units.len().max(1)).cloned();
        let Some((channel, unit)) = found else { return };
        let is_command = wire::srp::peek(&unit).is_ok_and(|(code, _)| code == Some(Opcode::Command));
        let Some(command) = Command::decode(&unit).ok().filter(|_| is_command) else { return };
        let from = self.script.memory.first(usize::from(argument) * 16);
        for (mut to, _) in pieces(&command.data_in).into_iter().chain(pieces(&command.data_out)) {
            to.address = to.address.wrapping_add(u64::from(argument & 3) << 8);
            let _ = self.script.target.write(&mut self.script.device, channel, 2, to, &[from]);
        }
    }

    /// How logins go from now on.
    fn change(&mut self, argument: u8) {
        let script = &mut self.script;
        script.refusal = [None, None, None, Some(LoginRejectReason::IuTooLong)][usize::from(argument & 3)];
        script.login.request_limit = [0, 1, 2, 32][usize::from(argument >> 2 & 3)];
        script.login.iu_len_to_target = [64, 100, 300, 8260][usize::from(argument >> 4 & 3)];
        script.login.is_immediate_taken = argument & 64 == 0;
        script.login.channels = ChannelResult::NoOther;
    }

    fn settle(&mut self) {
        for _ in 0..TURNS {
            self.script.turn();
        }
        self.requests.take_done(&mut self.script.env, &mut *self.channel);
    }

    fn finish(mut self) {
        self.script.initiator.close();
        self.settle();
        self.script.pass(Duration::from_secs(60));
        self.settle();
        self.requests.finish(&mut self.script.env);
        assert!(self.script.initiator.is_quiet(), "every connection is closed");
        self.script.initiator.free(&mut self.script.env, &mut self.script.device);
        assert_eq!(self.script.env.mem().buffers_taken(), 0, "and every buffer is back");
    }
}

/// Who asks, and who is asked.
const PORT: PortId = PortId { extension: 0x0505, guid: 0x0a0b };
/// Turns after a step.
const TURNS: usize = 4;
