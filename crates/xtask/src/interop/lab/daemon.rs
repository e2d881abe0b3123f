//! `weft serve`, started, killed and ended by a scenario.

use super::{Lab, tail};
use crate::rpc::RpcClient;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a daemon says when it takes connections and has said how to reach it.
const READY: &str = "Ctrl-C ends it";
/// A daemon must say so within this time.
const START_LIMIT: Duration = Duration::from_secs(10);
/// A daemon that was asked to end must be gone within this time.
const END_LIMIT: Duration = Duration::from_secs(15);

/// A running `weft serve`. Dropping it kills it.
pub struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
}

impl Daemon {
    /// Starts `weft serve` with these arguments in the guest's network, and waits until it takes connections.
    pub fn start(lab: &Lab, arguments: &[&str]) -> Result<Daemon> {
        let command = lab.machine()?.beside(&lab.weft().display().to_string());
        Daemon::spawn(command, lab, arguments)
    }

    /// Starts `weft serve` in this machine's own network.
    pub fn start_here(lab: &Lab, arguments: &[&str]) -> Result<Daemon> {
        Daemon::spawn(Command::new(lab.weft()), lab, arguments)
    }

    fn spawn(mut command: Command, lab: &Lab, arguments: &[&str]) -> Result<Daemon> {
        // A socket's path may be 107 bytes long, which a path under `target` may exceed.
        let socket = std::env::temp_dir().join(format!("weft-interop-{}.sock", std::process::id()));
        let log = lab.file("weft.log");
        let output = File::create(&log)?;
        let child = command
            .arg("serve")
            .args(arguments)
            .arg("--rpc-socket")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("cannot run weft serve")?;
        let mut daemon = Daemon { child, socket, log };
        let end = Instant::now() + START_LIMIT;
        while !daemon.said().contains(READY) {
            if let Some(status) = daemon.child.try_wait()? {
                bail!("weft serve {}: {status}\n{}", arguments.join(" "), daemon.last_words());
            }
            ensure!(Instant::now() < end, "weft serve does not become ready\n{}", daemon.last_words());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(daemon)
    }

    /// A connection to its JSON-RPC socket.
    pub fn rpc(&self) -> Result<RpcClient> {
        RpcClient::connect(&self.socket)
    }

    /// Its JSON-RPC socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Kills it as a power cut would: no signal handler runs.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it did.
    ///
    /// # Errors
    /// When it does not end in time, or with another status than 0.
    pub fn finish(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        let end = Instant::now() + END_LIMIT;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "weft serve ended with {status}\n{}", self.last_words());
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("weft serve does not end when asked\n{}", self.last_words())
    }

    fn last_words(&self) -> String {
        tail(&self.said())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.socket);
    }
}
