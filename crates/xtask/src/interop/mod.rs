//! `cargo xtask interop`: Weft against peers that were written by others.
//!
//! Each scenario is a function with a name. What runs in the guest is a shell script beside it, so that it can be read,
//! and typed, by itself. One guest serves a whole run. `--target kernel` runs the scenarios of the kernel's host against
//! the kernel's own target: it shows that the scripts are right, whatever Weft does.
//!
//! The peers: Linux as NVMe/TCP host (nvme-cli, ext4, fio) and target (nvmet), Linux as iSCSI initiator (open-iscsi) and target
//! (LIO), libiscsi with its conformance suite and its iser://, QEMU's iSCSI driver, tgt, Linux's rdma_rxe with rdma-core's programs,
//! and over it Linux's nvme-rdma, ib_iser and ib_srp as initiators, nvmet-rdma, isert and ib_srpt as targets; SPDK's JSON-RPC client;
//! and, for `weft run`, programs that know of nothing: redis, nginx, curl, ab, wrk, netcat, iperf3,
//! Python, PostgreSQL, memcached, sockperf, OpenSSH, Node, Java, programs in Go. Debian has no NVMe/TCP in
//! user space: QEMU's `nvme://` is for PCI devices, and SPDK itself is not packaged.

mod disk;
mod iscsi;
mod lab;
mod nvme;
mod rdma;
mod sockets;
mod spdk;
mod storage_rdma;

use crate::workspace;
use anyhow::{Result, bail};
use lab::Lab;
use std::time::Instant;

/// Which scenarios to run, and against what.
#[derive(clap::Args)]
pub struct Options {
    /// Run only scenarios whose name begins so
    names: Vec<String>,
    /// Print the scenarios and do nothing
    #[arg(long)]
    list: bool,
    /// What the kernel's host talks to
    #[arg(long, value_enum, default_value_t = TargetKind::Weft)]
    target: TargetKind,
    /// Measure nothing in a debug build: test the release build of Weft
    #[arg(long)]
    release: bool,
    /// Try what fails so many times in all, each in a fresh guest, and say so: the kernel's rdma_rxe loses connections by
    /// itself at times, and isert falls over its own requests. What says that data differ is not tried again
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    tries: u8,
    /// Print what the scripts print, as it comes
    #[arg(short, long)]
    verbose: bool,
    /// Write what passes the guest's network card to this pcap file
    #[arg(long)]
    capture: Option<std::path::PathBuf>,
}

/// What the kernel's host talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TargetKind {
    /// `weft serve`
    Weft,
    /// The kernel's own target, nvmet, to prove the scripts
    Kernel,
}

/// One scenario.
struct Scenario {
    /// What it is called.
    name: &'static str,
    /// What it shows, in a line.
    about: &'static str,
    /// It needs what only Weft has.
    needs_weft: bool,
    run: fn(&Lab) -> Result<()>,
}

/// How a scenario ended.
enum Verdict {
    Passed,
    /// At which try, and how the one before it failed.
    PassedLater(u8, anyhow::Error),
    Failed(anyhow::Error),
    /// It was not meant for this run, or this machine lacks something.
    NotRun(String),
    /// What it needs is others' to give, and was not given.
    OutOfReach(String),
}

/// Runs the scenarios and prints a table.
///
/// # Errors
/// When one fails; on CI also when one cannot run.
pub fn run(options: &Options) -> Result<()> {
    let wanted = wanted(options)?;
    if options.list {
        for scenario in wanted {
            println!("{:24} {}", scenario.name, scenario.about);
        }
        return Ok(());
    }
    let mut lab = Lab::set_up(options)?;
    let mut results = Vec::new();
    for scenario in wanted {
        println!("--- {}: {}", scenario.name, scenario.about);
        let start = Instant::now();
        let mut verdict = judge_aloud(&scenario, &lab, options);
        for number in 2..=options.tries {
            let Verdict::Failed(error) = verdict else { break };
            if says_that_data_differ(&error) {
                verdict = Verdict::Failed(error);
                break;
            }
            verdict = try_again(number, error, &scenario, &mut lab, options);
        }
        results.push((scenario.name, verdict, start.elapsed().as_secs_f64()));
    }
    report(&results)
}

