//! What was measured, as a table, as JSON, and as a line of history.

use super::Options;
use super::daemon::Daemon;
use super::workload::Workload;
use crate::workspace;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Requests a second.
    pub rate: f64,
    /// Median latency in microseconds, where it was measured.
    pub p50_us: Option<f64>,
    /// The 99th percentile.
    pub p99_us: Option<f64>,
}

/// All measurements of a run.
pub struct Report {
    subject: &'static str,
    volume: String,
    first: bool,
    rows: Vec<Row>,
    /// What the idle daemon costs.
    pub daemon: Option<Daemon>,
}

struct Row {
    name: &'static str,
    size: usize,
    rounds: Vec<Round>,
}

/// What was measured of a workload in a round, one after the other.
pub struct Round {
    /// The yardstick.
    pub yardstick: Figures,
    /// The yardstick that gathers its answers from much memory, where the workload has answers with data.
    pub spread: Option<Figures>,
    /// What is held against them.
    pub subject: Figures,
}

impl Report {
    /// Nothing measured yet.
    pub fn new(options: &Options, workloads: &[&Workload]) -> Self {
        let rows = workloads
            .iter()
            .map(|workload| Row { name: workload.name, size: workload.size, rounds: Vec::new() })
            .collect();
        Self {
            subject: if options.reactor { "reactor" } else { "weft" },
            volume: options.volume.clone(),
            first: options.first,
            rows,
            daemon: None,
        }
    }

    /// Adds a round's figures of a workload.
    pub fn add(&mut self, place: usize, round: Round) {
        self.rows[place].rounds.push(round);
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{:<24} {:>11} {:>11} {:>10} {:>7} {:>7} {:>9} {:>9}\n",
            "",
            "yardstick/s",
            format!("{}/s", self.subject),
            "MB/s",
            "ratio",
            "spread",
            "p50 us",
            "p99 us"
        );
        for row in &self.rows {
            let rate = row.subject_rate();
            let _ = writeln!(
                text,
                "{:<24} {:>11.0} {:>11.0} {:>10.0} {:>7.3} {:>7} {:>9} {:>9}",
                row.name,
                row.yardstick_rate(),
                rate,
                rate * row.size as f64 / 1e6,
                row.ratio(),
                row.spread_ratio().map_or_else(|| "-".into(), |ratio| format!("{ratio:.3}")),
                cell(row.latency(|figures| figures.p50_us)),
                cell(row.latency(|figures| figures.p99_us)),
            );
        }
        if let Some(daemon) = &self.daemon {
            let _ = writeln!(text, "\n{}", daemon.sentence());
        }
        text
    }

    /// For programs.
    ///
    /// # Errors
    /// When git does not know the commit.
    pub fn json(&self) -> Result<Value> {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                json!({
                    "workload": row.name,
                    "yardstick_per_second": row.yardstick_rate().round(),
                    "per_second": row.subject_rate().round(),
                    "ratio": (row.ratio() * 1000.0).round() / 1000.0,
                    "spread_ratio": row.spread_ratio().map(|ratio| (ratio * 1000.0).round() / 1000.0),
                    "p50_us": row.latency(|figures| figures.p50_us),
                    "p99_us": row.latency(|figures| figures.p99_us),
                })
            })
            .collect();
        Ok(json!({
            "commit": commit()?,
            "subject": self.subject,
            "volume": self.volume,
            "first": self.first,
            "processor": processor(),
            "workloads": rows,
            "daemon": self.daemon.as_ref().map(Daemon::json),
        }))
    }

    /// Appends the figures to the history.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&self) -> Result<()> {
        let path = workspace::root().join("bench/history.jsonl");
        std::fs::create_dir_all(path.parent().context("a file in a directory")?)?;
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(file, "{}", self.json()?).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Row {
    fn yardstick_rate(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.yardstick.rate)).unwrap_or(0.0)
    }

    fn subject_rate(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.subject.rate)).unwrap_or(0.0)
    }

    fn ratio(&self) -> f64 {
        median(self.rounds.iter().map(|round| round.subject.rate / round.yardstick.rate)).unwrap_or(0.0)
    }

    /// The ratio to the yardstick that gathers its answers.
    fn spread_ratio(&self) -> Option<f64> {
        let ratio = |round: &Round| Some(round.subject.rate / round.spread.as_ref()?.rate);
        median(self.rounds.iter().filter_map(ratio))
    }

    fn latency(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| of(&round.subject)))
    }
}

fn cell(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".into(), |figure| format!("{figure:.1}"))
}

/// The middle one; the mean of the two in the middle if they are even.
fn median(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[last / 2] + sorted[last.div_ceil(2)]) / 2.0)
}

fn commit() -> Result<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .current_dir(workspace::root())
        .output()
        .context("cannot run git")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("model name"));
    line.map_or_else(String::new, |line| line.trim_start_matches([' ', '\t', ':']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(core::iter::empty()), None);
    }
}
