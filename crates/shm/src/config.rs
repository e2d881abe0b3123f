//! Every limit and choice, in one place.

use core::time::Duration;

/// What a neighbourhood is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Links are offered and asked for at all.
    pub enabled: bool,
    /// Users besides our own whose processes may be linked with.
    pub other_users: [Option<u32>; 4],
    /// Links at once.
    pub links: u32,
    /// Records that a link holds each way: a power of two, at most 65,536.
    pub records: u32,
    /// Bytes that a link holds each way, besides those that are copied from where they lie.
    pub bytes: u32,
    /// Pieces of published memory that a link knows each way.
    pub memories: u16,
    /// Records taken from one link in one turn. What they lead to is written when the turn ends: with many, either end waits for
    /// all that the other has to do; with few, both work at once, and every turn costs.
    pub records_per_turn: u32,
    /// How long links are looked at without finding anything before the device sleeps.
    pub spin: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            other_users: [None; 4],
            links: 1024,
            records: 1024,
            bytes: 1 << 20,
            memories: 256,
            records_per_turn: 16,
            spin: Duration::from_micros(50),
        }
    }
}

impl Config {
    /// With its numbers where they can be: the rings' sizes have limits and a shape.
    pub(crate) fn sane(self) -> Self {
        Self {
            records: self.records.clamp(RECORDS_MIN, RECORDS_MAX).next_power_of_two(),
            bytes: self.bytes.clamp(BYTES_MIN, BYTES_MAX) / PAGE * PAGE,
            records_per_turn: self.records_per_turn.max(1),
            ..self
        }
    }
}

/// What a ring may be like, ours or a neighbour's.
pub(crate) const RECORDS_MIN: u32 = 16;
pub(crate) const RECORDS_MAX: u32 = 1 << 16;
const BYTES_MIN: u32 = 16 << 10;
pub(crate) const BYTES_MAX: u32 = 1 << 30;
const PAGE: u32 = 4096;
