//! Asynchronous events: what dword 0 of an Asynchronous Event Request's completion says (Base 5.2, figures 147 to 153).

use super::identify::AsyncEvents;
use super::log::LogPage;

codes! {
    /// Kinds of events (Base figure 148).
    pub enum AsyncEventType: u8 {
        Error = 0, "Error status";
        Health = 1, "SMART / Health status";
        Notice = 2, "Notice";
        CommandSet = 6, "I/O Command Set specific status";
        VendorSpecific = 7, "Vendor specific";
    }
}

/// The events a controller over Fabrics has, each with the log page that tells more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AsyncEvent {
    /// A persistent internal error.
    PersistentInternalError,
    /// A transient internal error.
    TransientInternalError,
    /// The subsystem's reliability is compromised.
    Reliability,
    /// A temperature threshold was passed.
    Temperature,
    /// Spare capacity fell below its threshold.
    Spare,
    /// Identify data of a namespace changed, or namespaces came or went.
    NamespaceAttributeChanged,
    /// Firmware is being activated.
    FirmwareActivation,
    /// An asymmetric namespace access state changed.
    AnaChange,
    /// The discovery log changed.
    DiscoveryLogChange,
    /// A reservation notification waits.
    ReservationLogAvailable,
}

/// What a completion announced, whether or not the event is one we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsyncEventResult {
    /// Kind, 3 bits: [`AsyncEventType`].
    pub kind: u8,
    /// Information: which event of this kind.
    pub information: u8,
    /// The log page that tells more; reading it allows the next event of this kind.
    pub log_page: u8,
}

impl AsyncEvent {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::PersistentInternalError,
        Self::TransientInternalError,
        Self::Reliability,
        Self::Temperature,
        Self::Spare,
        Self::NamespaceAttributeChanged,
        Self::FirmwareActivation,
        Self::AnaChange,
        Self::DiscoveryLogChange,
        Self::ReservationLogAvailable,
    ];

    /// What the completion carries.
    pub const fn result(self) -> AsyncEventResult {
        let (kind, information, page) = match self {
            Self::PersistentInternalError => (AsyncEventType::Error, 0x03, LogPage::ErrorInformation),
            Self::TransientInternalError => (AsyncEventType::Error, 0x04, LogPage::ErrorInformation),
            Self::Reliability => (AsyncEventType::Health, 0x00, LogPage::Health),
            Self::Temperature => (AsyncEventType::Health, 0x01, LogPage::Health),
            Self::Spare => (AsyncEventType::Health, 0x02, LogPage::Health),
            Self::NamespaceAttributeChanged => (AsyncEventType::Notice, 0x00, LogPage::ChangedNamespaceList),
            Self::FirmwareActivation => (AsyncEventType::Notice, 0x01, LogPage::FirmwareSlot),
            Self::AnaChange => (AsyncEventType::Notice, 0x03, LogPage::AsymmetricNamespaceAccess),
            Self::DiscoveryLogChange => (AsyncEventType::Notice, 0xf0, LogPage::Discovery),
            Self::ReservationLogAvailable => {
                (AsyncEventType::CommandSet, 0x00, LogPage::ReservationNotification)
            }
        };
        AsyncEventResult { kind: kind.code(), information, log_page: page.code() }
    }

    /// The bit of the feature Asynchronous Event Configuration that enables the event; `None` for events no host can
    /// switch off there.
    pub const fn enable_bit(self) -> Option<AsyncEvents> {
        match self {
            Self::Spare => Some(AsyncEvents(HEALTH_SPARE)),
            Self::Temperature => Some(AsyncEvents(HEALTH_TEMPERATURE)),
            Self::Reliability => Some(AsyncEvents(HEALTH_RELIABILITY)),
            Self::NamespaceAttributeChanged => Some(AsyncEvents::NAMESPACE_ATTRIBUTE),
            Self::FirmwareActivation => Some(AsyncEvents::FIRMWARE_ACTIVATION),
            Self::AnaChange => Some(AsyncEvents::ANA_CHANGE),
            Self::DiscoveryLogChange => Some(AsyncEvents::DISCOVERY_LOG_CHANGE),
            Self::PersistentInternalError | Self::TransientInternalError | Self::ReservationLogAvailable => {
                None
            }
        }
    }
}

impl AsyncEventResult {
    /// Reads the dword.
    pub const fn from_dword(dword: u32) -> Self {
        let [kind, information, log_page, _] = dword.to_le_bytes();
        Self { kind: kind & 7, information, log_page }
    }

    /// The dword.
    pub const fn to_dword(self) -> u32 {
        u32::from_le_bytes([self.kind & 7, self.information, self.log_page, 0])
    }

    /// The event, `None` if it is none of ours.
    pub fn event(self) -> Option<AsyncEvent> {
        AsyncEvent::ALL.into_iter().find(|event| {
            let known = event.result();
            known.kind == self.kind && known.information == self.information
        })
    }
}

/// Bits 7:0 of the feature are the critical warnings of the health log.
const HEALTH_SPARE: u32 = 0x01;
const HEALTH_TEMPERATURE: u32 = 0x02;
const HEALTH_RELIABILITY: u32 = 0x04;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_survive_their_dword() {
        for event in AsyncEvent::ALL {
            let result = event.result();
            assert_eq!(AsyncEventResult::from_dword(result.to_dword()), result);
            assert_eq!(result.event(), Some(event));
        }
        assert_eq!(AsyncEvent::NamespaceAttributeChanged.result().to_dword(), 0x0004_0002);
        assert_eq!(AsyncEvent::DiscoveryLogChange.result().to_dword(), 0x0070_f002);
        assert_eq!(AsyncEventResult::from_dword(0x0000_aa07).event(), None);
    }
}
