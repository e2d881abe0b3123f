//! Bugs on demand, for trying the simulator: a simulator that never found a bug is not known to work.
//!
//! Each [`Bug`] is one line at the place where somebody might well make that mistake: `if planted(Bug::..)`. In release
//! builds [`planted`] is a constant, and the lines are gone.

/// A mistake that can be planted. Each must be found by the simulation; see `sim::mutants`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Bug {
    /// A file volume answers a flush without syncing.
    FlushForgotten,
    /// A file volume takes a write with FUA for an ordinary one.
    FuaForgotten,
    /// A partition or namespace counts blocks from one.
    BlockOffByOne,
    /// Zeroing leaves the last block as it was.
    ZeroTooShort,
    /// Compare-and-write does not hold its blocks against others.
    RangeNotHeld,
    /// A completion is lost while the connection is busy.
    CompletionLost,
    /// A response names the command before.
    CommandIdentifierStale,
    /// Data that the stream did not take is taken from memory again later, when it may have changed.
    LentDataNotCopied,
    /// Received data lands where the piece before it went.
    DataOffsetForgotten,
    /// The buffer of a request whose connection broke is not given back.
    BufferLeaked,
    /// Keep Alive never expires.
    KeepAliveIgnored,
    /// Data digests are not looked at.
    DigestUnchecked,
    /// Requests under way when a connection broke are answered as done.
    LostTakenForDone,
    /// After a reconnect, requests under way are forgotten.
    ReplayForgotten,
    /// A look at the namespaces that an event asked for ends the way up, before the I/O queues are there.
    LiveBeforeItsQueues,
    /// A host that comes back is let in beside the association it had.
    OldAssociationKept,
    /// Sequence numbers are compared as if they never went round.
    SerialComparedPlainly,
    /// A command that was answered with a unit attention counts as done.
    AttentionTakenForDone,
    /// The data sent for an R2T begins where the command's data begins.
    SolicitedDataShifted,
    /// Bytes of a refused advert are not sent in messages.
    AdvertSkipped,
    /// A sink advert that a message used up is written to.
    StaleSinkUsed,
    /// An advert that crossed its refusal is read.
    RefusedAdvertKept,
    /// Bytes of the stream take the credits that are kept for what must be told.
    LastCreditSpent,
    /// A sink advert is kept though a message has used it up.
    UsedSinkKept,
    /// A half of a stream is closed though bytes of it wait for credits.
    ClosedBeforeSent,
    /// The peer's closing of its half ends the whole stream.
    HalfCloseEndsBoth,
    /// A pause is agreed to while adverts are there.
    PausedOverAdverts,
    /// A stream that goes on after a pause has the mode it had before.
    ModeKeptOverPause,
    /// Pipelined mode is left while the peer's adverts are there.
    ModeChangedOverAdverts,
    /// An advert that crossed the change to another mode is taken for a violation.
    CrossingModeForgotten,
    /// Memory that the peer let go of by changing the mode is kept for it.
    SinksKeptOverMode,
    /// What was written to memory is not told when it is taken back.
    CancelForgetsWritten,
    /// A cancel is answered though all that it was for is done.
    CancelAnsweredTwice,
    /// A cancel is waited for though the peer was done with all of it.
    CancelNeverOver,
    /// The urgent byte is written to the peer's memory.
    UrgentByteWritten,
    /// Bytes follow the urgent one in its message.
    UrgentByteNotLast,
    /// Nobody is told that an urgent byte comes.
    UrgentUntold,
    /// It is not looked whether a silent peer is there.
    ProbeForgotten,
    /// Messages are longer as soon as the peer was asked for longer receives.
    LongerTooSoon,
    /// Packet numbers are compared as if they never went round.
    PsnComparedPlainly,
    /// A request that came before is done once more.
    DuplicateDoneAgain,
    /// A request is done though one before it is missing.
    GapIgnored,
    /// An atomic that came before is done once more.
    AtomicDoneAgain,
    /// A peer may do with a region what its owner may.
    RightsUnchecked,
    /// A region is taken for a byte longer than it is.
    BoundsOffByOne,
    /// What was invalidated by its owner still opens memory.
    DeadKeyOpens,
    /// What the peer invalidates still opens memory.
    InvalidationForgotten,
    /// A message for which there is no receive is acknowledged.
    ReceiveMissedSilently,
    /// An acknowledgement names the packet behind the one it is for.
    AcknowledgedTooFar,
    /// A send does not wait for the reads before its fence.
    FenceIgnored,
    /// Every packet that answers a read lands where the first did.
    AnswerOffsetForgotten,
    /// What is sent again begins a packet too late.
    WentBackTooShort,
    /// A read is complete once something behind it is acknowledged.
    AnswerTakenForGiven,
    /// Sends complete whether that was wanted or not.
    UnsignaledCompleted,
    /// Receives of a queue pair in error stay where they are.
    ReceivesNotFlushed,
    /// The receive of a message that was in the middle is not flushed.
    HeldReceiveLost,
    /// Immediate data does not reach the completion.
    ImmediateForgotten,
    /// An unreliable message goes on behind a gap.
    UnreliableGapIgnored,
    /// Datagrams with a wrong key are taken.
    QueueKeyUnchecked,
    /// Damaged packets are taken.
    CrcUnchecked,
    /// Damaged packets are taken if they came over IPv6.
    CrcUncheckedOverIpv6,
    /// A window opens memory for peers of other queue pairs, too.
    WindowOfAnotherPair,
    /// A peer that says nothing any more is asked again and again.
    RetriesForEver,
    /// Queue pairs whose neighbour is gone wait for it.
    NeighbourNotMissed,
    /// A number of a queue pair that is gone leads to the one in its place.
    DeadPairReached,
    /// What a neighbour is to copy from where it lies is copied from where its region begins.
    LentFromTheBeginning,
    /// A packet whose acknowledgement is lost is not sent again.
    TimeoutForgotten,
    /// A queue that drains begins with what is queued behind.
    DrainBeginsMore,
    /// More reads are under way than the peer answers.
    ReadDepthIgnored,
    /// Room for answers that are taken for lost, or came, is never used again.
    RoomNotGivenBack,
    /// Every packet of a write lands where the first did.
    WriteOffsetForgotten,
    /// Every packet of a message lands where the first did.
    ReceiveOffsetForgotten,
    /// A request for a connection that comes twice is told twice.
    RequestToldTwice,
    /// The side that accepts begins with the number that it is to expect.
    StartingPsnsConfused,
    /// Who was told of no more receives sends nothing, where one message is to find out whether there are some now.
    LimitedForGood,
    /// The bytes that fill a packet up are taken for payload.
    PaddingDelivered,
    /// Data that is sent again is that of the PDU before.
    RepeatedDataShifted,
    /// Data that was landing when its connection broke counts as landed.
    LandingTakenForLanded,
    /// A session's commands do not wait for what the session before it left.
    PredecessorNotAwaited,
    /// A write that has its buffer waits behind one that waits for a buffer.
    BuffersInOrder,
    /// Each connection of a session numbers its commands by itself.
    WindowPerConnection,
    /// Connections of a session use the same tags.
    TagsOfConnectionsAlike,
    /// A command is answered by the newest connection of its session, not by its own.
    AnsweredElsewhere,
    /// Commands that the target had not taken when their connection broke count as done.
    UntakenTakenForDone,
    /// A write is executed before its data was read from the host's memory.
    DataNotAwaited,
    /// Data is written to the host's memory behind the response, which closed that memory.
    DataBehindItsResponse,
    /// A read is never answered, though its data is there.
    ResponseForgotten,
    /// A host has more commands outstanding than its queue has entries.
    QueueOverrun,
    /// An initiator takes the request limit for twice what it is.
    RequestLimitOverrun,
    /// A request that did not succeed keeps its credit.
    CreditLost,
    /// A command names the key that its memory had before.
    DeadKeyTold,
    /// A response closes memory that is another command's.
    WrongKeyInvalidated,
    /// What goes on in the next piece of memory goes on as far in as it was in the piece before.
    PieceOffsetKept,
    /// Data that came with its command is taken from too far in front.
    ImmediateShifted,
    /// Data that came with its command does not count as there.
    UnaskedDataMiscounted,
    /// A command that was aborted counts as done.
    AbortedTakenForDone,
    /// A target port lets in who is not on its list.
    ListIgnored,
    /// An initiator sends a command more than the target's window has room for.
    WindowOverrun,
    /// An initiator sends PDUs that the target does not expect without counting them.
    UnexpectedUncounted,
    /// A response tells of a window in which its own command still takes room.
    WindowReckonedEarly,
    /// A crypto erase is answered before the new key is stored.
    EraseToldTooSoon,
}

