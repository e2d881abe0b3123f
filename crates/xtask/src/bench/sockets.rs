//! Streams between two processes of this machine: over TCP, which is the yardstick, the same under `weft run`, Unix sockets, and SDP.

use super::contender::Contender;
use super::process::{Place, Server, output, output_with};
use super::report::Figures;
use super::workload::Workload;
use super::{Options, Programs};
use anyhow::{Context, Result, bail};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// TCP over loopback; then the same program under `weft run`, Unix sockets and SDP, against TCP and each other; and memory.
pub fn contenders(options: &Options, programs: &Programs) -> Vec<Contender> {
    vec![
        stream("TCP", "tcp", false, &[], options, programs),
        stream("Unix socket", "unix", false, &[0], options, programs),
        stream("weft run", "tcp", true, &[0, 1], options, programs),
        stream("SDP", "sdp", false, &[0, 1], options, programs),
        memory(options, programs),
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
    let (target, client) = (options.target(), options.client());
    let (load, preload, seconds) =
        (programs.socket_load.clone(), programs.preload.clone(), options.seconds.to_string());
    Contender::new(name, against, move |workload| {
        if workload.pattern == "redis" {
            return if way == "sdp" {
                Ok(None)
            } else {
                redis(target, client, way, carried(is_carried, &preload), workload)
            };
        }
        // One process's streams over SDP move while a call of theirs is under way: threads would wait for each other.
        if way == "sdp" && workload.depth > 1 {
            return Ok(None);
        }
        let (size, count) = (workload.size.to_string(), workload.depth.to_string());
        let preloaded = carried(is_carried, &preload);
        let server = Server::start_with(target, &load, &[way], preloaded)?;
        let arguments = [way, server.line.trim(), workload.pattern, &size, &seconds, &count];
        let said = output_with(client, &load, &arguments, preloaded)?;
        let rate: f64 = said.trim().parse().context("what the asking end said")?;
        // Bytes of a second are told as writes of a second, as of all others.
        let each = if workload.pattern == "ping" { 1.0 } else { workload.size as f64 };
        Ok(Some(Figures::of(rate / each)))
    })
}

fn carried(is_carried: bool, preload: &Path) -> Option<&Path> {
    is_carried.then_some(preload)
}

/// What memory alone does: a number to and fro between two processors, and a copy.
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

/// Requests of a second that redis-server answers redis-benchmark, which has fifty connections; the workload's depth is how many
/// each sends at once.
fn redis(
    target: Place,
    client: Place,
    way: &str,
    preload: Option<&Path>,
    workload: &Workload,
) -> Result<Option<Figures>> {
    let socket = std::env::temp_dir().join(format!("weft-bench-redis.{}", std::process::id()));
    let socket = socket.to_string_lossy();
    let mut arguments = vec!["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--port", REDIS_PORT];
    arguments.extend(["--unixsocket", &socket]);
    let _server = Server::start_with(target, Path::new("redis-server"), &arguments, preload)?;
    wait_for(REDIS_PORT)?;
    let (depth, requests) = (workload.depth.to_string(), (workload.depth * REDIS_REQUESTS).to_string());
    let mut arguments = vec!["--csv", "-t", "get", "-P", &depth, "-n", &requests];
    arguments.extend(if way == "unix" { ["-s", &socket] } else { ["-p", REDIS_PORT] });
    let said = output_with(client, Path::new("redis-benchmark"), &arguments, preload)?;
    let line =
        said.lines().find(|line| line.starts_with("\"GET")).context("redis-benchmark tells no rate")?;
    let rate = line.split(',').nth(1).map(|rate| rate.trim_matches('"').parse());
    let rate = rate.context("redis-benchmark tells no rate")??;
    Ok(Some(Figures::of(rate)))
}

/// Waits until somebody listens there.
fn wait_for(port: &str) -> Result<()> {
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port.parse()?)).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("nobody listens at port {port}");
}

const REDIS_PORT: &str = "16471";
const REDIS_REQUESTS: usize = 50_000;
