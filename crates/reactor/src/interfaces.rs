//! The machine's network interfaces and their addresses.

use crate::address::RawAddress;
use core::ffi::CStr;
use std::ffi::CString;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;

/// An address of this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceAddress {
    /// The interface that has it.
    pub interface: String,
    /// The address.
    pub address: IpAddr,
    /// The interface is up.
    pub is_up: bool,
    /// The largest IP packet that the interface sends, in bytes; 0 if it does not say.
    pub mtu: u32,
}

/// Every address of this machine, interface by interface.
///
/// # Errors
/// When the system does not tell.
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut head = core::ptr::null_mut();
    // SAFETY: the call writes one pointer, to a list that is freed below.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = head;
    // SAFETY: every entry, and what it points to, is there until the list is freed; the last one's successor is null.
    while let Some(entry) = unsafe { next.as_ref() } {
        found.extend(read(entry));
        next = entry.ifa_next;
    }
    // SAFETY: the list came from getifaddrs, and nothing refers to it any more.
    unsafe { libc::freeifaddrs(head) };
    Ok(found)
}

/// The number of the interface that has an address.
pub(crate) fn index_of(address: IpAddr) -> Option<u32> {
    let found = interface_addresses().ok()?.into_iter().find(|found| found.address == address)?;
    let name = CString::new(found.interface).ok()?;
    // SAFETY: the name is a string of C.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index > 0).then_some(index)
}

fn read(entry: &libc::ifaddrs) -> Option<InterfaceAddress> {
    if entry.ifa_addr.is_null() {
        return None;
    }
    // SAFETY: it is not null, and an address of the family that it names.
    let address = unsafe { RawAddress::copy(entry.ifa_addr) }?.get()?.ip();
    // SAFETY: the name is a string of C that is there as long as the entry.
    let name = unsafe { CStr::from_ptr(entry.ifa_name) };
    let is_up = entry.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
    let interface = name.to_str().ok()?.to_owned();
    Some(InterfaceAddress { interface, address, is_up, mtu: mtu(name).unwrap_or(0) })
}

/// What the interface of this name says of its packets. Asked of a socket, it is the network that this process lives in that
/// answers, whatever is mounted at /sys.
fn mtu(interface: &CStr) -> Option<u32> {
    let socket =
        std::net::UdpSocket::bind("0.0.0.0:0").or_else(|_| std::net::UdpSocket::bind("[::]:0")).ok()?;
    // SAFETY: an ifreq is plain integers and bytes, for which zero is a value.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    // The last byte stays zero: a name of C ends with one.
    let room = request.ifr_name.len() - 1;
    for (place, byte) in request.ifr_name[..room].iter_mut().zip(interface.to_bytes()) {
        *place = *byte as libc::c_char;
    }
    // SAFETY: the call reads the name, which ends with a zero, and writes the union's number.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    // SAFETY: every bit of this member is valid, and was zero before the call.
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    if outcome == 0 { u32::try_from(mtu).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_among_them() {
        let found = interface_addresses().unwrap();
        let loopback = found.iter().find(|found| found.address.is_loopback()).expect("a loopback address");
        assert_eq!(loopback.interface, "lo");
        assert!(loopback.mtu >= 1500, "{loopback:?}");
    }
}
