//! What carries the queues of an association: the same for both sides.

/// A transport of NVMe over Fabrics.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Transport {
    /// NVMe/TCP: a stream for each queue.
    Tcp,
    /// NVMe/RDMA: a reliable connection of an RDMA device for each queue.
    Rdma,
}
