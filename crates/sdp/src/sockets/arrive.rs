//! What happens to connections: how they come and go, and the messages that arrive.

use super::inbox::Held;
use super::pause::Pause;
use super::stream::{Phase, Stream};
use super::{Context, ListenerId, SocketError, Sockets, StreamId};
use crate::{Connection, Message, Options, Payload, Terms};
use core::net::SocketAddr;
use stdx::mem::Span;
use stdx::slab::Key;
use verbs::endpoint::{Happening, Received, Requested};
use verbs::{Device, Parameters, PrivateData, Rejection};
use wire::sdp::{Hello, HelloAck};

impl Sockets {
    /// Takes what happened at the endpoint; true if anything did. What came before a connection ended counts, though the end is
    /// known already.
    pub(super) fn take_happenings(&mut self, cx: &mut Context<'_>) -> bool {
        while let Some(event) = cx.device.poll_event() {
            self.endpoint.handle_event(cx.device, &event);
        }
        let mut found = self.take_completed(cx);
        while let Some(event) = cx.device.poll_connection() {
            found = true;
            self.endpoint.handle_connection(cx.env, cx.device, &event);
        }
        found | self.take_completed(cx)
    }

    fn take_completed(&mut self, cx: &mut Context<'_>) -> bool {
        let mut found = false;
        while self.endpoint.is_ready()
            && let Some(happening) = self.endpoint.poll(cx.env, cx.device)
        {
            found = true;
            self.handle(cx, &happening);
        }
        found
    }

    fn handle(&mut self, cx: &mut Context<'_>, happening: &Happening) {
        match happening {
            Happening::Requested(requested) => self.answer(cx, requested),
            Happening::Established { connection, private_data, .. } => {
                self.establish(cx, *connection, private_data);
            }
            Happening::Refused { connection, why } => self.refuse(cx.device, *connection, why.as_ref()),
            Happening::Received { connection, received } => match self.by_connection(*connection) {
                Some(id) => self.arrive(cx, id, *connection, *received),
                None => self.endpoint.release(cx.device, *connection, *received),
            },
            Happening::Done { connection, status, .. } => {
                if let Some(id) = self.by_connection(*connection) {
                    self.handle_done(cx, id, *status);
                }
            }
            Happening::Broken { connection } => {
                // What is under way is told of, and says more of why.
                let is_told = |stream: &Stream| {
                    !stream.posted.is_empty() || stream.has_paused() && stream.phase == Phase::Open
                };
                if let Some(id) = self.by_connection(*connection)
                    && !self.streams.get(id.0).is_some_and(is_told)
                {
                    self.end(id, Some(SocketError::Reset));
                }
            }
            Happening::Gone { connection } => self.forget(cx, *connection),
        }
    }

    /// Someone asks for a connection: yes if they speak our protocol and a listener has room.
    fn answer(&mut self, cx: &mut Context<'_>, requested: &Requested) {
        let accepted = self.try_answer(cx, requested);
        if accepted.is_none() {
            self.endpoint.reject(cx.device, requested.request, &[]);
        }
    }

    fn try_answer(&mut self, cx: &mut Context<'_>, requested: &Requested) -> Option<()> {
        if let Some(id) = self.portals.get(&requested.portal).copied() {
            return self.hear_return(cx, id, requested);
        }
        let hello = Hello::decode(requested.private_data.bytes()).ok()?;
        let terms = Terms::of_hello(&hello).ok()?;
        let found = self.listeners.iter().find(|(_, listener)| listener.address == requested.portal);
        let (listener, found) = found.map(|(key, found)| (ListenerId(key), found))?;
        if found.waiting.len() + found.coming >= self.config.backlog_max as usize {
            return None;
        }
        let local = SocketAddr::new(hello.destination, found.port);
        let peer = SocketAddr::new(hello.source, hello.port);
        let options = self.bring_receives();
        let ack = Terms::hello_ack(&options, &hello).encode();
        let stream =
            Stream::new(Phase::Accepting(listener), &self.config, options, requested.peer.ip(), local, peer);
        let id = StreamId(self.streams.insert(stream).ok()?);
        let answered =
            self.endpoint.accept(cx.env, cx.device, requested.request, Parameters::default(), &ack);
        let Ok(connection) = answered else {
            self.remove(cx.device, id);
            return None;
        };
        if let Some(found) = self.listeners.get_mut(listener.0) {
            found.coming += 1;
        }
        self.bind(id, connection);
        self.begin(cx, id, terms);
        Some(())
    }

