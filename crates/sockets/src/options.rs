//! What a program says of a stream while it lives, as it would of one of TCP's.

use crate::SdpStream;
use crate::errors::error_of;
use sdp::sockets::{SocketError, Sockets, StreamId};
use std::io;
use std::time::Duration;
use verbs::Device;

impl SdpStream {
    /// Has short messages go at once, or wait for more bytes while others are under way.
    pub fn set_nodelay(&self, no_delay: bool) {
        // One that is not there has nothing to delay.
        let _ = self.adjust(|sockets, _, id| {
            sockets.set_no_delay(id, no_delay);
            Ok(())
        });
    }

    /// Has it looked whether the peer is there whenever nothing has come for so long (`SO_KEEPALIVE`, `TCP_KEEPIDLE`); `None` is never. A peer that
    /// is gone ends the stream with an error, though nothing is written.
    ///
    /// # Errors
    /// When the stream is gone, or it is not known yet where the peer is ([`io::ErrorKind::WouldBlock`]).
    pub fn set_keepalive(&self, after: Option<Duration>) -> io::Result<()> {
        self.adjust(|sockets, _, id| {
            sockets.set_keep_alive(id, after);
            Ok(())
        })
    }

    /// How long nothing may come before it is looked whether the peer is there; `None` is for ever.
    ///
    /// # Errors
    /// As [`SdpStream::set_keepalive`].
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        self.adjust(|sockets, _, id| Ok(sockets.keep_alive(id)))
    }

    /// Has the peer send so many bytes ahead of what is read (`SO_RCVBUF`), in whole receives, and within what the fabric has for all its
    /// streams: [`SdpStream::recv_buffer_size`] says how many. What the peer was told of before it may still send.
    ///
    /// # Errors
    /// When the stream is gone, pauses, or is not connected yet ([`io::ErrorKind::WouldBlock`]).
    pub fn set_recv_buffer_size(&self, len: usize) -> io::Result<()> {
        self.adjust(|sockets, device, id| sockets.set_receive_buffer(device, id, len as u64))
    }

    /// Bytes that the peer may send ahead of what is read.
    ///
    /// # Errors
    /// As [`SdpStream::set_keepalive`].
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.adjust(|sockets, _, id| Ok(sockets.receive_buffer(id) as usize))
    }

    /// Has writes take so many bytes ahead of what the peer has (`SO_SNDBUF`), in whole messages, if the peer has as many receives for them.
    ///
    /// # Errors
    /// As [`SdpStream::set_keepalive`].
    pub fn set_send_buffer_size(&self, len: usize) -> io::Result<()> {
        self.adjust(|sockets, _, id| {
            sockets.set_send_buffer(id, len as u64);
            Ok(())
        })
    }

    /// Bytes that writes take ahead of what the peer has.
    ///
    /// # Errors
    /// As [`SdpStream::set_keepalive`].
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.adjust(|sockets, _, id| Ok(sockets.send_buffer(id) as usize))
    }

    fn adjust<T>(
        &self,
        act: impl FnOnce(&mut Sockets, &mut dyn Device, StreamId) -> Result<T, SocketError>,
    ) -> io::Result<T> {
        let done = self
            .with(|state, key| state.with(key, |port, _, id| act(&mut port.sockets, &mut port.device, id)));
        done.map_err(error_of)
    }
}
