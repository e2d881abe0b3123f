//! The one table of keys (RFC 7143, section 13; RFC 7144 for iSCSIProtocolLevel; RFC 7145, section 6, for those of iSER): how
//! each is negotiated, and when.

/// A type of session (section 13.21).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionType {
    /// SendTargets, and nothing else.
    Discovery,
    /// Commands.
    Normal,
}

/// A key whose value both ends settle between them, or declare of themselves, in the operational stage.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// CRC32C behind headers (section 13.1).
    HeaderDigest,
    /// CRC32C behind data (13.1).
    DataDigest,
    /// Connections of a session (13.2).
    MaxConnections,
    /// No unsolicited data in Data-Out PDUs (13.10).
    InitialR2T,
    /// Data within command PDUs (13.11).
    ImmediateData,
    /// The most data of one PDU that the declarer takes (13.12).
    MaxRecvDataSegmentLength,
    /// The most data of one R2T, or one sequence of Data-In (13.13).
    MaxBurstLength,
    /// The most unsolicited data of a command (13.14).
    FirstBurstLength,
    /// Seconds to wait before the session is taken up again (13.15).
    DefaultTime2Wait,
    /// Seconds after that for which its tasks are kept (13.16).
    DefaultTime2Retain,
    /// R2Ts of one task that may be open (13.17).
    MaxOutstandingR2T,
    /// Data PDUs of a sequence come in order (13.18).
    DataPDUInOrder,
    /// Sequences of a command come in order (13.19).
    DataSequenceInOrder,
    /// 0, 1 or 2 (13.20).
    ErrorRecoveryLevel,
    /// How aborted tasks are told of (13.23).
    TaskReporting,
    /// Which RFCs are obeyed (13.24).
    ISCSIProtocolLevel,
    /// Markers are gone, but the keys may still come (13.25).
    IFMarker,
    /// See [`Key::IFMarker`].
    OFMarker,
    /// See [`Key::IFMarker`].
    IFMarkInt,
    /// See [`Key::IFMarker`].
    OFMarkInt,
    /// The connection is one of iSER (RFC 7145, section 6.3).
    RDMAExtensions,
    /// The most data of one message that the initiator takes (RFC 7145, 6.5).
    InitiatorRecvDataSegmentLength,
    /// The most data of one message that the target takes (RFC 7145, 6.4).
    TargetRecvDataSegmentLength,
    /// Messages that the declarer takes before it has answered them (RFC 7145, 6.7).
    MaxOutstandingUnexpectedPDUs,
    /// The memory that a write advertises begins with what is solicited of its data, and not with all of it (RFC 7145, 6.8).
    TaggedBufferForSolicitedDataOnly,
}

/// How the outcome follows from what both ends say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The first of the offered list that the responder takes: CRC32C (1) or None (0).
    Digest,
    /// Yes (1) if one of them says yes.
    Or,
    /// Yes (1) if both say yes.
    And,
    /// The smaller number, within these bounds.
    Minimum(u32, u32),
    /// The larger number, within these bounds.
    Maximum(u32, u32),
    /// Each declares its own number, within these bounds, and may do so again.
    Declared(u32, u32),
    /// Each tells its own number, within these bounds; we do so only where the other end knows of the key.
    Announced(u32, u32),
    /// The first of the offered list that the responder takes: RFC3720 (0), ResponseFence (1) or FastAbort (2).
    Reporting,
    /// The initiator says yes or no of itself, and is owed no answer.
    Stated,
    /// Answered with Reject, whatever it says.
    Retired,
}

/// When a key may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Usage {
    /// In the login of each connection ("IO").
    Initialize,
    /// In the login of a session's first connection ("LO").
    Leading,
    /// At any time ("ALL").
    Any,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub key: Key,
    pub name: &'static str,
    pub rule: Rule,
    pub usage: Usage,
    pub default: u32,
    /// It means nothing in a discovery session.
    pub normal_only: bool,
    /// It means nothing but in iSER.
    pub rdma_only: bool,
}

impl Key {
    pub(super) fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// How it is negotiated.
    pub fn rule(self) -> Rule {
        self.row().rule
    }

    /// When it may be used.
    pub fn usage(self) -> Usage {
        self.row().usage
    }

    /// The key of a name; names are exact.
    pub fn of(name: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.name == name).map(|row| row.key)
    }
}

const fn row(key: Key, name: &'static str, rule: Rule, usage: Usage, default: u32) -> Row {
    Row { key, name, rule, usage, default, normal_only: false, rdma_only: false }
}

