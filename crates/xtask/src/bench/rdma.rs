//! RDMA between two devices on two addresses of this machine: as soft RoCE, and through shared memory.

use super::contender::Contender;
use super::process::{Server, output};
use super::report::Figures;
use super::workload::Workload;
use super::{Options, Programs};
use anyhow::{Context, Result};
use std::path::Path;

/// A bare loop of datagrams and Weft's device; what memory alone does, and Weft's device as a neighbour's.
pub fn contenders(options: &Options, programs: &Programs) -> Vec<Contender> {
    let load = &programs.rdma_load;
    vec![
        bare(options, &programs.datagram_loop),
        device("soft RoCE", &[0], "packets", options, load),
        memory(options, &programs.memory_loop),
        device("neighbour", &[2], "memory", options, load),
    ]
}

/// The yardstick: the same bytes by bare UDP.
fn bare(options: &Options, program: &Path) -> Contender {
    let (target, client, program) = (options.target(), options.client(), program.to_owned());
    let seconds = options.seconds.to_string();
    Contender::new("yardstick", &[], move |workload| {
        let (size, depth) = (workload.size.to_string(), workload.depth.to_string());
        let mut arguments = vec![workload.pattern, &size, &depth];
        let server = Server::start(target, &program, &arguments)?;
        arguments.extend([server.line.trim(), &seconds]);
        figures(&output(client, &program, &arguments)?)
    })
}

/// The yardstick of neighbours: a cache line that goes to and fro, or a copy. Nothing compares with a stream of sends.
fn memory(options: &Options, program: &Path) -> Contender {
    let (place, program) = (options.client(), program.to_owned());
    let seconds = options.seconds.to_string();
    Contender::new("memory", &[], move |workload| {
        let mode = match workload.pattern {
            "ping" => "ping",
            "write" | "read" => "copy",
            _ => return Ok(None),
        };
        let (size, depth) = (workload.size.to_string(), workload.depth.to_string());
        figures(&output(place, &program, &[mode, &size, &depth, &seconds])?)
    })
}

/// Weft's device; its peers are reached in one way.
fn device(
    name: &'static str,
    against: &'static [usize],
    way: &'static str,
    options: &Options,
    program: &Path,
) -> Contender {
    let (target, client, program) = (options.target(), options.client(), program.to_owned());
    let seconds = options.seconds.to_string();
    Contender::new(name, against, move |workload: &Workload| {
        let (size, depth) = (workload.size.to_string(), workload.depth.to_string());
        let server = Server::start(target, &program, &[way, "127.0.0.1"])?;
        let arguments = [way, "127.0.0.2", server.line.trim(), workload.pattern, &size, &depth, &seconds];
        figures(&output(client, &program, &arguments)?)
    })
}

fn figures(said: &str) -> Result<Option<Figures>> {
    let rate = said.trim().parse().context("what the asking end said")?;
    Ok(Some(Figures::of(rate)))
}
