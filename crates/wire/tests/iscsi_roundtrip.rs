//! The types of PDUs that no capture has: written, read, and the bytes that matter looked at where the standard puts them.

use wire::iscsi::{
    AsyncEvent, AsyncMessage, Bhs, HeaderError, NopIn, NopOut, Numbers, Opcode, RESERVED_TAG, Reject,
    RejectReason, Residual, ScsiResponse, Serial, ServiceResponse, Snack, SnackType, TaskFunction,
    TaskRequest, TaskResponse, TaskResult,
};
use wire::scsi::Lun;

const NUMBERS: Numbers = Numbers {
    stat_sn: Serial(0x1112_1314),
    exp_cmd_sn: Serial(0x2122_2324),
    max_cmd_sn: Serial(0x3132_3334),
};

fn be32(bhs: &Bhs, offset: usize) -> u32 {
    u32::from_be_bytes(bhs.bytes()[offset..offset + 4].try_into().unwrap())
}

fn assert_numbers(bhs: &Bhs) {
    assert_eq!([24, 28, 32].map(|offset| be32(bhs, offset)), [0x1112_1314, 0x2122_2324, 0x3132_3334]);
}

#[test]
fn pings_go_both_ways() {
    let out = NopOut {
        immediate: true,
        lun: Lun::from_number(3),
        task_tag: RESERVED_TAG,
        transfer_tag: 0x0102_0304,
        cmd_sn: Serial(7),
        exp_stat_sn: Serial(8),
    };
    let bhs = out.encode(4);
    assert_eq!(bhs.bytes()[..8], [0x40, 0x80, 0, 0, 0, 0, 0, 4]);
    assert_eq!((be32(&bhs, 20), be32(&bhs, 24), be32(&bhs, 28)), (0x0102_0304, 7, 8));
    assert_eq!(NopOut::decode(&bhs), Ok(out));
    let back = NopIn { lun: Lun::from_number(3), task_tag: 5, transfer_tag: RESERVED_TAG, numbers: NUMBERS };
    let bhs = back.encode(0);
    assert_eq!(bhs.bytes()[..2], [0x20, 0x80]);
    assert_numbers(&bhs);
    assert_eq!(NopIn::decode(&bhs), Ok(back));
    assert_eq!(NopIn::decode(&Bhs { flags: 0, ..bhs }), Err(HeaderError::InvalidField));
}

#[test]
fn tasks_are_managed() {
    let request = TaskRequest {
        immediate: true,
        function: TaskFunction::AbortTask.code(),
        lun: Lun::from_number(1),
        task_tag: 0x0a,
        referenced_tag: 0x0b,
        cmd_sn: Serial(0x0c),
        exp_stat_sn: Serial(0x0d),
        referenced_cmd_sn: Serial(0x0e),
        exp_data_sn: Serial(0x0f),
    };
    let bhs = request.encode();
    assert_eq!(bhs.bytes()[..2], [0x42, 0x81]);
    assert_eq!(
        [16, 20, 24, 28, 32, 36].map(|offset| be32(&bhs, offset)),
        [0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f]
    );
    assert_eq!(TaskRequest::decode(&bhs), Ok(request));
    let response = TaskResponse { result: TaskResult::Rejected, task_tag: 0x0a, numbers: NUMBERS };
    let bhs = response.encode();
    assert_eq!(bhs.bytes()[..4], [0x22, 0x80, 255, 0]);
    assert_numbers(&bhs);
    assert_eq!(TaskResponse::decode(&bhs), Ok(response));
}

#[test]
fn what_is_missing_is_asked_for() {
    let snack = Snack {
        kind: SnackType::Status,
        lun: Lun::default(),
        task_tag: RESERVED_TAG,
        tag: RESERVED_TAG,
        exp_stat_sn: Serial(3),
        begin: Serial(4),
        run_length: 2,
    };
    let bhs = snack.encode();
    assert_eq!(bhs.bytes()[..2], [0x10, 0x81]);
    assert_eq!((be32(&bhs, 40), be32(&bhs, 44)), (4, 2));
    assert_eq!(Snack::decode(&bhs), Ok(snack));
    assert_eq!(Snack::decode(&Bhs { flags: 0x84, ..bhs }), Err(HeaderError::InvalidField));
}

#[test]
fn rejects_and_messages_name_no_task() {
    let reject =
        Reject { reason: RejectReason::InvalidPduField, numbers: NUMBERS, data_sn: Serial(0x4142_4344) };
    let bhs = reject.encode(48);
    assert_eq!(bhs.bytes()[..8], [0x3f, 0x80, 9, 0, 0, 0, 0, 48]);
    assert_eq!((be32(&bhs, 16), be32(&bhs, 36)), (RESERVED_TAG, 0x4142_4344));
    assert_eq!(Reject::decode(&bhs), Ok(reject));
    let events = [
        (AsyncEvent::Scsi, [0, 0, 0, 0, 0, 0, 0, 0]),
        (AsyncEvent::LogoutRequest { within_s: 30 }, [1, 0, 0, 0, 0, 0, 0, 30]),
        (
            AsyncEvent::ConnectionDrop { connection_id: 5, time_to_wait_s: 2, time_to_retain_s: 20 },
            [2, 0, 0, 5, 0, 2, 0, 20],
        ),
        (AsyncEvent::SessionDrop { time_to_wait_s: 2, time_to_retain_s: 20 }, [3, 0, 0, 0, 0, 2, 0, 20]),
        (AsyncEvent::NegotiationRequest { within_s: 258 }, [4, 0, 0, 0, 0, 0, 1, 2]),
        (AsyncEvent::TasksTerminated, [5, 0, 0, 0, 0, 0, 0, 0]),
        (AsyncEvent::Vendor { code: 9 }, [255, 9, 0, 0, 0, 0, 0, 0]),
    ];
    for (event, bytes) in events {
        let message = AsyncMessage { lun: Lun::from_number(2), numbers: NUMBERS, event };
        let bhs = message.encode(0);
        assert_eq!(bhs.bytes()[36..44], bytes);
        assert_eq!(AsyncMessage::decode(&bhs), Ok(message));
    }
}

#[test]
fn residuals_are_of_one_kind() {
    assert_eq!(Residual::between(512, 512), Residual::None);
    assert_eq!(Residual::between(512, 36), Residual::Underflow(476));
    assert_eq!(Residual::between(0, 36), Residual::Overflow(36));
    let response = ScsiResponse {
        response: ServiceResponse::Completed,
        status: 2,
        task_tag: 1,
        snack_tag: 0,
        numbers: NUMBERS,
        exp_data_sn: Serial(0),
        bidirectional: Residual::Underflow(1),
        residual: Residual::Overflow(2),
    };
    let bhs = response.encode(20);
    assert_eq!((bhs.bytes()[1], be32(&bhs, 40), be32(&bhs, 44)), (0x8c, 1, 2));
    assert_eq!(ScsiResponse::decode(&bhs), Ok(response));
    assert_eq!(ScsiResponse::decode(&Bhs { flags: 0x86, ..bhs }), Err(HeaderError::InvalidField));
    assert_eq!(bhs.opcode(), Some(Opcode::ScsiResponse));
}
