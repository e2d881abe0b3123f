//! Commands whose memory is in several pieces: a last segment of keyed descriptors in the capsule (Base 4.1.2.1; RDMA Transport
//! 3.1.2).
//!
//! To the target such a command has one keyed descriptor of all its bytes; what that is made of is kept here.
//!
//! Invariants: a list has 1 to [`List::PIECES_MAX`] pieces, and no more bytes than one descriptor can say; a slot's buffer is
//! not given back while a piece of it is under way.

use super::Context;
use super::move_data::WRITTEN;
use super::queue::{Queue, Stage};
use stdx::mem::{Memory, Span};
use verbs::{Key, Remote};
use wire::nvme::{Sgl, SglDescriptor, Status, SubmissionQueueEntry};

/// The pieces of one command's memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pieces: [(Remote, u32); Self::PIECES_MAX],
    count: usize,
    /// Which key the host asks to be closed with the response.
    pub(super) invalidate: Option<Key>,
    /// Reads of pieces that the device has, and whether one of them failed.
    under_way: u32,
    has_failed: bool,
}

impl List {
    /// Pieces of one command.
    pub(super) const PIECES_MAX: usize = DESCRIPTORS_MAX as usize;

    /// The list in a command's capsule, and the command with one descriptor instead; `None` if it has no list of its own.
    ///
    /// # Errors
    /// The list is not in the capsule or no whole number of descriptors, has ones that are not keyed, or more than there may be.
    pub(super) fn take(
        mem: &Memory,
        command: &SubmissionQueueEntry,
        in_capsule: Span,
    ) -> Result<Option<(Self, SubmissionQueueEntry)>, Status> {
        let Ok(Sgl::Segment { address, length, in_capsule: true, last: true }) = command.data.decode() else {
            return Ok(None);
        };
        let count = length as usize / size_of::<SglDescriptor>();
        if count == 0 || count * size_of::<SglDescriptor>() != length as usize {
            return Err(Status::INVALID_SGL_SEGMENT_DESCRIPTOR);
        }
        if count > Self::PIECES_MAX {
            return Err(Status::INVALID_SGL_DESCRIPTOR_COUNT);
        }
        let end = address.checked_add(length.into()).filter(|end| *end <= in_capsule.len() as u64);
        end.ok_or(Status::SGL_OFFSET_INVALID)?;
        let mut list = Self {
            pieces: [(Remote { address: 0, key: Key(0) }, 0); Self::PIECES_MAX],
            count,
            invalidate: None,
            under_way: 0,
            has_failed: false,
        };
        let mut bytes = [0; size_of::<SglDescriptor>()];
        let mut total: u32 = 0;
        for (at, piece) in list.pieces.iter_mut().take(count).enumerate() {
            mem.read(in_capsule.slice(address as usize + at * bytes.len(), bytes.len()), &mut bytes);
            let descriptor: SglDescriptor = zerocopy::transmute!(bytes);
            let Ok(Sgl::Keyed { address, length, key, invalidate }) = descriptor.decode() else {
                return Err(Status::SGL_DESCRIPTOR_TYPE_INVALID);
            };
            *piece = (Remote { address, key: Key(key) }, length);
            // No sum of so few is too large for it.
            total += length;
            if invalidate {
                list.invalidate = list.invalidate.or(Some(Key(key)));
            }
        }
        if total > LENGTH_MAX {
            return Err(Status::DATA_SGL_LENGTH_INVALID);
        }
        let all = Sgl::Keyed { address: 0, length: total, key: 0, invalidate: false };
        Ok(Some((list, command.with_data(all))))
    }

    /// Pieces of the first `len` bytes, each with its place in a buffer.
    fn places(&self, buffer: Span, len: usize) -> impl Iterator<Item = (Remote, Span)> + use<> {
        let mut at = 0;
        self.pieces.into_iter().take(self.count).filter_map(move |(remote, piece)| {
            let start = at;
            at = (at + piece as usize).min(len);
            (at > start).then(|| (remote, buffer.slice(start, at - start)))
        })
    }
}

impl Queue {
    /// The list of a slot, if it has one.
    pub(super) fn list(&mut self, index: u16) -> Option<&mut List> {
        self.lists.get_mut(usize::from(index)).and_then(Option::as_mut)
    }

    /// A slot has this list.
    pub(super) fn keep_list(&mut self, index: u16, list: List) {
        let place = usize::from(index);
        if self.lists.len() <= place {
            self.lists.resize(place + 1, None);
        }
        self.lists[place] = Some(list);
    }

    /// Reads all pieces of the host's memory. False if there is no room for so many.
    pub(super) fn fetch_list(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let room = self.room(cx);
        let (connection, lists) = (self.connection, &mut self.lists);
        let Some(list) = lists.get_mut(usize::from(index)).and_then(Option::as_mut) else { return true };
        let Some(slot) = self.slots.get_mut(usize::from(index)) else { return true };
        if (room as usize) < list.count {
            return false;
        }
        for (from, place) in list.places(slot.buffer, slot.wanted as usize) {
            let posted = cx.endpoint.read(cx.device, connection, index.into(), from, &[place]);
            debug_assert!(posted.is_ok(), "{posted:?}");
            list.under_way += u32::from(posted.is_ok());
        }
        slot.stage = Stage::Fetching;
        true
    }

    /// Writes what a host gets to all pieces of its memory. There is room: at most [`List::PIECES_MAX`] are posted.
    pub(super) fn write_list(&mut self, cx: &mut Context<'_>, index: u16) {
        let (connection, place) = (self.connection, usize::from(index));
        let (Some(Some(list)), Some(slot)) = (self.lists.get(place), self.slots.get(place)) else { return };
        for (to, data) in list.places(slot.buffer, slot.answer.len as usize) {
            let posted = cx.endpoint.write(cx.device, connection, WRITTEN, to, &[data]);
            debug_assert!(posted.is_ok(), "{posted:?}");
        }
    }

    /// A piece was read, or not. `None` while others are under way; then whether all were.
    pub(super) fn note_piece(&mut self, index: u16, is_success: bool) -> Option<bool> {
        let list = self.list(index)?;
        list.under_way -= 1;
        list.has_failed |= !is_success;
        (list.under_way == 0).then_some(!list.has_failed)
    }
}

/// Descriptors of one command, as Identify tells (MSDBD).
pub(in super::super) const DESCRIPTORS_MAX: u8 = 16;
/// What one keyed descriptor can say.
const LENGTH_MAX: u32 = (1 << 24) - 1;
