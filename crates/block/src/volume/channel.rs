//! A user's way to a volume: what may go on goes to the device, what may not waits its turn.

use super::compound::{Next, Step};
use super::{BAD_RANGES_MAX, Shared};
use crate::{Channel, Done, Io, Op, Refused, Status};
use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use stdx::time::{Time, earliest};

/// A request that the device is working on, or a part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    /// The channel it came by.
    channel: u64,
    pub(super) io: Io,
    pub(super) started: Time,
    pub(super) step: Step,
}

/// See the module.
#[derive(Debug)]
pub(super) struct VolumeChannel {
    shared: Rc<Shared>,
    /// Its number among the channels that the volume ever had.
    number: u64,
    inner: Box<dyn Channel>,
    waiting: VecDeque<(Io, Time)>,
    ready: Vec<Done>,
    /// Requests whose next part the device refused.
    stalled: Vec<Key>,
    /// Reused from poll to poll.
    finished: Vec<Done>,
}

/// Why a request does not go on now.
enum Hold {
    /// It waits; look again at this time.
    Until(Time),
    /// It waits for another request of the volume to end, whose end says so.
    Blocked,
    /// The device takes no more.
    Full,
}

impl VolumeChannel {
    pub(super) fn new(shared: Rc<Shared>, inner: Box<dyn Channel>) -> Self {
        let (waiting, ready, stalled, finished) = (VecDeque::new(), Vec::new(), Vec::new(), Vec::new());
        let number = shared.channels.replace(shared.channels.get() + 1);
        Self { shared, number, inner, waiting, ready, stalled, finished }
    }

    /// Begins with a request, unless something holds it.
    fn begin(&mut self, env: &mut dyn Env, io: Io, started: Time) -> Result<(), Hold> {
        let shared = &self.shared;
        if shared.is_held(&io) {
            shared.blocked.set(true);
            return Err(Hold::Blocked);
        }
        if let Some(status) = shared.settled(&io) {
            shared.finish(&io, started, env.now(), status);
            self.ready.push(Done { tag: io.tag, status, data: Span::EMPTY });
            return Ok(());
        }
        let step = match Step::of(io.op) {
            Step::Plain => Step::Plain,
            _ => Step::first(env, &shared.device.info(), &io).ok_or(Hold::Until(env.now() + WAIT))?,
        };
        if let Err(at) = shared.pass(env.now(), &io) {
            step.release(env);
            return Err(Hold::Until(at));
        }
        let Ok(key) =
            shared.under_way.borrow_mut().insert(UnderWay { channel: self.number, io, started, step })
        else {
            step.release(env);
            return Err(Hold::Full);
        };
        if step.holds_range() {
            shared.held.borrow_mut().insert(io.lba, u64::from(io.blocks), usize::MAX);
        }
        if self.inner.submit(env, step.io(&io, key)).is_err() {
            self.shared.forget(key);
            step.release(env);
            return Err(Hold::Full);
        }
        Ok(())
    }

    /// The device is done with a request or a part of it. True if another part follows.
    fn advance(&mut self, env: &mut dyn Env, done: &Done) -> bool {
        let key = Key::from_u64(done.tag);
        let shared = &self.shared;
        let Some(at) = shared.under_way.borrow().get(key).map(|at| (at.step != Step::Plain).then_some(*at))
        else {
            return false;
        };
        let Some(at) = at else {
            // The device did it in one: what it says is what its user hears.
            if let Some(UnderWay { io, started, .. }) = shared.forget(key) {
                shared.finish(&io, started, env.now(), done.status);
                self.ready.push(Done { tag: io.tag, ..*done });
            }
            return false;
        };
        match at.step.next(env, &at.io, done) {
            Next::Finished(status) => {
                at.step.release(env);
                shared.forget(key);
                shared.finish(&at.io, at.started, env.now(), status);
                self.ready.push(Done { tag: at.io.tag, status, data: Span::EMPTY });
                false
            }
            Next::More(step) => {
                if let Some(under_way) = shared.under_way.borrow_mut().get_mut(key) {
                    under_way.step = step;
                }
                self.go_on(env, key);
                true
            }
        }
    }

