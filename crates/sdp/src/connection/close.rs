//! How a connection ends (A4.7).

use stdx::time::Time;

/// How far the end of a connection has come.
#[derive(Debug, Default)]
pub(super) struct Close {
    half: Half,
    /// The peer's half is closed, since then.
    peer_closed: Option<Time>,
    /// We read no more.
    is_read_shut: bool,
    /// We neither write nor read, since then.
    left: Option<Time>,
    end: End,
}

/// Our half.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Half {
    #[default]
    Open,
    /// It closes once everything is sent.
    Closing,
    /// The peer knows.
    Closed {
        /// Before the peer closed its own.
        is_first: bool,
    },
}

/// The connection as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum End {
    #[default]
    No,
    /// The connection manager is to be told.
    Due,
    /// It was.
    Done,
}

impl Close {
    /// Whether bytes may be written.
    pub(super) fn is_open(&self) -> bool {
        self.half == Half::Open && self.end == End::No
    }

    /// Whether the peer is to be told of our close once everything is sent.
    pub(super) fn is_closing(&self) -> bool {
        self.half == Half::Closing
    }

    /// Whether the peer was told of our close.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.half, Half::Closed { .. })
    }

    pub(super) const fn is_peer_closed(&self) -> bool {
        self.peer_closed.is_some()
    }

    pub(super) const fn is_read_shut(&self) -> bool {
        self.is_read_shut
    }

    pub(super) fn is_ended(&self) -> bool {
        self.end != End::No
    }

    pub(super) fn close(&mut self) {
        if self.half == Half::Open {
            self.half = Half::Closing;
        }
    }

    pub(super) const fn shut_read(&mut self) {
        self.is_read_shut = true;
    }

    /// The peer was told of our close.
    pub(super) const fn closed(&mut self) {
        self.half = Half::Closed { is_first: self.peer_closed.is_none() };
    }

    /// The peer closed its half.
    pub(super) const fn handle_closed(&mut self, now: Time) {
        self.peer_closed = Some(now);
    }

    /// Whether both halves are closed, and it is for us to end the connection once nothing is under way.
    pub(super) fn is_ours_to_end(&self) -> bool {
        self.is_peer_closed() && self.half == (Half::Closed { is_first: true })
    }

    /// Since when both halves are closed, and the peer has not ended the connection as it should.
    pub(super) fn waits(&self) -> Option<Time> {
        let is_waiting = self.half == (Half::Closed { is_first: false }) && self.end == End::No;
        self.peer_closed.filter(|_| is_waiting)
    }

    /// Notes when we had no more to do with it.
    pub(super) fn note_left(&mut self, now: Time) {
        if self.half != Half::Open && self.is_read_shut {
            self.left.get_or_insert(now);
        }
    }

    /// Since when we neither write nor read while the peer goes on as if we did; or, while something is still to be sent, since it last let us
    /// hear of it.
    pub(super) fn left(&self, heard_at: Time) -> Option<Time> {
        let since = self.left.filter(|_| self.end == End::No)?;
        match self.half {
            Half::Closed { .. } => (!self.is_peer_closed()).then_some(since),
            Half::Open | Half::Closing => Some(since.max(heard_at)),
        }
    }

    /// The connection is to end now.
    pub(super) fn end(&mut self) {
        if self.end == End::No {
            self.end = End::Due;
        }
    }

    /// Whether the connection manager is to be told now.
    pub(super) fn take_end(&mut self) -> bool {
        let is_due = self.end == End::Due;
        if is_due {
            self.end = End::Done;
        }
        is_due
    }
}
