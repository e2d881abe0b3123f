//! What a packet is: the opcode of the base transport header (9.2.1, table 38; A17.9.3 for the notification).

codes! {
    /// Opcodes of the transports that RoCEv2 cards speak.
    pub enum Opcode: u8 {
        RcSendFirst = 0x00, "RC Send First";
        RcSendMiddle = 0x01, "RC Send Middle";
        RcSendLast = 0x02, "RC Send Last";
        RcSendLastImmediate = 0x03, "RC Send Last with Immediate";
        RcSendOnly = 0x04, "RC Send Only";
        RcSendOnlyImmediate = 0x05, "RC Send Only with Immediate";
        RcWriteFirst = 0x06, "RC RDMA Write First";
        RcWriteMiddle = 0x07, "RC RDMA Write Middle";
        RcWriteLast = 0x08, "RC RDMA Write Last";
        RcWriteLastImmediate = 0x09, "RC RDMA Write Last with Immediate";
        RcWriteOnly = 0x0a, "RC RDMA Write Only";
        RcWriteOnlyImmediate = 0x0b, "RC RDMA Write Only with Immediate";
        RcReadRequest = 0x0c, "RC RDMA Read Request";
        RcReadResponseFirst = 0x0d, "RC RDMA Read Response First";
        RcReadResponseMiddle = 0x0e, "RC RDMA Read Response Middle";
        RcReadResponseLast = 0x0f, "RC RDMA Read Response Last";
        RcReadResponseOnly = 0x10, "RC RDMA Read Response Only";
        RcAcknowledge = 0x11, "RC Acknowledge";
        RcAtomicAcknowledge = 0x12, "RC Atomic Acknowledge";
        RcCompareSwap = 0x13, "RC Compare and Swap";
        RcFetchAdd = 0x14, "RC Fetch and Add";
        RcSendLastInvalidate = 0x16, "RC Send Last with Invalidate";
        RcSendOnlyInvalidate = 0x17, "RC Send Only with Invalidate";
        UcSendFirst = 0x20, "UC Send First";
        UcSendMiddle = 0x21, "UC Send Middle";
        UcSendLast = 0x22, "UC Send Last";
        UcSendLastImmediate = 0x23, "UC Send Last with Immediate";
        UcSendOnly = 0x24, "UC Send Only";
        UcSendOnlyImmediate = 0x25, "UC Send Only with Immediate";
        UcWriteFirst = 0x26, "UC RDMA Write First";
        UcWriteMiddle = 0x27, "UC RDMA Write Middle";
        UcWriteLast = 0x28, "UC RDMA Write Last";
        UcWriteLastImmediate = 0x29, "UC RDMA Write Last with Immediate";
        UcWriteOnly = 0x2a, "UC RDMA Write Only";
        UcWriteOnlyImmediate = 0x2b, "UC RDMA Write Only with Immediate";
        UdSendOnly = 0x64, "UD Send Only";
        UdSendOnlyImmediate = 0x65, "UD Send Only with Immediate";
        CongestionNotification = 0x81, "Congestion Notification";
    }
}

/// The service a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Reliable connection.
    ReliableConnection,
    /// Unreliable connection.
    UnreliableConnection,
    /// Unreliable datagram.
    UnreliableDatagram,
    /// Not of a service: congestion notification.
    Congestion,
}

/// What a packet does, whatever its place in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Brings bytes for a posted receive.
    Send,
    /// Brings bytes for an address.
    Write,
    /// Asks for bytes of an address.
    ReadRequest,
    /// Brings bytes that were asked for.
    ReadResponse,
    /// Says how far requests have come.
    Acknowledge,
    /// Brings what an atomic operation found.
    AtomicAcknowledge,
    /// Exchanges eight bytes if they are as expected.
    CompareSwap,
    /// Adds to eight bytes.
    FetchAdd,
    /// Asks a sender to slow down.
    CongestionNotification,
}

/// A packet's place in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// The first of several.
    First,
    /// Neither the first nor the last.
    Middle,
    /// The last of several.
    Last,
    /// The whole message.
    Only,
}

impl Position {
    /// True for a packet that begins a message.
    pub const fn begins(self) -> bool {
        matches!(self, Self::First | Self::Only)
    }

    /// True for a packet that ends a message.
    pub const fn ends(self) -> bool {
        matches!(self, Self::Last | Self::Only)
    }
}

/// Which headers stand between the base transport header and the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// None.
    Plain,
    /// ImmDt.
    Immediate,
    /// IETH.
    Invalidate,
    /// RETH.
    Remote,
    /// RETH, ImmDt.
    RemoteImmediate,
    /// AtomicETH.
    Atomic,
    /// AETH.
    Acknowledge,
    /// AETH, AtomicAckETH.
    AtomicAcknowledge,
    /// DETH.
    Datagram,
    /// DETH, ImmDt.
    DatagramImmediate,
    /// Sixteen reserved bytes.
    Notification,
}

