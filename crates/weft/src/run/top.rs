//! What is carried how: `weft top` while programs run, and `weft run --stats` when one has ended.

use super::pages::{self, Page};
use crate::args::TopArgs;
use crate::error::Failure;
use crate::output::{Style, Table, say};
use crate::signals;
use engine::size::format_size;
use launch::page::{Phase, RowSnapshot};
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::time::Duration;

/// Runs `weft top`.
pub fn run(style: &Style, args: &TopArgs) -> Result<(), Failure> {
    let is_watched = !args.once && !style.json && std::io::stdout().is_terminal();
    loop {
        pages::sweep();
        let mut pages = pages::all();
        // What has only just ended is still there.
        pages.retain(|page| !page.processes.is_empty());
        if style.json {
            say!("{}", json!(pages.iter().map(describe).collect::<Vec<_>>()));
        } else {
            if is_watched {
                say!("\x1b[H\x1b[J{}", style.dim("Ctrl-C ends"));
            }
            say!("{}", programs(style, &pages));
            say!("");
            say!("{}", connections(style, &pages));
        }
        if !is_watched || signals::interrupted() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Tells on standard error what became of the connections of a run.
pub fn tell_run(style: &Style, run: &str) {
    let prefix = format!("{run}.");
    let mut pages = pages::all();
    pages.retain(|page| page.name.starts_with(&prefix));
    if style.json {
        eprintln!("{}", json!(pages.iter().map(describe).collect::<Vec<_>>()));
    } else if pages.is_empty() {
        eprintln!("weft: no TCP sockets were used");
    } else {
        eprintln!("{}", programs(style, &pages));
    }
}

fn programs(style: &Style, pages: &[Page]) -> String {
    let mut table = Table::new([
        "program",
        ">connections",
        ">carried",
        ">sent",
        ">received",
        ">calls spared",
        "why the others are not",
    ]);
    for Page { snapshot, .. } in pages {
        let stayed = snapshot.stayed.iter().map(|(reason, count)| format!("{count}: {}", reason.describe()));
        table.row([
            snapshot.program.clone(),
            snapshot.connections.to_string(),
            snapshot.carried.to_string(),
            format_size(snapshot.sent),
            format_size(snapshot.received),
            snapshot.spared_calls().to_string(),
            stayed.collect::<Vec<_>>().join("; "),
        ]);
    }
    table.render(style)
}

fn connections(style: &Style, pages: &[Page]) -> String {
    let mut table =
        Table::new(["process", "program", "local", "peer", "carried by", ">sent", ">received", "why"]);
    for page in pages {
        let is_there =
            |row: &&RowSnapshot| row.process.is_none_or(|process| page.processes.contains(&process));
        for row in page.snapshot.rows.iter().filter(is_there).take(ROWS_SHOWN) {
            let process = row.process.or_else(|| page.processes.first().copied());
            table.row([
                process.map_or_else(|| "-".into(), |process| process.to_string()),
                page.snapshot.program.clone(),
                shown(row.local),
                shown(row.peer),
                carrier(row).into(),
                format_size(row.sent),
                format_size(row.received),
                row.reason.describe().into(),
            ]);
        }
    }
    table.render(style)
}

fn shown(place: Option<SocketAddr>) -> String {
    place.map_or_else(|| "-".into(), |place| place.to_string())
}

fn carrier(row: &RowSnapshot) -> &'static str {
    match row.phase {
        Phase::Met => "memory",
        Phase::Fresh | Phase::Plain | Phase::Waiting | Phase::Accepted | Phase::Calling => "tcp",
    }
}

fn describe(page: &Page) -> Value {
    let row = |row: &RowSnapshot| {
        json!({
            "process": row.process,
            "local": row.local,
            "peer": row.peer,
            "is_client": row.is_client,
            "carried_by": carrier(row),
            "why": row.reason.describe(),
            "sent_bytes": row.sent,
            "received_bytes": row.received,
        })
    };
    let stayed =
        page.snapshot.stayed.iter().map(|(reason, count)| (reason.describe().to_owned(), json!(count)));
    json!({
        "program": page.snapshot.program,
        "processes": page.processes,
        "connections": page.snapshot.connections,
        "carried": page.snapshot.carried,
        "sent_bytes": page.snapshot.sent,
        "received_bytes": page.snapshot.received,
        "carried_calls": page.snapshot.carried_calls,
        "kernel_calls": page.snapshot.kernel_calls,
        "spared_calls": page.snapshot.spared_calls(),
        "stayed": stayed.collect::<serde_json::Map<_, _>>(),
        "rows": page.snapshot.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

/// Connections of one program that are listed.
const ROWS_SHOWN: usize = 100;
