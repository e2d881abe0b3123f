//! Which part of the shard an event is for: the upper half of its owner says the kind, the lower half which one.

use stdx::env::Owner;

/// The parts of a shard that own something of the environment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// The shard itself.
    Shard,
    /// The NVMe/TCP transport: its listeners and connections.
    Nvmf,
    /// The volume at this place.
    Volume(u32),
    /// The remote controller at this place.
    Host(u32),
    /// The discovery service at this place.
    Discovery(u32),
    /// The iSCSI transport: its listeners and connections.
    Iscsi,
    /// The iSCSI initiator at this place.
    Initiator(u32),
    /// The record at this place.
    Record(u32),
    /// The RDMA device at this place.
    Device(u32),
}

impl Part {
    /// The number that stands for it.
    pub(crate) const fn owner(self) -> Owner {
        match self {
            Self::Shard => Owner::SHARD,
            Self::Nvmf => Owner(NVMF << 32),
            Self::Volume(place) => Owner(VOLUME << 32 | place as u64),
            Self::Host(place) => Owner(HOST << 32 | place as u64),
            Self::Discovery(place) => Owner(DISCOVERY << 32 | place as u64),
            Self::Iscsi => Owner(ISCSI << 32),
            Self::Initiator(place) => Owner(INITIATOR << 32 | place as u64),
            Self::Record(place) => Owner(RECORD << 32 | place as u64),
            Self::Device(place) => Owner(DEVICE << 32 | place as u64),
        }
    }

    /// Whom the number stands for; `None` if for nobody.
    pub(crate) const fn of(owner: Owner) -> Option<Self> {
        let place = owner.0 as u32;
        match owner.0 >> 32 {
            NVMF => Some(Self::Nvmf),
            VOLUME => Some(Self::Volume(place)),
            HOST => Some(Self::Host(place)),
            DISCOVERY => Some(Self::Discovery(place)),
            ISCSI => Some(Self::Iscsi),
            INITIATOR => Some(Self::Initiator(place)),
            RECORD => Some(Self::Record(place)),
            DEVICE => Some(Self::Device(place)),
            _ if owner.0 == Owner::SHARD.0 => Some(Self::Shard),
            _ => None,
        }
    }
}

const NVMF: u64 = 1;
const VOLUME: u64 = 2;
const HOST: u64 = 3;
const DISCOVERY: u64 = 4;
const ISCSI: u64 = 5;
const INITIATOR: u64 = 6;
const RECORD: u64 = 7;
const DEVICE: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found_again() {
        let places = [Part::Volume(0), Part::Volume(7), Part::Host(u32::MAX), Part::Discovery(1)];
        for part in [Part::Shard, Part::Nvmf, Part::Iscsi, Part::Initiator(9), Part::Device(3)]
            .into_iter()
            .chain(places)
        {
            assert_eq!(Part::of(part.owner()), Some(part));
        }
        assert_eq!(Part::of(Owner(0)), None);
    }
}
