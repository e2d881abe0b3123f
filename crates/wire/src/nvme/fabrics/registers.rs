//! What a controller's registers mean: capabilities, version, configuration, status (Base 3.1.3).

use core::fmt;

/// Controller Capabilities (CAP, Base 3.1.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Largest queue less one (MQES), at least 1.
    pub queue_entries_max_zero_based: u16,
    /// Whether queues must be contiguous (CQR); always so over Fabrics.
    pub contiguous_queues: bool,
    /// The longest a change of CC.EN takes, in units of 500 ms (TO).
    pub ready_timeout: u8,
    /// Whether NSSR works (NSSRS).
    pub subsystem_reset: bool,
    /// Command sets (CSS): bit 0 NVM, bit 6 all that the I/O command set structure lists, bit 7 admin only.
    pub command_sets: u8,
    /// Smallest memory page as a power of two above 4 KiB (MPSMIN).
    pub page_size_min: u8,
    /// Largest memory page as a power of two above 4 KiB (MPSMAX).
    pub page_size_max: u8,
    /// Controller Ready With Media supported (CRMS bit 0).
    pub ready_with_media: bool,
}

impl Capabilities {
    /// The meaning of the 64 bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            queue_entries_max_zero_based: bits as u16,
            contiguous_queues: bits >> 16 & 1 != 0,
            ready_timeout: (bits >> 24) as u8,
            subsystem_reset: bits >> 36 & 1 != 0,
            command_sets: (bits >> 37) as u8,
            page_size_min: (bits >> 48 & 0xf) as u8,
            page_size_max: (bits >> 52 & 0xf) as u8,
            ready_with_media: bits >> 59 & 1 != 0,
        }
    }

    /// The 64 bits.
    pub const fn bits(&self) -> u64 {
        self.queue_entries_max_zero_based as u64
            | (self.contiguous_queues as u64) << 16
            | (self.ready_timeout as u64) << 24
            | (self.subsystem_reset as u64) << 36
            | (self.command_sets as u64) << 37
            | ((self.page_size_min & 0xf) as u64) << 48
            | ((self.page_size_max & 0xf) as u64) << 52
            | (self.ready_with_media as u64) << 59
    }
}

/// Version (VS, Base 3.1.3.2), also in Identify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Major number.
    pub major: u16,
    /// Minor number.
    pub minor: u8,
    /// Third number.
    pub tertiary: u8,
}

impl Version {
    /// NVM Express 2.0.
    pub const V2_0: Self = Self { major: 2, minor: 0, tertiary: 0 };

    /// The meaning of the 32 bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self { major: (bits >> 16) as u16, minor: (bits >> 8) as u8, tertiary: bits as u8 }
    }

    /// The 32 bits.
    pub const fn bits(self) -> u32 {
        (self.major as u32) << 16 | (self.minor as u32) << 8 | self.tertiary as u32
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.tertiary != 0 {
            write!(f, ".{}", self.tertiary)?;
        }
        Ok(())
    }
}

/// Controller Configuration (CC, Base 3.1.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// Enable (EN).
    pub enable: bool,
    /// Command set selected (CSS), 3 bits: [`CC_COMMAND_SET_NVM`] or [`CC_COMMAND_SET_ALL`].
    pub command_set: u8,
    /// Memory page size as a power of two above 4 KiB (MPS), 4 bits.
    pub page_size: u8,
    /// Arbitration mechanism (AMS), 3 bits; 0 is round robin.
    pub arbitration: u8,
    /// Shutdown notification (SHN), `None` for the reserved code.
    pub shutdown: Option<ShutdownNotification>,
    /// I/O submission queue entry size as a power of two (IOSQES): 6.
    pub submission_entry_size: u8,
    /// I/O completion queue entry size as a power of two (IOCQES): 4.
    pub completion_entry_size: u8,
    /// Controller Ready Independent of Media Enable (CRIME).
    pub ready_independent_of_media: bool,
}

