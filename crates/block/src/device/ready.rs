//! The completions of a channel whose device does everything in `submit`.

use super::UNDER_WAY_MAX;
use crate::{Done, Status};
use stdx::mem::Span;

/// Requests that are done and not yet polled.
#[derive(Debug, Default)]
pub(super) struct Ready(Vec<Done>);

impl Ready {
    /// True if the next request is to be handed back.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= UNDER_WAY_MAX
    }

    pub(super) fn push(&mut self, done: Done) {
        self.0.push(done);
    }

    pub(super) fn poll(&mut self, done: &mut Vec<Done>) {
        done.append(&mut self.0);
    }

    /// As [`Ready::poll`] once the device's memory is unmapped: what it lent is void.
    pub(super) fn poll_gone(&mut self, done: &mut Vec<Done>) {
        let gone = |ready: Done| Done { status: Status::Gone, data: Span::EMPTY, ..ready };
        done.extend(self.0.drain(..).map(gone));
    }
}
