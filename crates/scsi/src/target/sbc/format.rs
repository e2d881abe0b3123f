//! FORMAT UNIT: the medium is made anew, and reads as zero afterwards.
//!
//! A volume has no defects to list, no protection information, and blocks of one length. What is left of formatting is to
//! give all space back, part by part, as SANITIZE does; while that goes on the logical unit says how far it is.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, MediumUse};
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::sanitize::{self, Purpose};
use block::Info;
use wire::scsi::{Cdb, Sense};

pub(in super::super) const ROWS: [CommandRow; 1] = [
    // FORMAT UNIT (SBC-3, section 5.3). FMTPINFO must be zero: there is no protection information.
    CommandRow {
        operation_code: 0x04,
        service_action: None,
        usage: &[0x04, LONG_LIST | HAS_DATA | COMPLETE_LIST | DEFECT_LIST_FORMAT, 0, 0, 0, CONTROL],
        access: Access::Write,
        medium: MediumUse::Changed,
        always: false,
        data: Data::Blocks(list),
        execute,
    },
];

/// LONGLIST, FMTDATA, CMPLST and DEFECT LIST FORMAT.
const LONG_LIST: u8 = 0x20;
const HAS_DATA: u8 = 0x10;
const COMPLETE_LIST: u8 = 0x08;
const DEFECT_LIST_FORMAT: u8 = 0x07;

/// With FMTDATA a header comes, short or long; what could follow it is refused by what it says.
fn list(_: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    let flags = cdb.byte(1);
    match (flags & HAS_DATA != 0, flags & LONG_LIST != 0) {
        (false, _) if flags != 0 => Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, flags.ilog2() as u8)),
        (false, _) => Ok(Transfer::None),
        (true, false) => Ok(Transfer::Out { len: SHORT_HEADER }),
        (true, true) => Ok(Transfer::Out { len: LONG_HEADER }),
    }
}

fn execute(call: &mut Call<'_>) -> Result<Step, Fault> {
    let is_immediate = match list(&call.info()?, call.cdb())? {
        Transfer::Out { len } => {
            call.received(len).map_err(|_| Fault::Sense(Sense::PARAMETER_LIST_LENGTH))?;
            check(&call.parameters())?
        }
        Transfer::None | Transfer::In { .. } | Transfer::Both { .. } => false,
    };
    let step = sanitize::erase(call, Purpose::Format)?;
    if is_immediate {
        call.answer_early();
    }
    Ok(step)
}

/// Whether the header asks for an answer at once (IMMED). Nothing else can be asked for: no protection information, no
/// pattern, and no defects. Options about defect lists (FOV and those it makes valid) change nothing where there are none.
fn check(header: &[u8]) -> Result<bool, Fault> {
    let invalid = |at: u16| Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(at));
    let (protection, flags, defects) = match *header {
        [usage, flags, _, information, ref defects @ ..] if header.len() == LONG_HEADER as usize => {
            (usage | information, flags, defects)
        }
        [usage, flags, ref defects @ ..] => (usage, flags, defects),
        _ => return Err(Fault::Sense(Sense::PARAMETER_LIST_LENGTH)),
    };
    if protection != 0 {
        return Err(invalid(0));
    }
    if flags & INITIALIZATION_PATTERN != 0 || flags & DEFECT_OPTIONS != 0 && flags & OPTIONS_VALID == 0 {
        return Err(invalid(1));
    }
    if defects.iter().any(|&byte| byte != 0) {
        return Err(invalid((header.len() - defects.len()) as u16));
    }
    Ok(flags & IMMEDIATE != 0)
}

/// Bytes of the parameter list's header (SBC-3, section 5.3.2.2).
const SHORT_HEADER: u32 = 4;
const LONG_HEADER: u32 = 8;
/// FOV; DPRY, DCRT and STPF; IP; IMMED.
const OPTIONS_VALID: u8 = 0x80;
const DEFECT_OPTIONS: u8 = 0x70;
const INITIALIZATION_PATTERN: u8 = 0x08;
const IMMEDIATE: u8 = 0x02;
