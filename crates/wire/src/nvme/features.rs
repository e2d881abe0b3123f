//! The features of Get and Set Features: identifiers and the fields of dword 11 (Base 5.27.1, NVM 4.1.3).

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{BufferTooSmall, Truncated};

codes! {
    /// Feature identifiers (FID, Base figure 317).
    pub enum Feature: u8 {
        Arbitration = 0x01, "Arbitration";
        PowerManagement = 0x02, "Power Management";
        LbaRangeType = 0x03, "LBA Range Type";
        TemperatureThreshold = 0x04, "Temperature Threshold";
        ErrorRecovery = 0x05, "Error Recovery";
        VolatileWriteCache = 0x06, "Volatile Write Cache";
        NumberOfQueues = 0x07, "Number of Queues";
        InterruptCoalescing = 0x08, "Interrupt Coalescing";
        InterruptVectorConfiguration = 0x09, "Interrupt Vector Configuration";
        WriteAtomicity = 0x0a, "Write Atomicity Normal";
        AsynchronousEventConfiguration = 0x0b, "Asynchronous Event Configuration";
        AutonomousPowerStateTransition = 0x0c, "Autonomous Power State Transition";
        HostMemoryBuffer = 0x0d, "Host Memory Buffer";
        Timestamp = 0x0e, "Timestamp";
        KeepAliveTimer = 0x0f, "Keep Alive Timer";
        ThermalManagement = 0x10, "Host Controlled Thermal Management";
        NonOperationalPowerState = 0x11, "Non-Operational Power State Config";
        ReadRecoveryLevel = 0x12, "Read Recovery Level Config";
        PredictableLatencyConfig = 0x13, "Predictable Latency Mode Config";
        PredictableLatencyWindow = 0x14, "Predictable Latency Mode Window";
        LbaStatusInformation = 0x15, "LBA Status Information Attributes";
        HostBehavior = 0x16, "Host Behavior Support";
        SanitizeConfig = 0x17, "Sanitize Config";
        EnduranceGroupEvents = 0x18, "Endurance Group Event Configuration";
        CommandSetProfile = 0x19, "I/O Command Set Profile";
        SpinupControl = 0x1a, "Spinup Control";
        SoftwareProgressMarker = 0x80, "Software Progress Marker";
        HostIdentifier = 0x81, "Host Identifier";
        ReservationNotificationMask = 0x82, "Reservation Notification Mask";
        ReservationPersistence = 0x83, "Reservation Persistence";
        NamespaceWriteProtection = 0x84, "Namespace Write Protection Config";
    }
}

bits! {
    /// What Get Features answers for "supported capabilities", in dword 0 (Base figure 192).
    pub struct FeatureCapabilities: u32 {
        /// The value can be saved.
        SAVEABLE = 0x1;
        /// The value belongs to a namespace.
        NAMESPACE_SPECIFIC = 0x2;
        /// The value can be changed.
        CHANGEABLE = 0x4;
    }
}

/// Number of Queues (07h): dword 11 of the request and dword 0 of the answer. Counts of one or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberOfQueues {
    /// I/O submission queues.
    pub submission: u32,
    /// I/O completion queues.
    pub completion: u32,
}

impl NumberOfQueues {
    /// Reads the dword; `None` if a half is the reserved FFFFh.
    pub const fn from_dword(dword: u32) -> Option<Self> {
        let (submission, completion) = (dword & 0xffff, dword >> 16);
        if submission == 0xffff || completion == 0xffff {
            return None;
        }
        Some(Self { submission: submission + 1, completion: completion + 1 })
    }

    /// The dword. Counts are held to 1 to 65,535.
    pub fn to_dword(self) -> u32 {
        (self.submission.clamp(1, 0xffff) - 1) | (self.completion.clamp(1, 0xffff) - 1) << 16
    }
}

/// Volatile Write Cache (06h), dword 11 and dword 0 of the answer: the cache is enabled.
pub const WRITE_CACHE_ENABLE: u32 = 1;

/// Host Identifier (81h), dword 11: the identifier has 128 bits (EXHID).
pub const HOST_ID_EXTENDED: u32 = 1;

