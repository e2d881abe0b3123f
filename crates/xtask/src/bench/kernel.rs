//! RDMA in a guest: our devices beside the kernel's rdma_rxe, in turn, on the same emulated machine.
//!
//! Both ends are in the one guest, each on a processor of its own. The kernel's device hands packets to itself without a look at
//! the network's stack; ours go through the sockets of the loopback interface.

use super::contender::Contender;
use super::report::Figures;
use super::workload::Workload;
use super::{Options, Programs};
use crate::guest::{Machine, Settings};
use anyhow::{Context, Result, ensure};
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// The kernel's device under perftest's programs, and ours under our own.
pub fn contenders(options: &Options, programs: &Programs) -> Result<Vec<Contender>> {
    let settings = Settings {
        name: "bench".into(),
        cpus: 2,
        memory_mib: 1024,
        life: Duration::from_secs(1800),
        capture: None,
        outlives_us: false,
        cables: Vec::new(),
    };
    let machine = Rc::new(Machine::boot(&settings)?);
    if options.first {
        machine.run_first()?;
    }
    let load = machine.give(&programs.rdma_load)?;
    run(&machine, include_str!("inside/device.sh"))?;
    let (guest, seconds) = (machine.clone(), options.seconds);
    let kernel = Contender::new("rdma_rxe", &[], move |workload| {
        let (words, column) = perftest(workload).context("perftest has no such pattern")?;
        let said = run(&guest, &format!("WORDS='{words}'\n{}", include_str!("inside/kernel.sh")))?;
        let figure: f64 = said
            .split_whitespace()
            .nth(column)
            .and_then(|figure| figure.parse().ok())
            .with_context(|| format!("what perftest said: {said}"))?;
        // Its programs count millions of messages, and microseconds of half a way to and fro.
        let rate = if workload.pattern == "ping" { 1e6 / (2.0 * figure) } else { 1e6 * figure };
        Ok(Some(Figures::of(rate)))
    });
    let ours = Contender::new("soft RoCE", &[0], move |workload| {
        let Workload { pattern, size, depth, .. } = workload;
        let set = format!("LOAD={load}\nWORDS='{pattern} {size} {depth} {seconds}'");
        let said = run(&machine, &format!("{set}\n{}", include_str!("inside/ours.sh")))?;
        let rate = said.trim().parse().context("what the asking end said")?;
        Ok(Some(Figures::of(rate)))
    });
    Ok(vec![kernel, ours])
}

/// The program of perftest for a workload with its arguments, and the column of its figures that tells the rate.
fn perftest(workload: &Workload) -> Option<(String, usize)> {
    let Workload { pattern, size, depth, .. } = workload;
    let program = match *pattern {
        "write" => "ib_write_bw",
        "read" => "ib_read_bw",
        "send" => "ib_send_bw",
        "ping" => return Some((format!("ib_send_lat -s {size} -n {PINGS}"), 5)),
        _ => return None,
    };
    let count = (BYTES / size).clamp(4 * depth, MESSAGES_MAX);
    let receives = if *pattern == "send" { format!("-r {depth}") } else { String::new() };
    Some((format!("{program} -s {size} -n {count} -t {depth} {receives}"), 4))
}

/// Runs a script in the guest; what it printed.
fn run(machine: &Machine, script: &str) -> Result<String> {
    let outcome = machine.run(script, Duration::from_secs(100), &mut io::sink())?;
    ensure!(outcome.status == 0, "the guest's script failed: {}\n{}", outcome.status, outcome.output);
    Ok(outcome.output)
}

/// Bytes of a measurement with perftest: a second, for the kernel's device in the emulator.
const BYTES: usize = 64 << 20;
/// Messages of such a measurement, at most.
const MESSAGES_MAX: usize = 40_000;
/// Sends that go to and fro.
const PINGS: usize = 4_000;
