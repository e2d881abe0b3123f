//! The one binary: volumes served and used over the network.

#![forbid(unsafe_code)]

mod args;
mod client;
mod error;
mod output;
mod pages;
mod serve;
mod signals;

use args::{Cli, Command};
use clap::Parser;
use error::Failure;
use output::Style;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.verbose);
    let style = Style::of(&cli);
    match signals::install().map_err(Failure::Start).and_then(|()| run(&style, &cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if style.json {
                eprintln!("{}", serde_json::json!({ "error": failure.to_string() }));
            } else {
                eprintln!("weft: {failure}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(style: &Style, command: &Command) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(style, args),
        Command::Info(args) => client::info::run(style, args),
        Command::Read(args) => client::read::run(style, args),
        Command::Write(args) => client::write::run(style, args),
        Command::Copy(args) => client::copy::run(style, args),
        Command::Verify(args) => client::verify::run(style, args),
        Command::Bench(args) => client::bench::run(style, args),
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { directory } => pages::man(directory),
    }
}

/// Logs go to standard error; `WEFT_LOG` overrides what -v asks for, in tracing's filter syntax.
fn log(verbose: u8) {
    let level = ["warn", "info", "debug", "trace"][usize::from(verbose).min(3)];
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}
