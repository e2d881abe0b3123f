//! Which datagram queue pairs are members of which multicast groups (10.5).
//!
//! Invariants: a group that is here has a member; a member is here once.

use crate::{AttachError, QpId};
use core::net::IpAddr;
use std::collections::BTreeMap;

/// The table.
#[derive(Debug)]
pub struct Groups {
    members: BTreeMap<IpAddr, Vec<QpId>>,
    limit: usize,
}

impl Groups {
    /// A table of at most `limit` groups.
    pub const fn new(limit: u32) -> Self {
        Self { members: BTreeMap::new(), limit: limit as usize }
    }

    /// A queue pair becomes a member; true if it is the first.
    pub fn attach(&mut self, qp: QpId, group: IpAddr) -> Result<bool, AttachError> {
        if !group.is_multicast() {
            return Err(AttachError::Address);
        }
        if !self.members.contains_key(&group) && self.members.len() >= self.limit {
            return Err(AttachError::Limit);
        }
        let members = self.members.entry(group).or_default();
        if members.contains(&qp) {
            return Ok(false);
        }
        members.push(qp);
        Ok(members.len() == 1)
    }

    /// A queue pair is a member no longer; true if it was the last.
    pub fn detach(&mut self, qp: QpId, group: IpAddr) -> Result<bool, AttachError> {
        let members = self.members.get_mut(&group).ok_or(AttachError::NotFound)?;
        let place = members.iter().position(|member| *member == qp).ok_or(AttachError::NotFound)?;
        members.remove(place);
        let is_last = members.is_empty();
        if is_last {
            self.members.remove(&group);
        }
        Ok(is_last)
    }

    /// The member of a group at a place.
    pub fn member(&self, group: IpAddr, place: usize) -> Option<QpId> {
        self.members.get(&group)?.get(place).copied()
    }

    /// A group that a queue pair is a member of.
    pub fn group_of(&self, qp: QpId) -> Option<IpAddr> {
        let is_its = |(group, members): (&IpAddr, &Vec<QpId>)| members.contains(&qp).then_some(*group);
        self.members.iter().find_map(is_its)
    }
}
