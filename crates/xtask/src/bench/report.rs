//! What was measured, as a table, as JSON, and as a line of history.

use super::contender::Contender;
use super::daemon::Daemon;
use super::workload::Workload;
use super::{Options, Subject};
use crate::workspace;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;

/// One measurement.
#[derive(Clone, Copy, Default, Debug)]
pub struct Figures {
    /// Requests a second.
    pub rate: f64,
    /// Median latency in microseconds, where it was measured.
    pub p50_us: Option<f64>,
    /// The 99th percentile.
    pub p99_us: Option<f64>,
    /// What a request cost its target's machine, in microseconds of a processor.
    pub cpu_us: Option<f64>,
}

impl Figures {
    /// A rate, and nothing else.
    pub fn of(rate: f64) -> Self {
        Self { rate, ..Self::default() }
    }
}

/// All measurements of a run.
pub struct Report {
    subject: Subject,
    volume: String,
    first: bool,
    columns: Vec<Column>,
    rows: Vec<Row>,
    /// What the idle daemon costs.
    pub daemon: Option<Daemon>,
}

/// A contender, and the places of those it is held against.
struct Column {
    name: &'static str,
    against: &'static [usize],
}

struct Row {
    name: &'static str,
    size: usize,
    /// For each contender, its figures of each round.
    rounds: Vec<Vec<Option<Figures>>>,
}

impl Report {
    /// Nothing measured yet.
    pub fn new(options: &Options, workloads: &[&Workload], contenders: &[Contender]) -> Self {
        let row = |workload: &&Workload| Row {
            name: workload.name,
            size: workload.size,
            rounds: vec![Vec::new(); contenders.len()],
        };
        let column = |contender: &Contender| Column { name: contender.name, against: contender.against };
        Self {
            subject: options.subject,
            volume: options.volume.clone(),
            first: options.first,
            columns: contenders.iter().map(column).collect(),
            rows: workloads.iter().map(row).collect(),
            daemon: None,
        }
    }

    /// Adds a round's figures of a contender under a workload.
    pub fn add(&mut self, row: usize, column: usize, figures: Option<Figures>) {
        self.rows[row].rounds[column].push(figures);
    }

