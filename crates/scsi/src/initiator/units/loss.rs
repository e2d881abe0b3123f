//! The target cannot be reached: which requests wait, which end, and for how long there is patience.

use super::requests::Request;
use super::scan::Scan;
use super::{Reach, Units};
use block::Status;
use block::replay::Verdict;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use stdx::time::{Time, earliest};

impl Units {
    /// There is no connection any more, or it did not come to be: a look under way is none. Commands that were submitted are
    /// over, and no ending of theirs is told.
    pub fn lose(&mut self, now: Time) {
        self.scan = Scan::idle();
        self.asking = false;
        self.lost_at.get_or_insert(now);
        if self.is_live() {
            self.reach = Reach::No;
            self.hold_requests();
        }
    }

    /// The way up begins anew for a reason that is no loss: a look under way is none.
    pub fn forget_look(&mut self) {
        self.scan = Scan::idle();
        self.asking = false;
    }

    /// It is over: all requests complete as gone.
    pub fn give_up(&mut self) {
        self.forget_look();
        self.lost_at = None;
        self.reach = Reach::Never;
        self.finish_all(Status::Gone);
    }

    /// Requests wait for the next connection, but for those that must not be sent again.
    fn hold_requests(&mut self) {
        let mut held: Vec<(u64, Key)> = Vec::new();
        let mut unknown: Vec<Key> = Vec::new();
        for (key, request) in self.requests.iter_mut() {
            let verdict = self.acknowledged.judge(&request.io.op, request.range(), request.answered_before);
            match verdict {
                Verdict::Again if planted(Bug::LostTakenForDone) && request.sent => unknown.push(key),
                Verdict::Unknown if request.sent => unknown.push(key),
                Verdict::Unknown | Verdict::Again => {
                    request.rewind();
                    held.push((request.serial, key));
                }
            }
        }
        held.sort_unstable();
        self.waiting.clear();
        if !planted(Bug::ReplayForgotten) {
            self.waiting.extend(held.into_iter().map(|(_, key)| key));
        }
        self.parked.clear();
        self.parked_until = None;
        let outcome = if planted(Bug::LostTakenForDone) { Status::Ok } else { Status::Aborted };
        unknown.into_iter().for_each(|key| self.finish(key, outcome));
    }

    /// When waiting for a connection turns into failing, or a parked request is tried again.
    pub fn deadline(&self) -> Option<Time> {
        earliest(self.loss_deadline(), self.parked_until)
    }

    fn loss_deadline(&self) -> Option<Time> {
        let lost_at = self.lost_at?;
        let loss = self.settings.loss_timeout.map(|timeout| lost_at + timeout);
        let fast = self.settings.fast_io_fail_timeout.map(|timeout| lost_at + timeout);
        earliest(loss, fast.filter(|_| !self.requests.is_empty()))
    }

    /// True if requests fail at once instead of waiting for a connection.
    pub(super) fn fails_fast(&self, now: Time) -> bool {
        let lost_at = self.lost_at.filter(|_| !self.is_live());
        let timeout = self.settings.fast_io_fail_timeout;
        lost_at.zip(timeout).is_some_and(|(lost_at, timeout)| now >= lost_at + timeout)
    }

    /// The deadline may have come: gives up the requests that are to be given up by now, and tries parked ones again. False if
    /// patience with the target is over.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Time) -> bool {
        if self.parked_until.is_some_and(|until| now >= until) {
            self.unpark();
        }
        let Some(lost_at) = self.lost_at else { return true };
        if self.settings.loss_timeout.is_some_and(|timeout| now >= lost_at + timeout) {
            return false;
        }
        if self.fails_fast(now) {
            self.finish_all(Status::TimedOut);
        }
        true
    }

    fn finish_all(&mut self, status: Status) {
        let keys: Vec<Key> = self.requests.iter().map(|(key, _)| key).collect();
        self.waiting.clear();
        self.parked.clear();
        self.parked_until = None;
        keys.into_iter().for_each(|key| self.finish(key, status));
    }

    /// A disk is gone: its requests are, too. Those whose commands are under way end with the target's answer.
    pub(super) fn drop_requests_of(&mut self, lun: u16) {
        let is_idle = |request: &Request| request.parts == 0 && request.lun == lun;
        let keys: Vec<Key> =
            self.requests.iter().filter(|(_, request)| is_idle(request)).map(|(key, _)| key).collect();
        self.waiting.retain(|key| !keys.contains(key));
        self.parked.retain(|key| !keys.contains(key));
        keys.into_iter().for_each(|key| self.finish(key, Status::Gone));
    }

    /// A request whose command is late is to be aborted: true if it is one, and was not before.
    pub fn note_abort(&mut self, token: u64) -> bool {
        let request = self.requests.get_mut(Key::from_u64(token));
        request.is_some_and(|request| !core::mem::replace(&mut request.aborted, true))
    }
}
