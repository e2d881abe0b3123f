//! Data moves: out of the initiator's memory, and into it.

use super::Context;
use super::channel::Channel;
use super::task::Stage;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use verbs::{Key, Remote};
use wire::srp::DescriptorTable;

impl Channel {
    /// Does the next thing for a request. False if it has to wait.
    pub(super) fn step(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let Some(stage) = self.tasks.get(index).map(|task| task.stage) else { return true };
        match stage {
            Stage::Table => self.fetch_table(cx, index),
            Stage::Buffer => self.take_buffer(cx, index),
            Stage::Fetch => self.fetch(cx, index),
            Stage::Write => self.write(cx, index),
            Stage::Reply => self.reply(cx, index),
            Stage::Free
            | Stage::FetchingTable
            | Stage::Fetching
            | Stage::Executing
            | Stage::Replying
            | Stage::Dropped => true,
        }
    }

    /// Reads the table of descriptors.
    fn fetch_table(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let connection = self.connection;
        let Some(task) = self.tasks.get_mut(index) else { return true };
        let table = task.table;
        if cx.endpoint.room(connection) == 0 {
            return false;
        }
        if task.table_buffer.is_empty() {
            let Some(buffer) = cx.env.mem().take(table.len as usize) else { return false };
            task.table_buffer = buffer;
        }
        let from = Remote { address: table.address, key: Key(table.key) };
        let posted = cx.endpoint.read(cx.device, connection, index.into(), from, &[task.table_buffer]);
        if posted.is_ok() {
            task.under_way += 1;
            task.stage = Stage::FetchingTable;
            cx.counters.tables += 1;
        }
        posted.is_ok()
    }

    /// The table is here.
    fn take_table(&mut self, cx: &mut Context<'_>, index: u16) {
        let Some(task) = self.tasks.get_mut(index) else { return };
        let buffer = core::mem::replace(&mut task.table_buffer, Span::EMPTY);
        let mut bytes = core::mem::take(cx.scratch);
        bytes.resize(buffer.len(), 0);
        cx.env.mem().read(buffer, &mut bytes);
        cx.env.mem().give(buffer);
        let (pieces, described) = match (task.reads_answer_table, task.is_out) {
            (true, _) => (&mut task.answer_pieces, task.in_len),
            (false, true) => (&mut task.pieces, task.out_len),
            (false, false) => (&mut task.pieces, task.in_len),
        };
        let filled = pieces.fill(DescriptorTable::new(&bytes), described);
        *cx.scratch = bytes;
        match filled {
            Err(_) => self.fail(cx, index),
            Ok(()) => self.gather(cx, index),
        }
    }

    /// A buffer for what the initiator gets. What is long it may read itself.
    pub(super) fn answer_buffer(&self, cx: &mut Context<'_>, len: u32) -> Option<Span> {
        if len < READ_BY_PEER_MIN {
            return cx.env.mem().take(len as usize);
        }
        cx.endpoint.take_buffer(cx.env, cx.device, self.connection, len as usize)
    }

    fn take_buffer(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let Some(task) = self.tasks.get_mut(index) else { return true };
        let wanted = task.wanted;
        let taken = match task.is_out || !task.immediate.is_empty() {
            true => cx.env.mem().take(wanted as usize),
            false => self.answer_buffer(cx, wanted),
        };
        let (Some(buffer), Some(task)) = (taken, self.tasks.get_mut(index)) else { return false };
        task.buffer = buffer;
        let immediate = core::mem::replace(&mut task.immediate, Span::EMPTY);
        if !immediate.is_empty() {
            let buffer = buffer.first(immediate.len());
            cx.env.mem().copy(buffer, immediate);
            self.release_message(cx, index);
            self.submit(cx, index, buffer);
            return true;
        }
        if task.is_out && !planted(Bug::DataNotAwaited) {
            task.stage = Stage::Fetch;
            return self.step(cx, index);
        }
        self.submit(cx, index, buffer);
        true
    }

    /// Asks for the initiator's data, piece by piece.
    fn fetch(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let connection = self.connection;
        let Some(task) = self.tasks.get_mut(index) else { return true };
        while let Some((from, len)) = task.pieces.next(task.wanted) {
            let place = task.buffer.slice(task.pieces.moved() as usize, len as usize);
            if len > 0 {
                if cx.endpoint.read(cx.device, connection, index.into(), from, &[place]).is_err() {
                    return false;
                }
                task.under_way += 1;
            }
            task.pieces.advance(len);
        }
        task.stage = Stage::Fetching;
        true
    }

    /// Writes what was read to the initiator's memory, piece by piece; the response goes behind it.
    fn write(&mut self, cx: &mut Context<'_>, index: u16) -> bool {
        let connection = self.connection;
        let Some(task) = self.tasks.get_mut(index) else { return true };
        let len = task.answer.in_len.min(task.in_len);
        while let Some((to, len)) = task.pieces.next(len) {
            let place = task.buffer.slice(task.pieces.moved() as usize, len as usize);
            if len > 0 {
                if cx.endpoint.write(cx.device, connection, index.into(), to, &[place]).is_err() {
                    return false;
                }
                task.under_way += 1;
            }
            task.pieces.advance(len);
        }
        task.stage = Stage::Reply;
        self.step(cx, index)
    }

    /// The device is done with work of a request.
    pub(super) fn handle_done(&mut self, cx: &mut Context<'_>, index: u16, is_success: bool) {
        let goes_on = is_success && self.is_open();
        let Some(task) = self.tasks.get_mut(index) else { return };
        task.under_way -= 1;
        if task.under_way > 0 {
            return;
        }
        match task.stage {
            Stage::Replying | Stage::Dropped => self.free(cx, index),
            // What failed breaks the channel, which gives up the rest.
            Stage::FetchingTable if goes_on => self.take_table(cx, index),
            Stage::Fetching if goes_on => {
                let buffer = task.buffer.first(task.wanted as usize);
                self.submit(cx, index, buffer);
            }
            _ => {}
        }
    }
}

/// Shorter answers are as fast, or faster, where they are copied once more: through what a neighbour looks at anyway.
const READ_BY_PEER_MIN: u32 = 8 << 10;
