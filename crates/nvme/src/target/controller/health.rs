//! What the SMART / Health log counts (Base 5.16.1.3). A volume has no temperature and does not wear: those fields say
//! room temperature and new.

use super::super::outstanding::Count;
use std::time::Duration;
use stdx::time::Time;
use wire::nvme::log::HealthLog;
use zerocopy::little_endian::{U16, U128};

/// Counters of one controller.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Health {
    since: Time,
    reads: u64,
    writes: u64,
    read_bytes: u64,
    written_bytes: u64,
}

impl Health {
    pub(super) const fn new(now: Time) -> Self {
        Self { since: now, reads: 0, writes: 0, read_bytes: 0, written_bytes: 0 }
    }

    /// A command succeeded.
    pub(in super::super) const fn count(&mut self, count: Count) {
        match count {
            Count::Read(bytes) => {
                self.reads += 1;
                self.read_bytes += bytes as u64;
            }
            Count::Write(bytes) => {
                self.writes += 1;
                self.written_bytes += bytes as u64;
            }
            Count::Other => {}
        }
    }

    /// Reads and writes completed, and their bytes.
    pub(in super::super) const fn totals(&self) -> (u64, u64, u64, u64) {
        (self.reads, self.writes, self.read_bytes, self.written_bytes)
    }

    /// The log page.
    pub(super) fn page(&self, now: Time, errors: u64) -> HealthLog {
        let mut page = HealthLog::zeroed();
        page.temperature = U16::new(ROOM_TEMPERATURE_KELVIN);
        page.available_spare = 100;
        page.available_spare_threshold = 10;
        page.data_units_read = units(self.read_bytes);
        page.data_units_written = units(self.written_bytes);
        page.host_reads = U128::new(u128::from(self.reads));
        page.host_writes = U128::new(u128::from(self.writes));
        page.power_cycles = U128::new(1);
        page.power_on_hours = U128::new(u128::from(now.since(self.since).as_secs() / HOUR.as_secs()));
        page.error_log_entries = U128::new(u128::from(errors));
        page
    }
}

/// Thousands of 512 bytes, rounded up.
fn units(bytes: u64) -> U128 {
    U128::new(u128::from(bytes.div_ceil(DATA_UNIT)))
}

const DATA_UNIT: u64 = 512 * 1000;
const HOUR: Duration = Duration::from_secs(3600);
const ROOM_TEMPERATURE_KELVIN: u16 = 293;