    /// What the next connection is made with: the receives that it can bring are its own from then on.
    pub(super) fn bring_receives(&mut self) -> Options {
        let left = self.endpoint.receives_left();
        let options = self.config.of_next(self.streams.len() as u32, left);
        self.endpoint.set_receives_each(options.receives.into());
        options
    }

    /// A connection is there.
    fn establish(&mut self, cx: &mut Context<'_>, connection: Key, private_data: &PrivateData) {
        let Some(id) = self.by_connection(connection) else { return };
        let Some(stream) = self.streams.get(id.0) else { return };
        match stream.phase {
            Phase::Accepting(listener) => {
                self.arrived(listener);
                self.open(id);
                match self.listeners.get_mut(listener.0) {
                    Some(found) => {
                        found.waiting.push_back(id);
                        self.note_listener(listener);
                    }
                    None => self.close(cx.env, cx.device, id),
                }
            }
            Phase::Connecting => {
                let ack = HelloAck::decode(private_data.bytes()).ok();
                match ack.and_then(|ack| Terms::of_hello_ack(&ack).ok()) {
                    Some(terms) => {
                        self.begin(cx, id, terms);
                        self.open(id);
                    }
                    None => {
                        self.end(id, Some(SocketError::Protocol));
                        self.endpoint.disconnect(cx.env, cx.device, connection);
                    }
                }
            }
            Phase::Resuming => {
                let is_host = stream.pause.as_ref().is_none_or(Pause::is_host);
                let ack = HelloAck::decode(private_data.bytes()).ok();
                match ack.and_then(|ack| Terms::of_hello_ack(&ack).ok()) {
                    _ if is_host => {}
                    Some(terms) => self.restart(cx.env.now(), id, terms),
                    None => self.end(id, Some(SocketError::Protocol)),
                }
                if self.streams.get(id.0).is_some_and(|stream| stream.phase == Phase::Resuming) {
                    self.resumed(id);
                    self.open(id);
                } else {
                    self.endpoint.disconnect(cx.env, cx.device, connection);
                }
            }
            Phase::Open | Phase::Suspended | Phase::Ended => {}
        }
    }

    /// Both have greeted each other. Messages are no longer than a frame of ours, though the peer's receives may be.
    fn begin(&mut self, cx: &Context<'_>, id: StreamId, terms: Terms) {
        if let Some(stream) = self.streams.get_mut(id.0) {
            let message_len = terms.message_len.min(self.config.message_len());
            let terms = Terms { message_len, ..terms };
            let machine = stream.machine.insert(Connection::new(cx.env.now(), stream.options, terms));
            if stream.is_write_shut {
                machine.shut_down();
            }
            if stream.is_read_shut {
                machine.shut_read();
            }
        }
    }

    fn open(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(id.0) {
            stream.phase = Phase::Open;
        }
        self.note_change(id);
        self.stir(id);
    }

    /// What we asked for did not come about.
    fn refuse(&mut self, device: &mut dyn Device, connection: Key, why: Option<&(Rejection, PrivateData)>) {
        let Some(id) = self.by_connection(connection) else { return };
        let is_first = self.streams.get(id.0).is_some_and(|stream| stream.phase == Phase::Connecting);
        let error = match why {
            Some((Rejection::NoListener | Rejection::Consumer, _)) if is_first => SocketError::Refused,
            Some((Rejection::NoListener | Rejection::Consumer, _)) => SocketError::Reset,
            Some((Rejection::Other(_), _)) => SocketError::Reset,
            None => SocketError::TimedOut,
        };
        self.end(id, Some(error));
        self.unbind(device, id);
    }

