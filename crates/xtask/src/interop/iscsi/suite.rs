//! `iscsi-test-cu`, libiscsi's conformance suite: every test must pass, and what it skips must be on a list with a reason.
//!
//! No unit is everything at once (removable and not, writable and not), so several are tried, and the list says of most
//! tests that another scenario runs them; there they may not be skipped.

use super::{file_unit, node, ram_units, serve_here, succeed, url_here};
use crate::interop::Scenario;
use crate::interop::lab::{Lab, tail};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long one run may take; it takes half a minute to two minutes.
const LIMIT: Duration = Duration::from_secs(900);
/// What a run skips, and why that is right; docs/iscsi.md tells the same to people.
const SKIPS: &str = include_str!("skips.txt");
/// The fewest tests a run has; fewer means that the suite gave up early.
const TESTS_MIN: usize = 230;
/// The tests of SANITIZE, of units with larger physical blocks, and of those that are write-protected.
const SANITIZE_TESTS: usize = 11;
const PHYSICAL_TESTS: usize = 39;
/// The families of tests that ask how many blocks a physical one has.
const PHYSICAL: &str =
    "SCSI.CompareAndWrite,SCSI.Inquiry,SCSI.ReadCapacity16,SCSI.Unmap,SCSI.WriteSame10,SCSI.WriteSame16";
const READ_ONLY_TESTS: usize = 1;
/// Bytes of a volume. To sanitize it takes 8 s, and the suite looks at it meanwhile; then it sleeps for a minute.
const VOLUME: u64 = 1 << 30;

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario(
            "iscsi-suite-512",
            "libiscsi's conformance suite on a thin volume of 512-byte blocks",
            small,
        ),
        scenario("iscsi-suite-4096", "the same on a thin volume of 4096-byte blocks", large),
        scenario("iscsi-suite-removable", "the same on a removable unit", removable),
        scenario(
            "iscsi-suite-physical",
            "its tests of units with several blocks in a physical one",
            physical,
        ),
        scenario("iscsi-suite-readonly", "its tests of units that are write-protected", read_only),
        scenario("iscsi-suite-sanitize", "its tests of SANITIZE, on an encrypted volume", sanitize),
    ]
}

// In a whole run, the second URL is a second path to the same unit.

fn small(lab: &Lab) -> Result<()> {
    let suite =
        Suite { scenario: "iscsi-suite-512", arguments: &["-t", "ALL"], paths: 2, tests_min: TESTS_MIN };
    suite.judge(lab, &ram_units(&[(VOLUME, 512)]))
}

fn large(lab: &Lab) -> Result<()> {
    let suite =
        Suite { scenario: "iscsi-suite-4096", arguments: &["-t", "ALL"], paths: 2, tests_min: TESTS_MIN };
    suite.judge(lab, &ram_units(&[(VOLUME, 4096)]))
}

fn removable(lab: &Lab) -> Result<()> {
    let scenario = "iscsi-suite-removable";
    let suite = Suite { scenario, arguments: &["-t", "ALL"], paths: 2, tests_min: TESTS_MIN };
    suite.judge(lab, &ram_unit(512, true))
}

/// GetLBAStatus.UnmapSingle is not among them: it asks for the block after the one that it unmapped, and wants to be told of
/// the next physical one, which is another unless blocks are physical ones. The scenarios before run it.
fn physical(lab: &Lab) -> Result<()> {
    let scenario = "iscsi-suite-physical";
    let suite = Suite { scenario, arguments: &["-t", PHYSICAL], paths: 1, tests_min: PHYSICAL_TESTS };
    suite.judge(lab, &ram_unit(4096, false))
}

