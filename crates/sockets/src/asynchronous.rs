//! Streams and listeners for tasks of tokio's.
//!
//! A task that waits has its executor come back to it while something came lately, as a thread would look again and again; then it
//! is woken when the fabric's descriptor can be read, when a turn is due, or when another task's turn brought something for it.

use crate::{Fabric, Readiness, SdpBuffer, SdpListener, SdpStream};
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::time::Duration;
use stdx::slab::Key;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream, as `tokio::net::TcpStream` is one.
#[derive(Debug)]
pub struct AsyncSdpStream {
    stream: SdpStream,
    waiting: Waiting,
}

/// A listener, as `tokio::net::TcpListener` is one.
#[derive(Debug)]
pub struct AsyncSdpListener {
    listener: SdpListener,
    waiting: Waiting,
}

/// What a task waits with.
#[derive(Debug)]
struct Waiting {
    fabric: Fabric,
    socket: Key,
    /// The fabric's descriptor.
    set: AsyncFd<OwnedFd>,
    /// When a turn is due.
    due: Pin<Box<Sleep>>,
}

impl AsyncSdpStream {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens there or answers, or there is no fabric. It panics outside of tokio's runtime.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let fabric = Fabric::of_process().map_err(io::Error::other)?;
        let mut stream = Self::new(SdpStream::begin(&fabric, address)?)?;
        poll_fn(|cx| {
            let AsyncSdpStream { stream, waiting } = &mut stream;
            waiting.poll(cx, || match stream.readiness() {
                Readiness { writable: true, .. } => Ok(()),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            })
        })
        .await?;
        match stream.stream.take_error() {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// A stream that is there already.
    ///
    /// # Errors
    /// When the runtime cannot watch its fabric's descriptor.
    pub fn new(stream: SdpStream) -> io::Result<Self> {
        stream.set_nonblocking(true);
        let waiting = Waiting::new(stream.fabric(), stream.key())?;
        Ok(Self { stream, waiting })
    }

    /// The stream itself, which does not block.
    pub const fn get_ref(&self) -> &SdpStream {
        &self.stream
    }

    /// Writes as [`SdpStream::write_from`], and waits until nothing needs the buffer. A task that does not wait for it has written all the
    /// same, and the buffer is busy until the peer has read.
    ///
    /// # Errors
    /// As [`SdpStream::write_from`] of a stream that blocks.
    pub async fn write_from(&mut self, buffer: &SdpBuffer, range: Range<usize>) -> io::Result<usize> {
        let Self { stream, waiting } = self;
        let written = poll_fn(|cx| waiting.poll(cx, || stream.write_from(buffer, range.clone()))).await?;
        poll_fn(|cx| {
            waiting.poll(cx, || match buffer.is_busy() {
                true => Err(stream.take_error().unwrap_or_else(|| io::ErrorKind::WouldBlock.into())),
                false => Ok(written),
            })
        })
        .await
    }

    /// Reads as [`SdpStream::read_into`]. A task that does not wait for it wants all ranges back that wait
    /// ([`SdpStream::withdraw`]): what comes there meanwhile is read next.
    ///
    /// # Errors
    /// As [`SdpStream::read_into`].
    pub async fn read_into(&mut self, buffer: &SdpBuffer, range: Range<usize>) -> io::Result<usize> {
        let Self { stream, waiting } = self;
        let mut wanted = Wanted { stream, is_wanted: true };
        let read = poll_fn(|cx| waiting.poll(cx, || stream.read_into(buffer, range.clone()))).await;
        wanted.is_wanted = read.is_err();
        read
    }
}

/// Memory waits for bytes of a stream, until nobody waits for them.
struct Wanted<'a> {
    stream: &'a SdpStream,
    is_wanted: bool,
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        if self.is_wanted {
            self.stream.withdraw();
        }
    }
}

impl AsyncSdpListener {
    /// Listens.
    ///
    /// # Errors
    /// As [`SdpListener::bind_on`], and when there is no fabric. It panics outside of tokio's runtime.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let fabric = Fabric::of_process().map_err(io::Error::other)?;
        let listener = SdpListener::bind_on(&fabric, address)?;
        listener.set_nonblocking(true);
        let waiting = Waiting::new(&fabric, listener.key())?;
        Ok(Self { listener, waiting })
    }

    /// Waits for a stream; gives it and the peer's address.
    ///
    /// # Errors
    /// As [`SdpListener::accept`].
    pub async fn accept(&mut self) -> io::Result<(AsyncSdpStream, SocketAddr)> {
        let Self { listener, waiting } = self;
        let (stream, peer) = poll_fn(|cx| waiting.poll(cx, || listener.accept())).await?;
        Ok((AsyncSdpStream::new(stream)?, peer))
    }

    /// The listener itself, which does not block.
    pub const fn get_ref(&self) -> &SdpListener {
        &self.listener
    }
}

impl Waiting {
    fn new(fabric: &Fabric, socket: Key) -> io::Result<Self> {
        let descriptor = fabric.descriptor().try_clone_to_owned()?;
        #[expect(
            deprecated,
            reason = "the other way is unsafe, for descriptors that are not owned; this one is"
        )]
        let set = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
        let due = Box::pin(tokio::time::sleep(Duration::ZERO));
        Ok(Self { fabric: fabric.clone(), socket, set, due })
    }

    /// Tries; if that would block, the task is woken when it is worth trying again.
    fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            // Known before it is tried once more, so that nothing is missed in between.
            self.fabric.0.act(|state| {
                if let Some(socket) = state.socket(self.socket) {
                    socket.wakers.retain(|waker| !waker.will_wake(cx.waker()));
                    socket.wakers.push(cx.waker().clone());
                }
            });
            let found = self.fabric.turn();
            let due = self.fabric.deadline();
            if found {
                continue;
            }
            if due == Some(Duration::ZERO) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Poll::Ready(ready) = self.set.poll_read_ready(cx) {
                ready?.clear_ready();
                self.fabric.turn();
                continue;
            }
            let Some(due) = due else { return Poll::Pending };
            self.due.as_mut().reset(Instant::now() + due);
            ready!(self.due.as_mut().poll(cx));
        }
    }
}

impl AsyncRead for AsyncSdpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, waiting } = &mut *self;
        let len = ready!(waiting.poll(cx, || stream.receive(into.initialize_unfilled())))?;
        into.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for AsyncSdpStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, waiting } = &mut *self;
        waiting.poll(cx, || stream.send(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(Shutdown::Write))
    }
}
