//! The system's error numbers as [`IoError`]: the one place where they are mapped.

use stdx::env::IoError;

/// The result of a system call that says -1 for an error.
pub(crate) fn check(result: i32) -> Result<i32, IoError> {
    if result < 0 { Err(last()) } else { Ok(result) }
}

/// The same for calls that count bytes.
pub(crate) fn check_len(result: isize) -> Result<usize, IoError> {
    usize::try_from(result).map_err(|_| last())
}

/// The error of the last system call of this thread.
pub(crate) fn last() -> IoError {
    of(last_errno())
}

/// Its number.
pub(crate) fn last_errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// What an error number means. Those without a meaning of their own keep their number.
pub(crate) fn of(errno: i32) -> IoError {
    match errno {
        libc::EAGAIN => IoError::WouldBlock,
        libc::ECONNREFUSED => IoError::Refused,
        libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED | libc::ENOTCONN => IoError::Reset,
        libc::ETIMEDOUT | libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN => {
            IoError::Unreachable
        }
        libc::EADDRINUSE => IoError::AddressInUse,
        libc::EADDRNOTAVAIL => IoError::AddressNotAvailable,
        libc::ENOENT => IoError::NotFound,
        libc::EEXIST => IoError::Exists,
        libc::EACCES | libc::EPERM | libc::EROFS => IoError::Permission,
        libc::ENOSPC | libc::EDQUOT | libc::EFBIG => IoError::NoSpace,
        libc::EOPNOTSUPP | libc::ENOSYS | libc::ENOTTY | libc::EAFNOSUPPORT => IoError::Unsupported,
        libc::EIO | libc::EREMOTEIO | libc::EILSEQ | libc::ENODATA | libc::EBADE => IoError::Media,
        libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS => IoError::Limit,
        other => IoError::Os(other),
    }
}
