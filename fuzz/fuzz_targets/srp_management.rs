//! SRP's device management, from both sides: a target that is asked anything while its ports and listeners come and go answers
//! every question once and tells only of what there is; and whoever asks a port that answers anything, or nothing, comes to an
//! end in time with no more than there is room for.
//!
//! The input's first byte says which; the others are steps of the one, or answers for the other.
#![no_main]

#[path = "../../crates/scsi/tests/srp/mod.rs"]
mod srp;

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use libfuzzer_sys::fuzz_target;
use scsi::srp::initiator::Discovery;
use scsi::srp::target::{Access, Limits, TargetPort};
use srp::World;
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use verbs::loopback::Loopback;
use verbs::{AgentId, Management, ManagementDatagram, Provider, Role};
use wire::management::device::{self, IoUnitInfo, Request, ServiceEntries, Slot, Status};
use wire::srp::PortId;

fuzz_target!(|input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else { return };
    match first & 1 {
        0 => ask(rest),
        _ => answer(rest),
    }
});

/// A target is asked.
fn ask(mut steps: &[u8]) {
    let mut world = World::with(Limits::default());
    let agent = world.device.open_agent(ASKS, device::CLASS, Role::Asks).expect("nobody else asks");
    for transaction in 1..=STEPS_MAX {
        let Some((&[what, argument], rest)) = steps.split_first_chunk() else { break };
        steps = rest;
        match what % 8 {
            0 => add(&mut world, argument),
            1 => {
                // There may be no such port.
                let _ = world.server.registry_mut().remove_port(port(argument));
            }
            2 if argument & 1 == 0 => world.server.unlisten(&mut world.device, world.address),
            2 => {
                // It may be listening already.
                let _ = world.server.listen(&mut world.device, world.address);
            }
            3 => {
                let (raw, rest) = steps.split_at(steps.len().min(argument.into()));
                steps = rest;
                let mut asked = question(Request::IoUnitInfo, transaction);
                patch(&mut asked, raw);
                told(&mut world, agent, &asked);
            }
            _ => {
                let slot = argument >> 4;
                let (first, last) = (argument & 3, argument >> 2 & 3);
                let request = match what >> 3 & 3 {
                    0 => Request::ClassPortInfo,
                    1 => Request::IoUnitInfo,
                    2 => Request::IoControllerProfile { slot: slot.into() },
                    _ => Request::ServiceEntries {
                        slot: slot.into(),
                        first: first << (what >> 5),
                        last: last << (what >> 5),
                    },
                };
                examine(&mut world, agent, request, transaction);
            }
        }
        turn(&mut world);
    }
    world.device.close_agent(agent);
}

/// A question that makes sense: what the answer says agrees with what else is said.
fn examine(world: &mut World, agent: AgentId, request: Request, transaction: u64) {
    let Some(unit) = told(world, agent, &question(Request::IoUnitInfo, transaction)) else { return };
    let unit = IoUnitInfo::decode(&unit.data[device::ATTRIBUTE_AT..]).expect("the target's own");
    let Some(answer) = told(world, agent, &question(request, transaction)) else {
        panic!("it answered a moment ago");
    };
    let is_good = answer.status == Status::Good.code();
    match request {
        Request::ClassPortInfo | Request::IoUnitInfo => assert!(is_good),
        Request::IoControllerProfile { slot } => {
            let is_there = slot > 0 && unit.slot(slot as u8) == Slot::Present;
            assert_eq!(is_good, is_there, "slot {slot}");
        }
        Request::ServiceEntries { slot, first, last } => {
            let is_there = slot > 0 && unit.slot(slot as u8) == Slot::Present;
            assert!(!is_good || is_there, "slot {slot}");
            let entries =
                ServiceEntries::decode(&answer.data[device::ATTRIBUTE_AT..]).expect("the target's own");
            let named = entries.0.iter().filter(|entry| entry.name.srp_extension().is_some()).count();
            assert_eq!(named, if is_good { usize::from(last - first) + 1 } else { 0 });
        }
    }
}

/// The answer to a datagram: one, if it asks and somebody listens.
fn told(world: &mut World, agent: AgentId, asked: &ManagementDatagram) -> Option<ManagementDatagram> {
    // Who has nobody to send it to, or may not, says so.
    let sent = world.device.send_datagram(agent, world.address.ip(), asked);
    turn(world);
    let (_, answer) = world.device.poll_datagram(agent)?;
    // An answer is for who asks: on one device that is the same agent.
    if asked.is_answer() {
        return None;
    }
    assert!(sent.is_ok() && answer.is_answer());
    assert_eq!((answer.transaction, answer.attribute), (asked.transaction, asked.attribute));
    assert_eq!(world.device.poll_datagram(agent), None, "once");
    Some(answer)
}

