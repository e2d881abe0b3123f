//! What the initiator sends: commands, ABORT TASK, LOGICAL UNIT RESET, answers to what the target asks, and its last word.

use super::login::IMMEDIATE_OFFSET;
use super::{Channel, Context, State, Task, What, tasks_max};
use crate::initiator::Data;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use verbs::{Access, Data as Bytes, Key as MemoryKey, PostError, Work};
use wire::BufferTooSmall;
use wire::srp::{
    self, COMMAND_LEN, DESCRIPTOR_LEN, Descriptor, DescriptorTable, INDIRECT_LEN, InitiatorLogout,
    MemoryDescriptor, TaskFunction, TaskRequest,
};

/// How a command's data is reached.
#[derive(Clone, Copy)]
enum Way {
    /// There is none.
    Nothing,
    /// It goes along.
    Along(Span),
    /// The target reads or writes it.
    Open(Span, Access),
}

impl Channel {
    /// Sends what waits, as far as there are credits and room. What finds no room (the connection is ending) stays.
    pub fn send_waiting(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = self.connection.filter(|_| self.state == State::Open) else { return };
        while let Some(reply) = self.replies.front() {
            let unit = reply.encode();
            if cx.endpoint.send(cx.device, connection, REPLY_TOKEN, Bytes::Inline(&unit)).is_err() {
                return;
            }
            self.replies.pop_front();
            self.replies_under_way += 1;
        }
        self.along_max = cx.endpoint.along_max(&*cx.device, connection, self.waiting.len());
        while self.can_send() {
            let Some(&key) = self.waiting.front() else { return };
            // Closing the memory of each request that is outstanding needs room, too.
            let has_room = cx.endpoint.room(connection) as usize >= self.tasks.len() + POSTS_EACH;
            if !has_room || self.send(cx, connection, key).is_err() {
                self.is_stalled = true;
                return;
            }
            self.waiting.pop_front();
            self.credits -= 1;
        }
    }

