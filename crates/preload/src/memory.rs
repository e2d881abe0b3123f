//! The memory that both ends of a carried connection share: made by one, given to the other, mapped by both.
//!
//! It is a file without a name, sealed so that nobody can make it shorter: touching it cannot fail. What another process gives is
//! mapped only if it is that, of the length that is expected, and of ordinary pages.

use crate::next;
use carrier::{MAGIC, MEMORY_LEN, Shared};
use core::ffi::c_void;
use libc::{
    F_ADD_SEALS, F_GET_SEALS, F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK, MAP_FAILED, MAP_SHARED,
    MFD_ALLOW_SEALING, MFD_CLOEXEC, MSG_CMSG_CLOEXEC, MSG_DONTWAIT, MSG_NOSIGNAL, PROT_READ, PROT_WRITE,
    SCM_RIGHTS, SOL_SOCKET, c_int, iovec, msghdr,
};
use std::mem::zeroed;
use std::ptr::null_mut;

/// Memory that is mapped until [`Memory::unmap`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory(*mut u8);

/// What came from the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Given {
    /// Nothing yet.
    Nothing,
    /// The peer is gone, or is none of ours.
    Refused,
    /// Its memory.
    Memory(Memory),
}

impl Memory {
    /// New memory, and the descriptor by which it is given away.
    pub fn create() -> Option<(Memory, c_int)> {
        // SAFETY: the name is a C string.
        let fd = unsafe { libc::memfd_create(c"weft".as_ptr(), MFD_CLOEXEC | MFD_ALLOW_SEALING) };
        if fd < 0 {
            return None;
        }
        // SAFETY: both take numbers alone.
        let is_sealed = unsafe {
            libc::ftruncate(fd, MEMORY_LEN as libc::off_t) == 0
                && next::fcntl(fd, F_ADD_SEALS, (SEALS | F_SEAL_SEAL) as libc::c_ulong) == 0
        };
        let memory = if is_sealed { Memory::map(fd) } else { None };
        if memory.is_none() {
            // SAFETY: it was opened above.
            unsafe { next::close(fd) };
        }
        memory.map(|memory| (memory, fd))
    }

    /// Maps what a descriptor stands for, if it is what it should be.
    fn map(fd: c_int) -> Option<Memory> {
        if !is_ours(fd) {
            return None;
        }
        let protection = PROT_READ | PROT_WRITE;
        // SAFETY: a new mapping at a place of the kernel's choice touches no memory that exists.
        let place = unsafe { libc::mmap(null_mut(), MEMORY_LEN, protection, MAP_SHARED, fd, 0) };
        (place != MAP_FAILED).then_some(Memory(place.cast()))
    }

    /// The words at its beginning.
    ///
    /// # Safety
    /// It stays mapped for as long as they are used.
    pub unsafe fn words<'a>(self) -> &'a Shared {
        // SAFETY: a mapping is page-aligned and longer than the words, which are atomics alone, for which any bytes are a
        // value, also while others write them.
        unsafe { &*self.0.cast::<Shared>() }
    }

    /// Where its bytes lie.
    pub fn base(self) -> *mut u8 {
        self.0
    }

    /// From what [`Memory::base`] said.
    pub fn from_base(base: *mut u8) -> Option<Memory> {
        (!base.is_null()).then_some(Memory(base))
    }

    /// Gives it back.
    ///
    /// # Safety
    /// Nobody uses it any more.
    pub unsafe fn unmap(self) {
        // SAFETY: it was mapped with this length.
        unsafe { libc::munmap(self.0.cast(), MEMORY_LEN) };
    }
}

/// Can this be touched without danger, whoever made it?
fn is_ours(fd: c_int) -> bool {
    // SAFETY: types of the C library's that zeroes are a value of.
    let (mut about, mut system): (libc::stat, libc::statfs) = unsafe { (zeroed(), zeroed()) };
    // SAFETY: each call writes to a place of its type, or takes numbers alone.
    unsafe {
        let seals = next::fcntl(fd, F_GET_SEALS, 0);
        // Memory of large pages has seals too, but may lack a page when it is touched.
        seals >= 0
            && seals & SEALS == SEALS
            && libc::fstat(fd, &mut about) == 0
            && about.st_size == MEMORY_LEN as libc::off_t
            && libc::fstatfs(fd, &mut system) == 0
            && system.f_type == libc::TMPFS_MAGIC
    }
}

