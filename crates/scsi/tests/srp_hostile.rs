//! What initiators must not send: it ends the command, or their own channel with the reason that the standard has for it, and
//! nobody else's.

mod srp;

use srp::*;
use stdx::slab::Key;
use wire::srp::{
    Command, Descriptor, DescriptorTable, InitiatorLogout, LoginFlags, LoginRequest, LogoutReason,
    MemoryDescriptor, PortId, ResponseCode, TASK_LEN, TargetLogout, TaskFunction,
};

/// Where formats, counts and the descriptor of a command stand.
const FORMATS_AT: usize = 5;
const OUT_COUNT_AT: usize = 6;
const IN_COUNT_AT: usize = 7;
const ADDITIONAL_CDB_AT: usize = 31;

/// A channel that is to suffer, and one of another initiator that is not.
fn ready() -> (World, Key, Key) {
    let mut world = World::new();
    let channel = world.log_in(LoginFlags::IMMEDIATE);
    world.clear_attentions(channel);
    let initiator = PortId { extension: 7, guid: 7 };
    let other = LoginRequest { initiator, ..login(LoginFlags::NONE) };
    let (other, _) = world.ask(&other.encode_compact()).unwrap();
    world.clear_attentions(other);
    (world, channel, other)
}

fn bytes(command: &Command<'_>) -> Vec<u8> {
    let mut unit = vec![0; 8192];
    let len = command.encode(&mut unit).unwrap();
    unit.truncate(len);
    unit
}

/// The reason that a channel is ended with for a unit; another initiator notices nothing.
fn ended(unit: impl FnOnce(&World) -> Vec<u8>) -> LogoutReason {
    let (mut world, channel, other) = ready();
    let unit = unit(&world);
    world.send(channel, &unit);
    let told = world.unit(channel);
    let reason = TargetLogout::decode(&told.0).expect("a logout").reason;
    assert!(!world.is_alive(channel));
    let to = world.direct(0, 512);
    assert_eq!(world.run(other, &read(1, 0, 1, to)).response().status, 0);
    assert_eq!((world.server.channels().count(), world.server.counters().terminated), (1, 1));
    reason
}

/// The code that a command is answered with; its channel goes on.
fn answered(command: impl FnOnce(&World) -> Command<'static>) -> Option<ResponseCode> {
    let (mut world, channel, _) = ready();
    let command = command(&world);
    let code = world.run(channel, &command).response().code;
    assert_eq!(world.run(channel, &srp::command(9, &[0; 6])).response().status, 0);
    code
}

#[test]
fn units_shorter_than_they_say_end_the_channel() {
    for len in [0, 1, 15, 16, 47] {
        let cut = |_: &World| bytes(&command(1, &[0; 6]))[..len].to_vec();
        assert_eq!(ended(cut), LogoutReason::Unspecified, "{len} bytes");
    }
    // The descriptor is cut off, then the table behind it, then the additional CDB.
    let direct = |world: &World| bytes(&read(1, 0, 1, world.direct(0, 512)));
    assert_eq!(ended(|world| direct(world)[..63].to_vec()), LogoutReason::Unspecified);
    let table = [0; 32];
    let indirect = |world: &World| {
        let first = DescriptorTable::new(&table);
        bytes(&read(1, 0, 1, Descriptor::Indirect { table: world.piece(0, 32), len: 512, first }))
    };
    let cut = |world: &World| {
        let unit = indirect(world);
        unit[..unit.len() - 1].to_vec()
    };
    assert_eq!(ended(cut), LogoutReason::DataInCount);
    let long_cdb = |_: &World| {
        let mut unit = bytes(&command(1, &[0; 6]));
        unit[ADDITIONAL_CDB_AT] = 0xfc;
        unit
    };
    assert_eq!(ended(long_cdb), LogoutReason::Unspecified);
    // Task management is as long as it is.
    for len in [15, 16, TASK_LEN - 1] {
        let cut = |_: &World| manage(1, 0, TaskFunction::LogicalUnitReset, 0).encode()[..len].to_vec();
        assert_eq!(ended(cut), LogoutReason::Unspecified, "{len} bytes of task management");
    }
}

