//! The results of a nexus's copies, under their list identifiers (SPC-4, section 6.18).

use stdx::slab::Key;
use wire::scsi::copy::{CopyProgress, CopyStatus};

/// Copies under way and results held, oldest first. A result is held until it is told, until another copy takes its list
/// identifier, or until there are too many.
#[derive(Debug, Default)]
pub(in super::super) struct CopyResults(Vec<CopyResult>);

#[derive(Debug)]
struct CopyResult {
    unit: Option<Key>,
    list_id: u8,
    status: CopyStatus,
}

impl CopyResults {
    /// A copy begins; false if one with this list identifier is under way.
    pub(super) fn begin(&mut self, unit: Option<Key>, list_id: u8) -> bool {
        if let Some(place) = self.find(unit, list_id) {
            if self.0[place].under_way() {
                return false;
            }
            self.0.remove(place);
        }
        let held = self.0.iter().filter(|result| !result.under_way()).count();
        let oldest = self.0.iter().position(|result| !result.under_way());
        if let Some(oldest) = oldest.filter(|_| held >= HELD_MAX) {
            self.0.remove(oldest);
        }
        self.0.push(CopyResult { unit, list_id, status: CopyStatus::new(CopyProgress::InProgress, 0, 0) });
        true
    }

    /// A copy ends.
    pub(super) fn end(
        &mut self,
        unit: Option<Key>,
        list_id: u8,
        held: bool,
        progress: CopyProgress,
        segments: u16,
        bytes: u64,
    ) {
        let Some(place) = self.find(unit, list_id) else { return };
        if held {
            self.0[place].status = CopyStatus::new(progress, segments, bytes);
        } else {
            self.0.remove(place);
        }
    }

    /// How a copy stands. Once it is done, this is told once.
    pub(in super::super) fn take_status(&mut self, unit: Option<Key>, list_id: u8) -> Option<CopyStatus> {
        let place = self.find(unit, list_id)?;
        let status = self.0[place].status;
        if !self.0[place].under_way() {
            self.0.remove(place);
        }
        Some(status)
    }

    fn find(&self, unit: Option<Key>, list_id: u8) -> Option<usize> {
        self.0.iter().position(|result| result.unit == unit && result.list_id == list_id)
    }
}

impl CopyResult {
    fn under_way(&self) -> bool {
        self.status.progress() == Some(CopyProgress::InProgress)
    }
}

/// Results held for one nexus.
const HELD_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_held_until_told() {
        let mut results = CopyResults::default();
        assert!(results.begin(None, 1) && !results.begin(None, 1) && results.begin(None, 2));
        assert_eq!(results.take_status(None, 1).unwrap().progress(), Some(CopyProgress::InProgress));
        results.end(None, 1, true, CopyProgress::Completed, 3, 512);
        results.end(None, 2, false, CopyProgress::Completed, 3, 512);
        assert_eq!(results.take_status(None, 1), Some(CopyStatus::new(CopyProgress::Completed, 3, 512)));
        assert_eq!((results.take_status(None, 1), results.take_status(None, 2)), (None, None));
    }

    #[test]
    fn the_oldest_goes() {
        let mut results = CopyResults::default();
        for list_id in 0..=HELD_MAX as u8 {
            assert!(results.begin(None, list_id));
            results.end(None, list_id, true, CopyProgress::Failed, 0, 0);
        }
        assert_eq!(results.take_status(None, 0), None);
        assert!(
            results.take_status(None, 1).is_some() && results.take_status(None, HELD_MAX as u8).is_some()
        );
    }
}
