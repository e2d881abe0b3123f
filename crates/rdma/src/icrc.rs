//! The invariant CRC, computed and checked (9.8.1, A17.3.3).
//!
//! It covers the identification of an IPv4 packet, which a UDP socket does not show. What is sent has a known one (see
//! [`stdx::env::Run`]); what is received may have any. The CRC is linear, so the difference between the CRC that came and
//! the one computed for identification 0 must be one that some identification makes: 2^16 of the 2^32 differences are, so
//! that 16 of the CRC's 32 bits remain as a check. Over IPv6 all 32 do.

use core::net::IpAddr;
use crc32fast::Hasher;
use wire::roce::icrc::{Network, Prefix, covered_after_identification};
use wire::roce::{BTH_LEN, ICRC_LEN};

/// Between whom a datagram goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    pub(crate) source: IpAddr,
    pub(crate) source_port: u16,
    pub(crate) destination: IpAddr,
    pub(crate) port: u16,
}

/// The powers that checks need, kept from the last check: most datagrams are equally long.
#[derive(Debug)]
pub(crate) struct Checker {
    len: usize,
    power: u32,
}

impl Path {
    /// A CRC over what comes before a datagram's thirteenth byte; the rest is to be added.
    pub(crate) fn hasher(&self, identification: u16, datagram_len: usize, bth: &[u8; BTH_LEN]) -> Hasher {
        let network = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                Network::V4 { source, destination, identification, dont_fragment: true }
            }
            (source, destination) => Network::V6 { source: v6(source), destination: v6(destination) },
        };
        let prefix = Prefix::new(network, self.source_port, self.port, datagram_len as u16, bth);
        let mut hasher = Hasher::new();
        hasher.update(prefix.bytes());
        hasher
    }
}

impl Checker {
    pub(crate) const fn new() -> Self {
        Self { len: 0, power: ONE }
    }

    /// True if the datagram, which came with the `guess`th of identifications or any other, ends with its CRC.
    pub(crate) fn is_right(&mut self, path: &Path, datagram: &[u8], guess: u16) -> bool {
        self.identification(path, datagram, guess).is_some()
    }

    /// The identification with which the datagram ends with its CRC; `guess` if it does with that one, or over IPv6.
    pub(crate) fn identification(&mut self, path: &Path, datagram: &[u8], guess: u16) -> Option<u16> {
        let (bth, (covered, received)) = (datagram.first_chunk()?, datagram.split_last_chunk::<ICRC_LEN>()?);
        let mut hasher = path.hasher(guess, datagram.len(), bth);
        hasher.update(covered.get(BTH_LEN..).unwrap_or(&[]));
        let difference = hasher.finalize() ^ u32::from_le_bytes(*received);
        if difference == 0 {
            return Some(guess);
        }
        let change = path.destination.is_ipv4().then(|| self.change(difference, datagram.len()))??;
        Some(guess ^ change)
    }

    /// The change of the identification that makes just this difference: it is taken back through all bytes behind the
    /// field, and must then be one of two bytes.
    fn change(&mut self, difference: u32, datagram_len: usize) -> Option<u16> {
        if self.len != datagram_len {
            let bytes = covered_after_identification(datagram_len) + 2;
            (self.len, self.power) = (datagram_len, power(INVERSE, bytes as u32 * 8));
        }
        // The first byte to be covered is the lowest here, and the higher one in the header.
        u16::try_from(multiply(difference, self.power)).map(u16::swap_bytes).ok()
    }
}

fn v6(address: IpAddr) -> core::net::Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The product of two polynomials modulo Ethernet's, the coefficient of the zeroth power in the highest bit.
fn multiply(mut a: u32, b: u32) -> u32 {
    let mut product = 0;
    for bit in (0..32).rev() {
        if b >> bit & 1 == 1 {
            product ^= a;
        }
        a = a >> 1 ^ if a & 1 == 1 { POLYNOMIAL } else { 0 };
    }
    product
}

/// `base` to the power of `exponent`.
fn power(mut base: u32, mut exponent: u32) -> u32 {
    let mut result = ONE;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = multiply(result, base);
        }
        base = multiply(base, base);
        exponent >>= 1;
    }
    result
}

const POLYNOMIAL: u32 = 0xedb8_8320;
/// The polynomial 1.
const ONE: u32 = 0x8000_0000;
/// What multiplied by the polynomial x is 1.
const INVERSE: u32 = (ONE ^ POLYNOMIAL) << 1 | 1;

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::prng::Prng;

    fn sealed(path: &Path, identification: u16, len: usize, seed: u64) -> Vec<u8> {
        let mut datagram = vec![0; len];
        Prng::new(seed).fill(&mut datagram);
        let mut hasher = path.hasher(identification, len, datagram.first_chunk().unwrap());
        hasher.update(&datagram[BTH_LEN..len - ICRC_LEN]);
        let crc = hasher.finalize().to_le_bytes();
        datagram[len - ICRC_LEN..].copy_from_slice(&crc);
        datagram
    }

    fn path(source: &str, destination: &str) -> Path {
        Path {
            source: source.parse().unwrap(),
            source_port: 5,
            destination: destination.parse().unwrap(),
            port: 4791,
        }
    }

    #[test]
    fn an_inverse_is_one() {
        assert_eq!(multiply(INVERSE, ONE >> 1), ONE);
        assert_eq!(multiply(power(INVERSE, 1000), power(ONE >> 1, 1000)), ONE);
    }

    #[test]
    fn any_identification_is_right_and_little_else() {
        let path = path("10.0.0.1", "10.0.0.2");
        let mut checker = Checker::new();
        for (round, len) in [16, 280, 4124, 16, 1044].into_iter().enumerate() {
            for identification in [0, 1, 0x1234, 0xffff] {
                let mut datagram = sealed(&path, identification, len, round as u64);
                assert_eq!(checker.identification(&path, &datagram, 9), Some(identification), "{len}");
                for bit in 0..len * 8 {
                    let is_masked = (32..40).contains(&bit);
                    datagram[bit / 8] ^= 1 << (bit % 8);
                    assert_eq!(checker.is_right(&path, &datagram, 0), is_masked, "{len} bit {bit}");
                    datagram[bit / 8] ^= 1 << (bit % 8);
                }
            }
        }
    }

    #[test]
    fn over_ipv6_nothing_is_hidden() {
        let path = path("fd00::1", "fd00::2");
        let mut datagram = sealed(&path, 0, 100, 1);
        assert!(Checker::new().is_right(&path, &datagram, 7));
        datagram[50] ^= 1;
        assert!(!Checker::new().is_right(&path, &datagram, 7));
        assert!(!Checker::new().is_right(&path, &datagram[..3], 7));
    }
}
