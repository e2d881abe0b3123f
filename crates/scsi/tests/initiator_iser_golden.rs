//! The initiator's own messages over iSER beside those of Linux's ib_iser, where the standard leaves no choice.

#[path = "../../wire/tests/support/frames.rs"]
mod frames;

use frames::units;
use scsi::iscsi::IscsiName;
use scsi::iscsi::initiator::{Initiator, InitiatorOptions, Transport};
use scsi::iscsi::login::{Admission, Authentication, Limits, RdmaLimits, TargetLogin, Turn};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use stdx::conformance::still::StillEnv;
use stdx::env::{Env, Owner};
use stdx::slab::Key;
use verbs::endpoint::{Endpoint, Happening, Options};
use verbs::loopback::Loopback;
use verbs::{Access, Connections, Data, PortSpace, Provider};
use wire::iscsi::{
    Bhs, Isid, LoginRequest, LoginResponse, LoginStatus, Numbers, Opcode, Serial, VERSION, padding,
};
use wire::iser::{HEADER_LEN, Header, MESSAGE_LEN_MIN};

const OURS: u64 = 1 << 32;
const THEIRS: u64 = 2 << 32;
const CMD_SN: u32 = 0x1000;

/// A target that lets in whoever comes, answers no command, and keeps all that was sent.
struct Peer {
    env: StillEnv,
    device: Loopback,
    theirs: Endpoint,
    login: TargetLogin,
    stat_sn: u32,
    /// What came with the request for the connection.
    asked_with: Vec<u8>,
    seen: Vec<Vec<u8>>,
}

impl Peer {
    fn new(address: SocketAddr) -> Self {
        let mut env = StillEnv::new(1);
        let mut device = Loopback::new(verbs::Limits::default(), address.ip());
        let options = Options {
            connections_max: 1,
            receives: 16,
            receive_len: 9000,
            sends: 16,
            pieces: 1,
            inline_bytes: 0,
            access: Access::NONE,
        };
        let mut theirs = Endpoint::new(&mut env, &mut device, THEIRS, options).unwrap();
        theirs.listen(&mut device, PortSpace::Tcp, address).unwrap();
        let (login, asked_with, seen) = (TargetLogin::new(), vec![], vec![]);
        Self { env, device, theirs, login, stat_sn: 1, asked_with, seen }
    }

    /// Lets the initiator come as far as it comes.
    fn meet(&mut self, options: InitiatorOptions) {
        let initiator = Initiator::connect(&mut self.env, Owner(OURS), options).unwrap();
        for _ in 0..50 {
            self.device.turn(&mut self.env);
            while let Some(event) = self.device.poll_event() {
                match event.owner.0 >> 32 {
                    1 => initiator.handle_device_event(&mut self.device, &event),
                    _ => self.theirs.handle_event(&mut self.device, &event),
                }
            }
            while let Some(event) = self.device.poll_connection() {
                match event.owner.0 >> 32 {
                    1 => initiator.handle_connection(&mut self.env, &mut self.device, &event),
                    _ => self.theirs.handle_connection(&mut self.env, &mut self.device, &event),
                }
            }
            initiator.drive(&mut self.env, &mut self.device);
            while let Some(happening) = self.theirs.poll(&mut self.env, &mut self.device) {
                self.handle(happening);
            }
        }
    }

    fn handle(&mut self, happening: Happening) {
        let Self { env, device, theirs, .. } = self;
        match happening {
            Happening::Requested(requested) => {
                self.asked_with = requested.private_data.bytes()[..4].to_vec();
                theirs
                    .accept(env, device, requested.request, requested.parameters, &[0x80, 0, 0, 0])
                    .unwrap();
            }
            Happening::Received { connection, received } => {
                let message = theirs.message(&received);
                let mut bytes = vec![0; message.len()];
                env.mem().read(message, &mut bytes);
                theirs.release(device, connection, received);
                self.seen.push(bytes.clone());
                self.answer(connection, &bytes);
            }
            _ => {}
        }
    }

    fn answer(&mut self, connection: Key, message: &[u8]) {
        let bhs = Bhs::view(&message[HEADER_LEN..]).unwrap();
        let Ok(request) = LoginRequest::decode(bhs) else { return };
        let rdma = RdmaLimits {
            initiator_recv_data_segment_len: 1 << 18,
            target_recv_data_segment_len: 8192,
            unexpected_pdus_max: 0,
        };
        let admission = Admission {
            authentication: Authentication::None,
            limits: Limits::default().over_rdma(rdma),
            joins: None,
            portal_group_tag: 1,
            target_alias: String::new(),
        };
        let text = &message[MESSAGE_LEN_MIN..][..bhs.data_len() as usize];
        let handled =
            self.login.handle(&mut || 7, Turn::of_request(&request), text, &mut |_| Ok(admission.clone()));
        let (turn, text) = handled.unwrap();
        let (exp_cmd_sn, max_cmd_sn) = (Serial(CMD_SN), Serial(CMD_SN + 16));
        let response = LoginResponse {
            transit: turn.next.is_some(),
            continues: turn.more,
            current: turn.stage,
            next: turn.next.unwrap_or(turn.stage),
            version_max: VERSION,
            version_active: VERSION,
            isid: request.isid,
            tsih: 5,
            task_tag: request.task_tag,
            numbers: Numbers { stat_sn: Serial(self.stat_sn), exp_cmd_sn, max_cmd_sn },
            status: LoginStatus::Success,
        };
        self.stat_sn += 1;
        let bhs = response.encode(text.len() as u32);
        let message = [&Header::default().encode()[..], bhs.bytes(), &text].concat();
        let place = self.env.mem().take(message.len()).unwrap();
        self.env.mem().write(place, &message);
        self.theirs.send(&mut self.device, connection, 1, Data::Own(&[place])).unwrap();
    }
}