codes! {
    /// What the host says about a shutdown (CC.SHN).
    pub enum ShutdownNotification: u8 {
        None = 0, "No notification";
        Normal = 1, "Normal shutdown";
        Abrupt = 2, "Abrupt shutdown";
    }
}

codes! {
    /// How far a shutdown is (CSTS.SHST).
    pub enum ShutdownStatus: u8 {
        Normal = 0, "Normal operation";
        Occurring = 1, "Shutdown occurring";
        Complete = 2, "Shutdown complete";
    }
}

/// CC.CSS: the NVM command set.
pub const CC_COMMAND_SET_NVM: u8 = 0;
/// CC.CSS: all command sets that are supported.
pub const CC_COMMAND_SET_ALL: u8 = 6;

impl Configuration {
    /// The meaning of the 32 bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self {
            enable: bits & 1 != 0,
            command_set: (bits >> 4 & 7) as u8,
            page_size: (bits >> 7 & 0xf) as u8,
            arbitration: (bits >> 11 & 7) as u8,
            shutdown: ShutdownNotification::from_code((bits >> 14 & 3) as u8),
            submission_entry_size: (bits >> 16 & 0xf) as u8,
            completion_entry_size: (bits >> 20 & 0xf) as u8,
            ready_independent_of_media: bits >> 24 & 1 != 0,
        }
    }

    /// The 32 bits; a reserved shutdown notification becomes the reserved code 3.
    pub const fn bits(&self) -> u32 {
        let shutdown = match self.shutdown {
            Some(shutdown) => shutdown.code(),
            None => 3,
        };
        self.enable as u32
            | ((self.command_set & 7) as u32) << 4
            | ((self.page_size & 0xf) as u32) << 7
            | ((self.arbitration & 7) as u32) << 11
            | (shutdown as u32) << 14
            | ((self.submission_entry_size & 0xf) as u32) << 16
            | ((self.completion_entry_size & 0xf) as u32) << 20
            | (self.ready_independent_of_media as u32) << 24
    }
}

/// Controller Status (CSTS, Base 3.1.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControllerStatus {
    /// Ready (RDY).
    pub ready: bool,
    /// Controller fatal status (CFS).
    pub fatal: bool,
    /// Shutdown status (SHST), `None` for the reserved code.
    pub shutdown: Option<ShutdownStatus>,
    /// A subsystem reset occurred (NSSRO).
    pub subsystem_reset_occurred: bool,
    /// Processing paused (PP).
    pub paused: bool,
}

impl ControllerStatus {
    /// The meaning of the 32 bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self {
            ready: bits & 1 != 0,
            fatal: bits >> 1 & 1 != 0,
            shutdown: ShutdownStatus::from_code((bits >> 2 & 3) as u8),
            subsystem_reset_occurred: bits >> 4 & 1 != 0,
            paused: bits >> 5 & 1 != 0,
        }
    }

    /// The 32 bits; a reserved shutdown status becomes the reserved code 3.
    pub const fn bits(&self) -> u32 {
        let shutdown = match self.shutdown {
            Some(shutdown) => shutdown.code(),
            None => 3,
        };
        self.ready as u32
            | (self.fatal as u32) << 1
            | (shutdown as u32) << 2
            | (self.subsystem_reset_occurred as u32) << 4
            | (self.paused as u32) << 5
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn registers_survive_their_bits() {
        for bits in [0x0004_6001, 0x0046_0061, 0x0046_c000, 0x0146_7ff1] {
            assert_eq!(Configuration::from_bits(bits).bits(), bits & 0x01ff_fff1);
        }
        for bits in 0..64 {
            assert_eq!(ControllerStatus::from_bits(bits).bits(), bits);
        }
        let bits = 0x0810_1030_0f01_007f;
        assert_eq!(Capabilities::from_bits(bits).bits(), bits & 0x08ff_1ff0_ff01_ffff);
        assert_eq!(Version::from_bits(0x0001_0301).to_string(), "1.3.1");
        assert_eq!(Version::V2_0.bits(), 0x0002_0000);
        assert_eq!(Version::V2_0.to_string(), "2.0");
    }
}
