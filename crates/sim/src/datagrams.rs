//! Datagrams between nodes: they take their time, some longer than others and so behind those sent after them; they are
//! lost, alone or many in a row, come twice, change a bit or lose their end, are marked instead of dropped (RFC 3168), and
//! do not fit where the network is narrow for a while.

use crate::network::{NodeId, draw};
use crate::world::{Happening, Node, World};
use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddr;
use stdx::env::{DatagramsId, Event, Owner, What};
use stdx::prng::Prng;
use stdx::time::Time;

/// What happens to datagrams, and how often. A chance is so many in a thousand; 0 turns the fault off.
#[derive(Clone, Debug, Default)]
pub struct DatagramFaults {
    /// One is lost.
    pub lost: u64,
    /// From this one on all are lost for up to [`DatagramFaults::outage`]; so many in 100,000.
    pub outages: u64,
    /// The longest time until then.
    pub outage: Duration,
    /// One comes twice.
    pub doubled: u64,
    /// One takes up to [`DatagramFaults::delay`] longer.
    pub delayed: u64,
    /// The longest such delay.
    pub delay: Duration,
    /// A bit of one changes, or it loses its end.
    pub damaged: u64,
    /// One that may be marked for congestion is.
    pub marked: u64,
    /// From this one on those longer than [`NARROW`] bytes are lost for up to [`DatagramFaults::outage`]; so many in 100,000.
    pub narrowed: u64,
    /// The socket takes no run for a while.
    pub blocked: u64,
    /// Bytes of datagrams, and [`OVERHEAD`] of each, that wait in a socket. More are lost.
    pub inbox_bytes: Option<u32>,
}

/// Until when the network is in a bad state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    out_until: Time,
    narrow_until: Time,
}

/// A datagram socket of a node.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) owner: Owner,
    /// It gets what is sent to here, the node's address or a group's, and else nothing.
    pub(crate) address: SocketAddr,
    pub(crate) inbox: VecDeque<Datagram>,
    /// Its owner was told that there is nothing, and waits.
    pub(crate) is_awaited: bool,
}

impl Socket {
    /// True if one more datagram may wait, where these bytes find room.
    fn has_room(&self, datagram: &Datagram, limit: Option<u32>) -> bool {
        let takes = |datagram: &Datagram| datagram.bytes.len() + OVERHEAD;
        let taken = || self.inbox.iter().map(takes).sum::<usize>() + takes(datagram);
        self.inbox.len() < INBOX_MAX && limit.is_none_or(|limit| taken() <= limit as usize)
    }
}

/// A datagram on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) traffic_class: u8,
    /// Of the IPv4 header.
    pub(crate) identification: u16,
    pub(crate) bytes: Vec<u8>,
}

impl DatagramFaults {
    /// Draws: each fault is absent, rare or frequent.
    pub fn draw(prng: &mut Prng) -> Self {
        // Seeds that are known to find something draw the rest as they did.
        let inbox_bytes = [40_000, 0, 0, 10_000, 0][prng.clone().below(5) as usize];
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        Self {
            lost: pick(&[0, 0, 5, 30, 100]),
            outages: pick(&[0, 0, 0, 50]),
            outage: Duration::from_micros(pick(&[500, 5_000, 100_000])),
            doubled: pick(&[0, 0, 10, 100]),
            delayed: pick(&[0, 0, 10, 200]),
            delay: Duration::from_micros(pick(&[20, 300, 5_000])),
            damaged: pick(&[0, 0, 5, 30]),
            marked: pick(&[0, 0, 100]),
            narrowed: pick(&[0, 0, 0, 30]),
            blocked: pick(&[0, 0, 20]),
            inbox_bytes: Some(inbox_bytes).filter(|bytes| *bytes > 0),
        }
    }

    /// True if every datagram arrives, and soon.
    pub const fn loses_nothing(&self) -> bool {
        let is_lossless = self.lost == 0 && self.outages == 0 && self.damaged == 0 && self.narrowed == 0;
        is_lossless && self.inbox_bytes.is_none() && (self.delayed == 0 || self.delay.as_micros() < 1000)
    }
}

