//! Unit attention conditions: which there are, and in which order they are told (SAM-5, section 5.14).

use wire::scsi::Sense;

/// A unit attention condition. The order is the order of telling: a reset before what it caused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Attention {
    /// The nexus is new to the logical unit.
    PowerOn,
    /// The logical unit was reset.
    Reset,
    /// The nexus was lost and is there again.
    NexusLoss,
    /// Another nexus's request ended tasks of this one.
    CommandsCleared,
    /// Logical units came or went.
    ReportedLunsChanged,
    /// INQUIRY has something else to say.
    InquiryDataChanged,
    /// The volume has another size.
    CapacityChanged,
    /// Another nexus changed mode parameters.
    ModeParametersChanged,
    /// A target port group changed its state.
    AsymmetricAccessChanged,
    /// Another nexus took the reservation.
    ReservationsPreempted,
    /// Another nexus gave the reservation up.
    ReservationsReleased,
    /// Another nexus took this one's registration away.
    RegistrationsPreempted,
    /// A thin volume runs out of space.
    SpaceThreshold,
}

impl Attention {
    /// Every condition, in the order of telling.
    pub const ALL: [Self; 13] = [
        Self::PowerOn,
        Self::Reset,
        Self::NexusLoss,
        Self::CommandsCleared,
        Self::ReportedLunsChanged,
        Self::InquiryDataChanged,
        Self::CapacityChanged,
        Self::ModeParametersChanged,
        Self::AsymmetricAccessChanged,
        Self::ReservationsPreempted,
        Self::ReservationsReleased,
        Self::RegistrationsPreempted,
        Self::SpaceThreshold,
    ];

    /// How it is told.
    pub const fn sense(self) -> Sense {
        match self {
            Self::PowerOn => Sense::POWER_ON,
            Self::Reset => Sense::BUS_DEVICE_RESET,
            Self::NexusLoss => Sense::NEXUS_LOSS,
            Self::CommandsCleared => Sense::COMMANDS_CLEARED,
            Self::ReportedLunsChanged => Sense::REPORTED_LUNS_CHANGED,
            Self::InquiryDataChanged => Sense::INQUIRY_DATA_CHANGED,
            Self::CapacityChanged => Sense::CAPACITY_DATA_CHANGED,
            Self::ModeParametersChanged => Sense::MODE_PARAMETERS_CHANGED,
            Self::AsymmetricAccessChanged => Sense::ASYMMETRIC_ACCESS_CHANGED,
            Self::ReservationsPreempted => Sense::RESERVATIONS_PREEMPTED,
            Self::ReservationsReleased => Sense::RESERVATIONS_RELEASED,
            Self::RegistrationsPreempted => Sense::REGISTRATIONS_PREEMPTED,
            Self::SpaceThreshold => Sense::SPACE_ALLOCATION_THRESHOLD,
        }
    }
}

/// The conditions that wait for one nexus at one logical unit. Each waits once: that is the queue's bound.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Attentions(u16);

impl Attentions {
    /// A reset or a loss makes what waited before it obsolete (SAM-5, section 5.14.1).
    pub(super) const fn add(&mut self, attention: Attention) {
        match attention {
            Attention::PowerOn => self.0 = bit(Attention::PowerOn),
            Attention::Reset => self.0 = self.0 & bit(Attention::PowerOn) | bit(Attention::Reset),
            _ => self.0 |= bit(attention),
        }
    }

    pub(super) const fn remove(&mut self, attention: Attention) {
        self.0 &= !bit(attention);
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn first(self) -> Option<Attention> {
        Attention::ALL.into_iter().find(|&attention| self.0 & bit(attention) != 0)
    }

    pub(super) fn take(&mut self) -> Option<Attention> {
        let first = self.first()?;
        self.remove(first);
        Some(first)
    }
}

const fn bit(attention: Attention) -> u16 {
    1 << attention as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_and_resets_first() {
        let mut waiting = Attentions::default();
        for attention in Attention::ALL.into_iter().rev() {
            if !matches!(attention, Attention::PowerOn | Attention::Reset) {
                waiting.add(attention);
                waiting.add(attention);
            }
        }
        for attention in &Attention::ALL[2..] {
            assert_eq!(waiting.take(), Some(*attention));
        }
        assert!(waiting.is_empty() && waiting.take().is_none());
    }

    #[test]
    fn a_reset_makes_what_was_before_it_obsolete() {
        let mut waiting = Attentions::default();
        waiting.add(Attention::CapacityChanged);
        waiting.add(Attention::Reset);
        waiting.add(Attention::ModeParametersChanged);
        assert_eq!(waiting.take(), Some(Attention::Reset));
        assert_eq!(waiting.take(), Some(Attention::ModeParametersChanged));
        assert_eq!(waiting.take(), None);
    }

    #[test]
    fn the_list_is_whole() {
        for (place, attention) in Attention::ALL.into_iter().enumerate() {
            assert_eq!(attention as usize, place);
        }
    }
}
