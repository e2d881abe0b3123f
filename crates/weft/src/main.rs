//! The one binary: volumes served and used over the network.

#![forbid(unsafe_code)]

mod args;
mod client;
mod control_plane;
mod error;
mod output;
mod pages;
mod rdma;
mod relay;
mod rpc;
mod run;
mod serve;
mod signals;

use args::{Cli, Command};
use clap::Parser;
use control::methods::log::{Level, LogState};
use error::Failure;
use output::Style;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log = log(cli.verbose);
    let style = Style::of(&cli);
    match signals::install().map_err(Failure::Start).and_then(|()| run(&style, &cli, log)) {
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

fn run(style: &Style, cli: &Cli, log: Arc<LogState>) -> Result<(), Failure> {
    match &cli.command {
        Command::Serve(args) => serve::run(style, args, log),
        Command::Info(args) => client::info::run(style, args),
        Command::Discover(args) => client::discover::run(style, args),
        Command::Read(args) => client::read::run(style, args),
        Command::Write(args) => client::write::run(style, args),
        Command::Copy(args) => client::copy::run(style, args),
        Command::Verify(args) => client::verify::run(style, args),
        Command::Bench(args) => client::bench::run(style, args),
        Command::Rpc(args) => rpc::run(style, args),
        Command::Run(args) => run::run(style, args),
        Command::Top(args) => run::top::run(style, args),
        Command::Relay(args) => relay::run(style, args),
        Command::Rdma(command) => rdma::run(style, command, cli.verbose > 0),
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { directory } => pages::man(directory),
    }
}

/// Logs go to standard error; what is printed can be changed while a daemon runs (`weft rpc log_set_print_level`).
fn log(verbose: u8) -> Arc<LogState> {
    let log = Arc::new(LogState::new(&COMPONENTS));
    log.set_print_level([Level::Warning, Level::Info, Level::Debug][usize::from(verbose).min(2)]);
    if verbose > 0 {
        log.set_flag("all", true).expect("`all` is always there");
    }
    let prints = Arc::clone(&log);
    let filter = dynamic_filter_fn(move |metadata, _| prints.prints(metadata.target(), *metadata.level()));
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(layer.with_filter(filter)).init();
    log
}

/// The crates whose logs can be turned up one by one.
const COMPONENTS: [&str; 7] = ["block", "control", "engine", "nvme", "reactor", "scsi", "weft"];
