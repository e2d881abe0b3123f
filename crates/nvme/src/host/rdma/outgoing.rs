//! What the host sends: the request for a queue, and command capsules (RDMA Transport 3.1, 3.2).

use super::QueueEnd;
use super::queue::{Context, QueuePair, State};
use crate::host::queue::Data;
use core::net::SocketAddr;
use stdx::mem::{Memory, Span};
use stdx::planted::{Bug, planted};
use verbs::endpoint::OpenError;
use verbs::{Access, CreateError, Data as Bytes, Key as MemoryKey, Parameters, PortSpace, PostError, Work};
use wire::nvme::rdma::QueueRequest;
use wire::nvme::{Sgl, SubmissionQueueEntry};
use zerocopy::IntoBytes;

/// How a command's data is reached.
enum Way {
    /// There is none.
    Nothing,
    /// It goes along in the capsule.
    Along(Span),
    /// The controller reads or writes it.
    Open(Span, Access),
}

impl QueuePair {
    /// Asks for the connection.
    pub(super) fn ask(&mut self, cx: &mut Context<'_>, to: SocketAddr) {
        if let Err(why) = self.try_ask(cx, to) {
            self.end(why);
        }
    }

    fn try_ask(&mut self, cx: &mut Context<'_>, to: SocketAddr) -> Result<(), QueueEnd> {
        for _ in 0..self.outstanding_max {
            let key = cx.device.alloc_region(cx.endpoint.pd(), 1)?;
            self.keys.push(key);
        }
        let request = QueueRequest {
            queue_id: self.parameters.id,
            host_receive_size: self.parameters.entries,
            host_send_size_zero_based: self.parameters.entries - 1,
            controller_id: self.parameters.controller_id,
        };
        let read_depth = cx.device.limits().read_depth.min(READ_DEPTH);
        let parameters =
            Parameters { responder_resources: read_depth, initiator_depth: 0, ..Parameters::default() };
        let private_data = request.encode();
        let asked = cx.endpoint.connect(cx.env, cx.device, PortSpace::Tcp, to, parameters, &private_data)?;
        self.connection = Some(asked);
        self.state = State::Connecting;
        Ok(())
    }

