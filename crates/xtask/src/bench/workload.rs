//! What is measured, and how many bytes it puts on the wire.

/// A pattern of requests.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// `weft bench`'s name of the pattern.
    pub pattern: &'static str,
    /// Bytes of data a request.
    pub size: usize,
    /// Requests under way at once.
    pub depth: usize,
    /// Data goes to the target.
    pub writes: bool,
}

/// All workloads.
pub const ALL: [Workload; 8] = [
    read("4 KiB read, depth 1", 4 << 10, 1),
    read("4 KiB read, depth 32", 4 << 10, 32),
    read("4 KiB read, depth 128", 4 << 10, 128),
    read("128 KiB read, depth 8", 128 << 10, 8),
    write("4 KiB write, depth 1", 4 << 10, 1),
    write("4 KiB write, depth 32", 4 << 10, 32),
    write("4 KiB write, depth 128", 4 << 10, 128),
    write("128 KiB write, depth 8", 128 << 10, 8),
];

const fn read(name: &'static str, size: usize, depth: usize) -> Workload {
    Workload { name, pattern: "randread", size, depth, writes: false }
}

const fn write(name: &'static str, size: usize, depth: usize) -> Workload {
    Workload { name, pattern: "randwrite", size, depth, writes: true }
}

impl Workload {
    /// Bytes of a request and of its answer, as NVMe/TCP has them without digests (NVMe TCP Transport 1.0, 3.6.2): a
    /// command capsule of 72 bytes; data after a header of 24; a response capsule of 24, which a read spares by the SUCCESS
    /// flag. A write too large for the capsule is asked for by an R2T of 24 bytes; the yardstick exchanges the same bytes,
    /// but does not wait for that.
    pub const fn messages(&self) -> (usize, usize) {
        match (self.writes, self.size > IN_CAPSULE) {
            (false, _) => (CAPSULE, HEADER + self.size),
            (true, false) => (CAPSULE + self.size, RESPONSE),
            (true, true) => (CAPSULE + HEADER + self.size, HEADER + RESPONSE),
        }
    }
}

/// Bytes of a command capsule without data.
const CAPSULE: usize = 72;

/// Bytes of the header of data, and of an R2T.
const HEADER: usize = 24;

/// Bytes of a response capsule.
const RESPONSE: usize = 24;

/// Bytes of data that travel inside a command capsule.
const IN_CAPSULE: usize = 8 << 10;
