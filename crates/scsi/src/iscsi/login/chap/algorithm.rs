//! The hashes of CHAP and their numbers (IANA, PPP Authentication Algorithms).

use core::fmt;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use sha3::Sha3_256;

/// A hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChapAlgorithm {
    /// MD5 (5), which every end has.
    Md5,
    /// SHA-1 (6).
    Sha1,
    /// SHA-256 (7).
    Sha256,
    /// SHA3-256 (8).
    Sha3_256,
}

impl ChapAlgorithm {
    /// All, as an initiator should offer them: the strongest first, but for SHA-256. Old targets (tgt, IET) choose its number
    /// and mean SHA-1 by it, so it comes after those that mean the same to everybody.
    pub const ALL: [Self; 4] = [Self::Sha3_256, Self::Sha1, Self::Md5, Self::Sha256];

    /// Its number in CHAP_A.
    pub fn code(self) -> u32 {
        match self {
            ChapAlgorithm::Md5 => 5,
            ChapAlgorithm::Sha1 => 6,
            ChapAlgorithm::Sha256 => 7,
            ChapAlgorithm::Sha3_256 => 8,
        }
    }

    /// The algorithm of a number, if we have it.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.code() == code)
    }

    /// The hash of some pieces, one after the other.
    pub(super) fn hash(self, pieces: &[&[u8]]) -> Vec<u8> {
        match self {
            ChapAlgorithm::Md5 => hash_with::<Md5>(pieces),
            ChapAlgorithm::Sha1 => hash_with::<Sha1>(pieces),
            ChapAlgorithm::Sha256 => hash_with::<Sha256>(pieces),
            ChapAlgorithm::Sha3_256 => hash_with::<Sha3_256>(pieces),
        }
    }
}

impl fmt::Display for ChapAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ChapAlgorithm::Md5 => "MD5",
            ChapAlgorithm::Sha1 => "SHA-1",
            ChapAlgorithm::Sha256 => "SHA-256",
            ChapAlgorithm::Sha3_256 => "SHA3-256",
        })
    }
}

fn hash_with<D: Digest>(pieces: &[&[u8]]) -> Vec<u8> {
    let mut hash = D::new();
    for piece in pieces {
        hash.update(piece);
    }
    hash.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The published digests of "abc" (RFC 1321, FIPS 180-4, FIPS 202).
    #[test]
    fn the_hashes_are_those_of_their_names() {
        let digests = [
            (ChapAlgorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (ChapAlgorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (ChapAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (ChapAlgorithm::Sha3_256, "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
        ];
        for (algorithm, digest) in digests {
            assert_eq!(hex(&algorithm.hash(&[b"a", b"", b"bc"])), digest, "{algorithm}");
        }
    }

    #[test]
    fn a_number_is_one_algorithm() {
        for algorithm in ChapAlgorithm::ALL {
            assert_eq!(ChapAlgorithm::from_code(algorithm.code()), Some(algorithm));
        }
        assert_eq!(ChapAlgorithm::from_code(4), None);
    }
}