    /// Posts the commands that wait, the memory of each opened right before its capsule is sent. What finds no room (the
    /// connection is ending) stays.
    pub(super) fn post_waiting(&mut self, cx: &mut Context<'_>) {
        let waiting = self.waiting.len();
        let along_max = |connection| cx.endpoint.along_max(&*cx.device, connection, waiting);
        self.along_max = self.connection.and_then(along_max);
        while let Some(&slot) = self.waiting.front() {
            if !self.has_room(cx) {
                return;
            }
            if self.open(cx, slot).and_then(|()| self.post(cx, slot)).is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// True if the device takes a command, and has room left for closing the memory of all that are outstanding.
    fn has_room(&self, cx: &Context<'_>) -> bool {
        let room = self.connection.map_or(0, |connection| cx.endpoint.room(connection));
        room as usize >= self.commands.len() + POSTS_EACH
    }

    /// Opens the memory of the command at a place, if its data does not go along.
    fn open(&mut self, cx: &mut Context<'_>, slot: u16) -> Result<(), PostError> {
        let connection = self.connection.ok_or(PostError::NotFound)?;
        let Way::Open(data, access) = self.way(slot) else { return Ok(()) };
        let Some(command) = self.commands.get_mut(slot).filter(|command| command.key.is_none()) else {
            return Ok(());
        };
        let place = self.keys.get_mut(usize::from(slot)).ok_or(PostError::NotFound)?;
        let key = next_life(*place);
        let register = Work::Register { key, pieces: &[data], address: ADDRESS, access };
        cx.endpoint.post(cx.device, connection, slot.into(), register, Bytes::NONE, false)?;
        (*place, command.key) = (key, Some(key));
        Ok(())
    }

    fn post(&mut self, cx: &mut Context<'_>, slot: u16) -> Result<(), PostError> {
        let connection = self.connection.ok_or(PostError::NotFound)?;
        let way = self.way(slot);
        let id = self.commands.id(slot);
        let capsule = self.capsule(cx, slot);
        let Some(command) = self.commands.get_mut(slot) else { return Ok(()) };
        let mut entry = command.entry;
        entry.command_id = id.into();
        match way {
            Way::Nothing => {
                entry = entry.with_data(NO_DATA);
                cx.endpoint.send(cx.device, connection, COPIED, Bytes::Inline(entry.as_bytes()))?;
            }
            Way::Along(data) => {
                entry = entry.with_data(Sgl::InCapsule { offset: 0, length: data.len });
                cx.env.mem().write(capsule, entry.as_bytes());
                let padding = cx.padding.first(self.parameters.in_capsule.offset as usize);
                let pieces = [capsule, padding, data];
                let adjoining = [capsule, data];
                let bytes = if padding.is_empty() { &adjoining[..] } else { &pieces[..] };
                cx.endpoint.send(cx.device, connection, slot.into(), Bytes::Own(bytes))?;
                command.is_lent = true;
            }
            Way::Open(data, _) => {
                let key = command.key.ok_or(PostError::NotFound)?;
                let told = key.with_life(key.life().wrapping_sub(u8::from(planted(Bug::DeadKeyTold))));
                let sgl = Sgl::Keyed { address: ADDRESS, length: data.len, key: told.0, invalidate: true };
                entry = entry.with_data(sgl);
                cx.endpoint.send(cx.device, connection, COPIED, Bytes::Inline(entry.as_bytes()))?;
            }
        }
        command.posted = true;
        Ok(())
    }

    /// True if data that might go along is opened instead.
    fn is_opened(&mut self, slot: u16, data: Span) -> bool {
        let is_open = self.commands.get_mut(slot).is_some_and(|command| command.key.is_some());
        is_open || self.along_max.is_some_and(|max| data.len() + SubmissionQueueEntry::LEN > max)
    }

    /// How the data of the command at a place is reached.
    fn way(&mut self, slot: u16) -> Way {
        let in_capsule = self.parameters.in_capsule;
        match self.commands.get_mut(slot).map(|command| command.data) {
            Some(Data::ToController(data)) if data.is_empty() => Way::Nothing,
            Some(Data::FromController(data)) if data.is_empty() => Way::Nothing,
            Some(Data::ToController(data)) if data.len <= in_capsule.max && !self.is_opened(slot, data) => {
                Way::Along(data)
            }
            Some(Data::ToController(data)) => Way::Open(data, Access::REMOTE_READ),
            Some(Data::FromController(data)) => {
                Way::Open(data, Access::LOCAL_WRITE.with(Access::REMOTE_WRITE))
            }
            Some(Data::None) | None => Way::Nothing,
        }
    }

    /// The memory for the capsule of the command at a place.
    fn capsule(&self, cx: &Context<'_>, slot: u16) -> Span {
        let place = self.parameters.first_capsule + usize::from(slot);
        cx.capsules.slice(place * SubmissionQueueEntry::LEN, SubmissionQueueEntry::LEN)
    }
}

impl From<OpenError> for QueueEnd {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::QueuePair(why) => Self::Device(why),
            OpenError::TooMany => Self::Device(CreateError::Limit),
            OpenError::Connect(why) => Self::Connect(why),
        }
    }
}

/// The key of the same memory's next opening: an old one opens nothing.
const fn next_life(key: MemoryKey) -> MemoryKey {
    key.with_life(key.life().wrapping_add(1))
}

/// The data pointer of a command without data (RDMA Transport 3.1.1: a keyed descriptor of no length).
const NO_DATA: Sgl = Sgl::Keyed { address: 0, length: 0, key: 0, invalidate: false };
/// The token of capsules that the device has a copy of: they are no matter of their command's place.
const COPIED: u32 = u32::MAX;
/// To post a command takes so much: its memory is opened, its capsule is sent.
const POSTS_EACH: usize = 2;
/// Where the memory of each command begins, as the controller sees it.
const ADDRESS: u64 = 0;
/// The controller's reads that we answer at once.
const READ_DEPTH: u8 = 16;

const _: () = assert!(Memory::BUFFER_MAX < 1 << 24, "a keyed descriptor has 24 bits of length");
