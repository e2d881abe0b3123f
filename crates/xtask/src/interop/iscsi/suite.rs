//! `iscsi-test-cu`, libiscsi's conformance suite: every test must pass, and what it skips must be on a list with a reason.

use super::{ram_units, serve_here, succeed, url_here};
use crate::interop::Scenario;
use crate::interop::lab::{Lab, tail};
use anyhow::{Result, ensure};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// How long one run may take; it takes one to three minutes.
const LIMIT: Duration = Duration::from_secs(900);
/// What a run skips, and why that is right; docs/iscsi.md tells the same to people.
const SKIPS: &str = include_str!("skips.txt");
/// The fewest tests a run has; fewer means that the suite gave up early.
const TESTS_MIN: usize = 230;
/// The tests of SANITIZE.
const SANITIZE_TESTS: usize = 11;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario(
            "iscsi-suite-512",
            "libiscsi's conformance suite on a thin volume of 512-byte blocks",
            |lab| run(lab, 512),
        ),
        scenario("iscsi-suite-4096", "the same on a thin volume of 4096-byte blocks", |lab| run(lab, 4096)),
        scenario("iscsi-suite-sanitize", "its tests of SANITIZE", sanitize),
    ]
}

fn run(lab: &Lab, block_size: u32) -> Result<()> {
    // The second URL is a second path to the same unit.
    judge(lab, block_size, &["-t", "ALL", &url_here(0), &url_here(0)], TESTS_MIN)
}

/// These tests look at a unit while it is sanitized, which therefore must take its time.
fn sanitize(lab: &Lab) -> Result<()> {
    judge(lab, 512, &["-S", "-t", "SCSI.Sanitize", &url_here(0)], SANITIZE_TESTS)
}

fn judge(lab: &Lab, block_size: u32, arguments: &[&str], tests_min: usize) -> Result<()> {
    let daemon = serve_here(lab, &ram_units(&[(1 << 30, block_size)]))?;
    let output = succeed(Command::new("iscsi-test-cu").args(["-d", "-v"]).args(arguments), LIMIT)?;
    let text = String::from_utf8_lossy(&output.stdout);
    fs::write(lab.file(&format!("suite-{block_size}.log")), text.as_bytes())?;
    let tests = parse(&text);
    ensure!(tests.len() >= tests_min, "only {} tests ran:\n{}", tests.len(), tail(&text));
    let failed = texts(&tests, |test| test.has_failed);
    ensure!(failed.is_empty(), "{} of {} tests failed:\n{}", failed.len(), tests.len(), failed.join("\n"));
    let skipped = texts(&tests, |test| test.is_skipped && !is_listed(test));
    ensure!(
        skipped.is_empty(),
        "{} tests were skipped without a reason:\n{}",
        skipped.len(),
        skipped.join("\n")
    );
    let skipped = tests.iter().filter(|test| test.is_skipped).count();
    println!("{} tests passed, {skipped} of them skipped with a reason", tests.len());
    daemon.finish()
}

/// A test of the suite.
#[derive(Default)]
struct Test {
    /// Suite and test, with a dot between.
    name: String,
    /// What it printed.
    text: String,
    has_failed: bool,
    is_skipped: bool,
}

fn texts(tests: &[Test], wanted: impl Fn(&Test) -> bool) -> Vec<&str> {
    tests.iter().filter(|test| wanted(test)).map(|test| test.text.as_str()).collect()
}

/// Reads what CUnit prints: `Suite: NAME`, then `  Test: NAME ...` up to `passed` or `FAILED`.
fn parse(text: &str) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    let mut suite = "";
    for line in text.lines().take_while(|line| !line.starts_with("Run Summary:")) {
        if let Some(name) = line.strip_prefix("Suite: ") {
            suite = name.trim();
            continue;
        }
        if let Some(rest) = line.trim_start().strip_prefix("Test: ") {
            let name = rest.split_whitespace().next().unwrap_or_default();
            tests.push(Test { name: format!("{suite}.{name}"), ..Test::default() });
        }
        let Some(test) = tests.last_mut() else { continue };
        test.is_skipped |= line.contains("[SKIPPED]");
        // What it prints may come before its verdict, on the same line, and may itself speak of failures.
        let verdict = line.split_once(" ...").map_or(line, |(_, rest)| rest);
        test.has_failed |= verdict.starts_with("FAILED");
        test.text.push_str(&format!("{suite}: {}\n", line.trim()));
    }
    tests
}

/// True if the list says why a test is skipped. A line of it is a test (or a suite, or all), words of what it prints, and
/// the reason.
fn is_listed(test: &Test) -> bool {
    SKIPS.lines().any(|line| {
        let mut fields = line.split(" | ");
        let (Some(name), Some(words), Some(_)) = (fields.next(), fields.next(), fields.next()) else {
            return false;
        };
        let is_meant = name.strip_suffix('*').map_or(test.name == name, |start| test.name.starts_with(start));
        is_meant && test.text.contains(words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\n     CUnit - A unit testing framework\n\nSuite: A\n  Test: One ...passed\n  Test: Two ...    \
        [SKIPPED] not removable.\npassed\n\nSuite: B\n  Test: Zero ...    [FAILED] at first\npassed    [FAILED] later\n  Test: One ...    [FAILED] wrong sense\nFAILED\n    1. b.c:54\n\n\
        Run Summary:    Type  Total    Ran Passed Failed Inactive\n  Test: Not ...FAILED\n";

    #[test]
    fn the_output_is_understood() {
        let tests = parse(OUTPUT);
        let told: Vec<_> =
            tests.iter().map(|test| (test.name.as_str(), test.is_skipped, test.has_failed)).collect();
        assert_eq!(
            told,
            [
                ("A.One", false, false),
                ("A.Two", true, false),
                ("B.Zero", false, false),
                ("B.One", false, true)
            ]
        );
    }
}
