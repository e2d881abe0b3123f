//! What a measurement says, to people and to programs.

use super::Load;
use crate::args::BenchArgs;
use crate::output::latency::{self, Latency, Steps};
use crate::output::{Style, say};
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
    histogram: Steps,
}

impl Report {
    pub(super) fn new(args: &BenchArgs, load: &Load) -> Self {
        let seconds = load.elapsed.as_secs_f64();
        let iops = load.requests as f64 / seconds;
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
            latency_us: Latency::of(&load.latency),
            histogram: latency::steps(&load.latency),
        }
    }

    pub(super) fn print(&self, style: &Style, histogram: bool) {
        if style.json {
            say!("{}", serde_json::to_string(self).expect("plain figures"));
            return;
        }
        say!("{}  {} x {}, depth {}", self.url, self.pattern, format_size(self.size_bytes), self.depth);
        say!(
            "{}  {}/s  ({} requests in {:.2} s)",
            style.bold(&format!("{:.0} requests/s", self.iops)),
            format_size(self.bytes_per_second as u64),
            self.requests,
            self.seconds
        );
        self.latency_us.print(style);
        if histogram {
            latency::print_steps(style, &self.histogram);
        }
    }
}
