//! Memory that streams are to bring bytes to: the peer writes there, or what it offers is read there, and it comes back once nobody can
//! write to it any more.

mod support;

use sdp::sockets::{Config, Placed, SocketError, StreamId, Taken};
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use support::World;

const LEN: usize = 300_000;
/// The name of what is lent.
const LENT: u64 = 7;

fn byte(at: usize) -> u8 {
    (at.wrapping_mul(0x9e37_79b9) >> 11) as u8
}

fn world() -> World {
    World::new(Config {
        streams_max: 4,
        frames_max: 64,
        zero_copy_min: 64 << 10,
        place_min: 64 << 10,
        ..Config::default()
    })
}

/// Memory of zeros.
fn memory(world: &mut World, len: usize) -> Span {
    let region = world.env.mem().map(Kind::Shared, len as u64).expect("memory");
    world.env.mem().whole(region).first(len)
}

fn read_into(world: &mut World, id: StreamId, memory: Span) -> Result<Placed, SocketError> {
    world.sockets.read_into(&mut world.env, &mut world.device, id, memory, memory.offset)
}

fn queue_into(world: &mut World, id: StreamId, memory: Span) -> Result<Placed, SocketError> {
    world.sockets.queue_into(&mut world.env, &mut world.device, id, memory, memory.offset)
}

fn lend(world: &mut World, id: StreamId, memory: Span) -> Result<Taken, SocketError> {
    world.sockets.write_from(&mut world.env, &mut world.device, id, memory, LENT)
}

/// Names that came back.
fn returned(world: &mut World) -> Vec<u64> {
    core::iter::from_fn(|| world.sockets.poll_returned()).collect()
}

/// Whether these bytes of the stream lie there.
fn holds(world: &mut World, memory: Span, at: usize) -> bool {
    let mut found = vec![0; memory.len()];
    world.env.mem().read(memory, &mut found);
    found.iter().enumerate().all(|(offset, found)| *found == byte(at + offset))
}

fn bytes(at: usize, len: usize) -> Vec<u8> {
    (at..at + len).map(byte).collect()
}

/// Both ends of a stream whose server has memory waiting that the client knows of.
fn waiting(world: &mut World) -> ([StreamId; 2], Span) {
    let ids = world.pair();
    let place = memory(world, LEN);
    assert_eq!(read_into(world, ids[1], place), Ok(Placed::Taken));
    world.settle();
    (ids, place)
}

#[test]
fn bytes_come_where_they_are_wanted() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    let before = world.env.mem().bytes_copied();
    assert_eq!(world.write(client, &bytes(0, LEN)), Ok(LEN));
    world.settle();
    let copied = world.env.mem().bytes_copied() - before;
    assert!(copied < 2 * LEN as u64 + 4096, "into frames, and from there: {copied}");
    assert!(world.sockets.readiness(server).readable);
    assert_eq!(returned(&mut world), [], "the memory is the stream's until it is read");
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(LEN)));
    assert!(holds(&mut world, place, 0));
    assert_eq!(returned(&mut world), [0]);
}

#[test]
fn lent_bytes_are_written_where_they_are_wanted() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    let from = memory(&mut world, LEN);
    world.env.mem().write(from, &bytes(0, LEN));
    let before = world.env.mem().bytes_copied();
    assert_eq!(lend(&mut world, client, from), Ok(Taken::Lent));
    world.settle();
    let copied = world.env.mem().bytes_copied() - before;
    assert!(copied < LEN as u64 + 4096, "they are copied once: {copied}");
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(LEN)));
    assert!(holds(&mut world, place, 0));
    assert_eq!(returned(&mut world), [LENT, 0]);
}

#[test]
fn what_is_offered_is_read_where_it_is_wanted() {
    let mut world = world();
    let [client, server] = world.pair();
    let [from, place] = [(); 2].map(|()| memory(&mut world, LEN));
    world.env.mem().write(from, &bytes(0, LEN));
    // Its owner reads so, but has no memory for it now.
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Taken));
    world.sockets.withdraw(&mut world.env, &mut world.device, server);
    world.settle();
    assert_eq!(returned(&mut world), [0]);
    assert_eq!(lend(&mut world, client, from), Ok(Taken::Lent));
    world.settle();
    assert!(world.sockets.readiness(server).readable, "the peer offers some");
    let before = world.env.mem().bytes_copied();
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Taken));
    world.settle();
    assert!(world.env.mem().bytes_copied() - before < LEN as u64 + 4096, "they are copied once");
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(LEN)));
    assert!(holds(&mut world, place, 0));
    assert_eq!(returned(&mut world), [LENT, 0]);
}

