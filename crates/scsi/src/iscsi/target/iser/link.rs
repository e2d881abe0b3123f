//! A connection of the endpoint's: whose it is at the server, what waits to be taken, and what the device has.

use super::super::connection::{Fetch, Message, Post, Posted, SHORT_LEN_MAX};
use super::super::session::give;
use std::collections::VecDeque;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::{Key, Slab};
use verbs::endpoint::{Answer, Endpoint, Received};
use verbs::{CompletionKind, Data, Device, Key as MemoryKey, PostError, Remote, Status};
use wire::iser::Advertised;

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    /// The endpoint's name for it.
    pub(super) connection: Key,
    /// The server's, while it has it.
    pub(super) peer: Option<Key>,
    /// Messages that came while none was taken.
    pub(super) queued: VecDeque<Received>,
    /// What the device has.
    pending: Slab<Pending>,
}

/// A request of the device's, and the buffer it uses; empty for none.
#[derive(Debug)]
enum Pending {
    Sent(Span),
    Read(Fetch),
}

impl Pending {
    fn buffer(&self) -> Span {
        match self {
            Self::Sent(buffer) => *buffer,
            Self::Read(fetch) => fetch.buffer,
        }
    }
}

impl Link {
    pub(super) fn new(connection: Key, sends: u32) -> Self {
        Self { connection, peer: None, queued: VecDeque::new(), pending: Slab::new(sends as usize) }
    }

    /// Whether the device takes another request.
    pub(super) fn has_room(&self, endpoint: &Endpoint) -> bool {
        !self.pending.is_full() && endpoint.room(self.connection) > 0
    }

    /// Has the device do something.
    pub(super) fn post(
        &mut self,
        env: &mut dyn Env,
        device: &mut dyn Device,
        endpoint: &mut Endpoint,
        post: Post,
    ) {
        let (connection, pending) = (self.connection, pending_of(&post));
        let Ok(key) = self.pending.insert(pending) else {
            return debug_assert!(false, "there was room");
        };
        let token = key.index() as u32;
        let posted = match &post {
            Post::Send { message: Message::Short(bytes, len), invalidate } => {
                let answer = Answer { token, invalidate: invalidate.map(MemoryKey), solicited: true };
                endpoint.answer(device, connection, answer, &bytes[..(*len).min(SHORT_LEN_MAX)])
            }
            Post::Send { message: Message::Long(message), invalidate } => match *invalidate {
                Some(key) => {
                    let data = Data::Own(core::slice::from_ref(message));
                    endpoint.send_invalidate(device, connection, token, MemoryKey(key), data)
                }
                None => endpoint.send(device, connection, token, Data::Own(core::slice::from_ref(message))),
            },
            Post::Write { to, data, .. } => endpoint.write(device, connection, token, remote(*to), &[*data]),
            Post::Read { from, place, .. } => {
                endpoint.read(device, connection, token, remote(*from), &[*place])
            }
        };
        if let Err(error) = posted {
            debug_assert!(error != PostError::Full, "there was room");
            // The connection is ending, and its owner will hear of that.
            if let Some(pending) = self.pending.remove(key) {
                give(env, pending.buffer());
            }
        }
    }

    /// The device is done with a request. Says what its connection is to hear of it.
    pub(super) fn handle_done(
        &mut self,
        env: &mut dyn Env,
        token: u32,
        kind: CompletionKind,
        status: Status,
    ) -> Option<Posted> {
        let key = self.pending.key_at(token as usize)?;
        match self.pending.remove(key)? {
            Pending::Read(fetch) if status == Status::Success && self.peer.is_some() => {
                debug_assert_eq!(kind, CompletionKind::Read);
                Some(Posted::Read(fetch))
            }
            pending => {
                give(env, pending.buffer());
                (status == Status::Success).then_some(Posted::Sent)
            }
        }
    }

    /// The messages that wait are not taken any more.
    pub(super) fn drop_queued(&mut self, device: &mut dyn Device, endpoint: &mut Endpoint) {
        for received in self.queued.drain(..) {
            endpoint.release(device, self.connection, received);
        }
    }

    /// Asserts what always holds; says how many buffers the device has of it.
    pub(super) fn check(&self, queued_max: usize) -> usize {
        assert!(self.queued.len() <= queued_max);
        self.pending.iter().filter(|(_, pending)| !pending.buffer().is_empty()).count()
    }
}

fn pending_of(post: &Post) -> Pending {
    match post {
        Post::Send { message: Message::Short(..), .. } => Pending::Sent(Span::EMPTY),
        Post::Send { message: Message::Long(buffer), .. } => Pending::Sent(*buffer),
        Post::Write { buffer, .. } => Pending::Sent(*buffer),
        Post::Read { fetch, .. } => Pending::Read(*fetch),
    }
}

const fn remote(memory: Advertised) -> Remote {
    Remote { address: memory.offset, key: MemoryKey(memory.key) }
}