    /// For people.
    pub fn table(&self) -> String {
        let main = self.main();
        let mut text = format!("{:<24}", "");
        for (place, column) in self.columns.iter().enumerate() {
            let _ = write!(text, " {:>11}", format!("{}/s", column.name));
            for against in column.against {
                let _ = write!(text, " {:>11}", format!(": {}", self.columns[*against].name));
            }
            if place == main {
                let _ = write!(text, " {:>8} {:>8} {:>8}", "MB/s", "p50 us", "p99 us");
            }
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "{:<24}", row.name);
            for (place, column) in self.columns.iter().enumerate() {
                let rate = row.rate(place);
                let _ = write!(text, " {:>11}", cell(rate, 0));
                for against in column.against {
                    let _ = write!(text, " {:>11}", cell(row.ratio(place, *against), 3));
                }
                if place == main {
                    let _ = write!(
                        text,
                        " {:>8} {:>8} {:>8}",
                        cell(rate.map(|rate| rate * row.size as f64 / 1e6), 0),
                        cell(row.median_of(place, |figures| figures.p50_us), 1),
                        cell(row.median_of(place, |figures| figures.p99_us), 1),
                    );
                }
            }
            text.push('\n');
        }
        self.others(&mut text, "p50 us", |figures| figures.p50_us);
        self.others(&mut text, "us of the target each", |figures| figures.cpu_us);
        if let Some(daemon) = &self.daemon {
            let _ = writeln!(text, "\n{}", daemon.sentence());
        }
        text
    }

    /// Something else of each contender and, where it is held against others, its ratio: of those for which it was measured.
    fn others(&self, text: &mut String, title: &str, of: impl Fn(&Figures) -> Option<f64> + Copy) {
        let is_measured = |place: usize| self.rows.iter().any(|row| row.median_of(place, of).is_some());
        let measured: Vec<usize> = (0..self.columns.len()).filter(|place| is_measured(*place)).collect();
        if measured.is_empty() {
            return;
        }
        let _ = write!(text, "\n{title:<24}");
        for &place in &measured {
            let column = &self.columns[place];
            let _ = write!(text, " {:>11}", column.name);
            for against in column.against {
                let _ = write!(text, " {:>11}", format!(": {}", self.columns[*against].name));
            }
        }
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "{:<24}", row.name);
            for &place in &measured {
                let _ = write!(text, " {:>11}", cell(row.median_of(place, of), 1));
                for &against in self.columns[place].against {
                    let _ = write!(text, " {:>11}", cell(row.ratio_of(place, against, of), 3));
                }
            }
            text.push('\n');
        }
    }

    /// The place of the contender whose latencies are told: the first that is held against others.
    fn main(&self) -> usize {
        self.columns.iter().position(|column| !column.against.is_empty()).unwrap_or(0)
    }

    /// For programs.
    ///
    /// # Errors
    /// When git does not know the commit.
    pub fn json(&self) -> Result<Value> {
        let cell = |row: &Row, place: usize| {
            let ratios: serde_json::Map<_, _> = self.columns[place]
                .against
                .iter()
                .map(|against| (self.columns[*against].name.to_owned(), json!(row.ratio(place, *against))))
                .collect();
            json!({
                "per_second": row.rate(place).map(f64::round),
                "ratio_to": ratios,
                "p50_us": row.median_of(place, |figures| figures.p50_us),
                "p99_us": row.median_of(place, |figures| figures.p99_us),
                "cpu_us": row.median_of(place, |figures| figures.cpu_us),
            })
        };
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let cells: serde_json::Map<_, _> = (0..self.columns.len())
                    .map(|place| (self.columns[place].name.to_owned(), cell(row, place)))
                    .collect();
                json!({ "workload": row.name, "contenders": cells })
            })
            .collect();
        Ok(json!({
            "commit": commit()?,
            "subject": format!("{:?}", self.subject).to_lowercase(),
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
    fn rate(&self, place: usize) -> Option<f64> {
        self.median_of(place, |figures| Some(figures.rate))
    }

    /// The median of the rounds' ratios of one contender's rate to another's.
    fn ratio(&self, place: usize, against: usize) -> Option<f64> {
        self.ratio_of(place, against, |figures| Some(figures.rate))
    }

    fn ratio_of(&self, place: usize, against: usize, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        let pairs = self.rounds[place].iter().zip(&self.rounds[against]);
        median(pairs.filter_map(|(one, other)| Some(of(one.as_ref()?)? / of(other.as_ref()?)?)))
    }

    fn median_of(&self, place: usize, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        median(self.rounds[place].iter().flatten().filter_map(of))
    }
}

fn cell(figure: Option<f64>, digits: usize) -> String {
    figure.map_or_else(|| "-".into(), |figure| format!("{figure:.digits$}"))
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
    fn latencies_are_told_of_all_for_whom_they_were_measured() {
        let column = |name, against| Column { name, against };
        let figures = |p50_us| vec![Some(Figures { p50_us, ..Figures::of(1.0) })];
        let report = Report {
            subject: Subject::Storage,
            volume: "1G".into(),
            first: false,
            columns: vec![column("streams", &[]), column("memory", &[0]), column("silent", &[0])],
            rows: vec![Row {
                name: "read",
                size: 4096,
                rounds: vec![figures(Some(20.0)), figures(Some(5.0)), figures(None)],
            }],
            daemon: None,
        };
        let table = report.table();
        let (_, latencies) = table.split_once("p50 us  ").expect("a second table");
        let latencies: Vec<_> = latencies.split_whitespace().rev().take(4).collect();
        assert_eq!(latencies, ["0.250", "5.0", "20.0", "read"], "{table}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(core::iter::empty()), None);
    }
}