#[test]
fn what_is_offered_can_be_read_without_memory() {
    let mut world = world();
    let [client, server] = world.pair();
    let [from, place] = [(); 2].map(|()| memory(&mut world, LEN));
    world.env.mem().write(from, &bytes(0, LEN));
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Taken));
    world.sockets.withdraw(&mut world.env, &mut world.device, server);
    world.settle();
    assert_eq!(lend(&mut world, client, from), Ok(Taken::Lent));
    world.settle();
    assert_eq!(world.read(server, &mut [0; 10]), Err(SocketError::WouldBlock), "it is asked for now");
    assert_eq!(world.drain(server), bytes(0, LEN));
}

#[test]
fn few_bytes_come_in_messages() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    let mut at = 0;
    for len in [1, 5000, 30_000] {
        assert_eq!(world.write(client, &bytes(at, len)), Ok(len));
        world.settle();
        assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(len)));
        assert!(holds(&mut world, place.first(len), at));
        assert_eq!(returned(&mut world), [0]);
        assert_eq!(read_into(&mut world, server, place), Ok(Placed::Taken));
        at += len;
        world.settle();
    }
    let short = place.first((64 << 10) - 1);
    world.sockets.withdraw(&mut world.env, &mut world.device, server);
    world.settle();
    returned(&mut world);
    assert_eq!(read_into(&mut world, server, short), Err(SocketError::WouldBlock), "it is too short");
}

#[test]
fn memory_is_filled_in_the_order_in_which_it_was_given() {
    let mut world = world();
    let ([client, server], first) = waiting(&mut world);
    let [second, third] = [(); 2].map(|()| memory(&mut world, LEN));
    for place in [second, third] {
        assert_eq!(queue_into(&mut world, server, place), Ok(Placed::Taken));
    }
    world.settle();
    let mut at = 0;
    while at < 3 * LEN {
        at += world.write(client, &bytes(at, 3 * LEN - at)).unwrap_or(0);
        world.settle();
    }
    let before = world.env.mem().bytes_copied();
    let mut heard = 0;
    for place in [first, second, third] {
        let Ok(Placed::Bytes(len)) = read_into(&mut world, server, place) else { panic!("bytes") };
        assert!(holds(&mut world, place.first(len), heard));
        heard += len;
    }
    assert_eq!(world.env.mem().bytes_copied(), before, "they were there already");
    assert_eq!(returned(&mut world), [0, 0, 0]);
    assert!(heard > 2 * LEN, "{heard}");
    let rest = world.drain(server);
    assert!(rest == bytes(heard, 3 * LEN - heard));
}

#[test]
fn memory_that_is_wanted_back_comes_back() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    world.sockets.withdraw(&mut world.env, &mut world.device, server);
    assert_eq!(returned(&mut world), [], "the peer may be writing to it");
    world.settle();
    assert_eq!(returned(&mut world), [0]);
    world.write(client, &bytes(0, 200_000)).expect("room");
    assert_eq!(world.drain(server), bytes(0, 200_000));
    assert!(!holds(&mut world, place.first(1000), 0), "nothing was written to it");
}

#[test]
fn what_came_before_memory_was_wanted_back_is_read() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    world.write(client, &bytes(0, LEN)).expect("room");
    world.sockets.withdraw(&mut world.env, &mut world.device, server);
    world.settle();
    assert_eq!(returned(&mut world), [], "there are bytes in it");
    assert!(holds(&mut world, place, 0));
    assert_eq!(world.drain(server), bytes(0, LEN));
    assert_eq!(returned(&mut world), [0]);
}

#[test]
fn memory_that_is_needed_is_not_taken_twice() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Waiting));
    let within = place.slice(100, 200_000);
    assert_eq!(read_into(&mut world, server, within), Err(SocketError::Overlap));
    assert_eq!(queue_into(&mut world, server, within), Err(SocketError::Overlap));
    world.write(client, &bytes(0, LEN)).expect("room");
    world.settle();
    assert_eq!(queue_into(&mut world, server, within), Err(SocketError::Overlap));
    // What is first goes anywhere, also to other places in the same memory.
    assert_eq!(read_into(&mut world, server, within), Ok(Placed::Bytes(200_000)));
    assert!(holds(&mut world, within, 0));
    assert_eq!(world.drain(server).len(), LEN - 200_000);
    assert_eq!(returned(&mut world), [0]);
}

