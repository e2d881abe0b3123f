//! Weft's target and host on NVMe/TCP.

use super::contender::{Contender, WeftBench, exchange, spread};
use super::process::Server;
use super::{Options, Programs, Workload};
use anyhow::{Context, Result};
use serde_json::Value;

/// Both yardsticks and Weft.
pub fn contenders(options: &Options, programs: &Programs) -> Result<Vec<Contender>> {
    let arguments = ["serve", "--json", "--ram", &options.volume, "--listen", "127.0.0.1:0"];
    let server = Server::start(options.target(), &programs.weft, &arguments)?;
    let said: Value = serde_json::from_str(&server.line).context("what weft serve said")?;
    let url = said["namespaces"][0]["url"].as_str().context("weft serve names no volume")?.to_owned();
    let (bench, seconds) = (WeftBench::new(options, &programs.weft, url), options.seconds);
    bench.fill()?;
    Ok(vec![
        exchange("yardstick", &[], options, &programs.xtask, &["yardstick"], messages),
        spread(options, programs, messages),
        Contender::new("weft", &[0, 1], move |workload| {
            bench.measure(workload, seconds).map(Some).with_context(|| format!("process {}", server.id()))
        }),
    ])
}

/// Bytes of a request and of its answer, as NVMe/TCP has them without digests (NVMe TCP Transport 1.0, 3.6.2): a command
/// capsule of 72 bytes; data after a header of 24; a response capsule of 24, which a read spares by the SUCCESS flag. A
/// write too large for the capsule is asked for by an R2T of 24 bytes; the yardstick exchanges the same bytes, but does
/// not wait for that.
pub const fn messages(workload: &Workload) -> (usize, usize) {
    match (workload.writes, workload.size > IN_CAPSULE) {
        (false, _) => (CAPSULE, HEADER + workload.size),
        (true, false) => (CAPSULE + workload.size, RESPONSE),
        (true, true) => (CAPSULE + HEADER + workload.size, HEADER + RESPONSE),
    }
}

/// Bytes of a command capsule without data.
const CAPSULE: usize = 72;

/// Bytes of the header of data, and of an R2T.
const HEADER: usize = 24;

/// Bytes of a response capsule.
const RESPONSE: usize = 24;

/// Bytes of data that travel inside a command capsule.
const IN_CAPSULE: usize = 8 << 10;
