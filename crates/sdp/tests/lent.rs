//! Memory that is lent to streams: the peer reads it from where it lies, and it comes back once nobody needs it.

mod support;

use sdp::sockets::{Config, Placed, SocketError, StreamId, Taken};
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use support::World;

const LEN: usize = 600_000;

fn byte(at: usize) -> u8 {
    (at.wrapping_mul(0x9e37_79b9) >> 11) as u8
}

/// Memory full of bytes.
fn memory(world: &mut World) -> Span {
    let region = world.env.mem().map(Kind::Shared, LEN as u64).expect("memory");
    let span = world.env.mem().whole(region).first(LEN);
    let bytes: Vec<u8> = (0..LEN).map(byte).collect();
    world.env.mem().write(span, &bytes);
    span
}

fn lend(world: &mut World, id: StreamId, memory: Span, at: usize, len: usize) -> Result<Taken, SocketError> {
    world.sockets.write_from(&mut world.env, &mut world.device, id, memory.slice(at, len), at as u64)
}

fn world() -> World {
    World::new(Config {
        streams_max: 4,
        frames_max: 16,
        reading_max: 200_000,
        zero_copy_min: 64 << 10,
        ..Config::default()
    })
}

#[test]
fn lent_bytes_are_read_from_where_they_lie() {
    let mut world = world();
    let [client, server] = world.pair();
    let memory = memory(&mut world);
    world.write(client, b"before").expect("room");
    assert_eq!(lend(&mut world, client, memory, 0, LEN), Ok(Taken::Lent));
    world.settle();
    assert_eq!(world.sockets.poll_returned(), None, "the peer has not read all");
    assert!(world.sockets.readable(server) >= 6 + 64);
    let heard = world.drain(server);
    assert_eq!(&heard[..6], b"before");
    assert_eq!(heard.len(), 6 + LEN);
    assert!(heard[6..].iter().enumerate().all(|(at, found)| *found == byte(at)));
    assert_eq!(world.sockets.poll_returned(), Some(0));
    assert_eq!(world.sockets.poll_returned(), None);
}

#[test]
fn few_bytes_are_copied() {
    let mut world = world();
    let [client, server] = world.pair();
    let memory = memory(&mut world);
    assert_eq!(lend(&mut world, client, memory, 0, 5000), Ok(Taken::Copied(5000)));
    assert_eq!(world.drain(server), (0..5000).map(byte).collect::<Vec<_>>());
    assert_eq!(world.sockets.poll_returned(), None);
}

#[test]
fn what_is_not_read_in_time_goes_in_messages() {
    let mut world = world();
    let [client, server] = world.pair();
    let memory = memory(&mut world);
    lend(&mut world, client, memory, 0, LEN).expect("room");
    world.settle();
    // The reader holds as much as it may; a second later the rest is taken back.
    world.wait();
    let heard = world.drain(server);
    assert_eq!(heard.len(), LEN);
    assert!(heard.iter().enumerate().all(|(at, found)| *found == byte(at)));
    assert_eq!(world.sockets.poll_returned(), Some(0));
}

#[test]
fn lent_and_copied_bytes_keep_their_order() {
    let mut world = world();
    let [client, server] = world.pair();
    let memory = memory(&mut world);
    let (mut at, mut heard, mut returned) = (0, Vec::new(), Vec::new());
    let mut step = 70_000;
    let mut lent = 0;
    while heard.len() < LEN {
        let len = step.min(LEN - at);
        match lend(&mut world, client, memory, at, len) {
            Ok(Taken::Lent) => (at, step, lent) = (at + len, 3000, lent + 1),
            Ok(Taken::Copied(len)) => (at, step) = (at + len, 90_000),
            Err(error) => assert_eq!(error, SocketError::WouldBlock),
        }
        heard.extend(world.drain(server));
        returned.extend(core::iter::from_fn(|| world.sockets.poll_returned()));
    }
    assert!(heard.iter().enumerate().all(|(at, found)| *found == byte(at)));
    world.settle();
    returned.extend(core::iter::from_fn(|| world.sockets.poll_returned()));
    assert_eq!(returned.len(), lent, "each comes back once");
}

#[test]
fn lent_memory_comes_back_from_streams_that_end() {
    for is_reader in [false, true] {
        let mut world = world();
        let [client, server] = world.pair();
        let memory = memory(&mut world);
        lend(&mut world, client, memory, 0, LEN).expect("room");
        world.settle();
        let leaver = if is_reader { server } else { client };
        world.sockets.abort(&mut world.env, &mut world.device, leaver);
        world.settle();
        world.close(client);
        world.close(server);
        world.settle();
        assert_eq!(world.sockets.poll_returned(), Some(0));
        assert_eq!(world.sockets.streams(), 0);
    }
}

#[test]
fn a_stream_that_pauses_keeps_what_it_was_lent() {
    let mut world = world();
    let [client, server] = world.pair();
    let memory = memory(&mut world);
    lend(&mut world, client, memory, 0, LEN).expect("room");
    world.settle();
    world.sockets.suspend(&mut world.env, &mut world.device, client).expect("a pause");
    world.sockets.resume(&mut world.env, &mut world.device, client);
    let heard = world.drain(server);
    assert_eq!(heard.len(), LEN);
    assert!(heard.iter().enumerate().all(|(at, found)| *found == byte(at)));
    assert_eq!(world.sockets.poll_returned(), Some(0));
}

#[test]
fn what_is_recalled_goes_in_messages() {
    let mut world = world();
    let [client, server] = world.pair();
    let memory = memory(&mut world);
    lend(&mut world, client, memory, 0, LEN).expect("room");
    world.settle();
    let before = world.sockets.readable(server);
    assert!(before < LEN as u64, "the reader takes no more than it may");
    world.sockets.recall(&mut world.env, &mut world.device, client);
    world.settle();
    assert!(world.sockets.readable(server) >= before + 64_000, "messages came, though no time has passed");
    let heard = world.drain(server);
    assert!(heard == (0..LEN).map(byte).collect::<Vec<_>>());
    assert_eq!(world.sockets.poll_returned(), Some(0));
}

#[test]
fn less_is_lent_where_memory_waits_for_it() {
    let config = Config { zero_copy_placed_min: 70_000, place_min: 64 << 10, ..Config::default() };
    let mut world = World::new(Config { streams_max: 4, frames_max: 64, ..config });
    let [client, server] = world.pair();
    let [from, to] = [(); 2].map(|()| memory(&mut world));
    assert!(matches!(lend(&mut world, client, from, 0, 100_000), Ok(Taken::Copied(_))));
    world.drain(server);
    world.sockets.queue_into(&mut world.env, &mut world.device, server, to, 9).expect("room");
    world.settle();
    assert!(matches!(lend(&mut world, client, from, 0, 69_999), Ok(Taken::Copied(69_999))));
    world.settle();
    let came = world.sockets.read_into(&mut world.env, &mut world.device, server, to, 9);
    assert_eq!(came, Ok(Placed::Bytes(69_999)));
    world.sockets.queue_into(&mut world.env, &mut world.device, server, to, 9).expect("room");
    world.settle();
    assert_eq!(lend(&mut world, client, from, 0, 70_000), Ok(Taken::Lent));
}