fn wanted(options: &Options) -> Result<Vec<Scenario>> {
    let mut scenarios = nvme::scenarios();
    scenarios.extend(iscsi::scenarios());
    scenarios.extend(rdma::scenarios());
    scenarios.extend(storage_rdma::scenarios());
    scenarios.extend(sockets::scenarios());
    scenarios.extend(spdk::scenarios());
    for name in &options.names {
        if !scenarios.iter().any(|scenario| scenario.name.starts_with(name.as_str())) {
            bail!("no scenario begins with {name}; `cargo xtask interop --list` names them");
        }
    }
    scenarios.retain(|scenario| {
        options.names.is_empty() || options.names.iter().any(|name| scenario.name.starts_with(name.as_str()))
    });
    Ok(scenarios)
}

fn try_again(
    number: u8,
    before: anyhow::Error,
    scenario: &Scenario,
    lab: &mut Lab,
    options: &Options,
) -> Verdict {
    println!("--- {}, try {number}, in a fresh guest", scenario.name);
    lab.forget_machine();
    match judge_aloud(scenario, lab, options) {
        Verdict::Passed => Verdict::PassedLater(number, before),
        verdict => verdict,
    }
}

/// What cmp, fio, the scripts and `weft verify` say of data that are lost or wrong: that is never tried again.
const DATA_DIFFER: [&str; 5] = ["differ", "verify: ", "not what was written", "damaged", "other bytes"];

fn says_that_data_differ(error: &anyhow::Error) -> bool {
    let said = format!("{error:#}");
    DATA_DIFFER.iter().any(|words| said.contains(words))
}

fn judge_aloud(scenario: &Scenario, lab: &Lab, options: &Options) -> Verdict {
    let verdict = judge(scenario, lab, options);
    if let Verdict::Failed(error) = &verdict {
        println!("{error:#}");
    }
    verdict
}

fn judge(scenario: &Scenario, lab: &Lab, options: &Options) -> Verdict {
    if options.target == TargetKind::Kernel && scenario.needs_weft {
        return Verdict::NotRun("the kernel's target does not have this".into());
    }
    match (scenario.run)(lab) {
        Ok(()) => Verdict::Passed,
        Err(error) => match (error.downcast_ref::<lab::Lacking>(), error.downcast_ref::<lab::OutOfReach>()) {
            (Some(lacking), _) => Verdict::NotRun(lacking.to_string()),
            (None, Some(missing)) => Verdict::OutOfReach(missing.to_string()),
            (None, None) => Verdict::Failed(error),
        },
    }
}

fn report(results: &[(&str, Verdict, f64)]) -> Result<()> {
    println!("\n{:24} {:8} {:>7}", "scenario", "result", "seconds");
    let (mut passed, mut failed) = (0, 0);
    for (name, verdict, seconds) in results {
        let (word, why) = match verdict {
            Verdict::Passed => ("passed", String::new()),
            Verdict::PassedLater(number, before) => {
                ("passed", format!("at try {number}; before: {}", first_line(before)))
            }
            Verdict::Failed(error) => ("FAILED", first_line(error)),
            Verdict::NotRun(why) | Verdict::OutOfReach(why) => ("not run", why.clone()),
        };
        println!("{name:24} {word:8} {seconds:7.1}  {why}");
        match verdict {
            Verdict::Passed | Verdict::PassedLater(..) => passed += 1,
            Verdict::Failed(_) => failed += 1,
            Verdict::NotRun(_) => failed += i32::from(workspace::on_ci()),
            Verdict::OutOfReach(_) => {}
        }
    }
    println!("\ninterop: {passed} passed, {failed} failed");
    if failed > 0 {
        bail!("a real peer disagrees");
    }
    Ok(())
}

fn first_line(error: &anyhow::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_speak_of_data_are_told_from_others() {
        let says =
            |text: &'static str| says_that_data_differ(&anyhow::anyhow!(text).context("a script failed"));
        assert!(says("- few differ: char 1, line 1"));
        assert!(says("verify: bad magic header 0, wanted acca at file /dev/sda offset 0, length 4096"));
        assert!(says("FAIL: what was read is not what was written (4096 bytes)"));
        assert!(!says("the guest did not answer in 60 s"));
    }
}
