//! `cargo xtask bench`: how fast Weft is, against a bare TCP loop in the same run.
//!
//! Figures of different minutes on a shared machine say little; a ratio of two figures measured side by side says much. So
//! each round measures every contender one after the other, the target on one processor and the client on another, and what
//! is reported is the median of the rounds' ratios.

mod contender;
mod daemon;
mod guests;
mod iscsi;
mod kernel;
mod nvme;
mod process;
mod progress;
mod rdma;
mod reactor;
mod report;
mod sockets;
mod storage;
mod workload;
pub mod yardstick;

use crate::workspace;
use anyhow::{Context, Result, ensure};
use process::Place;
use report::Report;
use std::path::PathBuf;
use std::process::Command;
use workload::Workload;

/// What to measure, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// What is measured
    #[arg(value_enum, default_value_t = Subject::Nvme)]
    subject: Subject,
    /// Measure only workloads whose name contains this
    #[arg(long)]
    only: Option<String>,
    /// Rounds of each workload
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Bytes of the RAM volume, in weft's notation
    #[arg(long, default_value = "1G")]
    volume: String,
    /// Measure RDMA or storage over it in guests, beside the kernel's
    #[arg(long)]
    guest: bool,
    /// Run the measured processes before all others, where the machine is not ours alone (needs root)
    #[arg(long)]
    first: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Append the result to bench/history.jsonl
    #[arg(long)]
    record: bool,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Subject {
    /// Weft's target and host on NVMe/TCP
    Nvme,
    /// Weft's target with Weft's, libiscsi's and QEMU's initiators, beside tgt
    Iscsi,
    /// The reactor alone: an exchange of NVMe/TCP's sizes through it
    Reactor,
    /// Soft RoCE and shared memory between two devices, beside a bare loop of datagrams and what memory alone does
    Rdma,
    /// Streams between two processes under `weft run` and over SDP, beside TCP and Unix sockets; needs redis, nginx, ab and PostgreSQL
    Sockets,
    /// Storage over RDMA, through shared memory and as soft RoCE, beside the same over streams
    Storage,
}

/// Runs the benchmark.
///
/// # Errors
/// When something cannot be built or started, or ends before its time.
pub fn run(options: &Options) -> Result<()> {
    let has_guests = matches!(options.subject, Subject::Rdma | Subject::Storage);
    ensure!(!options.guest || has_guests, "only RDMA and storage over it are measured in guests");
    let programs = build(options)?;
    let workloads: Vec<&Workload> = workload::of(options.subject, options.guest)
        .iter()
        .filter(|workload| options.only.as_ref().is_none_or(|part| workload.name.contains(part.as_str())))
        .collect();
    ensure!(!workloads.is_empty(), "no workload has such a name");
    let contenders = match options.subject {
        Subject::Nvme => nvme::contenders(options, &programs)?,
        Subject::Iscsi => iscsi::contenders(options, &programs)?,
        Subject::Reactor => reactor::contenders(options, &programs),
        Subject::Rdma if options.guest => kernel::contenders(options, &programs)?,
        Subject::Rdma => rdma::contenders(options, &programs),
        Subject::Sockets => sockets::contenders(options, &programs),
        Subject::Storage if options.guest => guests::contenders(options, &programs)?,
        Subject::Storage => storage::contenders(options, &programs)?,
    };
    let mut report = Report::new(options, &workloads, &contenders);
    for round in 0..options.rounds {
        for (row, workload) in workloads.iter().enumerate() {
            for (column, contender) in contenders.iter().enumerate() {
                let (rounds, name) = (options.rounds, contender.name);
                progress::show(&format!("round {} of {rounds}: {}, {name}", round + 1, workload.name));
                report.add(row, column, contender.measure(workload)?);
            }
        }
    }
    drop(contenders);
    progress::clear();
    if options.subject == Subject::Nvme {
        report.daemon = Some(daemon::measure(options.target(), &programs.weft)?);
    }
    if options.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    if options.record { report.record() } else { Ok(()) }
}

impl Options {
    /// Where the target runs.
    const fn target(&self) -> Place {
        Place { cpu: 0, first: self.first }
    }

    /// Where the client runs.
    const fn client(&self) -> Place {
        Place { cpu: 1, first: self.first }
    }
}

/// The programs that are measured, built with optimisation.
struct Programs {
    xtask: PathBuf,
    weft: PathBuf,
    exchange: PathBuf,
    datagram_loop: PathBuf,
    rdma_load: PathBuf,
    memory_loop: PathBuf,
    socket_load: PathBuf,
    preload: PathBuf,
}

fn build(options: &Options) -> Result<Programs> {
    let wanted: &[&str] = match options.subject {
        Subject::Reactor | Subject::Rdma => &["-p", "xtask", "-p", "reactor", "--bins", "--examples"],
        Subject::Sockets => {
            &["-p", "sockets", "-p", "reactor", "-p", "preload", "--lib", "--bins", "--examples"]
        }
        Subject::Nvme | Subject::Iscsi | Subject::Storage => &["-p", "xtask", "-p", "weft", "--bins"],
    };
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release"])
        .args(wanted)
        .current_dir(workspace::root())
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the build failed");
    let release = workspace::target_directory().join("release");
    Ok(Programs {
        xtask: release.join("xtask"),
        weft: release.join("weft"),
        exchange: release.join("examples/exchange"),
        datagram_loop: release.join("examples/datagram_loop"),
        rdma_load: release.join("examples/rdma_load"),
        memory_loop: release.join("examples/memory_loop"),
        socket_load: release.join("examples/socket_load"),
        preload: release.join("libweft_preload.so"),
    })
}
