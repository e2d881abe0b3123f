//! Events: what nexuses are told without having asked, where their transport has a way to (iSCSI's Asynchronous Messages, RFC
//! 7143, section 11.9; SRP's asynchronous event requests). Each comes beside a unit attention condition, which tells the same to
//! those who were not listening: so events may be lost.
//!
//! Only what the target's owner changes is an event. What one initiator's command does to others they are told by their unit
//! attentions alone, as no load of one may have us talk to all.

use super::{Attention, NexusKey};
use std::collections::VecDeque;
use wire::scsi::{Lun, Sense};

/// Something changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// Who is to be told.
    pub nexus: NexusKey,
    /// Of which logical unit; number 0 if it is of all.
    pub lun: Lun,
    /// What changed.
    pub sense: Sense,
}

/// Events that transports have not taken yet.
#[derive(Debug)]
pub(super) struct Events(VecDeque<Event>);

impl Events {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// A nexus is to be told of a condition, if it is of the kind that is an event. What waits already is told once.
    pub(super) fn add(&mut self, nexus: NexusKey, lun: u16, attention: Attention) {
        let lun = match attention {
            Attention::ReportedLunsChanged => 0,
            Attention::CapacityChanged | Attention::InquiryDataChanged => lun,
            Attention::PowerOn | Attention::Reset | Attention::NexusLoss | Attention::CommandsCleared => {
                return;
            }
            Attention::ModeParametersChanged | Attention::AsymmetricAccessChanged => return,
            Attention::ReservationsPreempted | Attention::ReservationsReleased => return,
            Attention::RegistrationsPreempted | Attention::SpaceThreshold => return,
        };
        let event = Event { nexus, lun: Lun::from_number(lun), sense: attention.sense() };
        if self.0.len() < EVENTS_MAX && !self.0.contains(&event) {
            self.0.push_back(event);
        }
    }

    /// The next one.
    pub(super) fn take(&mut self) -> Option<Event> {
        self.0.pop_front()
    }

    /// A nexus is no more.
    pub(super) fn forget(&mut self, nexus: NexusKey) {
        self.0.retain(|event| event.nexus != nexus);
    }
}

/// Events that may wait for transports to take them. Those beyond are lost.
const EVENTS_MAX: usize = 1024;