/// The bugs of NVMe's machines by RDMA: those of its transport, and those of what holds whichever way a host comes. An old
/// association that is kept is hunted over TCP alone: by RDMA what it still had to fetch is gone with the host's queue pair, and
/// no seed of three thousand shows it.
pub const NVME_RDMA_BUGS: [Bug; 8] = [
    Bug::DeadKeyTold,
    Bug::DataNotAwaited,
    Bug::DataBehindItsResponse,
    Bug::ResponseForgotten,
    Bug::QueueOverrun,
    Bug::KeepAliveIgnored,
    Bug::LostTakenForDone,
    Bug::ReplayForgotten,
];

/// The bugs of SRP's machines.
pub const SRP_BUGS: [Bug; 11] = [
    Bug::ListIgnored,
    Bug::RequestLimitOverrun,
    Bug::CreditLost,
    Bug::DeadKeyTold,
    Bug::PieceOffsetKept,
    Bug::ImmediateShifted,
    Bug::AbortedTakenForDone,
    Bug::DataNotAwaited,
    Bug::ResponseForgotten,
    Bug::LostTakenForDone,
    Bug::ReplayForgotten,
];

/// The bugs of iSER's machines, but for those that iSCSI has, whatever carries it.
pub const ISER_BUGS: [Bug; 11] = [
    Bug::AbortedTakenForDone,
    Bug::WindowOverrun,
    Bug::UnexpectedUncounted,
    Bug::WindowReckonedEarly,
    Bug::DataNotAwaited,
    Bug::ResponseForgotten,
    Bug::DeadKeyTold,
    Bug::WrongKeyInvalidated,
    Bug::UnaskedDataMiscounted,
    Bug::LostTakenForDone,
    Bug::ReplayForgotten,
];

