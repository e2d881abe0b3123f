//! What every SCSI initiator is, whatever carries its commands: the target's disks as volumes of ours.
//!
//! [`Units`] looks at a target's logical units, cuts requests into commands, and keeps each request until it is done, also
//! while there is no connection. Whoever has the connections ([`iscsi`](crate::iscsi::initiator), [`srp`](crate::srp::initiator))
//! gives it a [`Carrier`] to submit commands to, and tells it how they ended; [`Disk`] is what users hold.
//!
//! What it is not: it knows no connection, no session and no tag, and it decides nothing about when to connect anew. Whether the
//! outcome of an answerless request may be found out by asking again is decided in [`block::replay`].
//!
//! Invariant: a request is completed exactly once, whatever happens to the connections.

mod channel;
mod command;
mod disk;
mod event;
mod status;
mod units;

pub use disk::Disk;
pub use event::InitiatorEvent;

pub(crate) use disk::Attached;
pub(crate) use event::UnitChange;
pub(crate) use units::{Look, Settings, Units};

use stdx::env::Env;
use stdx::mem::Span;
use wire::scsi::{Cdb, Lun, Sense};

/// What takes commands to a target.
pub(crate) trait Carrier {
    /// How many ways there are to the target; channels are spread over them. None while there is no connection.
    fn ways(&self) -> usize;

    /// Takes a command on by one of the ways. It is sent by the next [`Carrier::flush`] at the latest, and
    /// [`Units::handle_ending`] is told how it ended.
    fn submit(&mut self, env: &mut dyn Env, way: usize, command: &Command) -> Result<(), Full>;

    /// Sends what waits to be sent.
    fn flush(&mut self, env: &mut dyn Env);
}

/// A command for a logical unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    /// Of which logical unit.
    pub lun: Lun,
    /// The command.
    pub cdb: Cdb,
    /// Its data, in memory that stays as it is until the command has ended.
    pub data: Data,
    /// What its ending is told with.
    pub token: u64,
}

/// The data of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Data {
    /// There is none.
    None,
    /// Memory to target.
    Out(Span),
    /// Target to memory: as much as comes.
    In(Span),
}

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ending {
    /// The SCSI status; `None` if the target could not deal with the command (target failure).
    pub status: Option<u8>,
    /// Why, if it said so.
    pub sense: Option<Sense>,
    /// Bytes that came.
    pub moved: u32,
    /// As many bytes moved as the command was for.
    pub is_exact: bool,
}

/// The way takes no further command now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

impl Data {
    /// Bytes the command may move.
    pub const fn len(&self) -> u32 {
        match self {
            Self::None => 0,
            Self::Out(span) | Self::In(span) => span.len,
        }
    }
}