    /// The last word; once.
    pub fn log_out(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = self.connection.filter(|_| self.state == State::Open) else { return };
        if !core::mem::replace(&mut self.is_logged_out, true) && self.credits > 0 {
            let unit = InitiatorLogout { tag: LOGOUT_TAG }.encode();
            // Without room the connection is ending anyway.
            let _ = cx.endpoint.send(cx.device, connection, LOGOUT_TOKEN, Bytes::Inline(&unit));
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, connection: Key, key: Key) -> Result<(), PostError> {
        let Some(task) = self.tasks.get(key) else { return Ok(()) };
        let token = key.index() as u32;
        match task.what {
            What::Abort(of) => {
                let of_task = self.tasks.get(of).filter(|task| task.ending.is_none());
                let Some(&Task { what: What::Command(command), .. }) = of_task else {
                    return self.send_nothing(key);
                };
                let (tag, task_tag) = (key.as_u64(), of.as_u64());
                let function = TaskFunction::AbortTask.code();
                let unit = TaskRequest { tag, lun: command.lun, function, task_tag }.encode();
                cx.endpoint.send(cx.device, connection, token, Bytes::Inline(&unit))?;
            }
            What::Reset(lun) => {
                if !self.tasks.iter().any(|(_, task)| task.is_under_way_at(lun)) {
                    return self.send_nothing(key);
                }
                let function = TaskFunction::LogicalUnitReset.code();
                let unit = TaskRequest { tag: key.as_u64(), lun, function, task_tag: 0 }.encode();
                cx.endpoint.send(cx.device, connection, token, Bytes::Inline(&unit))?;
            }
            What::Command(_) => {
                let way = self.way(task);
                self.open(cx, connection, key, way)?;
                self.send_command(cx, connection, key, way)?;
            }
        }
        self.sent += 1;
        if let Some(task) = self.tasks.get_mut(key) {
            (task.is_posted, task.number) = (true, self.sent);
        }
        Ok(())
    }

    /// An abortion whose command has ended meanwhile, or a reset with nothing to end, is none: its credit is not spent.
    fn send_nothing(&mut self, key: Key) -> Result<(), PostError> {
        self.tasks.remove(key);
        self.credits += 1;
        Ok(())
    }

    /// Opens the memory of a command, if its data does not go along.
    fn open(&mut self, cx: &mut Context<'_>, connection: Key, key: Key, way: Way) -> Result<(), PostError> {
        let Way::Open(data, access) = way else { return Ok(()) };
        let Some(task) = self.tasks.get_mut(key).filter(|task| task.key.is_none()) else { return Ok(()) };
        let place = self.keys.get_mut(key.index()).ok_or(PostError::NotFound)?;
        let life = place.with_life(place.life().wrapping_add(1));
        let register = Work::Register { key: life, pieces: &[data], address: ADDRESS, access };
        cx.endpoint.post(cx.device, connection, key.index() as u32, register, Bytes::NONE, false)?;
        (*place, task.key) = (life, Some(life));
        Ok(())
    }

    fn send_command(
        &mut self,
        cx: &mut Context<'_>,
        connection: Key,
        key: Key,
        way: Way,
    ) -> Result<(), PostError> {
        let Some(task) = self.tasks.get(key) else { return Ok(()) };
        cx.scratch.clear();
        cx.scratch.resize(UNIT_LEN, 0);
        // Units are made within their limit.
        let len = self.put_command(key, task, way, cx.scratch).map_err(|_| PostError::TooLong)?;
        let token = key.index() as u32;
        let place = usize::from(self.settings.place) * tasks_max(self.settings.commands_max) + key.index();
        let slot = cx.outbox.slice(place * UNIT_LEN, UNIT_LEN);
        match way {
            Way::Along(data) => {
                let unit = slot.first(IMMEDIATE_OFFSET);
                cx.env.mem().write(unit, &cx.scratch[..IMMEDIATE_OFFSET]);
                cx.endpoint.send(cx.device, connection, token, Bytes::Own(&[unit, data]))
            }
            Way::Nothing | Way::Open(..) if len <= INLINE_LEN => {
                let unit = Bytes::Inline(&cx.scratch[..len]);
                cx.endpoint.send(cx.device, connection, COPIED_TOKEN, unit)?;
                if let Some(task) = self.tasks.get_mut(key) {
                    task.is_gone = true;
                }
                Ok(())
            }
            Way::Nothing | Way::Open(..) => {
                let unit = slot.first(len);
                cx.env.mem().write(unit, &cx.scratch[..len]);
                cx.endpoint.send(cx.device, connection, token, Bytes::Own(&[unit]))
            }
        }
    }

    /// Puts a command into `out`; says how long it is without the data that goes along.
    fn put_command(&self, key: Key, task: &Task, way: Way, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let What::Command(command) = task.what else { return Ok(0) };
        let mut table = [0; TABLE_LEN];
        let described = match way {
            Way::Nothing => Descriptor::None,
            Way::Along(data) => Descriptor::Immediate { len: data.len },
            Way::Open(data, _) => {
                let back = u8::from(planted(Bug::DeadKeyTold));
                let memory = task.key.map_or(0, |key| key.with_life(key.life().wrapping_sub(back)).0);
                describe(
                    MemoryDescriptor { address: ADDRESS, key: memory, len: data.len },
                    self.piece_max(data.len),
                    &mut table,
                )
            }
        };
        let is_out = matches!(command.data, Data::Out(_));
        let unit = srp::Command {
            tag: key.as_u64(),
            lun: command.lun,
            attribute: srp::TaskAttribute::Simple.code(),
            cdb: command.cdb.0,
            additional_cdb: &[],
            data_out: if is_out { described } else { Descriptor::None },
            data_in: if is_out { Descriptor::None } else { described },
            solicit_success: false,
            solicit_failure: false,
        };
        unit.encode(out)
    }

    /// The most bytes that one descriptor of so much data names: as the settings say, unless the table would not fit.
    fn piece_max(&self, len: u32) -> u32 {
        let room = self.agreed.iu_len.saturating_sub(COMMAND_LEN + INDIRECT_LEN) / DESCRIPTOR_LEN;
        let count = room.min(TABLE_LEN / DESCRIPTOR_LEN) as u32;
        match self.settings.piece_max {
            Some(piece) if count > 0 => piece.max(len.div_ceil(count)),
            Some(_) | None => len,
        }
    }

    /// True if data that might go along is opened instead.
    fn is_opened(&self, task: &Task, data: Span) -> bool {
        task.key.is_some() || self.along_max.is_some_and(|max| data.len() + IMMEDIATE_OFFSET > max)
    }

    /// How the data of a task is reached.
    fn way(&self, task: &Task) -> Way {
        match task.data() {
            Data::Out(data) | Data::In(data) if data.is_empty() => Way::Nothing,
            Data::Out(data) if data.len <= self.agreed.immediate_max && !self.is_opened(task, data) => {
                Way::Along(data)
            }
            Data::Out(data) => Way::Open(data, Access::REMOTE_READ),
            Data::In(data) => Way::Open(data, Access::LOCAL_WRITE.with(Access::REMOTE_WRITE)),
            Data::None => Way::Nothing,
        }
    }

    /// Closes the memory of a task, if it is open: at once, since what is closed in its turn is known to be closed only when all
    /// that was sent before is acknowledged.
    pub(super) fn close(&mut self, cx: &mut Context<'_>, key: Key) {
        let Some(task) = self.tasks.get_mut(key) else { return };
        let memory: Option<MemoryKey> = task.key;
        if memory.is_some_and(|memory| cx.device.close_region(cx.endpoint.pd(), memory)) {
            task.key = None;
            return;
        }
        // A target that answers before the memory was opened.
        if let (Some(memory), Some(connection)) = (memory, self.connection) {
            let (token, invalidate) = (key.index() as u32, Work::Invalidate(memory));
            let posted = cx.endpoint.post(cx.device, connection, token, invalidate, Bytes::NONE, false);
            // There is room, unless the connection ends: then all keys are closed.
            debug_assert!(posted != Err(PostError::Full));
        }
    }
}

/// One descriptor for memory, or a table of descriptors for its pieces.
fn describe(memory: MemoryDescriptor, piece_max: u32, table: &mut [u8; TABLE_LEN]) -> Descriptor<'_> {
    if memory.len <= piece_max {
        return Descriptor::Direct(memory);
    }
    let count = memory.len.div_ceil(piece_max) as usize;
    let (places, _) = table.as_chunks_mut::<DESCRIPTOR_LEN>();
    for (place, at) in places.iter_mut().take(count).zip((0..).step_by(piece_max as usize)) {
        let len = piece_max.min(memory.len - at);
        *place = MemoryDescriptor { address: memory.address + u64::from(at), len, ..memory }.encode();
    }
    let first = DescriptorTable::new(&table[..count * DESCRIPTOR_LEN]);
    // The whole table is in the unit: nobody has to look for it in memory.
    let of = MemoryDescriptor { address: 0, key: memory.key, len: first.bytes().len() as u32 };
    Descriptor::Indirect { table: of, len: memory.len, first }
}

