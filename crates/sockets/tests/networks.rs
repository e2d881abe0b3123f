//! Streams between two soft devices, on networks that lose, double, delay and damage datagrams, and through shared memory: what was
//! written is read, and ends are seen.

#[path = "../../rdma/tests/support/mod.rs"]
mod support;

use sdp::Options;
use sdp::sockets::{Config, Placed, SocketError, Sockets, StreamId, Taken};
use std::net::SocketAddr;
use std::time::Duration;
use stdx::env::Env;
use stdx::mem::{Kind, Span};
use stdx::prng::Prng;
use support::{Faults, World};
use verbs::Provider;
use verbs::conformance::Setting;

/// Two devices, and sockets on each.
struct Two {
    world: World,
    sockets: [Sockets; 2],
}

impl Two {
    fn on(mut world: World, config: Config) -> Self {
        let sockets = [0, 1].map(|end| {
            let (device, env) = world.end(end);
            Sockets::new(env, device, 1 << 32, config).expect("sockets")
        });
        Self { world, sockets }
    }

    fn lossy(seed: u64, addresses: [&str; 2], config: Config) -> Self {
        let faults = Faults { lost: 20, doubled: 10, delayed: 50, damaged: 5, ..Faults::default() };
        Self::on(World::at(addresses, seed, faults, |usual| usual), config)
    }

    fn turn(&mut self) {
        self.world.turn();
        let mut has_posted = false;
        for (end, sockets) in self.sockets.iter_mut().enumerate() {
            let (device, env) = self.world.end(end);
            sockets.progress(env, device);
            sockets.check();
            has_posted |= sockets.take_posted();
        }
        if has_posted {
            self.world.work();
        }
    }

    /// Two ends of a stream, as each side knows it.
    fn pair(&mut self) -> [StreamId; 2] {
        let at = |two: &Self, end: usize| SocketAddr::new(two.world.address(end), 80);
        let to = at(self, 1);
        let (listener, _) = self.sockets[1].listen(self.world.end(1).0, to, 0).expect("a listener");
        let from = SocketAddr::new(self.world.address(0), 0);
        let (device, env) = self.world.end(0);
        let client = self.sockets[0].connect(env, device, to, from, to).expect("a stream");
        for _ in 0..100_000 {
            self.turn();
            if let Some(server) = self.sockets[1].accept(listener) {
                assert_eq!(self.sockets[1].addresses(server).map(|(local, _)| local), Some(to));
                return [client, server];
            }
        }
        panic!("no stream came: {:?}", self.sockets[0].take_error(client));
    }

    fn write(&mut self, end: usize, id: StreamId, bytes: &[u8]) -> Result<usize, SocketError> {
        let (device, env) = self.world.end(end);
        self.sockets[end].write(env, device, id, bytes)
    }

    fn read(&mut self, end: usize, id: StreamId, into: &mut [u8]) -> Result<usize, SocketError> {
        let (device, env) = self.world.end(end);
        self.sockets[end].read(env, device, id, into)
    }

    /// Has some of the ends pause the stream, and go on at once.
    fn suspend(&mut self, ids: [StreamId; 2], ends: &[usize]) -> usize {
        let mut begun = 0;
        for &end in ends {
            let (device, env) = self.world.end(end);
            // While the last pause is not over there is no other.
            if self.sockets[end].suspend(env, device, ids[end]).is_ok() {
                self.sockets[end].resume(env, device, ids[end]);
                begun += 1;
            }
        }
        begun
    }

    /// Pours bytes both ways until both have all, and both halves are closed.
    fn exchange(&mut self, len: usize) {
        let ids = self.pair();
        self.pour(ids, len, &[]);
    }

    /// The same, and these ends pause now and then. Says how many pauses there were.
    fn pour(&mut self, ids: [StreamId; 2], len: usize, pausing: &[usize]) -> usize {
        let mut pauses = 0;
        let sent: Vec<u8> = (0..len as u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 9) as u8).collect();
        let (mut at, mut heard, mut is_over) = ([0; 2], [Vec::new(), Vec::new()], [false; 2]);
        for round in 0..1_000_000 {
            if round % 40 == 20 && at.iter().all(|at| *at < len / 2) {
                pauses += self.suspend(ids, pausing);
            }
            for end in [0, 1] {
                if at[end] < len {
                    match self.write(end, ids[end], &sent[at[end]..len.min(at[end] + 3000)]) {
                        Ok(step) => at[end] += step,
                        Err(error) => assert_eq!(error, SocketError::WouldBlock),
                    }
                    if at[end] == len {
                        let (device, env) = self.world.end(end);
                        self.sockets[end].shut_write(env, device, ids[end]);
                    }
                }
                let mut place = [0; 2000];
                match self.read(end, ids[end], &mut place) {
                    Ok(0) => is_over[end] = true,
                    Ok(step) => heard[end].extend_from_slice(&place[..step]),
                    Err(error) => assert_eq!(error, SocketError::WouldBlock),
                }
            }
            if is_over == [true; 2] {
                assert!(heard.iter().all(|heard| *heard == sent), "what was written is read");
                return pauses;
            }
            self.turn();
        }
        panic!("{at:?} written, {:?} read", heard.map(|heard| heard.len()));
    }
}