#[test]
fn the_end_of_the_stream_frees_the_memory() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    world.shut_write(client);
    world.settle();
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(0)));
    assert_eq!(returned(&mut world), [0]);
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(0)));
    assert_eq!(returned(&mut world), []);
}

#[test]
fn memory_comes_back_once_from_streams_that_end() {
    for leaver in 0..2 {
        for writes in [false, true] {
            let mut world = world();
            let (ids, place) = waiting(&mut world);
            let second = memory(&mut world, LEN);
            assert_eq!(queue_into(&mut world, ids[1], second), Ok(Placed::Taken));
            if writes {
                world.write(ids[0], &bytes(0, LEN)).expect("room");
            }
            world.sockets.abort(&mut world.env, &mut world.device, ids[leaver]);
            world.settle();
            if leaver == 0 && !writes {
                assert_eq!(read_into(&mut world, ids[1], place), Err(SocketError::Reset));
            }
            world.close(ids[0]);
            world.close(ids[1]);
            world.settle();
            assert_eq!(returned(&mut world), [0, 0], "{leaver} leaves");
            assert_eq!(world.sockets.streams(), 0);
        }
    }
}

#[test]
fn whoever_closes_has_the_memory_back() {
    let mut world = world();
    let ([client, server], _) = waiting(&mut world);
    world.close(server);
    world.settle();
    world.close(client);
    world.settle();
    assert_eq!(returned(&mut world), [0]);
}

#[test]
fn memory_waits_through_a_pause() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    world.sockets.suspend(&mut world.env, &mut world.device, client).expect("a pause");
    world.sockets.resume(&mut world.env, &mut world.device, client);
    world.settle();
    assert!(!world.sockets.is_pausing(client));
    let before = world.env.mem().bytes_copied();
    world.write(client, &bytes(0, LEN)).expect("room");
    world.settle();
    let copied = world.env.mem().bytes_copied() - before;
    assert!(copied < 2 * LEN as u64 + 4096, "the peer was told of it once more: {copied}");
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(LEN)));
    assert!(holds(&mut world, place, 0));
}

#[test]
fn the_urgent_byte_stays_apart() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    let urgent = world.sockets.write_urgent(&mut world.env, &mut world.device, client, &bytes(0, 100_001));
    assert_eq!(urgent, Ok(100_001));
    world.write(client, &bytes(0, 50)).expect("room");
    world.settle();
    let mut heard = 0;
    while heard < 100_000 {
        match read_into(&mut world, server, place) {
            Ok(Placed::Bytes(len)) => {
                assert!(holds(&mut world, place.first(len), heard));
                heard += len;
            }
            other => panic!("{other:?} after {heard}"),
        }
    }
    assert_eq!(heard, 100_000);
    assert_eq!(world.sockets.take_urgent(server), Some(byte(100_000)));
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(50)));
}

#[test]
fn memory_that_got_the_urgent_byte_alone_waits_for_the_others() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    let second = memory(&mut world, LEN);
    assert_eq!(queue_into(&mut world, server, second), Ok(Placed::Taken));
    world.settle();
    assert_eq!(world.sockets.write_urgent(&mut world.env, &mut world.device, client, b"!"), Ok(1));
    world.write(client, &bytes(0, LEN)).expect("room");
    world.settle();
    assert_eq!(world.sockets.take_urgent(server), Some(b'!'));
    let Ok(Placed::Bytes(len)) = read_into(&mut world, server, place) else { panic!("bytes") };
    assert!(holds(&mut world, place.first(len), 0));
    let rest = world.drain(server);
    assert!(rest == bytes(len, LEN - len));
    world.sockets.withdraw(&mut world.env, &mut world.device, server);
    world.settle();
    assert_eq!(returned(&mut world).len(), 2);
}

#[test]
fn the_peer_does_not_hear_of_memory_that_other_bytes_are_moved_to() {
    let mut world = world();
    let ([client, server], place) = waiting(&mut world);
    // Few bytes at a time: the memory waits, and the peer is not told of it.
    world.write(client, &bytes(0, 10)).expect("room");
    world.settle();
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(10)));
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Taken));
    world.write(client, &bytes(0, LEN)).expect("room");
    world.settle();
    assert_eq!(read_into(&mut world, server, place), Ok(Placed::Bytes(LEN)));
    assert!(holds(&mut world, place, 0));
    assert_eq!(returned(&mut world), [0, 0], "it is the stream's no more");
    world.write(client, &bytes(LEN, LEN)).expect("room");
    world.settle();
    assert!(holds(&mut world, place, 0), "nothing was written to it");
}
