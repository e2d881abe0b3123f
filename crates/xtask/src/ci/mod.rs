//! `cargo xtask ci`: everything CI runs, in order, cheapest first.
//!
//! Each step has a name and a command that anyone can type. The first step that fails ends the run with that command;
//! the last line printed is always `N passed, N failed`, counting tests and scenarios.

mod step;
mod tally;

use anyhow::{Result, bail};
use std::time::{Duration, Instant};
use step::Step;
use tally::Tally;

/// Which steps to run.
#[derive(clap::Args)]
pub struct Options {
    /// Run only the steps with these names
    steps: Vec<String>,
    /// Leave out the steps with these names
    #[arg(long, value_delimiter = ',')]
    skip: Vec<String>,
    /// Print the steps and their commands, and do nothing
    #[arg(long)]
    list: bool,
}

/// Runs the steps.
///
/// # Errors
/// When a step fails, or does not exist.
pub fn run(options: &Options) -> Result<()> {
    let steps = step::all();
    for name in options.steps.iter().chain(&options.skip) {
        if !steps.iter().any(|step| step.name == name) {
            bail!("no step is called {name}; `cargo xtask ci --list` names them");
        }
    }
    let is_wanted = |step: &&Step| {
        (options.steps.is_empty() || options.steps.iter().any(|name| name == step.name))
            && !options.skip.iter().any(|name| name == step.name)
    };
    let wanted: Vec<_> = steps.iter().filter(is_wanted).collect();
    if options.list {
        for step in wanted {
            println!("{:10} {}", step.name, step.command_line());
        }
        return Ok(());
    }
    run_all(&wanted)
}

fn run_all(steps: &[&Step]) -> Result<()> {
    let mut tally = Tally::default();
    let mut times: Vec<(&str, Duration)> = Vec::new();
    let mut failure = None;
    for (index, step) in steps.iter().enumerate() {
        println!("\n=== {} of {}: {} ({})", index + 1, steps.len(), step.name, step.command_line());
        let start = Instant::now();
        let outcome = step.run(&mut tally);
        times.push((step.name, start.elapsed()));
        if let Err(error) = outcome {
            tally.step_failed();
            failure = Some((step, error));
            break;
        }
    }
    println!("\n=== time");
    for (name, time) in &times {
        println!("{name:10} {:7.1} s", time.as_secs_f64());
    }
    println!("{:10} {:7.1} s\n", "all", times.iter().map(|(_, time)| time.as_secs_f64()).sum::<f64>());
    if let Some((step, error)) = &failure {
        println!("{} failed: {error:#}\nrun it again with: {}\n", step.name, step.command_line());
    }
    for line in &tally.summaries {
        println!("{line}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if let Some((step, _)) = failure {
        bail!("{} failed", step.name);
    }
    Ok(())
}
