//! Asymmetric Namespace Access (Base 5.16.1.13, figures 219 and 220).
//!
//! A header, then one descriptor for each group: a group header and the identifiers of its namespaces.

use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page;
use crate::Truncated;

codes! {
    /// How well a namespace is reached through this controller (Base 8.1.2).
    pub enum AnaState: u8 {
        Optimized = 0x1, "ANA Optimized";
        NonOptimized = 0x2, "ANA Non-Optimized";
        Inaccessible = 0x3, "ANA Inaccessible";
        PersistentLoss = 0x4, "ANA Persistent Loss";
        Change = 0xf, "ANA Change";
    }
}

/// Before the first group: 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct AnaHeader {
    /// Changes of the page since the subsystem started.
    pub change_count: U64,
    /// Groups that follow.
    pub groups: U16,
    reserved10: [u8; 6],
}

/// Before the namespaces of a group: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct AnaGroupHeader {
    /// Group identifier.
    pub group_id: U32,
    /// Namespace identifiers that follow; 0 if the host asked for groups only.
    pub namespaces: U32,
    /// The page's change count when this group last changed.
    pub change_count: U64,
    /// The state of every namespace in the group, in bits 3:0: [`AnaState`].
    pub state: u8,
    reserved17: [u8; 15],
}

impl AnaHeader {
    /// A header for this many groups.
    pub const fn new(change_count: u64, groups: u16) -> Self {
        Self { change_count: U64::new(change_count), groups: U16::new(groups), reserved10: [0; 6] }
    }
}

impl AnaGroupHeader {
    /// A header for a group with this many namespaces.
    pub const fn new(group_id: u32, namespaces: u32, change_count: u64, state: AnaState) -> Self {
        Self {
            group_id: U32::new(group_id),
            namespaces: U32::new(namespaces),
            change_count: U64::new(change_count),
            state: state.code(),
            reserved17: [0; 15],
        }
    }

    /// The state, `None` for a reserved code.
    pub const fn state(&self) -> Option<AnaState> {
        AnaState::from_code(self.state & 0xf)
    }
}

page!(AnaHeader, 16);
page!(AnaGroupHeader, 32);

/// A group as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnaGroup<'a> {
    /// Its header.
    pub header: &'a AnaGroupHeader,
    namespaces: &'a [[u8; 4]],
}

impl AnaGroup<'_> {
    /// The namespaces in the group.
    pub fn namespaces(&self) -> impl Iterator<Item = u32> + '_ {
        self.namespaces.iter().map(|bytes| u32::from_le_bytes(*bytes))
    }
}

/// Reads the groups of a page; a group that passes the end is the last item.
#[derive(Debug, Clone)]
pub struct AnaGroups<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> AnaGroups<'a> {
    /// The groups of the page in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Truncated> {
        let header = AnaHeader::view(bytes)?;
        Ok(Self { rest: &bytes[AnaHeader::LEN..], left: header.groups.get() })
    }

    fn read(&mut self) -> Result<AnaGroup<'a>, Truncated> {
        let header = AnaGroupHeader::view(self.rest)?;
        let behind = &self.rest[AnaGroupHeader::LEN..];
        let needed = (header.namespaces.get() as usize).saturating_mul(4);
        let Some((ids, rest)) = behind.split_at_checked(needed) else {
            return Err(Truncated { needed, available: behind.len() });
        };
        self.rest = rest;
        Ok(AnaGroup { header, namespaces: ids.as_chunks().0 })
    }
}

impl<'a> Iterator for AnaGroups<'a> {
    type Item = Result<AnaGroup<'a>, Truncated>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let group = self.read();
        if group.is_err() {
            self.left = 0;
        }
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn groups_are_read_until_the_page_ends() {
        let mut page = [0; 16 + 32 + 8 + 32];
        AnaHeader::new(3, 2).encode(&mut page).unwrap();
        AnaGroupHeader::new(1, 2, 3, AnaState::Optimized).encode(&mut page[16..]).unwrap();
        page[48] = 5;
        page[52] = 6;
        AnaGroupHeader::new(2, 0, 1, AnaState::Inaccessible).encode(&mut page[56..]).unwrap();
        let groups: Vec<_> = AnaGroups::new(&page).unwrap().map(Result::unwrap).collect();
        assert_eq!(groups[0].namespaces().collect::<Vec<_>>(), [5, 6]);
        assert_eq!(groups[1].header.state(), Some(AnaState::Inaccessible));
        let cut: Vec<_> = AnaGroups::new(&page[..52]).unwrap().collect();
        assert_eq!(cut, [Err(Truncated { needed: 8, available: 4 })]);
        assert!(AnaGroups::new(&page[..15]).is_err());
    }

    #[test]
    fn a_group_larger_than_memory_ends_the_page() {
        let mut page = [0; 48];
        AnaHeader::new(0, u16::MAX).encode(&mut page).unwrap();
        AnaGroupHeader::new(1, u32::MAX, 0, AnaState::Change).encode(&mut page[16..]).unwrap();
        assert_eq!(AnaGroups::new(&page).unwrap().count(), 1);
    }
}
