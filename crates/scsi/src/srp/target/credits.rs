//! The request limit (section 5.2): how many requests an initiator may have outstanding, and the receives that stand for them.
//!
//! Every credit is in one of three places: at the initiator, which may spend it; with a request under way; or here, to be
//! given back by the next response, or by SRP_CRED_REQ if no response is to come. Invariant: all credits of all channels
//! together, and what is kept for units that need none, are no more than the receives.

/// Receives that no channel has credits for.
#[derive(Debug)]
pub(crate) struct Pool {
    free: u32,
    total: u32,
}

/// The credits of one channel.
#[derive(Debug)]
pub(crate) struct Credits {
    /// All of them.
    total: u32,
    /// What the initiator may spend.
    out: u32,
    /// What the next unit gives back.
    due: u32,
}

impl Pool {
    pub(crate) const fn new(receives: u32) -> Self {
        Self { free: receives, total: receives }
    }

    /// Credits for a new channel: as many as are wanted while there is plenty, and fewer the less there is. `None` if that is too
    /// few to work with.
    pub(crate) fn open(&mut self, wanted: u32) -> Option<Credits> {
        let share = (self.free / 2).saturating_sub(UNCOUNTED).min(wanted);
        if share < CREDITS_MIN.min(wanted) {
            return None;
        }
        self.free -= share + UNCOUNTED;
        Some(Credits { total: share, out: share, due: 0 })
    }

    /// A channel is gone.
    pub(crate) fn close(&mut self, credits: &Credits) {
        self.free += credits.total + UNCOUNTED;
    }

    /// Gives a channel more, if it has fewer than it might. True if it did.
    pub(crate) fn top_up(&mut self, credits: &mut Credits, wanted: u32) -> bool {
        let more = wanted.saturating_sub(credits.total).min(self.free / 2);
        self.free -= more;
        credits.total += more;
        credits.due += more;
        more > 0
    }

    /// Asserts that these credits are all that there are.
    pub(crate) fn check<'a>(&self, all: impl Iterator<Item = &'a Credits>) {
        let out: u32 = all.map(|credits| credits.total + UNCOUNTED).sum();
        assert_eq!(self.free + out, self.total);
    }
}

impl Credits {
    /// The request limit at login.
    pub(crate) const fn granted(&self) -> u32 {
        self.total
    }

    /// Units that can come at once.
    pub(crate) const fn units_max(&self) -> u32 {
        self.total + UNCOUNTED
    }

    /// A request came. False if the initiator had no credit for it.
    pub(crate) fn spend(&mut self) -> bool {
        let has = self.out > 0;
        self.out -= u32::from(has);
        has
    }

    /// A request is over.
    pub(crate) const fn earn(&mut self) {
        self.due += 1;
    }

    /// What the next unit gives back; it is the initiator's by this.
    pub(crate) fn give(&mut self) -> i32 {
        let due = core::mem::take(&mut self.due);
        self.out += due;
        due.cast_signed()
    }

    /// Whether something is to be given back.
    pub(crate) const fn is_due(&self) -> bool {
        self.due > 0
    }

    /// Asserts that so many requests are under way.
    pub(crate) fn check(&self, under_way: u32) {
        assert_eq!(self.out + self.due + under_way, self.total, "a credit is in one place");
    }
}

/// Units that need no credit: a logout, and the answers to what the target asks.
const UNCOUNTED: u32 = 3;
/// With fewer credits a channel is not opened: an initiator keeps one for task management.
const CREDITS_MIN: u32 = 4;
