//! Socket addresses as the kernel lays them out.

use crate::errno::check;
use core::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;
use stdx::env::IoError;

/// A socket address for, or from, a system call.
pub(crate) struct RawAddress {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl RawAddress {
    /// Room for any address.
    pub(crate) const fn room() -> Self {
        // SAFETY: sockaddr_storage is plain integers, for which zero is a value.
        let storage = unsafe { MaybeUninit::zeroed().assume_init() };
        Self { storage, len: size_of::<libc::sockaddr_storage>() as libc::socklen_t }
    }

    /// A copy of an address of IP; `None` of any other.
    ///
    /// # Safety
    /// `address` points to a socket address that is as long as its family has it.
    pub(crate) unsafe fn copy(address: *const libc::sockaddr) -> Option<Self> {
        let mut raw = Self::room();
        // SAFETY: as the caller says.
        let len = match i32::from(unsafe { (*address).sa_family }) {
            libc::AF_INET => size_of::<libc::sockaddr_in>(),
            libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
            _ => return None,
        };
        // SAFETY: the source has so many bytes, as the caller says, and the storage has room for every address.
        unsafe { core::ptr::copy_nonoverlapping(address.cast::<u8>(), (&raw mut raw.storage).cast(), len) };
        raw.len = len as libc::socklen_t;
        Some(raw)
    }

    /// Where the address begins.
    pub(crate) fn as_ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    /// How long it is.
    pub(crate) const fn len(&self) -> libc::socklen_t {
        self.len
    }

    /// For a call that writes an address: where to, and where its length stands.
    pub(crate) fn as_mut_ptrs(&mut self) -> (*mut libc::sockaddr, *mut libc::socklen_t) {
        ((&raw mut self.storage).cast(), &raw mut self.len)
    }

    /// The address, if it is one of IP.
    pub(crate) fn get(&self) -> Option<SocketAddr> {
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the storage is large and aligned enough for every address, and all bits are valid integers.
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let raw = unsafe { &*(&raw const self.storage).cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let port = u16::from_be(raw.sin6_port);
                Some(SocketAddrV6::new(ip, port, raw.sin6_flowinfo, raw.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        let mut raw = Self::room();
        match address {
            SocketAddr::V4(v4) => {
                // SAFETY: the storage is large and aligned enough for every address, and this is its only view.
                let out = unsafe { &mut *(&raw mut raw.storage).cast::<libc::sockaddr_in>() };
                out.sin_family = libc::AF_INET as libc::sa_family_t;
                out.sin_port = v4.port().to_be();
                out.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
                raw.len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V6(v6) => {
                // SAFETY: as above.
                let out = unsafe { &mut *(&raw mut raw.storage).cast::<libc::sockaddr_in6>() };
                out.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                out.sin6_port = v6.port().to_be();
                out.sin6_addr.s6_addr = v6.ip().octets();
                out.sin6_flowinfo = v6.flowinfo();
                out.sin6_scope_id = v6.scope_id();
                raw.len = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            }
        }
        raw
    }
}

/// The address a socket is bound to.
pub(crate) fn local(fd: RawFd) -> Result<SocketAddr, IoError> {
    let mut address = RawAddress::room();
    let (at, len) = address.as_mut_ptrs();
    // SAFETY: both pointers are to live storage of the length that stands in `len`.
    check(unsafe { libc::getsockname(fd, at, len) })?;
    address.get().ok_or(IoError::Unsupported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_kernels_layout() {
        for text in ["127.0.0.1:4420", "[::1]:8009", "[fe80::1%7]:65535", "0.0.0.0:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(RawAddress::from(address).get(), Some(address));
        }
        assert_eq!(RawAddress::room().get(), None);
    }
}
