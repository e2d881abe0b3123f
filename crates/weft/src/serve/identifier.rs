//! Identifiers of namespaces that must not change when the daemon starts anew.
//!
//! A host that reconnects compares a namespace's identifiers with those it knew (NVMe Base 2.0, 4.5.1, "UUID"), and takes
//! a namespace whose UUID changed for another one: it fails what it held back for it. What is on a file outlives the
//! daemon, so its UUID follows from the subsystem and the file; what is in RAM does not, and gets a new one.

use std::path::Path;
use wire::nvme::Nqn;

/// The UUID under which a subsystem serves a file: version 8 of RFC 9562 (5.8), made of names alone.
pub(super) fn of_file(subsystem: &Nqn, path: &Path) -> [u8; 16] {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = format!("{subsystem}\n{}", path.display());
    let hash = name.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME));
    let mut uuid = hash.to_be_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

/// The constants of the Fowler-Noll-Vo hash of 128 bits (FNV-1a).
const FNV_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[cfg(test)]
mod tests {
    use super::*;

    fn nqn(text: &str) -> Nqn {
        text.parse().expect("an NQN")
    }

    #[test]
    fn a_name_has_one_identifier_and_another_name_another() {
        let path = Path::new("no-such-file");
        let first = of_file(&nqn("nqn.2026-01.org.weft:a"), path);
        assert_eq!(first, of_file(&nqn("nqn.2026-01.org.weft:a"), path));
        assert_ne!(first, of_file(&nqn("nqn.2026-01.org.weft:b"), path));
        assert_ne!(first, of_file(&nqn("nqn.2026-01.org.weft:a"), Path::new("another")));
        assert_eq!((first[6] >> 4, first[8] >> 6), (8, 2), "version and variant");
    }
}
