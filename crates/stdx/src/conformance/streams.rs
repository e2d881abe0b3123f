//! Streams: connection, bytes in order, readiness after every shortage, and the ways to end.

use super::{listen_for, wait_for};
use crate::env::{Env, IoError, ListenerId, Owner, StreamId, What};
use crate::mem::Span;
use crate::prng::Prng;
use core::time::Duration;
use std::net::SocketAddr;

/// Runs all checks of this module. `address` may be listened on; its port may be 0.
pub fn all(env: &mut dyn Env, address: SocketAddr) {
    bytes_arrive_in_order(env, address);
    an_end_follows_the_last_byte(env, address);
    an_end_that_came_with_the_bytes_is_told(env, address);
    last_words_arrive_though_the_peer_was_not_heard(env, address);
    an_abort_is_a_reset(env, address);
    nobody_listening_is_broken(env, address);
    nothing_follows_a_close(env, address);
    a_taken_address_is_refused(env, address);
}

/// Two ends of one connection.
struct Pair {
    listener: ListenerId,
    client: StreamId,
    server: StreamId,
}

const LISTENER: Owner = Owner(1);
const CLIENT: Owner = Owner(2);
const SERVER: Owner = Owner(3);
const OWNERS: [Owner; 3] = [LISTENER, CLIENT, SERVER];

impl Pair {
    fn new(env: &mut dyn Env, address: SocketAddr) -> Self {
        let listener = env.listen(LISTENER, address).expect("the address is free");
        let local = env.listener_address(listener);
        let client = env.connect(CLIENT, local).expect("a stream");
        let (mut server, mut connected) = (None, false);
        while server.is_none() || !connected {
            let mut acceptable = false;
            wait_for(env, &OWNERS, |event| match event.what {
                What::Acceptable(id) => {
                    assert_eq!((event.owner, id), (LISTENER, listener));
                    note(&mut acceptable)
                }
                What::Writable(id) => {
                    assert_eq!((event.owner, id), (CLIENT, client));
                    note(&mut connected)
                }
                _ => None,
            });
            if acceptable && server.is_none() {
                let accepted = env.accept(listener, SERVER).expect("the stream that was told");
                assert_eq!(accepted.local, local);
                server = Some(accepted.stream);
            }
        }
        Self { listener, client, server: server.expect("accepted above") }
    }

    fn close(self, env: &mut dyn Env) {
        env.close(self.client, true);
        env.close(self.server, true);
        env.close_listener(self.listener);
    }
}

/// Raises a flag of the check: this event was waited for.
fn note(flag: &mut bool) -> Option<()> {
    *flag = true;
    Some(())
}

/// More bytes than any socket buffers go both ways at once, in pieces of all sizes; each shortage is followed by an event.
fn bytes_arrive_in_order(env: &mut dyn Env, address: SocketAddr) {
    let pair = Pair::new(env, address);
    let mut ends = [End::new(env, pair.client, CLIENT, 1), End::new(env, pair.server, SERVER, 2)];
    let mut sizes = Prng::new(3);
    let (a, b) = ends.split_at_mut(1);
    let (client, server) = (&mut a[0], &mut b[0]);
    while !(client.is_done() && server.is_done()) {
        let moved = client.push(env, &mut sizes)
            + server.push(env, &mut sizes)
            + client.pull(env, &mut sizes, 2)
            + server.pull(env, &mut sizes, 1);
        if moved == 0 {
            wait_for(env, &OWNERS, |event| match event.what {
                What::Readable(id) if id == client.stream => note(&mut client.may_pull),
                What::Readable(id) if id == server.stream => note(&mut server.may_pull),
                What::Writable(id) if id == client.stream => note(&mut client.may_push),
                What::Writable(id) if id == server.stream => note(&mut server.may_push),
                _ => None,
            });
        }
    }
    for end in ends {
        env.mem().give(end.buffer);
    }
    pair.close(env);
}

/// One end of a stream, which sends [`TOTAL`] bytes and expects as many.
struct End {
    stream: StreamId,
    owner: Owner,
    seed: u64,
    buffer: Span,
    sent: u64,
    received: u64,
    may_push: bool,
    may_pull: bool,
}

