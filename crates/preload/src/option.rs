//! What the kernel says of a socket.

use crate::next;
use core::ffi::c_void;
use libc::{IPPROTO_IPV6, IPV6_V6ONLY, SOL_SOCKET, c_int, socklen_t};
use std::mem::size_of;

/// An option of a socket's own level; none if the kernel does not tell. Where it says less than there is room for, the rest is `value`'s.
///
/// # Safety
/// Any bytes are a `T`.
pub unsafe fn of_socket<T>(fd: c_int, option: c_int, value: T) -> Option<T> {
    // SAFETY: as the caller has it.
    unsafe { of_level(fd, SOL_SOCKET, option, value) }
}

/// The same of any level.
///
/// # Safety
/// Any bytes are a `T`.
unsafe fn of_level<T>(fd: c_int, level: c_int, option: c_int, mut value: T) -> Option<T> {
    let mut len = size_of::<T>() as socklen_t;
    let place = (&raw mut value).cast::<c_void>();
    // SAFETY: the place is as long as is said, and as the caller has it.
    let answer = unsafe { next::getsockopt(fd, level, option, place, &mut len) };
    (answer == 0).then_some(value)
}

/// The same of one that is a number.
pub fn number(fd: c_int, option: c_int) -> Option<c_int> {
    // SAFETY: any bytes are a number.
    unsafe { of_socket(fd, option, 0) }
}

/// Does a socket of IPv6 know no IPv4?
pub fn is_of_six_alone(fd: c_int) -> bool {
    // SAFETY: any bytes are a number.
    let answer: Option<c_int> = unsafe { of_level(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) };
    answer == Some(1)
}