/// Error Recovery (05h), dword 11: reading deallocated blocks is an error (DULBE).
pub const DEALLOCATED_ERROR_ENABLE: u32 = 1 << 16;

/// Reservation Persistence (83h), dword 11: reservations persist through power loss (PTPL).
pub const RESERVATION_PERSIST: u32 = 1;

bits! {
    /// Reservation Notification Mask (82h), dword 11: a bit set keeps a notification back.
    pub struct ReservationNotificationMask: u32 {
        /// Registration preempted.
        REGISTRATION_PREEMPTED = 1 << 1;
        /// Reservation released.
        RESERVATION_RELEASED = 1 << 2;
        /// Reservation preempted.
        RESERVATION_PREEMPTED = 1 << 3;
    }
}

/// Timestamp (0Eh): the 8 bytes of data (Base figures 330 and 331).
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Timestamp {
    milliseconds_low: U32,
    milliseconds_high: U16,
    attributes: u8,
    reserved7: u8,
}

impl Timestamp {
    /// Bytes of the structure.
    pub const LEN: usize = 8;

    /// Milliseconds since 1970, and whether they come from a Set Features (else from the reset). The time keeps its
    /// low 48 bits.
    pub const fn new(milliseconds: u64, set_by_host: bool) -> Self {
        Self {
            milliseconds_low: U32::new(milliseconds as u32),
            milliseconds_high: U16::new((milliseconds >> 32) as u16),
            attributes: if set_by_host { ORIGIN_HOST } else { 0 },
            reserved7: 0,
        }
    }

    /// Milliseconds since 1970.
    pub fn milliseconds(&self) -> u64 {
        u64::from(self.milliseconds_low.get()) | u64::from(self.milliseconds_high.get()) << 32
    }

    /// Whether the time was set by a host.
    pub const fn set_by_host(&self) -> bool {
        self.attributes & ORIGIN_MASK == ORIGIN_HOST
    }

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the structure to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// Host Behavior Support (16h): the 512 bytes of data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct HostBehavior {
    /// 1 if the host understands the status Command Interrupted (ACRE).
    pub advanced_retry: u8,
    /// 1 if the host understands extended telemetry (ETDAS).
    pub extended_telemetry: u8,
    /// 1 if the host understands extended LBA formats (LBAFEE).
    pub extended_formats: u8,
    reserved3: [u8; 509],
}

impl HostBehavior {
    /// Bytes of the structure.
    pub const LEN: usize = 512;

    /// Borrows the structure from the front of `bytes`.
    pub fn view(bytes: &[u8]) -> Result<&Self, Truncated> {
        crate::view(bytes)
    }

    /// Writes the structure to the front of `out`.
    pub fn encode(&self, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        crate::put(self, out)
    }
}

/// Timestamp origin, bits 3:1 of the attributes: 001b says a host set it.
const ORIGIN_HOST: u8 = 0b001 << 1;
const ORIGIN_MASK: u8 = 0b111 << 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_counts_are_one_more_than_the_wire_says() {
        let queues = NumberOfQueues { submission: 4, completion: 128 };
        assert_eq!(queues.to_dword(), 0x007f_0003);
        assert_eq!(NumberOfQueues::from_dword(0x007f_0003), Some(queues));
        assert_eq!(NumberOfQueues::from_dword(0xffff_0000), None);
        assert_eq!(NumberOfQueues::from_dword(0x0000_ffff), None);
        assert_eq!(NumberOfQueues { submission: 0, completion: u32::MAX }.to_dword(), 0xfffe_0000);
    }

    #[test]
    fn a_timestamp_has_48_bits_and_an_origin() {
        let stamp = Timestamp::new(0xffff_0102_0304_0506, true);
        let mut bytes = [0; Timestamp::LEN];
        stamp.encode(&mut bytes).unwrap();
        assert_eq!(bytes, [6, 5, 4, 3, 2, 1, 2, 0]);
        assert_eq!((stamp.milliseconds(), stamp.set_by_host()), (0x0102_0304_0506, true));
        assert!(!Timestamp::new(0, false).set_by_host());
        assert_eq!(size_of::<HostBehavior>(), HostBehavior::LEN);
    }
}