/// Bytes that no field of a unit speaks of are nobody's: a unit is as long as its own fields say.
#[test]
fn what_follows_a_unit_unasked_is_ignored() {
    let (mut world, channel, other) = ready();
    let data = pattern(512, 9);
    world.fill(0, &data);
    let immediate = pattern(512, 3);
    for more in [1, 4, 16, 100] {
        let behind = |unit: Vec<u8>| [unit, vec![0xee; more]].concat();
        let wrote = behind(bytes(&write(1, 0, 1, world.direct(0, 512))));
        world.send(channel, &wrote);
        assert_eq!(world.unit(channel).response().status, 0, "{more} bytes");
        // More than the immediate data is said to be.
        let mut along = bytes(&write(2, 1, 1, Descriptor::Immediate { len: 512 }));
        along.resize(IMMEDIATE_AT, 0);
        along.extend(&immediate);
        world.send(channel, &behind(along));
        assert_eq!(world.unit(channel).response().status, 0, "{more} bytes");
        let table: Vec<u8> = world.piece(4096, 1024).encode().to_vec();
        let first = DescriptorTable::new(&table);
        let to = Descriptor::Indirect { table: world.piece(0, 16), len: 1024, first };
        let read = behind(bytes(&read(3, 0, 2, to)));
        world.send(channel, &read);
        assert_eq!(world.unit(channel).response().status, 0, "{more} bytes");
        assert_eq!(world.bytes(4096, 1024), [data.clone(), immediate.clone()].concat());
        world.fill(4096, &[0; 1024]);
        let reset = behind(manage(4, 0, TaskFunction::AbortTask, 99).encode().to_vec());
        world.send(channel, &reset);
        assert_eq!(world.unit(channel).response().code, Some(ResponseCode::Complete), "{more} bytes");
    }
    world.send(channel, &[&InitiatorLogout { tag: 5 }.encode()[..], &[0xee; 9]].concat());
    world.settle();
    world.happened.clear();
    assert!(!world.is_alive(channel) && world.is_alive(other));
    assert_eq!((world.server.counters().logged_out, world.server.counters().terminated), (1, 0));
}

#[test]
fn units_longer_than_was_agreed_end_the_channel() {
    let long = |_: &World| [bytes(&command(1, &[0; 6])), vec![0; 8 * 1024 + 256]].concat();
    let (mut world, channel, other) = ready();
    let unit = long(&world);
    world.send(channel, &unit);
    world.settle();
    // The device itself refuses it, as no receive has room for it.
    world.happened.clear();
    assert!(!world.is_alive(channel) && world.is_alive(other));
}

#[test]
fn formats_and_counts_of_no_meaning_end_the_channel_with_their_reason() {
    let changed = |at: usize, byte: u8| {
        move |world: &World| {
            let mut unit = bytes(&read(1, 0, 1, world.direct(0, 512)));
            unit[at] = byte;
            unit
        }
    };
    assert_eq!(ended(changed(FORMATS_AT, 0xf1)), LogoutReason::DataOutFormat);
    assert_eq!(ended(changed(FORMATS_AT, 0x0f)), LogoutReason::DataInFormat);
    // Immediate data goes to the target alone.
    assert_eq!(ended(changed(FORMATS_AT, 0x03)), LogoutReason::DataInFormat);
    let counted = |is_out: bool| {
        move |world: &World| {
            let first = DescriptorTable::new(&[0; 32]);
            let table = Descriptor::Indirect { table: world.piece(0, 16), len: 16, first };
            let moved = if is_out { write(1, 0, 1, table) } else { read(1, 0, 1, table) };
            let mut unit = bytes(&moved);
            unit[if is_out { OUT_COUNT_AT } else { IN_COUNT_AT }] = 2;
            unit
        }
    };
    assert_eq!(ended(counted(true)), LogoutReason::DataOutCount, "more here than the table has");
    assert_eq!(ended(counted(false)), LogoutReason::DataInCount);
}

#[test]
fn units_that_are_none_end_the_channel() {
    for opcode in [0x00, 0x04, 0x7f, 0x80, 0x81, 0x82, 0xc0, 0xc1, 0xc2, 0xff] {
        let reason = ended(|_| [&[opcode][..], &[0; 63]].concat());
        assert_eq!(reason, LogoutReason::InvalidType, "{opcode:02x}");
    }
    for opcode in [0x41, 0x42] {
        let reason = ended(|_| [&[opcode][..], &[0; 15]].concat());
        assert_eq!(reason, LogoutReason::SpuriousResponse, "{opcode:02x}");
    }
}

