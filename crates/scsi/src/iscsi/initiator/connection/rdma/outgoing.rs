//! What is sent over RDMA: the request for the connection, and messages, whose memory is opened before.

use super::super::{Carrier, Connection, Data as Bytes};
use super::{Body, Context, MESSAGE_ROOM, Message, Rdma, SHORT, TEXT};
use crate::iscsi::initiator::iser::RdmaEnd;
use stdx::mem::Span;
use stdx::planted::{Bug, planted};
use stdx::slab::Key;
use verbs::{Access, Data, Key as MemoryKey, Parameters, PortSpace, PostError, Work};
use wire::iscsi::{BHS_LEN, padding};
use wire::iser::{Advertised, HEADER_LEN, Header, MESSAGE_LEN_MIN, PrivateData as Abilities};

/// What of a task's memory is opened to the target.
#[derive(Clone, Copy)]
enum Opens {
    Nothing,
    /// It reads there.
    Write(Span),
    /// It writes there.
    Read(Span),
}

impl Rdma {
    /// Has the target fetch the data of commands that wait, though it might go along, if that is better.
    fn keep_data(&mut self, cx: &Context<'_>) {
        let waiting = self.waiting.len();
        let along_max = |connection| cx.endpoint.along_max(&*cx.device, connection, waiting);
        let Some(along_max) = self.connection.and_then(along_max) else { return };
        for message in self.waiting.iter_mut().skip(self.opened) {
            if let Body::Task(_, data) = &mut message.body
                && data.len() + MESSAGE_LEN_MIN > along_max
            {
                (*data, message.bhs.data_length) = (Span::EMPTY, [0; 3]);
            }
        }
    }

    /// Sends a message.
    fn post(
        &mut self,
        cx: &mut Context<'_>,
        connection: Key,
        message: &Message,
        opens: Opens,
    ) -> Result<(), PostError> {
        let mut front = [0; MESSAGE_LEN_MIN];
        front[..HEADER_LEN].copy_from_slice(&self.header(message, opens).encode());
        front[HEADER_LEN..].copy_from_slice(message.bhs.bytes());
        match &message.body {
            Body::Text(text) if text.is_empty() => {
                cx.endpoint.send(cx.device, connection, SHORT, Data::Inline(&front))
            }
            Body::Text(_) if self.text_is_busy => Err(PostError::Full),
            Body::Text(text) => {
                let len = front.len() + text.len();
                cx.env.mem().write(self.text.first(front.len()), &front);
                cx.env.mem().write(self.text.slice(front.len(), text.len()), text);
                // Padding is zero from the first, and whatever was said before it.
                let padding = padding(text.len() as u32);
                cx.env.mem().write(self.text.slice(len, padding), &[0; 3][..padding]);
                let whole = [self.text.first(len + padding)];
                cx.endpoint.send(cx.device, connection, TEXT, Data::Own(&whole))?;
                self.text_is_busy = true;
                Ok(())
            }
            &Body::Task(slot, data) => {
                if data.is_empty() {
                    cx.endpoint.send(cx.device, connection, SHORT, Data::Inline(&front))?;
                } else {
                    let place = self.headers.slice(usize::from(slot) * MESSAGE_ROOM, front.len());
                    cx.env.mem().write(place, &front);
                    cx.endpoint.send(cx.device, connection, slot.into(), Data::Own(&[place, data]))?;
                }
                self.sent_as[usize::from(slot)] = self.credit.sent + 1;
                Ok(())
            }
        }
    }

    /// The header before a message: it advertises the memory that was opened.
    fn header(&self, message: &Message, opens: Opens) -> Header {
        let Body::Task(slot, _) = message.body else { return Header::default() };
        let back = u8::from(planted(Bug::DeadKeyTold));
        let told = |key: MemoryKey| key.with_life(key.life().wrapping_sub(back)).0;
        let memory = self.open_key(slot).map(|key| Advertised { key: told(key), offset: ADDRESS });
        match opens {
            Opens::Nothing => Header::default(),
            Opens::Write(_) => Header { write: memory, read: None },
            Opens::Read(_) => Header { write: None, read: memory },
        }
    }
}

impl Connection {
    /// Asks for the connection.
    pub fn ask(&mut self, cx: &mut Context<'_>) {
        if let Err(why) = self.try_ask(cx) {
            self.end(cx.env, why.into());
        }
    }

    fn try_ask(&mut self, cx: &mut Context<'_>) -> Result<(), RdmaEnd> {
        let Some(rdma) = self.rdma_mut() else { return Ok(()) };
        for _ in rdma.keys.len()..rdma.open.len() {
            rdma.keys.push(cx.device.alloc_region(cx.endpoint.pd(), 1)?);
        }
        let read_depth = cx.device.limits().read_depth.min(READ_DEPTH);
        let parameters =
            Parameters { responder_resources: read_depth, initiator_depth: 0, ..Parameters::default() };
        let said = ABILITIES.encode();
        let address = rdma.address;
        let asked = cx.endpoint.connect(cx.env, cx.device, PortSpace::Tcp, address, parameters, &said)?;
        rdma.connection = Some(asked);
        Ok(())
    }

    /// Whether it is yet to be asked for.
    pub fn wants_asking(&self) -> bool {
        matches!(&self.carrier, Carrier::Rdma(rdma) if rdma.connection.is_none()) && !self.has_ended()
    }

