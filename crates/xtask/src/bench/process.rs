//! The processes that are measured: pinned to a processor, heard by their standard output, ended with the benchmark.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// A process that answers until it is dropped.
pub struct Server {
    child: Child,
    /// The first line it said, which tells how to reach it.
    pub line: String,
    /// Kept open, so that what it says later does not end it.
    _stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts it and waits for its first line.
    ///
    /// # Errors
    /// When it cannot be started, or says nothing.
    pub fn start(place: Place, program: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_with(place, program, arguments, None)
    }

    /// The same, with a library loaded before the program's own.
    ///
    /// # Errors
    /// As above.
    pub fn start_with(
        place: Place,
        program: &Path,
        arguments: &[&str],
        preload: Option<&Path>,
    ) -> Result<Self> {
        let mut child = preloaded(pinned(place, program, arguments), preload)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut stdout = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let mut server = Self { child, line: String::new(), _stdout: None };
        stdout.read_line(&mut server.line)?;
        ensure!(!server.line.is_empty(), "{} said nothing and ended", program.display());
        server._stdout = Some(stdout);
        Ok(server)
    }

    /// The same, of a program that says nothing, but listens at a port of loopback in the end.
    ///
    /// # Errors
    /// When it cannot be started, or nobody listens there for ten seconds.
    pub fn start_at(
        place: Place,
        program: &Path,
        arguments: &[&str],
        preload: Option<&Path>,
        port: u16,
    ) -> Result<Self> {
        let child = preloaded(pinned(place, program, arguments), preload)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let server = Self { child, line: String::new(), _stdout: None };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{} does not listen at port {port}", program.display())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    /// One with processes of its own ends them if it is asked to end. It may have ended by itself.
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a process to its end; what it said.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn output(place: Place, program: &Path, arguments: &[&str]) -> Result<String> {
    output_with(place, program, arguments, None)
}

/// The same, with a library loaded before the program's own.
///
/// # Errors
/// As above.
pub fn output_with(
    place: Place,
    program: &Path,
    arguments: &[&str],
    preload: Option<&Path>,
) -> Result<String> {
    let mut command = preloaded(pinned(place, program, arguments), preload);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut said = String::new();
    child.stdout.take().context("its output is a pipe")?.read_to_string(&mut said)?;
    let status = child.wait()?;
    ensure!(status.success(), "{} {}: {status}", program.display(), arguments.join(" "));
    Ok(said)
}

fn preloaded(mut command: Command, preload: Option<&Path>) -> Command {
    if let Some(library) = preload {
        command.env("LD_PRELOAD", library);
    }
    command
}

/// Where a process runs.
#[derive(Clone, Copy)]
pub struct Place {
    /// On this processor alone.
    pub cpu: usize,
    /// Before everything that is not so, too: on a machine where others work. Needs root.
    pub first: bool,
}

/// A command that runs a program at a place.
pub fn pinned(place: Place, program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", &place.cpu.to_string()]);
    if place.first {
        command.args(["chrt", "--fifo", "1"]);
    }
    command.arg(program).args(arguments);
    command
}
