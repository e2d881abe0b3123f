//! How far those are who read what this shard publishes, and what tells.

use super::{Memory, Span};

impl Memory {
    /// Says whether those who read published memory share a cache with this processor. One that shares it finds there what was
    /// just copied. One that does not has to ask for each line, and so does this processor each line that the other read before
    /// it may be written again: then what is copied to published memory goes past the cache, which is several times as fast.
    pub const fn readers_are_far(&mut self, are_far: bool) {
        self.are_readers_far = are_far;
    }

    /// Has a clock that tells nanoseconds, and goes on within a turn.
    pub const fn set_clock(&mut self, clock: fn() -> u64) {
        self.clock = Some(clock);
    }

    /// The number at a place (see [`Memory::load`]), and how many nanoseconds it took to get, where there is a clock.
    pub fn load_timed(&self, at: Span) -> (u32, Option<u64>) {
        let Some(clock) = self.clock else { return (self.load(at), None) };
        let began = clock();
        let number = self.load(at);
        (number, Some(clock().saturating_sub(began)))
    }
}
