//! Streams between two processes of this machine: over TCP, which is the yardstick, Unix sockets, and SDP.

use super::contender::Contender;
use super::process::{Server, output};
use super::report::Figures;
use super::{Options, Programs};
use anyhow::Context;

/// TCP over loopback; then Unix sockets and SDP, against TCP and each other.
pub fn contenders(options: &Options, programs: &Programs) -> Vec<Contender> {
    vec![
        stream("TCP", "tcp", &[], options, programs),
        stream("Unix socket", "unix", &[0], options, programs),
        stream("SDP", "sdp", &[0, 1], options, programs),
    ]
}

fn stream(
    name: &'static str,
    way: &'static str,
    against: &'static [usize],
    options: &Options,
    programs: &Programs,
) -> Contender {
    let (target, client, program) = (options.target(), options.client(), programs.socket_load.clone());
    let seconds = options.seconds.to_string();
    Contender::new(name, against, move |workload| {
        let size = workload.size.to_string();
        let server = Server::start(target, &program, &[way])?;
        let arguments = [way, server.line.trim(), workload.pattern, &size, &seconds];
        let said = output(client, &program, &arguments)?;
        let rate: f64 = said.trim().parse().context("what the asking end said")?;
        // Bytes of a second are told as writes of a second, as of all others.
        let each = if workload.pattern == "ping" { 1.0 } else { workload.size as f64 };
        Ok(Some(Figures { rate: rate / each, p50_us: None, p99_us: None }))
    })
}
