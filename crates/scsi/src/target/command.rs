//! The one table of commands: by it commands are recognised, checked and executed, and by it REPORT SUPPORTED OPERATION
//! CODES tells which there are.
//!
//! Each room of commands ([`super::spc`], [`super::sbc`]) has its rows; a row says everything that is to be known of a command
//! before it is executed.

use super::call::{Call, Step};
use super::device::Protocol;
use super::options::{PARAMETER_DATA_MAX, PARAMETER_LIST_MAX};
use super::reservation::AccessKind;
use super::sbc;
use super::seam::Transfer;
use super::spc;
use super::task::Fault;
use block::Info;
use wire::scsi::{Cdb, Sense};

/// A command.
#[derive(Debug)]
pub(super) struct CommandRow {
    /// OPERATION CODE.
    pub(super) operation_code: u8,
    /// SERVICE ACTION, in byte 1, of commands that have one.
    pub(super) service_action: Option<u8>,
    /// CDB USAGE DATA (SPC-4, section 6.35.3): a bit that is zero here must be zero in the CDB. The first byte is the
    /// operation code, and the service action stands where it stands in the CDB. As long as the CDB.
    pub(super) usage: &'static [u8],
    /// Which reservations of other nexuses it conflicts with.
    pub(super) access: Access,
    /// What it does to the medium.
    pub(super) medium: MediumUse,
    /// INQUIRY, REPORT LUNS, REQUEST SENSE: answered where there is no logical unit, and while a unit attention waits.
    pub(super) always: bool,
    /// Which data it moves.
    pub(super) data: Data,
    /// Executes it, its data or buffer there.
    pub(super) execute: fn(&mut Call<'_>) -> Result<Step, Fault>,
}

/// Which reservations of other nexuses a command conflicts with (SPC-4, table 66; SBC-3, table 14).
#[derive(Clone, Copy, Debug)]
pub(super) enum Access {
    /// None at all.
    Always,
    /// None but those by RESERVE.
    Free,
    /// Those against reading, too.
    Read,
    /// Those against writing.
    Write,
    /// As the CDB says.
    Judged(fn(&Cdb) -> AccessKind),
}

/// What a command needs of the medium.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MediumUse {
    /// Nothing: it works while the medium is stopped.
    Aside,
    /// It is there.
    Needed,
    /// It is there, and may be written.
    Changed,
    /// The same, and the volume encrypts with a key that can be changed: where it does not, there is no such command.
    Rekeyed,
}

/// Which data a command moves.
#[derive(Clone, Copy, Debug)]
pub(super) enum Data {
    /// None.
    None,
    /// Parameter data, up to the ALLOCATION LENGTH in this field.
    In(Field),
    /// A parameter list, as long as the PARAMETER LIST LENGTH in this field.
    Out(Field),
    /// Blocks, as the CDB and the volume say. It checks the range, too.
    Blocks(fn(&Info, &Cdb) -> Result<Transfer, Sense>),
    /// The same, both ways: where the transport cannot, there is no such command.
    Exchange(fn(&Info, &Cdb) -> Result<Transfer, Sense>),
}

impl Access {
    /// What it comes to for this CDB.
    pub(super) fn kind(self, cdb: &Cdb) -> AccessKind {
        match self {
            Self::Always => AccessKind::Always,
            Self::Free => AccessKind::Persistent,
            Self::Read => AccessKind::Read,
            Self::Write => AccessKind::Write,
            Self::Judged(judge) => judge(cdb),
        }
    }
}

/// A number in a CDB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field {
    /// Its first byte.
    pub(super) at: usize,
    /// How many bytes it has, up to four.
    pub(super) bytes: usize,
}

impl Field {
    pub(super) const fn new(at: usize, bytes: usize) -> Self {
        Self { at, bytes }
    }

    /// The number.
    pub(super) fn of(self, cdb: &Cdb) -> u32 {
        cdb.0[self.at..self.at + self.bytes].iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
    }
}

impl Data {
    /// Which data a command with this CDB moves; `info` is the volume's, if there is a logical unit.
    pub(super) fn transfer(self, info: Option<&Info>, cdb: &Cdb) -> Result<Transfer, Sense> {
        match self {
            Self::None => Ok(Transfer::None),
            Self::In(field) => match field.of(cdb).min(PARAMETER_DATA_MAX) {
                0 => Ok(Transfer::None),
                len => Ok(Transfer::In { len, lent: false }),
            },
            Self::Out(field) => match field.of(cdb) {
                0 => Ok(Transfer::None),
                len if len > PARAMETER_LIST_MAX => {
                    Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_byte(field.at as u16))
                }
                len => Ok(Transfer::Out { len }),
            },
            Self::Blocks(of) | Self::Exchange(of) => of(info.ok_or(Sense::LOGICAL_UNIT_NOT_SUPPORTED)?, cdb),
        }
    }
}

/// Every row, in the order in which they are reported.
pub(super) fn rows() -> impl Iterator<Item = &'static CommandRow> + Clone {
    ROOMS.iter().flat_map(|room| room.iter())
}

