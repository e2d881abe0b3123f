//! Streams between two processes of this machine: over TCP, which is the yardstick, the same under `weft run`, Unix sockets, and SDP.

mod database;
mod redis;
mod web;

use super::contender::Contender;
use super::process::{Place, Server, output, output_with};
use super::report::Figures;
use super::workload::Workload;
use super::{Options, Programs};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// TCP over loopback, Unix sockets, and memory alone; then the same program under `weft run` and over SDP, against these.
pub fn contenders(options: &Options, programs: &Programs) -> Vec<Contender> {
    vec![
        stream("TCP", "tcp", false, &[], options, programs),
        stream("Unix socket", "unix", false, &[0], options, programs),
        memory(options, programs),
        stream("weft run", "tcp", true, &[0, 1, 2], options, programs),
        stream("SDP", "sdp", false, &[0, 1, 2], options, programs),
        zero_copy("SDP, lent", ["sdp", "lent"], options, programs),
        zero_copy("SDP, placed", ["placed", "sdp"], options, programs),
        zero_copy("SDP, lent and placed", ["placed", "lent"], options, programs),
    ]
}

fn stream(
    name: &'static str,
    way: &'static str,
    is_carried: bool,
    against: &'static [usize],
    options: &Options,
    programs: &Programs,
) -> Contender {
    let (load, preload, seconds) =
        (programs.socket_load.clone(), programs.preload.clone(), options.seconds.to_string());
    let (target, client) = (options.target(), options.client());
    Contender::new(name, against, move |workload| {
        let way = Way { target, client, name: way, serves: way, preload: is_carried.then_some(&preload) };
        match workload.pattern {
            "redis" => redis::measure(&way, workload),
            "web" | "web, kept" => web::measure(&way, workload),
            "database" | "database, prepared" => database::measure(&way, workload),
            _ => way.bare(&load, &seconds, workload),
        }
    })
}

/// SDP whose writer lends its memory, whose reader has bytes come to where it wants them, or both: for pieces that are long enough to be
/// worth it, against SDP that copies.
fn zero_copy(
    name: &'static str,
    [serves, asks]: [&'static str; 2],
    options: &Options,
    programs: &Programs,
) -> Contender {
    let (load, seconds) = (programs.socket_load.clone(), options.seconds.to_string());
    let (target, client) = (options.target(), options.client());
    Contender::new(name, &[0, SDP], move |workload| {
        if workload.pattern != "stream" || workload.size < 64 << 10 {
            return Ok(None);
        }
        Way { target, client, name: asks, serves, preload: None }.bare(&load, &seconds, workload)
    })
}

/// How two programs speak with each other, and where they run.
struct Way<'a> {
    target: Place,
    client: Place,
    /// The way of who asks.
    name: &'static str,
    /// The same of who serves.
    serves: &'static str,
    /// What is loaded before both programs' own code.
    preload: Option<&'a PathBuf>,
}

impl Way<'_> {
    /// Streams and nothing else.
    fn bare(&self, load: &Path, seconds: &str, workload: &Workload) -> Result<Option<Figures>> {
        // Of several streams over SDP those that copy are measured.
        let serves = self.serves;
        if serves == "placed" && workload.depth > 1 {
            return Ok(None);
        }
        let (size, count) = (workload.size.to_string(), workload.depth.to_string());
        let server = Server::start_with(self.target, load, &[serves], self.preload())?;
        let arguments = [self.name, server.line.trim(), workload.pattern, &size, seconds, &count];
        let said = self.ask(load, &arguments)?;
        let rate: f64 = said.trim().parse().context("what the asking end said")?;
        // Bytes of a second are told as writes of a second, as of all others.
        let each = if workload.pattern == "ping" { 1.0 } else { workload.size as f64 };
        Ok(Some(Figures::of(rate / each)))
    }

    fn preload(&self) -> Option<&Path> {
        self.preload.map(PathBuf::as_path)
    }

    /// What a program says that is at an end by itself.
    fn ask(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        output_with(self.client, program, arguments, self.preload())
    }
}

/// The number behind some words, in what a program said.
fn figure_behind(said: &str, words: &str) -> Result<f64> {
    let rest = said.split(words).nth(1).with_context(|| format!("nothing is said of \"{words}\""))?;
    let number = rest.split_whitespace().next().unwrap_or_default();
    number.parse().with_context(|| format!("\"{number}\" behind \"{words}\""))
}

/// The place of SDP that copies among the contenders.
const SDP: usize = 4;

/// What memory alone does: a number to and fro between two processors, each in a cache line of its own, whatever the size; and a copy.
fn memory(options: &Options, programs: &Programs) -> Contender {
    let (client, program, seconds) =
        (options.client(), programs.memory_loop.clone(), options.seconds.to_string());
    Contender::new("memory", &[], move |workload| {
        let size = workload.size.to_string();
        let arguments: &[&str] = match (workload.pattern, workload.depth) {
            ("ping", 1) => &["ping", "8", "1", &seconds],
            ("stream", 1) => &["copy", &size, "4", &seconds],
            _ => return Ok(None),
        };
        let said = output(client, &program, arguments)?;
        let rate = said.trim().parse().context("what the memory loop said")?;
        Ok(Some(Figures::of(rate)))
    })
}
