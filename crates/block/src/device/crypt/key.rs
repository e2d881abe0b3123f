//! The key of an encrypting device: it prints nothing of itself, and is wiped when it goes.

use core::fmt;
use stdx::env::Env;
use thiserror::Error;
use zeroize::Zeroizing;

/// A key of XTS-AES: two halves, of the data and of the tweaks, with 16 bytes each (AES-128) or 32 (AES-256).
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; KEY_LEN_MAX]>,
    half: usize,
}

/// Why bytes are no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum KeyError {
    /// Of another length.
    #[error("a key of XTS-AES has two halves of 16 bytes each, or of 32")]
    Length,
    /// Both halves are the same, which weakens them.
    #[error("the two halves of a key differ")]
    Alike,
}

impl Key {
    /// A key of these halves.
    pub fn new(data: &[u8], tweak: &[u8]) -> Result<Self, KeyError> {
        let half = data.len();
        if !HALVES.contains(&half) || tweak.len() != half {
            return Err(KeyError::Length);
        }
        // FIPS 140-3 implementation guidance, C.I: the halves must not be the same.
        if data == tweak {
            return Err(KeyError::Alike);
        }
        let mut bytes = Zeroizing::new([0; KEY_LEN_MAX]);
        bytes[..half].copy_from_slice(data);
        bytes[half..2 * half].copy_from_slice(tweak);
        Ok(Self { bytes, half })
    }

    /// A key of both halves, one behind the other, as [`Key::reveal`] gives it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let (data, tweak) = bytes.split_at(bytes.len() / 2);
        Self::new(data, tweak)
    }

    /// A key of AES-256 that nobody can guess.
    pub fn draw(env: &mut dyn Env) -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; KEY_LEN_MAX]);
            for word in bytes.chunks_exact_mut(8) {
                word.copy_from_slice(&env.entropy().to_le_bytes());
            }
            if let Ok(key) = Self::from_bytes(&*bytes) {
                return key;
            }
        }
    }

    /// Its bytes, for whoever keeps it.
    pub fn reveal(&self) -> &[u8] {
        &self.bytes[..2 * self.half]
    }

    /// The half of the data, and that of the tweaks.
    pub fn halves(&self) -> (&[u8], &[u8]) {
        self.reveal().split_at(self.half)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Bytes of the longest key.
pub const KEY_LEN_MAX: usize = 64;
/// Bytes that a half may have.
const HALVES: [usize; 2] = [16, 32];

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::testing::TestEnv;

    #[test]
    fn a_key_has_two_halves_that_differ() {
        for half in HALVES {
            let key = Key::new(&vec![1; half], &vec![2; half]).unwrap();
            assert_eq!(key.halves(), (&vec![1; half][..], &vec![2; half][..]));
            assert_eq!(Key::from_bytes(key.reveal()).unwrap().reveal(), key.reveal());
            assert_eq!(Key::new(&vec![1; half], &vec![1; half]).unwrap_err(), KeyError::Alike);
        }
        for (data, tweak) in [(0, 0), (16, 32), (24, 24), (15, 16), (64, 64)] {
            assert_eq!(Key::new(&vec![1; data], &vec![2; tweak]).unwrap_err(), KeyError::Length);
        }
        assert_eq!(Key::from_bytes(&[1; 33]).unwrap_err(), KeyError::Length);
    }

    #[test]
    fn a_drawn_key_is_no_other_and_prints_nothing() {
        let mut env = TestEnv::new(1 << 20);
        let (one, other) = (Key::draw(&mut env), Key::draw(&mut env));
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), KEY_LEN_MAX);
        assert_eq!(format!("{one:?}"), "Key(..)");
    }
}
