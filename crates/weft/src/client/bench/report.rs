//! What a measurement says, to people and to programs.

use super::Load;
use crate::args::BenchArgs;
use crate::output::{Style, Table, say};
use clap::ValueEnum;
use engine::size::format_size;
use serde::Serialize;

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    url: String,
    pattern: String,
    size_bytes: u64,
    depth: u16,
    seconds: f64,
    requests: u64,
    /// Requests a second.
    iops: f64,
    bytes_per_second: f64,
    latency_us: Latency,
    /// Pairs of (up to so many microseconds, requests).
    histogram: Vec<(f64, u64)>,
}

#[derive(Debug, Serialize)]
struct Latency {
    min: f64,
    mean: f64,
    p50: f64,
    p99: f64,
    #[serde(rename = "p99.9")]
    p99_9: f64,
    max: f64,
}

impl Report {
    pub(super) fn new(args: &BenchArgs, load: &Load) -> Self {
        let seconds = load.elapsed.as_secs_f64();
        let iops = load.requests as f64 / seconds;
        let us = |ns: u64| ns as f64 / 1000.0;
        let quantile = |q| us(load.latency.value_at_quantile(q));
        let steps =
            load.latency.iter_log(1000, 2.0).skip_while(|step| step.count_since_last_iteration() == 0);
        Self {
            url: args.url.to_string(),
            pattern: args
                .pattern
                .to_possible_value()
                .map_or_else(String::new, |value| value.get_name().into()),
            size_bytes: args.size,
            depth: args.depth,
            seconds,
            requests: load.requests,
            iops,
            bytes_per_second: iops * args.size as f64,
            latency_us: Latency {
                min: us(load.latency.min()),
                mean: load.latency.mean() / 1000.0,
                p50: quantile(0.5),
                p99: quantile(0.99),
                p99_9: quantile(0.999),
                max: us(load.latency.max()),
            },
            histogram: steps
                .map(|step| (us(step.value_iterated_to() + 1), step.count_since_last_iteration()))
                .collect(),
        }
    }

    pub(super) fn print(&self, style: &Style, histogram: bool) {
        if style.json {
            say!("{}", serde_json::to_string(self).expect("plain figures"));
            return;
        }
        let Latency { min, mean, p50, p99, p99_9, max } = self.latency_us;
        say!("{}  {} x {}, depth {}", self.url, self.pattern, format_size(self.size_bytes), self.depth);
        say!(
            "{}  {}/s  ({} requests in {:.2} s)",
            style.bold(&format!("{:.0} requests/s", self.iops)),
            format_size(self.bytes_per_second as u64),
            self.requests,
            self.seconds
        );
        let mut table = Table::new([">latency us", ">min", ">mean", ">p50", ">p99", ">p99.9", ">max"]);
        let cell = |us: f64| format!("{us:.1}");
        table.row(["".into(), cell(min), cell(mean), cell(p50), cell(p99), cell(p99_9), cell(max)]);
        say!("{}", table.render(style));
        if histogram {
            self.print_histogram(style);
        }
    }

    fn print_histogram(&self, style: &Style) {
        let most = self.histogram.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
        for (up_to, count) in &self.histogram {
            let bar = "█".repeat((count * BAR_WIDTH / most) as usize);
            say!("{:>12} {:>10}  {}", format!("< {up_to:.0} us"), count, style.good(&bar));
        }
    }
}

/// Columns of the longest bar.
const BAR_WIDTH: u64 = 50;
