//! SMART / Health Information (Base 5.16.1.3, figure 207).

use zerocopy::little_endian::{U16, U32, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::page;

/// The health of the controller, or of one namespace: 512 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct HealthLog {
    /// Critical warnings: [`CriticalWarning`].
    pub critical_warning: u8,
    /// Composite temperature in kelvin.
    pub temperature: U16,
    /// Spare capacity left, in percent.
    pub available_spare: u8,
    /// Spare capacity below which an event is due, in percent.
    pub available_spare_threshold: u8,
    /// Life used, in percent; may pass 100.
    pub percentage_used: u8,
    /// Endurance group critical warning summary.
    pub endurance_group_warning: u8,
    reserved7: [u8; 25],
    /// Data read in units of 1,000 times 512 bytes, rounded up.
    pub data_units_read: U128,
    /// Data written in units of 1,000 times 512 bytes, rounded up.
    pub data_units_written: U128,
    /// Read and Compare commands completed.
    pub host_reads: U128,
    /// Write commands completed.
    pub host_writes: U128,
    /// Minutes the controller was busy.
    pub busy_minutes: U128,
    /// Power cycles.
    pub power_cycles: U128,
    /// Hours powered on.
    pub power_on_hours: U128,
    /// Power losses without a shutdown before.
    pub unsafe_shutdowns: U128,
    /// Unrecovered data integrity errors.
    pub media_errors: U128,
    /// Entries the error log ever had.
    pub error_log_entries: U128,
    /// Minutes above the warning temperature.
    pub warning_temperature_minutes: U32,
    /// Minutes above the critical temperature.
    pub critical_temperature_minutes: U32,
    /// Temperature sensors in kelvin, 0 for none.
    pub temperature_sensors: [U16; 8],
    /// Thermal management: transitions to states 1 and 2, then seconds in them.
    pub thermal_management: [U32; 4],
    reserved232: [u8; 280],
}

bits! {
    /// Critical warnings.
    pub struct CriticalWarning: u8 {
        /// Spare capacity is below the threshold.
        SPARE = 0x01;
        /// Temperature is past a threshold.
        TEMPERATURE = 0x02;
        /// Reliability is degraded.
        RELIABILITY = 0x04;
        /// All media are read-only.
        READ_ONLY = 0x08;
        /// The backup of volatile memory failed.
        VOLATILE_BACKUP = 0x10;
    }
}

page!(HealthLog, 512);

#[cfg(test)]
mod tests {
    use core::mem::offset_of;

    use super::*;

    #[test]
    fn fields_stand_at_the_offsets_of_the_figure() {
        assert_eq!(offset_of!(HealthLog, data_units_read), 32);
        assert_eq!(offset_of!(HealthLog, error_log_entries), 176);
        assert_eq!(offset_of!(HealthLog, temperature_sensors), 200);
    }
}