#[test]
fn immediate_data_past_the_end_of_its_unit_ends_the_channel() {
    let immediate = |len: u32, there: usize| {
        move |_: &World| {
            let mut unit = bytes(&write(1, 0, 8, Descriptor::Immediate { len }));
            unit.resize(IMMEDIATE_AT + there, 0);
            unit
        }
    };
    assert_eq!(ended(immediate(4096, 4095)), LogoutReason::Unspecified);
    assert_eq!(ended(immediate(u32::MAX, 4096)), LogoutReason::Unspecified);
}

#[test]
fn immediate_data_that_was_not_agreed_on_ends_the_channel() {
    let (mut world, _, other) = ready();
    world.send_immediate(other, &write(1, 0, 1, Descriptor::Immediate { len: 512 }), &[7; 512]);
    let told = world.unit(other);
    assert_eq!(TargetLogout::decode(&told.0).unwrap().reason, LogoutReason::DataOutFormat);
}

#[test]
fn tables_that_contradict_themselves_end_the_command() {
    let table = |table: MemoryDescriptor, len: u32| Descriptor::Indirect {
        table,
        len,
        first: DescriptorTable::new(&[]),
    };
    let invalid = Some(ResponseCode::InvalidFields);
    // More descriptors than one command may have.
    assert_eq!(answered(|world| read(1, 0, 1, table(world.piece(0, 16 * 4096), 512))), invalid);
    // They describe less than is said of them.
    assert_eq!(answered(|world| read(1, 0, 1, table(world.piece(0, 16), 512))), invalid);
    assert_eq!(answered(|world| write(1, 0, 1, table(world.piece(0, 16), 512))), invalid);
}

#[test]
fn attributes_of_no_meaning_end_the_command() {
    let asked = |_: &World| Command { attribute: 3, ..command(1, &[0; 6]) };
    assert_eq!(answered(asked), Some(ResponseCode::InvalidFields));
}

/// A command whose memory cannot be reached costs its channel, and no other.
fn lost(command: impl FnOnce(&mut World) -> Command<'static>) {
    let (mut world, channel, other) = ready();
    let command = command(&mut world);
    world.send_command(channel, &command);
    world.settle();
    world.happened.clear();
    assert!(!world.is_alive(channel));
    let to = world.direct(0, 512);
    assert_eq!(world.run(other, &read(1, 0, 1, to)).response().status, 0);
    assert_eq!(world.server.channels().count(), 1);
}

#[test]
fn keys_of_zero_end_the_channel() {
    let zero = MemoryDescriptor { address: 0x10_0000, key: 0, len: 512 };
    lost(|_| read(1, 0, 1, Descriptor::Direct(zero)));
    lost(|_| write(1, 0, 1, Descriptor::Direct(zero)));
    let first = DescriptorTable::new(&[]);
    lost(|_| read(1, 0, 1, Descriptor::Indirect { table: zero, len: 512, first }));
}

#[test]
fn memory_out_of_bounds_ends_the_channel() {
    let beyond = |world: &World| world.piece(MEMORY - 256, 512);
    lost(|world| read(1, 0, 1, Descriptor::Direct(beyond(world))));
    lost(|world| write(1, 0, 1, Descriptor::Direct(beyond(world))));
    let first = DescriptorTable::new(&[]);
    lost(|world| {
        let table = world.piece(MEMORY - 8, 16);
        read(1, 0, 1, Descriptor::Indirect { table, len: 512, first })
    });
    // The last descriptor of a table is the bad one: what was written before harms nobody.
    lost(|world| {
        let pieces = [world.piece(0, 100), beyond(world)];
        world.fill(1 << 20, &pieces.iter().flat_map(MemoryDescriptor::encode).collect::<Vec<u8>>());
        let table = world.piece(1 << 20, 32);
        read(1, 0, 1, Descriptor::Indirect { table, len: 512, first })
    });
    // Addresses that wrap around.
    lost(|world| {
        let wrapping = MemoryDescriptor { address: u64::MAX - 100, ..world.piece(0, 512) };
        read(1, 0, 1, Descriptor::Direct(wrapping))
    });
}
