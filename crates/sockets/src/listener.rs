//! Listeners.

use crate::errors::error_of;
use crate::{Fabric, SdpStream};
use sdp::sockets::SocketError;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdx::slab::Key;

/// Waits for streams at an address, as [`std::net::TcpListener`] does.
///
/// Peers on this machine find it at every address of this machine that it listens at. Peers elsewhere find it if it listens
/// at an address of a network, and no other process has that address's device.
pub struct SdpListener {
    fabric: Fabric,
    key: Key,
    is_nonblocking: AtomicBool,
}

impl SdpListener {
    /// Listens at the first of the addresses that can be had; port 0 takes a free one.
    ///
    /// # Errors
    /// When none can, or there is no fabric.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let fabric = Fabric::of_process().map_err(io::Error::other)?;
        let mut last = io::ErrorKind::InvalidInput.into();
        for address in address.to_socket_addrs()? {
            match Self::bind_on(&fabric, address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The same, of a fabric, at one address.
    ///
    /// # Errors
    /// When someone else listens there, or the address is none of this machine's.
    pub fn bind_on(fabric: &Fabric, address: SocketAddr) -> io::Result<Self> {
        let key = fabric.0.act(|state| state.listen(address))?;
        Ok(Self { fabric: fabric.clone(), key, is_nonblocking: AtomicBool::new(false) })
    }

    /// Waits for a stream; gives it and the peer's address.
    ///
    /// # Errors
    /// When a limit is reached, or none waits and the listener does not block.
    pub fn accept(&self) -> io::Result<(SdpStream, SocketAddr)> {
        let timeout = self.is_nonblocking.load(Ordering::Relaxed).then_some(Duration::ZERO);
        let key = self.key;
        let accepted = self.fabric.0.wait(key, timeout, |state| state.accept(key).transpose());
        let (stream, peer) = accepted.unwrap_or_else(|| Err(error_of(SocketError::WouldBlock)))?;
        Ok((SdpStream::of(&self.fabric, stream, false), peer))
    }

    /// Streams that come, one after the other, for ever.
    pub fn incoming(&self) -> impl Iterator<Item = io::Result<SdpStream>> + '_ {
        core::iter::repeat_with(|| self.accept().map(|(stream, _)| stream))
    }

    /// Whether a stream waits, without looking for what came since the last turn of the fabric.
    pub fn is_ready(&self) -> bool {
        self.fabric.0.act(|state| state.readiness(self.key).readable)
    }

    /// Whether accepting returns at once if no stream waits.
    pub fn set_nonblocking(&self, is_nonblocking: bool) {
        self.is_nonblocking.store(is_nonblocking, Ordering::Relaxed);
    }

    /// The address that is listened at.
    ///
    /// # Errors
    /// When the listener is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let found = self.fabric.0.act(|state| state.addresses(self.key));
        found.map(|(local, _)| local).ok_or_else(|| error_of(SocketError::NotFound))
    }

    /// Whether peers elsewhere find it.
    pub fn is_on_network(&self) -> bool {
        self.fabric.0.act(|state| state.is_on_network(self.key))
    }

    pub(crate) const fn key(&self) -> Key {
        self.key
    }
}

impl Drop for SdpListener {
    fn drop(&mut self) {
        self.fabric.0.act(|state| state.close(self.key));
    }
}

impl fmt::Debug for SdpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdpListener").field("key", &self.key).finish_non_exhaustive()
    }
}
