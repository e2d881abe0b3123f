//! Packets that are right in themselves, and come at the wrong time, for the wrong service or without the right: silence or a
//! refusal, and memory as it was (9.6.1.1, 9.7.4.1, 9.8.2.2, 10.3.1).

mod support;

use std::time::Duration;
use stdx::env::Env;
use support::forge;
use support::victim::{DEVICE, LEN, PEER, PSN, Victim};
use verbs::{Access, Data, Provider, QpState, Remote, SendRequest, Transition, Transport, Work};
use wire::roce::{Acknowledge, Extension, Headers, Nak, Opcode, Psn, Reth, Syndrome};

const MTU: usize = 1024;
const RELIABLE: Transport = Transport::ReliableConnection;

#[test]
fn a_queue_pair_that_takes_nothing_is_silent() {
    let initialize = Transition::Initialize { access: Access::REMOTE, queue_key: 0 };
    for steps in [&[Transition::Reset][..], &[Transition::Reset, initialize], &[Transition::Error]] {
        let mut victim = Victim::new(RELIABLE);
        for step in steps {
            victim.world.devices[1].modify_qp(victim.qp, step).unwrap();
        }
        victim.pass(Duration::ZERO);
        let (before, state) = (victim.completed, state(&victim));
        for (opcode, extension, len) in requests(&victim) {
            tell(&mut victim, opcode, 0, extension, len);
        }
        assert_eq!(heard(&victim), [], "{state:?}");
        assert_eq!(victim.completed, before, "{state:?}");
        assert_eq!((state, bytes(&mut victim)), (self::state(&victim), vec![FILL; LEN]));
    }
}

#[test]
fn a_drained_queue_pair_still_answers_and_hears_no_answers() {
    let mut victim = Victim::new(RELIABLE);
    victim.world.devices[1].modify_qp(victim.qp, &Transition::Drain).unwrap();
    victim.pass(Duration::ZERO);
    assert_eq!(state(&victim), QpState::SendQueueDrained);
    let acknowledge = Acknowledge { syndrome: Syndrome::Nak(Nak::RemoteAccess), message_number: 0 };
    tell(&mut victim, Opcode::RcAcknowledge, 0, Extension::Acknowledge(acknowledge), 0);
    assert_eq!((state(&victim), heard(&victim).len()), (QpState::SendQueueDrained, 0));
    let (opcode, extension, len) = requests(&victim)[0];
    tell(&mut victim, opcode, 0, extension, len);
    assert_eq!(heard(&victim).len(), 1, "the other direction goes on (10.3.1.5)");
    assert_eq!(bytes(&mut victim)[..len], vec![1; len]);
}

#[test]
fn what_the_queue_pair_does_not_allow_is_refused_whatever_the_key_does() {
    for place in 0..3 {
        let mut victim = Victim::with(RELIABLE, Access::LOCAL_WRITE);
        let (opcode, extension, len) = requests(&victim)[place];
        tell(&mut victim, opcode, 0, extension, len);
        let refusal = Syndrome::Nak(Nak::RemoteAccess);
        assert_eq!(heard(&victim), [refusal], "{opcode:?}");
        assert_eq!((state(&victim), bytes(&mut victim)), (QpState::Error, vec![FILL; LEN]));
    }
}

