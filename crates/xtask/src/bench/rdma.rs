//! Soft RoCE, between two devices on two addresses of this machine.

use super::contender::Contender;
use super::process::{Server, output};
use super::report::Figures;
use super::workload::Workload;
use super::{Options, Programs};
use anyhow::{Context, Result};
use std::path::Path;

/// A bare loop of datagrams, and Weft's device.
pub fn contenders(options: &Options, programs: &Programs) -> Vec<Contender> {
    vec![bare(options, &programs.datagram_loop), soft(options, &programs.rdma_load)]
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

/// Weft's device.
fn soft(options: &Options, program: &Path) -> Contender {
    let (target, client, program) = (options.target(), options.client(), program.to_owned());
    let seconds = options.seconds.to_string();
    Contender::new("soft RoCE", &[0], move |workload: &Workload| {
        let (size, depth) = (workload.size.to_string(), workload.depth.to_string());
        let server = Server::start(target, &program, &["packets", "127.0.0.1"])?;
        let arguments =
            ["packets", "127.0.0.2", server.line.trim(), workload.pattern, &size, &depth, &seconds];
        figures(&output(client, &program, &arguments)?)
    })
}

fn figures(said: &str) -> Result<Option<Figures>> {
    let rate = said.trim().parse().context("what the asking end said")?;
    Ok(Some(Figures { rate, p50_us: None, p99_us: None }))
}
