//! What an end wants of a negotiation, and what comes out of it.

use super::keys::{KEYS, Key, ROWS};
use wire::iscsi::Receiver;

/// What an end thinks of a digest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DigestPolicy {
    /// Never: `None`.
    Never,
    /// If the other end prefers it: `None,CRC32C`.
    Allowed,
    /// Unless the other end cannot: `CRC32C,None`.
    Preferred,
    /// Or there is no session: `CRC32C`.
    Required,
}

impl DigestPolicy {
    /// The list to offer.
    pub(super) fn offer(self) -> &'static str {
        match self {
            DigestPolicy::Never => "None",
            DigestPolicy::Allowed => "None,CRC32C",
            DigestPolicy::Preferred => "CRC32C,None",
            DigestPolicy::Required => "CRC32C",
        }
    }

    /// True if a session with (or without) the digest will do.
    pub(super) fn takes(self, digest: bool) -> bool {
        match self {
            DigestPolicy::Never => !digest,
            DigestPolicy::Allowed | DigestPolicy::Preferred => true,
            DigestPolicy::Required => digest,
        }
    }
}

/// How aborted tasks are told of (RFC 7143, section 13.23).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TaskReporting {
    /// As RFC 3720 has it.
    Rfc3720,
    /// Responses are fenced.
    ResponseFence,
    /// And tasks of other initiators end without waiting for them.
    FastAbort,
}

impl TaskReporting {
    pub(super) const ALL: [Self; 3] = [Self::Rfc3720, Self::ResponseFence, Self::FastAbort];

    pub(super) fn name(self) -> &'static str {
        match self {
            TaskReporting::Rfc3720 => "RFC3720",
            TaskReporting::ResponseFence => "ResponseFence",
            TaskReporting::FastAbort => "FastAbort",
        }
    }
}

/// What an end wants: the most it takes, or the least, as the rule of each key has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Digests behind headers.
    pub header_digest: DigestPolicy,
    /// Digests behind data.
    pub data_digest: DigestPolicy,
    /// The most connections of a session, 1 to 65,535.
    pub max_connections: u16,
    /// Whether it insists on R2Ts for all data outside commands.
    pub initial_r2t: bool,
    /// Whether it takes (or has) data within commands.
    pub immediate_data: bool,
    /// The most data of one PDU it takes, 512 to 2^24 - 1 bytes.
    pub max_recv_data_segment_len: u32,
    /// The most data of one R2T or sequence, 512 to 2^24 - 1 bytes.
    pub max_burst_len: u32,
    /// The most unsolicited data of a command, 512 to 2^24 - 1 bytes.
    pub first_burst_len: u32,
    /// The least seconds before a session is taken up again, 0 to 3,600.
    pub time_to_wait_s: u16,
    /// The most seconds after that for which its tasks are kept, 0 to 3,600.
    pub time_to_retain_s: u16,
    /// The most open R2Ts of a task, 1 to 65,535.
    pub max_outstanding_r2t: u16,
    /// Whether it insists on data PDUs in order.
    pub data_pdu_in_order: bool,
    /// Whether it insists on sequences in order.
    pub data_sequence_in_order: bool,
    /// The highest error recovery level it has, 0 to 2.
    pub error_recovery_level: u8,
    /// The furthest way of reporting aborted tasks it has.
    pub task_reporting: TaskReporting,
    /// The highest protocol level it has: 1 for RFC 7143, 2 with RFC 7144.
    pub protocol_level: u8,
    /// What it wants of iSER; `None` on a stream.
    pub rdma: Option<RdmaLimits>,
}

/// What an end wants of iSER (RFC 7145, section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RdmaLimits {
    /// The most data of one message to the initiator, 512 to 2^24 - 1 bytes.
    pub initiator_recv_data_segment_len: u32,
    /// The most data of one message to the target, 512 to 2^24 - 1 bytes.
    pub target_recv_data_segment_len: u32,
    /// Messages it takes beside those that commands and their answers are; 0 for no limit.
    pub unexpected_pdus_max: u32,
}

impl Default for Limits {
    /// No digests unless asked for, one connection, unsolicited data, 256 KiB of it, error recovery level 0.
    fn default() -> Self {
        Self {
            header_digest: DigestPolicy::Allowed,
            data_digest: DigestPolicy::Allowed,
            max_connections: 1,
            initial_r2t: false,
            immediate_data: true,
            max_recv_data_segment_len: 256 * 1024,
            max_burst_len: 1024 * 1024,
            first_burst_len: 256 * 1024,
            time_to_wait_s: 0,
            time_to_retain_s: 20,
            max_outstanding_r2t: 8,
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
            task_reporting: TaskReporting::Rfc3720,
            protocol_level: 2,
            rdma: None,
        }
    }
}