fn turn(world: &mut World) {
    for _ in 0..3 {
        world.device.turn(&mut world.env);
        // What is for the one who asks waits at its agent.
        world.turn();
    }
}

fn port(argument: u8) -> PortId {
    PortId { extension: u64::from(argument >> 4), guid: 0x0002_c903_0000_0000 | u64::from(argument & 15) }
}

fn add(world: &mut World, argument: u8) {
    let port =
        TargetPort { id: port(argument), device: world.scsi_device, relative_id: 1, access: Access::Any };
    // It may be there.
    let _ = world.server.registry_mut().add_port(port);
}

/// Somebody asks a port that answers as the input says.
fn answer(mut answers: &[u8]) {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut env = StillEnv::new(1);
    let mut device = Loopback::new(verbs::Limits::default(), address);
    let liar = device.open_agent(ANSWERS, device::CLASS, Role::Answers).expect("nobody else answers");
    let mut discovery = Discovery::new(&mut env, ASKS, address, PATIENCE);
    let until = env.now() + PATIENCE;
    let mut asked = 0;
    let found = loop {
        discovery.drive(&mut env, &mut device);
        device.turn(&mut env);
        while let Some((from, question)) = device.poll_datagram(liar) {
            asked += 1;
            let Some((&[what, len], rest)) = answers.split_first_chunk() else { continue };
            let (raw, rest) = rest.split_at(rest.len().min(len.into()));
            answers = rest;
            if what & 1 != 0 {
                continue;
            }
            let mut answer = ManagementDatagram { method: 0x81, ..question };
            match what & 6 {
                0 => patch(&mut answer, raw),
                what => {
                    answer.status = if what == 6 { 0x1c } else { 0 };
                    answer.transaction ^= u64::from(what == 4);
                    let room = &mut answer.data[device::ATTRIBUTE_AT..];
                    let len = raw.len().min(room.len());
                    room[..len].copy_from_slice(&raw[..len]);
                }
            }
            // A liar's answers may be none.
            let _ = device.send_datagram(liar, from, &answer);
        }
        device.turn(&mut env);
        while let Some(event) = device.poll_event() {
            if event.owner == ASKS {
                discovery.handle_device_event(&mut device, &event);
            }
        }
        if let Some(found) = discovery.poll() {
            break found;
        }
        if let Some(due) = discovery.deadline().filter(|due| *due > env.now()) {
            env.set_now(due);
            discovery.handle_timeout(&mut env);
        }
        assert!(env.now() <= until, "there was time enough");
        assert!(asked <= QUESTIONS_MAX, "it asks for ever");
    };
    assert!(found.is_ok_and(|found| found.len() <= 4096) || discovery.poll().is_none());
    discovery.free(&mut device);
    device.close_agent(liar);
}

fn question(request: Request, transaction: u64) -> ManagementDatagram {
    let asked = request.datagram(transaction);
    ManagementDatagram {
        class: asked.class,
        class_version: asked.class_version,
        method: asked.method,
        status: asked.status,
        class_specific: asked.class_specific,
        transaction: asked.transaction,
        attribute: asked.attribute,
        modifier: asked.modifier,
        data: asked.data,
    }
}

/// Writes over the fields of a datagram that say what it is, and then over the rest.
fn patch(datagram: &mut ManagementDatagram, raw: &[u8]) {
    let Some((head, rest)) = raw.split_first_chunk::<10>() else { return };
    datagram.class_version = head[0];
    datagram.method = head[1];
    datagram.status = u16::from_be_bytes([head[2], head[3]]);
    datagram.attribute = u16::from_be_bytes([head[4], head[5]]);
    datagram.modifier = u32::from_be_bytes([head[6], head[7], head[8], head[9]]);
    datagram.data[..rest.len()].copy_from_slice(rest);
}

const ASKS: Owner = Owner(9 << 32);
const ANSWERS: Owner = Owner(10 << 32);
/// How long is asked.
const PATIENCE: Duration = Duration::from_secs(5);
/// Steps of one run.
const STEPS_MAX: u64 = 64;
/// A unit has 255 slots, of which each has 255 services that are told of by fours; questions are repeated meanwhile.
const QUESTIONS_MAX: usize = 255 * 65 + 20;