impl End {
    fn new(env: &mut dyn Env, stream: StreamId, owner: Owner, seed: u64) -> Self {
        let buffer = env.mem().take(PIECE).expect("a buffer");
        Self { stream, owner, seed, buffer, sent: 0, received: 0, may_push: true, may_pull: true }
    }

    fn is_done(&self) -> bool {
        self.sent == TOTAL && self.received == TOTAL
    }

    /// Sends once if that may succeed; says how many bytes went.
    fn push(&mut self, env: &mut dyn Env, sizes: &mut Prng) -> u64 {
        let left = (TOTAL - self.sent).min(PIECE as u64);
        if !self.may_push || left == 0 {
            return 0;
        }
        let span = self.buffer.first(sizes.between(1, left) as usize);
        let bytes: Vec<u8> = (0..span.len() as u64).map(|at| pattern(self.seed, self.sent + at)).collect();
        env.mem().write(span, &bytes);
        let cut = sizes.below(span.len() as u64) as usize;
        match env.send(self.stream, &[span.first(cut), Span::EMPTY, span.from(cut)]) {
            Ok(len) => {
                assert!(len >= 1 && len <= span.len(), "sent {len} of {}", span.len());
                self.may_push = len == span.len();
                self.sent += len as u64;
                len as u64
            }
            Err(IoError::WouldBlock) => {
                self.may_push = false;
                0
            }
            Err(error) => panic!("{:?} cannot send: {error}", self.owner),
        }
    }

    /// Receives once if that may succeed, and compares with what the peer of `seed` sends; says how many bytes came.
    fn pull(&mut self, env: &mut dyn Env, sizes: &mut Prng, seed: u64) -> u64 {
        if !self.may_pull {
            return 0;
        }
        let span = self.buffer.first(sizes.between(1, PIECE as u64) as usize);
        match env.recv(self.stream, span) {
            Ok(0) => panic!("{:?} saw an end that nobody made", self.owner),
            Ok(len) => {
                let mut bytes = vec![0; len];
                env.mem().read(span.first(len), &mut bytes);
                let expected = (self.received..).map(|at| pattern(seed, at));
                assert!(bytes.iter().copied().eq(expected.take(len)), "bytes changed near {}", self.received);
                self.may_pull = len == span.len();
                self.received += len as u64;
                len as u64
            }
            Err(IoError::WouldBlock) => {
                self.may_pull = false;
                0
            }
            Err(error) => panic!("{:?} cannot receive: {error}", self.owner),
        }
    }
}

/// The byte that the end of `seed` sends at `at`.
fn pattern(seed: u64, at: u64) -> u8 {
    (at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed) >> 32) as u8
}

/// What was sent before a close arrives, then the end.
fn an_end_follows_the_last_byte(env: &mut dyn Env, address: SocketAddr) {
    let pair = Pair::new(env, address);
    let buffer = env.mem().take(64).expect("a buffer");
    env.mem().write(buffer, b"last words");
    assert_eq!(env.send(pair.server, &[buffer.first(10)]), Ok(10));
    env.close(pair.server, false);
    assert_eq!(receive_to_end(env, pair.client, buffer), 10);
    env.mem().give(buffer);
    pair.close(env);
}

/// A close with bytes of the peer unread still delivers what was sent before it.
fn last_words_arrive_though_the_peer_was_not_heard(env: &mut dyn Env, address: SocketAddr) {
    let pair = Pair::new(env, address);
    let buffer = env.mem().take(64).expect("a buffer");
    assert_eq!(env.send(pair.client, &[buffer]), Ok(64));
    listen_for(env, Duration::from_millis(5));
    assert_eq!(env.send(pair.server, &[buffer.first(10)]), Ok(10));
    env.close(pair.server, false);
    assert_eq!(env.send(pair.client, &[buffer]), Ok(64));
    listen_for(env, Duration::from_millis(5));
    assert_eq!(receive_to_end(env, pair.client, buffer), 10);
    env.mem().give(buffer);
    pair.close(env);
}