/// Gives memory to the peer.
pub fn give(stream: c_int, fd: c_int) -> bool {
    let mut magic = MAGIC;
    with_message(&mut magic, |message| {
        // SAFETY: there is room for the header and one descriptor, as `with_message` has it.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(message);
            (*header).cmsg_level = SOL_SOCKET;
            (*header).cmsg_type = SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size_of::<c_int>() as u32) as _;
            libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(fd);
            next::sendmsg(stream, message, MSG_DONTWAIT | MSG_NOSIGNAL) == MAGIC.len() as isize
        }
    })
}

/// Takes what the peer gives.
pub fn take(stream: c_int) -> Given {
    let mut magic = [0; MAGIC.len()];
    let (len, fd) = with_message(&mut magic, |message| {
        // SAFETY: the message's memory is there; what the kernel wrote as control data is looked at within its length.
        unsafe {
            let len = next::recvmsg(stream, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
            let header = if len < 0 { null_mut() } else { libc::CMSG_FIRSTHDR(message) };
            let is_given = !header.is_null()
                && ((*header).cmsg_level, (*header).cmsg_type) == (SOL_SOCKET, SCM_RIGHTS)
                && (*header).cmsg_len as usize >= libc::CMSG_LEN(size_of::<c_int>() as u32) as usize;
            let fd = if is_given { libc::CMSG_DATA(header).cast::<c_int>().read_unaligned() } else { -1 };
            (len, fd)
        }
    });
    if len < 0 && crate::errno::get() == libc::EAGAIN {
        return Given::Nothing;
    }
    let is_whole = len == MAGIC.len() as isize && magic == MAGIC;
    let memory = if is_whole && fd >= 0 { Memory::map(fd) } else { None };
    if fd >= 0 {
        // SAFETY: the kernel made it for us a moment ago; a mapping outlives it.
        unsafe { next::close(fd) };
    }
    memory.map_or(Given::Refused, Given::Memory)
}

/// A message of these bytes, with room for one descriptor.
fn with_message<R>(bytes: &mut [u8; 8], work: impl FnOnce(&mut msghdr) -> R) -> R {
    let mut piece = iovec { iov_base: bytes.as_mut_ptr().cast::<c_void>(), iov_len: bytes.len() };
    let mut control = [0u64; 4];
    // SAFETY: a type of the C library's that zeroes are a value of.
    let mut message: msghdr = unsafe { zeroed() };
    message.msg_iov = &mut piece;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    // No padding: the kernel would put a second descriptor there.
    // SAFETY: it takes a number.
    message.msg_controllen = unsafe { libc::CMSG_LEN(size_of::<c_int>() as u32) } as _;
    work(&mut message)
}

const SEALS: c_int = F_SEAL_SHRINK | F_SEAL_GROW;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().expect("a pair")
    }

    #[test]
    fn what_is_given_is_the_same_memory() {
        let (here, there) = pair();
        assert_eq!(take(there.as_raw_fd()), Given::Nothing);
        let (mine, fd) = Memory::create().expect("memory");
        assert!(give(here.as_raw_fd(), fd));
        let Given::Memory(theirs) = take(there.as_raw_fd()) else { panic!("it was given") };
        // SAFETY: both are mapped, and nobody else knows them.
        unsafe {
            mine.base().add(MEMORY_LEN - 1).write(7);
            assert_eq!(theirs.base().add(MEMORY_LEN - 1).read(), 7);
            mine.unmap();
            theirs.unmap();
            next::close(fd);
        }
    }

    #[test]
    fn what_could_become_shorter_is_refused() {
        let (here, there) = pair();
        // SAFETY: the name is a C string; the others take numbers.
        unsafe {
            let fd = libc::memfd_create(c"test".as_ptr(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
            assert_eq!(libc::ftruncate(fd, MEMORY_LEN as libc::off_t), 0);
            assert!(give(here.as_raw_fd(), fd));
            assert_eq!(take(there.as_raw_fd()), Given::Refused);
            assert_eq!(next::fcntl(fd, F_ADD_SEALS, SEALS as libc::c_ulong), 0);
            assert!(give(here.as_raw_fd(), fd));
            assert!(matches!(take(there.as_raw_fd()), Given::Memory(_)));
            next::close(fd);
        }
    }

    #[test]
    fn who_gives_nothing_or_goes_is_refused() {
        use std::io::Write;
        let (mut here, there) = pair();
        here.write_all(&MAGIC).expect("room for it");
        assert_eq!(take(there.as_raw_fd()), Given::Refused);
        drop(here);
        assert_eq!(take(there.as_raw_fd()), Given::Refused);
    }
}
