//! What a target's answer means for a request: the one place where SCSI statuses and sense data become [`block::Status`].

use super::Ending;
use block::Status as Outcome;
use stdx::planted::{Bug, planted};
use wire::scsi::{Sense, SenseKey, Status};

/// What the end of a command means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// That is how it went.
    Done(Outcome),
    /// It may go better in a moment; if it never does, this is how it went.
    Again(Outcome),
    /// It did not run: the disk had something to tell first. True if the logical units should be looked at.
    Attention(bool),
}

/// The meaning of an ending.
pub(super) fn answer_of(ending: &Ending) -> Answer {
    match (ending.status, &ending.sense) {
        (Some(GOOD | CONDITION_MET), _) => Answer::Done(Outcome::Ok),
        (Some(CHECK_CONDITION), Some(sense)) => of_sense(sense),
        (Some(BUSY | TASK_SET_FULL | ACA_ACTIVE), _) => Answer::Again(Outcome::TimedOut),
        (Some(RESERVATION_CONFLICT), _) => Answer::Done(Outcome::Reserved),
        (Some(TASK_ABORTED), _) => Answer::Again(Outcome::Aborted),
        (Some(_) | None, _) => Answer::Again(UNEXPECTED),
    }
}

fn of_sense(sense: &Sense) -> Answer {
    match sense.key {
        SenseKey::NoSense | SenseKey::RecoveredError | SenseKey::Completed => Answer::Done(Outcome::Ok),
        SenseKey::NotReady => not_ready(sense),
        SenseKey::MediumError if sense.code == WRITE_ERROR => Answer::Done(Outcome::WriteError),
        SenseKey::MediumError | SenseKey::BlankCheck => Answer::Done(Outcome::ReadError),
        SenseKey::HardwareError | SenseKey::CopyAborted | SenseKey::VolumeOverflow => {
            Answer::Done(UNEXPECTED)
        }
        SenseKey::IllegalRequest => illegal_request(sense),
        SenseKey::UnitAttention if planted(Bug::AttentionTakenForDone) => Answer::Done(Outcome::Ok),
        SenseKey::UnitAttention => Answer::Attention(changes_units(sense)),
        SenseKey::DataProtect if (sense.code, sense.qualifier) == SPACE_ALLOCATION_FAILED => {
            Answer::Done(Outcome::NoSpace)
        }
        SenseKey::DataProtect => Answer::Done(Outcome::ReadOnly),
        SenseKey::AbortedCommand => Answer::Again(Outcome::Aborted),
        SenseKey::Miscompare => {
            let at = sense.information.and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
            Answer::Done(Outcome::Miscompare { at })
        }
    }
}

/// A unit that becomes ready by itself is worth waiting for; of the rest nobody knows (SPC-4, annex E: 04h).
fn not_ready(sense: &Sense) -> Answer {
    match (sense.code, sense.qualifier) {
        (0x04, 0x02 | 0x03) => Answer::Done(Outcome::Gone),
        (0x3a, _) => Answer::Done(Outcome::Gone),
        _becoming => Answer::Again(Outcome::TimedOut),
    }
}

fn illegal_request(sense: &Sense) -> Answer {
    Answer::Done(match sense.code {
        0x21 => Outcome::OutOfRange,
        0x25 => Outcome::Gone,
        0x1a | 0x20 | 0x24 | 0x26 => Outcome::Unsupported,
        _another => UNEXPECTED,
    })
}

/// CAPACITY DATA HAS CHANGED, PARAMETERS CHANGED and their like; REPORTED LUNS DATA HAS CHANGED, INQUIRY DATA HAS CHANGED.
/// A reset (29h) is no change: the login that comes before it looks anyway.
fn changes_units(sense: &Sense) -> bool {
    matches!((sense.code, sense.qualifier), (0x2a, 0x01 | 0x09 | 0x10) | (0x3f, 0x03 | 0x0e))
}

/// The disk failed in a way it does not explain: nothing is known of the blocks.
const UNEXPECTED: Outcome = Outcome::ReadError;
const WRITE_ERROR: u8 = 0x0c;
const SPACE_ALLOCATION_FAILED: (u8, u8) = (0x27, 0x07);
const GOOD: u8 = Status::Good as u8;
const CHECK_CONDITION: u8 = Status::CheckCondition as u8;
const CONDITION_MET: u8 = Status::ConditionMet as u8;
const BUSY: u8 = Status::Busy as u8;
const RESERVATION_CONFLICT: u8 = Status::ReservationConflict as u8;
const TASK_SET_FULL: u8 = Status::TaskSetFull as u8;
const ACA_ACTIVE: u8 = Status::AcaActive as u8;
const TASK_ABORTED: u8 = Status::TaskAborted as u8;

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(status: Option<u8>, sense: Option<Sense>) -> Ending {
        Ending { status, sense, moved: 0, is_exact: true }
    }

    #[test]
    fn good_is_ok_and_nothing_else_is_without_sense_data() {
        for status in 0..=u8::MAX {
            let answer = answer_of(&ending(Some(status), None));
            assert_eq!(answer == Answer::Done(Outcome::Ok), [0x00, 0x04].contains(&status), "{status:#x}");
        }
        assert_eq!(answer_of(&ending(None, None)), Answer::Again(Outcome::ReadError));
    }

    #[test]
    fn sense_data_says_why() {
        let answer = |key, code, qualifier| {
            answer_of(&ending(Some(CHECK_CONDITION), Some(Sense::new(key, code, qualifier))))
        };
        assert_eq!(answer(SenseKey::UnitAttention, 0x29, 0x00), Answer::Attention(false));
        assert_eq!(answer(SenseKey::UnitAttention, 0x2a, 0x09), Answer::Attention(true));
        assert_eq!(answer(SenseKey::DataProtect, 0x27, 0x07), Answer::Done(Outcome::NoSpace));
        assert_eq!(answer(SenseKey::DataProtect, 0x27, 0x00), Answer::Done(Outcome::ReadOnly));
        assert_eq!(answer(SenseKey::IllegalRequest, 0x21, 0x00), Answer::Done(Outcome::OutOfRange));
        assert_eq!(answer(SenseKey::MediumError, 0x0c, 0x00), Answer::Done(Outcome::WriteError));
        assert_eq!(answer(SenseKey::NotReady, 0x04, 0x01), Answer::Again(Outcome::TimedOut));
    }
}
