//! A command being executed: what its handler has at hand, and what it may answer.

use super::Target;
use super::device::Device;
use super::nexus::Nexus;
use super::sbc::Work;
use super::task::{Ending, Fault, Task};
use super::unit::Unit;
use block::{Info, Io};
use core::time::Duration;
use stdx::env::Env;
use stdx::mem::Span;
use stdx::slab::Key;
use wire::scsi::{Cdb, Sense, Status};

/// A command being executed.
pub(super) struct Call<'a> {
    pub(super) target: &'a mut Target,
    pub(super) env: &'a mut dyn Env,
    /// The task's key.
    pub(super) key: Key,
    /// The task, as it is now.
    pub(super) task: Task,
}

/// What a handler made of its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It is done; this is the data to send.
    Good(Span),
    /// It goes on by itself: with a request to a volume, or until its owner ends it.
    UnderWay,
}

impl Call<'_> {
    pub(super) const fn cdb(&self) -> &Cdb {
        &self.task.cdb
    }

    /// The logical unit. An error only for the commands that are always answered.
    pub(super) fn unit(&self) -> Result<&Unit, Fault> {
        let unit = self.task.unit.and_then(|key| self.target.units.get(key));
        unit.ok_or(Fault::Sense(Sense::LOGICAL_UNIT_NOT_SUPPORTED))
    }

    pub(super) fn unit_mut(&mut self) -> Result<&mut Unit, Fault> {
        let unit = self.task.unit.and_then(|key| self.target.units.get_mut(key));
        unit.ok_or(Fault::Sense(Sense::LOGICAL_UNIT_NOT_SUPPORTED))
    }

    /// What the volume is.
    pub(super) fn info(&self) -> Result<Info, Fault> {
        Ok(self.unit()?.info)
    }

    /// The nexus the command came through. An error if it is gone: nobody is told.
    pub(super) fn nexus(&self) -> Result<&Nexus, Fault> {
        self.target.nexuses.get(self.task.nexus).ok_or(Fault::Status(Status::TaskAborted))
    }

    pub(super) fn nexus_mut(&mut self) -> Result<&mut Nexus, Fault> {
        self.target.nexuses.get_mut(self.task.nexus).ok_or(Fault::Status(Status::TaskAborted))
    }

    /// The device.
    pub(super) fn device(&self) -> Result<&Device, Fault> {
        let device = self.target.devices.get(self.nexus()?.device);
        device.ok_or(Fault::Status(Status::TaskAborted))
    }

    /// The parameter list that came with the command, copied: it may be shorter than the CDB says.
    pub(super) fn parameters(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.task.data.len()];
        self.env.mem().read(self.task.data, &mut bytes);
        bytes
    }

    /// Checks that all the data has come that the command is about. Half of it is none: what an initiator did not offer to
    /// send it did not mean.
    pub(super) fn received(&self, len: u32) -> Result<(), Fault> {
        if self.task.data.len == len {
            Ok(())
        } else {
            Err(Fault::Sense(Sense::INVALID_FIELD_IN_INFORMATION_UNIT))
        }
    }

    /// Checks that the initiator offered to send so many bytes, and no more: for commands whose data means something else
    /// if it has another length.
    pub(super) fn offered(&self, len: u32) -> Result<(), Fault> {
        self.received(len)?;
        if self.task.data_out_len == len {
            Ok(())
        } else {
            Err(Fault::Sense(Sense::INVALID_FIELD_IN_INFORMATION_UNIT))
        }
    }

    /// Answers with parameter data, cut to the allocation length.
    pub(super) fn answer(&mut self, bytes: &[u8]) -> Result<Step, Fault> {
        let len = bytes.len().min(self.task.data.len());
        let data = self.task.data.first(len);
        self.env.mem().write(data, &bytes[..len]);
        Ok(Step::Good(data))
    }

    /// Gives the logical unit's volume a request; `work` is what follows. The tag is set here.
    pub(super) fn start(&mut self, io: Io, work: Work) -> Result<Step, Fault> {
        let unit = self.task.unit.ok_or(Fault::Sense(Sense::LOGICAL_UNIT_NOT_SUPPORTED))?;
        self.target.start(self.env, self.key, unit, io, work);
        Ok(Step::UnderWay)
    }

    /// The task holds this memory until it ends.
    pub(super) fn keep_pattern(&mut self, pattern: Span) {
        self.task.pattern = pattern;
        if let Some(task) = self.target.tasks.get_mut(self.key) {
            task.pattern = pattern;
        }
    }

    /// The task goes on after a pause.
    pub(super) fn rest(&mut self, pause: Duration) {
        self.target.resting.push_back((self.env.now() + pause, self.key));
    }

    /// Answers GOOD while the work goes on (IMMED).
    pub(super) fn answer_early(&mut self) {
        self.target.answer_early(self.env, self.key, Ending::of(Status::Good));
    }
}
