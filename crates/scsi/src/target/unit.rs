//! A logical unit: a volume behind a number, with its task set, its settings, and what its volume works on.

use super::reservation::Reservations;
use super::task_set::TaskSet;
use block::{BlockDevice, Channel, Info, QueuedChannel};
use std::collections::BTreeSet;
use std::rc::Rc;
use stdx::slab::Key;
use wire::scsi::{Sense, Specific};

/// What a logical unit is to be called.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UnitConfig {
    /// Its number; the lowest that is free if `None`.
    pub lun: Option<u16>,
    /// Its UUID, in network byte order: its designators are made of it. It is the volume's, whoever serves it.
    pub uuid: [u8; 16],
    /// UNIT SERIAL NUMBER, printable ASCII; the UUID's digits if empty.
    pub serial: String,
    /// PRODUCT IDENTIFICATION, up to 16 printable ASCII characters; a default if empty.
    pub product: String,
    /// The medium can be ejected and loaded (RMB).
    pub removable: bool,
    /// Reservations may outlive a power loss, and mode pages be saved: the owner keeps them.
    pub aptpl: bool,
}

/// The mode parameters that the core itself obeys (SPC-4, section 7.5; SBC-3, section 6.5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Settings {
    /// D_SENSE: sense data in the descriptor form.
    pub(super) descriptor_sense: bool,
    /// QERR: what a CHECK CONDITION does to other tasks.
    pub(super) queue_error: QueueError,
    /// TAS: tasks that another nexus ended are answered with TASK ABORTED.
    pub(super) task_aborted_status: bool,
    /// SWP: writes are refused.
    pub(super) write_protected: bool,
    /// WCE: a write may be answered before it is on stable storage.
    pub(super) write_cache: bool,
}

/// Settings that were saved (MODE SELECT with SP), for whoever keeps them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SavedMode(u8);

impl SavedMode {
    pub(super) fn of(settings: &Settings) -> Self {
        let bit = |set: bool, place: u8| u8::from(set) << place;
        Self(
            bit(settings.descriptor_sense, 0)
                | bit(settings.task_aborted_status, 1)
                | bit(settings.write_protected, 2)
                | bit(settings.write_cache, 3)
                | (settings.queue_error as u8) << 4,
        )
    }

    /// What a logical unit over such a volume makes of them.
    pub(super) const fn settings(self, info: &Info) -> Settings {
        Settings {
            descriptor_sense: self.0 & 1 != 0,
            task_aborted_status: self.0 & 1 << 1 != 0,
            write_protected: self.0 & 1 << 2 != 0,
            write_cache: self.0 & 1 << 3 != 0 && info.volatile_cache,
            queue_error: match self.0 >> 4 {
                0b01 => QueueError::AbortAll,
                0b11 => QueueError::AbortNexus,
                _ => QueueError::GoOn,
            },
        }
    }

    /// As a byte.
    pub const fn code(self) -> u8 {
        self.0
    }

    /// From the byte that [`SavedMode::code`] gave; `None` for any other.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code >> 4 {
            0b00 | 0b01 | 0b11 => Some(Self(code)),
            _ => None,
        }
    }
}

/// QERR of the Control mode page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum QueueError {
    /// Other tasks go on.
    GoOn = 0b00,
    /// All other tasks of the logical unit end.
    AbortAll = 0b01,
    /// The other tasks of the nexus end.
    AbortNexus = 0b11,
}

impl Settings {
    /// How a logical unit over such a volume begins.
    pub(super) const fn of(info: &Info) -> Self {
        Self {
            descriptor_sense: false,
            queue_error: QueueError::GoOn,
            task_aborted_status: false,
            write_protected: false,
            write_cache: info.volatile_cache,
        }
    }
}

/// Whether the medium can be used (SBC-3, section 4.20).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Medium {
    /// It can.
    Ready,
    /// A removable one was ejected.
    Ejected,
    /// It is being sanitized.
    Sanitizing {
        /// How much is done, of 65,536 parts.
        done: u16,
    },
    /// It could not be sanitized.
    SanitizeFailed {
        /// EXIT FAILURE MODE is allowed.
        may_exit: bool,
    },
    /// It is being formatted.
    Formatting {
        /// How much is done, of 65,536 parts.
        done: u16,
    },
    /// It could not be formatted.
    FormatFailed,
}

impl Medium {
    /// Why it cannot be used, if it cannot.
    pub(super) fn fault(self) -> Option<Sense> {
        let progress = |done| Some(Specific::Progress(done));
        match self {
            Self::Ready => None,
            Self::Ejected => Some(Sense::MEDIUM_NOT_PRESENT),
            Self::Sanitizing { done } => {
                Some(Sense { specific: progress(done), ..Sense::SANITIZE_IN_PROGRESS })
            }
            Self::SanitizeFailed { .. } => Some(Sense::SANITIZE_FAILED),
            Self::Formatting { done } => {
                Some(Sense { specific: progress(done), ..Sense::FORMAT_IN_PROGRESS })
            }
            Self::FormatFailed => Some(Sense::MEDIUM_FORMAT_CORRUPTED),
        }
    }
}

/// A logical unit.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) lun: u16,
    pub(super) device: Key,
    pub(super) config: UnitConfig,
    pub(super) volume: Rc<dyn BlockDevice>,
    /// What the volume was when it last said that it changed.
    pub(super) info: Info,
    pub(super) settings: Settings,
    /// What the settings begin with, if they were ever saved.
    pub(super) saved: Option<SavedMode>,
    pub(super) medium: Medium,
    /// Nexuses that prevent the removal of the medium.
    pub(super) preventing: BTreeSet<Key>,
    pub(super) tasks: TaskSet,
    pub(super) reservations: Reservations,
    /// The nexus whose task established an auto contingent allegiance.
    pub(super) allegiance: Option<Key>,
    pub(super) channel: QueuedChannel,
    /// In [`super::Target::busy`].
    pub(super) busy: bool,
    /// Removed by its owner; it stays until nothing is under way, because the volume may still write into buffers.
    pub(super) removed: bool,
}

impl Unit {
    pub(super) fn new(
        lun: u16,
        device: Key,
        config: UnitConfig,
        volume: Rc<dyn BlockDevice>,
        channel: Box<dyn Channel>,
    ) -> Self {
        let info = volume.info();
        Self {
            lun,
            device,
            config,
            info,
            volume,
            settings: Settings::of(&info),
            saved: None,
            medium: Medium::Ready,
            preventing: BTreeSet::new(),
            tasks: TaskSet::default(),
            reservations: Reservations::default(),
            allegiance: None,
            channel: QueuedChannel::new(channel),
            busy: false,
            removed: false,
        }
    }

    /// The settings after a reset: those that were saved, or the default ones.
    pub(super) fn first_settings(&self) -> Settings {
        self.saved.map_or_else(|| Settings::of(&self.info), |saved| saved.settings(&self.info))
    }
}
