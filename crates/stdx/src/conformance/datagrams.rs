//! Checks of datagrams, over an address on which nothing is lost: this machine's own.

use super::{listen_for, wait_for};
use crate::env::{DatagramSocket, DatagramsId, Env, IoError, Owner, Run, What};
use crate::mem::{Kind, RegionId, Span};
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};

/// Two sockets and memory for what they send and receive.
struct Pair {
    sockets: [DatagramsId; 2],
    addresses: [SocketAddr; 2],
    region: RegionId,
    outbox: Span,
    inbox: Span,
}

impl Pair {
    fn open(env: &mut dyn Env, address: IpAddr) -> Self {
        let socket = DatagramSocket { address: SocketAddr::new(address, 0) };
        let sockets = OWNERS.map(|owner| env.open_datagrams(owner, &socket).unwrap());
        let addresses = sockets.map(|socket| env.datagrams_info(socket).address);
        let region = env.mem().map(Kind::Shared, 2 << 16).unwrap();
        let whole = env.mem().whole(region);
        let bytes: Vec<u8> = (0..1 << 16).map(|at: u32| (at % 251) as u8).collect();
        env.mem().write(whole, &bytes);
        Self { sockets, addresses, region, outbox: whole.first(1 << 16), inbox: whole.from(1 << 16) }
    }

    /// Sends the outbox's first bytes from one socket to the other, in pieces of odd lengths.
    fn send(&self, env: &mut dyn Env, from: usize, len: usize, datagram_len: u16) {
        let (first, rest) = (self.outbox.first(len.min(3)), self.outbox.first(len).from(len.min(3)));
        let half = rest.len() / 2;
        let pieces = [first, rest.first(half), rest.from(half)];
        let to = self.addresses[1 - from];
        let run = Run { to, from: None, pieces: &pieces, datagram_len, traffic_class: 2 };
        env.send_run(self.sockets[from], &run).unwrap();
    }

    /// Receives until there are so many bytes.
    fn receive(&self, env: &mut dyn Env, at: usize, len: usize, datagram_len: u16) -> Vec<u8> {
        let mut got = Vec::new();
        while got.len() < len {
            match env.recv_run(self.sockets[at], self.inbox) {
                Ok(run) => {
                    assert_eq!((run.from, run.to), (self.addresses[1 - at], self.addresses[at].ip()));
                    assert!(run.datagram_len <= datagram_len && run.traffic_class == 2, "{run:?}");
                    let start = got.len();
                    got.resize(start + run.len as usize, 0);
                    env.mem().read(self.inbox, &mut got[start..]);
                }
                Err(IoError::WouldBlock) => self.wait(env, at),
                Err(error) => panic!("{error:?}"),
            }
        }
        got
    }

    fn wait(&self, env: &mut dyn Env, at: usize) {
        let told = What::DatagramsReadable(self.sockets[at]);
        wait_for(env, &OWNERS, |event| {
            assert!(event.what != told || event.owner == OWNERS[at], "{event:?} is another's");
            (event.what == told).then_some(())
        });
    }

    fn check(&self, env: &mut dyn Env, got: &[u8]) {
        let mut sent = vec![0; got.len()];
        env.mem().read(self.outbox, &mut sent);
        assert!(sent == got, "other bytes arrived than were sent");
    }

    fn close(self, env: &mut dyn Env) {
        self.sockets.iter().for_each(|socket| env.close_datagrams(*socket));
        env.mem().unmap(self.region);
        let events = listen_for(env, Duration::from_millis(1));
        assert!(events.is_empty(), "{events:?} of closed sockets");
    }
}

