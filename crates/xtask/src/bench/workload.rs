//! The patterns of requests that are measured.

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
