//! A crypto erase under way: the new key between its drawing and the word of who stores it, and who waits for that.

use super::key::Key;
use crate::{Done, Status};
use stdx::env::Env;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};

/// See the module above for the diagram.
#[derive(Debug, Default)]
pub(super) struct Erase {
    stage: Stage,
    /// A new key may be stored, or may not.
    is_lost: bool,
    /// Requests that wait, by their channels.
    waiting: Vec<(u64, u64)>,
    /// Those that ended and were not told yet.
    ended: Vec<(u64, Done)>,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Settled,
    Wanted(Key),
    Offered(Key),
}

impl Erase {
    /// A request comes. It ends together with one that is under way already: the key changes after both.
    pub(super) fn begin(&mut self, env: &mut dyn Env, channel: u64, tag: u64) {
        self.waiting.push((channel, tag));
        if let Stage::Settled = self.stage {
            self.stage = Stage::Wanted(Key::draw(env));
        }
    }

    /// The new key, for who stores it.
    pub(super) fn offer(&mut self) -> Option<Key> {
        match core::mem::take(&mut self.stage) {
            Stage::Wanted(key) => {
                self.stage = Stage::Offered(key.clone());
                if planted(Bug::EraseToldTooSoon) {
                    self.end(Status::Ok);
                }
                Some(key)
            }
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// True if there is a new key that was not offered yet.
    pub(super) const fn is_wanted(&self) -> bool {
        matches!(self.stage, Stage::Wanted(_))
    }

    /// It is stored, or nobody knows. The key that now is the device's, if another than before.
    pub(super) fn settle(&mut self, stored: bool) -> Option<Key> {
        let Stage::Offered(key) = core::mem::take(&mut self.stage) else { return None };
        self.end(if stored { Status::Ok } else { Status::WriteError });
        self.is_lost = !stored;
        stored.then_some(key)
    }

    /// All that wait end like this.
    pub(super) fn end(&mut self, status: Status) {
        let done = |(channel, tag)| (channel, Done { tag, status, data: Span::EMPTY });
        self.ended.extend(self.waiting.drain(..).map(done));
    }

    /// Appends what ended of a channel's.
    pub(super) fn poll(&mut self, channel: u64, done: &mut Vec<Done>) {
        if !self.ended.is_empty() {
            let of = self.ended.extract_if(.., |(whose, _)| *whose == channel);
            done.extend(of.map(|(_, one)| one));
        }
    }

    /// The channel is gone, and nobody is to be told.
    pub(super) fn forget(&mut self, channel: u64) {
        self.waiting.retain(|(whose, _)| *whose != channel);
        self.ended.retain(|(whose, _)| *whose != channel);
    }

    /// How many requests of a channel are here.
    pub(super) fn count(&self, channel: u64) -> usize {
        let waiting = self.waiting.iter().filter(|(whose, _)| *whose == channel).count();
        waiting + self.ended.iter().filter(|(whose, _)| *whose == channel).count()
    }

    /// Nobody knows which key is kept: nothing can be read or written.
    pub(super) const fn is_lost(&self) -> bool {
        self.is_lost
    }
}