    /// A message came.
    fn arrive(&mut self, cx: &mut Context<'_>, id: StreamId, connection: Key, received: Received) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let Some(machine) = stream.machine.as_mut() else { return };
        let message = self.endpoint.message(&received);
        let mut front = [0; Message::HEAD_MAX + 1];
        let front = &mut front[..(Message::HEAD_MAX + 1).min(message.len())];
        cx.env.mem().read(message.first(front.len()), front);
        let taken = machine.handle_message(cx.env.now(), front, received.len);
        let kept = match taken {
            Ok(Some(payload)) => {
                let bytes = message.slice(payload.offset as usize, payload.len as usize);
                self.keep(cx, id, connection, received, bytes, &payload)
            }
            Ok(None) => false,
            Err(_) => {
                stream.error = stream.error.or(Some(SocketError::Protocol));
                false
            }
        };
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        if let Some(machine) = &stream.machine {
            // What the peer has read of our memory is not needed any more.
            stream.outbox.release(cx.device, &mut self.keys, &mut self.frames, machine.released());
        }
        if !kept {
            self.release(cx, id, connection, received);
        }
        self.note_events(cx, id);
        self.stir(id);
    }

    /// Puts bytes that came in a message where they belong; whether they still lie in it.
    fn keep(
        &mut self,
        cx: &mut Context<'_>,
        id: StreamId,
        connection: Key,
        received: Received,
        mut bytes: Span,
        payload: &Payload,
    ) -> bool {
        let Some(stream) = self.streams.get_mut(id.0) else { return false };
        let is_long = payload.len >= self.config.connection.receive_len / 2;
        stream.is_bulk = is_long || stream.is_bulk && payload.token.is_none();
        let mut urgent = None;
        if payload.is_urgent {
            let mut last = [0];
            cx.env.mem().read(bytes.from(bytes.len() - 1), &mut last);
            bytes = bytes.first(bytes.len() - 1);
            urgent = Some(last[0]);
        }
        let is_kept = !bytes.is_empty() && payload.token.is_none();
        match payload.token {
            Some(token) => self.handle_sent(cx, id, token, bytes),
            None if is_kept => stream.inbox.push(bytes, Held::Message(received, connection)),
            None => {}
        }
        if let Some((byte, stream)) = urgent.zip(self.streams.get_mut(id.0)) {
            stream.inbox.push_urgent(byte);
        }
        is_kept
    }

    /// The connection is gone, and with it a stream that nobody wants any more.
    fn forget(&mut self, cx: &mut Context<'_>, connection: Key) {
        let Some(id) = self.by_connection(connection) else { return };
        if self.streams.get(id.0).is_some_and(|stream| stream.has_paused() && stream.phase == Phase::Open) {
            // The peer was first to let go.
            return self.stir(id);
        }
        self.settle(cx, id);
        self.end(id, Some(SocketError::Reset));
        self.unbind(cx.device, id);
    }

    /// Gives receives back whose bytes were read.
    pub(super) fn give_back(&mut self, cx: &mut Context<'_>, id: StreamId, held: Held) {
        match held {
            Held::Buffer(buffer) => cx.env.mem().give(buffer),
            Held::Placed(name) => match self.streams.get_mut(id.0) {
                Some(stream) => stream.give_place(&mut self.frames, name),
                None => self.frames.give_lent(name),
            },
            Held::Message(received, connection) => {
                // It is counted for the connection that it came over, if that is still the stream's; posted again it is anyway.
                self.release(cx, id, connection, received);
            }
        }
    }

    /// Posts the receive of a message again, unless its stream is to have fewer.
    fn release(&mut self, cx: &mut Context<'_>, id: StreamId, connection: Key, received: Received) {
        let stream = self.streams.get_mut(id.0).filter(|stream| stream.connection == Some(connection));
        let is_kept = stream.and_then(|stream| stream.machine.as_mut()).is_none_or(Connection::release);
        if !is_kept {
            self.endpoint.take_receives(connection, 1);
        }
        self.endpoint.release(cx.device, connection, received);
    }
}
