//! A queue: a submission and a completion queue on one connection, and the order in which its commands arrived where
//! that matters.

use super::nvm::fused::Fusing;
use super::portal::Arrival;
use stdx::slab::Key;

/// A queue between its Connect and the end of its connection.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) connection: Key,
    pub(super) controller: Key,
    pub(super) subsystem: Key,
    /// 0 for the admin queue.
    pub(super) id: u16,
    pub(super) entries: u32,
    pub(super) arrival: Arrival,
    /// Requests submitted and not answered.
    pub(super) outstanding: u32,
    pub(super) fusing: Fusing,
    /// The transport was asked to end the connection.
    pub(super) ending: bool,
}

impl Queue {
    pub(super) const fn is_admin(&self) -> bool {
        self.id == 0
    }
}
