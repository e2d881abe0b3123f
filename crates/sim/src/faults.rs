//! Which faults a run has, and how strong: drawn from the seed before anything else (swarm testing), so that some runs
//! have none, and some have one kind in plenty.

use crate::datagrams::DatagramFaults;
use core::time::Duration;
use stdx::prng::Prng;

/// The faults of one run. A chance is so many in a thousand; 0 turns the fault off.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A send takes fewer bytes than it could.
    pub short_send: u64,
    /// A receive gives fewer bytes than there are.
    pub short_receive: u64,
    /// Bytes a pipe holds before its sender must wait.
    pub pipe_capacity: usize,
    /// Longest ordinary latency of the network.
    pub latency: Duration,
    /// A send is held up for up to [`Faults::stall`].
    pub stall_chance: u64,
    /// Longest stall.
    pub stall: Duration,
    /// A send breaks its connection instead.
    pub reset: u64,
    /// A send ends its direction of the connection instead; the other goes on.
    pub half_close: u64,
    /// A client's network flaps after its turn: its streams break for it, and the far ends learn of it up to
    /// [`Faults::flap_time`] later; its datagrams are lost until then.
    pub flap: u64,
    /// The longest time until then.
    pub flap_time: Duration,
    /// From this send on a connection is dead without a word: what is sent never arrives, either way.
    pub vanish: u64,
    /// One bit of what is sent changes on the way. Only digests can tell, so it is drawn only where both are in use, and
    /// spares the bytes by which they are agreed on.
    pub flip: u64,
    /// Bytes at the beginning of each direction that are spared: by them digests are agreed on.
    pub flip_spares: u64,
    /// A connection attempt is refused.
    pub refuse: u64,
    /// Longest ordinary latency of a disk.
    pub disk_latency: Duration,
    /// A disk operation takes up to [`Faults::disk_stall`].
    pub disk_stall_chance: u64,
    /// Longest stall of a disk.
    pub disk_stall: Duration,
    /// A disk operation fails with a media error.
    pub disk_error: u64,
    /// What a power cut leaves whole of a disk, in bytes.
    pub disk_sector: usize,
    /// Disk operations that a node may have under way.
    pub disk_depth: usize,
    /// What happens to datagrams.
    pub datagrams: DatagramFaults,
}

impl Faults {
    /// A world where nothing goes wrong, though all takes its time.
    pub fn none() -> Self {
        Self {
            pipe_capacity: 1 << 20,
            latency: Duration::from_micros(50),
            disk_latency: Duration::from_micros(200),
            disk_sector: 512,
            disk_depth: 128,
            ..Self::default()
        }
    }

    /// Draws: each fault is absent, rare or frequent.
    pub fn draw(prng: &mut Prng) -> Self {
        let mut pick = |choices: &[u64]| choices[prng.below(choices.len() as u64) as usize];
        Self {
            short_send: pick(&[0, 0, 10, 300]),
            short_receive: pick(&[0, 0, 10, 300]),
            pipe_capacity: pick(&[1 << 20, 64 << 10, 9000, 700]) as usize,
            latency: Duration::from_micros(pick(&[1, 50, 2_000, 20_000])),
            stall_chance: pick(&[0, 0, 5, 50]),
            stall: Duration::from_millis(pick(&[10, 500, 3_000])),
            reset: pick(&[0, 0, 1, 5]),
            half_close: pick(&[0, 0, 0, 2]),
            flap: pick(&[0, 0, 0, 10]),
            flap_time: Duration::from_secs(pick(&[2, 8])),
            vanish: pick(&[0, 0, 0, 1]),
            flip: pick(&[0, 1, 10]),
            flip_spares: 0,
            refuse: pick(&[0, 0, 100, 500]),
            disk_latency: Duration::from_micros(pick(&[10, 200, 20_000])),
            disk_stall_chance: pick(&[0, 0, 5, 30]),
            disk_stall: Duration::from_millis(pick(&[300, 5_000])),
            disk_error: pick(&[0, 0, 0, 10]),
            disk_sector: 512,
            disk_depth: pick(&[128, 8, 1]) as usize,
            datagrams: DatagramFaults::default(),
        }
    }

    /// The same world healed: what takes time still does, but nothing breaks any more.
    pub fn heal(&mut self) {
        let Self { latency, disk_latency, disk_sector, disk_depth, .. } = *self;
        // Less would be slower than the time-outs of the hosts allow.
        let pipe_capacity = self.pipe_capacity.max(64 << 10);
        *self = Self { pipe_capacity, latency, disk_latency, disk_sector, disk_depth, ..Self::default() };
    }
}
