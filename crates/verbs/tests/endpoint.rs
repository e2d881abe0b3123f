//! Two endpoints on one device: connections come, carry messages and data, and end; nothing is lost on the way.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use stdx::conformance::still::StillEnv;
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use stdx::slab::Key;
use verbs::endpoint::{Answer, Endpoint, Happening, OpenError, Options, Received, Requested};
use verbs::loopback::Loopback;
use verbs::{
    Access, CompletionKind, Connections, Data, Limits, Object, Parameters, PortSpace, PostError, Provider,
    Registration, Remote, Status,
};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const BASES: [u64; 2] = [1 << 32, 2 << 32];
const OPTIONS: Options = Options {
    connections_max: 3,
    receives: 8,
    receive_len: 256,
    sends: 4,
    pieces: 2,
    inline_bytes: 64,
    access: Access::REMOTE_READ.with(Access::REMOTE_WRITE).with(Access::LOCAL_WRITE),
};

/// A client (0) and a server (1).
struct World {
    env: StillEnv,
    device: Loopback,
    ends: [Endpoint; 2],
    address: SocketAddr,
    /// What happened at each end and was not looked at yet.
    happened: [Vec<Happening>; 2],
}

impl World {
    fn new() -> Self {
        Self::with(OPTIONS)
    }

    fn with(options: Options) -> Self {
        let mut env = StillEnv::new(1);
        let mut device = Loopback::new(Limits::default(), HOST);
        let mut ends = BASES.map(|base| Endpoint::new(&mut env, &mut device, base, options).unwrap());
        let any = SocketAddr::new(HOST, 0);
        let address = ends[1].listen(&mut device, PortSpace::Tcp, any).unwrap();
        assert_eq!(ends[1].listen(&mut device, PortSpace::Tcp, address), Ok(address), "two users");
        ends[1].unlisten(&mut device, PortSpace::Tcp, address);
        Self { env, device, ends, address, happened: [vec![], vec![]] }
    }

    /// Lets everything happen that will.
    fn settle(&mut self) {
        for _ in 0..100 {
            self.device.turn(&mut self.env);
            self.env.poll(&mut Vec::new(), self.device.deadline());
            while let Some(event) = self.device.poll_event() {
                let end = BASES.iter().position(|base| event.owner.0 & !0xffff_ffff == *base).unwrap();
                self.ends[end].handle_event(&mut self.device, &event);
            }
            while let Some(event) = self.device.poll_connection() {
                let end = BASES.iter().position(|base| event.owner.0 & !0xffff_ffff == *base).unwrap();
                self.ends[end].handle_connection(&mut self.env, &mut self.device, &event);
            }
            for (end, happened) in self.ends.iter_mut().zip(&mut self.happened) {
                while let Some(happening) = end.poll(&mut self.env, &mut self.device) {
                    happened.push(happening);
                }
                end.check();
            }
        }
    }

    /// What has happened at an end since it was asked last.
    fn happened(&mut self, end: usize) -> Vec<Happening> {
        self.settle();
        core::mem::take(&mut self.happened[end])
    }

    fn ask(&mut self) -> Key {
        let parameters = Parameters { rnr_retry_count: 7, ..Parameters::default() };
        let Self { env, device, ends, address, .. } = self;
        ends[0].connect(env, device, PortSpace::Tcp, *address, parameters, b"hello").unwrap()
    }

    fn requested(&mut self) -> Requested {
        match self.happened(1)[..] {
            [Happening::Requested(requested)] => requested,
            ref other => panic!("{other:?}"),
        }
    }

    /// A connection, by its key at each end.
    fn connected(&mut self) -> [Key; 2] {
        let here = self.ask();
        let requested = self.requested();
        assert!(requested.private_data.bytes().starts_with(b"hello"));
        let Self { env, device, ends, .. } = self;
        let request = requested.request;
        let there = ends[1].accept(env, device, request, requested.parameters, b"welcome").unwrap();
        for (end, key) in [(1, there), (0, here)] {
            let happened = self.happened(end);
            let [Happening::Established { connection, private_data, .. }] = happened[..] else {
                panic!("{happened:?}")
            };
            assert_eq!(connection, key);
            assert!(end == 1 || private_data.bytes().starts_with(b"welcome"));
        }
        [here, there]
    }

