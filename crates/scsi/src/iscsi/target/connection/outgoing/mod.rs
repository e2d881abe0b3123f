//! What a connection has to say, in order, and how it is said: each item becomes PDUs as there is room for headers.
//!
//! An item is cheap and waits as long as it must; StatSN and the window are put in when it is said, so that they are what
//! holds at that moment.
//!
//! Invariants: StatSN counts the responses in the order in which they are said; what is kept to be said again is what the
//! first time was said.

mod again;
mod form;
mod item;
mod kept;

pub(super) use again::Unsent;
pub(super) use form::{Formed, SHORT_BYTES_MAX};
pub(crate) use item::Response;
pub(super) use item::{Item, Owner, Reading};
pub(crate) use kept::{Cuts, KeptRead};

use super::super::session::give;
use crc32c::{crc32c, crc32c_append};
use kept::Kept;
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::gather::{HEADER_BYTES_MAX, HeaderBlocks, NoBuffer, Source, Transmit};
use stdx::mem::Span;
use wire::iscsi::{BHS_LEN, Bhs, DIGEST_LEN, DataIn, Digests, Numbers, RESERVED_TAG, Serial, padding};
use wire::scsi::{Lun, Sense};

/// The sending half of a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    transmit: Transmit,
    backlog: VecDeque<Item>,
    /// The digests in use for what is said from here on.
    pub digests: Digests,
    /// The initiator's MaxRecvDataSegmentLength.
    pub segment_max: u32,
    /// MaxBurstLength.
    pub burst_max: u32,
    /// The next StatSN.
    pub stat_sn: Serial,
    /// Bytes of read data that are not in `transmit` yet.
    queued_bytes: usize,
    /// Bytes that the stream has taken.
    sent: u64,
    /// What was said and not acknowledged, if it may be asked for again.
    kept: Option<Box<Kept>>,
}

/// The window as the session has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowNumbers {
    pub exp_cmd_sn: Serial,
    pub max_cmd_sn: Serial,
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            transmit: Transmit::default(),
            backlog: VecDeque::new(),
            digests: Digests::default(),
            segment_max: wire::iscsi::LOGIN_DATA_MAX,
            burst_max: 1 << 18,
            stat_sn: Serial(1),
            queued_bytes: 0,
            sent: 0,
            kept: None,
        }
    }
}

impl Outgoing {
    /// Bytes that wait to be sent.
    pub(super) const fn bytes(&self) -> usize {
        self.transmit.bytes() + self.queued_bytes
    }

    /// Whether there is nothing to say.
    pub(super) fn is_empty(&self) -> bool {
        self.transmit.bytes() == 0 && self.backlog.is_empty()
    }

    /// Whether its header block is borrowed.
    pub(super) const fn is_sending(&self) -> bool {
        self.transmit.bytes() > 0
    }

    /// How many items wait.
    pub(super) fn backlog(&self) -> usize {
        self.backlog.len()
    }

    /// Has something said.
    pub(super) fn push(&mut self, item: Item) {
        self.queued_bytes += item.read_bytes();
        self.backlog.push_back(item);
    }

    /// Says as much as there is room for.
    pub(super) fn pump(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, window: WindowNumbers) {
        while self.transmit.header_room() >= ROOM_MIN && !self.is_full() {
            let Some(item) = self.backlog.pop_front() else { return };
            match item {
                Item::Read(reading) => {
                    if let Some(rest) = self.say_read(env, blocks, window, reading) {
                        self.backlog.push_front(Item::Read(rest));
                    }
                }
                Item::Again(stat_sn) => self.say_again(env, blocks, window, stat_sn),
                item => {
                    let stat_sn = self.stat_sn;
                    let numbers = self.numbers(window, item.counts());
                    self.say(env, blocks, numbers, &item);
                    self.keep(env, stat_sn, item);
                }
            }
        }
    }

