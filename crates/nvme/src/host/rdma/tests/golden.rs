//! What we send beside what a Linux host sent, as captured: where RDMA leaves no choice it is the same.

#[path = "../../../../../wire/tests/support/frames.rs"]
mod frames;

use super::{Bench, parameters};
use crate::host::queue::{Data, InCapsule};
use crate::host::rdma::queue::Parameters;
use frames::units;
use stdx::env::Env;
use wire::cm::{IpAddresses, Message};
use wire::nvme::rdma::{PRIVATE_DATA_LEN, QueueRequest};
use wire::nvme::{CompletionQueueEntry, FABRICS_OPCODE, Sgl, SubmissionQueueEntry};
use zerocopy::IntoBytes;

#[test]
fn queues_are_asked_for_in_the_same_words() {
    let mut compared = 0;
    for unit in units("nvme-rdma").iter().filter(|unit| unit.destination == 1) {
        let Message::ConnectRequest(message) = Message::decode(&unit.bytes).unwrap().1 else { continue };
        let theirs = &message.private_data[IpAddresses::LEN..][..PRIVATE_DATA_LEN];
        let asked = QueueRequest::decode(theirs).unwrap();
        let bench = Bench::with(
            Parameters {
                id: asked.queue_id,
                controller_id: asked.controller_id,
                entries: asked.host_receive_size,
                ..parameters()
            },
            asked.host_receive_size,
        );
        assert_eq!(bench.asked, theirs, "queue {}", asked.queue_id);
        compared += 1;
    }
    assert!(compared > 1, "an admin queue, and one for I/O");
}

#[test]
fn capsules_differ_in_the_choices_alone() {
    let (mut keyed, mut in_capsule, mut without) = (0, 0, 0);
    let mut bench = Bench::connected();
    for unit in units("nvme-rdma").iter().filter(|unit| unit.destination != 1) {
        if unit.bytes.len() == CompletionQueueEntry::LEN {
            continue;
        }
        let theirs = SubmissionQueueEntry::view(&unit.bytes).unwrap();
        let sgl = theirs.data.decode().unwrap();
        // Capsules lie at the beginning of the memory.
        let data = bench.memory.slice(BEHIND_CAPSULES, sgl.data_length() as usize);
        let max = match sgl {
            Sgl::InCapsule { length, .. } => {
                bench.env.mem().write(data, &unit.bytes[SubmissionQueueEntry::LEN..]);
                in_capsule += 1;
                length
            }
            _ if data.is_empty() => {
                without += 1;
                0
            }
            _ => {
                keyed += 1;
                0
            }
        };
        bench.queue.parameters.in_capsule = InCapsule { max, offset: 0 };
        let data =
            if is_to_controller(theirs) { Data::ToController(data) } else { Data::FromController(data) };
        let ours = bench.submitted(theirs, data);
        assert!(anonymous(&ours) == anonymous(&unit.bytes), "frame {}: {ours:02x?}", unit.frame);
    }
    assert!(keyed > 0 && in_capsule > 0 && without > 0, "{keyed} {in_capsule} {without}");
}

const BEHIND_CAPSULES: usize = 4096;

/// Which way a command's data goes: the two lowest bits of its opcode say it (Base 3.3.3.1), of Fabrics' its type's.
fn is_to_controller(command: &SubmissionQueueEntry) -> bool {
    let code = if command.opcode == FABRICS_OPCODE { command.fabrics_type_code() } else { command.opcode };
    code & 3 == 1
}

/// A capsule without what a host chooses: the command's identifier, and the address and key of its memory.
fn anonymous(capsule: &[u8]) -> Vec<u8> {
    let (command, data) = capsule.split_at(SubmissionQueueEntry::LEN);
    let mut command = *SubmissionQueueEntry::view(command).unwrap();
    command.command_id = 0.into();
    if let Ok(Sgl::Keyed { length, invalidate, .. }) = command.data.decode() {
        command = command.with_data(Sgl::Keyed { address: 0, length, key: 0, invalidate });
    }
    [command.as_bytes(), data].concat()
}
