//! Streams.

use crate::Fabric;
use crate::errors::error_of;
use crate::state::State;
use sdp::sockets::{Readiness, SocketError};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdx::slab::Key;

/// A stream between two sockets, as [`std::net::TcpStream`] is one. Threads may share it.
pub struct SdpStream {
    fabric: Fabric,
    key: Key,
    is_nonblocking: AtomicBool,
    timeouts: Mutex<Timeouts>,
}

/// How long reading and writing wait.
#[derive(Clone, Copy, Default)]
pub(crate) struct Timeouts {
    pub(crate) read: Option<Duration>,
    pub(crate) write: Option<Duration>,
}

/// One direction, or either.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Until reading gives something.
    Read,
    /// Until writing takes something.
    Write,
    /// Until one of them does.
    Either,
}

impl SdpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    /// When none does, or there is no fabric.
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<Self> {
        let fabric = Fabric::of_process().map_err(io::Error::other)?;
        let mut last = io::ErrorKind::InvalidInput.into();
        for address in address.to_socket_addrs()? {
            match Self::connect_on(&fabric, address) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The same, of a fabric, to one address.
    ///
    /// # Errors
    /// When nobody listens there, or does not answer.
    pub fn connect_on(fabric: &Fabric, address: SocketAddr) -> io::Result<Self> {
        let stream = Self::begin(fabric, address)?;
        stream.set_nonblocking(false);
        stream.wait(Interest::Write, None);
        match stream.take_error() {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Begins to connect, without waiting: the stream can be written once it is there. It does not block.
    ///
    /// # Errors
    /// When it is known at once that nobody listens there.
    pub fn begin(fabric: &Fabric, address: SocketAddr) -> io::Result<Self> {
        let key = fabric.0.act(|state| state.connect(address))?;
        Ok(Self::of(fabric, key, true))
    }

    /// Begins to connect through the device of this machine at `route` (see [`Fabric::route`]), for addresses that both ends know
    /// from elsewhere. It does not block.
    ///
    /// # Errors
    /// When a limit is reached.
    pub fn connect_to_device(
        fabric: &Fabric,
        route: SocketAddr,
        from: SocketAddr,
        to: SocketAddr,
    ) -> io::Result<Self> {
        let key = fabric.0.act(|state| state.connect_to_device(route, from, to))?;
        Ok(Self::of(fabric, key, true))
    }

    pub(crate) fn of(fabric: &Fabric, key: Key, is_nonblocking: bool) -> Self {
        let is_nonblocking = AtomicBool::new(is_nonblocking);
        Self { fabric: fabric.clone(), key, is_nonblocking, timeouts: Mutex::default() }
    }

    /// Reads bytes that have come; none is the stream's end.
    ///
    /// # Errors
    /// When the stream ended as it should not, nothing came in time, or nothing has come and it does not block.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        self.repeat(self.timeouts().read, |state, key| {
            state.with(key, |port, env, id| port.sockets.read(env, &mut port.device, id, into))
        })
    }

    /// The same, and leaves them where they are.
    ///
    /// # Errors
    /// As [`SdpStream::receive`].
    pub fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        self.repeat(self.timeouts().read, |state, key| {
            state.with(key, |port, env, id| port.sockets.peek(env, id, into))
        })
    }

    /// Writes bytes; says how many, at least one of some.
    ///
    /// # Errors
    /// When the stream is closed for writing, nothing was taken in time, or nothing can be taken and it does not block.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.repeat(self.timeouts().write, |state, key| {
            state.with(key, |port, env, id| port.write(env, id, bytes))
        })
    }

    /// The same as [`SdpStream::send`], and the last byte is urgent.
    ///
    /// # Errors
    /// As [`SdpStream::send`].
    pub fn send_urgent(&self, bytes: &[u8]) -> io::Result<usize> {
        self.repeat(self.timeouts().write, |state, key| {
            state.with(key, |port, env, id| port.sockets.write_urgent(env, &mut port.device, id, bytes))
        })
    }

    /// Takes the urgent byte, if one has come.
    pub fn take_urgent(&self) -> Option<u8> {
        self.with(|state, key| state.with(key, |port, _, id| Ok(port.sockets.take_urgent(id)))).ok().flatten()
    }

    /// Whether the urgent byte's place is where reading goes on.
    pub fn is_at_mark(&self) -> bool {
        let asked = self.with(|state, key| state.with(key, |port, _, id| Ok(port.sockets.is_at_mark(id))));
        asked.unwrap_or(false)
    }

    /// Bytes that can be read without waiting.
    pub fn readable(&self) -> u64 {
        let asked = self.with(|state, key| state.with(key, |port, _, id| Ok(port.sockets.readable(id))));
        asked.unwrap_or(0)
    }

    /// Bytes that were written and have not arrived at the peer.
    pub fn unsent(&self) -> u64 {
        let asked = self.with(|state, key| state.with(key, |port, _, id| Ok(port.sockets.unsent(id))));
        asked.unwrap_or(0)
    }

    /// What can be done now, without looking for what came since the last turn of the fabric.
    pub fn readiness(&self) -> Readiness {
        self.with(|state, key| state.readiness(key))
    }

    /// Waits until something can be done; what that is, or what it is when the time is over.
    pub fn wait(&self, interest: Interest, timeout: Option<Duration>) -> Readiness {
        let key = self.key;
        let waited = self.fabric.0.wait(key, timeout, |state| {
            let ready = state.readiness(key);
            let is_done = match interest {
                Interest::Read => ready.readable,
                Interest::Write => ready.writable,
                Interest::Either => ready.readable || ready.writable,
            };
            is_done.then_some(ready)
        });
        waited.unwrap_or_else(|| self.readiness())
    }

    /// Closes one half, or both.
    ///
    /// # Errors
    /// When the stream is not there.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let done = self.with(|state, key| {
            state.with(key, |port, env, id| {
                if how != Shutdown::Write {
                    port.sockets.shut_read(id);
                }
                if how != Shutdown::Read {
                    port.sockets.shut_write(env, &mut port.device, id);
                }
                Ok(())
            })
        });
        done.map_err(error_of)
    }

    /// Has the stream pause: both ends finish what is under way and let go of the queue pair between them. A stream that blocks waits
    /// until it has paused. The peer's end does its part by itself. What is written meanwhile waits, and whoever does not call
    /// [`SdpStream::resume`] within [`Config::resume_timeout`](sdp::sockets::Config::resume_timeout) loses the stream.
    ///
    /// # Errors
    /// When the stream is not open, pauses already, or ends meanwhile.
    pub fn suspend(&self) -> io::Result<()> {
        let begun = self.with(|state, key| {
            state.with(key, |port, env, id| port.sockets.suspend(env, &mut port.device, id))
        });
        begun.map_err(error_of)?;
        self.until(|state, key| state.with(key, |port, _, id| Ok(port.sockets.is_suspended(id))))
    }

    /// Has a stream that was suspended go on with another queue pair. One that blocks waits until it does.
    ///
    /// # Errors
    /// When the stream is not there, or the peer does not come back in time.
    pub fn resume(&self) -> io::Result<()> {
        let begun = self.with(|state, key| {
            state.with(key, |port, env, id| {
                port.sockets.resume(env, &mut port.device, id);
                Ok(())
            })
        });
        begun.map_err(error_of)?;
        self.until(|state, key| state.with(key, |port, _, id| Ok(!port.sockets.is_pausing(id))))
    }

    /// Whether the stream has paused.
    pub fn is_suspended(&self) -> bool {
        let asked = self.with(|state, key| state.with(key, |port, _, id| Ok(port.sockets.is_suspended(id))));
        asked.unwrap_or(false)
    }

    /// Waits until something is so, if the stream blocks; its end is an error.
    fn until(&self, mut is_so: impl FnMut(&mut State, Key) -> Result<bool, SocketError>) -> io::Result<()> {
        if !self.blocks() {
            return Ok(());
        }
        let waited = self.fabric.0.wait(self.key, None, |state| {
            let key = self.key;
            let failed = state.with(key, |port, _, id| {
                let ended = port.sockets.readiness(id).ended;
                Ok(ended.then(|| port.sockets.take_error(id).unwrap_or(SocketError::Reset)))
            });
            match failed.and_then(|failed| failed.map_or(Ok(()), Err)) {
                Err(error) => Some(Err(error)),
                Ok(()) => is_so(state, key).map(|is_so| is_so.then_some(())).transpose(),
            }
        });
        waited.unwrap_or(Err(SocketError::WouldBlock)).map_err(error_of)
    }

    /// Ends the stream at once: the peer sees a reset, and what is under way is lost.
    pub fn abort(&self) {
        // One that is not there has ended.
        let _ = self.with(|state, key| {
            state.with(key, |port, env, id| {
                port.sockets.abort(env, &mut port.device, id);
                Ok(())
            })
        });
    }

    /// Why the stream ended, or did not come about; told once.
    pub fn take_error(&self) -> Option<io::Error> {
        let asked = self.with(|state, key| state.with(key, |port, _, id| Ok(port.sockets.take_error(id))));
        match asked {
            Ok(error) => error.map(error_of),
            Err(SocketError::WouldBlock) => None,
            Err(error) => Some(error_of(error)),
        }
    }

    /// Whether reading and writing return at once if nothing can be done.
    pub fn set_nonblocking(&self, is_nonblocking: bool) {
        self.is_nonblocking.store(is_nonblocking, Ordering::Relaxed);
    }

    /// How long reading waits; `None` is for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.timeouts.lock().unwrap_or_else(PoisonError::into_inner).read = timeout;
    }

    /// How long writing waits; `None` is for ever.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.timeouts.lock().unwrap_or_else(PoisonError::into_inner).write = timeout;
    }

    /// The stream's own address.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let found = self.with(|state, key| state.addresses(key));
        found.map(|(local, _)| local).ok_or_else(|| error_of(SocketError::NotFound))
    }

    /// The peer's address.
    ///
    /// # Errors
    /// When the stream is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        let found = self.with(|state, key| state.addresses(key));
        found.and_then(|(_, peer)| peer).ok_or_else(|| error_of(SocketError::NotFound))
    }

    pub(crate) const fn key(&self) -> Key {
        self.key
    }

    /// The fabric it is of.
    pub const fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// Whether reading and writing wait.
    pub(crate) fn blocks(&self) -> bool {
        !self.is_nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        *self.timeouts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State, Key) -> T) -> T {
        self.fabric.0.act(|state| act(state, self.key))
    }

    /// Tries until something comes of it, if the stream blocks.
    pub(crate) fn repeat(
        &self,
        timeout: Option<Duration>,
        mut attempt: impl FnMut(&mut State, Key) -> Result<usize, SocketError>,
    ) -> io::Result<usize> {
        let key = self.key;
        if !self.blocks() {
            return self
                .with(|state, key| match attempt(state, key) {
                    Err(SocketError::WouldBlock) => {
                        state.turn();
                        attempt(state, key)
                    }
                    result => result,
                })
                .map_err(error_of);
        }
        let done = self.fabric.0.wait(key, timeout, |state| match attempt(state, key) {
            Err(SocketError::WouldBlock) => None,
            result => Some(result),
        });
        done.unwrap_or(Err(SocketError::WouldBlock)).map_err(error_of)
    }
}

impl Read for &SdpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.receive(into)
    }
}

impl Write for &SdpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for SdpStream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.receive(into)
    }
}

impl Write for SdpStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SdpStream {
    fn drop(&mut self) {
        self.with(|state, key| state.close(key));
    }
}

impl fmt::Debug for SdpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdpStream").field("key", &self.key).finish_non_exhaustive()
    }
}
