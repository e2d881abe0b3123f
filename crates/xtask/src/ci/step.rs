//! The steps of CI: a name, a command, and what its output counts.

use super::tally::Tally;
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// One step.
pub struct Step {
    /// What it is called on the command line.
    pub name: &'static str,
    arguments: Vec<&'static str>,
    environment: Vec<(&'static str, &'static str)>,
}

/// Every step, in the order they run.
pub fn all() -> Vec<Step> {
    let step = |name, line: &'static str| Step {
        name,
        arguments: line.split_whitespace().collect(),
        environment: Vec::new(),
    };
    let tests = if has_nextest() {
        "nextest run --workspace --no-fail-fast --no-tests=pass --status-level=slow --final-status-level=fail"
    } else {
        "test --workspace --all-targets --no-fail-fast"
    };
    vec![
        step("fmt", "fmt --all --check"),
        step("tidy", "xtask tidy"),
        step("clippy", "clippy --workspace --all-targets -- -D warnings"),
        step("doc", "doc --workspace --no-deps --document-private-items")
            .with("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links"),
        step("test", tests),
        step("doctest", "test --workspace --doc --quiet"),
        // Nothing is linked, so that no library need be made: stable compilers check what a nightly one builds.
        step("fuzz", "check --manifest-path fuzz/Cargo.toml --all-targets --quiet")
            .with("CUSTOM_LIBFUZZER_PATH", "/nowhere/libfuzzer.a"),
        step("sim", "xtask sim --seeds 2000"),
        step("sim-nvme-rdma", "xtask sim --protocol nvme-rdma --seeds 500"),
        step("sim-every", "xtask sim --protocol every --seeds 300"),
        step("sim-iscsi", "xtask sim --protocol iscsi --seeds 1000"),
        step("sim-iser", "xtask sim --protocol iser --seeds 300"),
        step("sim-srp", "xtask sim --protocol srp --seeds 300"),
        step("sim-rdma", "xtask sim --protocol rdma --seeds 5000"),
        step("sim-sdp", "xtask sim --protocol sdp --seeds 2000"),
        step("interop", "xtask interop --tries 3"),
    ]
}

fn has_nextest() -> bool {
    let probe = Command::new("cargo").args(["nextest", "--version"]).output();
    probe.is_ok_and(|output| output.status.success())
}

impl Step {
    fn with(mut self, name: &'static str, value: &'static str) -> Step {
        self.environment.push((name, value));
        self
    }

    /// What to type to run this step alone.
    pub fn command_line(&self) -> String {
        let mut line = String::new();
        for (name, value) in &self.environment {
            line.push_str(&format!("{name}='{value}' "));
        }
        line + "cargo " + &self.arguments.join(" ")
    }

    /// Runs it, passing its output on and counting the results in it.
    pub fn run(&self, tally: &mut Tally) -> Result<()> {
        let mut child = Command::new("cargo")
            .args(&self.arguments)
            .envs(self.environment.iter().copied())
            .current_dir(workspace::root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run cargo")?;
        let output = child.stdout.take().context("no standard output")?;
        let errors = child.stderr.take().context("no standard error")?;
        let lines = std::thread::scope(|scope| {
            let output = scope.spawn(|| pass_on(BufReader::new(output), std::io::stdout()));
            let errors = scope.spawn(|| pass_on(BufReader::new(errors), std::io::stderr()));
            let both = [output.join(), errors.join()];
            both.into_iter().flat_map(|lines| lines.unwrap_or_default()).collect::<Vec<_>>()
        });
        let status = child.wait()?;
        for line in lines {
            tally.read(&line);
        }
        ensure!(status.success(), "{status}");
        Ok(())
    }
}

/// Copies lines as they come, and keeps those that may hold a count.
fn pass_on(mut source: impl BufRead, mut sink: impl Write) -> Vec<String> {
    let mut kept = Vec::new();
    let mut line = Vec::new();
    while source.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        // The output may be closed early (`| head`); the step's result counts all the same.
        let _ = sink.write_all(&line).and_then(|()| sink.flush());
        let text = String::from_utf8_lossy(&line);
        if Tally::is_summary(&text) {
            kept.push(text.trim_end().to_owned());
        }
        line.clear();
    }
    kept
}