    /// Begins with the requests that waited, in order, as far as they may. True if any did.
    fn begin_waiting(&mut self, env: &mut dyn Env) -> bool {
        let before = self.waiting.len();
        while let Some(&(io, since)) = self.waiting.front() {
            match self.begin(env, io, since) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(Hold::Until(at)) => {
                    self.shared.retry_no_later_than(at);
                    break;
                }
                Err(Hold::Blocked) => break,
                Err(Hold::Full) => {
                    self.shared.retry_no_later_than(env.now() + WAIT);
                    break;
                }
            }
        }
        self.waiting.len() < before
    }

    /// Gives the device the next part of a request; one it refuses is tried again at the next poll.
    fn go_on(&mut self, env: &mut dyn Env, key: Key) {
        let Some(at) = self.shared.under_way.borrow().get(key).copied() else { return };
        if self.inner.submit(env, at.step.io(&at.io, key)).is_err() {
            self.stalled.push(key);
            self.shared.retry_no_later_than(env.now() + WAIT);
        }
    }
}

impl Channel for VolumeChannel {
    fn submit(&mut self, env: &mut dyn Env, io: Io) -> Result<(), Refused> {
        if self.waiting.is_empty() {
            let now = env.now();
            match self.begin(env, io, now) {
                Ok(()) => return Ok(()),
                Err(Hold::Full) => return Err(Refused(io)),
                Err(Hold::Until(at)) => self.shared.retry_no_later_than(at),
                Err(Hold::Blocked) => {}
            }
        }
        if self.waiting.len() >= WAITING_MAX {
            return Err(Refused(io));
        }
        self.waiting.push_back((io, env.now()));
        Ok(())
    }

    fn perform(&mut self, env: &mut dyn Env, io: &Io) -> Option<Span> {
        if !self.waiting.is_empty() || !self.shared.lets_all_pass() {
            return None;
        }
        let data = self.inner.perform(env, io)?;
        let now = env.now();
        self.shared.finish(io, now, now, Status::Ok);
        Some(data)
    }

    /// A request made of several is with the volume to its end.
    fn withdraw(&mut self, tag: u64) -> bool {
        if let Some(place) = self.waiting.iter().position(|(io, _)| io.tag == tag) {
            self.waiting.remove(place);
            return true;
        }
        let is_it = |at: &UnderWay| at.channel == self.number && at.io.tag == tag && at.step == Step::Plain;
        let found = self.shared.under_way.borrow().iter().find(|(_, at)| is_it(at)).map(|(key, _)| key);
        let withdrawn = found.filter(|key| self.inner.withdraw(key.as_u64()));
        withdrawn.and_then(|key| self.shared.forget(key)).is_some()
    }

    fn poll(&mut self, env: &mut dyn Env, done: &mut Vec<Done>) {
        for key in core::mem::take(&mut self.stalled) {
            self.go_on(env, key);
        }
        // A part that ends may begin another, which a quick device ends at once.
        let mut finished = core::mem::take(&mut self.finished);
        let mut more = true;
        while more {
            self.inner.poll(env, &mut finished);
            more = false;
            for part in finished.drain(..) {
                more |= self.advance(env, &part);
            }
            // The end of one may be what another waited for, which a quick device ends at once, too.
            more |= self.begin_waiting(env);
        }
        self.finished = finished;
        done.append(&mut self.ready);
    }
}

impl Shared {
    /// True if another request must be done first. Requests are not checked yet: their blocks may lie anywhere.
    fn is_held(&self, io: &Io) -> bool {
        let held = self.held.borrow();
        if !held.is_empty() && touched(io).iter().any(|&lba| held.overlaps(lba, u64::from(io.blocks))) {
            return true;
        }
        if io.op == Op::CryptoErase {
            // What one of them has read must not be written again under the new key.
            return self.under_way.borrow().iter().any(|(_, other)| other.step.holds_range());
        }
        if !Step::of(io.op).holds_range() {
            return false;
        }
        let (start, end) = (io.lba, io.lba.saturating_add(u64::from(io.blocks)));
        let overlaps = |other: &Io| {
            let blocks = u64::from(other.blocks);
            let touches =
                || touched(other).iter().any(|&lba| lba < end && start < lba.saturating_add(blocks));
            other.op == Op::CryptoErase || touches()
        };
        self.under_way.borrow().iter().any(|(_, other)| overlaps(&other.io))
    }