/// What ours sends on its way in, and what came with its request for the connection.
fn ours() -> (Vec<Vec<u8>>, Vec<u8>) {
    let address = "10.0.0.1:3260".parse().unwrap();
    let name = |text| IscsiName::parse(text).unwrap();
    let options = InitiatorOptions::new(
        address,
        name("iqn.2001-04.com.example:disk"),
        name("iqn.2001-04.com.example:us"),
    );
    let mut peer = Peer::new(address);
    peer.meet(InitiatorOptions {
        transport: Transport::Rdma,
        isid: Some(Isid([0x80, 1, 2, 3, 0, 0])),
        cmd_sn: Some(Serial(CMD_SN)),
        ..options
    });
    (peer.seen, peer.asked_with)
}

fn opcode(message: &[u8]) -> Opcode {
    Bhs::view(&message[HEADER_LEN..]).unwrap().opcode().unwrap()
}

/// The last message of a login, and the first command, as Linux sent them.
fn theirs(wanted: Opcode) -> Vec<u8> {
    let units = units("iser").into_iter().filter(|unit| unit.destination != 1);
    units.map(|unit| unit.bytes).find(|bytes| opcode(bytes) == wanted).unwrap()
}

fn keys(message: &[u8]) -> BTreeMap<String, String> {
    let len = Bhs::view(&message[HEADER_LEN..]).unwrap().data_len() as usize;
    let pairs = message[MESSAGE_LEN_MIN..][..len].split(|byte| *byte == 0).filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| std::str::from_utf8(pair).unwrap().split_once('=').unwrap());
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn the_login_says_what_that_of_linux_says() {
    let (sent, asked_with) = ours();
    assert_eq!(asked_with, [0x80, 0, 0, 0]);
    let logins: Vec<_> = sent.iter().filter(|bytes| opcode(bytes) == Opcode::LoginRequest).collect();
    let [security, operational] = logins[..] else { panic!("{}", logins.len()) };
    let linux = theirs(Opcode::LoginRequest);
    // No memory is advertised, and text is padded.
    for message in [security, operational, &linux] {
        assert_eq!(message[..HEADER_LEN], Header::default().encode());
        let len = Bhs::view(&message[HEADER_LEN..]).unwrap().data_len();
        assert_eq!(message.len(), MESSAGE_LEN_MIN + len as usize + padding(len));
    }
    assert_eq!(operational[HEADER_LEN..][..4], linux[HEADER_LEN..][..4], "immediate, the same stages");
    let (ours, theirs) = (keys(operational), keys(&linux));
    let elsewhere = ["InitiatorName", "InitiatorAlias", "TargetName", "SessionType", "IFMarker", "OFMarker"];
    let missing: Vec<_> = theirs.keys().filter(|key| !ours.contains_key(*key)).collect();
    assert!(missing.iter().all(|key| elsewhere.contains(&key.as_str())), "{missing:?} are not said");
    for key in ["RDMAExtensions", "DataPDUInOrder", "DataSequenceInOrder", "ErrorRecoveryLevel"] {
        assert_eq!(ours[key], theirs[key], "{key}");
    }
    assert!(!ours.contains_key("MaxRecvDataSegmentLength"), "RFC 7145, section 6.2");
}

#[test]
fn a_command_that_brings_data_is_as_that_of_linux() {
    let (sent, _) = ours();
    let first = sent.iter().find(|bytes| opcode(bytes) == Opcode::ScsiCommand).unwrap();
    let linux = theirs(Opcode::ScsiCommand);
    assert_eq!(first.len(), linux.len());
    let nameless = |message: &[u8]| {
        let mut bytes = message[..HEADER_LEN].to_vec();
        // Key and address of its memory.
        assert!(bytes[16..].iter().any(|byte| *byte != 0));
        bytes[16..].fill(0);
        bytes
    };
    assert_eq!(nameless(first), nameless(&linux), "only memory to be written is advertised");
    let opening = |message: &[u8]| message[HEADER_LEN..][..16].to_vec();
    assert_eq!(opening(first), opening(&linux), "final, a read, a simple task of unit 0");
}
