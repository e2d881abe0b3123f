//! What keeps the house in order: the checks that CI runs, and the machinery they need.
//!
//! This is the project's own workshop, not something that ships: it may call `git`, `apt` and QEMU, and it fails with
//! a sentence that says what to do next. Every sub-command is a folder of its own.

#![forbid(unsafe_code)]

mod bench;
mod ci;
mod guest;
mod interop;
mod rpc;
mod sim;
mod tgt;
mod tidy;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What keeps the house in order.
#[derive(Subcommand)]
enum Command {
    /// Check layering, forbidden calls, lengths and module documentation
    Tidy,
    /// Run everything CI runs, in CI's order
    Ci(ci::Options),
    /// Start a throw-away Debian machine, a real kernel to talk to
    Guest(guest::Options),
    /// Run Weft against real peers: Linux, libiscsi, QEMU and tgt over NVMe/TCP and iSCSI, SPDK's client, and programs under `weft run`
    Interop(interop::Options),
    /// Play NVMe/TCP, iSCSI or RDMA from many seeds: faults, crashes, and checkers that know the truth
    Sim(sim::Options),
    /// Measure Weft over NVMe/TCP or iSCSI, against a bare TCP loop and against tgt
    Bench(bench::Options),
    /// One end of that bare loop
    #[command(hide = true)]
    Yardstick(bench::yardstick::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Tidy => tidy::run(),
        Command::Ci(options) => ci::run(&options),
        Command::Guest(options) => guest::run(&options),
        Command::Interop(options) => interop::run(&options),
        Command::Sim(options) => sim::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Yardstick(arguments) => bench::yardstick::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