    fn send(&mut self, end: usize, connection: Key, token: u32, bytes: &[u8]) -> Result<(), PostError> {
        self.ends[end].send(&mut self.device, connection, token, Data::Inline(bytes))
    }

    fn received(&mut self, end: usize) -> Vec<(Received, Vec<u8>)> {
        let happened = self.happened(end);
        let (received, others): (Vec<_>, Vec<_>) =
            happened.into_iter().partition(|happening| matches!(happening, Happening::Received { .. }));
        self.happened[end] = others;
        let mut all = vec![];
        for happening in received {
            let Happening::Received { received, .. } = happening else { unreachable!() };
            let span = self.ends[end].message(&received);
            let mut bytes = vec![0; span.len()];
            self.env.mem().read(span, &mut bytes);
            all.push((received, bytes));
        }
        all
    }

    fn release(&mut self, end: usize, connection: Key, received: Received) {
        self.ends[end].release(&mut self.device, connection, received);
    }

    fn memory(&mut self, len: usize) -> Span {
        let region = self.env.mem().map(Kind::Shared, len as u64).unwrap();
        self.env.mem().whole(region).first(len)
    }

    fn free(mut self) {
        self.settle();
        for end in self.ends {
            assert_eq!(end.connections().count(), 0);
            end.free(&mut self.env, &mut self.device);
        }
    }
}

#[test]
fn messages_go_both_ways_and_connections_end() {
    for ending in [0, 1] {
        let mut world = World::new();
        let keys = world.connected();
        for round in 0..20 {
            for end in [0, 1] {
                world.send(end, keys[end], round, b"a message").unwrap();
                let received = world.received(1 - end);
                assert_eq!(received[0].1, b"a message");
                world.release(1 - end, keys[1 - end], received[0].0);
                let done = Happening::Done {
                    connection: keys[end],
                    token: round,
                    kind: CompletionKind::Send,
                    status: Status::Success,
                };
                assert_eq!(world.happened(end), [done]);
            }
        }
        let World { env, device, ends, .. } = &mut world;
        ends[ending].disconnect(env, device, keys[ending]);
        assert_eq!(world.happened(ending), [Happening::Gone { connection: keys[ending] }]);
        let connection = keys[1 - ending];
        let both = [Happening::Broken { connection }, Happening::Gone { connection }];
        assert_eq!(world.happened(1 - ending), both);
        assert_eq!(world.send(0, keys[0], 1, b""), Err(PostError::NotFound));
        world.free();
    }
}

#[test]
fn data_is_written_and_read_by_whoever_is_let() {
    let mut world = World::new();
    let keys = world.connected();
    let (here, there) = (world.memory(4096), world.memory(4096));
    world.env.mem().write(there.first(5), b"bytes");
    let access = OPTIONS.access;
    let registration = Registration { pieces: &[here], address: 0x1000, access };
    let pd = world.ends[0].pd();
    let open = world.device.register(&mut world.env, pd, &registration).unwrap();
    let World { device, ends, .. } = &mut world;
    let at = |address| Remote { address, key: open.key };
    ends[1].write(device, keys[1], 1, at(0x1000), &[there.first(5)]).unwrap();
    ends[1].read(device, keys[1], 2, at(0x1001), &[there.slice(100, 4)]).unwrap();
    ends[1].send_invalidate(device, keys[1], 3, open.key, Data::Inline(b"done")).unwrap();
    world.settle();
    let mut bytes = [0; 4];
    world.env.mem().read(there.slice(100, 4), &mut bytes);
    assert_eq!(&bytes, b"ytes");
    // A region that was registered for good is not the peer's to close: the connection ends, and says so to both.
    let statuses: Vec<_> = world.happened(1).iter().filter_map(status).collect();
    assert_eq!(statuses, [Status::Success, Status::Success, Status::RemoteAccess]);
    assert_eq!(world.ends[0].connections().count() + world.ends[1].connections().count(), 0);
    world.device.destroy(&mut world.env, Object::Memory(open.key)).unwrap();
    world.free();
}

fn status(happening: &Happening) -> Option<Status> {
    match happening {
        Happening::Done { status, .. } => Some(*status),
        _ => None,
    }
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let mut world = World::new();
    let here = world.ask();
    let requested = world.requested();
    world.ends[1].reject(&mut world.device, requested.request, b"not today");
    let happened = world.happened(0);
    let [Happening::Refused { connection, why: Some((_, private_data)) }] = happened[..] else {
        panic!("{happened:?}")
    };
    assert_eq!(connection, here);
    assert!(private_data.bytes().starts_with(b"not today"));
    world.free();
}