const fn normal(key: Key, name: &'static str, rule: Rule, default: u32) -> Row {
    Row { key, name, rule, usage: Usage::Leading, default, normal_only: true, rdma_only: false }
}

const fn rdma(key: Key, name: &'static str, rule: Rule, usage: Usage, default: u32) -> Row {
    Row { key, name, rule, usage, default, normal_only: false, rdma_only: true }
}

/// The largest data segment and burst.
const LEN_MAX: u32 = (1 << 24) - 1;

/// In the order of [`Key`].
pub(super) const ROWS: [Row; KEYS] = [
    row(Key::HeaderDigest, "HeaderDigest", Rule::Digest, Usage::Initialize, 0),
    row(Key::DataDigest, "DataDigest", Rule::Digest, Usage::Initialize, 0),
    normal(Key::MaxConnections, "MaxConnections", Rule::Minimum(1, 65535), 1),
    normal(Key::InitialR2T, "InitialR2T", Rule::Or, 1),
    normal(Key::ImmediateData, "ImmediateData", Rule::And, 1),
    row(
        Key::MaxRecvDataSegmentLength,
        "MaxRecvDataSegmentLength",
        Rule::Declared(512, LEN_MAX),
        Usage::Any,
        8192,
    ),
    normal(Key::MaxBurstLength, "MaxBurstLength", Rule::Minimum(512, LEN_MAX), 262_144),
    normal(Key::FirstBurstLength, "FirstBurstLength", Rule::Minimum(512, LEN_MAX), 65_536),
    row(Key::DefaultTime2Wait, "DefaultTime2Wait", Rule::Maximum(0, 3600), Usage::Leading, 2),
    row(Key::DefaultTime2Retain, "DefaultTime2Retain", Rule::Minimum(0, 3600), Usage::Leading, 20),
    normal(Key::MaxOutstandingR2T, "MaxOutstandingR2T", Rule::Minimum(1, 65535), 1),
    normal(Key::DataPDUInOrder, "DataPDUInOrder", Rule::Or, 1),
    normal(Key::DataSequenceInOrder, "DataSequenceInOrder", Rule::Or, 1),
    row(Key::ErrorRecoveryLevel, "ErrorRecoveryLevel", Rule::Minimum(0, 2), Usage::Leading, 0),
    row(Key::TaskReporting, "TaskReporting", Rule::Reporting, Usage::Leading, 0),
    row(Key::ISCSIProtocolLevel, "iSCSIProtocolLevel", Rule::Minimum(0, 31), Usage::Leading, 1),
    row(Key::IFMarker, "IFMarker", Rule::Retired, Usage::Initialize, 0),
    row(Key::OFMarker, "OFMarker", Rule::Retired, Usage::Initialize, 0),
    row(Key::IFMarkInt, "IFMarkInt", Rule::Retired, Usage::Initialize, 0),
    row(Key::OFMarkInt, "OFMarkInt", Rule::Retired, Usage::Initialize, 0),
    rdma(Key::RDMAExtensions, "RDMAExtensions", Rule::And, Usage::Leading, 0),
    rdma(
        Key::InitiatorRecvDataSegmentLength,
        "InitiatorRecvDataSegmentLength",
        Rule::Minimum(512, LEN_MAX),
        Usage::Initialize,
        8192,
    ),
    rdma(
        Key::TargetRecvDataSegmentLength,
        "TargetRecvDataSegmentLength",
        Rule::Minimum(512, LEN_MAX),
        Usage::Initialize,
        8192,
    ),
    rdma(
        Key::MaxOutstandingUnexpectedPDUs,
        "MaxOutstandingUnexpectedPDUs",
        Rule::Announced(0, u32::MAX),
        Usage::Leading,
        0,
    ),
    // The standard's default is No. Yet who says nothing does what Linux does, which says nothing and means Yes.
    rdma(
        Key::TaggedBufferForSolicitedDataOnly,
        "TaggedBufferForSolicitedDataOnly",
        Rule::Stated,
        Usage::Leading,
        1,
    ),
];

/// How many keys there are.
pub(super) const KEYS: usize = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_stands_at_its_key() {
        for (index, row) in ROWS.iter().enumerate() {
            assert_eq!(row.key as usize, index);
            assert_eq!(Key::of(row.name), Some(row.key));
        }
        assert_eq!(Key::of("headerdigest"), None);
    }
}
