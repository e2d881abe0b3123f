//! Memory that one process writes and others read: a file without a name, sealed before anyone else sees it.
//!
//! The owner has the only mapping that can be written (F_SEAL_FUTURE_WRITE), and nobody can make the file shorter, so that
//! reading it never fails and no reader can change it. What is in it is the owner's alone to say, at any moment: readers
//! copy first and believe the copy.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use thiserror::Error;

/// A sealed file of one mapping's bytes. Whoever has it may read all of them.
#[derive(Clone, Debug)]
pub struct Share {
    file: Arc<OwnedFd>,
    len: u64,
}

/// A descriptor is not of memory that can be read without danger.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ShareError {
    /// It could be made shorter, or others could write it.
    #[error("the memory is not sealed")]
    NotSealed,
    /// It has no bytes, or more than the address space.
    #[error("the memory has no sane length")]
    Length,
}

impl Share {
    /// Takes a descriptor that another process gave, if it is of sealed memory.
    pub fn from_descriptor(file: OwnedFd) -> Result<Self, ShareError> {
        if !sys::is_sealed(&file) {
            return Err(ShareError::NotSealed);
        }
        let len = sys::len(&file).filter(|len| (1..=LEN_MAX).contains(len)).ok_or(ShareError::Length)?;
        Ok(Self { file: Arc::new(file), len })
    }

    /// The descriptor, to be given to another process.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// True if there are none, which cannot be.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A new file of `len` zero bytes, mapped for its owner and sealed.
    pub(super) fn create(len: usize) -> Option<(Self, *mut u8)> {
        let file = sys::create(len)?;
        let base = sys::map(&file, len, true)?;
        if !sys::seal(&file) {
            sys::unmap(base, len);
            return None;
        }
        Some((Self { file: Arc::new(file), len: len as u64 }, base))
    }

    /// Maps it for reading.
    pub(super) fn map(&self) -> Option<*mut u8> {
        sys::map(&self.file, usize::try_from(self.len).ok()?, false)
    }
}

/// The longest memory that is taken from another process: 1 TiB of address space.
const LEN_MAX: u64 = 1 << 40;

#[cfg(not(miri))]
mod sys {
    use core::ptr;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    /// What must hold before others see the file, and what we ask of theirs. F_SEAL_FUTURE_WRITE is Linux 5.1.
    const SEALS: i32 =
        libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL | libc::F_SEAL_FUTURE_WRITE;

    pub(super) fn create(len: usize) -> Option<OwnedFd> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a C string, and what the call returns is a descriptor that nobody else owns.
        let file = unsafe {
            let fd = libc::memfd_create(c"weft".as_ptr(), flags);
            if fd < 0 {
                return None;
            }
            OwnedFd::from_raw_fd(fd)
        };
        // SAFETY: the call takes integers only.
        let is_long = unsafe { libc::ftruncate(file.as_raw_fd(), i64::try_from(len).ok()?) } == 0;
        is_long.then_some(file)
    }

    pub(super) fn seal(file: &OwnedFd) -> bool {
        // SAFETY: the call takes integers only.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, SEALS) == 0 }
    }

    pub(super) fn is_sealed(file: &OwnedFd) -> bool {
        // SAFETY: the call takes integers only; -1, for what is no such file, would have every bit.
        let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
        seals >= 0 && seals & SEALS == SEALS
    }

    pub(super) fn len(file: &OwnedFd) -> Option<u64> {
        // SAFETY: stat is plain integers, for which zero is a value.
        let mut stat: libc::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the kernel writes one stat, which lives on this stack.
        let got = unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) };
        if got == 0 { u64::try_from(stat.st_size).ok() } else { None }
    }

    pub(super) fn map(file: &OwnedFd, len: usize, may_write: bool) -> Option<*mut u8> {
        let protection = if may_write { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing of ours. The file cannot become
        // shorter than it: ours not before it is sealed, another's because it was found sealed.
        let at = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, file.as_raw_fd(), 0) };
        (at != libc::MAP_FAILED).then_some(at.cast())
    }

    pub(super) fn unmap(base: *mut u8, len: usize) {
        // SAFETY: a whole mapping that was just made, and that nobody uses.
        unsafe { libc::munmap(base.cast(), len) };
    }
}

/// Miri knows no files without a name: nothing can be shared.
#[cfg(miri)]
mod sys {
    use std::os::fd::OwnedFd;

    pub(super) fn create(_len: usize) -> Option<OwnedFd> {
        None
    }

    pub(super) fn seal(_file: &OwnedFd) -> bool {
        false
    }

    pub(super) fn is_sealed(_file: &OwnedFd) -> bool {
        false
    }

    pub(super) fn len(_file: &OwnedFd) -> Option<u64> {
        None
    }

    pub(super) fn map(_file: &OwnedFd, _len: usize, _may_write: bool) -> Option<*mut u8> {
        None
    }

    pub(super) fn unmap(_base: *mut u8, _len: usize) {}
}
