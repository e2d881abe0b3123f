//! Driving a sans-IO byte-stream protocol over an [`Env`] stream: the one loop that every session on TCP shares.

use crate::env::{Env, IoError, StreamId};
use crate::mem::Span;

/// A protocol session on a byte stream. `Cx` is whatever it needs of its owner, the environment among it.
pub trait Session<Cx: Context + ?Sized> {
    /// Where the next bytes should land: a header buffer, or the very place the payload belongs. `None` while it can take
    /// no more (its answers wait to be sent, or buffers are short).
    fn receive_span(&mut self, cx: &mut Cx) -> Option<Span>;

    /// `len` bytes have landed at the start of the last [`Session::receive_span`].
    fn handle_received(&mut self, cx: &mut Cx, len: usize);

    /// Appends what is to be sent now, in order; the same again until [`Session::handle_sent`] says it is gone.
    fn poll_transmit(&mut self, cx: &mut Cx, out: &mut Vec<Span>);

    /// The first `len` bytes of the last [`Session::poll_transmit`] are gone.
    fn handle_sent(&mut self, cx: &mut Cx, len: usize);
}

/// Gives a session's owner's environment.
pub trait Context {
    /// The environment.
    fn env(&mut self) -> &mut dyn Env;
}

/// Feeds the session what has arrived, until there is no more, it takes no more, or `turns` receives were made (so that one
/// stream cannot starve the others). `Ok(true)` if there may be more.
pub fn receive<Cx: Context + ?Sized, S: Session<Cx> + ?Sized>(
    cx: &mut Cx,
    session: &mut S,
    stream: StreamId,
    turns: usize,
) -> Result<bool, Ended> {
    for _ in 0..turns {
        let Some(span) = session.receive_span(cx) else { return Ok(false) };
        match cx.env().recv(stream, span) {
            Ok(0) => return Err(Ended::ByPeer),
            Ok(len) => {
                session.handle_received(cx, len);
                if len < span.len() {
                    return Ok(false);
                }
            }
            Err(IoError::WouldBlock) => return Ok(false),
            Err(error) => return Err(Ended::Broken(error)),
        }
    }
    Ok(true)
}

/// Sends what the session has to send, until there is no more or the stream takes no more. `scratch` is reused from call
/// to call, so that nothing is allocated.
pub fn transmit<Cx: Context + ?Sized, S: Session<Cx> + ?Sized>(
    cx: &mut Cx,
    session: &mut S,
    stream: StreamId,
    scratch: &mut Vec<Span>,
) -> Result<(), Ended> {
    loop {
        scratch.clear();
        session.poll_transmit(cx, scratch);
        if scratch.is_empty() {
            return Ok(());
        }
        match cx.env().send(stream, scratch) {
            Ok(len) => {
                let all = scratch.iter().map(|span| span.len()).sum();
                session.handle_sent(cx, len);
                // Room for the rest is told by an event: asking at once would be a call for nothing.
                if len < all {
                    return Ok(());
                }
            }
            Err(IoError::WouldBlock) => return Ok(()),
            Err(error) => return Err(Ended::Broken(error)),
        }
    }
}

/// How a stream ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The peer sent all it had and closed its half.
    ByPeer,
    /// It broke.
    Broken(IoError),
}
