//! Who a host is: its name (HOSTNQN), and the identifier (HOSTID) that goes with it.
//!
//! A controller takes connections of one name and one identifier for those of one host (Base 2.0, sections 3.1.4 and 8.19;
//! Fabrics Connect), and some refuse a name that comes with another identifier than before. So the identifier follows from
//! the name, wherever in this process, or in which process of the machine, the name is used.

use wire::nvme::Nqn;
use wire::nvme::fabrics::HostId;

/// The host identifier that belongs to a name: the UUID that the name ends in, or else one made of the whole name.
pub fn host_id(host: &Nqn) -> HostId {
    let text = host.as_str();
    text.rsplit(':').next().and_then(parse_uuid).unwrap_or_else(|| stdx::uuid::of_name(text))
}

/// A UUID written 8-4-4-4-12.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let dashes = [8, 13, 18, 23];
    let bytes = text.as_bytes();
    if bytes.len() != 36 || dashes.iter().any(|&at| bytes[at] != b'-') {
        return None;
    }
    let mut uuid = [0; 16];
    let digits = bytes.iter().enumerate().filter(|(at, _)| !dashes.contains(at));
    for (place, (_, byte)) in digits.enumerate() {
        uuid[place / 2] = uuid[place / 2] << 4 | (*byte as char).to_digit(16)? as u8;
    }
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> HostId {
        host_id(&name.parse().expect("an NQN"))
    }

    #[test]
    fn a_name_made_of_a_uuid_gives_that_uuid() {
        let uuid =
            [0xce, 0xcc, 0xf5, 0x20, 0x69, 0x1e, 0x4b, 0x46, 0x95, 0x46, 0x34, 0xaf, 0x78, 0x99, 7, 0xc5];
        assert_eq!(id("nqn.2014-08.org.nvmexpress:uuid:ceccf520-691e-4b46-9546-34af789907c5"), uuid);
        assert_eq!(host_id(&Nqn::from_uuid(&uuid)), uuid);
    }

    #[test]
    fn any_other_name_gives_one_of_its_own() {
        assert_eq!(id("nqn.2026-11.io.weft:a"), id("nqn.2026-11.io.weft:a"));
        assert_ne!(id("nqn.2026-11.io.weft:a"), id("nqn.2026-11.io.weft:b"));
        let almost = "nqn.2014-08.io.weft:gg-ccf520-691e-4b46-9546-34af789907c5";
        assert_ne!(id(almost), [0; 16]);
    }
}
