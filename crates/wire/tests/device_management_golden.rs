//! What Linux's ib_srpt tells of itself by device management, as it came from its machine: each question, and its answer.

use wire::cm::MAD_LEN;
use wire::management::device::{
    self, Capabilities, IoControllerProfile, IoUnitInfo, Request, ServiceEntries, ServiceName, Slot,
};
use wire::management::{Datagram, Method};
use wire::srp;

/// The name of the machine's adapter, and so of its controller and its only port.
const GUID: u64 = 0x5054_00ff_fe77_000b;

const UNIT: [&str; 2] =
    ["010601010000000000000000165567af0010000000000000", "010601810000000000000000165567af0010000000000000"];
const UNIT_INFO: &str = "0001100010";
const CONTROLLER: [&str; 2] =
    ["010601010000000000000000165567b00011000000000001", "010601810000000000000000165567b00011000000000001"];
const PROFILE: &str = "505400fffe77000b00ffffff000000000000000000ffffff000000000100609e01080001000000000080000400\
                       002054000100002b00010000000000000000004c696e75782053525020746172676574";
const SERVICES: [&str; 2] =
    ["010601010000000000000000165567b10012000000010000", "010601810000000000000000165567b10012000000010000"];
const ENTRIES: &str = "5352502e5431303a3530353430306666666537373030306200000000000000000000000000000000\
                       505400fffe77000b";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}

/// A datagram of a header and an attribute, zeros behind and between them.
fn datagram(header: &str, attribute: &str) -> Vec<u8> {
    let mut datagram = bytes(header);
    datagram.resize(MAD_LEN - device::ATTRIBUTE_LEN, 0);
    datagram.extend(bytes(attribute));
    datagram.resize(MAD_LEN, 0);
    datagram
}

/// Holds a question and its answer against what is written here.
fn hold(request: Request, [asked, told]: [&str; 2], attribute: &str) -> Vec<u8> {
    let (asked, told) = (datagram(asked, ""), datagram(told, attribute));
    let read = Datagram::decode(&asked).unwrap();
    assert_eq!(Request::decode(&read), Ok(request));
    assert_eq!(request.datagram(read.transaction).encode()[..], asked);
    let answer = Datagram::decode(&told).unwrap();
    assert_eq!((answer.method, answer.status), (Method::GetResponse.code(), 0));
    let attribute = device::attribute(&answer).to_vec();
    assert_eq!(device::answer(&read, Ok(&attribute)).encode()[..], told);
    attribute
}

#[test]
fn the_unit_has_one_controller() {
    let told = hold(Request::IoUnitInfo, UNIT, UNIT_INFO);
    let unit = IoUnitInfo::decode(&told).unwrap();
    assert_eq!((unit.change_id, unit.slots), (1, 16));
    assert_eq!(
        [1, 2, 16, 17].map(|slot| unit.slot(slot)),
        [Slot::Present, Slot::Empty, Slot::Empty, Slot::None]
    );
}

#[test]
fn the_controller_is_a_target_of_srp() {
    let told = hold(Request::IoControllerProfile { slot: 1 }, CONTROLLER, PROFILE);
    let profile = IoControllerProfile::decode(&told).unwrap();
    assert_eq!((profile.guid, profile.text()), (GUID, Some("Linux SRP target")));
    assert_eq!((profile.io_class, profile.io_subclass), (srp::IO_CLASS, srp::IO_SUBCLASS));
    assert_eq!((profile.protocol, profile.protocol_version), (srp::PROTOCOL, srp::PROTOCOL_VERSION));
    assert_eq!((profile.read_depth, profile.send_len, profile.rdma_len), (4, 0x2054, 64 << 10));
    let expected = Capabilities::SEND_TO | Capabilities::SEND_FROM | Capabilities::READ_FROM;
    assert_eq!((profile.capabilities, profile.services), (expected | Capabilities::WRITE_FROM, 1));
    assert_eq!(profile.encode()[..], told[..IoControllerProfile::LEN]);
}

#[test]
fn its_service_is_named_after_its_port() {
    let told = hold(Request::ServiceEntries { slot: 1, first: 0, last: 0 }, SERVICES, ENTRIES);
    let entries = ServiceEntries::decode(&told).unwrap();
    assert_eq!((entries.0[0].name, entries.0[0].id), (ServiceName::srp(GUID), GUID));
    assert_eq!(entries.encode()[..], told[..]);
}
