//! Which address of ours leads to a peer: RDMA's devices are by address, and one has to be chosen before anything is sent.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// The address of ours that leads to a peer. On loopback both ends need one of their own, so there it is another than the
/// peer's, and by the process several clients have several.
///
/// # Errors
/// When no way leads there.
pub fn facing(peer: IpAddr) -> io::Result<IpAddr> {
    if let IpAddr::V4(peer) = peer
        && peer.is_loopback()
    {
        // Any of 127.0.0.0/8 is ours.
        let [_, high, low, _] = std::process::id().to_be_bytes();
        let last = std::process::id() as u8;
        let ours = Ipv4Addr::new(127, high.wrapping_add(1), low, last);
        return Ok(IpAddr::V4(if ours == peer { Ipv4Addr::new(127, 255, 255, 253) } else { ours }));
    }
    let any = if peer.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    // Nothing is sent: the system only looks up the way.
    socket.connect((peer, wire::roce::PORT))?;
    Ok(socket.local_addr()?.ip())
}
