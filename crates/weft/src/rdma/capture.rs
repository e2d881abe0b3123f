//! `weft rdma capture`: what a capture file holds, packet by packet.

use super::args::CaptureArgs;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use rdma::inspect::{Inspected, inspect};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use wire::cm::Message;
use wire::pcap::{Datagram, Reader};
use wire::roce::{self, GENERAL_SERVICES_QPN};

/// Runs the command.
pub fn run(style: &Style, args: &CaptureArgs) -> Result<(), Failure> {
    let file = read(&args.file)?;
    let failed =
        |why: wire::pcap::FileError| Failure::Config { path: args.file.clone(), why: why.to_string() };
    let mut totals = Totals::default();
    let mut began = None;
    for packet in Reader::new(&file).map_err(failed)? {
        let Some(datagram) = Datagram::decode(packet.bytes) else { continue };
        if datagram.to.port() != roce::PORT {
            continue;
        }
        let began = *began.get_or_insert(packet.unix_ns);
        let seconds = packet.unix_ns.saturating_sub(began) as f64 / 1e9;
        let line = describe(&datagram, &mut totals);
        if !args.quiet && !style.json {
            say!("{seconds:10.6} {} > {}  {line}", datagram.from.ip(), datagram.to.ip());
        }
    }
    totals.print(style);
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let outcome = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).map(drop)
    } else {
        std::fs::read(path).map(|file| bytes = file)
    };
    outcome.map_err(|why| Failure::File { path: path.into(), why })?;
    Ok(bytes)
}

/// A packet in one line; it is counted, too.
fn describe(datagram: &Datagram<'_>, totals: &mut Totals) -> String {
    totals.packets += 1;
    let Inspected { headers, payload, is_crc_right } = match inspect(datagram) {
        Ok(inspected) => inspected,
        Err(why) => {
            totals.malformed += 1;
            return format!("malformed: {why}");
        }
    };
    let bth = headers.bth;
    let mut line =
        format!("{:?} qp {:#08x} psn {} len {}", bth.opcode, bth.destination, bth.psn.value(), payload.len());
    let mut kind = format!("{:?}", bth.opcode);
    if bth.destination == GENERAL_SERVICES_QPN {
        match <&[u8; wire::cm::MAD_LEN]>::try_from(payload).ok().and_then(|mad| Message::decode(mad).ok()) {
            Some((transaction, message)) => {
                kind = name(&message).to_owned();
                line = format!("{kind} transaction {transaction:#x}");
            }
            None => totals.malformed += 1,
        }
    } else {
        line.push_str(&extension(&headers));
    }
    if bth.ack_requested {
        line.push_str(" ack?");
    }
    if bth.solicited {
        line.push_str(" solicited");
    }
    *totals.kinds.entry(kind).or_default() += 1;
    if !is_crc_right {
        totals.wrong_crcs += 1;
        line.push_str(" WRONG CRC");
    }
    line
}

/// What stands in the headers after the first.
fn extension(headers: &roce::Headers) -> String {
    use roce::Extension;
    match headers.extension {
        Extension::Plain => String::new(),
        other => format!(" {other:?}"),
    }
}

fn name(message: &Message) -> &'static str {
    match message {
        Message::ConnectRequest(_) => "REQ",
        Message::MessageReceiptAck(_) => "MRA",
        Message::Reject(_) => "REJ",
        Message::ConnectReply(_) => "REP",
        Message::ReadyToUse(_) => "RTU",
        Message::DisconnectRequest(_) => "DREQ",
        Message::DisconnectReply(_) => "DREP",
        Message::ResolutionRequest(_) => "SIDR_REQ",
        Message::ResolutionReply(_) => "SIDR_REP",
        Message::LoadAlternatePath(_) => "LAP",
        Message::AlternatePathResponse(_) => "APR",
    }
}

/// What was in the whole file.
#[derive(Debug, Default)]
struct Totals {
    packets: u64,
    malformed: u64,
    wrong_crcs: u64,
    kinds: BTreeMap<String, u64>,
}

impl Totals {
    fn print(&self, style: &Style) {
        let Self { packets, malformed, wrong_crcs, kinds } = self;
        if style.json {
            let all = serde_json::json!({
                "packets": packets, "malformed": malformed, "wrong_crcs": wrong_crcs, "kinds": kinds
            });
            say!("{all}");
            return;
        }
        let mut table = Table::new(["packet", ">count"]);
        for (kind, count) in kinds {
            table.row([kind.clone(), count.to_string()]);
        }
        say!("{}", table.render(style));
        say!("{packets} packets, {malformed} malformed, {wrong_crcs} with a wrong CRC");
    }
}
