//! How ibv_*_pingpong tell each other their queue pairs over TCP: lines of text with a zero at the end.

use crate::Trouble;
use core::net::{IpAddr, Ipv6Addr};
use std::io::{Read, Write};

/// A queue pair, as it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub qpn: u32,
    /// Of its first packet.
    pub psn: u32,
    /// Its port.
    pub address: IpAddr,
}

impl Place {
    /// Bytes of a line.
    pub const LEN: usize = 52;

    /// The line: LID, queue pair, packet number, GID, all hexadecimal.
    pub fn line(&self) -> Vec<u8> {
        let address = match self.address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let gid: String = address.octets().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("0000:{:06x}:{:06x}:{gid}\0", self.qpn, self.psn).into_bytes()
    }

    /// What a line says.
    pub fn parse(line: &[u8]) -> Result<Self, Trouble> {
        let text = std::str::from_utf8(line)?.trim_end_matches('\0');
        let fields: Vec<_> = text.split(':').collect();
        let [_, qpn, psn, gid] = fields[..] else { return Err(format!("not a queue pair: {text}").into()) };
        let address = IpAddr::V6(Ipv6Addr::from(u128::from_str_radix(gid, 16)?)).to_canonical();
        let number = |text| u32::from_str_radix(text, 16);
        Ok(Self { qpn: number(qpn)?, psn: number(psn)?, address })
    }
}

/// Tells `places` and reads as many; the client speaks first.
pub fn exchange(
    stream: &mut (impl Read + Write),
    places: &[Place],
    is_client: bool,
) -> Result<Vec<Place>, Trouble> {
    if is_client {
        tell(stream, places)?;
    }
    let mut theirs = Vec::new();
    for _ in places {
        let mut line = [0; Place::LEN];
        stream.read_exact(&mut line)?;
        theirs.push(Place::parse(&line)?);
    }
    Ok(theirs)
}

/// Tells `places`.
pub fn tell(stream: &mut impl Write, places: &[Place]) -> Result<(), Trouble> {
    for place in places {
        stream.write_all(&place.line())?;
    }
    Ok(())
}
