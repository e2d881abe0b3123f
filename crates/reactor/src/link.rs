//! Links as descriptors: Unix sockets with abstract names, over which messages and descriptors of memory go. No state and no
//! events.

use crate::errno::{check, check_len};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use stdx::env::{IoError, LinkName, LinkPeer};

/// A socket that waits for links under a name.
pub(crate) fn listen(name: &LinkName) -> Result<OwnedFd, IoError> {
    let fd = socket()?;
    let (address, len) = abstract_address(name);
    // SAFETY: the pointer and length are of one live address.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) })?;
    // SAFETY: integers only.
    check(unsafe { libc::listen(fd.as_raw_fd(), BACKLOG) })?;
    Ok(fd)
}

/// A link to whoever listens under a name.
pub(crate) fn connect(name: &LinkName) -> Result<OwnedFd, IoError> {
    let fd = socket()?;
    let (address, len) = abstract_address(name);
    // SAFETY: the pointer and length are of one live address.
    let connected = check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), len) });
    match connected {
        Ok(_) => Ok(fd),
        // For connect(2) this is not "later": too many wait there already.
        Err(IoError::WouldBlock) => Err(IoError::Limit),
        Err(error) => Err(error),
    }
}

/// Takes the next link that waits.
pub(crate) fn accept(listener: RawFd) -> Result<OwnedFd, IoError> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no address is asked for; the new descriptor is nobody else's.
    unsafe {
        let fd = check(libc::accept4(listener, core::ptr::null_mut(), core::ptr::null_mut(), flags))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Who is at the other end: who connected, or who listened.
pub(crate) fn peer(fd: &OwnedFd) -> Result<LinkPeer, IoError> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to a live structure of plain integers.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut len,
        )
    })?;
    // SAFETY: the call takes nothing and cannot fail.
    let our_user = unsafe { libc::geteuid() };
    Ok(LinkPeer { user: credentials.uid, our_user })
}

/// Sends a message, with a descriptor if there is one.
pub(crate) fn send(fd: &OwnedFd, bytes: &[u8], memory: Option<BorrowedFd<'_>>) -> Result<(), IoError> {
    let mut iovec = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; CONTROL_WORDS];
    // SAFETY: msghdr is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut iovec;
    message.msg_iovlen = 1;
    if let Some(memory) = memory {
        let size = size_of::<RawFd>() as u32;
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: the macros compute from integers; the room is aligned as headers want and longer than one of them with a
        // descriptor, so that header and value lie within it.
        unsafe {
            message.msg_controllen = libc::CMSG_SPACE(size) as usize;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as usize;
            libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(memory.as_raw_fd());
        }
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    loop {
        // SAFETY: bytes and control bytes are live, and the kernel only reads them.
        let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) };
        match check_len(sent) {
            Err(IoError::Os(libc::EINTR)) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// Takes the next message: its length, and the first descriptor that came with it. No bytes are the end.
pub(crate) fn recv(fd: &OwnedFd, into: &mut [u8]) -> Result<(usize, Option<OwnedFd>), IoError> {
    let mut iovec = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let mut control = [0_u64; CONTROL_WORDS];
    // SAFETY: msghdr is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = &raw mut iovec;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    let len = loop {
        // SAFETY: the kernel writes to `into` and the control bytes, as many as they have; both are borrowed here.
        let got = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) };
        match check_len(got) {
            Err(IoError::Os(libc::EINTR)) => {}
            other => break other?,
        }
    };
    Ok((len, first_descriptor(&message)))
}

/// The first descriptor that came; all others are closed.
fn first_descriptor(message: &libc::msghdr) -> Option<OwnedFd> {
    let mut first = None;
    // SAFETY: the message is one that recvmsg has just filled, and its control bytes are still there.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give whole headers within the control bytes, or null.
        let (level, kind, len) = unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len) };
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the macro computes from integers alone.
            let empty = unsafe { libc::CMSG_LEN(0) } as usize;
            for place in 0..len.saturating_sub(empty) / size_of::<RawFd>() {
                // SAFETY: the kernel wrote so many descriptors behind the header, and nobody else knows of them.
                let fd = unsafe {
                    let at = libc::CMSG_DATA(header).cast::<RawFd>().add(place);
                    OwnedFd::from_raw_fd(at.read_unaligned())
                };
                first.get_or_insert(fd);
            }
        }
        // SAFETY: as for the first.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    first
}

fn socket() -> Result<OwnedFd, IoError> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes integers only; what it returns is a descriptor that nobody else owns.
    unsafe { check(libc::socket(libc::AF_UNIX, kind, 0)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// A name that is no file's (unix(7)): the byte zero, then the name.
fn abstract_address(name: &LinkName) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: sockaddr_un is plain integers, for which zero is a value.
    let mut address: libc::sockaddr_un = unsafe { core::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = name.as_str().as_bytes();
    for (place, byte) in address.sun_path.iter_mut().skip(1).zip(bytes) {
        *place = *byte as libc::c_char;
    }
    let len = core::mem::offset_of!(libc::sockaddr_un, sun_path) + 1 + bytes.len();
    (address, len as libc::socklen_t)
}

/// Room for a few descriptors; the kernel closes those beyond.
const CONTROL_WORDS: usize = 8;

/// Links that wait to be accepted.
const BACKLOG: i32 = 1024;