#[test]
fn a_connection_s_buffers_outlive_it_and_are_no_other_s() {
    let mut world = World::new();
    let (first, second) = (world.connected(), world.connected());
    let World { env, device, ends, .. } = &mut world;
    let [here, there] = [first, second].map(|keys| ends[1].take_buffer(env, device, keys[1], 4096).unwrap());
    assert_ne!(here.region, there.region, "each peer may read all of its own");
    // What is too long for a pool is the shard's.
    let max = stdx::mem::Memory::BUFFER_MAX;
    let long = [(); 2].map(|()| ends[1].take_buffer(env, device, first[1], max).unwrap());
    assert!(long[0].region == here.region && long[1].region != here.region && long[1].region != there.region);
    assert_eq!(env.mem().buffers_taken(), 4);
    long.into_iter().for_each(|buffer| env.mem().give(buffer));
    ends[1].disconnect(env, device, first[1]);
    world.happened(0);
    world.happened(1);
    let World { env, device, ends, .. } = &mut world;
    env.mem().fill(here, 1);
    env.mem().give(here);
    assert_eq!(env.mem().serial(here.region), None, "with its last buffer the memory goes");
    assert!(env.mem().serial(there.region).is_some());
    env.mem().give(there);
    ends[1].disconnect(env, device, second[1]);
    world.happened(1);
    assert_eq!(world.env.mem().serial(there.region), None);
    world.free();
}

#[test]
fn limits_hold() {
    let mut world = World::new();
    let keys = world.connected();
    world.connected();
    world.connected();
    let World { env, device, ends, address, .. } = &mut world;
    let refused = ends[0].connect(env, device, PortSpace::Tcp, *address, Parameters::default(), b"");
    assert_eq!(refused, Err(OpenError::TooMany));
    for token in 0..OPTIONS.sends {
        world.send(0, keys[0], token, b"x").unwrap();
    }
    assert_eq!(world.send(0, keys[0], 9, b"x"), Err(PostError::Full));
    assert_eq!(world.ends[0].room(keys[0]), 0);
    assert_eq!(world.received(1).len(), OPTIONS.sends as usize);
    assert_eq!(world.ends[0].room(keys[0]), OPTIONS.sends);
    assert_eq!(world.ends[1].held(keys[1]), OPTIONS.sends);
}

#[test]
fn a_peer_waits_while_every_receive_is_in_use() {
    let mut world = World::new();
    let keys = world.connected();
    let mut held = vec![];
    for token in 0..OPTIONS.receives {
        world.send(0, keys[0], token, &[token as u8]).unwrap();
        held.extend(world.received(1));
    }
    assert_eq!(held.len(), OPTIONS.receives as usize);
    world.send(0, keys[0], 99, b"last").unwrap();
    assert_eq!(world.received(1).len(), 0);
    for (received, _) in held {
        world.release(1, keys[1], received);
    }
    assert_eq!(world.received(1)[0].1, b"last");
}

#[test]
fn one_connection_s_error_is_not_another_s() {
    let mut world = World::new();
    let bad = world.connected();
    let good = world.connected();
    let here = world.memory(64);
    let World { device, ends, .. } = &mut world;
    let nowhere = Remote { address: 0, key: verbs::Key::new(77, 1) };
    ends[0].write(device, bad[0], 5, nowhere, &[here]).unwrap();
    let happened = world.happened(0);
    let connection = bad[0];
    let (kind, status) = (CompletionKind::Write, Status::RemoteAccess);
    let done = Happening::Done { connection, token: 5, kind, status };
    assert_eq!(happened, [Happening::Broken { connection }, done, Happening::Gone { connection }]);
    assert!(world.happened(1).contains(&Happening::Gone { connection: bad[1] }));
    world.send(0, good[0], 1, b"still here").unwrap();
    assert_eq!(world.received(1)[0].1, b"still here");
}

