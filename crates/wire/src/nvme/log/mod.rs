//! The log pages (Base 5.16.1): what Get Log Page returns.

mod ana;
mod discovery;
mod effects;
mod error;
mod firmware;
mod health;
mod reservation;

pub use ana::{AnaGroup, AnaGroupHeader, AnaGroups, AnaHeader, AnaState};
pub use discovery::{
    AddressFamily, DiscoveryEntry, DiscoveryEntryFlags, DiscoveryHeader, SecureChannel, SubsystemType,
    TransportType,
};
pub use effects::{CommandEffects, EffectsLog, SupportedLogPages};
pub use error::ErrorEntry;
pub use firmware::FirmwareSlots;
pub use health::{CriticalWarning, HealthLog};
pub use reservation::{ReservationNotification, ReservationNotificationType};

codes! {
    /// Log page identifiers (LID, Base figure 202).
    pub enum LogPage: u8 {
        SupportedLogPages = 0x00, "Supported Log Pages";
        ErrorInformation = 0x01, "Error Information";
        Health = 0x02, "SMART / Health Information";
        FirmwareSlot = 0x03, "Firmware Slot Information";
        ChangedNamespaceList = 0x04, "Changed Namespace List";
        CommandEffects = 0x05, "Commands Supported and Effects";
        DeviceSelfTest = 0x06, "Device Self-test";
        TelemetryHostInitiated = 0x07, "Telemetry Host-Initiated";
        TelemetryControllerInitiated = 0x08, "Telemetry Controller-Initiated";
        EnduranceGroup = 0x09, "Endurance Group Information";
        PredictableLatency = 0x0a, "Predictable Latency Per NVM Set";
        PredictableLatencyEvents = 0x0b, "Predictable Latency Event Aggregate";
        AsymmetricNamespaceAccess = 0x0c, "Asymmetric Namespace Access";
        PersistentEvent = 0x0d, "Persistent Event Log";
        EnduranceGroupEvents = 0x0f, "Endurance Group Event Aggregate";
        MediaUnitStatus = 0x10, "Media Unit Status";
        CapacityConfigurations = 0x11, "Supported Capacity Configuration List";
        FeatureEffects = 0x12, "Feature Identifiers Supported and Effects";
        ManagementEffects = 0x13, "NVMe-MI Commands Supported and Effects";
        Lockdown = 0x14, "Command and Feature Lockdown";
        BootPartition = 0x15, "Boot Partition";
        RotationalMedia = 0x16, "Rotational Media Information";
        Discovery = 0x70, "Discovery";
        ReservationNotification = 0x80, "Reservation Notification";
        SanitizeStatus = 0x81, "Sanitize Status";
    }
}

/// The methods every fixed log structure has, and the size the standard gives it.
macro_rules! page {
    ($name:ident, $len:literal) => {
        impl $name {
            /// Bytes of the structure.
            pub const LEN: usize = $len;

            /// All fields zero.
            pub fn zeroed() -> Self {
                zerocopy::FromZeros::new_zeroed()
            }

            /// Borrows the structure from the front of `bytes`.
            pub fn view(bytes: &[u8]) -> Result<&Self, crate::Truncated> {
                crate::view(bytes)
            }

            /// Writes the structure to the front of `out`.
            pub fn encode(&self, out: &mut [u8]) -> Result<usize, crate::BufferTooSmall> {
                crate::put(self, out)
            }
        }

        const _: () = assert!(size_of::<$name>() == $len);
    };
}
use page;
