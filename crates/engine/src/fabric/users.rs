//! Which protocol an event of a device is for: the upper half of its owner says so, as for the environment's events.

use stdx::env::Owner;

/// Who uses devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum User {
    /// The NVMe target's server on the device.
    Nvmf,
    /// The SRP target's server on the device.
    Srp,
    /// The iSCSI target's transport on the device.
    Iscsi,
    /// The remote controller at this place.
    Host(u32),
    /// The discovery service at this place.
    Discovery(u32),
    /// The initiator of a remote iSCSI target at this place.
    Initiator(u32),
    /// The SRP initiator at this place.
    SrpDisk(u32),
}

impl User {
    /// The upper half of its owners' numbers; the lower half is its own to use, as `verbs::endpoint` does.
    pub(crate) const fn owner_base(self) -> u64 {
        match self {
            Self::Nvmf => NVMF << KIND_SHIFT,
            Self::Srp => SRP << KIND_SHIFT,
            Self::Iscsi => ISCSI << KIND_SHIFT,
            Self::Host(place) => HOST << KIND_SHIFT | (place as u64) << PLACE_SHIFT,
            Self::Discovery(place) => DISCOVERY << KIND_SHIFT | (place as u64) << PLACE_SHIFT,
            Self::Initiator(place) => INITIATOR << KIND_SHIFT | (place as u64) << PLACE_SHIFT,
            Self::SrpDisk(place) => SRP_DISK << KIND_SHIFT | (place as u64) << PLACE_SHIFT,
        }
    }

    /// Whose the number is; `None` if nobody's.
    pub(crate) const fn of(owner: Owner) -> Option<Self> {
        let place = (owner.0 >> PLACE_SHIFT) as u32 & PLACE_MAX;
        match owner.0 >> KIND_SHIFT {
            NVMF => Some(Self::Nvmf),
            SRP => Some(Self::Srp),
            ISCSI => Some(Self::Iscsi),
            HOST => Some(Self::Host(place)),
            DISCOVERY => Some(Self::Discovery(place)),
            INITIATOR => Some(Self::Initiator(place)),
            SRP_DISK => Some(Self::SrpDisk(place)),
            _ => None,
        }
    }
}

/// The eight highest bits say the kind of user; the 24 bits below are for which one, where there are several.
const KIND_SHIFT: u32 = 56;
const PLACE_SHIFT: u32 = 32;
const PLACE_MAX: u32 = (1 << (KIND_SHIFT - PLACE_SHIFT)) - 1;
const NVMF: u64 = 1;
const SRP: u64 = 2;
const ISCSI: u64 = 3;
const HOST: u64 = 4;
const DISCOVERY: u64 = 5;
const INITIATOR: u64 = 6;
const SRP_DISK: u64 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_is_found_again() {
        let initiators =
            [User::Host(0), User::Host(PLACE_MAX), User::Discovery(7), User::Initiator(8), User::SrpDisk(1)];
        for user in [User::Nvmf, User::Srp, User::Iscsi].into_iter().chain(initiators) {
            let low = user.owner_base() & u64::from(u32::MAX);
            assert_eq!(low, 0, "endpoints number their connections there");
            for place in [0, 1, u32::MAX] {
                assert_eq!(User::of(Owner(user.owner_base() | u64::from(place))), Some(user));
            }
        }
        assert_eq!(User::of(Owner(0)), None);
    }
}
