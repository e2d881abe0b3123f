//! What queues hold: work requests, copied out of their submitters' hands.

use super::gather::cut;
use super::{Denied, Regions, Ring};
use crate::{
    Access, CompletionKind, Data, Destination, Key, PdId, PostError, ReceiveRequest, Remote, SendRequest,
    Sge, Work,
};
use stdx::env::Owner;
use stdx::mem::Span;

/// A posted send.
#[derive(Debug, Default)]
pub struct Send {
    /// The request's id.
    pub id: u64,
    /// What to do.
    pub task: Task,
    /// How.
    pub flags: Flags,
    /// The gather list, if the bytes are named by keys.
    pub sges: Vec<Sge>,
    /// The gather list, if they are the shard's own.
    pub own: Vec<Span>,
    /// The bytes, if they are inline.
    pub inline: Vec<u8>,
    /// They are.
    pub is_inline: bool,
    /// For [`Task::Register`], the memory.
    pub pieces: Vec<Span>,
}

/// How a send is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// It completes even if all goes well.
    pub signaled: bool,
    /// It wakes who waits for solicited completions.
    pub solicited: bool,
    /// Reads and atomics before it come first.
    pub fence: bool,
}

/// What to do: [`Work`] without what it borrows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Task {
    /// [`Work::Send`].
    #[default]
    Send,
    /// [`Work::SendImmediate`].
    SendImmediate(u32),
    /// [`Work::SendInvalidate`].
    SendInvalidate(Key),
    /// [`Work::Datagram`].
    Datagram(Destination, Option<u32>),
    /// [`Work::Write`].
    Write(Remote),
    /// [`Work::WriteImmediate`].
    WriteImmediate(Remote, u32),
    /// [`Work::Read`].
    Read(Remote),
    /// [`Work::CompareSwap`].
    CompareSwap {
        /// Where.
        at: Remote,
        /// What must be there.
        compare: u64,
        /// What is to be there.
        swap: u64,
    },
    /// [`Work::FetchAdd`].
    FetchAdd {
        /// Where.
        at: Remote,
        /// What to add.
        add: u64,
    },
    /// [`Work::Invalidate`].
    Invalidate(Key),
    /// [`Work::Register`], its pieces aside.
    Register {
        /// The new key.
        key: Key,
        /// The first byte's address.
        address: u64,
        /// Who may do what.
        access: Access,
    },
    /// [`Work::Bind`].
    Bind {
        /// The new key.
        window: Key,
        /// The part.
        part: Sge,
        /// What peers may do.
        access: Access,
    },
}

impl Task {
    /// What its completion says it was.
    pub const fn kind(&self) -> CompletionKind {
        match self {
            Self::Send | Self::SendImmediate(_) | Self::SendInvalidate(_) => CompletionKind::Send,
            Self::Datagram(..) => CompletionKind::Send,
            Self::Write(_) | Self::WriteImmediate(..) => CompletionKind::Write,
            Self::Read(_) => CompletionKind::Read,
            Self::CompareSwap { .. } => CompletionKind::CompareSwap,
            Self::FetchAdd { .. } => CompletionKind::FetchAdd,
            Self::Invalidate(_) => CompletionKind::Invalidate,
            Self::Register { .. } => CompletionKind::Register,
            Self::Bind { .. } => CompletionKind::Bind,
        }
    }

    /// True for what the peer answers with bytes: reads and atomics.
    pub const fn fetches(&self) -> bool {
        matches!(self, Self::Read(_) | Self::CompareSwap { .. } | Self::FetchAdd { .. })
    }

    /// True for what takes one of the peer's receives.
    pub const fn takes_receive(&self) -> bool {
        match self {
            Self::Send | Self::SendImmediate(_) | Self::SendInvalidate(_) => true,
            Self::Datagram(..) | Self::WriteImmediate(..) => true,
            Self::Write(_) | Self::Read(_) | Self::CompareSwap { .. } | Self::FetchAdd { .. } => false,
            Self::Invalidate(_) | Self::Register { .. } | Self::Bind { .. } => false,
        }
    }

    /// True for what concerns no peer.
    pub const fn is_local(&self) -> bool {
        matches!(self, Self::Invalidate(_) | Self::Register { .. } | Self::Bind { .. })
    }
}

impl Send {
    /// Bytes to be moved.
    pub fn len(&self) -> u64 {
        if self.is_inline {
            return self.inline.len() as u64;
        }
        let own: u64 = self.own.iter().map(|span| u64::from(span.len)).sum();
        own + self.sges.iter().map(|sge| u64::from(sge.len)).sum::<u64>()
    }