impl Limits {
    /// The same for a connection of iSER, which has no digests (RFC 7145, section 6.2), loses nothing, and brings no more
    /// unsolicited data than a command has in its own message: the rest is fetched to where it belongs.
    pub fn over_rdma(self, rdma: RdmaLimits) -> Self {
        let segment = rdma.target_recv_data_segment_len;
        Self {
            header_digest: DigestPolicy::Never,
            data_digest: DigestPolicy::Never,
            max_recv_data_segment_len: self.max_recv_data_segment_len.min(segment),
            first_burst_len: self.first_burst_len.min(segment),
            data_pdu_in_order: true,
            data_sequence_in_order: true,
            error_recovery_level: 0,
            rdma: Some(rdma),
            ..self
        }
    }

    /// What is wanted of a key, as a number: 1 for yes, and for a digest that must be.
    pub(super) fn wish(&self, key: Key) -> u32 {
        match key {
            Key::HeaderDigest => u32::from(self.header_digest == DigestPolicy::Required),
            Key::DataDigest => u32::from(self.data_digest == DigestPolicy::Required),
            Key::MaxConnections => u32::from(self.max_connections),
            Key::InitialR2T => u32::from(self.initial_r2t),
            Key::ImmediateData => u32::from(self.immediate_data),
            Key::MaxRecvDataSegmentLength => self.max_recv_data_segment_len,
            Key::MaxBurstLength => self.max_burst_len,
            Key::FirstBurstLength => self.first_burst_len.min(self.max_burst_len),
            Key::DefaultTime2Wait => u32::from(self.time_to_wait_s),
            Key::DefaultTime2Retain => u32::from(self.time_to_retain_s),
            Key::MaxOutstandingR2T => u32::from(self.max_outstanding_r2t),
            Key::DataPDUInOrder => u32::from(self.data_pdu_in_order),
            Key::DataSequenceInOrder => u32::from(self.data_sequence_in_order),
            Key::ErrorRecoveryLevel => u32::from(self.error_recovery_level),
            Key::TaskReporting => self.task_reporting as u32,
            Key::ISCSIProtocolLevel => u32::from(self.protocol_level),
            Key::IFMarker | Key::OFMarker | Key::IFMarkInt | Key::OFMarkInt => 0,
            Key::RDMAExtensions => u32::from(self.rdma.is_some()),
            Key::InitiatorRecvDataSegmentLength => {
                self.rdma.map_or(0, |rdma| rdma.initiator_recv_data_segment_len)
            }
            Key::TargetRecvDataSegmentLength => self.rdma.map_or(0, |rdma| rdma.target_recv_data_segment_len),
            // Our initiator advertises memory for solicited data alone or for all, which is then the same.
            Key::TaggedBufferForSolicitedDataOnly => 1,
            Key::MaxOutstandingUnexpectedPDUs => self.rdma.map_or(0, |rdma| rdma.unexpected_pdus_max),
        }
    }

    /// What is thought of a digest; of other keys, nothing.
    pub(super) fn digest(&self, key: Key) -> DigestPolicy {
        match key {
            Key::HeaderDigest => self.header_digest,
            Key::DataDigest => self.data_digest,
            _other => DigestPolicy::Never,
        }
    }
}

