//! What changes at the target is told to initiators without their asking (RFC 7143, section 11.9.1: SCSI Asynchronous Event).

mod world;

use stdx::env::Env;
use wire::iscsi::{AsyncEvent, AsyncMessage, Opcode};
use wire::scsi::{Lun, Sense};
use world::World;
use world::initiator::Answer;

/// The logical unit and the condition that a message tells of.
fn event(answer: &Answer) -> (Lun, Sense) {
    assert_eq!(answer.opcode(), Opcode::AsyncMessage);
    let message = AsyncMessage::decode(&answer.bhs).expect("a message");
    assert_eq!(message.event, AsyncEvent::Scsi);
    let (len, sense) = answer.data.split_first_chunk().expect("a length");
    assert_eq!(usize::from(u16::from_be_bytes(*len)), sense.len());
    (message.lun, Sense::read(sense).expect("sense data"))
}

#[test]
fn another_size_is_told_to_every_session_once() {
    let mut world = World::new();
    let mut one = world.log_in("MaxConnections=2");
    let mut other = world.arrive();
    other.isid.0[5] += 1;
    world.log_in_as(&mut other, "");
    let mut further = world.arrive();
    (further.isid, further.tsih, further.connection_id) = (one.isid, one.tsih, 2);
    world.log_in_as(&mut further, "");
    for blocks in [9000, 10_000] {
        world.volume.resize(&mut world.env, blocks).unwrap();
        world.target.unit_changed(world.device, 0).unwrap();
    }
    world.run();
    for initiator in [&mut one, &mut other] {
        let told = world.answers(initiator);
        assert_eq!(
            told.iter().map(event).collect::<Vec<_>>(),
            [(Lun::default(), Sense::CAPACITY_DATA_CHANGED)]
        );
    }
    assert!(world.answers(&mut further).is_empty(), "its session was told by another connection");
    let ready = one.test_unit_ready(1);
    let answered = world.exchange(&mut one, &ready);
    assert_eq!(answered[0].opcode(), Opcode::ScsiResponse, "the unit attention is there all the same");
}

#[test]
fn logical_units_that_come_and_go_are_told_of_as_a_whole() {
    let mut world = World::new();
    let mut initiator = world.log_in("");
    let unit = scsi::target::UnitConfig { lun: Some(7), uuid: [7; 16], ..Default::default() };
    let (volume, channel) = (std::rc::Rc::clone(&world.volume), world.volume.open());
    world.target.add_unit(world.device, unit, volume, channel).unwrap();
    world.run();
    let told = world.answers(&mut initiator);
    assert_eq!(told.iter().map(event).collect::<Vec<_>>(), [(Lun::default(), Sense::REPORTED_LUNS_CHANGED)]);
    world.target.remove_unit(&mut world.env, world.device, 7).unwrap();
    world.run();
    assert_eq!(world.answers(&mut initiator).len(), 1);
}

#[test]
fn who_reads_nothing_is_told_only_so_much() {
    let mut world = World::new();
    let mut initiator = world.log_in("");
    world.env.stream(initiator.stream).room = 0;
    let before = world.env.mem().buffers_taken();
    for blocks in (9000..).take(1000) {
        world.volume.resize(&mut world.env, blocks).unwrap();
        world.target.unit_changed(world.device, 0).unwrap();
        world.run();
    }
    assert!(world.env.mem().buffers_taken() <= before + 64);
    world.env.make_room(initiator.stream, usize::MAX);
    world.run();
    let told = world.answers(&mut initiator).len();
    assert!((1..1000).contains(&told), "{told}");
    let ready = initiator.test_unit_ready(1);
    assert_eq!(world.exchange(&mut initiator, &ready).len(), 1, "and goes on");
}
