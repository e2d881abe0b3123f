//! `weft run`: a program, with the preload before it.
//!
//! The program takes our place, so that whoever started us has it as its child, with its signals and its terminal. Only
//! where statistics are asked for do we stay to tell them.

mod pages;
mod shared;
pub mod top;

use crate::args::RunArgs;
use crate::error::Failure;
use crate::output::Style;
use launch::Policy;
use launch::environment::{self, LIBRARY, POLICY, PRELOAD, RUN, SHARED};
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// Runs the program; it comes back only if that fails.
pub fn run(style: &Style, args: &RunArgs) -> Result<(), Failure> {
    let (name, arguments) = args.program.split_first().expect("the command line demands a program");
    let library = library()?;
    let run = run_name(args.stats);
    pages::sweep_if_many();
    let mut command = Command::new(name);
    command.args(arguments).env(PRELOAD, preloads(&library)).env(RUN, &run);
    if let Some(path) = &args.policy {
        command.env(POLICY, policy(path)?);
    }
    if let Some(path) = &args.shared {
        command.env(SHARED, shared::directory(path)?);
    }
    let failed = |why| Failure::Program { program: name.to_string_lossy().into_owned(), why };
    if !args.stats {
        return Err(failed(command.exec()));
    }
    let mut child = command.spawn().map_err(failed)?;
    pass_on_requests_to_end(child.id()).map_err(Failure::Start)?;
    let status = child.wait().map_err(failed)?;
    top::tell_run(style, &run);
    pages::sweep();
    // As shells have it.
    std::process::exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// Who asks us to end means the program. Ctrl-C reaches it without us.
fn pass_on_requests_to_end(program: u32) -> std::io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    let wait = move || {
        for _ in signals.forever() {
            // It may have ended, which is as well.
            let _ = Command::new("kill").args(["-TERM", &program.to_string()]).status();
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(wait).map(drop)
}

/// The library lies beside us, or where packages put such things.
fn library() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe().map_err(Failure::Start)?;
    let folder = own.parent().unwrap_or(Path::new("/"));
    let places = [folder.join(LIBRARY), folder.join("../lib/weft").join(LIBRARY)];
    let found = places.iter().find(|place| place.is_file());
    found.cloned().ok_or_else(|| Failure::Library { path: places[0].clone() })
}

/// What the linker loads first: ours, and what was asked for already.
fn preloads(library: &Path) -> OsString {
    let mut all = library.as_os_str().to_owned();
    if let Some(others) = std::env::var_os(PRELOAD).filter(|others| !others.is_empty()) {
        all.push(":");
        all.push(others);
    }
    all
}

/// The policy's text, once it is known to be one.
fn policy(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|why| Failure::File { path: path.into(), why })?;
    Policy::parse(&text).map_err(|why| Failure::Config { path: path.into(), why: why.to_string() })?;
    Ok(text)
}

/// A name that no other run has.
fn run_name(is_kept: bool) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    environment::run_name(&format!("{:x}-{now:x}", std::process::id()), is_kept)
}