#[test]
fn an_unreliable_connection_drops_what_is_wrong_and_takes_what_follows() {
    let key = Victim::new(Transport::UnreliableConnection).memory.key.0;
    let reth = |address, len| Extension::Remote(Reth { address, key, len });
    let plain = Extension::Plain;
    let wrong: &[&[(Opcode, Extension, usize)]] = &[
        &[(Opcode::UcSendMiddle, plain, MTU)],
        &[(Opcode::UcSendLast, plain, 8)],
        &[(Opcode::UcSendFirst, plain, MTU - 4), (Opcode::UcSendLast, plain, 4)],
        &[(Opcode::UcSendOnly, plain, MTU + 4)],
        &[(Opcode::UcWriteOnly, reth(0, 9), 8)],
        &[(Opcode::UcWriteOnly, reth(LEN as u64 - 4, 8), 8)],
        &[(Opcode::UcWriteLast, plain, 8)],
        &[(Opcode::RcSendOnly, plain, 8)],
        &[(Opcode::RcReadRequest, reth(0, 8), 0)],
    ];
    for packets in wrong {
        let mut victim = Victim::new(Transport::UnreliableConnection);
        victim.receive(LEN as u32);
        for (number, (opcode, extension, len)) in packets.iter().enumerate() {
            tell(&mut victim, *opcode, number as u32, *extension, *len);
        }
        assert_eq!((victim.completed, state(&victim)), (0, QpState::ReadyToSend), "{packets:?}");
        assert!(bytes(&mut victim).iter().all(|byte| *byte == FILL), "{packets:?}");
        tell(&mut victim, Opcode::UcSendOnly, 9, plain, 8);
        assert_eq!((victim.completed, heard(&victim).len()), (1, 0), "{packets:?}");
        assert_eq!(bytes(&mut victim)[..8], [1; 8]);
    }
}

#[test]
fn answers_for_a_send_that_was_flushed_change_nothing() {
    let mut victim = Victim::new(RELIABLE);
    let list = [victim.memory.sge(0, 64)];
    let from = Remote { address: 0, key: victim.memory.key };
    victim.send(SendRequest::new(1, Work::Read(from), Data::Gather(&list)));
    victim.pass(Duration::ZERO);
    victim.end();
    assert_eq!(victim.completed, victim.posted);
    let acknowledge = Acknowledge { syndrome: Syndrome::ACK, message_number: 1 };
    tell(&mut victim, Opcode::RcReadResponseOnly, 0, Extension::Acknowledge(acknowledge), 64);
    assert_eq!((victim.completed, bytes(&mut victim)), (victim.posted, vec![FILL; LEN]));
}

/// A write, a read and an atomic, all of which are right.
fn requests(victim: &Victim) -> [(Opcode, Extension, usize); 3] {
    let key = victim.memory.key.0;
    let reth = Extension::Remote(Reth { address: 0, key, len: 32 });
    let atomic = wire::roce::AtomicEth { address: 0, key, swap_add: 1, compare: 0 };
    [
        (Opcode::RcWriteOnly, reth, 32),
        (Opcode::RcReadRequest, reth, 0),
        (Opcode::RcFetchAdd, Extension::Atomic(atomic), 0),
    ]
}

/// A packet comes from the peer: so many from the first, with so many ones.
fn tell(victim: &mut Victim, opcode: Opcode, number: u32, extension: Extension, len: usize) {
    let bth = forge::bth(opcode, victim.qpn, Psn::new(PSN).plus(number));
    let packet = forge::seal(&Headers { bth, extension }, &vec![1; len], PEER, DEVICE);
    let now = victim.world.envs[1].now();
    victim.world.net.borrow_mut().inject(now, packet);
    victim.pass(Duration::ZERO);
}

/// What the device acknowledged or refused.
fn heard(victim: &Victim) -> Vec<Syndrome> {
    let net = victim.world.net.borrow();
    let packets = net.record.as_ref().unwrap().iter();
    let said = packets.filter_map(|packet| {
        match Headers::decode(&packet.bytes, packet.bytes.len()).unwrap().extension {
            Extension::Acknowledge(said) | Extension::AtomicAcknowledge(said, _) => Some(said.syndrome),
            _ => None,
        }
    });
    said.collect()
}

fn state(victim: &Victim) -> QpState {
    victim.world.devices[1].query_qp(victim.qp).unwrap().state
}

/// The victim's memory.
fn bytes(victim: &mut Victim) -> Vec<u8> {
    let mut bytes = vec![0; LEN];
    let span = victim.span;
    victim.world.envs[1].mem().read(span, &mut bytes);
    bytes
}

/// What the memory holds at first.
const FILL: u8 = support::victim::FILL;
