//! What a device has seen, counted.

/// Counters, by the names that rdma_rxe gives its own (`hw_counters`), and some that it lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Packets sent.
    pub sent_pkts: u64,
    /// Packets received, right or wrong.
    pub rcvd_pkts: u64,
    /// Requests that came again.
    pub duplicate_request: u64,
    /// Requests that came before others they follow.
    pub out_of_seq_request: u64,
    /// "Come again" received.
    pub rcvd_rnr_err: u64,
    /// "Come again" sent.
    pub send_rnr_err: u64,
    /// "Something is missing" received.
    pub rcvd_seq_err: u64,
    /// Acknowledgements that one after them made needless.
    pub ack_deferred: u64,
    /// Requests given up for want of an answer.
    pub retry_exceeded_err: u64,
    /// Requests given up for want of a receive.
    pub retry_rnr_exceeded_err: u64,
    /// Times that requests were sent again.
    pub completer_retry_err: u64,
    /// Runs that could not be sent.
    pub send_err: u64,
    /// Messages sent.
    pub rdma_sends: u64,
    /// Messages received.
    pub rdma_recvs: u64,
    /// Datagrams that were no packets.
    pub malformed: u64,
    /// Packets with a wrong CRC.
    pub icrc_err: u64,
    /// Packets for no queue pair, or from a stranger.
    pub unroutable: u64,
    /// Packets that their queue pair could not use.
    pub dropped: u64,
    /// Management datagrams that were no messages.
    pub bad_mads: u64,
    /// Packets received that were marked for congestion. These four have the names that mlx5 gives them.
    pub np_ecn_marked_roce_packets: u64,
    /// Congestion notifications sent.
    pub np_cnp_sent: u64,
    /// Congestion notifications received that slowed a queue pair down.
    pub rp_cnp_handled: u64,
    /// Congestion notifications received for a queue pair without a peer.
    pub rp_cnp_ignored: u64,
}

impl Counters {
    /// Every counter with its name.
    pub fn all(&self) -> [(&'static str, u64); 23] {
        [
            ("sent_pkts", self.sent_pkts),
            ("rcvd_pkts", self.rcvd_pkts),
            ("duplicate_request", self.duplicate_request),
            ("out_of_seq_request", self.out_of_seq_request),
            ("rcvd_rnr_err", self.rcvd_rnr_err),
            ("send_rnr_err", self.send_rnr_err),
            ("rcvd_seq_err", self.rcvd_seq_err),
            ("ack_deferred", self.ack_deferred),
            ("retry_exceeded_err", self.retry_exceeded_err),
            ("retry_rnr_exceeded_err", self.retry_rnr_exceeded_err),
            ("completer_retry_err", self.completer_retry_err),
            ("send_err", self.send_err),
            ("rdma_sends", self.rdma_sends),
            ("rdma_recvs", self.rdma_recvs),
            ("malformed", self.malformed),
            ("icrc_err", self.icrc_err),
            ("unroutable", self.unroutable),
            ("dropped", self.dropped),
            ("bad_mads", self.bad_mads),
            ("np_ecn_marked_roce_packets", self.np_ecn_marked_roce_packets),
            ("np_cnp_sent", self.np_cnp_sent),
            ("rp_cnp_handled", self.rp_cnp_handled),
            ("rp_cnp_ignored", self.rp_cnp_ignored),
        ]
    }
}
