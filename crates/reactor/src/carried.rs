//! Memory that a program under `weft run` and its relay share: a file without a name, sealed so that nobody can make it shorter, mapped
//! by both, and written by both at any moment.
//!
//! It holds the words of [`carrier`], which are atomics, and bytes, which are copied in and out and never lent.

use crate::errno::check;
use carrier::{MEMORY_LEN, Shared, Span};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use stdx::env::IoError;

/// See the module.
#[derive(Debug)]
pub struct CarriedMemory {
    base: NonNull<u8>,
    file: OwnedFd,
}

impl CarriedMemory {
    /// New memory, of zeroes.
    ///
    /// # Errors
    /// When the system lacks memory or descriptors.
    pub fn create() -> Result<Self, IoError> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: the name is a C string, and what the call returns is a descriptor that nobody else owns.
        let file = unsafe { OwnedFd::from_raw_fd(check(libc::memfd_create(c"weft-relay".as_ptr(), flags))?) };
        let fd = file.as_raw_fd();
        // SAFETY: both calls take integers only.
        unsafe {
            check(libc::ftruncate(fd, MEMORY_LEN as libc::off_t))?;
            check(libc::fcntl(fd, libc::F_ADD_SEALS, SEALS))?;
        }
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the system's choice touches nothing of ours; the file is sealed, so that it
        // stays as long as it is.
        let at =
            unsafe { libc::mmap(core::ptr::null_mut(), MEMORY_LEN, protection, libc::MAP_SHARED, fd, 0) };
        let base = NonNull::new(at.cast::<u8>()).filter(|_| at != libc::MAP_FAILED).ok_or(IoError::Limit)?;
        Ok(Self { base, file })
    }

    /// The words at its beginning.
    pub fn words(&self) -> &Shared {
        // SAFETY: the mapping is page-aligned, longer than the words, and stays as long as `self`. They are atomics alone, for which
        // any bytes are a value, also while others write them.
        unsafe { self.base.cast::<Shared>().as_ref() }
    }

    /// Copies bytes out, as many as both have room for.
    pub fn read(&self, from: Span, into: &mut [u8]) {
        let (offset, len) = within(from, into.len());
        // SAFETY: `within` keeps them inside the mapping; what another process writes meanwhile spoils bytes that nobody relies on.
        unsafe { into.as_mut_ptr().copy_from_nonoverlapping(self.base.as_ptr().add(offset), len) };
    }

    /// Copies bytes in, as many as both have room for.
    pub fn write(&self, to: Span, from: &[u8]) {
        let (offset, len) = within(to, from.len());
        // SAFETY: as above.
        unsafe { self.base.as_ptr().add(offset).copy_from_nonoverlapping(from.as_ptr(), len) };
    }

    /// What it is given to a program by.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for CarriedMemory {
    fn drop(&mut self) {
        // SAFETY: the whole mapping, which nobody has a reference to any more.
        unsafe { libc::munmap(self.base.as_ptr().cast(), MEMORY_LEN) };
    }
}

/// The part of a span that lies in the memory, behind its words, and is no longer than what it is copied from or to.
fn within(span: Span, len: usize) -> (usize, usize) {
    let offset = span.offset.clamp(carrier::HEADER_LEN, MEMORY_LEN);
    (offset, span.len.min(len).min(MEMORY_LEN - offset))
}

/// Nobody can change its length.
const SEALS: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;

#[cfg(test)]
mod tests {
    use super::*;
    use carrier::End;

    #[test]
    fn bytes_and_words_are_kept() {
        let memory = CarriedMemory::create().expect("memory");
        let mut writer = memory.words().writer(End::Client, 0);
        let span = writer.free(5);
        memory.write(span, b"hello");
        writer.advance(5);
        assert!(!writer.publish(), "nobody sleeps");
        let reader = memory.words().reader(End::Server, 0);
        let mut bytes = [0; 5];
        memory.read(reader.filled(9), &mut bytes);
        assert_eq!(&bytes, b"hello");
    }

    #[test]
    fn no_span_reaches_past_its_end() {
        let memory = CarriedMemory::create().expect("memory");
        for offset in [0, MEMORY_LEN - 3, MEMORY_LEN, usize::MAX] {
            memory.write(Span { offset, len: usize::MAX }, &[7; 100]);
            memory.read(Span { offset, len: usize::MAX }, &mut [0; 100]);
        }
    }
}
