//! As much of an NVMe/TCP host as reservations need: no digests, one command at a time, data in the capsule.

use super::{NSID, SUBSYSTEM, receive, send};
use std::net::TcpStream;
use wire::nvme::fabrics::{CONNECT_DATA_LEN, Connect, ConnectAttributes, ConnectData, Property, PropertySet};
use wire::nvme::reservation::{
    Acquire, AcquireAction, ExtendedRegistrant, PersistChange, Register, RegisterAction, Report,
    ReservationType,
};
use wire::nvme::tcp::{CapsuleCmd, CapsuleResp, DataAlignment, Digests, IcReq};
use wire::nvme::{CompletionQueueEntry, Nqn, NvmOpcode, Sgl, Status, SubmissionQueueEntry};

/// A host with its admin queue and one I/O queue.
pub struct Host {
    _admin: Queue,
    io: Queue,
}

struct Queue(TcpStream);

impl Host {
    pub fn connect(address: &str, host: u8) -> Self {
        let (mut admin, completion) = Queue::connect(address, 0, 0xffff, host);
        let controller_id = completion.dword0() as u16;
        let enable = PropertySet::command(Property::Configuration, 0x0046_0001, 1);
        assert_eq!(admin.run(&enable, &[]).0.status(), Status::SUCCESS);
        let (io, _) = Queue::connect(address, 1, controller_id, host);
        Self { _admin: admin, io }
    }

    /// Registers a key, over whatever was there, and wants it to persist.
    pub fn register(&mut self, key: u64) {
        let register = Register {
            action: RegisterAction::Register,
            ignore_existing_key: true,
            persist: PersistChange::Persist,
        };
        self.change(NvmOpcode::ReservationRegister, register.dword10(), [0, key]);
    }

    /// Acquires the namespace for itself alone.
    pub fn acquire(&mut self, key: u64) {
        let acquire = Acquire {
            action: AcquireAction::Acquire,
            ignore_existing_key: false,
            kind: ReservationType::ExclusiveAccess,
        };
        self.change(NvmOpcode::ReservationAcquire, acquire.dword10(), [key, 0]);
    }

    fn change(&mut self, opcode: NvmOpcode, dword10: u32, keys: [u64; 2]) {
        let mut command = SubmissionQueueEntry::new(opcode.code(), 7).with_namespace(NSID);
        command.cdw10 = dword10.into();
        let keys = keys.map(u64::to_le_bytes).concat();
        assert_eq!(self.io.run(&command, &keys).0.status(), Status::SUCCESS);
    }

    /// The keys that are registered.
    pub fn keys(&mut self) -> Vec<u64> {
        let (dword10, dword11) = Report { length: REPORT_LEN.into(), extended: true }.dwords();
        let mut command =
            SubmissionQueueEntry::new(NvmOpcode::ReservationReport.code(), 7).with_namespace(NSID);
        (command.cdw10, command.cdw11) = (dword10.into(), dword11.into());
        let (completion, data) = self.io.run(&command.with_data(Sgl::Transport { length: REPORT_LEN }), &[]);
        assert_eq!(completion.status(), Status::SUCCESS);
        let registrants = usize::from(u16::from_le_bytes([data[5], data[6]]));
        ExtendedRegistrant::all(&data[64..]).take(registrants).map(|one| one.key.get()).collect()
    }

    /// Whether a block can be read; the only reason why not is a reservation.
    pub fn may_read(&mut self) -> bool {
        let command = SubmissionQueueEntry::new(NvmOpcode::Read.code(), 7).with_namespace(NSID);
        let (completion, _) = self.io.run(&command.with_data(Sgl::Transport { length: 512 }), &[]);
        let refused = completion.status().kind() == Status::RESERVATION_CONFLICT;
        assert!(refused || completion.status() == Status::SUCCESS, "{completion:?}");
        !refused
    }
}

impl Queue {
    fn connect(address: &str, id: u16, controller_id: u16, host: u8) -> (Self, CompletionQueueEntry) {
        let mut stream = TcpStream::connect(address).expect("the daemon listens");
        let mut request = vec![0; IcReq::LEN];
        let (alignment, digests) = (DataAlignment::default(), Digests::default());
        IcReq { alignment, digests, r2t_max_zero_based: 0 }.encode(&mut request).unwrap();
        send(&mut stream, &request);
        assert_eq!(receive(&mut stream, IC_RESPONSE_LEN)[0], 1);
        let connect = Connect {
            record_format: 0,
            queue_id: id,
            queue_size_zero_based: 31,
            attributes: ConnectAttributes::NONE,
            keep_alive_ms: 0,
        };
        let subsystem = Nqn::parse(SUBSYSTEM).unwrap();
        let data = ConnectData::new([host; 16], controller_id, &subsystem, &Nqn::from_uuid(&[host; 16]));
        let mut bytes = [0; CONNECT_DATA_LEN];
        data.encode(&mut bytes).unwrap();
        let mut queue = Self(stream);
        let (completion, _) = queue.run(&connect.command(1), &bytes);
        assert_eq!(completion.status(), Status::SUCCESS);
        (queue, completion)
    }

    /// One command to its end: the completion, and the data that came.
    fn run(&mut self, command: &SubmissionQueueEntry, data: &[u8]) -> (CompletionQueueEntry, Vec<u8>) {
        let length = data.len() as u32;
        let command =
            if data.is_empty() { *command } else { command.with_data(Sgl::InCapsule { offset: 0, length }) };
        let mut capsule = vec![0; 128];
        let (digests, alignment) = (Digests::default(), DataAlignment::default());
        let layout = CapsuleCmd::encode(&command, digests, alignment, length, &mut capsule).unwrap();
        let len = layout.seal(&mut capsule, |_| 0).unwrap();
        capsule.truncate(len);
        send(&mut self.0, &[&capsule, data].concat());
        let mut received = Vec::new();
        loop {
            let pdu = self.pdu();
            let (kind, flags, data_offset) = (pdu[0], pdu[1], usize::from(pdu[3]));
            match kind {
                RESPONSE => return (CapsuleResp::view(&pdu).unwrap().completion, received),
                DATA => received.extend_from_slice(&pdu[data_offset..]),
                other => panic!("a PDU of type {other}"),
            }
            if flags & DATA_SUCCESS != 0 {
                let completion = CompletionQueueEntry::new(command.command_id.get(), Status::SUCCESS);
                return (completion, received);
            }
        }
    }

    fn pdu(&mut self) -> Vec<u8> {
        let mut pdu = receive(&mut self.0, 8);
        let len = u32::from_le_bytes([pdu[4], pdu[5], pdu[6], pdu[7]]) as usize;
        pdu.extend(receive(&mut self.0, len - 8));
        pdu
    }
}

const IC_RESPONSE_LEN: usize = 128;
const REPORT_LEN: u32 = 512;
const RESPONSE: u8 = 5;
const DATA: u8 = 7;
/// The command succeeded, and no response follows (NVMe/TCP, section 3.6.2.10).
const DATA_SUCCESS: u8 = 0x08;