/// Where one end writes from, and the other has bytes come to.
struct Places {
    from: Span,
    ranges: [Span; RANGES],
    /// Reads and writes that have memory.
    uses: [usize; 2],
    /// The range whose bytes are read next.
    next: usize,
}

impl Two {
    fn places(&mut self, sent: &[u8]) -> Places {
        let [from, to] = [sent.len(), RANGES * RANGE_LEN].map(|len| len as u64);
        let [(end, from), (_, to)] = [(0, from), (1, to)].map(|(end, len)| {
            let mem = self.world.end(end).1.mem();
            let region = mem.map(Kind::Published, len).expect("memory");
            (end, mem.whole(region).first(len as usize))
        });
        self.world.end(end).1.mem().write(from, sent);
        let ranges = core::array::from_fn(|range| to.slice(range * RANGE_LEN, RANGE_LEN));
        Places { from, ranges, uses: [0; 2], next: 0 }
    }

    /// Pours bytes from the first end to the second, some lent and some copied, to where they are wanted.
    fn pour_placed(&mut self, ids: [StreamId; 2], len: usize, pausing: &[usize], prng: &mut Prng) {
        let sent: Vec<u8> = (0..len as u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 9) as u8).collect();
        let mut places = self.places(&sent);
        let (mut at, mut heard) = (0, Vec::new());
        for round in 0..1_000_000 {
            if round % 300 == 150 && at < len / 2 {
                self.suspend(ids, pausing);
            }
            if at < len && prng.chance(1, 3) {
                let step = prng.between(1, 6000).min((len - at) as u64) as usize;
                at += self.put(ids[0], &mut places, at, step, &sent, prng.chance(1, 2));
                if at == len {
                    let (device, env) = self.world.end(0);
                    self.sockets[0].shut_write(env, device, ids[0]);
                }
            }
            if self.take(ids[1], &mut places, prng, &mut heard) {
                assert!(heard == sent, "what was written is read");
                return self.all_is_free(ids[1], &places);
            }
            self.turn();
            for (sockets, uses) in self.sockets.iter_mut().zip(&mut places.uses) {
                *uses -= core::iter::from_fn(|| sockets.poll_returned()).count();
            }
        }
        panic!("{at} written, {} read", heard.len());
    }

    /// Writes some; how many bytes.
    fn put(
        &mut self,
        id: StreamId,
        places: &mut Places,
        at: usize,
        step: usize,
        sent: &[u8],
        lends: bool,
    ) -> usize {
        let (device, env) = self.world.end(0);
        let taken = if lends {
            self.sockets[0].write_from(env, device, id, places.from.slice(at, step), 0)
        } else {
            self.sockets[0].write(env, device, id, &sent[at..at + step]).map(Taken::Copied)
        };
        match taken {
            Ok(Taken::Copied(len)) => len,
            Ok(Taken::Lent) => {
                places.uses[0] += 1;
                step
            }
            Err(error) => {
                assert_eq!(error, SocketError::WouldBlock);
                0
            }
        }
    }

    /// Reads some; whether that was all.
    fn take(&mut self, id: StreamId, places: &mut Places, prng: &mut Prng, heard: &mut Vec<u8>) -> bool {
        let (device, env) = self.world.end(1);
        let sockets = &mut self.sockets[1];
        match prng.below(100) {
            0 => sockets.withdraw(env, device, id),
            1..5 => {
                // Also as if there were no such memory.
                let mut place = [0; 700];
                let len = sockets.read(env, device, id, &mut place).unwrap_or(0);
                heard.extend_from_slice(&place[..len]);
                return false;
            }
            5..40 => {
                for ahead in 0..RANGES - 1 {
                    let memory = places.ranges[(places.next + ahead) % RANGES];
                    let taken = sockets.queue_into(env, device, id, memory, 0);
                    places.uses[1] += usize::from(taken == Ok(Placed::Taken));
                }
            }
            _ => {}
        }
        let memory = places.ranges[places.next];
        match sockets.read_into(env, device, id, memory, 0) {
            Ok(Placed::Bytes(len)) => {
                let start = heard.len();
                heard.resize(start + len, 0);
                env.mem().read(memory.first(len), &mut heard[start..]);
                places.next = (places.next + 1) % RANGES;
                len == 0
            }
            Ok(Placed::Taken) => {
                places.uses[1] += 1;
                false
            }
            Ok(Placed::Waiting) => false,
            // A range that was given out of turn is read out of turn.
            Err(SocketError::Overlap) => {
                places.next = (places.next + 1) % RANGES;
                false
            }
            Err(error) => {
                assert_eq!(error, SocketError::WouldBlock);
                false
            }
        }
    }

    /// Nothing is lent or taken any more.
    fn all_is_free(&mut self, reader: StreamId, places: &Places) {
        let mut uses = places.uses;
        let (device, env) = self.world.end(1);
        self.sockets[1].withdraw(env, device, reader);
        for _ in 0..10_000 {
            self.turn();
            for (sockets, uses) in self.sockets.iter_mut().zip(&mut uses) {
                *uses -= core::iter::from_fn(|| sockets.poll_returned()).count();
            }
            if uses == [0; 2] {
                return;
            }
        }
        panic!("{uses:?} are not given back");
    }
}

