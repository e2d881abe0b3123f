//! Latencies, to people and to programs.

use super::{Style, Table, say};
use hdrhistogram::Histogram;
use serde::Serialize;

/// How long requests took, in microseconds.
#[derive(Debug, Serialize)]
pub struct Latency {
    min: f64,
    mean: f64,
    p50: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    max: f64,
}

/// Pairs of (up to so many microseconds, requests).
pub type Steps = Vec<(f64, u64)>;

/// A histogram of latencies in nanoseconds, up to a minute.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds of ours")
}

impl Latency {
    /// What a histogram of nanoseconds says.
    pub fn of(latency: &Histogram<u64>) -> Self {
        let quantile = |q| us(latency.value_at_quantile(q));
        Self {
            min: us(latency.min()),
            mean: latency.mean() / 1000.0,
            p50: quantile(0.5),
            p99: quantile(0.99),
            p99_9: quantile(0.999),
            max: us(latency.max()),
        }
    }

    /// Prints a table.
    pub fn print(&self, style: &Style) {
        let mut table = Table::new([">latency us", ">min", ">mean", ">p50", ">p99", ">p99.9", ">max"]);
        let Self { min, mean, p50, p99, p99_9, max } = self;
        let cell = |us: &f64| format!("{us:.1}");
        table.row([String::new(), cell(min), cell(mean), cell(p50), cell(p99), cell(p99_9), cell(max)]);
        say!("{}", table.render(style));
    }
}

/// The histogram in steps that double.
pub fn steps(latency: &Histogram<u64>) -> Steps {
    let steps = latency.iter_log(1000, 2.0).skip_while(|step| step.count_since_last_iteration() == 0);
    steps.map(|step| (us(step.value_iterated_to() + 1), step.count_since_last_iteration())).collect()
}

/// Prints a bar for each step.
pub fn print_steps(style: &Style, steps: &Steps) {
    let most = steps.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    for (up_to, count) in steps {
        let bar = "█".repeat((count * BAR_WIDTH / most) as usize);
        say!("{:>12} {:>10}  {}", format!("< {up_to:.0} us"), count, style.good(&bar));
    }
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

/// Columns of the longest bar.
const BAR_WIDTH: u64 = 50;
