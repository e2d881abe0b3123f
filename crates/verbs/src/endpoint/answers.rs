//! Answers that wait for each other, and go behind the data of all of them.
//!
//! What is sent in one run are packets of one length. Whoever writes the data of a request and then sends its answer makes a run of
//! each; whoever writes the data of many and then sends their answers makes two of all. The order of messages stays what it was, and
//! an answer still arrives after all data that was written before it.

use super::Endpoint;
use crate::{Data, Device, Key as MemoryKey, PostError, SendRequest, Status, Work};
use stdx::slab::Key;

/// A message that answers a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The owner's name for it.
    pub token: u32,
    /// A region of the peer's that it closes.
    pub invalidate: Option<MemoryKey>,
    /// Its receiver is woken even if it waits for solicited messages alone.
    pub solicited: bool,
}

/// The answers of one connection that wait, and their bytes one behind the other.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: Vec<(Answer, usize)>,
    bytes: Vec<u8>,
}

impl Answers {
    pub(super) const fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Endpoint {
    /// Sends an answer behind the data of those that follow it: with the next [`Endpoint::send_answers`] at the latest, which the
    /// owner calls when it has no more to say for now. Messages of other kinds come behind the answers before them.
    ///
    /// # Errors
    /// As [`Endpoint::send`]; bytes that do not go inline are [`PostError::TooLong`].
    pub fn answer(
        &mut self,
        device: &mut dyn Device,
        connection: Key,
        answer: Answer,
        bytes: &[u8],
    ) -> Result<(), PostError> {
        if bytes.len() > self.options.inline_bytes as usize {
            return Err(PostError::TooLong);
        }
        let found = self.open_connection(connection)?;
        found.sends += 1;
        let answers = &mut found.answers;
        answers.waiting.push((answer, bytes.len()));
        answers.bytes.extend_from_slice(bytes);
        match answers.len() {
            1 => self.answering.push(connection),
            ANSWERS_MAX => self.send_answers_of(device, connection),
            _ => {}
        }
        Ok(())
    }

    /// Sends the answers that wait.
    pub fn send_answers(&mut self, device: &mut dyn Device) {
        while let Some(connection) = self.answering.pop() {
            self.post_answers(device, connection);
        }
    }

    /// Sends the answers of one connection.
    pub(super) fn send_answers_of(&mut self, device: &mut dyn Device, connection: Key) {
        self.answering.retain(|waiting| *waiting != connection);
        self.post_answers(device, connection);
    }

    /// Posts the answers of one connection. What the device does not take any more is told as flushed.
    fn post_answers(&mut self, device: &mut dyn Device, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let qp = connection.qp;
        let mut answers = core::mem::take(&mut connection.answers);
        let mut start = 0;
        for (answer, len) in answers.waiting.drain(..) {
            let work = answer.invalidate.map_or(Work::Send, Work::SendInvalidate);
            let bytes = Data::Inline(&answers.bytes[start..start + len]);
            start += len;
            let id = (key.index() as u64) << 32 | u64::from(answer.token);
            let request = SendRequest { solicited: answer.solicited, ..SendRequest::new(id, work, bytes) };
            if device.post_send(qp, request).is_err() {
                self.flush_answer(key, answer.token);
            }
        }
        answers.bytes.clear();
        if let Some(connection) = self.connections.get_mut(key) {
            connection.answers = answers;
        }
    }

    fn flush_answer(&mut self, key: Key, token: u32) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.sends -= 1;
        }
        let (kind, status) = (crate::CompletionKind::Send, Status::Flushed);
        self.happenings.push_back(super::Happening::Done { connection: key, token, kind, status });
    }
}

/// Answers of one connection that wait for each other, at most: data of 4 KiB for so many fills one run.
const ANSWERS_MAX: usize = 16;
