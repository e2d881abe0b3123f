//! The information units of SRP that Linux's ib_srp and ib_srpt send each other: every one is read, and written again to
//! the same bytes; what the captures are named after is in them.

#[path = "support/frames.rs"]
mod frames;

use frames::units;
use wire::cm::{IpAddresses, Message};
use wire::srp::{
    BufferFormats, COMPACT_LOGIN_LEN, ChannelResult, Command, CommandError, Descriptor, InitiatorLogout,
    LOGIN_RESPONSE_LEN, LoginFlags, LoginRequest, LoginResponse, LogoutReason, MemoryDescriptor, Opcode,
    Response, TaskRequest, peek,
};

const CAPTURES: [&str; 3] = ["srp", "srp-indirect", "srp-noimm"];
/// Where Linux begins immediate data.
const IMMEDIATE_OFFSET: usize = 68;

#[test]
fn every_unit_is_written_again_to_the_same_bytes() {
    let mut counts = std::collections::BTreeMap::new();
    for capture in CAPTURES {
        for unit in units(capture).iter().filter(|unit| unit.destination != 1) {
            let iu = &unit.bytes[..];
            let context = format!("{capture} {}", unit.frame);
            let (opcode, tag) = peek(iu).unwrap();
            let opcode = opcode.expect(&context);
            *counts.entry(opcode).or_insert(0) += 1;
            let mut out = vec![0; iu.len()];
            let written = match opcode {
                Opcode::Command => Command::decode(iu).expect(&context).encode(&mut out).unwrap(),
                Opcode::Response => Response::decode(iu).expect(&context).encode(&mut out).unwrap(),
                Opcode::InitiatorLogout => {
                    assert_eq!(InitiatorLogout::decode(iu).unwrap().tag, tag);
                    out.copy_from_slice(&InitiatorLogout { tag }.encode());
                    out.len()
                }
                other => panic!("{context}: {other}"),
            };
            assert_eq!(out[..written], iu[..written], "{context}");
            let immediate = immediate_len(iu);
            let rest = &iu[written..];
            assert!(
                rest.len() == immediate || rest.len() == immediate + IMMEDIATE_OFFSET - written,
                "{context}"
            );
        }
    }
    assert!(counts[&Opcode::Command] > 300 && counts[&Opcode::Response] > 300, "{counts:?}");
}

/// Bytes of immediate data in a command.
fn immediate_len(iu: &[u8]) -> usize {
    match Command::decode(iu).ok().filter(|_| iu[0] == Opcode::Command.code()) {
        Some(Command { data_out: Descriptor::Immediate { len }, .. }) => len as usize,
        _ => 0,
    }
}

#[test]
fn logins_are_written_again_to_the_same_bytes() {
    let (requests, responses) = logins("srp");
    assert_eq!((requests.len(), responses.len()), (2, 2), "two channels");
    for (first, request) in [true, false].into_iter().zip(&requests) {
        let login = LoginRequest::decode_compact(request).unwrap().unwrap();
        assert_eq!(login.encode_compact()[..], request[..]);
        assert_eq!(login.formats, BufferFormats::DIRECT | BufferFormats::INDIRECT);
        assert_eq!(login.flags.contains(LoginFlags::MULTICHANNEL), !first);
        assert!(login.flags.contains(LoginFlags::IMMEDIATE));
        assert_eq!(usize::from(login.immediate_offset), IMMEDIATE_OFFSET);
        assert_eq!(LoginRequest::decode(&login.encode()).unwrap(), Some(login));
    }
    for (first, response) in [true, false].into_iter().zip(&responses) {
        let login = LoginResponse::decode(response).unwrap().unwrap();
        assert_eq!(login.encode()[..], response[..]);
        assert!(login.is_immediate_taken && login.request_limit > 0);
        assert_eq!(login.channels == ChannelResult::Maintained, !first, "{login:?}");
    }
    let (requests, _) = logins("srp-noimm");
    let login = LoginRequest::decode_compact(&requests[0]).unwrap().unwrap();
    assert!(!login.flags.contains(LoginFlags::IMMEDIATE));
}

/// The private data of the REQs, after the address header, and of the REPs.
fn logins(capture: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (mut requests, mut responses) = (vec![], vec![]);
    for unit in units(capture).iter().filter(|unit| unit.destination == 1) {
        match Message::decode(&unit.bytes).unwrap().1 {
            Message::ConnectRequest(request) => {
                requests.push(request.private_data[IpAddresses::LEN..][..COMPACT_LOGIN_LEN].to_vec());
            }
            Message::ConnectReply(reply) => responses.push(reply.private_data[..LOGIN_RESPONSE_LEN].to_vec()),
            _ => {}
        }
    }
    (requests, responses)
}