impl World {
    /// Nothing happens to datagrams any more.
    pub fn heal_datagrams(&mut self) {
        self.faults.datagrams = DatagramFaults::default();
        self.weather = Weather::default();
    }

    /// Puts a datagram on its way, or not.
    pub(crate) fn send_datagram(&mut self, datagram: Datagram) {
        if let Some(capture) = &self.capture {
            capture.borrow_mut().datagram(self.now, &datagram);
        }
        let copies = 1 + u32::from(self.prng.chance(self.faults.datagrams.doubled, 1000));
        for _ in 0..copies {
            if self.passes(&datagram) {
                let mut datagram = datagram.clone();
                self.spoil(&mut datagram);
                let mut at = self.now + self.faults.latency;
                if self.prng.chance(self.faults.datagrams.delayed, 1000) {
                    at += draw(self.faults.datagrams.delay, &mut self.prng);
                }
                self.schedule(at, Happening::Datagram(datagram));
            }
        }
    }

    /// True unless the datagram is lost.
    fn passes(&mut self, datagram: &Datagram) -> bool {
        let ends = [datagram.from.ip(), datagram.to.ip()];
        let is_cut_off = |(id, node): (&NodeId, &Node)| {
            node.cut_off_until > self.now && ends.contains(&Self::address(*id))
        };
        if self.nodes.iter().any(is_cut_off) {
            return false;
        }
        let Self { prng, faults, weather, now, .. } = self;
        let faults = &faults.datagrams;
        if prng.chance(faults.outages, RARE) {
            weather.out_until = *now + draw(faults.outage, prng);
        }
        if prng.chance(faults.narrowed, RARE) {
            weather.narrow_until = *now + draw(faults.outage, prng);
        }
        let is_too_long = weather.narrow_until > *now && datagram.bytes.len() > NARROW;
        weather.out_until <= *now && !is_too_long && !prng.chance(faults.lost, 1000)
    }

    /// Damages or marks the datagram, if it is its turn.
    fn spoil(&mut self, datagram: &mut Datagram) {
        let Self { prng, faults, .. } = self;
        let len = datagram.bytes.len() as u64;
        if prng.chance(faults.datagrams.damaged, 1000) && len > 0 {
            if prng.chance(1, 8) {
                datagram.bytes.truncate(prng.below(len) as usize);
            } else {
                datagram.bytes[prng.below(len) as usize] ^= 1 << prng.below(8);
            }
        }
        let is_capable = matches!(datagram.traffic_class & CONGESTION, 1 | 2);
        if is_capable && prng.chance(faults.datagrams.marked, 1000) {
            datagram.traffic_class |= CONGESTION;
        }
    }

    /// A datagram reaches its address, if somebody is there, or every member of its group.
    pub(crate) fn deliver_datagram(&mut self, datagram: Datagram) {
        let limit = self.faults.datagrams.inbox_bytes;
        for node in self.nodes.values_mut().filter(|node| node.up) {
            for (id, socket) in &mut node.sockets {
                if socket.address != datagram.to || !socket.has_room(&datagram, limit) {
                    continue;
                }
                socket.inbox.push_back(datagram.clone());
                if core::mem::take(&mut socket.is_awaited) {
                    node.events.push(Event { owner: socket.owner, what: What::DatagramsReadable(*id) });
                }
            }
        }
    }

    /// Tells that a socket takes runs again.
    pub(crate) fn unblock(&mut self, node: NodeId, socket: DatagramsId) {
        let Some(node) = self.nodes.get_mut(&node) else { return };
        if let Some(found) = node.sockets.get(&socket) {
            node.events.push(Event { owner: found.owner, what: What::DatagramsWritable(socket) });
        }
    }
}

/// Bytes of a datagram that fits through a narrow network.
pub const NARROW: usize = 600;
/// Datagrams that wait in a socket; more are lost.
const INBOX_MAX: usize = 4096;
/// Bytes that a datagram takes in a socket besides its own.
pub const OVERHEAD: usize = 256;
/// What rare chances are counted in.
const RARE: u64 = 100_000;
/// The bits of the traffic class for congestion: both set say that there is some.
const CONGESTION: u8 = 3;