/// True if a logical unit over such a volume has the command, reached by such a protocol.
pub(super) fn is_offered(row: &CommandRow, info: &Info, protocol: Protocol) -> bool {
    let is_movable = !matches!(row.data, Data::Exchange(_)) || protocol.moves_both_ways();
    is_movable && (row.medium != MediumUse::Rekeyed || info.crypto_erases)
}

/// What is said where a command is not offered.
pub(super) const fn unknown(row: &CommandRow) -> Sense {
    match row.service_action {
        Some(_) => NO_SUCH_ACTION,
        None => Sense::INVALID_OPERATION_CODE.at_cdb_byte(0),
    }
}

/// The row of a CDB whose reserved bits are zero, or what is wrong with it.
pub(super) fn find(cdb: &Cdb) -> Result<&'static CommandRow, Sense> {
    let (room, first, count) = INDEX[usize::from(cdb.operation_code())];
    let candidates = &ROOMS[usize::from(room)][usize::from(first)..usize::from(first) + usize::from(count)];
    let Some(any) = candidates.first() else { return Err(Sense::INVALID_OPERATION_CODE.at_cdb_byte(0)) };
    let row = match any.service_action {
        None => any,
        Some(_) => {
            let action = Some(cdb.byte(1) & SERVICE_ACTION);
            let found = candidates.iter().find(|row| row.service_action == action);
            found.ok_or(NO_SUCH_ACTION)?
        }
    };
    for (at, &usage) in row.usage.iter().enumerate().skip(1) {
        let reserved = cdb.byte(at) & !usage;
        if reserved != 0 {
            return Err(Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(at as u16, reserved.ilog2() as u8));
        }
    }
    Ok(row)
}

/// By operation code: the room, the first row, and how many rows there are. Rows of one operation code stand together.
static INDEX: [(u8, u8, u8); 256] = index();

const fn index() -> [(u8, u8, u8); 256] {
    let mut index = [(0, 0, 0); 256];
    let mut room = 0;
    while room < ROOMS.len() {
        let mut place = 0;
        while place < ROOMS[room].len() {
            let row = &ROOMS[room][place];
            let entry = &mut index[row.operation_code as usize];
            if entry.2 == 0 {
                (entry.0, entry.1) = (room as u8, place as u8);
            }
            assert!(entry.0 as usize == room && entry.1 as usize + entry.2 as usize == place);
            entry.2 += 1;
            place += 1;
        }
        room += 1;
    }
    index
}

/// The rooms' rows.
const ROOMS: [&[CommandRow]; 23] = [
    &spc::inquiry::ROWS,
    &spc::luns::ROWS,
    &spc::mode::ROWS,
    &spc::log::ROWS,
    &spc::reserve::ROWS,
    &spc::persist::ROWS,
    &spc::diagnostic::ROWS,
    &spc::removal::ROWS,
    &spc::maintenance::ROWS,
    &spc::copy::ROWS,
    &sbc::ready::ROWS,
    &sbc::capacity::ROWS,
    &sbc::transfer::ROWS,
    &sbc::exchange::ROWS,
    &sbc::verify::ROWS,
    &sbc::cache::ROWS,
    &sbc::atomic::ROWS,
    &sbc::write_same::ROWS,
    &sbc::unmap::ROWS,
    &sbc::defects::ROWS,
    &sbc::start_stop::ROWS,
    &sbc::sanitize::ROWS,
    &sbc::format::ROWS,
];

/// The SERVICE ACTION is none of the operation code's.
pub(super) const NO_SUCH_ACTION: Sense = Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 4);

/// SERVICE ACTION in byte 1.
const SERVICE_ACTION: u8 = 0x1f;

/// The CONTROL byte's usage: NACA.
pub(super) const CONTROL: u8 = 0x04;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_as_long_as_their_cdbs_and_name_themselves() {
        for row in rows() {
            let mut cdb = Cdb([0; 16]);
            cdb.0[0] = row.operation_code;
            assert_eq!(Some(row.usage.len()), cdb.group_len(), "{:02x}h", row.operation_code);
            assert_eq!(row.usage[0], row.operation_code);
            assert_eq!(row.usage[row.usage.len() - 1], CONTROL, "{:02x}h", row.operation_code);
            if let Some(action) = row.service_action {
                assert_eq!(row.usage[1] & SERVICE_ACTION, action, "{:02x}h", row.operation_code);
                cdb.0[1] = action;
            }
            assert!(core::ptr::eq(find(&cdb).unwrap(), row), "{:02x}h", row.operation_code);
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let mut cdb = Cdb([0; 16]);
        assert!(find(&cdb).is_ok());
        cdb.0[3] = 0x50;
        assert_eq!(find(&cdb).unwrap_err(), Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(3, 6));
        cdb.0[0] = 0xff;
        assert_eq!(find(&cdb).unwrap_err(), Sense::INVALID_OPERATION_CODE.at_cdb_byte(0));
        cdb.0 = [0; 16];
        (cdb.0[0], cdb.0[1]) = (0x9e, 0x1f);
        assert_eq!(find(&cdb).unwrap_err(), Sense::INVALID_FIELD_IN_CDB.at_cdb_bit(1, 4));
    }
}
