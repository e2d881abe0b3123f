//! XTS-AES (IEEE 1619-2018, section 5): a tweakable cipher for data units of whole 16-byte blocks.
//!
//! Blocks are ciphered many at a time, because the processor's AES instructions overlap. There is no ciphertext stealing:
//! blocks of a volume are multiples of 16 bytes.

use super::key::Key;
use aes::cipher::{Array, Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use core::fmt;

/// A cipher with its expanded keys, which are wiped when it goes.
pub(super) enum Xts {
    Aes128(Box<Pair<Aes128>>),
    Aes256(Box<Pair<Aes256>>),
}

impl Xts {
    pub(super) fn new(key: &Key) -> Self {
        let (data, tweak) = key.halves();
        // The lengths are a key's: there are no others.
        let (pair128, pair256) = (Pair::new(data, tweak), Pair::new(data, tweak));
        match (pair128, pair256) {
            (Some(pair), _) => Self::Aes128(Box::new(pair)),
            (None, Some(pair)) => Self::Aes256(Box::new(pair)),
            (None, None) => unreachable!("a key is for one of the two ciphers"),
        }
    }

    /// Encrypts the data unit with this sequence number in place.
    pub(super) fn encrypt(&self, number: u64, unit: &mut [u8]) {
        match self {
            Self::Aes128(pair) => pair.run(number, unit, |cipher, blocks| cipher.encrypt_blocks(blocks)),
            Self::Aes256(pair) => pair.run(number, unit, |cipher, blocks| cipher.encrypt_blocks(blocks)),
        }
    }

    /// Decrypts the data unit with this sequence number in place.
    pub(super) fn decrypt(&self, number: u64, unit: &mut [u8]) {
        match self {
            Self::Aes128(pair) => pair.run(number, unit, |cipher, blocks| cipher.decrypt_blocks(blocks)),
            Self::Aes256(pair) => pair.run(number, unit, |cipher, blocks| cipher.decrypt_blocks(blocks)),
        }
    }
}

impl fmt::Debug for Xts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aes128(_) => "XTS-AES-128",
            Self::Aes256(_) => "XTS-AES-256",
        })
    }
}

/// The two ciphers of XTS: of the data, and of the tweaks.
pub(super) struct Pair<C> {
    data: C,
    tweak: C,
}

impl<C: KeyInit + BlockCipherEncrypt> Pair<C> {
    fn new(data: &[u8], tweak: &[u8]) -> Option<Self> {
        Some(Self { data: C::new_from_slice(data).ok()?, tweak: C::new_from_slice(tweak).ok()? })
    }

    /// Each block is masked with its tweak, ciphered, and masked again (section 5.3).
    fn run(&self, number: u64, unit: &mut [u8], cipher: impl Fn(&C, &mut [Block<C>])) {
        let mut first = Block::<C>::default();
        first[..8].copy_from_slice(&number.to_le_bytes());
        self.tweak.encrypt_block(&mut first);
        let mut tweak = number_of(&first);
        let (blocks, rest) = Array::slice_as_chunks_mut(unit);
        debug_assert!(rest.is_empty(), "whole blocks");
        let mut tweaks = [0; TOGETHER];
        for blocks in blocks.chunks_mut(TOGETHER) {
            for place in &mut tweaks[..blocks.len()] {
                *place = tweak;
                tweak = next(tweak);
            }
            mask(blocks, &tweaks);
            cipher(&self.data, blocks);
            mask(blocks, &tweaks);
        }
    }
}

fn mask<N: aes::cipher::array::ArraySize>(blocks: &mut [Array<u8, N>], tweaks: &[u128]) {
    for (block, tweak) in blocks.iter_mut().zip(tweaks) {
        let masked = number_of(block) ^ tweak;
        block.copy_from_slice(&masked.to_le_bytes());
    }
}

/// A block as a number, its first byte lowest.
fn number_of(block: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(block);
    u128::from_le_bytes(bytes)
}

/// The tweak times the primitive element of GF(2^128) (section 5.2), in a time that does not depend on it.
const fn next(tweak: u128) -> u128 {
    (tweak << 1) ^ ((tweak >> 127) * 0x87)
}

/// Blocks that are ciphered together.
const TOGETHER: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    /// Encrypts and decrypts a data unit, whose ciphertext begins and ends as told.
    fn check(keys: (&str, &str), number: u64, plain: &[u8], begins: &str, ends: &str) {
        let (data, tweak) = (bytes(keys.0), bytes(keys.1));
        let xts = match data.len() {
            16 => Xts::Aes128(Box::new(Pair::new(&data, &tweak).unwrap())),
            _ => Xts::Aes256(Box::new(Pair::new(&data, &tweak).unwrap())),
        };
        let mut unit = plain.to_vec();
        xts.encrypt(number, &mut unit);
        assert!(unit.starts_with(&bytes(begins)), "{unit:02x?}");
        assert!(unit.ends_with(&bytes(ends)), "{unit:02x?}");
        xts.decrypt(number, &mut unit);
        assert_eq!(unit, plain);
    }

    // The vectors of IEEE 1619-2018, annex B, by their numbers.

    #[test]
    fn vector_1() {
        let zeros = "00000000000000000000000000000000";
        let cipher = "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e";
        check((zeros, zeros), 0, &[0; 32], cipher, cipher);
    }

    #[test]
    fn vector_2() {
        let keys = ("11111111111111111111111111111111", "22222222222222222222222222222222");
        let cipher = "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0";
        check(keys, 0x33_3333_3333, &[0x44; 32], cipher, cipher);
    }

    #[test]
    fn vector_4() {
        let keys = ("27182818284590452353602874713526", "31415926535897932384626433832795");
        let plain: Vec<u8> = (0..512).map(|at| at as u8).collect();
        let begins = "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c";
        let ends = "eb4a427d1923ce3ff262735779a418f20a282df920147beabe421ee5319d0568";
        check(keys, 0, &plain, begins, ends);
    }

    #[test]
    fn vector_10() {
        let data = "2718281828459045235360287471352662497757247093699959574966967627";
        let tweak = "3141592653589793238462643383279502884197169399375105820974944592";
        let plain: Vec<u8> = (0..512).map(|at| at as u8).collect();
        let begins = "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b";
        let ends = "773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151";
        check((data, tweak), 0xff, &plain, begins, ends);
    }

    #[test]
    fn units_longer_than_what_is_ciphered_together_are_one_unit() {
        let key = Key::new(&[1; 32], &[2; 32]).unwrap();
        let xts = Xts::new(&key);
        let (mut long, mut short) = ([7; 4096], [7; 512]);
        xts.encrypt(9, &mut long);
        xts.encrypt(9, &mut short);
        assert_eq!(long[..512], short);
        assert_ne!(long[512..1024], short);
    }
}
