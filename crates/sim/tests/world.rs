//! The world keeps its promises: bytes arrive whole and in order under every cut and delay, breaks are told to both ends,
//! and the same seed gives the same run.

use sim::env::NodeEnv;
use sim::faults::Faults;
use sim::network::NodeId;
use sim::world::{Step, World};
use stdx::env::{Env, IoError, Owner, What};
use stdx::mem::{Kind, MemoryLimits};
use stdx::time::Time;

const SERVER: NodeId = NodeId(1);
const CLIENT: NodeId = NodeId(2);
const LIMITS: MemoryLimits = MemoryLimits { buffer_bytes: 16 << 20 };
const TOTAL: usize = 100_000;

/// Sends `TOTAL` counted bytes from client to server; says what arrived, when, and how it ended.
fn transfer(seed: u64) -> (Vec<u8>, Time, Option<IoError>) {
    // No digest looks at these bytes, and nobody here has a time-out.
    let faults = Faults { flip: 0, vanish: 0, ..Faults::draw(&mut stdx::prng::Prng::new(seed)) };
    let world = World::new(seed, faults);
    let mut server = NodeEnv::boot(&world, SERVER, LIMITS);
    let mut client = NodeEnv::boot(&world, CLIENT, LIMITS);
    server.listen(Owner(1), (World::address(SERVER), 99).into()).unwrap();
    let out = client.connect(Owner(2), (World::address(SERVER), 99).into()).unwrap();
    let region = client.mem().map(Kind::Private, TOTAL as u64).unwrap();
    let source = client.mem().whole(region).first(TOTAL);
    (0..TOTAL).for_each(|at| client.mem().bytes_mut(source)[at] = at as u8);
    let landing = server.mem().take(4096).unwrap();

    let (mut sent, mut got, mut ended) = (0, Vec::new(), None);
    let mut events = Vec::new();
    while ended.is_none() && got.len() < TOTAL {
        let step = world.borrow_mut().step(Time::NEVER);
        let Step::Turn(node) = step else { break };
        events.clear();
        if node == CLIENT {
            client.poll(&mut events, None);
            for event in &events {
                match event.what {
                    What::Writable(_) => {
                        while let Ok(len) = client.send(out, &[source.from(sent)]) {
                            sent += len;
                            if sent == TOTAL {
                                break;
                            }
                        }
                    }
                    What::Broken(_, error) => ended = Some(error),
                    _ => {}
                }
            }
        } else {
            server.poll(&mut events, None);
            for event in &events {
                match event.what {
                    What::Acceptable(listener) => {
                        server.accept(listener, Owner(3)).unwrap();
                    }
                    What::Readable(stream) => loop {
                        match server.recv(stream, landing) {
                            Ok(0) => {
                                ended = Some(IoError::Reset);
                                break;
                            }
                            Ok(len) => {
                                let mut bytes = vec![0; len];
                                server.mem().read(landing, &mut bytes);
                                got.extend(bytes);
                                if len < landing.len() {
                                    break;
                                }
                            }
                            Err(_) => break,
                        }
                    },
                    _ => {}
                }
            }
        }
    }
    (got, world.borrow().now(), ended)
}

#[test]
fn bytes_arrive_in_order_or_the_break_is_told() {
    let (mut whole, mut broken) = (0, 0);
    for seed in 0..200 {
        let (got, _, ended) = transfer(seed);
        assert!(
            got.iter().enumerate().all(|(at, &byte)| byte == at as u8),
            "seed {seed}: bytes out of order"
        );
        match (got.len() == TOTAL, ended) {
            (true, _) => whole += 1,
            (false, Some(_)) => broken += 1,
            (false, None) => panic!("seed {seed}: {} bytes, then silence", got.len()),
        }
    }
    assert!(whole > 50 && broken > 10, "{whole} whole, {broken} broken: the faults are out of balance");
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        assert_eq!(transfer(seed), transfer(seed));
    }
}