/// Bytes of the outbox for so many channels.
pub(in crate::srp::initiator) fn outbox_len(channels: u16, commands_max: u16) -> usize {
    usize::from(channels) * tasks_max(commands_max) * UNIT_LEN
}

/// Where the memory of each command begins, as the target sees it.
const ADDRESS: u64 = 0;
/// Descriptors of a table.
const TABLE_LEN: usize = 12 * DESCRIPTOR_LEN;
/// Bytes of the longest unit, but for data that goes along.
pub(super) const UNIT_LEN: usize = COMMAND_LEN + INDIRECT_LEN + TABLE_LEN;
/// Units up to a command with one descriptor go inline.
pub(in crate::srp::initiator) const INLINE_LEN: usize = COMMAND_LEN + DESCRIPTOR_LEN;
/// To send a request takes so much: its memory is opened, its unit is sent.
const POSTS_EACH: usize = 2;
/// The tokens of what is no task's. No task has them: there are fewer.
pub(super) const REPLY_TOKEN: u32 = u32::MAX;
pub(super) const LOGOUT_TOKEN: u32 = u32::MAX - 1;
/// That of commands that the device has a copy of: nobody waits for their receipt.
pub(super) const COPIED_TOKEN: u32 = u32::MAX - 2;
/// The tag of the last word.
const LOGOUT_TAG: u64 = u64::MAX;