impl Shape {
    /// Bytes of these headers.
    pub const fn len(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::Immediate | Self::Invalidate | Self::Acknowledge => 4,
            Self::Remote | Self::Notification => 16,
            Self::RemoteImmediate => 20,
            Self::Atomic => 28,
            Self::AtomicAcknowledge | Self::DatagramImmediate => 12,
            Self::Datagram => 8,
        }
    }

    /// True if there is none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Opcode {
    /// The service the packet belongs to.
    pub const fn transport(self) -> Transport {
        match self.code() {
            0x00..=0x1f => Transport::ReliableConnection,
            0x20..=0x3f => Transport::UnreliableConnection,
            0x60..=0x7f => Transport::UnreliableDatagram,
            _ => Transport::Congestion,
        }
    }

    /// What the packet does.
    pub const fn action(self) -> Action {
        use Opcode as O;
        match self {
            O::RcSendFirst | O::RcSendMiddle | O::RcSendLast | O::RcSendOnly => Action::Send,
            O::RcSendLastImmediate | O::RcSendOnlyImmediate => Action::Send,
            O::RcSendLastInvalidate | O::RcSendOnlyInvalidate => Action::Send,
            O::UcSendFirst | O::UcSendMiddle | O::UcSendLast | O::UcSendOnly => Action::Send,
            O::UcSendLastImmediate | O::UcSendOnlyImmediate => Action::Send,
            O::UdSendOnly | O::UdSendOnlyImmediate => Action::Send,
            O::RcWriteFirst | O::RcWriteMiddle | O::RcWriteLast | O::RcWriteOnly => Action::Write,
            O::RcWriteLastImmediate | O::RcWriteOnlyImmediate => Action::Write,
            O::UcWriteFirst | O::UcWriteMiddle | O::UcWriteLast | O::UcWriteOnly => Action::Write,
            O::UcWriteLastImmediate | O::UcWriteOnlyImmediate => Action::Write,
            O::RcReadRequest => Action::ReadRequest,
            O::RcReadResponseFirst | O::RcReadResponseMiddle => Action::ReadResponse,
            O::RcReadResponseLast | O::RcReadResponseOnly => Action::ReadResponse,
            O::RcAcknowledge => Action::Acknowledge,
            O::RcAtomicAcknowledge => Action::AtomicAcknowledge,
            O::RcCompareSwap => Action::CompareSwap,
            O::RcFetchAdd => Action::FetchAdd,
            O::CongestionNotification => Action::CongestionNotification,
        }
    }

    /// The packet's place in its message.
    pub const fn position(self) -> Position {
        use Opcode as O;
        match self {
            O::RcSendFirst | O::RcWriteFirst | O::RcReadResponseFirst => Position::First,
            O::UcSendFirst | O::UcWriteFirst => Position::First,
            O::RcSendMiddle | O::RcWriteMiddle | O::RcReadResponseMiddle => Position::Middle,
            O::UcSendMiddle | O::UcWriteMiddle => Position::Middle,
            O::RcSendLast | O::RcSendLastImmediate | O::RcSendLastInvalidate => Position::Last,
            O::RcWriteLast | O::RcWriteLastImmediate | O::RcReadResponseLast => Position::Last,
            O::UcSendLast | O::UcSendLastImmediate => Position::Last,
            O::UcWriteLast | O::UcWriteLastImmediate => Position::Last,
            O::RcSendOnly | O::RcSendOnlyImmediate | O::RcSendOnlyInvalidate => Position::Only,
            O::RcWriteOnly | O::RcWriteOnlyImmediate | O::RcReadResponseOnly => Position::Only,
            O::RcReadRequest | O::RcAcknowledge | O::RcAtomicAcknowledge => Position::Only,
            O::RcCompareSwap | O::RcFetchAdd => Position::Only,
            O::UcSendOnly | O::UcSendOnlyImmediate => Position::Only,
            O::UcWriteOnly | O::UcWriteOnlyImmediate => Position::Only,
            O::UdSendOnly | O::UdSendOnlyImmediate | O::CongestionNotification => Position::Only,
        }
    }

    /// Which headers follow the base transport header.
    pub const fn shape(self) -> Shape {
        use Opcode as O;
        match self {
            O::RcSendFirst | O::RcSendMiddle | O::RcSendLast | O::RcSendOnly => Shape::Plain,
            O::UcSendFirst | O::UcSendMiddle | O::UcSendLast | O::UcSendOnly => Shape::Plain,
            O::RcWriteMiddle | O::RcWriteLast | O::UcWriteMiddle | O::UcWriteLast => Shape::Plain,
            O::RcReadResponseMiddle => Shape::Plain,
            O::RcSendLastImmediate | O::RcSendOnlyImmediate => Shape::Immediate,
            O::UcSendLastImmediate | O::UcSendOnlyImmediate => Shape::Immediate,
            O::RcWriteLastImmediate | O::UcWriteLastImmediate => Shape::Immediate,
            O::RcSendLastInvalidate | O::RcSendOnlyInvalidate => Shape::Invalidate,
            O::RcWriteFirst | O::RcWriteOnly | O::UcWriteFirst | O::UcWriteOnly => Shape::Remote,
            O::RcReadRequest => Shape::Remote,
            O::RcWriteOnlyImmediate | O::UcWriteOnlyImmediate => Shape::RemoteImmediate,
            O::RcCompareSwap | O::RcFetchAdd => Shape::Atomic,
            O::RcReadResponseFirst | O::RcReadResponseLast | O::RcReadResponseOnly => Shape::Acknowledge,
            O::RcAcknowledge => Shape::Acknowledge,
            O::RcAtomicAcknowledge => Shape::AtomicAcknowledge,
            O::UdSendOnly => Shape::Datagram,
            O::UdSendOnlyImmediate => Shape::DatagramImmediate,
            O::CongestionNotification => Shape::Notification,
        }
    }

    /// True if the packet may carry payload.
    pub const fn carries_payload(self) -> bool {
        matches!(self.action(), Action::Send | Action::Write | Action::ReadResponse)
    }

    /// True for what a responder sends: acknowledgements and responses.
    pub const fn is_response(self) -> bool {
        matches!(self.action(), Action::ReadResponse | Action::Acknowledge | Action::AtomicAcknowledge)
    }
}
