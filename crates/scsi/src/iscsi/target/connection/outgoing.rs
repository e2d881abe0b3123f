//! What a connection has to say, in order, and how it is said: each item becomes PDUs as there is room for headers.
//!
//! An item is cheap and waits as long as it must; StatSN and the window are put in when it is said, so that they are what
//! holds at that moment.
//!
//! Invariant: StatSN counts the responses in the order in which they are said.

use super::super::session::give;
use crc32c::{crc32c, crc32c_append};
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::gather::{HEADER_BYTES_MAX, HeaderBlocks, NoBuffer, Source, Transmit};
use stdx::mem::Span;
use wire::iscsi::{
    AsyncEvent, AsyncMessage, BHS_LEN, Bhs, DIGEST_LEN, DataIn, DataInStatus, Digests, LoginResponse,
    LogoutResponse, LogoutResult, NopIn, Numbers, R2t, RESERVED_TAG, Reject, RejectReason, Residual,
    ScsiResponse, Serial, ServiceResponse, TaskResponse, TaskResult, TextResponse, padding,
};
use wire::scsi::{Lun, Sense, Status};

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
}

/// Something to say.
#[derive(Debug)]
pub(super) enum Item {
    /// Read data, and the status if it needs no response of its own.
    Read(Reading),
    /// A command has ended.
    Response {
        tag: u32,
        response: ServiceResponse,
        status: Status,
        residual: Residual,
        exp_data_sn: Serial,
        sense: Option<Sense>,
    },
    /// Data is asked for.
    R2t { lun: Lun, tag: u32, transfer_tag: u32, r2t_sn: Serial, offset: u32, length: u32 },
    /// A ping, or its answer with this data.
    Nop { lun: Lun, tag: u32, transfer_tag: u32, data: Span },
    /// Task management is done.
    Task { tag: u32, result: TaskResult },
    /// A logout is done.
    Logout { tag: u32, result: LogoutResult, time_to_wait_s: u16, time_to_retain_s: u16 },
    /// Text.
    Text { tag: u32, transfer_tag: u32, is_final: bool, continues: bool, data: Span },
    /// A step of a login. Its numbers are put in when it is said.
    Login { response: LoginResponse, data: Span },
    /// A PDU is not taken.
    Reject { reason: RejectReason, header: Bhs, data_sn: Serial },
    /// Something of our own accord.
    Message { lun: Lun, event: AsyncEvent },
}

