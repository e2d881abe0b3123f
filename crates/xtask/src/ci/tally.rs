//! Counting: what the summaries of nextest, `cargo test` and `cargo xtask interop` say, added up.

/// Results so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests and scenarios that passed.
    pub passed: u64,
    /// Tests, scenarios and steps that did not.
    pub failed: u64,
    /// The lines the counts came from, but for those that count nothing.
    pub summaries: Vec<String>,
    counted_failures: bool,
}

impl Tally {
    /// True for a line that sums results up.
    pub fn is_summary(line: &str) -> bool {
        let line = line.trim_start();
        ["Summary [", "test result: ", "interop: "].iter().any(|start| line.starts_with(start))
    }

    /// Adds what a summary says, such as `Summary [ 1.2s] 9 tests run: 7 passed, 1 failed, 1 timed out, 1 skipped`.
    pub fn read(&mut self, line: &str) {
        if !Tally::is_summary(line) {
            return;
        }
        let before = (self.passed, self.failed);
        let counts = line.rsplit_once(": ").map_or(line, |(_, counts)| counts);
        for part in counts.split([',', ';']) {
            let words: Vec<_> =
                part.split_whitespace().filter(|word| !matches!(*word, "ok." | "FAILED.")).collect();
            let Some((count, what)) = words.split_first() else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what.first().copied() {
                Some("passed") => self.passed += count,
                Some("failed" | "timed" | "exec") => {
                    self.failed += count;
                    self.counted_failures |= count > 0;
                }
                _ => {}
            }
        }
        if before != (self.passed, self.failed) {
            self.summaries.push(line.to_owned());
        }
    }

    /// A step that failed without naming failed tests is one failure itself.
    pub fn step_failed(&mut self) {
        if !self.counted_failures {
            self.failed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(lines: &[&str]) -> (u64, u64) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read(line));
        (tally.passed, tally.failed)
    }

    #[test]
    fn nextest_is_understood() {
        assert_eq!(count(&["     Summary [   1.005s] 3 tests run: 3 passed (1 slow), 0 skipped"]), (3, 0));
        assert_eq!(count(&["Summary [ 1s] 9 tests run: 6 passed, 1 failed, 2 timed out, 4 skipped"]), (6, 3));
        assert_eq!(count(&["Summary [ 1s] 2 tests run: 1 passed, 1 exec failed, 0 skipped"]), (1, 1));
    }

    #[test]
    fn cargo_test_is_added_up() {
        let first =
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        let second = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(count(&[first, second, "running 3 tests"]), (4, 2));
    }

    #[test]
    fn a_crate_without_tests_is_not_worth_a_line() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        tally.read("interop: 4 passed, 0 failed");
        assert_eq!(tally.summaries, ["interop: 4 passed, 0 failed"]);
    }

    #[test]
    fn a_step_that_fails_counts_once() {
        let mut tally = Tally::default();
        tally.step_failed();
        assert_eq!(tally.failed, 1);
        let mut tally = Tally::default();
        tally.read("interop: 4 passed, 1 failed");
        tally.step_failed();
        assert_eq!((tally.passed, tally.failed), (4, 1));
    }
}
