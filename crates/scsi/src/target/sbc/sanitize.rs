//! SANITIZE: nothing that was on the medium can be read afterwards.
//!
//! It survives resets and the loss of its nexus (SBC-3, section 4.11): only the answer is lost. While it goes on, nothing
//! else does; when it failed, nothing does until it succeeds, or its failure is acknowledged.

use super::super::call::{Call, Step};
use super::super::command::{Access, CONTROL, CommandRow, Data, Field, MediumUse};
use super::super::seam::Transfer;
use super::super::task::Fault;
use super::super::unit::Medium;
use super::run::{MemoryOf, Run, fill_pattern};
use super::status::of_volume;
use super::work::Work;
use block::{Done, Info, Op};
use core::time::Duration;
use stdx::mem::Span;
use wire::scsi::{Cdb, Sense, Status};

pub(in super::super) const ROWS: [CommandRow; 4] = [
    // SANITIZE (SBC-3, section 5.20): OVERWRITE, BLOCK ERASE, CRYPTOGRAPHIC ERASE, EXIT FAILURE MODE.
    row(
        1,
        &[0x48, IMMEDIATE | ALLOW_EXIT | 1, 0, 0, 0, 0, 0, 0xff, 0xff, CONTROL],
        Data::Blocks(pattern_data),
    ),
    row(2, &[0x48, IMMEDIATE | ALLOW_EXIT | 2, 0, 0, 0, 0, 0, 0, 0, CONTROL], Data::None),
    CommandRow {
        medium: MediumUse::Rekeyed,
        ..row(3, &[0x48, IMMEDIATE | ALLOW_EXIT | 3, 0, 0, 0, 0, 0, 0, 0, CONTROL], Data::None)
    },
    row(0x1f, &[0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, CONTROL], Data::None),
];

/// IMMED and AUSE, above SERVICE ACTION.
const IMMEDIATE: u8 = 0x80;
const ALLOW_EXIT: u8 = 0x20;

const fn row(action: u8, usage: &'static [u8], data: Data) -> CommandRow {
    CommandRow {
        operation_code: 0x48,
        service_action: Some(action),
        usage,
        access: Access::Write,
        medium: MediumUse::Changed,
        always: false,
        data,
        execute,
    }
}

/// A sanitize operation under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) struct Sanitizing {
    run: Run,
    /// Passes that follow this one, and whether the pattern is inverted in between.
    passes_left: u8,
    invert: bool,
    purpose: Purpose,
}

/// What the medium is erased for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in super::super) enum Purpose {
    /// SANITIZE.
    Sanitize {
        /// AUSE: a failure may be acknowledged by EXIT FAILURE MODE.
        may_exit: bool,
    },
    /// FORMAT UNIT.
    Format,
}

impl Purpose {
    /// The medium meanwhile.
    const fn under_way(self, done: u16) -> Medium {
        match self {
            Self::Sanitize { .. } => Medium::Sanitizing { done },
            Self::Format => Medium::Formatting { done },
        }
    }

    /// The medium when it could not be done, and what the command says.
    const fn failed(self) -> (Medium, Sense) {
        match self {
            Self::Sanitize { may_exit } => (Medium::SanitizeFailed { may_exit }, Sense::SANITIZE_FAILED),
            Self::Format => (Medium::FormatFailed, Sense::FORMAT_COMMAND_FAILED),
        }
    }
}

/// The parameter list is a header of four bytes and a pattern of up to one block.
fn pattern_data(info: &Info, cdb: &Cdb) -> Result<Transfer, Sense> {
    match Field::new(7, 2).of(cdb) {
        len if len > 4 && len <= 4 + info.block_size => Ok(Transfer::Out { len }),
        _ => Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(7)),
    }
}

fn execute(call: &mut Call<'_>) -> Result<Step, Fault> {
    let purpose = Purpose::Sanitize { may_exit: call.cdb().byte(1) & ALLOW_EXIT != 0 };
    let immediate = call.cdb().byte(1) & IMMEDIATE != 0;
    let step = match call.cdb().byte(1) & 0x1f {
        0x1f => return exit_failure_mode(call),
        0x01 => {
            let info = call.info()?;
            let sanitizing = overwrite(call, &info, purpose)?;
            go_on(call, sanitizing, &info)?
        }
        0x03 => crypto_erase(call, purpose)?,
        _ => erase(call, purpose)?,
    };
    if immediate {
        call.answer_early();
    }
    Ok(step)
}

