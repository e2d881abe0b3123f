//! `cargo xtask bench`: how fast Weft is, against a bare TCP loop in the same run.
//!
//! Figures of different minutes on a shared machine say little; a ratio of two figures measured side by side says much. So
//! each round measures the yardstick and Weft one after the other, the target on one processor and the client on another,
//! and what is reported is the median of the rounds' ratios.

mod daemon;
mod process;
mod report;
mod workload;
pub mod yardstick;

use crate::workspace;
use anyhow::{Context, Result, ensure};
use process::{Place, Server, output};
use report::{Figures, Report, Round};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use workload::Workload;

/// What to measure, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// Measure only workloads whose name contains this
    filter: Option<String>,
    /// Rounds of each workload
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Bytes of the RAM volume, in weft's notation
    #[arg(long, default_value = "1G")]
    volume: String,
    /// Measure the reactor alone instead of Weft: an exchange of the same sizes through it
    #[arg(long)]
    reactor: bool,
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

/// Runs the benchmark.
///
/// # Errors
/// When something cannot be built or started, or ends before its time.
pub fn run(options: &Options) -> Result<()> {
    let programs = build(options)?;
    let workloads: Vec<&Workload> = workload::ALL
        .iter()
        .filter(|workload| options.filter.as_ref().is_none_or(|part| workload.name.contains(part.as_str())))
        .collect();
    ensure!(!workloads.is_empty(), "no workload has such a name");
    let mut report = Report::new(options, &workloads);
    let subject = Subject::start(options, &programs)?;
    for round in 0..options.rounds {
        for (place, workload) in workloads.iter().enumerate() {
            eprint!("\rround {} of {}: {:<24}", round + 1, options.rounds, workload.name);
            let yardstick = exchange(&programs.xtask, &["yardstick"], workload, options)?;
            let spread = if workload.writes || options.reactor {
                None
            } else {
                Some(exchange(&programs.xtask, &["yardstick", "--spread", SPREAD], workload, options)?)
            };
            report.add(
                place,
                Round { yardstick, spread, subject: subject.measure(workload, options, &programs)? },
            );
        }
    }
    drop(subject);
    eprint!("\r{:<60}\r", "");
    if !options.reactor {
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
}

fn build(options: &Options) -> Result<Programs> {
    let wanted: &[&str] = if options.reactor {
        &["-p", "xtask", "-p", "reactor", "--bins", "--examples"]
    } else {
        &["-p", "xtask", "-p", "weft", "--bins"]
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
    })
}

/// What is held against the yardstick.
enum Subject {
    /// `weft serve`, and the URL of its volume.
    Weft { server: Server, client: Place, url: String },
    /// The reactor alone; its ends are started for each measurement.
    Reactor,
}

impl Subject {
    fn start(options: &Options, programs: &Programs) -> Result<Self> {
        if options.reactor {
            return Ok(Self::Reactor);
        }
        let arguments = ["serve", "--json", "--ram", &options.volume, "--listen", "127.0.0.1:0"];
        let server = Server::start(options.target(), &programs.weft, &arguments)?;
        let said: Value = serde_json::from_str(&server.line).context("what weft serve said")?;
        let url = said["namespaces"][0]["url"].as_str().context("weft serve names no volume")?.to_owned();
        let subject = Self::Weft { server, client: options.client(), url };
        // A volume that was never written is one page of zeros over and over again, which no cache ever misses.
        eprint!("filling the volume");
        subject.weft(&programs.weft, "write", 1 << 20, 4, FILL_SECONDS)?;
        Ok(subject)
    }

    fn measure(&self, workload: &Workload, options: &Options, programs: &Programs) -> Result<Figures> {
        match self {
            Self::Reactor => exchange(&programs.exchange, &[], workload, options),
            Self::Weft { .. } => {
                self.weft(&programs.weft, workload.pattern, workload.size, workload.depth, options.seconds)
            }
        }
    }

    fn weft(&self, weft: &Path, pattern: &str, size: usize, depth: usize, seconds: f64) -> Result<Figures> {
        let Self::Weft { server, client, url } = self else { anyhow::bail!("this run measures the reactor") };
        let (size, depth, seconds) = (size.to_string(), depth.to_string(), seconds.to_string());
        let arguments = [
            "bench",
            url,
            "--json",
            "--destroy",
            "--pattern",
            pattern,
            "--size",
            &size,
            "--depth",
            &depth,
            "--seconds",
            &seconds,
        ];
        let said = output(*client, weft, &arguments)
            .with_context(|| format!("weft serve is process {}", server.id()))?;
        let said: Value = serde_json::from_str(&said).context("what weft bench said")?;
        let rate = said["iops"].as_f64().context("weft bench tells no rate")?;
        let latency = |name: &str| said["latency_us"][name].as_f64();
        Ok(Figures { rate, p50_us: latency("p50"), p99_us: latency("p99") })
    }
}

/// Runs two ends that exchange a workload's messages: the yardstick's, or the reactor's.
fn exchange(program: &Path, before: &[&str], workload: &Workload, options: &Options) -> Result<Figures> {
    let (request, answer) = workload.messages();
    let (request, answer) = (request.to_string(), answer.to_string());
    let mut arguments = [before, &[&request, &answer]].concat();
    let server = Server::start(options.target(), program, &arguments)?;
    let (depth, seconds) = (workload.depth.to_string(), options.seconds.to_string());
    arguments.extend([server.line.trim(), &depth, &seconds]);
    let rate =
        output(options.client(), program, &arguments)?.trim().parse().context("what the asking end said")?;
    Ok(Figures { rate, p50_us: None, p99_us: None })
}

/// Bytes that the second yardstick's answers are gathered from: those of the default volume.
const SPREAD: &str = "1073741824";

/// Seconds of writing before the first round: enough to have touched every page of the default volume.
const FILL_SECONDS: f64 = 3.0;
