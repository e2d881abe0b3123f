//! Which data an I/O command moves, and whether its namespace and range exist.

use super::super::namespace::Namespace;
use super::super::queue::Queue;
use super::super::sgl::{self, Limits};
use super::super::{Target, Transfer};
use super::ranges::COPY_RANGES_MAX;
use super::reservation;
use block::Info;
use stdx::slab::Key;
use wire::nvme::copy::CopyCommand;
use wire::nvme::dsm::{DATASET_RANGES_MAX, DatasetManagement, DatasetRange};
use wire::nvme::nvm::BlockCommand;
use wire::nvme::{Fuse, NAMESPACE_ALL, NvmOpcode, Status, SubmissionQueueEntry};

impl Target {
    /// See [`Target::transfer`].
    pub(in super::super) fn io_transfer(
        &mut self,
        key: Key,
        command: &SubmissionQueueEntry,
    ) -> Result<Transfer, Status> {
        let queue = self.queues.get(key).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        match command.fuse() {
            Some(Fuse::Normal) if !queue.fusing.expects_second() => self.io_data(queue, command),
            Some(fuse) => self.fused_transfer(key, command, fuse),
            None => Err(Status::INVALID_FIELD),
        }
    }

    /// The data of a command by itself.
    pub(super) fn io_data(&self, queue: &Queue, command: &SubmissionQueueEntry) -> Result<Transfer, Status> {
        let Some(opcode) = NvmOpcode::from_code(command.opcode) else { return Err(Status::INVALID_OPCODE) };
        let limits = self.limits(queue);
        match opcode {
            NvmOpcode::Read => {
                let info = self.namespace_of(queue, command)?.1.info;
                let range = range_of(command, &info)?;
                let lent = info.lends && range.blocks <= info.blocks_max;
                sgl::from_controller(command, bytes_of(&range, &info), lent, &limits)
            }
            NvmOpcode::Write | NvmOpcode::Compare => {
                let info = self.namespace_of(queue, command)?.1.info;
                let range = range_of(command, &info)?;
                sgl::to_controller(command, bytes_of(&range, &info), &limits)
            }
            NvmOpcode::WriteZeroes | NvmOpcode::WriteUncorrectable | NvmOpcode::Verify => {
                let info = self.namespace_of(queue, command)?.1.info;
                range_of(command, &info)?;
                sgl::none(command)
            }
            NvmOpcode::Flush => {
                if command.namespace_id.get() != NAMESPACE_ALL {
                    self.namespace_of(queue, command)?;
                }
                sgl::none(command)
            }
            NvmOpcode::DatasetManagement => {
                self.namespace_of(queue, command)?;
                // Some hosts send room for all the ranges there can be.
                let len = DatasetManagement::read(command).data_len() as u32;
                let most = u32::from(DATASET_RANGES_MAX) * DatasetRange::LEN as u32;
                sgl::to_controller_at_least(command, len, most, &limits)
            }
            NvmOpcode::Copy => {
                self.namespace_of(queue, command)?;
                let copy = CopyCommand::read(command);
                if copy.ranges > COPY_RANGES_MAX {
                    return Err(Status::COMMAND_SIZE_LIMIT_EXCEEDED);
                }
                sgl::to_controller(command, copy.data_len() as u64, &limits)
            }
            NvmOpcode::ReservationRegister
            | NvmOpcode::ReservationAcquire
            | NvmOpcode::ReservationRelease
            | NvmOpcode::ReservationReport => {
                self.namespace_of(queue, command)?;
                reservation::transfer(opcode, command, &limits)
            }
            NvmOpcode::Fabrics => Err(Status::INVALID_OPCODE),
        }
    }

    /// What a queue's capsules may carry. Admin capsules carry 8 KiB (TCP transport 3.3.1.1).
    pub(in super::super) fn limits(&self, queue: &Queue) -> Limits {
        let in_capsule = if queue.is_admin() { ADMIN_IN_CAPSULE } else { self.options.in_capsule_data_size };
        let transport = queue.arrival.portal.transport;
        Limits { in_capsule, transfer: self.options.transfer_len_max(), transport }
    }

    /// The namespace an I/O command names. An identifier past the highest there can be is invalid, one without a
    /// namespace is inactive (Base 3.2.1.3, figure 67).
    pub(super) fn namespace_of(
        &self,
        queue: &Queue,
        command: &SubmissionQueueEntry,
    ) -> Result<(Key, &Namespace), Status> {
        let id = command.namespace_id.get();
        let subsystem = self.subsystems.get(queue.subsystem).ok_or(Status::ABORTED_QUEUE_DELETION)?;
        match subsystem.namespace(id).and_then(|key| Some((key, self.namespaces.get(key)?))) {
            Some(found) => Ok(found),
            None if id == 0 || id > subsystem.config.max_namespaces => {
                Err(Status::INVALID_NAMESPACE_OR_FORMAT)
            }
            None => Err(Status::INVALID_FIELD),
        }
    }
}

/// The range of a block command, which lies on the volume.
pub(super) fn range_of(command: &SubmissionQueueEntry, info: &Info) -> Result<BlockCommand, Status> {
    let range = BlockCommand::read(command);
    if info.contains(range.first_block, u64::from(range.blocks)) {
        Ok(range)
    } else {
        Err(Status::LBA_OUT_OF_RANGE)
    }
}

fn bytes_of(range: &BlockCommand, info: &Info) -> u64 {
    u64::from(range.blocks) * u64::from(info.block_size)
}

/// Bytes of data in a capsule of an admin queue.
const ADMIN_IN_CAPSULE: u32 = 8192;
