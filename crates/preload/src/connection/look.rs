//! What the registry of epoll sets asks of a connection, whose memory stays there while the registry's lock is held.

use super::Connection;
use super::change::Receive;
use super::ring::GONE;

/// What there is to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Bytes, or a reset that the program has to hear of.
    pub is_there: bool,
    /// How far the peer has written.
    pub written: u64,
    /// The peer has said from where on it sends by the carrier, or has ended that: [`Connection::has_carried`] has to be called.
    pub is_change_due: bool,
    /// There are bytes, and the peer has said that no more come.
    pub is_ending: bool,
}

impl Connection {
    /// What there is to read from the memory.
    pub fn look_for_bytes(self) -> Look {
        let is_gone = self.is_peer_gone();
        match self.receive() {
            Receive::Either => {
                let has_begun = self.with_reader_guarded(|reader, _| reader.begins().is_some());
                Look { is_change_due: is_gone || has_begun == Some(true), ..Look::default() }
            }
            Receive::Carrier => {
                let look = self.with_reader_guarded(|reader, _| {
                    let (unread, written) = (reader.unread(), reader.written());
                    (unread > 0, written, reader.is_ended())
                });
                let Some((has_bytes, written, is_ended)) = look else { return Look::default() };
                let is_reset = is_gone && !is_ended && self.is_unread_by_peer();
                let is_change_due = !has_bytes && !is_reset && (is_ended || is_gone);
                Look {
                    is_there: has_bytes || is_reset,
                    written,
                    is_change_due,
                    is_ending: has_bytes && (is_ended || is_gone),
                }
            }
            Receive::Tcp | Receive::Draining | Receive::After => Look::default(),
        }
    }

    /// Is there room in the memory, or nobody to write to?
    pub fn look_for_room(self) -> bool {
        self.is_peer_gone()
            || self.with_writer_guarded(|writer, _| writer.has_room() || writer.is_closed()).unwrap_or(true)
    }

    /// The peer is to ring when there is something to read, or room to write; or need not.
    pub fn ask_to_ring(self, for_bytes: bool, for_room: bool, is_wanted: bool) {
        if for_bytes {
            self.with_reader_guarded(
                |reader, _| if is_wanted { reader.sleep() } else { reader.stay_awake() },
            );
        }
        if for_room {
            self.with_writer_guarded(
                |writer, _| if is_wanted { writer.sleep() } else { writer.stay_awake() },
            );
        }
    }

    /// Has the bell said that the peer is gone?
    pub fn is_peer_gone(self) -> bool {
        self.has_flag(GONE)
    }

    /// Is there anything that the peer has not read?
    pub(super) fn is_unread_by_peer(self) -> bool {
        self.with_writer_guarded(|writer, _| writer.unread() > 0).unwrap_or(false)
    }
}
