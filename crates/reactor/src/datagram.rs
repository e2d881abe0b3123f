//! UDP sockets as descriptors: how they are made, and runs of datagrams moved through. No state and no events.

use crate::address::RawAddress;
use crate::errno::{check, check_len};
use crate::interfaces;
use core::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use stdx::env::{IoError, ReceivedRun, Run};
use stdx::mem::{Memory, Span};

/// A non-blocking UDP socket at an address, and whether the kernel cuts runs into datagrams.
///
/// It is not connected, and its packets are never cut: Linux then sends identification 0, and counts up within a run. If the
/// address is a multicast group's, the interface that has the address `member` becomes a member.
pub(crate) fn open(address: SocketAddr, member: Option<IpAddr>) -> Result<(OwnedFd, bool), IoError> {
    // A socket of one address needs not be told which one was meant.
    let (is_v4, is_anywhere) = (address.is_ipv4(), address.ip().is_unspecified());
    let family = if is_v4 { libc::AF_INET } else { libc::AF_INET6 };
    let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes integers only; what it returns is a descriptor that nobody else owns.
    let fd = unsafe { check(libc::socket(family, kind, 0)).map(|fd| OwnedFd::from_raw_fd(fd))? };
    if is_v4 {
        set(&fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)?;
        set(&fd, libc::IPPROTO_IP, libc::IP_PKTINFO, i32::from(is_anywhere))?;
        set(&fd, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)?;
    } else {
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)?;
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, i32::from(is_anywhere))?;
        set(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)?;
        // Tunnels and rdma_rxe send without a checksum, having one of their own (RFC 6935).
        set(&fd, libc::SOL_UDP, UDP_NO_CHECK6_RX, 1)?;
    }
    // The kernel gives less where its limits are lower and we are not allowed to pass them, and hands over single datagrams
    // where it cannot join them.
    if set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER).is_err() {
        let _ = set(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER);
    }
    let _ = set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUF, BUFFER);
    let _ = set(&fd, libc::SOL_UDP, libc::UDP_GRO, 1);
    let cuts = set(&fd, libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
    if member.is_some() {
        // Others of this machine may be members, too; each gets a copy.
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    }
    let raw = RawAddress::from(address);
    // SAFETY: the pointer and length are of one live address.
    check(unsafe { libc::bind(fd.as_raw_fd(), raw.as_ptr(), raw.len()) })?;
    if let Some(at) = member {
        join(&fd, address.ip(), at)?;
    }
    Ok((fd, cuts))
}

/// Bytes of long datagrams that wait in a socket, of those that the kernel counts for them: it counts the memory that they lie in,
/// which a network card has in pages, so that a datagram of 4 KiB may take four times as much. What never leaves this
/// machine lies in runs, close together.
pub(crate) fn inbox_bytes(fd: &OwnedFd, address: IpAddr) -> Result<u32, IoError> {
    let counted = get(fd, libc::SOL_SOCKET, libc::SO_RCVBUF)?.max(0) as u32;
    Ok(counted / if address.is_loopback() { 2 } else { 4 })
}

/// Has the interface with the address `at` become a member of a group, for as long as the socket is open.
fn join(fd: &OwnedFd, group: IpAddr, at: IpAddr) -> Result<(), IoError> {
    match (group, at) {
        (IpAddr::V4(group), IpAddr::V4(at)) => {
            let request = libc::ip_mreq {
                imr_multiaddr: libc::in_addr { s_addr: u32::from(group).to_be() },
                imr_interface: libc::in_addr { s_addr: u32::from(at).to_be() },
            };
            set_option(fd, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, &request)
        }
        (IpAddr::V6(group), IpAddr::V6(at)) => {
            let request = libc::ipv6_mreq {
                ipv6mr_multiaddr: libc::in6_addr { s6_addr: group.octets() },
                ipv6mr_interface: interfaces::index_of(at.into()).ok_or(IoError::Unsupported)?,
            };
            set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, &request)
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Err(IoError::Unsupported),
    }
}

/// Has the socket's datagrams carry a type of service, or traffic class.
pub(crate) fn set_class(fd: &OwnedFd, is_v4: bool, class: u8) -> Result<(), IoError> {
    let (level, name) =
        if is_v4 { (libc::IPPROTO_IP, libc::IP_TOS) } else { (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) };
    set(fd, level, name, i32::from(class))
}

