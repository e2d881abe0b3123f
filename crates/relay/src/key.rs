//! The key that relays of one user have in common, and proofs that one has it: HMAC (RFC 2104) with SHA-256.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// A key. It is not shown by `Debug`.
#[derive(Clone)]
pub struct Key([u8; BLOCK_LEN]);

/// Why what was given is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeyError {
    /// It could be guessed.
    #[error("a key has at least {min} bytes", min = Key::LEN_MIN)]
    Short,
}

/// A proof that somebody has the key.
pub type Proof = [u8; PROOF_LEN];

impl Key {
    /// Bytes of the shortest.
    pub const LEN_MIN: usize = 16;

    /// A key of these bytes. White space at the end, which editors put there, is no part of it.
    ///
    /// # Errors
    /// When they are too few.
    pub fn new(bytes: &[u8]) -> Result<Key, KeyError> {
        let bytes = bytes.trim_ascii_end();
        if bytes.len() < Self::LEN_MIN {
            return Err(KeyError::Short);
        }
        // A key that is longer than a block is its digest (RFC 2104, section 2).
        let digest = Sha256::digest(bytes);
        let bytes = if bytes.len() > BLOCK_LEN { &digest[..] } else { bytes };
        let mut block = [0; BLOCK_LEN];
        block[..bytes.len()].copy_from_slice(bytes);
        Ok(Key(block))
    }

    /// The proof of having seen all of this.
    pub(crate) fn prove(&self, parts: &[&[u8]]) -> Proof {
        let mut inner = Sha256::new();
        inner.update(self.0.map(|byte| byte ^ 0x36));
        for part in parts {
            inner.update(part);
        }
        let mut outer = Sha256::new();
        outer.update(self.0.map(|byte| byte ^ 0x5c));
        outer.update(inner.finalize());
        outer.finalize().into()
    }

    /// Whether that is the proof. How long it takes says nothing of how much of it is right.
    pub(crate) fn is_proved(&self, proof: &Proof, parts: &[&[u8]]) -> bool {
        self.prove(parts).ct_eq(proof).into()
    }
}

impl core::fmt::Debug for Key {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Key")
    }
}

const BLOCK_LEN: usize = 64;
/// Bytes of a proof.
pub const PROOF_LEN: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, sections 4.2 and 4.7: keys shorter and longer than a block.
    #[test]
    fn proofs_are_those_of_the_standard() {
        let hex = |proof: Proof| proof.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let key = Key::new(&[0x0b; 20]).expect("long enough");
        let proof = key.prove(&[b"Hi ", b"There"]);
        assert_eq!(hex(proof), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        let key = Key::new(&[0xaa; 131]).expect("long enough");
        let proof = key.prove(&[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(proof), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn a_key_that_could_be_guessed_is_none() {
        assert_eq!(Key::new(b"0123456789abcde \n").err(), Some(KeyError::Short));
        let key = Key::new(b"0123456789abcdef\n").expect("long enough");
        let proof = key.prove(&[b"this"]);
        assert!(key.is_proved(&proof, &[b"this"]));
        assert!(!key.is_proved(&proof, &[b"that"]));
    }
}
