//! The connection as a session on a stream, if one carries it.

use super::{Carrier, Connection, ConnectionEnd, State};
use stdx::env::{Env, StreamId};
use stdx::mem::Span;
use stdx::stream::{self, Context, Ended, Session};
use stdx::transmit::Transmit;

/// What the session needs of its owner.
struct Outside<'a>(&'a mut dyn Env);

impl Context for Outside<'_> {
    fn env(&mut self) -> &mut dyn Env {
        self.0
    }
}

impl Connection {
    /// Sends what waits to be sent: all commands taken on since the last call in one go.
    pub fn flush(&mut self, env: &mut dyn Env) {
        let Carrier::Stream(stream) = self.carrier else { return };
        if self.blocked || !matches!(self.state, State::LoggingIn | State::FullFeature) {
            return;
        }
        if self.transmit.is_empty() && self.sending.is_empty() && self.resuming.is_empty() {
            return;
        }
        if let Err(ended) = self.send(env, stream) {
            self.end(env, ended.into());
        }
    }

    /// Takes in what has arrived.
    pub fn receive_more(&mut self, env: &mut dyn Env) {
        let Carrier::Stream(stream) = self.carrier else { return };
        if !matches!(self.state, State::LoggingIn | State::FullFeature) {
            return;
        }
        self.last_heard = env.now();
        match stream::receive(&mut Outside(env), self, stream, RECEIVES_A_TURN) {
            Ok(more) => self.unread = more,
            Err(ended) => return self.end(env, ended.into()),
        }
        if let State::Ended(_) = self.state {
            self.unread = false;
            env.close(stream, false);
        } else {
            self.flush(env);
        }
    }

    fn send(&mut self, env: &mut dyn Env, stream: StreamId) -> Result<(), Ended> {
        let mut scratch = core::mem::take(&mut self.scratch);
        let sent = stream::transmit(&mut Outside(env), self, stream, &mut scratch);
        self.scratch = scratch;
        self.blocked = !self.transmit.is_empty();
        sent
    }
}

impl Session<Outside<'_>> for Connection {
    fn receive_span(&mut self, cx: &mut Outside<'_>) -> Option<Span> {
        if let State::Ended(_) = self.state {
            return None;
        }
        Some(self.receive.span(cx.0.mem(), self.large_reads > 0))
    }

    fn handle_received(&mut self, cx: &mut Outside<'_>, len: usize) {
        self.receive.handle_landed(len);
        if let Err(why) = self.handle_buffered(cx.0) {
            self.state = State::Ended(why);
        }
    }

    fn poll_transmit(&mut self, cx: &mut Outside<'_>, out: &mut Vec<Span>) {
        if self.state == State::FullFeature {
            self.put_resumed(cx.0.mem());
            self.put_data(cx.0.mem());
        }
        self.transmit.collect(out);
    }

    fn handle_sent(&mut self, _cx: &mut Outside<'_>, len: usize) {
        let mut transmit = core::mem::replace(&mut self.transmit, Transmit::new(Span::EMPTY, 0));
        transmit.sent(len, |slot| self.handle_data_gone(slot));
        self.transmit = transmit;
    }
}

impl From<Ended> for ConnectionEnd {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::ByPeer => Self::ByPeer,
            Ended::Broken(error) => Self::Stream(error),
        }
    }
}

/// How many receives one connection makes before others have their turn.
const RECEIVES_A_TURN: usize = 64;