/// The calls that serve one RAM volume of 512-byte blocks.
fn ram_unit(physical_block_size: u32, removable: bool) -> [(&'static str, Value); 2] {
    let volume = json!({
        "name": "ram0",
        "num_blocks": VOLUME / 512,
        "block_size": 512,
        "physical_block_size": physical_block_size,
    });
    let units = json!([{"bdev_name": "ram0", "lun_id": 0, "removable": removable}]);
    [("bdev_malloc_create", volume), ("iscsi_create_target_node", node(&units))]
}

fn read_only(lab: &Lab) -> Result<()> {
    let scenario = "iscsi-suite-readonly";
    let path = lab.file("read-only");
    File::create(&path)?.set_len(VOLUME)?;
    let arguments = &["-t", "SCSI.ReadOnly"];
    Suite { scenario, arguments, paths: 1, tests_min: READ_ONLY_TESTS }.judge(lab, &file_unit(&path, true))
}

fn sanitize(lab: &Lab) -> Result<()> {
    let scenario = "iscsi-suite-sanitize";
    let arguments = &["-S", "-t", "SCSI.Sanitize"];
    let calls = encrypted_unit(&lab.file("sanitize.key"));
    Suite { scenario, arguments, paths: 1, tests_min: SANITIZE_TESTS }.judge(lab, &calls)
}

/// The calls that serve a RAM volume of 512-byte blocks, encrypted with a key that can be changed.
fn encrypted_unit(key: &Path) -> [(&'static str, Value); 3] {
    let volume = json!({"name": "ram0", "num_blocks": VOLUME / 512, "block_size": 512});
    let encrypted = json!({"name": "plain0", "base_bdev_name": "ram0", "key_file": key});
    let units = json!([{"bdev_name": "plain0", "lun_id": 0}]);
    [
        ("bdev_malloc_create", volume),
        ("bdev_crypto_create", encrypted),
        ("iscsi_create_target_node", node(&units)),
    ]
}

/// One run of the suite.
struct Suite {
    scenario: &'static str,
    /// What it is told besides where the unit is.
    arguments: &'static [&'static str],
    /// How often it is told that.
    paths: usize,
    tests_min: usize,
}

impl Suite {
    /// Runs it on the unit that these calls make.
    fn judge(&self, lab: &Lab, calls: &[(&str, Value)]) -> Result<()> {
        let daemon = serve_here(lab, calls)?;
        let mut command = Command::new("iscsi-test-cu");
        command.args(["-d", "-v"]).args(self.arguments).args(vec![url_here(0); self.paths]);
        let output = succeed(&mut command, LIMIT)?;
        let text = String::from_utf8_lossy(&output.stdout);
        fs::write(lab.file(&format!("{}.log", self.scenario)), text.as_bytes())?;
        let tests = parse(&text);
        ensure!(tests.len() >= self.tests_min, "only {} tests ran:\n{}", tests.len(), tail(&text));
        let failed = texts(&tests, |test| test.has_failed);
        ensure!(
            failed.is_empty(),
            "{} of {} tests failed:\n{}",
            failed.len(),
            tests.len(),
            failed.join("\n")
        );
        let skipped = texts(&tests, |test| test.is_skipped && !self.may_skip(test));
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

    /// True if the list says why a test is skipped, and the reason is not that this scenario runs it.
    fn may_skip(&self, test: &Test) -> bool {
        skips().any(|skip| skip.is_of(test) && !skip.reason.contains(self.scenario))
    }
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

/// A line of the list.
struct Skip {
    /// A test, or how the names of several begin, with a star.
    name: &'static str,
    /// Words of what it prints.
    words: &'static str,
    reason: &'static str,
}

fn skips() -> impl Iterator<Item = Skip> {
    SKIPS.lines().filter_map(|line| {
        let mut fields = line.split(" | ");
        Some(Skip { name: fields.next()?, words: fields.next()?, reason: fields.next()? })
    })
}

impl Skip {
    fn is_of(&self, test: &Test) -> bool {
        let is_named =
            self.name.strip_suffix('*').map_or(test.name == self.name, |start| test.name.starts_with(start));
        is_named && test.text.contains(self.words)
    }
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

    #[test]
    fn the_list_is_whole_and_told_to_people() {
        let page = include_str!("../../../../../docs/iscsi.md");
        let scenarios: Vec<_> = scenarios().iter().map(|scenario| scenario.name).collect();
        assert_eq!(skips().count(), SKIPS.lines().count(), "a line without three fields");
        for Skip { name, words, reason } in skips() {
            let row = format!("| `{name}` | {words} | {reason} |");
            assert!(page.contains(&row), "docs/iscsi.md lacks the row\n{row}");
            let other = reason.strip_suffix(" runs it").or_else(|| reason.strip_suffix(" runs them"));
            assert!(other.is_none_or(|other| scenarios.contains(&other)), "no scenario {other:?}");
        }
        let (_, table) = page.split_once("| test | it says | reason |\n").expect("the table");
        let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
        assert_eq!(rows.count(), skips().count(), "docs/iscsi.md has rows that the list has not");
    }
}