    /// True if there is nothing that a read or a write would have to wait or be refused for.
    fn lets_all_pass(&self) -> bool {
        self.held.borrow().is_empty() && self.bad.borrow().is_empty() && self.qos.borrow().is_none()
    }

    /// How the request ends without the device, if it does.
    fn settled(&self, io: &Io) -> Option<Status> {
        if Step::of(io.op) == Step::Plain && self.bad.borrow().is_empty() {
            return None;
        }
        let status = io.check(&self.device.info());
        if status != Status::Ok {
            return Some(status);
        }
        let reads = match io.op {
            Op::Copy { from } => Some(from),
            Op::Read | Op::Compare | Op::CompareWrite { .. } | Op::OrWrite | Op::Verify => Some(io.lba),
            Op::Write | Op::Flush | Op::Zero { .. } | Op::Discard | Op::MarkBad | Op::CryptoErase => None,
        };
        if reads.is_some_and(|lba| self.bad.borrow().overlaps(lba, u64::from(io.blocks))) {
            return Some(Status::ReadError);
        }
        if io.op == Op::MarkBad {
            let marked = self.bad.borrow_mut().insert(io.lba, u64::from(io.blocks), BAD_RANGES_MAX);
            return Some(if marked { Status::Ok } else { Status::NoSpace });
        }
        (io.blocks == 0 && Step::of(io.op) != Step::Plain).then_some(Status::Ok)
    }

    fn pass(&self, now: Time, io: &Io) -> Result<(), Time> {
        match &mut *self.qos.borrow_mut() {
            Some(qos) if io.op != Op::Flush => qos.pass(now, io.op, self.bytes(io)),
            Some(_) | None => Ok(()),
        }
    }

    fn bytes(&self, io: &Io) -> u64 {
        u64::from(io.blocks) * u64::from(self.device.info().block_size)
    }

    /// The request is no longer under way; others may have waited for that.
    fn forget(&self, key: Key) -> Option<UnderWay> {
        let at = self.under_way.borrow_mut().remove(key)?;
        if at.step.holds_range() {
            self.held.borrow_mut().remove(at.io.lba, u64::from(at.io.blocks));
        }
        if self.blocked.take() {
            self.retry_at.set(Some(Time::ZERO));
        }
        Some(at)
    }

    fn finish(&self, io: &Io, started: Time, now: Time, status: Status) {
        self.stats.borrow_mut().count(io.op, self.bytes(io), now - started, status);
        if let Some(histogram) = &mut *self.histogram.borrow_mut() {
            histogram.count(io.op, now - started);
        }
        let written = io.op.is_write() && io.op != Op::MarkBad && status == Status::Ok;
        if written && !self.bad.borrow().is_empty() {
            self.bad.borrow_mut().remove(io.lba, u64::from(io.blocks));
        }
    }

    fn retry_no_later_than(&self, at: Time) {
        self.retry_at.set(earliest(self.retry_at.get(), Some(at)));
    }
}

/// Where the ranges begin that the request reads or writes; the same twice if there is but one.
const fn touched(io: &Io) -> [u64; 2] {
    match io.op {
        Op::Copy { from } => [from, io.lba],
        Op::Read | Op::Write | Op::Zero { .. } | Op::Discard => [io.lba; 2],
        Op::Compare | Op::CompareWrite { .. } | Op::OrWrite | Op::Verify | Op::MarkBad => [io.lba; 2],
        // No blocks are there.
        Op::Flush | Op::CryptoErase => [u64::MAX; 2],
    }
}

/// Requests of one channel that may wait for a limit or for others.
const WAITING_MAX: usize = 4096;

/// How long to wait before asking for a buffer, or the device for a place, again.
const WAIT: Duration = Duration::from_micros(200);