    /// The next item, for who says it in a way of its own.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.backlog.pop_front()?;
        self.queued_bytes -= item.read_bytes();
        Some(item)
    }

    /// It cannot be said yet.
    pub(super) fn push_back_again(&mut self, item: Item) {
        self.queued_bytes += item.read_bytes();
        self.backlog.push_front(item);
    }

    /// The PDU of an item that was popped, with the numbers that hold now.
    pub(super) fn form_next(&mut self, window: WindowNumbers, item: &Item) -> Formed {
        let numbers = self.numbers(window, item.counts());
        self.form(numbers, item)
    }

    /// What to send now.
    pub(super) fn poll(&self, out: &mut Vec<Span>) {
        self.transmit.poll(out);
    }

    /// The first `len` bytes are gone.
    pub(super) fn handle_sent(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, len: usize) {
        self.transmit.handle_sent(env.mem(), blocks, len);
        self.sent += len as u64;
        self.sweep(env);
    }

    /// Sending stops for this turn: what lies in lent memory is put aside.
    pub(super) fn copy_lent(&mut self, env: &mut dyn Env) -> Result<usize, NoBuffer> {
        let mut copied = self.transmit.copy_lent(env.mem())?;
        for item in &mut self.backlog {
            if let Item::Read(reading) = item
                && reading.owner == Owner::Lent
            {
                let buffer = env.mem().take(reading.data.len()).ok_or(NoBuffer)?;
                env.mem().copy(buffer, reading.data);
                (reading.data, reading.owner) = (buffer, Owner::Buffer(buffer));
                copied += buffer.len();
            }
        }
        Ok(copied)
    }

    /// Forgets everything; buffers go back.
    pub(super) fn clear(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks) {
        self.transmit.clear(env.mem(), blocks);
        for item in self.backlog.drain(..) {
            give(env, item.buffer());
        }
        if let Some(kept) = &mut self.kept {
            kept.clear(env.mem());
        }
        self.queued_bytes = 0;
    }

    /// Says the next Data-In PDUs of a read; what remains comes back.
    fn say_read(
        &mut self,
        env: &mut dyn Env,
        blocks: &mut HeaderBlocks,
        window: WindowNumbers,
        mut reading: Reading,
    ) -> Option<Reading> {
        let (segment, acknowledge) = match reading.owner {
            Owner::Kept => match self.kept_read(reading.tag) {
                Some(read) => (read.cuts.segment, Some((read.lun, read.ack_tag, read.next_sn))),
                // The initiator has it all.
                None => {
                    self.queued_bytes -= reading.data.len();
                    return None;
                }
            },
            Owner::Lent | Owner::Buffer(_) => (self.segment_max, None),
        };
        while !reading.data.is_empty() {
            if self.transmit.header_room() < ROOM_MIN {
                return Some(reading);
            }
            let to_burst_end = self.burst_max - reading.offset % self.burst_max;
            let len = reading.data.len().min(segment as usize).min(to_burst_end as usize);
            let part = reading.data.first(len);
            let last = reading.offset + part.len == reading.end;
            let burst_ends = len == to_burst_end as usize;
            let status = if last { reading.status } else { None };
            // Section 11.7.2: at the end of a sequence its acknowledgement may be asked for, the first time it is said.
            let asks =
                acknowledge.filter(|(_, _, next)| burst_ends && !last && !reading.data_sn.precedes(*next));
            let header = DataIn {
                is_final: last || burst_ends,
                acknowledge: asks.is_some(),
                lun: asks.map_or(Lun::default(), |(lun, _, _)| lun),
                task_tag: reading.tag,
                transfer_tag: asks.map_or(RESERVED_TAG, |(_, ack_tag, _)| ack_tag),
                numbers: self.data_numbers(window, reading.owner, status.is_some()),
                data_sn: reading.data_sn,
                offset: reading.offset,
                status,
            };
            self.queued_bytes -= len;
            self.put_header(env, blocks, &header.encode(part.len));
            let source = match reading.owner {
                Owner::Lent => Source::Lent,
                Owner::Buffer(buffer) if last => Source::Buffer(buffer),
                Owner::Buffer(_) | Owner::Kept => Source::Part,
            };
            self.put_payload(env, blocks, part, source);
            reading.data = reading.data.from(len);
            reading.offset += part.len;
            reading.data_sn = reading.data_sn.next();
            if reading.owner == Owner::Kept {
                self.said_data(reading.tag, reading.data_sn);
            }
        }
        None
    }

    fn say(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, numbers: Numbers, item: &Item) {
        let formed = self.form(numbers, item);
        self.put_header(env, blocks, &formed.bhs);
        self.put_bytes(env, blocks, formed.short());
        self.put_buffer(env, blocks, formed.buffer, item.counts());
    }

    /// The numbers of the next PDU; StatSN goes on if it is a response.
    fn numbers(&mut self, window: WindowNumbers, counts: bool) -> Numbers {
        let stat_sn = self.stat_sn;
        if counts {
            self.stat_sn = stat_sn.next();
        }
        Numbers { stat_sn, exp_cmd_sn: window.exp_cmd_sn, max_cmd_sn: window.max_cmd_sn }
    }

    /// The numbers of a Data-In. What may come again says nothing of StatSN, which would not be the same then.
    fn data_numbers(&mut self, window: WindowNumbers, owner: Owner, counts: bool) -> Numbers {
        let numbers = self.numbers(window, counts);
        if owner == Owner::Kept { Numbers { stat_sn: Serial(0), ..numbers } } else { numbers }
    }

    fn put_header(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, bhs: &Bhs) {
        let mut out = [0; BHS_LEN + DIGEST_LEN];
        out[..BHS_LEN].copy_from_slice(bhs.bytes());
        out[BHS_LEN..].copy_from_slice(&crc32c(bhs.bytes()).to_le_bytes());
        let len = if self.digests.header { out.len() } else { BHS_LEN };
        self.transmit.push_header(env.mem(), blocks, &out[..len]);
    }

    /// Data that is short: it lies with the headers.
    fn put_bytes(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.transmit.push_header(env.mem(), blocks, data);
        self.put_tail(env, blocks, data.len(), crc32c(data));
    }

    /// Data in a buffer, which goes back when it is sent, unless it is an answer that is kept.
    fn put_buffer(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, data: Span, counts: bool) {
        let is_kept = counts && self.kept.is_some();
        self.put_payload(env, blocks, data, if is_kept { Source::Part } else { Source::Buffer(data) });
    }

    fn put_payload(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, data: Span, source: Source) {
        if data.is_empty() {
            return;
        }
        self.transmit.push_payload(data, source);
        let crc = if self.digests.data { env.mem().crc32c(0, data) } else { 0 };
        self.put_tail(env, blocks, data.len(), crc);
    }

    /// Padding, and the digest over data and padding.
    fn put_tail(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, len: usize, crc: u32) {
        let pad = padding(len as u32);
        let mut out = [0; 3 + DIGEST_LEN];
        let mut tail = pad;
        if self.digests.data {
            out[pad..pad + DIGEST_LEN].copy_from_slice(&crc32c_append(crc, &[0; 3][..pad]).to_le_bytes());
            tail += DIGEST_LEN;
        }
        if tail > 0 {
            self.transmit.push_header(env.mem(), blocks, &out[..tail]);
        }
    }

    /// How many buffers it holds.
    pub(super) fn buffers(&self) -> usize {
        let queued = self.backlog.iter().filter(|item| !item.buffer().is_empty()).count();
        let kept = self.kept.as_ref().map_or(0, |kept| kept.buffers());
        self.transmit.buffers() + queued + kept
    }

    /// Data-In PDUs that so many bytes are cut into.
    pub(super) fn data_pdus(&self, len: u32) -> u32 {
        let each = len / self.burst_max;
        let rest = len % self.burst_max;
        each * self.burst_max.div_ceil(self.segment_max) + rest.div_ceil(self.segment_max)
    }

    /// Asserts what always holds.
    pub(super) fn check(&self) {
        self.transmit.check();
        assert_eq!(self.queued_bytes, self.backlog.iter().map(Item::read_bytes).sum::<usize>());
        self.kept.iter().for_each(|kept| kept.check());
    }
}

/// Puts text into a buffer; `None` if there is no buffer.
pub(super) fn buffer_of(env: &mut dyn Env, text: &[u8]) -> Option<Span> {
    if text.is_empty() {
        return Some(Span::EMPTY);
    }
    let buffer = env.mem().take(text.len())?;
    env.mem().write(buffer, text);
    Some(buffer)
}

const SENSE_BYTES_MAX: usize = 2 + Sense::LEN_MAX;

/// Room that one item needs at most: a header, its data or padding, both digests.
const ROOM_MIN: usize = 2 * HEADER_BYTES_MAX;