/// Bugs that show when one volume is used by all protocols at once.
pub const EVERY_BUGS: [Bug; 4] =
    [Bug::BlockOffByOne, Bug::CompletionLost, Bug::DataNotAwaited, Bug::LostTakenForDone];

/// The bugs of volumes and of NVMe's machines.
pub const NVME_BUGS: [Bug; 17] = [
    Bug::FlushForgotten,
    Bug::FuaForgotten,
    Bug::BlockOffByOne,
    Bug::ZeroTooShort,
    Bug::RangeNotHeld,
    Bug::CompletionLost,
    Bug::CommandIdentifierStale,
    Bug::LentDataNotCopied,
    Bug::DataOffsetForgotten,
    Bug::BufferLeaked,
    Bug::KeepAliveIgnored,
    Bug::DigestUnchecked,
    Bug::LostTakenForDone,
    Bug::ReplayForgotten,
    Bug::LiveBeforeItsQueues,
    Bug::OldAssociationKept,
    Bug::EraseToldTooSoon,
];

/// The bugs of volumes and of iSCSI's machines.
pub const ISCSI_BUGS: [Bug; 21] = [
    Bug::AbortedTakenForDone,
    Bug::FlushForgotten,
    Bug::FuaForgotten,
    Bug::BlockOffByOne,
    Bug::ZeroTooShort,
    Bug::RangeNotHeld,
    Bug::CompletionLost,
    Bug::DataOffsetForgotten,
    Bug::DigestUnchecked,
    Bug::LostTakenForDone,
    Bug::ReplayForgotten,
    Bug::SerialComparedPlainly,
    Bug::AttentionTakenForDone,
    Bug::SolicitedDataShifted,
    Bug::RepeatedDataShifted,
    Bug::LandingTakenForLanded,
    Bug::BuffersInOrder,
    Bug::WindowPerConnection,
    Bug::TagsOfConnectionsAlike,
    Bug::AnsweredElsewhere,
    Bug::UntakenTakenForDone,
];

