//! The results of a nexus's copies, under their list identifiers (SPC-4, section 6.18).

use stdx::slab::Key;
use wire::scsi::copy::{CopyProgress, CopyStatus};
use wire::scsi::{Sense, Status};

/// Copies under way and results held, oldest first. A result is held until it is told (of a copy that failed, how it stands
/// and why), until another copy takes its list identifier, or until there are too many.
#[derive(Debug, Default)]
pub(in super::super) struct CopyResults(Vec<CopyResult>);

#[derive(Debug)]
struct CopyResult {
    unit: Option<Key>,
    list_id: u8,
    status: CopyStatus,
    /// How it stands was told, and it was done.
    told: bool,
    /// Why it failed, until that is told.
    failure: Option<CopyFailure>,
}

/// How a copy ended that failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct CopyFailure {
    pub(in super::super) status: Status,
    pub(in super::super) sense: Option<Sense>,
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
        let status = CopyStatus::new(CopyProgress::InProgress, 0, 0);
        self.0.push(CopyResult { unit, list_id, status, told: false, failure: None });
        true
    }

    /// A copy ends; its result is forgotten unless it is to be held.
    pub(super) fn end(
        &mut self,
        (unit, list_id, held): (Option<Key>, u8, bool),
        status: CopyStatus,
        failure: Option<CopyFailure>,
    ) {
        let Some(place) = self.find(unit, list_id) else { return };
        if held {
            self.0[place].status = status;
            self.0[place].failure = failure;
        } else {
            self.0.remove(place);
        }
    }

    /// How a copy stands. Once it is done, this is told once.
    pub(in super::super) fn take_status(&mut self, unit: Option<Key>, list_id: u8) -> Option<CopyStatus> {
        let place = self.find(unit, list_id).filter(|place| !self.0[*place].told)?;
        let result = &mut self.0[place];
        let status = result.status;
        result.told = !result.under_way();
        self.forget_if_told(place);
        Some(status)
    }

    /// Why a copy failed. This is told once.
    pub(in super::super) fn take_failure(&mut self, unit: Option<Key>, list_id: u8) -> Option<CopyFailure> {
        let place = self.find(unit, list_id)?;
        let failure = self.0[place].failure.take()?;
        self.forget_if_told(place);
        Some(failure)
    }

    fn forget_if_told(&mut self, place: usize) {
        if self.0[place].told && self.0[place].failure.is_none() {
            self.0.remove(place);
        }
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
        let done = CopyStatus::new(CopyProgress::Completed, 3, 512);
        results.end((None, 1, true), done, None);
        results.end((None, 2, false), done, None);
        assert_eq!(results.take_status(None, 1), Some(done));
        assert_eq!((results.take_status(None, 1), results.take_status(None, 2)), (None, None));
    }

    #[test]
    fn a_failure_is_told_before_or_after_how_the_copy_stands() {
        let why = CopyFailure { status: Status::CheckCondition, sense: Some(Sense::COPY_ABORTED) };
        let failed = CopyStatus::new(CopyProgress::Failed, 1, 512);
        let mut results = CopyResults::default();
        for list_id in [1, 2] {
            assert!(results.begin(None, list_id));
            assert_eq!(results.take_failure(None, list_id), None);
            results.end((None, list_id, true), failed, Some(why));
        }
        let status = Some(failed);
        assert_eq!((results.take_status(None, 1), results.take_failure(None, 1)), (status, Some(why)));
        assert_eq!((results.take_failure(None, 2), results.take_status(None, 2)), (Some(why), status));
        assert!(results.0.is_empty());
    }

    #[test]
    fn the_oldest_goes() {
        let mut results = CopyResults::default();
        for list_id in 0..=HELD_MAX as u8 {
            assert!(results.begin(None, list_id));
            results.end((None, list_id, true), CopyStatus::new(CopyProgress::Failed, 0, 0), None);
        }
        assert_eq!(results.take_status(None, 0), None);
        assert!(
            results.take_status(None, 1).is_some() && results.take_status(None, HELD_MAX as u8).is_some()
        );
    }
}
