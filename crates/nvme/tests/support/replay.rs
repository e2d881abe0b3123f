//! Plays the host's half of a captured session into a target of ours.

use super::World;
use super::captures::{Connection, Pdu, connections_of};
use super::host::{Answer, Form};
use ::nvme::target::Target;
use std::collections::BTreeMap;
use stdx::env::StreamId;
use wire::nvme::fabrics::{Connect, ConnectData};
use wire::nvme::tcp::{CapsuleCmd, PduType, Receiver};
use wire::nvme::{FABRICS_OPCODE, FabricsCommandType, Nqn, SubmissionQueueEntry};

/// The captured sessions: names and files.
const CAPTURES: [(&str, &[u8]); 5] = [
    ("nvme-tcp", include_bytes!("../../../wire/tests/data/nvme-tcp.pcap")),
    ("nvme-tcp-hdgst", include_bytes!("../../../wire/tests/data/nvme-tcp-hdgst.pcap")),
    ("nvme-tcp-ddgst", include_bytes!("../../../wire/tests/data/nvme-tcp-ddgst.pcap")),
    ("nvme-tcp-hdgst-ddgst", include_bytes!("../../../wire/tests/data/nvme-tcp-hdgst-ddgst.pcap")),
    ("nvme-tcp-discovery", include_bytes!("../../../wire/tests/data/nvme-tcp-discovery.pcap")),
];

/// All captured sessions: names and connections.
pub fn captures() -> impl Iterator<Item = (&'static str, Vec<Connection>)> {
    CAPTURES.into_iter().map(|(name, file)| (name, connections_of(file)))
}

/// Plays what the host sent, PDU by PDU, in the order it did, on as many streams as it had; gives all answers of each
/// connection. What a controller chooses (its identifier, the tags of its R2Ts) is put in the place of what the captured
/// one chose.
pub fn play(world: &mut World<Target>, session: &mut [Connection]) -> Vec<Vec<Answer>> {
    let mut controller = 0;
    let mut players: Vec<_> = session.iter().map(|connection| Player::new(world, connection)).collect();
    let all = session.iter_mut().enumerate();
    let all = all.flat_map(|(place, connection)| connection.pdus.iter_mut().map(move |pdu| (place, pdu)));
    let mut all: Vec<_> = all.filter(|(_, pdu)| pdu.kind().receiver() == Receiver::Controller).collect();
    all.sort_by_key(|(_, pdu)| pdu.packet);
    for (place, pdu) in all {
        players[place].send(world, pdu, &mut controller);
    }
    for player in &players {
        world.env.finish(player.stream);
    }
    world.run();
    players.into_iter().map(|player| player.answers).collect()
}

/// One connection of a session.
struct Player {
    stream: StreamId,
    form: Form,
    answers: Vec<Answer>,
    tags: BTreeMap<u16, u16>,
}

impl Player {
    fn new(world: &mut World<Target>, connection: &Connection) -> Self {
        let stream = world.arrive();
        Self { stream, form: form(connection), answers: Vec::new(), tags: BTreeMap::new() }
    }

    fn send(&mut self, world: &mut World<Target>, pdu: &mut Pdu, controller: &mut u16) {
        if pdu.kind() == PduType::H2cData {
            let command_id = u16::from_le_bytes([pdu.bytes[8], pdu.bytes[9]]);
            let tag = self.tags.get(&command_id).expect("the data was asked for");
            patch(pdu, 10, &tag.to_le_bytes());
        }
        let connect = connect(pdu);
        if connect.is_some_and(|connect| connect.queue_id != 0) {
            let place = pdu.layout.data_offset as usize + 16;
            patch(pdu, place, &controller.to_le_bytes());
        }
        for answer in world.exchange(self.stream, &self.form, &pdu.bytes) {
            if let Answer::Ready(ready) = &answer {
                self.tags.insert(ready.command_id, ready.transfer_tag);
            }
            if let (Some(Connect { queue_id: 0, .. }), Answer::Response(completion)) = (connect, &answer) {
                *controller = completion.dword0() as u16;
            }
            self.answers.push(answer);
        }
    }
}

/// What the two ends of a captured connection agreed on.
pub fn form(connection: &Connection) -> Form {
    Form { digests: connection.response.digests, alignment: connection.request.alignment }
}

/// The command in a PDU.
pub fn command(pdu: &Pdu) -> Option<SubmissionQueueEntry> {
    (pdu.kind() == PduType::CapsuleCmd).then(|| CapsuleCmd::view(&pdu.bytes).unwrap().command)
}

/// The Connect that a capsule carries.
pub fn connect(pdu: &Pdu) -> Option<Connect> {
    let command = command(pdu)?;
    let is_connect =
        command.opcode == FABRICS_OPCODE && command.fabrics_type_code() == FabricsCommandType::Connect.code();
    is_connect.then(|| Connect::read(&command))
}

/// The subsystem the host asks for.
pub fn subsystem(pdus: &[Pdu]) -> Nqn {
    let data = pdus.iter().find(|pdu| connect(pdu).is_some()).expect("a host connects").data();
    ConnectData::view(data).unwrap().subsystem().unwrap()
}

/// Replaces bytes, and makes the digests right again.
pub fn patch(pdu: &mut Pdu, at: usize, bytes: &[u8]) {
    pdu.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    if pdu.header_digest().is_some() {
        let len = usize::from(pdu.layout.header_len);
        let digest = crc32c::crc32c(pdu.header()).to_le_bytes();
        pdu.bytes[len..len + 4].copy_from_slice(&digest);
    }
    if pdu.data_digest().is_some() {
        let digest = crc32c::crc32c(pdu.data()).to_le_bytes();
        let end = pdu.bytes.len();
        pdu.bytes[end - 4..].copy_from_slice(&digest);
    }
}