/// What a session, and one of its connections, has agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// There are digests behind headers.
    pub header_digest: bool,
    /// There are digests behind data.
    pub data_digest: bool,
    /// The most connections.
    pub max_connections: u16,
    /// Data outside commands is asked for by R2T only.
    pub initial_r2t: bool,
    /// Commands may have data with them.
    pub immediate_data: bool,
    /// The most data of one PDU that we take, in bytes.
    pub max_recv_data_segment_len: u32,
    /// The most data of one PDU that the peer takes, in bytes.
    pub max_send_data_segment_len: u32,
    /// The most data of one R2T or sequence, in bytes.
    pub max_burst_len: u32,
    /// The most unsolicited data of a command, in bytes.
    pub first_burst_len: u32,
    /// Seconds before the session may be taken up again.
    pub time_to_wait_s: u16,
    /// Seconds after that for which its tasks are kept.
    pub time_to_retain_s: u16,
    /// The most open R2Ts of a task.
    pub max_outstanding_r2t: u16,
    /// Data PDUs of a sequence come in order.
    pub data_pdu_in_order: bool,
    /// Sequences of a command come in order.
    pub data_sequence_in_order: bool,
    /// The error recovery level.
    pub error_recovery_level: u8,
    /// How aborted tasks are told of.
    pub task_reporting: TaskReporting,
    /// The protocol level.
    pub protocol_level: u8,
    /// It is a session of iSER.
    pub rdma_extensions: bool,
    /// The most data of one message of iSER to the initiator, in bytes.
    pub initiator_recv_data_segment_len: u32,
    /// The most data of one message of iSER to the target, in bytes.
    pub target_recv_data_segment_len: u32,
    /// Messages that the peer takes beside those that commands and their answers are; 0 for no limit.
    pub unexpected_pdus_max: u32,
    /// The memory that a write advertises in iSER begins with what is solicited of its data.
    pub tagged_buffer_is_solicited: bool,
}

impl Parameters {
    /// As this end sees them: in iSER (RFC 7145, section 6.2) other keys say how long data may be.
    pub(super) fn seen_by(self, end: Receiver) -> Self {
        if !self.rdma_extensions {
            return self;
        }
        let [ours, theirs] = match end {
            Receiver::Target => [self.target_recv_data_segment_len, self.initiator_recv_data_segment_len],
            Receiver::Initiator => [self.initiator_recv_data_segment_len, self.target_recv_data_segment_len],
        };
        Self { max_recv_data_segment_len: ours, max_send_data_segment_len: theirs, ..self }
    }

    /// What holds when nothing is said.
    pub fn unsaid() -> Self {
        let default = |key: Key| key.row().default;
        Self::of(&ROWS.map(|row| row.default), default(Key::MaxRecvDataSegmentLength))
    }

    /// True if data comes once and in order: nothing is recovered, and both orders were agreed on.
    pub fn is_plain(&self) -> bool {
        self.error_recovery_level == 0 && self.data_pdu_in_order && self.data_sequence_in_order
    }

    /// From the outcome of each key, and what we declared to take. The bounds of the keys keep the numbers within the
    /// types.
    pub(super) fn of(values: &[u32; KEYS], max_recv_data_segment_len: u32) -> Self {
        let number = |key: Key| values[key as usize];
        let yes = |key: Key| number(key) != 0;
        let max_burst_len = number(Key::MaxBurstLength);
        // Section 13.19: with recovery, sequences in order leave only the last of them to be asked for again.
        let one_r2t = number(Key::ErrorRecoveryLevel) > 0 && yes(Key::DataSequenceInOrder);
        Self {
            header_digest: yes(Key::HeaderDigest),
            data_digest: yes(Key::DataDigest),
            max_connections: number(Key::MaxConnections) as u16,
            initial_r2t: yes(Key::InitialR2T),
            immediate_data: yes(Key::ImmediateData),
            max_recv_data_segment_len,
            max_send_data_segment_len: number(Key::MaxRecvDataSegmentLength),
            max_burst_len,
            // "FirstBurstLength MUST NOT exceed MaxBurstLength." (section 13.14)
            first_burst_len: number(Key::FirstBurstLength).min(max_burst_len),
            time_to_wait_s: number(Key::DefaultTime2Wait) as u16,
            time_to_retain_s: number(Key::DefaultTime2Retain) as u16,
            max_outstanding_r2t: if one_r2t { 1 } else { number(Key::MaxOutstandingR2T) as u16 },
            data_pdu_in_order: yes(Key::DataPDUInOrder),
            data_sequence_in_order: yes(Key::DataSequenceInOrder),
            error_recovery_level: number(Key::ErrorRecoveryLevel) as u8,
            task_reporting: TaskReporting::ALL[number(Key::TaskReporting).min(2) as usize],
            protocol_level: number(Key::ISCSIProtocolLevel) as u8,
            rdma_extensions: yes(Key::RDMAExtensions),
            initiator_recv_data_segment_len: number(Key::InitiatorRecvDataSegmentLength),
            target_recv_data_segment_len: number(Key::TargetRecvDataSegmentLength),
            unexpected_pdus_max: number(Key::MaxOutstandingUnexpectedPDUs),
            tagged_buffer_is_solicited: yes(Key::TaggedBufferForSolicitedDataOnly),
        }
    }
}