/// The bugs of RDMA's devices.
pub const RDMA_BUGS: [Bug; 37] = [
    Bug::PsnComparedPlainly,
    Bug::DuplicateDoneAgain,
    Bug::GapIgnored,
    Bug::AtomicDoneAgain,
    Bug::RightsUnchecked,
    Bug::BoundsOffByOne,
    Bug::DeadKeyOpens,
    Bug::InvalidationForgotten,
    Bug::ReceiveMissedSilently,
    Bug::AcknowledgedTooFar,
    Bug::FenceIgnored,
    Bug::AnswerOffsetForgotten,
    Bug::WentBackTooShort,
    Bug::AnswerTakenForGiven,
    Bug::UnsignaledCompleted,
    Bug::ReceivesNotFlushed,
    Bug::HeldReceiveLost,
    Bug::ImmediateForgotten,
    Bug::UnreliableGapIgnored,
    Bug::QueueKeyUnchecked,
    Bug::CrcUnchecked,
    Bug::TimeoutForgotten,
    Bug::DrainBeginsMore,
    Bug::ReadDepthIgnored,
    Bug::RoomNotGivenBack,
    Bug::WriteOffsetForgotten,
    Bug::ReceiveOffsetForgotten,
    Bug::RequestToldTwice,
    Bug::StartingPsnsConfused,
    Bug::PaddingDelivered,
    Bug::LimitedForGood,
    Bug::CrcUncheckedOverIpv6,
    Bug::WindowOfAnotherPair,
    Bug::RetriesForEver,
    Bug::NeighbourNotMissed,
    Bug::DeadPairReached,
    Bug::LentFromTheBeginning,
];

/// The bugs of the Sockets Direct Protocol.
pub const SDP_BUGS: [Bug; 20] = [
    Bug::AdvertSkipped,
    Bug::StaleSinkUsed,
    Bug::RefusedAdvertKept,
    Bug::LastCreditSpent,
    Bug::UsedSinkKept,
    Bug::ClosedBeforeSent,
    Bug::HalfCloseEndsBoth,
    Bug::PausedOverAdverts,
    Bug::ModeKeptOverPause,
    Bug::ModeChangedOverAdverts,
    Bug::CrossingModeForgotten,
    Bug::SinksKeptOverMode,
    Bug::CancelForgetsWritten,
    Bug::CancelAnsweredTwice,
    Bug::CancelNeverOver,
    Bug::UrgentByteWritten,
    Bug::UrgentByteNotLast,
    Bug::UrgentUntold,
    Bug::ProbeForgotten,
    Bug::LongerTooSoon,
];

/// True if this bug is planted on this thread. Constantly false in release builds.
#[cfg(debug_assertions)]
#[inline]
pub fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// True if this bug is planted on this thread. Constantly false in release builds.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Plants a bug on this thread in place of the one before, or none. Release builds have no bugs to plant.
#[cfg(debug_assertions)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Plants a bug on this thread in place of the one before, or none. Release builds have no bugs to plant.
#[cfg(not(debug_assertions))]
pub const fn plant(_: Option<Bug>) {}

#[cfg(debug_assertions)]
// tidy: allow(forbidden-call) a test plants its bug on its own thread; release builds have none of this
thread_local! {
    static PLANTED: core::cell::Cell<Option<Bug>> = const { core::cell::Cell::new(None) };
}
