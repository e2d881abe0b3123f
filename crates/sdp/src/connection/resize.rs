//! How many receives there are, and how long: ours and the peer's (A4.3.3).
//!
//! Who fills a receive of the peer's asks for longer ones, and writes longer messages once the peer has said that it has them. What was written
//! before is for short messages, and goes in such.

use super::{Connection, Control, Event, Message, Options, Violation};
use wire::sdp::BASE_LEN;

impl Connection {
    /// Bytes of the stream that one message holds.
    pub const fn message_max(&self) -> u32 {
        self.message_room()
    }

    /// Asks for other receives of the peer's: so many bytes, with the header. [`Event::Resized`] says what it has.
    pub fn resize(&mut self, len: u32) {
        if !self.control.iter().any(|control| matches!(control, Control::Resize(_))) {
            self.control.push_back(Control::Resize(len));
        }
    }

    /// There are to be so many receives, but at least [`Options::RECEIVES_MIN`]. Says how many the owner is to post for it now; those that are
    /// too many go by [`Connection::release`].
    pub fn set_receives(&mut self, count: u16) -> u16 {
        self.options.receives = count.max(Options::RECEIVES_MIN);
        self.credits.set_receives(self.options.receives)
    }

    /// Bytes of the longest message that the peer may send, with its header.
    pub const fn receive_len(&self) -> u32 {
        self.receive_len
    }

    /// Asks for longer receives, once, when a message fills one of the peer's.
    pub(super) fn ask_for_longer(&mut self, len: u32) {
        let is_full = len == self.message_room();
        if is_full && self.terms.message_len < self.options.desired_remote_len && !self.has_filled {
            self.has_filled = true;
            self.resize(self.options.desired_remote_len);
        }
    }

    /// The peer would like receives of this length (A4.3.3). Memory that it was to write to holds a message as long as they were when it was
    /// told of it.
    pub(super) fn handle_resize(&mut self, len: u32) {
        if self.incoming.sinks() == 0 {
            self.drop_unadvertised();
            let longest = self.options.receive_len_max.max(self.receive_len);
            self.receive_len = len.clamp(self.receive_len, longest);
        }
        self.control.push_back(Control::ResizeAck(self.receive_len));
    }

    pub(super) fn handle_resized(&mut self, len: u32) -> Result<(), Violation> {
        // Nothing else may make our messages longer than the peer's receives were said to be.
        self.resizes = self.resizes.checked_sub(1).ok_or(Violation::Unasked)?;
        if len <= Message::HEAD_MAX as u32 {
            return Err(Violation::ReceiveTooShort(len));
        }
        // What the owner has for one message holds no more.
        let len = len.min(self.options.desired_remote_len.max(self.terms.message_len));
        self.set_message_len(len);
        self.events.push_back(Event::Resized { len });
        Ok(())
    }

    /// The peer's receives have this length from now on.
    pub(super) fn set_message_len(&mut self, len: u32) {
        let before = self.room_of_next();
        self.terms.message_len = len;
        self.shorter = Some((self.outgoing.end(), before.min(self.message_room())));
    }

    /// Bytes of the stream that the next message holds at most.
    pub(super) fn room_of_next(&self) -> u32 {
        match self.shorter {
            Some((until, len)) if self.outgoing.next_at() < until => len.min(self.message_room()),
            _ => self.message_room(),
        }
    }

    /// Bytes of the stream that a message to the peer holds.
    pub(super) const fn message_room(&self) -> u32 {
        self.terms.message_len - BASE_LEN as u32
    }
}
