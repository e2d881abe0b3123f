//! Sockets that come, connect, listen and accept.

use super::hooks;
use crate::connection::{self, Connection};
use crate::descriptors::{self, Entry};
use crate::watch::registry;
use crate::{address, errno, next, option, process, uring};
use core::ffi::c_void;
use launch::Reason;
use launch::page::Phase;
use libc::{
    AF_INET, AF_INET6, EINPROGRESS, EINTR, ENOPROTOOPT, IPPROTO_TCP, SHUT_RD, SHUT_RDWR, SO_DOMAIN,
    SO_PROTOCOL, SO_RCVLOWAT, SO_TIMESTAMPING, SO_ZEROCOPY, SOCK_STREAM, SOL_SOCKET, TCP_REPAIR, TCP_ULP,
    c_int, sockaddr, socklen_t,
};

hooks! {
    /// A TCP socket is ours from its beginning.
    fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
        // SAFETY: it takes numbers alone.
        let fd = unsafe { next::socket(family, kind, protocol) };
        let is_tcp = matches!(family, AF_INET | AF_INET6)
            && kind & KIND_MASK == SOCK_STREAM
            && matches!(protocol, 0 | IPPROTO_TCP);
        if fd >= 0 && is_tcp && !uring::is_used() {
            errno::kept(|| { Connection::begin(fd); });
        }
        fd
    }

    /// Who connects may have a peer that is met later.
    fn connect(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
        // SAFETY: as the caller has it.
        let Some(to) = Connection::of(fd).and_then(|_| unsafe { address::given(address, len) }) else {
            // SAFETY: as the caller has it.
            return unsafe { next::connect(fd, address, len) };
        };
        if errno::kept(|| connection::is_refused(to)) {
            return errno::fail(libc::ECONNREFUSED) as c_int;
        }
        // SAFETY: as the caller has it.
        let answer = unsafe { next::connect(fd, address, len) };
        if answer == 0 || matches!(errno::get(), EINPROGRESS | EINTR) {
            errno::kept(|| connection::connected(fd));
        }
        answer
    }

    /// The C library's other name for [`connect`].
    fn __connect(fd: c_int, address: *const sockaddr, len: socklen_t) -> c_int {
        // SAFETY: as the caller has it.
        unsafe { connect(fd, address, len) }
    }

    /// Who listens says so.
    fn listen(fd: c_int, backlog: c_int) -> c_int {
        // SAFETY: it takes numbers alone.
        let answer = unsafe { next::listen(fd, backlog) };
        if answer == 0 {
            errno::kept(|| connection::listens(fd));
        }
        answer
    }

    /// What a listener of ours accepts is ours.
    fn accept(fd: c_int, address: *mut sockaddr, len: *mut socklen_t) -> c_int {
        // SAFETY: as the caller has it.
        accepted(fd, unsafe { next::accept(fd, address, len) })
    }

    /// As [`accept`].
    fn accept4(fd: c_int, address: *mut sockaddr, len: *mut socklen_t, flags: c_int) -> c_int {
        // SAFETY: as the caller has it.
        accepted(fd, unsafe { next::accept4(fd, address, len, flags) })
    }

    /// A direction that ends does so by both ways, the carrier first: TCP tells the peer of it.
    fn shutdown(fd: c_int, how: c_int) -> c_int {
        if let Some(connection) = Connection::of(fd).filter(|connection| connection.phase() == Phase::Met) {
            errno::kept(|| {
                if how != SHUT_RD {
                    connection.go_back_with_all(fd);
                }
                if matches!(how, SHUT_RD | SHUT_RDWR) {
                    connection.reads_no_more();
                }
            });
        }
        // SAFETY: it takes numbers alone.
        unsafe { next::shutdown(fd, how) }
    }

    /// Options that only TCP has keep the connection there.
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: socklen_t) -> c_int {
        let Some(connection) = Connection::of(fd) else {
            // SAFETY: as the caller has it.
            return unsafe { next::setsockopt(fd, level, name, value, len) };
        };
        let tcps = matches!(
            (level, name),
            (SOL_SOCKET, SO_ZEROCOPY | SO_TIMESTAMPING) | (IPPROTO_TCP, TCP_ULP | TCP_REPAIR)
        );
        if tcps {
            errno::kept(|| connection.leave_alone(fd, Reason::Option));
            if level == IPPROTO_TCP && connection.phase() == Phase::Met {
                return errno::fail(ENOPROTOOPT) as c_int;
            }
        }
        // SAFETY: as the caller has it.
        let answer = unsafe { next::setsockopt(fd, level, name, value, len) };
        if answer == 0 && (level, name) == (SOL_SOCKET, SO_RCVLOWAT) && connection::waits_for_several(fd) {
            errno::kept(|| connection.leave_alone(fd, Reason::Option));
        }
        answer
    }
}

fn accepted(listener: c_int, fd: c_int) -> c_int {
    if fd >= 0 && !uring::is_used() && errno::kept(|| is_ours(listener)) {
        errno::kept(|| connection::accepted(fd));
    }
    fd
}

/// Is this a listener that said that it is one, or may say so now? It may have been made by another program, which gave it to this one.
fn is_ours(listener: c_int) -> bool {
    match descriptors::get(listener) {
        Entry::Listener(_) => true,
        Entry::Foreign if !process::is_foreign() && is_tcp(listener) => connection::inherits(listener),
        _ => false,
    }
}

fn is_tcp(fd: c_int) -> bool {
    option::number(fd, SO_PROTOCOL) == Some(IPPROTO_TCP)
        && matches!(option::number(fd, SO_DOMAIN), Some(AF_INET | AF_INET6))
}

/// The program is about to lose a descriptor, or has lost it.
pub fn lost(fd: c_int) {
    if process::is_foreign() {
        return;
    }
    match descriptors::get(fd) {
        Entry::Foreign | Entry::Private => {}
        Entry::Connection(_) => {
            if let Some(connection) = Connection::of(fd) {
                connection.released(fd);
            }
        }
        Entry::Listener(mark) => {
            descriptors::set(fd, Entry::Foreign);
            if descriptors::let_go_mark(mark) {
                crate::private::close(mark);
            }
        }
        Entry::Set(first) => {
            descriptors::set(fd, Entry::Foreign);
            registry::lose_set(fd, first);
        }
    }
}

/// Flags stand above the kind of a socket.
const KIND_MASK: c_int = 0xf;