/// Ranges of the memory that bytes come to.
const RANGES: usize = 4;
const RANGE_LEN: usize = 5000;

/// Little memory for each, so that everything waits for everything.
fn narrow() -> Config {
    let connection = Options { receives: 5, receive_len: 1000, ..Config::default().connection };
    Config { connection, streams_max: 8, frames_each: 4, frames_max: 12, ..Config::default() }
}

/// As usual, but for few: the devices have the usual limits.
fn wide() -> Config {
    Config { streams_max: 8, ..Config::default() }
}

#[test]
fn bytes_cross_bad_networks() {
    for seed in 0..12 {
        let addresses = if seed % 2 == 0 { ["10.0.0.1", "10.0.0.2"] } else { ["fd00::1", "fd00::2"] };
        Two::lossy(seed, addresses, narrow()).exchange(60_000);
    }
    Two::lossy(99, ["10.0.0.1", "10.0.0.2"], wide()).exchange(1_000_000);
}

#[test]
fn bytes_cross_shared_memory() {
    for (config, len) in [(narrow(), 60_000), (wide(), 3_000_000)] {
        let mut two = Two::on(World::on_one_machine(Kind::Published, [1000; 2], |usual| usual), config);
        two.exchange(len);
        let counters = two.world.devices[1].neighbour_counters();
        assert!(counters.direct_bytes > 0, "frames are copied from where they lie");
        assert_eq!(two.world.devices[0].neighbours(), 1);
    }
}

#[test]
fn a_stream_that_pauses_loses_nothing() {
    for (seed, pausing) in [(0, &[0][..]), (1, &[1]), (2, &[0, 1]), (3, &[1, 0])] {
        let mut lossy = Two::lossy(seed, ["10.0.0.1", "10.0.0.2"], narrow());
        let on_one = World::on_one_machine(Kind::Published, [1000; 2], |usual| usual);
        let mut shared = Two::on(on_one, narrow());
        for two in [&mut lossy, &mut shared] {
            let ids = two.pair();
            assert!(two.pour(ids, 60_000, pausing) > 0, "{pausing:?} pause");
        }
    }
}

/// As [`narrow`], and few bytes are worth lending or placing.
fn narrow_and_eager() -> Config {
    Config {
        zero_copy_min: 1500,
        zero_copy_network_min: 1500,
        zero_copy_placed_min: 1500,
        place_min: 1500,
        reading_max: 3000,
        ..narrow()
    }
}

#[test]
fn bytes_cross_bad_networks_without_copies() {
    // With 453 a request to read comes once more when its memory is closed.
    for seed in (0..12).chain([453]) {
        let mut two = Two::lossy(seed, ["10.0.0.1", "10.0.0.2"], narrow_and_eager());
        let ids = two.pair();
        let pausing = if seed % 3 == 0 { &[0, 1][..] } else { &[] };
        two.pour_placed(ids, 60_000, pausing, &mut Prng::new(seed));
    }
}

#[test]
fn bytes_cross_shared_memory_without_copies() {
    for seed in 0..12 {
        let world = World::on_one_machine(Kind::Published, [1000; 2], |usual| usual);
        let mut two = Two::on(world, narrow_and_eager());
        let ids = two.pair();
        let pausing = if seed % 3 == 0 { &[1][..] } else { &[] };
        two.pour_placed(ids, 100_000, pausing, &mut Prng::new(seed));
    }
}

#[test]
fn a_peer_that_dies_is_seen() {
    let mut two = Two::on(World::on_one_machine(Kind::Published, [1000; 2], |usual| usual), narrow());
    let [client, server] = two.pair();
    two.write(1, server, b"farewell").expect("room");
    for _ in 0..100 {
        two.turn();
    }
    two.world.envs[1].die();
    let mut place = [0; 20];
    for _ in 0..100 {
        two.turn();
    }
    assert_eq!(two.read(0, client, &mut place), Ok(8), "what came before is read");
    assert_eq!(two.read(0, client, &mut place), Err(SocketError::Reset));
    assert_eq!(two.write(0, client, b"hello?"), Err(SocketError::Closed));
}

