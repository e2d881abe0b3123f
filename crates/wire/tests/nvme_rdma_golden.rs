//! How Linux's nvme-rdma and nvmet-rdma open queues, and where their commands say that data lies.

#[path = "support/frames.rs"]
mod frames;

use frames::units;
use wire::cm::{IpAddresses, Message};
use wire::nvme::rdma::{PRIVATE_DATA_LEN, QueueAccept, QueueRequest, REJECT_LEN, RejectStatus};
use wire::nvme::{CompletionQueueEntry, Sgl, SubmissionQueueEntry};

#[test]
fn queues_are_asked_for_and_granted() {
    let (mut requests, mut accepts) = (vec![], vec![]);
    for unit in units("nvme-rdma").iter().filter(|unit| unit.destination == 1) {
        match Message::decode(&unit.bytes).unwrap().1 {
            Message::ConnectRequest(message) => {
                let private_data = &message.private_data[IpAddresses::LEN..];
                let request = QueueRequest::decode(private_data).unwrap();
                assert_eq!(request.encode(), private_data[..PRIVATE_DATA_LEN]);
                requests.push(request);
            }
            Message::ConnectReply(message) => {
                let accept = QueueAccept::decode(&message.private_data).unwrap().unwrap();
                assert_eq!(accept.encode(), message.private_data[..PRIVATE_DATA_LEN]);
                accepts.push(accept);
            }
            _ => {}
        }
    }
    let sizes = |request: &QueueRequest| (request.host_receive_size, request.host_send_size_zero_based);
    assert_eq!((requests[0].queue_id, sizes(&requests[0])), (0, (32, 31)));
    assert_eq!((requests[1].queue_id, sizes(&requests[1])), (1, (16, 15)));
    assert_eq!(accepts.len(), requests.len());
    assert_eq!([0, 1].map(|queue: usize| accepts[queue].controller_receive_size), [32, 16]);
}

#[test]
fn commands_name_memory_or_carry_their_data() {
    let (mut keyed, mut in_capsule, mut completions) = (0, 0, 0);
    for unit in units("nvme-rdma").iter().filter(|unit| unit.destination != 1) {
        if unit.bytes.len() == CompletionQueueEntry::LEN {
            completions += 1;
            continue;
        }
        let command = SubmissionQueueEntry::view(&unit.bytes).unwrap();
        match command.data.decode().unwrap() {
            Sgl::Keyed { length, .. } => keyed += usize::from(length > 0),
            Sgl::InCapsule { offset, length } => {
                in_capsule += 1;
                let data = &unit.bytes[SubmissionQueueEntry::LEN..];
                assert_eq!(data.len() as u64, offset + u64::from(length), "{}", unit.frame);
            }
            other => panic!("{}: {other:?}", unit.frame),
        }
    }
    assert!(keyed > 0 && in_capsule > 0 && completions > 0, "{keyed} {in_capsule} {completions}");
}

#[test]
fn what_cannot_be_read_names_its_status() {
    let request =
        QueueRequest { queue_id: 3, host_receive_size: 4, host_send_size_zero_based: 5, controller_id: 6 };
    let mut bytes = request.encode();
    assert_eq!(QueueRequest::decode(&bytes[..31]), Err(RejectStatus::PrivateDataLength));
    assert_eq!(QueueRequest::decode(&bytes), Ok(request));
    bytes[0] = 1;
    assert_eq!(QueueRequest::decode(&bytes), Err(RejectStatus::RecordFormat));
    for status in RejectStatus::ALL {
        let bytes = status.encode();
        assert_eq!((bytes.len(), bytes[2]), (REJECT_LEN, status.code() as u8));
        assert_eq!(RejectStatus::decode(&bytes), Ok(Some(*status)));
    }
}
