//! redis-server, asked by redis-benchmark with its fifty connections.

use super::Way;
use crate::bench::process::Server;
use crate::bench::report::Figures;
use crate::bench::workload::Workload;
use anyhow::{Context, Result};
use std::path::Path;

/// Requests of a second; the workload's depth is how many each connection sends at once.
pub fn measure(way: &Way<'_>, workload: &Workload) -> Result<Option<Figures>> {
    if way.name == "sdp" {
        return Ok(None);
    }
    let socket = std::env::temp_dir().join(format!("weft-bench-redis.{}", std::process::id()));
    let (socket, port) = (socket.to_string_lossy(), PORT.to_string());
    let mut arguments = vec!["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", &port];
    arguments.extend(["--unixsocket", &socket]);
    let _server = Server::start_at(way.target, Path::new("redis-server"), &arguments, way.preload(), PORT)?;
    let (depth, requests) = (workload.depth.to_string(), (workload.depth * REQUESTS).to_string());
    let mut arguments = vec!["--csv", "-t", "get", "-P", &depth, "-n", &requests];
    arguments.extend(if way.name == "unix" { ["-s", &socket] } else { ["-p", &port] });
    let said = way.ask(Path::new("redis-benchmark"), &arguments)?;
    let line =
        said.lines().find(|line| line.starts_with("\"GET")).context("redis-benchmark tells no rate")?;
    let rate = line.split(',').nth(1).map(|rate| rate.trim_matches('"').parse());
    let rate = rate.context("redis-benchmark tells no rate")??;
    Ok(Some(Figures::of(rate)))
}

const PORT: u16 = 16471;
const REQUESTS: usize = 50_000;