/// The peer's bytes and its end come together; the bytes are taken, fewer than there is room for, and the end must still
/// be told by an event.
fn an_end_that_came_with_the_bytes_is_told(env: &mut dyn Env, address: SocketAddr) {
    let pair = Pair::new(env, address);
    let buffer = env.mem().take(64).expect("a buffer");
    assert_eq!(env.send(pair.client, &[buffer.first(20)]), Ok(20));
    env.close(pair.client, false);
    // Long enough for both to arrive before either is told.
    listen_for(env, Duration::from_millis(5));
    match env.recv(pair.server, buffer) {
        Ok(20) => {
            wait_for(env, &OWNERS, |event| (event.what == What::Readable(pair.server)).then_some(()));
            assert_eq!(env.recv(pair.server, buffer), Ok(0), "the end");
        }
        // A slow network: they come one after the other.
        Ok(_) | Err(IoError::WouldBlock) => drop(receive_to_end(env, pair.server, buffer)),
        Err(error) => panic!("{error}"),
    }
    env.mem().give(buffer);
    pair.close(env);
}

/// Receives until the end, trying only when told to; says how many bytes came.
fn receive_to_end(env: &mut dyn Env, stream: StreamId, buffer: Span) -> usize {
    let mut received = 0;
    loop {
        match env.recv(stream, buffer) {
            Ok(0) => return received,
            Ok(len) => {
                received += len;
                if len == buffer.len() {
                    continue;
                }
            }
            Err(IoError::WouldBlock) => {}
            Err(error) => panic!("instead of the end: {error}"),
        }
        wait_for(env, &OWNERS, |event| (event.what == What::Readable(stream)).then_some(()));
    }
}

/// The peer of an aborted stream sees a reset.
fn an_abort_is_a_reset(env: &mut dyn Env, address: SocketAddr) {
    let pair = Pair::new(env, address);
    let buffer = env.mem().take(64).expect("a buffer");
    env.close(pair.client, true);
    let error = loop {
        match env.recv(pair.server, buffer) {
            Err(IoError::WouldBlock) => {}
            Err(error) => break error,
            Ok(len) => panic!("{len} bytes came of a stream that was aborted"),
        }
        wait_for(env, &OWNERS, |event| match event.what {
            What::Readable(id) | What::Broken(id, _) if id == pair.server => Some(()),
            _ => None,
        });
    };
    assert_eq!(error, IoError::Reset);
    env.mem().give(buffer);
    pair.close(env);
}

/// Where nobody listens, no stream comes into being.
fn nobody_listening_is_broken(env: &mut dyn Env, address: SocketAddr) {
    let listener = env.listen(LISTENER, address).expect("the address is free");
    let local = env.listener_address(listener);
    env.close_listener(listener);
    match env.connect(CLIENT, local) {
        Err(error) => assert_eq!(error, IoError::Refused),
        Ok(stream) => {
            let error = wait_for(env, &OWNERS, |event| match event.what {
                What::Broken(id, error) if id == stream => Some(error),
                What::Writable(id) if id == stream => panic!("connected to nobody"),
                _ => None,
            });
            assert_eq!(error, IoError::Refused);
            env.close(stream, true);
        }
    }
}

/// A closed stream is never heard of again, and its number is not given to another.
fn nothing_follows_a_close(env: &mut dyn Env, address: SocketAddr) {
    let pair = Pair::new(env, address);
    let buffer = env.mem().take(64).expect("a buffer");
    assert_eq!(env.send(pair.client, &[buffer]), Ok(64));
    env.close(pair.server, true);
    env.close(pair.client, true);
    for event in listen_for(env, Duration::from_millis(10)) {
        assert!(
            !matches!(event.what, What::Readable(_) | What::Writable(_) | What::Broken(..)),
            "{event:?} after the close"
        );
    }
    env.close_listener(pair.listener);
    let next = Pair::new(env, address);
    assert!(![pair.client, pair.server].contains(&next.client));
    assert!(![pair.client, pair.server].contains(&next.server));
    next.close(env);
    env.mem().give(buffer);
}

/// Two listeners cannot have one address.
fn a_taken_address_is_refused(env: &mut dyn Env, address: SocketAddr) {
    let first = env.listen(LISTENER, address).expect("the address is free");
    let taken = env.listener_address(first);
    assert_eq!(env.listen(LISTENER, taken), Err(IoError::AddressInUse));
    env.close_listener(first);
    let again = env.listen(LISTENER, taken).expect("free again");
    env.close_listener(again);
}

/// Bytes each way: more than the buffers between two ends hold.
const TOTAL: u64 = 24 << 20;

/// Bytes moved at once, at most.
const PIECE: usize = 256 << 10;
