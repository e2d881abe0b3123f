//! What the ends tell each other, and what a ping is.

use verbs::{Key, Registered, Remote};

/// Where memory of the client lies. The server sends the same bytes to say "go ahead", and they mean nothing then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advertisement {
    /// Where it begins, and what opens it.
    pub at: Remote,
    /// Bytes.
    pub len: u32,
}

impl Advertisement {
    /// Bytes of a message.
    pub const LEN: usize = 16;

    /// All of a region.
    pub fn of(registered: &Registered) -> Self {
        let at = Remote { address: registered.address, key: registered.key };
        Self { at, len: registered.len as u32 }
    }

    /// The message: address, key, length, each with its highest byte first.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.at.address.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.at.key.0.to_be_bytes());
        bytes[12..].copy_from_slice(&self.len.to_be_bytes());
        bytes
    }

    /// What a message says.
    pub fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let word = |at: usize| u32::from_be_bytes(core::array::from_fn(|byte| bytes[at + byte]));
        let address = u64::from(word(0)) << 32 | u64::from(word(4));
        Self { at: Remote { address, key: Key(word(8)) }, len: word(12) }
    }
}

/// A ping: its number, letters that begin one further each time, and a zero.
pub fn fill(bytes: &mut [u8], number: u32) {
    let head = format!("rdma-ping-{number}: ");
    let letters = (FIRST_LETTER..=LAST_LETTER).cycle();
    let skipped = number as usize % usize::from(LAST_LETTER - FIRST_LETTER + 1);
    for (place, byte) in bytes.iter_mut().zip(head.bytes().chain(letters.skip(skipped))) {
        *place = byte;
    }
    if let Some(last) = bytes.last_mut() {
        *last = 0;
    }
}

/// A ping as text: up to its zero.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..text_len(bytes)]).into_owned()
}

/// Bytes of the text.
pub fn text_len(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len())
}

const FIRST_LETTER: u8 = b'A';
const LAST_LETTER: u8 = b'z';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertisement_survives_its_bytes() {
        let wanted = Advertisement { at: Remote { address: 0x0102_0304_0506_0708, key: Key(9) }, len: 10 };
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 0, 0, 10];
        assert_eq!(wanted.encode(), bytes);
        assert_eq!(Advertisement::decode(&bytes), wanted);
    }

    #[test]
    fn pings_are_those_of_rping() {
        let mut bytes = [0xff; 24];
        fill(&mut bytes, 2);
        assert_eq!(&bytes, b"rdma-ping-2: CDEFGHIJKL\0");
        fill(&mut bytes, 57);
        assert_eq!(&bytes, b"rdma-ping-57: zABCDEFGH\0");
        fill(&mut bytes, 58);
        assert_eq!(text(&bytes), "rdma-ping-58: ABCDEFGHI");
    }
}