/// Read data on its way.
#[derive(Debug)]
pub(super) struct Reading {
    pub tag: u32,
    /// What is still to be said; not empty.
    pub data: Span,
    /// The buffer to give back when all is sent; `None` if the memory is lent.
    pub buffer: Option<Span>,
    pub offset: u32,
    pub data_sn: Serial,
    pub status: Option<DataInStatus>,
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
        if let Item::Read(reading) = &item {
            self.queued_bytes += reading.data.len();
        }
        self.backlog.push_back(item);
    }

    /// Says as much as there is room for.
    pub(super) fn pump(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, window: WindowNumbers) {
        while self.transmit.header_room() >= ROOM_MIN {
            let Some(item) = self.backlog.pop_front() else { return };
            match item {
                Item::Read(reading) => {
                    if let Some(rest) = self.say_read(env, blocks, window, reading) {
                        self.backlog.push_front(Item::Read(rest));
                    }
                }
                item => self.say(env, blocks, window, item),
            }
        }
    }

    /// What to send now.
    pub(super) fn poll(&self, out: &mut Vec<Span>) {
        self.transmit.poll(out);
    }

    /// The first `len` bytes are gone.
    pub(super) fn handle_sent(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, len: usize) {
        self.transmit.handle_sent(env.mem(), blocks, len);
    }

    /// Sending stops for this turn: what lies in lent memory is put aside.
    pub(super) fn copy_lent(&mut self, env: &mut dyn Env) -> Result<usize, NoBuffer> {
        let mut copied = self.transmit.copy_lent(env.mem())?;
        for item in &mut self.backlog {
            if let Item::Read(reading) = item
                && reading.buffer.is_none()
            {
                let buffer = env.mem().take(reading.data.len()).ok_or(NoBuffer)?;
                env.mem().copy(buffer, reading.data);
                (reading.data, reading.buffer) = (buffer, Some(buffer));
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
        while !reading.data.is_empty() {
            if self.transmit.header_room() < ROOM_MIN {
                return Some(reading);
            }
            let to_burst_end = self.burst_max - reading.offset % self.burst_max;
            let len = reading.data.len().min(self.segment_max as usize).min(to_burst_end as usize);
            let part = reading.data.first(len);
            let last = len == reading.data.len();
            let status = if last { reading.status } else { None };
            let header = DataIn {
                is_final: last || len == to_burst_end as usize,
                acknowledge: false,
                lun: Lun::default(),
                task_tag: reading.tag,
                transfer_tag: RESERVED_TAG,
                numbers: self.numbers(window, status.is_some()),
                data_sn: reading.data_sn,
                offset: reading.offset,
                status,
            };
            self.queued_bytes -= len;
            self.put_header(env, blocks, &header.encode(part.len));
            let source = match reading.buffer {
                None => Source::Lent,
                Some(buffer) if last => Source::Buffer(buffer),
                Some(_) => Source::Part,
            };
            self.put_payload(env, blocks, part, source);
            reading.data = reading.data.from(len);
            reading.offset += len as u32;
            reading.data_sn = reading.data_sn.next();
        }
        None
    }

    fn say(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, window: WindowNumbers, item: Item) {
        let counts = item.counts();
        let numbers = self.numbers(window, counts);
        match item {
            Item::Read(_) => debug_assert!(false, "reads are said in parts"),
            Item::Response { tag, response, status, residual, exp_data_sn, sense } => {
                let mut data = [0; SENSE_BYTES_MAX];
                let len = sense.map_or(0, |sense| write_sense(&sense, &mut data));
                let header = ScsiResponse {
                    response,
                    status: status as u8,
                    task_tag: tag,
                    snack_tag: 0,
                    numbers,
                    exp_data_sn,
                    bidirectional: Residual::None,
                    residual,
                };
                self.put_header(env, blocks, &header.encode(len as u32));
                self.put_bytes(env, blocks, &data[..len]);
            }
            Item::R2t { lun, tag, transfer_tag, r2t_sn, offset, length } => {
                let header = R2t { lun, task_tag: tag, transfer_tag, numbers, r2t_sn, offset, length };
                self.put_header(env, blocks, &header.encode());
            }
            Item::Nop { lun, tag, transfer_tag, data } => {
                let header = NopIn { lun, task_tag: tag, transfer_tag, numbers };
                self.put_header(env, blocks, &header.encode(data.len));
                self.put_buffer(env, blocks, data);
            }
            Item::Task { tag, result } => {
                self.put_header(env, blocks, &TaskResponse { result, task_tag: tag, numbers }.encode());
            }
            Item::Logout { tag, result, time_to_wait_s, time_to_retain_s } => {
                let header =
                    LogoutResponse { result, task_tag: tag, numbers, time_to_wait_s, time_to_retain_s };
                self.put_header(env, blocks, &header.encode());
            }
            Item::Text { tag, transfer_tag, is_final, continues, data } => {
                let lun = Lun::default();
                let header = TextResponse { is_final, continues, lun, task_tag: tag, transfer_tag, numbers };
                self.put_header(env, blocks, &header.encode(data.len));
                self.put_buffer(env, blocks, data);
            }
            Item::Login { response, data } => {
                self.put_header(env, blocks, &LoginResponse { numbers, ..response }.encode(data.len));
                self.put_buffer(env, blocks, data);
            }
            Item::Reject { reason, header, data_sn } => {
                self.put_header(env, blocks, &Reject { reason, numbers, data_sn }.encode(BHS_LEN as u32));
                self.put_bytes(env, blocks, header.bytes());
            }
            Item::Message { lun, event } => {
                self.put_header(env, blocks, &AsyncMessage { lun, numbers, event }.encode(0));
            }
        }
    }

    /// The numbers of the next PDU; StatSN goes on if it is a response.
    fn numbers(&mut self, window: WindowNumbers, counts: bool) -> Numbers {
        let stat_sn = self.stat_sn;
        if counts {
            self.stat_sn = stat_sn.next();
        }
        Numbers { stat_sn, exp_cmd_sn: window.exp_cmd_sn, max_cmd_sn: window.max_cmd_sn }
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

    /// Data in a buffer, which goes back when it is sent.
    fn put_buffer(&mut self, env: &mut dyn Env, blocks: &mut HeaderBlocks, data: Span) {
        self.put_payload(env, blocks, data, Source::Buffer(data));
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
        self.transmit.buffers() + queued
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
        let reading = |item: &Item| if let Item::Read(reading) = item { reading.data.len() } else { 0 };
        assert_eq!(self.queued_bytes, self.backlog.iter().map(reading).sum::<usize>());
    }
}

impl Item {
    /// Whether it takes a StatSN (RFC 7143, section 4.2.2.2).
    const fn counts(&self) -> bool {
        match self {
            Self::Response { .. }
            | Self::Task { .. }
            | Self::Logout { .. }
            | Self::Text { .. }
            | Self::Login { .. }
            | Self::Reject { .. }
            | Self::Message { .. } => true,
            Self::Nop { tag, .. } => *tag != RESERVED_TAG,
            Self::Read(_) | Self::R2t { .. } => false,
        }
    }

    /// The buffer it holds.
    fn buffer(&self) -> Span {
        match self {
            Self::Read(reading) => reading.buffer.unwrap_or(Span::EMPTY),
            Self::Nop { data, .. } | Self::Text { data, .. } | Self::Login { data, .. } => *data,
            Self::Response { .. }
            | Self::R2t { .. }
            | Self::Task { .. }
            | Self::Logout { .. }
            | Self::Reject { .. }
            | Self::Message { .. } => Span::EMPTY,
        }
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

/// The data segment of a response with sense data: its length in two bytes, and the sense data.
fn write_sense(sense: &Sense, out: &mut [u8; SENSE_BYTES_MAX]) -> usize {
    let mut bytes = [0; Sense::LEN_MAX];
    let len = sense.write(&mut bytes);
    out[..2].copy_from_slice(&(len as u16).to_be_bytes());
    out[2..2 + len].copy_from_slice(&bytes[..len]);
    2 + len
}

const SENSE_BYTES_MAX: usize = 2 + Sense::LEN_MAX;

/// Room that one item needs at most: a header, its data or padding, both digests.
const ROOM_MIN: usize = 2 * HEADER_BYTES_MAX;
