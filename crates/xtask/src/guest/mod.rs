//! `cargo xtask guest`: a throw-away Debian machine under QEMU, so that a real Linux kernel can be the peer.
//!
//! No KVM, no image, no installation: Debian's packages are downloaded by apt into a cache and unpacked into a directory,
//! which the guest mounts over 9p under a layer that vanishes with it. The guest has one network card whose other end
//! is a tap in a network namespace of its own, where the host's side is 10.77.0.1.
//!
//! Everything lies under `$WEFT_GUEST_DIR`, by default `target/guest`.

mod boot;
mod cable;
mod machine;
mod network;
mod packages;
mod process;

pub use cable::Cable;
pub use machine::{Machine, Settings};
pub use network::{HOST_ADDRESS, TAP};

use crate::workspace;
use anyhow::{Context, Result, bail};
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// What to do with the guest.
#[derive(clap::Args)]
pub struct Options {
    /// Which guest, when several are up at once
    #[arg(long, global = true, default_value = "shell")]
    name: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Download and unpack what the guest is made of, without starting it
    Setup,
    /// Start the guest
    Up {
        /// Virtual processors
        #[arg(long, default_value_t = 1)]
        cpus: u32,
        /// Memory in MiB
        #[arg(long, default_value_t = 768)]
        memory: u32,
        /// Seconds after which the guest is stopped whatever happens
        #[arg(long, default_value_t = 3600)]
        life: u64,
        /// Write what passes its network card to this pcap file
        #[arg(long)]
        capture: Option<PathBuf>,
    },
    /// Run a shell script in the guest: the argument, or standard input
    Sh {
        /// Seconds the script may take
        #[arg(short, long, default_value_t = 60)]
        time: u64,
        /// The script
        script: Option<String>,
    },
    /// Run a command of this machine in the guest's network, where it is 10.77.0.1
    Host {
        /// The command and its arguments
        #[arg(trailing_var_arg = true, required = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Stop the guest
    Down,
}

/// Does it.
///
/// # Errors
/// When the guest cannot be built or started, is not up, or the script failed.
pub fn run(options: &Options) -> Result<()> {
    match &options.command {
        Command::Setup => packages::unpack().map(|root| println!("{}", root.display())),
        Command::Up { cpus, memory, life, capture } => {
            let settings = Settings {
                name: options.name.clone(),
                cpus: *cpus,
                memory_mib: *memory,
                life: Duration::from_secs(*life),
                capture: capture.as_deref().map(std::path::absolute).transpose()?,
                outlives_us: true,
                cables: Vec::new(),
            };
            Machine::boot(&settings)?.detach();
            println!("the guest is up: cargo xtask guest sh 'uname -a'");
            Ok(())
        }
        Command::Sh { time, script } => sh(&options.name, script.as_deref(), Duration::from_secs(*time)),
        Command::Host { command } => host(&options.name, command),
        Command::Down => {
            drop(Machine::attach(&options.name)?);
            Ok(())
        }
    }
}

fn sh(name: &str, script: Option<&str>, limit: Duration) -> Result<()> {
    let mut text = String::new();
    let script = match script {
        Some(script) => script,
        None => {
            std::io::stdin().read_to_string(&mut text)?;
            &text
        }
    };
    let machine = Machine::attach(name)?;
    let outcome = machine.run(script, limit, &mut std::io::stdout());
    machine.detach();
    match outcome?.status {
        0 => Ok(()),
        124 => bail!("the script ran out of its {} s", limit.as_secs()),
        status => bail!("the script ended with {status}"),
    }
}

fn host(name: &str, words: &[String]) -> Result<()> {
    let machine = Machine::attach(name)?;
    let (program, arguments) = words.split_first().context("no command")?;
    let status = machine.beside(program).args(arguments).status();
    machine.detach();
    match status.with_context(|| format!("cannot run {program}"))? {
        status if status.success() => Ok(()),
        status => bail!("{program}: {status}"),
    }
}

/// Where the guest's parts are kept.
fn directory() -> PathBuf {
    std::env::var_os("WEFT_GUEST_DIR")
        .map_or_else(|| workspace::target_directory().join("guest"), PathBuf::from)
}