#[test]
fn answers_wait_for_each_other_and_keep_their_order() {
    let mut world = World::new();
    let keys = world.connected();
    let answer = |token| Answer { token, invalidate: None, solicited: false };
    let World { device, ends, .. } = &mut world;
    ends[0].answer(device, keys[0], answer(1), b"one").unwrap();
    ends[0].answer(device, keys[0], answer(2), b"two").unwrap();
    assert_eq!(ends[0].answer(device, keys[0], answer(3), &[0; 65]), Err(PostError::TooLong));
    assert_eq!(ends[0].room(keys[0]), OPTIONS.sends - 2);
    assert_eq!(world.received(1).len(), 0, "they wait");
    // A message of another kind comes behind them, and then has nothing to wait for.
    world.send(0, keys[0], 3, b"three").unwrap();
    let World { device, ends, .. } = &mut world;
    ends[0].answer(device, keys[0], answer(4), b"four").unwrap();
    assert_eq!(ends[0].answer(device, keys[0], answer(5), b"five"), Err(PostError::Full));
    ends[0].send_answers(device);
    let came: Vec<_> = world.received(1).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(came, [&b"one"[..], b"two", b"three", b"four"]);
    let done = world.happened(0);
    let tokens = done.iter().map(|happening| match happening {
        Happening::Done { token, status: Status::Success, .. } => *token,
        other => panic!("{other:?}"),
    });
    assert_eq!(tokens.collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn answers_that_wait_are_told_of_when_their_connection_ends() {
    let mut world = World::new();
    let keys = world.connected();
    let answer = Answer { token: 7, invalidate: None, solicited: false };
    let World { env, device, ends, .. } = &mut world;
    ends[0].answer(device, keys[0], answer, b"late").unwrap();
    ends[0].disconnect(env, device, keys[0]);
    ends[0].send_answers(device);
    let happened = world.happened(0);
    let tells = |happening: &&Happening| matches!(happening, Happening::Done { token: 7, .. });
    assert_eq!(happened.iter().filter(tells).count(), 1, "{happened:?}");
    assert_eq!(happened.last(), Some(&Happening::Gone { connection: keys[0] }));
}

#[test]
fn many_answers_wait_no_longer() {
    let mut world = World::with(Options { sends: 32, receives: 32, ..OPTIONS });
    let keys = world.connected();
    let World { device, ends, .. } = &mut world;
    for token in 0..17 {
        let answer = Answer { token, invalidate: None, solicited: true };
        ends[0].answer(device, keys[0], answer, &[token as u8]).unwrap();
    }
    assert_eq!(world.received(1).len(), 16);
    let World { device, ends, .. } = &mut world;
    ends[0].send_answers(device);
    assert_eq!(world.received(1)[0].1, [16]);
}

#[test]
fn a_place_is_taken_until_the_end_of_its_connection_is_told() {
    let mut world = World::new();
    let first = world.connected();
    world.ask();
    let World { env, device, ends, .. } = &mut world;
    ends[0].disconnect(env, device, first[0]);
    // The server hears of a request and of the end of a connection, and is told of neither yet.
    for _ in 0..10 {
        device.turn(env);
        env.poll(&mut Vec::new(), device.deadline());
        while let Some(event) = device.poll_event() {
            let end = usize::from(event.owner.0 & !0xffff_ffff == BASES[1]);
            ends[end].handle_event(device, &event);
        }
        while let Some(event) = device.poll_connection() {
            let end = usize::from(event.owner.0 & !0xffff_ffff == BASES[1]);
            ends[end].handle_connection(env, device, &event);
        }
    }
    let mut second = None;
    let mut told = vec![];
    while let Some(happening) = ends[1].poll(env, device) {
        if let Happening::Requested(requested) = happening {
            second = ends[1].accept(env, device, requested.request, requested.parameters, b"welcome").ok();
        }
        told.push(happening);
    }
    let is_request = |happening: &&Happening| matches!(happening, Happening::Requested(_));
    assert!(told.first().as_ref().is_some_and(is_request), "{told:?}");
    assert!(told.contains(&Happening::Gone { connection: first[1] }), "{told:?}");
    assert_ne!(second.unwrap().index(), first[1].index(), "the end of the first is yet to be told");
    // Then it is free.
    world.settle();
    let third = world.ask();
    let requested = world.happened(1);
    let Some(Happening::Requested(requested)) = requested.into_iter().find(|it| is_request(&it)) else {
        panic!("no request of {third:?}")
    };
    let World { env, device, ends, .. } = &mut world;
    let third = ends[1].accept(env, device, requested.request, requested.parameters, b"welcome").unwrap();
    assert_eq!(third.index(), first[1].index());
}