#[test]
fn the_captures_have_every_kind_of_descriptor() {
    let kinds = |capture| {
        let mut kinds = [0; 4];
        for unit in units(capture).iter().filter(|unit| unit.bytes[0] == Opcode::Command.code()) {
            let Ok(command) = Command::decode(&unit.bytes) else { continue };
            for descriptor in [command.data_out, command.data_in] {
                let kind = match descriptor {
                    Descriptor::None => 0,
                    Descriptor::Direct(_) => 1,
                    Descriptor::Indirect { len, first, .. } => {
                        assert_eq!(first.iter().map(|memory| memory.len).sum::<u32>(), len);
                        2
                    }
                    Descriptor::Immediate { .. } => 3,
                };
                kinds[kind] += 1;
            }
        }
        kinds
    };
    assert!(kinds("srp")[3] > 0, "{:?}", kinds("srp"));
    assert_eq!(kinds("srp-noimm")[3], 0);
    assert!(kinds("srp-indirect")[2] > 0, "{:?}", kinds("srp-indirect"));
}

#[test]
fn an_inquiry_is_what_it_is() {
    let units = units("srp");
    let command = units.iter().find(|unit| unit.bytes[0] == Opcode::Command.code()).unwrap();
    let command = Command::decode(&command.bytes).unwrap();
    assert_eq!(command.cdb[..6], [0x12, 0, 0, 0, 0x24, 0]);
    assert_eq!((command.data_out.data_len(), command.data_in.data_len()), (0, 0x24));
}

#[test]
fn contradictions_are_refused_and_never_panic() {
    let table = MemoryDescriptor { address: 1, key: 2, len: 32 };
    let pieces = [[1; 16], [2; 16]].concat();
    let command = Command {
        tag: 7,
        lun: wire::scsi::Lun::from_number(0),
        attribute: 0,
        cdb: [0; 16],
        additional_cdb: &[9; 8],
        data_out: Descriptor::Direct(table),
        data_in: Descriptor::Indirect { table, len: 99, first: wire::srp::DescriptorTable::new(&pieces) },
        solicit_success: true,
        solicit_failure: false,
    };
    let mut iu = [0; 256];
    let len = command.encode(&mut iu).unwrap();
    assert_eq!(Command::decode(&iu[..len]), Ok(command));
    for short in 0..len {
        assert!(Command::decode(&iu[..short]).is_err(), "{short}");
    }
    let with = |at: usize, byte: u8| {
        let mut iu = iu;
        iu[at] = byte;
        Command::decode(&iu[..len]).map(|_| ())
    };
    assert_eq!(with(5, 0x42), Err(CommandError::DataOutFormat));
    assert_eq!(with(5, 0x13), Err(CommandError::DataInFormat));
    assert_eq!(with(7, 3), Err(CommandError::DataInCount));
    assert_eq!(CommandError::DataInCount.reason(), LogoutReason::DataInCount);
    assert_eq!(with(7, 1), Ok(()), "a part of the table");
}

#[test]
fn sense_and_response_data_lie_where_the_standard_puts_them() {
    let response = Response {
        tag: 0x0102_0304_0506_0708,
        request_limit_delta: -1,
        solicited: true,
        flags: wire::srp::ResponseFlags::DATA_IN_OVERFLOW,
        status: 2,
        data_out_residual: 0,
        data_in_residual: 5,
        code: Some(wire::srp::ResponseCode::Failed),
        sense: &[0x70, 0, 5],
    };
    let mut out = [0; 64];
    let len = response.encode(&mut out).unwrap();
    assert_eq!(len, 36 + 4 + 3);
    assert_eq!(out[..8], [0xc1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(out[16..20], [0, 0, 0x13, 2]);
    assert_eq!(out[24..36], [0, 0, 0, 5, 0, 0, 0, 3, 0, 0, 0, 4]);
    assert_eq!(out[36..43], [0, 0, 0, 5, 0x70, 0, 5]);
    assert_eq!(Response::decode(&out[..len]), Ok(response));
    assert!((0..len).all(|short| Response::decode(&out[..short]).is_err()));
}

#[test]
fn tasks_are_managed_where_the_standard_puts_it() {
    let request = TaskRequest {
        tag: 3,
        lun: wire::scsi::Lun::from_number(1),
        function: wire::srp::TaskFunction::AbortTask.code(),
        task_tag: 2,
    };
    let iu = request.encode();
    assert_eq!((iu[0], iu[21], iu[30], iu[39]), (1, 1, 1, 2));
    assert_eq!(TaskRequest::decode(&iu), Ok(request));
    assert!(TaskRequest::decode(&iu[..47]).is_err());
}
