//! What a run is about.

use core::time::Duration;
use sdp::Options;
use stdx::prng::Prng;

/// What an end does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) options: Options,
    /// Bytes that it writes.
    pub(super) bytes: u64,
    /// How often what it writes is to be advertised, of 8 times.
    pub(super) advertises: u64,
    /// How often it gives the peer memory to write to, of 8 times.
    pub(super) gives_memory: u64,
    /// How often it reads what is offered, of 8 times.
    pub(super) reads: u64,
    /// How often it does what is rarely done, of 64 times.
    pub(super) whims: u64,
    /// It pauses the connection now and then.
    pub(super) pauses: bool,
    /// It ends the connection in the midst of it.
    pub(super) aborts: bool,
    /// It is gone in the midst of it, without a word.
    pub(super) dies: bool,
}

impl Plan {
    pub(super) fn new(prng: &mut Prng) -> Self {
        let receives = *pick(prng, &[4, 5, 8, 64]);
        let options = Options {
            receives,
            receive_len: *pick(prng, &[64, 200, 1040, 8208]),
            receive_len_max: *pick(prng, &[0, 300, 8208]),
            desired_remote_len: 8208,
            adverts_max: *pick(prng, &[1, 2, 3, 8]),
            no_delay: prng.chance(1, 2),
            advert_timeout: Duration::from_millis(prng.between(1, 200)),
            cancel_timeout: Duration::from_secs(3_600),
            close_timeout: Duration::from_secs(3_600),
            leave_timeout: Duration::from_secs(3_600),
            keep_alive: prng.chance(1, 4).then_some(Duration::from_millis(50)),
        };
        Self {
            options,
            bytes: prng.below(200_000),
            advertises: prng.below(9),
            gives_memory: if prng.chance(1, 2) { prng.below(9) } else { 0 },
            reads: prng.between(1, 8),
            whims: if prng.chance(1, 2) { prng.below(8) } else { 0 },
            pauses: prng.chance(1, 8),
            aborts: prng.chance(1, 16),
            dies: prng.chance(1, 8),
        }
    }
}

/// One of several.
pub(super) fn pick<'a, T>(prng: &mut Prng, of: &'a [T]) -> &'a T {
    &of[prng.below(of.len() as u64) as usize]
}
