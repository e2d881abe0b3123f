//! `weft rdma`: RDMA in user space, tried and looked at. Every command has one device, which lives as long as it.

pub mod args;
mod bench;
mod capture;
mod counters;
pub mod device;
mod devices;
mod ping;

use crate::error::Failure;
use crate::output::Style;
use args::RdmaCommand;

/// Runs a command.
pub fn run(style: &Style, command: &RdmaCommand, verbose: bool) -> Result<(), Failure> {
    match command {
        RdmaCommand::Devices => devices::run(style, verbose),
        RdmaCommand::Ping(args) => ping::run(style, args, verbose),
        RdmaCommand::Bench(args) => bench::run(style, args),
        RdmaCommand::Capture(args) => capture::run(style, args),
    }
}