    /// Has the device do what waits. What finds no room stays.
    ///
    /// The memory of all is opened before the first message is sent: a device may do what concerns no peer only when all before
    /// it is done.
    pub fn post_waiting(&mut self, cx: &mut Context<'_>) {
        if self.has_ended() {
            return;
        }
        if let Some(rdma) = self.rdma_mut() {
            rdma.keep_data(cx);
        }
        let opened = self.open_waiting(cx);
        let Some(rdma) = self.rdma_mut() else { return };
        let postable = if opened.is_ok() { rdma.waiting.len() } else { rdma.opened };
        for _ in 0..postable {
            if self.post_next(cx).is_err() {
                break;
            }
        }
        if let Some(rdma) = self.rdma_mut() {
            rdma.stalled = !rdma.waiting.is_empty();
        }
        self.post_pongs(cx);
    }

    /// Opens the memory of those that wait.
    fn open_waiting(&mut self, cx: &mut Context<'_>) -> Result<(), PostError> {
        loop {
            let Carrier::Rdma(rdma) = &self.carrier else { return Ok(()) };
            let Some(message) = rdma.waiting.get(rdma.opened) else { return Ok(()) };
            // Closing the memory of each command that is outstanding needs room, too, and so do the messages that are opened.
            let reserved = self.tasks.len() + rdma.opened + POSTS_EACH;
            let room = rdma.connection.map_or(0, |connection| cx.endpoint.room(connection));
            if (room as usize) < reserved {
                return Err(PostError::Full);
            }
            if let Body::Task(slot, data) = message.body {
                self.open(cx, slot, data)?;
            }
            if let Some(rdma) = self.rdma_mut() {
                rdma.opened += 1;
            }
        }
    }

    /// Opens the memory of the task at a place, unless its data goes along.
    fn open(&mut self, cx: &mut Context<'_>, slot: u16, along: Span) -> Result<(), PostError> {
        let (pieces, access) = match self.opens(slot, along) {
            Opens::Nothing => return Ok(()),
            Opens::Write(memory) => ([memory], Access::REMOTE_READ),
            Opens::Read(memory) => ([memory], Access::LOCAL_WRITE.with(Access::REMOTE_WRITE)),
        };
        let Some(rdma) = self.rdma_mut() else { return Ok(()) };
        let connection = rdma.connection.ok_or(PostError::NotFound)?;
        let place = usize::from(slot);
        let key = next_life(rdma.keys[place]);
        let work = Work::Register { key, pieces: &pieces, address: ADDRESS, access };
        cx.endpoint.post(cx.device, connection, slot.into(), work, Data::NONE, false)?;
        (rdma.keys[place], rdma.open[place]) = (key, true);
        if let Some(task) = self.tasks.get_mut(slot) {
            task.unsent += 1;
        }
        Ok(())
    }

    /// What of the memory of the task at a place the target reaches.
    fn opens(&mut self, slot: u16, along: Span) -> Opens {
        let Some(task) = self.tasks.get_mut(slot) else { return Opens::Nothing };
        match task.data {
            Bytes::Out(memory) if along.is_empty() && !memory.is_empty() => Opens::Write(memory),
            Bytes::In(memory) if !memory.is_empty() => Opens::Read(memory),
            Bytes::None | Bytes::Out(_) | Bytes::In(_) => Opens::Nothing,
        }
    }

    /// Sends the message that waits longest.
    fn post_next(&mut self, cx: &mut Context<'_>) -> Result<(), PostError> {
        let opens = match &self.carrier {
            Carrier::Rdma(rdma) => match rdma.waiting.front().map(|message| &message.body) {
                Some(&Body::Task(slot, along)) => self.opens(slot, along),
                Some(Body::Text(_)) | None => Opens::Nothing,
            },
            Carrier::Stream(_) => return Ok(()),
        };
        let Some(rdma) = self.rdma_mut() else { return Ok(()) };
        let connection = rdma.connection.ok_or(PostError::NotFound)?;
        let Some(message) = rdma.waiting.pop_front() else { return Ok(()) };
        let posted = rdma.post(cx, connection, &message, opens);
        if posted.is_err() {
            rdma.waiting.push_front(message);
            return posted;
        }
        rdma.opened = rdma.opened.saturating_sub(1);
        rdma.credit.sent += 1;
        // The device has a copy of what is short, and nobody waits for its receipt.
        if let Body::Task(slot, Span::EMPTY) = message.body {
            self.handle_data_gone(slot);
        }
        Ok(())
    }

    /// Answers signs of life, as far as the target has room for that.
    fn post_pongs(&mut self, cx: &mut Context<'_>) {
        while let Carrier::Rdma(rdma) = &self.carrier
            && let (Some(&bhs), Some(connection)) = (rdma.pongs.front(), rdma.connection)
            && self.has_pong_credit()
        {
            let Some(rdma) = self.rdma_mut() else { return };
            let message = Message { bhs, body: Body::Text(Vec::new()) };
            if rdma.post(cx, connection, &message, Opens::Nothing).is_err() {
                rdma.stalled = true;
                return;
            }
            rdma.pongs.pop_front();
            rdma.credit.sent += 1;
            rdma.credit.pongs += 1;
            rdma.credit.last_pong = rdma.credit.sent;
        }
    }
}

/// The key of the same memory's next opening: an old one opens nothing.
const fn next_life(key: MemoryKey) -> MemoryKey {
    key.with_life(key.life().wrapping_add(1))
}

/// What we cannot do: addresses are told, as Linux has it. They begin at zero, so that it makes no difference.
const ABILITIES: Abilities = Abilities { no_zero_based: true, no_remote_invalidate: false };
/// Where the memory of each command begins, as the target sees it.
const ADDRESS: u64 = 0;
/// To post a message takes so much: its memory is opened, it is sent.
const POSTS_EACH: usize = 2;
/// The target's reads that we answer at once.
const READ_DEPTH: u8 = 16;

const _: () = assert!(BHS_LEN + HEADER_LEN == MESSAGE_LEN_MIN && MESSAGE_LEN_MIN <= MESSAGE_ROOM);