/// Nothing is under way when the network goes, so that nothing but a look at the peer tells of it.
/// Its asker says no word after the first: the answer is sent in vain, and nobody is left to whom the stream could be given.
#[test]
fn a_stream_whose_asker_falls_silent_while_it_is_greeted_goes() {
    let mut two = Two::on(World::at(["10.0.0.1", "10.0.0.2"], 1, Faults::default(), |usual| usual), wide());
    let [to, from] = [1, 0].map(|end| SocketAddr::new(two.world.address(end), 80));
    let (listener, _) = two.sockets[1].listen(two.world.end(1).0, to, 0).expect("a listener");
    let (device, env) = two.world.end(0);
    two.sockets[0].connect(env, device, to, from, to).expect("a stream");
    let mut has_come = false;
    for _ in 0..10_000 {
        two.world.turn();
        let (device, env) = two.world.end(1);
        two.sockets[1].progress(env, device);
        if two.sockets[1].streams() > 0 {
            has_come = true;
            two.world.net.borrow_mut().faults.lost = 1000;
        }
        if has_come && two.sockets[1].streams() == 0 {
            return assert_eq!(two.sockets[1].accept(listener), None);
        }
    }
    panic!("{:?}", two.sockets[1]);
}

#[test]
fn a_peer_that_cannot_be_reached_is_found_by_who_looks_for_it() {
    let mut two = Two::on(World::at(["10.0.0.1", "10.0.0.2"], 1, Faults::default(), |usual| usual), wide());
    let [client, server] = two.pair();
    let span = Duration::from_secs(30);
    two.sockets[0].set_keep_alive(client, Some(span));
    (0..100).for_each(|_| two.turn());
    // Who is there answers, and the stream stays as it is.
    for _ in 0..3 {
        let due = two.sockets[0].deadline().expect("a look at the peer");
        two.world.set_now(due);
        (0..1000).for_each(|_| two.turn());
        assert!(two.sockets[0].deadline().is_some_and(|next| next >= due + span));
    }
    two.world.net.borrow_mut().faults.lost = 1000;
    (0..1000).for_each(|_| two.turn());
    let ends = [(0, client), (1, server)];
    let errors = |two: &mut Two| ends.map(|(end, id)| two.sockets[end].take_error(id));
    assert_eq!(errors(&mut two), [None; 2]);
    assert_eq!(two.sockets[1].deadline(), None, "the other end does not look");
    let due = two.sockets[0].deadline().expect("a look at the peer");
    two.world.set_now(due);
    let mut found = [None; 2];
    for _ in 0..100_000 {
        two.turn();
        found = errors(&mut two);
        if found != [None; 2] {
            break;
        }
    }
    assert_eq!(found, [Some(SocketError::TimedOut), None]);
}

/// How long a device looks after the last that it found or wrote, before it sleeps.
fn look_span(two: &mut Two, ids: [StreamId; 2]) -> Duration {
    two.write(0, ids[0], b"wake up").expect("room");
    while two.read(1, ids[1], &mut [0; 10]).is_err() {
        two.turn();
    }
    let began = two.world.envs[1].now();
    loop {
        let now = two.world.envs[1].now();
        if two.world.devices[1].deadline().is_none_or(|at| at > now) {
            return now.since(began);
        }
        two.world.set_now(now + Duration::from_micros(1));
        two.world.work();
    }
}

#[test]
fn who_is_woken_soon_looks_for_longer_before_it_sleeps_again() {
    let mut two = Two::on(World::on_one_machine(Kind::Published, [1000; 2], |usual| usual), wide());
    let ids = two.pair();
    let rest = |two: &mut Two, span: Duration| {
        let now = two.world.envs[1].now();
        two.world.set_now(now + span);
    };
    let usual = two.world.devices[1].config().neighbours.spin;
    let about = |span: Duration, times: u32| span >= usual * times && span < usual * times + usual / 2;
    look_span(&mut two, ids);
    rest(&mut two, Duration::from_millis(5));
    let span = look_span(&mut two, ids);
    assert!(about(span, 1), "{span:?} after a long sleep");
    for times in [2, 4, 8, 8] {
        rest(&mut two, Duration::from_micros(20));
        let span = look_span(&mut two, ids);
        assert!(about(span, times), "{span:?}, {times} times the usual");
    }
    rest(&mut two, Duration::from_millis(5));
    let span = look_span(&mut two, ids);
    assert!(about(span, 1), "{span:?} after a long sleep");
}