/// Sends a run in one call, with the class that was set. More pieces than [`IOVECS`] are [`IoError::Limit`].
pub(crate) fn send(fd: &OwnedFd, memory: &Memory, run: &Run<'_>) -> Result<(), IoError> {
    let mut iovecs = [const { MaybeUninit::<libc::iovec>::uninit() }; IOVECS];
    let places = iovecs.get_mut(..run.pieces.len()).ok_or(IoError::Limit)?;
    let mut len = 0;
    for (iovec, &span) in places.iter_mut().zip(run.pieces) {
        iovec.write(libc::iovec { iov_base: memory.address(span).cast(), iov_len: span.len() });
        len += span.len();
    }
    let mut control = Control::new();
    if len > usize::from(run.datagram_len) {
        control.push(libc::SOL_UDP, libc::UDP_SEGMENT, run.datagram_len);
    }
    match run.from {
        Some(IpAddr::V4(from)) => control.push(
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            },
        ),
        Some(IpAddr::V6(from)) => control.push(
            libc::IPPROTO_IPV6,
            libc::IPV6_PKTINFO,
            libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 },
        ),
        None => {}
    }
    let to = RawAddress::from(run.to);
    // SAFETY: msghdr is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_name = to.as_ptr().cast_mut().cast();
    message.msg_namelen = to.len();
    message.msg_iov = places.as_mut_ptr().cast();
    message.msg_iovlen = places.len();
    message.msg_control = control.bytes.as_mut_ptr().cast();
    message.msg_controllen = control.len;
    loop {
        // SAFETY: every vector of `places` was written, each of a checked span of memory that is borrowed here; the address
        // and the control bytes live on this stack; the kernel only reads.
        let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
        match check_len(sent) {
            Err(IoError::Os(libc::EINTR)) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// Takes a run that has arrived at a socket with the address `local`.
pub(crate) fn recv(
    fd: &OwnedFd,
    memory: &mut Memory,
    into: Span,
    local: SocketAddr,
) -> Result<ReceivedRun, IoError> {
    let mut letter = Letter::room();
    // SAFETY: msghdr is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    letter.address_to(&mut message, memory, into);
    let len = loop {
        // SAFETY: `address` checked that the span lies in a live mapping, which cannot change while `memory` is borrowed
        // here, and `&mut` excludes every slice of it; address and control bytes live on this stack.
        let got = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        match check_len(got) {
            Err(IoError::Os(libc::EINTR)) => {}
            other => break other?,
        }
    };
    letter.read(&message, len, local)
}

/// Takes runs that have arrived, each to a place of its own, in one call; says whether there may be more.
pub(crate) fn recv_all(
    fd: &OwnedFd,
    memory: &mut Memory,
    into: &[Span],
    local: SocketAddr,
    runs: &mut Vec<ReceivedRun>,
) -> Result<bool, IoError> {
    let mut letters = [const { Letter::room() }; LETTERS];
    // SAFETY: mmsghdr is integers and pointers, for which zero is a value.
    let mut messages: [libc::mmsghdr; LETTERS] = unsafe { core::mem::zeroed() };
    let count = into.len().min(LETTERS);
    for ((letter, message), &place) in letters.iter_mut().zip(&mut messages).zip(into) {
        letter.address_to(&mut message.msg_hdr, memory, place);
    }
    let got = loop {
        // SAFETY: `address` checked that the spans lie in live mappings, which cannot change while `memory` is borrowed here,
        // and `&mut` excludes every slice of them; addresses and control bytes live on this stack, and as many messages as
        // are told of point to them.
        let got = unsafe {
            let first = messages.as_mut_ptr();
            libc::recvmmsg(fd.as_raw_fd(), first, count as u32, libc::MSG_DONTWAIT, core::ptr::null_mut())
        };
        match check_len(got as isize) {
            Err(IoError::Os(libc::EINTR)) => {}
            other => break other?,
        }
    };
    for (letter, message) in letters.iter().zip(&messages).take(got) {
        runs.push(letter.read(&message.msg_hdr, message.msg_len as usize, local)?);
    }
    Ok(got == count)
}

/// What the kernel needs to bring a run, besides the memory for its bytes.
struct Letter {
    from: RawAddress,
    iovec: libc::iovec,
    control: Control,
}

impl Letter {
    const fn room() -> Self {
        let iovec = libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 };
        Self { from: RawAddress::room(), iovec, control: Control::new() }
    }

    /// Has a message bring its bytes to a place, and what is said of them here. The message is used while this stays where it is.
    fn address_to(&mut self, message: &mut libc::msghdr, memory: &Memory, into: Span) {
        self.iovec = libc::iovec { iov_base: memory.address(into).cast(), iov_len: into.len() };
        message.msg_namelen = self.from.len();
        let (name, _) = self.from.as_mut_ptrs();
        message.msg_name = name.cast();
        message.msg_iov = &raw mut self.iovec;
        message.msg_iovlen = 1;
        message.msg_control = self.control.bytes.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&self.control.bytes);
    }

    /// What a message of so many bytes brought.
    fn read(&self, message: &libc::msghdr, len: usize, local: SocketAddr) -> Result<ReceivedRun, IoError> {
        let mut run = ReceivedRun {
            from: self.from.get().ok_or(IoError::Unsupported)?,
            to: local.ip(),
            len: len as u32,
            datagram_len: len.min(usize::from(u16::MAX)) as u16,
            traffic_class: 0,
        };
        read_control(message, &mut run);
        Ok(run)
    }
}

