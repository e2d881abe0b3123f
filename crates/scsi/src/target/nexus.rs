//! An I_T nexus: one initiator port on one target port, and the unit attentions that wait for it.

use super::attention::{Attention, Attentions};
use super::copy::CopyResults;
use super::reservation::NexusName;
use stdx::slab::Key;
use wire::scsi::TransportId;

/// A nexus.
#[derive(Debug)]
pub(super) struct Nexus {
    pub(super) device: Key,
    /// The initiator port.
    pub(super) initiator: TransportId,
    /// The target port, by its relative identifier.
    pub(super) port: u16,
    /// Copies it asked for, and their results.
    pub(super) copies: CopyResults,
    /// What waits to be told, by logical unit; those with nothing are not here. As many as the device has units at most.
    waiting: Vec<(Key, Attentions)>,
    /// Tasks of a lost nexus of this name may still be under way.
    pub(super) has_predecessor: bool,
}

impl Nexus {
    pub(super) fn new(device: Key, initiator: TransportId, port: u16) -> Self {
        Self {
            device,
            initiator,
            port,
            copies: CopyResults::default(),
            waiting: Vec::new(),
            has_predecessor: false,
        }
    }

    /// What it is called.
    pub(super) const fn name(&self) -> NexusName {
        NexusName { initiator: self.initiator, target_port: self.port }
    }

    /// A condition of a logical unit is to be told.
    pub(super) fn attend(&mut self, unit: Key, attention: Attention) {
        match self.waiting.iter_mut().find(|(of, _)| *of == unit) {
            Some((_, attentions)) => attentions.add(attention),
            None => {
                let mut attentions = Attentions::default();
                attentions.add(attention);
                self.waiting.push((unit, attentions));
            }
        }
    }

    /// The condition that is to be told first; it is told by this.
    pub(super) fn take_attention(&mut self, unit: Key) -> Option<Attention> {
        let place = self.waiting.iter().position(|(of, _)| *of == unit)?;
        let attention = self.waiting[place].1.take();
        if self.waiting[place].1.is_empty() {
            self.waiting.swap_remove(place);
        }
        attention
    }

    /// The condition that is to be told first.
    pub(super) fn attention(&self, unit: Key) -> Option<Attention> {
        self.waiting.iter().find(|(of, _)| *of == unit)?.1.first()
    }

    /// A condition is told for all logical units at once.
    pub(super) fn settle_everywhere(&mut self, attention: Attention) {
        for (_, attentions) in &mut self.waiting {
            attentions.remove(attention);
        }
        self.waiting.retain(|(_, attentions)| !attentions.is_empty());
    }

    /// The logical unit is gone.
    pub(super) fn forget_unit(&mut self, unit: Key) {
        self.waiting.retain(|(of, _)| *of != unit);
    }
}
