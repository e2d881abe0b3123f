//! Writes the corpus of every target from the captures in `crates/wire/tests/data`.

#[path = "../../crates/wire/tests/support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::{fs, io};

use support::{Connection, Pdu};
use wire::nvme::tcp::{CapsuleCmd, PduType, Receiver};
use wire::nvme::{AdminOpcode, SubmissionQueueEntry};

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpus = Corpus { root: fuzz.join("corpus"), written: 0 };
    let mut captures: Vec<PathBuf> = fs::read_dir(fuzz.join("../crates/wire/tests/data"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    captures.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    captures.sort();
    for path in &captures {
        for connection in support::connections_of(&fs::read(path)?) {
            corpus.add_connection(&connection)?;
        }
    }
    println!("{} seeds from {} captures", corpus.written, captures.len());
    Ok(())
}

/// The directory of corpora, one for each target.
struct Corpus {
    root: PathBuf,
    written: usize,
}

impl Corpus {
    fn add_connection(&mut self, connection: &Connection) -> io::Result<()> {
        let mut streams: [Vec<u8>; 2] = Default::default();
        for pdu in &connection.pdus {
            let receiver = pdu.kind().receiver();
            let prefix = rules_prefix(connection, receiver, pdu.kind());
            self.add("pdu", &[&prefix, pdu.bytes.as_slice()].concat())?;
            let small = pdu.bytes.len() < 2048;
            let stream = &mut streams[usize::from(receiver == Receiver::Host)];
            if small && pdu.kind() != PduType::IcReq && pdu.kind() != PduType::IcResp {
                stream.extend_from_slice(&pdu.bytes);
            }
            self.add_parts(connection, pdu)?;
        }
        for (receiver, stream) in [Receiver::Controller, Receiver::Host].into_iter().zip(streams) {
            let prefix = rules_prefix(connection, receiver, PduType::CapsuleCmd);
            self.add("pdu", &[&prefix, stream.as_slice()].concat())?;
        }
        Ok(())
    }

    /// The structures inside a PDU.
    fn add_parts(&mut self, connection: &Connection, pdu: &Pdu) -> io::Result<()> {
        match pdu.kind() {
            PduType::CapsuleCmd => {
                self.add("command", &pdu.header()[8..])?;
                if pdu.data().len() == 1024 {
                    self.add("connect_data", pdu.data())?;
                    let name = &pdu.data()[256..512];
                    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                    self.add("connect_data", &name[..end])?;
                }
            }
            PduType::CapsuleResp => self.add("completion", &pdu.header()[8..])?,
            PduType::C2hData => self.add_answer(connection, pdu)?,
            _ => {}
        }
        Ok(())
    }

    /// The data of an admin command, by the command it answers.
    fn add_answer(&mut self, connection: &Connection, pdu: &Pdu) -> io::Result<()> {
        let answered = |command: &&SubmissionQueueEntry| command.command_id.to_bytes() == pdu.header()[8..10];
        let commands = connection.of_kind(PduType::CapsuleCmd);
        let mut commands =
            commands.filter_map(|pdu| CapsuleCmd::view(pdu.header()).ok()).map(|pdu| &pdu.command);
        let Some(command) = commands.find(answered) else {
            return Ok(());
        };
        match AdminOpcode::from_code(command.opcode) {
            Some(AdminOpcode::Identify) => self.add("identify", pdu.data())?,
            Some(AdminOpcode::GetLogPage) => {
                let choice = match command.cdw10.to_bytes()[0] {
                    0x0c => 0,
                    0x70 => 1,
                    _ => 2,
                };
                self.add("logs", &[&[choice], pdu.data()].concat())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes one seed, named after its content.
    fn add(&mut self, target: &str, seed: &[u8]) -> io::Result<()> {
        let directory = self.root.join(target);
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("seed-{:08x}-{}", crc32c::crc32c(seed), seed.len())), seed)?;
        self.written += 1;
        Ok(())
    }
}

/// The four bytes with which the target `pdu` sets up its rules.
fn rules_prefix(connection: &Connection, receiver: Receiver, kind: PduType) -> [u8; 4] {
    let digests = connection.response.digests;
    let initializes = matches!(kind, PduType::IcReq | PduType::IcResp);
    let flags = u8::from(receiver == Receiver::Host)
        | u8::from(initializes) << 1
        | u8::from(digests.header) << 2
        | u8::from(digests.data) << 3;
    [flags, 0, 255, 255]
}
