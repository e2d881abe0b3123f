//! What a measurement says, to people and to programs.

use super::load::Load;
use crate::output::latency::{self, Latency, Steps};
use crate::output::{Style, say};
use crate::rdma::args::BenchArgs;
use clap::ValueEnum;
use core::net::SocketAddr;
use engine::size::format_size;
use serde::Serialize;

/// The figures of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    server: SocketAddr,
    op: String,
    service: String,
    size_bytes: u64,
    depth: u16,
    seconds: f64,
    /// Messages that were done, as this end knows.
    messages: u64,
    /// Of sends, how many came; else as many as were done.
    arrived: u64,
    /// Answers that did not come.
    lost: u64,
    messages_per_second: f64,
    bytes_per_second: f64,
    /// Every message was answered by one: latencies are there and back.
    echoed: bool,
    latency_us: Latency,
    histogram: Steps,
}

impl Report {
    /// The figures of a load, of whose sends so many came.
    pub fn new(args: &BenchArgs, server: SocketAddr, load: &Load, arrived: u64) -> Self {
        let is_counted = args.op == super::Operation::Send;
        let arrived = if is_counted { arrived } else { load.requests };
        let seconds = load.elapsed.as_secs_f64();
        let rate = arrived as f64 / seconds;
        Self {
            server,
            op: name(args.op),
            service: name(args.service),
            size_bytes: args.size,
            depth: if args.latency { 1 } else { args.depth },
            seconds,
            messages: load.requests,
            arrived,
            lost: load.lost,
            messages_per_second: rate,
            bytes_per_second: rate * args.size as f64,
            echoed: args.latency && is_counted,
            latency_us: Latency::of(&load.latency),
            histogram: latency::steps(&load.latency),
        }
    }

    /// Prints them.
    pub fn print(&self, style: &Style, histogram: bool) {
        if style.json {
            say!("{}", serde_json::to_string(self).expect("plain figures"));
            return;
        }
        let Self { server, op, service, depth, seconds, messages, arrived, lost, .. } = self;
        let echoed = if self.echoed { ", there and back" } else { "" };
        say!("{server}  {service} {op} x {}, depth {depth}{echoed}", format_size(self.size_bytes));
        say!(
            "{}  {}/s  ({arrived} messages in {seconds:.2} s)",
            style.bold(&format!("{:.0} messages/s", self.messages_per_second)),
            format_size(self.bytes_per_second as u64),
        );
        if arrived < messages || *lost > 0 {
            say!(
                "{} of {messages} did not arrive, {lost} answers did not come",
                messages.saturating_sub(*arrived)
            );
        }
        self.latency_us.print(style);
        if histogram {
            latency::print_steps(style, &self.histogram);
        }
    }
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
}