/// Gives back the space of the whole medium, which reads as zero afterwards.
pub(super) fn erase(call: &mut Call<'_>, purpose: Purpose) -> Result<Step, Fault> {
    let info = call.info()?;
    let run = Run::new(Op::Zero { deallocate: true }, 0, info.blocks, true, MemoryOf::Nobody);
    go_on(call, Sanitizing { run, passes_left: 0, invert: false, purpose }, &info)
}

/// The volume draws a new key: one request, however large the medium is.
fn crypto_erase(call: &mut Call<'_>, purpose: Purpose) -> Result<Step, Fault> {
    call.unit_mut()?.medium = purpose.under_way(0);
    let run = Run::new(Op::CryptoErase, 0, 0, true, MemoryOf::Nobody);
    let (io, run) = run.next(call, &call.info()?);
    call.start(io, Work::Sanitize(Sanitizing { run, passes_left: 0, invert: false, purpose }))
}

/// The pattern, as often in a block as it fits, over the whole medium, as often as OVERWRITE COUNT says.
fn overwrite(call: &mut Call<'_>, info: &Info, purpose: Purpose) -> Result<Sanitizing, Fault> {
    let list = call.parameters();
    let &[flags, _, high, low, ref pattern @ ..] = list.as_slice() else {
        return Err(Fault::Sense(Sense::PARAMETER_LIST_LENGTH));
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    let passes = flags & 0x1f;
    if passes == 0 {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_bit(0, 4)));
    }
    if len == 0 || len > info.block_size as usize || len != pattern.len() {
        return Err(Fault::Sense(Sense::INVALID_FIELD_IN_PARAMETER_LIST.at_parameter_byte(2)));
    }
    let block: Vec<u8> = pattern.iter().copied().cycle().take(info.block_size as usize).collect();
    let memory = call.env.mem();
    let span = memory.take(block.len()).ok_or(Fault::Status(Status::Busy))?;
    memory.write(span, &block);
    let filled = fill_pattern(call, span, info.blocks);
    call.env.mem().give(span);
    filled?;
    let run = Run::new(Op::Write, 0, info.blocks, true, MemoryOf::Pattern);
    Ok(Sanitizing { run, passes_left: passes - 1, invert: flags & 0x80 != 0, purpose })
}

/// A failure is acknowledged, if that was allowed when it began.
fn exit_failure_mode(call: &mut Call<'_>) -> Result<Step, Fault> {
    let unit = call.unit_mut()?;
    if unit.medium == (Medium::SanitizeFailed { may_exit: true }) {
        unit.medium = Medium::Ready;
    }
    Ok(Step::Good(Span::EMPTY))
}

/// The volume is done with a part of the medium.
pub(super) fn next_of_sanitize(call: &mut Call<'_>, now: Sanitizing, done: &Done) -> Result<Step, Fault> {
    if of_volume(done.status, 0).is_err() {
        let (medium, sense) = now.purpose.failed();
        call.unit_mut()?.medium = medium;
        return Err(Fault::Sense(sense));
    }
    let info = call.info()?;
    if !now.run.is_done() {
        call.rest(PAUSE);
        return Ok(Step::UnderWay);
    }
    if now.passes_left == 0 {
        call.unit_mut()?.medium = Medium::Ready;
        return Ok(Step::Good(Span::EMPTY));
    }
    if now.invert {
        invert(call);
    }
    let run = Run::new(Op::Write, 0, info.blocks, true, MemoryOf::Pattern);
    go_on(call, Sanitizing { run, passes_left: now.passes_left - 1, ..now }, &info)
}

/// The pause is over: the next part follows.
pub(in super::super) fn after_rest(call: &mut Call<'_>, now: Sanitizing) -> Result<Step, Fault> {
    let info = call.info()?;
    go_on(call, now, &info)
}

/// The next part of the medium.
fn go_on(call: &mut Call<'_>, now: Sanitizing, info: &Info) -> Result<Step, Fault> {
    let (io, run) = now.run.next(call, info);
    let parts = u128::from(run.blocks_done()) * 65_536 / u128::from(info.blocks.max(1));
    call.unit_mut()?.medium = now.purpose.under_way(parts.min(65_535) as u16);
    call.start(io, Work::Sanitize(Sanitizing { run, ..now }))
}

/// Between two parts: whoever else lives on the shard comes first. With parts of 256 KiB it makes 128 MiB a second.
const PAUSE: Duration = Duration::from_millis(2);

fn invert(call: &mut Call<'_>) {
    let pattern = call.task.pattern;
    let mut bytes = vec![0; pattern.len()];
    let memory = call.env.mem();
    memory.read(pattern, &mut bytes);
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
    memory.write(pattern, &bytes);
}