/// Runs arrive as they were sent, in both directions: all equally long datagrams but a shorter last one, in order, with
/// their traffic class and from whom they are. There is nothing more to receive then, and an event tells of more.
pub fn runs_arrive_as_they_were_sent(env: &mut dyn Env, address: IpAddr) {
    let pair = Pair::open(env, address);
    for (from, socket) in pair.sockets.into_iter().enumerate() {
        let info = env.datagrams_info(socket);
        let most = usize::from(info.run_max).min(info.run_bytes_max as usize / 1000);
        for len in [1, 1000, (most * 1000).saturating_sub(17).max(1)] {
            pair.send(env, from, len, 1000.min(len) as u16);
            let got = pair.receive(env, 1 - from, len, 1000);
            pair.check(env, &got);
            assert_eq!(env.recv_run(pair.sockets[1 - from], pair.inbox), Err(IoError::WouldBlock));
        }
    }
    pair.close(env);
}

/// A datagram for which there is too little room loses its end, and nothing of it comes later.
pub fn what_does_not_fit_is_cut_off(env: &mut dyn Env, address: IpAddr) {
    let pair = Pair::open(env, address);
    pair.send(env, 0, 700, 700);
    let short = Pair { inbox: pair.inbox.first(100), ..pair };
    let got = short.receive(env, 1, 100, 700);
    short.check(env, &got);
    short.send(env, 0, 50, 50);
    assert_eq!(short.receive(env, 1, 50, 50).len(), 50);
    short.close(env);
}

/// Several runs come in one call, each to a place of its own, and the call says whether more wait. What comes after one that
/// left nothing is told of.
pub fn several_runs_come_at_once(env: &mut dyn Env, address: IpAddr) {
    let pair = Pair::open(env, address);
    let places = [0, 1, 2, 3].map(|place| pair.inbox.slice(place << 10, 1 << 10));
    let mut runs = Vec::new();
    assert_eq!(env.recv_runs(pair.sockets[1], &places, &mut runs), Err(IoError::WouldBlock));
    // Each is longer than the one before, and so a run of its own.
    for len in [100, 200, 300] {
        pair.send(env, 0, len, len as u16);
    }
    for (room, lens, is_more) in [(2, &[100, 200][..], true), (4, &[300], false)] {
        pair.wait(env, 1);
        runs.clear();
        assert_eq!(env.recv_runs(pair.sockets[1], &places[..room], &mut runs), Ok(is_more));
        assert_eq!(runs.iter().map(|run| run.len as usize).collect::<Vec<_>>(), lens);
        for (run, &place) in runs.iter().zip(&places) {
            assert_eq!((run.from, run.to), (pair.addresses[0], pair.addresses[1].ip()));
            assert_eq!((u32::from(run.datagram_len), run.traffic_class), (run.len, 2));
            let mut got = vec![0; run.len as usize];
            env.mem().read(place.first(got.len()), &mut got);
            pair.check(env, &got);
        }
    }
    pair.send(env, 0, 50, 50);
    pair.wait(env, 1);
    runs.clear();
    assert_eq!(env.recv_runs(pair.sockets[1], &places, &mut runs), Ok(false));
    assert_eq!(runs.len(), 1);
    pair.close(env);
}

/// An address and port belong to one socket; an address of somebody else to none.
pub fn addresses_are_taken_once(env: &mut dyn Env, address: IpAddr, elsewhere: IpAddr) {
    let pair = Pair::open(env, address);
    assert!(pair.addresses.iter().all(|taken| taken.port() != 0 && taken.ip() == address));
    let again = DatagramSocket { address: pair.addresses[0] };
    assert_eq!(env.open_datagrams(OWNERS[1], &again), Err(IoError::AddressInUse));
    let nowhere = DatagramSocket { address: SocketAddr::new(elsewhere, 0) };
    assert_eq!(env.open_datagrams(OWNERS[1], &nowhere), Err(IoError::AddressNotAvailable));
    env.close_datagrams(pair.sockets[0]);
    assert_eq!(env.recv_run(pair.sockets[0], pair.inbox), Err(IoError::Reset), "a closed socket");
    let reopened = env.open_datagrams(OWNERS[1], &again).unwrap();
    env.close_datagrams(reopened);
    pair.close(env);
}

const OWNERS: [Owner; 2] = [Owner(1), Owner(2)];
