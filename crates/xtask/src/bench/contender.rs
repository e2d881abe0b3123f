//! What is measured: a client and a target, and whom it is held against.

use super::process::{Place, Server, output};
use super::report::Figures;
use super::workload::Workload;
use super::{Options, Programs};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How a contender is measured under a workload. `None`: it cannot do that.
type Measure = Box<dyn Fn(&Workload) -> Result<Option<Figures>>>;

/// A column of the table.
pub struct Contender {
    /// What it is called.
    pub name: &'static str,
    /// The places of those it is held against; the ratio is its rate by theirs.
    pub against: &'static [usize],
    measure: Measure,
}

impl Contender {
    /// A contender.
    pub fn new(
        name: &'static str,
        against: &'static [usize],
        measure: impl Fn(&Workload) -> Result<Option<Figures>> + 'static,
    ) -> Self {
        Self { name, against, measure: Box::new(measure) }
    }

    /// Measures it once.
    pub fn measure(&self, workload: &Workload) -> Result<Option<Figures>> {
        (self.measure)(workload).with_context(|| format!("{} under {}", self.name, workload.name))
    }
}

/// Two ends that exchange messages as long as a workload's: the yardstick's, or the reactor's. `messages` tells the bytes of
/// a request and of its answer.
pub fn exchange(
    name: &'static str,
    against: &'static [usize],
    options: &Options,
    program: &Path,
    before: &'static [&'static str],
    messages: impl Fn(&Workload) -> (usize, usize) + 'static,
) -> Contender {
    let (target, client) = (options.target(), options.client());
    let (program, seconds) = (program.to_owned(), options.seconds.to_string());
    Contender::new(name, against, move |workload| {
        let (request, answer) = messages(workload);
        let (request, answer) = (request.to_string(), answer.to_string());
        let mut arguments = [before, &[&request, &answer]].concat();
        let server = Server::start(target, &program, &arguments)?;
        let depth = workload.depth.to_string();
        arguments.extend([server.line.trim(), &depth, &seconds]);
        let rate =
            output(client, &program, &arguments)?.trim().parse().context("what the asking end said")?;
        Ok(Some(Figures::of(rate)))
    })
}

/// The second yardstick: its data comes from and goes to as much memory as the default volume has.
pub fn spread(
    options: &Options,
    programs: &Programs,
    messages: impl Fn(&Workload) -> (usize, usize) + 'static,
) -> Contender {
    let before = &["yardstick", "--spread", SPREAD];
    exchange("spread", &[], options, &programs.xtask, before, messages)
}

/// Bytes that the second yardstick's data comes from and goes to: those of the default volume.
const SPREAD: &str = "1073741824";

/// `weft bench` on a volume.
#[derive(Clone)]
pub struct WeftBench {
    place: Place,
    weft: PathBuf,
    url: String,
    /// Over RDMA, packets alone.
    packets: bool,
}

impl WeftBench {
    /// To be run on the client's processor.
    pub fn new(options: &Options, weft: &Path, url: String) -> Self {
        Self { place: options.client(), weft: weft.to_owned(), url, packets: false }
    }

    /// The same by packets, where it would go through shared memory.
    pub fn by_packets(self) -> Self {
        Self { packets: true, ..self }
    }

    /// Writes all over the volume: one that was never written is one page of zeros over and over again, which no cache
    /// ever misses.
    pub fn fill(&self) -> Result<()> {
        super::progress::show("filling the volume");
        self.run("write", 1 << 20, 4, FILL_SECONDS).map(drop)
    }

    /// Measures.
    pub fn measure(&self, workload: &Workload, seconds: f64) -> Result<Figures> {
        self.run(workload.pattern, workload.size, workload.depth, seconds)
    }

    fn run(&self, pattern: &str, size: usize, depth: usize, seconds: f64) -> Result<Figures> {
        let (size, depth, seconds) = (size.to_string(), depth.to_string(), seconds.to_string());
        let mut arguments = vec!["bench", &self.url, "--json", "--destroy", "--pattern", pattern];
        arguments.extend(["--size", &size, "--depth", &depth, "--seconds", &seconds]);
        arguments.extend(self.packets.then_some("--packets"));
        let said = output(self.place, &self.weft, &arguments)?;
        let said: Value = serde_json::from_str(&said).context("what weft bench said")?;
        let rate = said["iops"].as_f64().context("weft bench tells no rate")?;
        let latency = |name: &str| said["latency_us"][name].as_f64();
        Ok(Figures { rate, p50_us: latency("p50"), p99_us: latency("p99"), cpu_us: None })
    }
}

/// Seconds of writing before the first round: enough to have touched every page of the default volume.
const FILL_SECONDS: f64 = 3.0;
