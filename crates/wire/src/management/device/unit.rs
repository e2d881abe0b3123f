//! What a port says of itself (16.3.3.1), and of the I/O unit behind it (16.3.3.3).

use crate::{Truncated, view};
use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What the class can do (13.4.8.1). What concerns redirections and traps is not read: there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassPortInfo {
    /// Capabilities.
    pub capabilities: u16,
    /// How long an answer takes at most: 4.096 microseconds times two to this power, 0 to 31.
    pub response_time: u8,
}

/// Which slots there are, and what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoUnitInfo {
    /// Another number with each change.
    pub change_id: u16,
    /// Slots there are.
    pub slots: u8,
    /// Two slots a byte, the first in the upper half.
    controllers: [u8; 128],
}

codes! {
    /// What is in a slot.
    pub enum Slot: u8 {
        Empty = 0x0, "empty";
        Present = 0x1, "a controller";
        None = 0xf, "no such slot";
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct PortLayout {
    base_version: u8,
    class_version: u8,
    capabilities: U16,
    /// Capabilities, and the response time in the lowest five bits.
    more: U32,
    redirection: [u8; 32],
    trap: [u8; 32],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct UnitLayout {
    change_id: U16,
    slots: u8,
    /// Whether there is a diagnostic device identifier, and an option ROM.
    options: u8,
    controllers: [u8; 128],
}

impl ClassPortInfo {
    /// Bytes of the attribute.
    pub const LEN: usize = size_of::<PortLayout>();

    /// Reads the attribute.
    pub fn decode(bytes: &[u8]) -> Result<Self, Truncated> {
        let layout: &PortLayout = view(bytes)?;
        let response_time = (layout.more.get() & RESPONSE_TIME) as u8;
        Ok(Self { capabilities: layout.capabilities.get(), response_time })
    }

    /// The attribute.
    pub fn encode(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(PortLayout {
            base_version: 1,
            class_version: super::CLASS_VERSION,
            capabilities: U16::new(self.capabilities),
            more: U32::new(u32::from(self.response_time) & RESPONSE_TIME),
            redirection: [0; 32],
            trap: [0; 32],
        })
    }
}

impl IoUnitInfo {
    /// Bytes of the attribute.
    pub const LEN: usize = size_of::<UnitLayout>();
    /// The most slots there can be.
    pub const SLOTS_MAX: u8 = u8::MAX;

    /// A unit whose slots are all empty.
    pub const fn new(change_id: u16, slots: u8) -> Self {
        let mut controllers = [0xff; 128];
        let mut slot = 0;
        while slot < slots as usize {
            controllers[slot / 2] &= if slot % 2 == 0 { 0x0f } else { 0xf0 };
            slot += 1;
        }
        Self { change_id, slots, controllers }
    }

    /// What is in a slot, counted from 1; of a value that has no meaning, [`Slot::None`].
    pub fn slot(&self, slot: u8) -> Slot {
        let Some(place) = slot.checked_sub(1).filter(|_| slot <= self.slots) else { return Slot::None };
        let byte = self.controllers.get(usize::from(place / 2)).copied().unwrap_or(u8::MAX);
        let half = if place % 2 == 0 { byte >> 4 } else { byte & 0x0f };
        Slot::from_code(half).unwrap_or(Slot::None)
    }

    /// Says what is in a slot, counted from 1.
    pub fn set(&mut self, slot: u8, what: Slot) {
        let Some(place) = slot.checked_sub(1) else { return };
        if let Some(byte) = self.controllers.get_mut(usize::from(place / 2)) {
            *byte = if place % 2 == 0 { *byte & 0x0f | what.code() << 4 } else { *byte & 0xf0 | what.code() };
        }
    }

    /// Reads the attribute.
    pub fn decode(bytes: &[u8]) -> Result<Self, Truncated> {
        let layout: &UnitLayout = view(bytes)?;
        let UnitLayout { change_id, slots, controllers, .. } = *layout;
        Ok(Self { change_id: change_id.get(), slots, controllers })
    }

    /// The attribute.
    pub fn encode(&self) -> [u8; Self::LEN] {
        zerocopy::transmute!(UnitLayout {
            change_id: U16::new(self.change_id),
            slots: self.slots,
            options: 0,
            controllers: self.controllers,
        })
    }
}

const RESPONSE_TIME: u32 = 0x1f;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_says_how_long_it_takes() {
        let info = ClassPortInfo { capabilities: 0x0100, response_time: 18 };
        let bytes = info.encode();
        assert_eq!((bytes.len(), &bytes[..8]), (72, &[1, 1, 1, 0, 0, 0, 0, 18][..]));
        assert_eq!(ClassPortInfo::decode(&bytes), Ok(info));
        assert!(ClassPortInfo::decode(&bytes[..71]).is_err());
    }

    #[test]
    fn slots_are_halves_of_bytes() {
        let mut unit = IoUnitInfo::new(0x0102, 3);
        unit.set(1, Slot::Present);
        unit.set(3, Slot::Present);
        unit.set(0, Slot::Present);
        let bytes = unit.encode();
        assert_eq!((bytes.len(), &bytes[..7]), (132, &[1, 2, 3, 0, 0x10, 0x1f, 0xff][..]));
        assert_eq!(IoUnitInfo::decode(&bytes), Ok(unit));
        let slots = [0, 1, 2, 3, 4, 255].map(|slot| unit.slot(slot));
        let (empty, present, none) = (Slot::Empty, Slot::Present, Slot::None);
        assert_eq!(slots, [none, present, empty, present, none, none]);
    }
}