    /// Appends where `len` bytes from `offset` of the gather list lie, each piece checked for `needed`. Bytes that are inline
    /// lie nowhere.
    pub fn gather(
        &self,
        regions: &Regions,
        pd: PdId,
        offset: u64,
        len: u64,
        needed: Access,
        spans: &mut Vec<Span>,
    ) -> Result<(), Denied> {
        if self.is_inline {
            return Ok(());
        }
        if self.own.is_empty() {
            return regions.gather(pd, &self.sges, offset, len, needed, spans);
        }
        cut(&self.own, offset, len, spans)
    }

    /// True if no bytes are to be moved.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Becomes a copy of `request`.
    pub fn fill(&mut self, request: &SendRequest<'_>) {
        self.id = request.id;
        self.flags = Flags { signaled: request.signaled, solicited: request.solicited, fence: request.fence };
        self.sges.clear();
        self.own.clear();
        self.inline.clear();
        self.pieces.clear();
        self.is_inline = matches!(request.data, Data::Inline(_));
        match request.data {
            Data::Gather(sges) => self.sges.extend_from_slice(sges),
            Data::Own(spans) => self.own.extend_from_slice(spans),
            Data::Inline(bytes) => self.inline.extend_from_slice(bytes),
        }
        if let Work::Register { pieces, .. } = request.work {
            self.pieces.extend_from_slice(pieces);
        }
        self.task = match request.work {
            Work::Send => Task::Send,
            Work::SendImmediate(immediate) => Task::SendImmediate(immediate),
            Work::SendInvalidate(key) => Task::SendInvalidate(key),
            Work::Datagram { to, immediate } => Task::Datagram(to, immediate),
            Work::Write(to) => Task::Write(to),
            Work::WriteImmediate(to, immediate) => Task::WriteImmediate(to, immediate),
            Work::Read(from) => Task::Read(from),
            Work::CompareSwap { at, compare, swap } => Task::CompareSwap { at, compare, swap },
            Work::FetchAdd { at, add } => Task::FetchAdd { at, add },
            Work::Invalidate(key) => Task::Invalidate(key),
            Work::Register { key, address, access, .. } => Task::Register { key, address, access },
            Work::Bind { window, part, access } => Task::Bind { window, part, access },
        };
    }
}

/// A posted receive.
#[derive(Debug, Default)]
pub struct Receive {
    /// The request's id.
    pub id: u64,
    /// Where the bytes go.
    pub sges: Vec<Sge>,
}

impl Receive {
    fn move_to(&mut self, into: &mut Self) {
        into.id = self.id;
        core::mem::swap(&mut into.sges, &mut self.sges);
    }
}

/// A receive queue.
#[derive(Debug)]
pub struct ReceiveRing {
    ring: Ring<Receive>,
    sges_max: usize,
}

impl ReceiveRing {
    /// An empty queue of `entries` receives with at most `sges_max` pieces.
    pub fn new(entries: u32, sges_max: u32) -> Self {
        Self { ring: Ring::new(entries), sges_max: sges_max as usize }
    }

    /// Posts a receive.
    pub fn post(&mut self, request: &ReceiveRequest<'_>) -> Result<(), PostError> {
        if request.scatter.len() > self.sges_max {
            return Err(PostError::TooLong);
        }
        let place = self.ring.push().ok_or(PostError::Full)?;
        place.id = request.id;
        place.sges.clear();
        place.sges.extend_from_slice(request.scatter);
        Ok(())
    }

    /// Takes the first receive; it becomes `into`.
    pub fn take(&mut self, into: &mut Receive) -> bool {
        self.ring.pop().map(|place| place.move_to(into)).is_some()
    }

    /// Takes the last receive; it becomes `into`.
    pub fn take_last(&mut self, into: &mut Receive) -> bool {
        self.ring.pop_last().map(|place| place.move_to(into)).is_some()
    }

    /// How many receives are posted.
    pub const fn len(&self) -> usize {
        self.ring.len()
    }

    /// True if none is.
    pub const fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.ring.clear();
    }
}

/// A shared receive queue.
#[derive(Debug)]
pub struct Shared {
    /// Whose events its are.
    pub owner: Owner,
    /// Its domain.
    pub pd: PdId,
    /// The receives.
    pub ring: ReceiveRing,
    /// Tell when fewer are left; 0 for never.
    pub limit: u32,
    /// Queue pairs that use it.
    pub users: u32,
}