/// What the kernel says about a run besides its bytes.
fn read_control(message: &libc::msghdr, run: &mut ReceivedRun) {
    // SAFETY: the message is one that recvmsg has just filled, and its control bytes are still there.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give whole headers within the control bytes, or null.
        let (level, kind, data) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, libc::CMSG_DATA(header)) };
        // SAFETY: the kernel writes these structures for these kinds (ip(7), ipv6(7), udp(7)), at any alignment.
        unsafe {
            match (level, kind) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let len = data.cast::<i32>().read_unaligned();
                    run.datagram_len = u16::try_from(len).unwrap_or(u16::MAX).max(1);
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => run.traffic_class = data.read(),
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    run.to = Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into();
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    run.traffic_class = data.cast::<i32>().read_unaligned() as u8;
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    run.to = Ipv6Addr::from(info.ipi6_addr.s6_addr).into();
                }
                _ => {}
            }
        }
        // SAFETY: as for the first.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
}

/// Room for control messages, aligned as their headers want.
struct Control {
    bytes: [u64; 16],
    len: usize,
}

impl Control {
    const fn new() -> Self {
        Self { bytes: [0; 16], len: 0 }
    }

    /// Adds a message of plain integers.
    fn push<T>(&mut self, level: i32, kind: i32, value: T) {
        let size = size_of::<T>() as u32;
        // SAFETY: the macros compute from integers alone.
        let (space, len) = unsafe { (libc::CMSG_SPACE(size) as usize, libc::CMSG_LEN(size) as usize) };
        assert!(self.len + space <= size_of_val(&self.bytes), "two messages have room");
        // SAFETY: the header and its value lie within the bytes, as just asserted; CMSG_SPACE keeps headers aligned.
        unsafe {
            let header = self.bytes.as_mut_ptr().cast::<u8>().add(self.len).cast::<libc::cmsghdr>();
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = len;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        self.len += space;
    }
}

fn set(fd: &OwnedFd, level: i32, name: i32, value: i32) -> Result<(), IoError> {
    set_option(fd, level, name, &value)
}

/// Sets an option whose value is as the kernel lays it out.
fn set_option<T>(fd: &OwnedFd, level: i32, name: i32, value: &T) -> Result<(), IoError> {
    let len = size_of::<T>() as libc::socklen_t;
    let value: *const T = value;
    // SAFETY: the kernel reads one value of the length given.
    check(unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value.cast(), len) })?;
    Ok(())
}

fn get(fd: &OwnedFd, level: i32, name: i32) -> Result<i32, IoError> {
    let (mut value, mut len) = (0i32, size_of::<i32>() as libc::socklen_t);
    let (place, room): (*mut i32, *mut libc::socklen_t) = (&mut value, &mut len);
    // SAFETY: the kernel writes at most the length given, which is the value's, and how much it wrote.
    check(unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, place.cast(), room) })?;
    Ok(value)
}

/// Datagrams over IPv6 may come without a checksum (linux/udp.h).
const UDP_NO_CHECK6_RX: i32 = 102;

/// Runs that one call brings, at most.
const LETTERS: usize = 4;

/// Pieces of a run, at most; the kernel takes no more in one call.
const IOVECS: usize = 1024;

/// Bytes of datagrams that wait in the kernel, each way.
const BUFFER: i32 = 4 << 20;
