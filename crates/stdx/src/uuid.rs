//! Identifiers that follow from names, so that what has the same name has the same identifier wherever and whenever it is
//! asked for. (A random one is [`crate::env::random_uuid`].)

/// A UUID of version 8 (RFC 9562, section 5.8) made of a name alone, in network byte order. Two names have two UUIDs but
/// for chance; whoever may choose names can make them collide, so it must protect nothing.
pub fn of_name(name: &str) -> [u8; 16] {
    let digest = name.bytes().fold(FNV_BASIS, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(FNV_PRIME));
    let mut uuid = digest.to_be_bytes();
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    uuid
}

/// The constants of the Fowler-Noll-Vo hash of 128 bits (FNV-1a).
const FNV_BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_uuid() {
        let uuid = of_name("a");
        assert_eq!(uuid, of_name("a"));
        assert_ne!(uuid, of_name("b"));
        assert_ne!(uuid, of_name(""));
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (8, 2), "version 8, variant 10");
    }
}
