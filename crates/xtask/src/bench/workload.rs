//! The patterns of requests that are measured.

use super::Subject;

/// A pattern of requests.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// What it is called.
    pub name: &'static str,
    /// What the measured program calls the pattern.
    pub pattern: &'static str,
    /// Bytes of data a request.
    pub size: usize,
    /// Requests under way at once.
    pub depth: usize,
    /// Data goes to the target.
    pub writes: bool,
}

/// The workloads of a subject, on this machine or in guests.
pub const fn of(subject: Subject, in_guests: bool) -> &'static [Workload] {
    match subject {
        Subject::Storage if in_guests => &GUESTS,
        Subject::Nvme | Subject::Iscsi | Subject::Reactor | Subject::Storage => &VOLUME,
        Subject::Rdma => &RDMA,
        Subject::Sockets => &SOCKETS,
    }
}

/// Requests to a volume.
const VOLUME: [Workload; 8] = [
    read("4 KiB read, depth 1", 4 << 10, 1),
    read("4 KiB read, depth 32", 4 << 10, 32),
    read("4 KiB read, depth 128", 4 << 10, 128),
    read("128 KiB read, depth 8", 128 << 10, 8),
    write("4 KiB write, depth 1", 4 << 10, 1),
    write("4 KiB write, depth 32", 4 << 10, 32),
    write("4 KiB write, depth 128", 4 << 10, 128),
    write("128 KiB write, depth 8", 128 << 10, 8),
];

/// The same where everything is emulated.
const GUESTS: [Workload; 4] = [VOLUME[0], VOLUME[1], VOLUME[4], VOLUME[5]];

/// Work requests of a queue pair.
const RDMA: [Workload; 6] = [
    rdma("64 KiB write", "write", 64 << 10, 16),
    rdma("1 MiB write", "write", 1 << 20, 4),
    rdma("64 KiB read", "read", 64 << 10, 16),
    rdma("1 MiB read", "read", 1 << 20, 4),
    rdma("8 B send, to and fro", "ping", 8, 1),
    rdma("8 B send, depth 512", "send", 8, 512),
];

/// Bytes of streams, to and fro or one way, and what programs of others do.
const SOCKETS: [Workload; 37] = [
    rdma("64 B to and fro", "ping", 64, 1),
    rdma("4 KiB to and fro", "ping", 4 << 10, 1),
    rdma("64 KiB to and fro", "ping", 64 << 10, 1),
    rdma("1 MiB to and fro", "ping", 1 << 20, 1),
    rdma("64 B one way", "stream", 64, 1),
    rdma("4 KiB one way", "stream", 4 << 10, 1),
    rdma("64 KiB one way", "stream", 64 << 10, 1),
    rdma("256 KiB one way", "stream", 256 << 10, 1),
    rdma("1 MiB one way", "stream", 1 << 20, 1),
    rdma("64 B to and fro, 16 at once", "ping", 64, 16),
    rdma("4 KiB to and fro, 16 at once", "ping", 4 << 10, 16),
    rdma("64 KiB to and fro, 16 at once", "ping", 64 << 10, 16),
    rdma("1 MiB to and fro, 16 at once", "ping", 1 << 20, 16),
    rdma("64 B one way, 16 at once", "stream", 64, 16),
    rdma("4 KiB one way, 16 at once", "stream", 4 << 10, 16),
    rdma("64 KiB one way, 16 at once", "stream", 64 << 10, 16),
    rdma("1 MiB one way, 16 at once", "stream", 1 << 20, 16),
    rdma("64 B to and fro, 256 at once", "ping", 64, 256),
    rdma("4 KiB to and fro, 256 at once", "ping", 4 << 10, 256),
    rdma("64 KiB to and fro, 256 at once", "ping", 64 << 10, 256),
    rdma("1 MiB to and fro, 256 at once", "ping", 1 << 20, 256),
    rdma("64 B one way, 256 at once", "stream", 64, 256),
    rdma("4 KiB one way, 256 at once", "stream", 4 << 10, 256),
    rdma("64 KiB one way, 256 at once", "stream", 64 << 10, 256),
    rdma("1 MiB one way, 256 at once", "stream", 1 << 20, 256),
    rdma("redis-benchmark -P 1", "redis", 0, 1),
    rdma("redis-benchmark -P 16", "redis", 0, 16),
    rdma("ab -k, 1 at once", "web, kept", 64, 1),
    rdma("ab -k, 16 at once", "web, kept", 64, 16),
    rdma("ab -k, 256 at once", "web, kept", 64, 256),
    rdma("ab, 1 at once", "web", 64, 1),
    rdma("ab, 16 at once", "web", 64, 16),
    rdma("ab, 256 at once", "web", 64, 256),
    rdma("ab, 1 MiB, 16 at once", "web", 1 << 20, 16),
    rdma("pgbench -S", "database", 0, 1),
    rdma("pgbench -S, 16 at once", "database", 0, 16),
    rdma("pgbench -S, 16 prepared", "database, prepared", 0, 16),
];

const fn read(name: &'static str, size: usize, depth: usize) -> Workload {
    Workload { name, pattern: "randread", size, depth, writes: false }
}

const fn write(name: &'static str, size: usize, depth: usize) -> Workload {
    Workload { name, pattern: "randwrite", size, depth, writes: true }
}

const fn rdma(name: &'static str, pattern: &'static str, size: usize, depth: usize) -> Workload {
    Workload { name, pattern, size, depth, writes: false }
}
