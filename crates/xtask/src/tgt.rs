//! tgt, the user-space iSCSI target of Debian, in the foreground and on a port of ours.
//!
//! Its package is unpacked, not installed: the installation would start a daemon on the port that every iSCSI target has.

use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Which control socket it has, so that it does not meet another.
const CONTROL_PORT: &str = "77";
/// How long it may take to answer its first command.
const START_LIMIT: Duration = Duration::from_secs(20);

/// What it serves is called, and where it is: on this machine's loopback.
pub struct Address<'a> {
    /// The target's name. The volume is its logical unit 1.
    pub iqn: &'a str,
    /// The port.
    pub port: u16,
}

/// A running tgtd. Dropping it kills it.
pub struct Tgt(Child);

impl Tgt {
    /// Starts it with `command`, which may place it on a processor, and has it serve a file to everyone.
    ///
    /// # Errors
    /// When the package cannot be had, or tgtd does not take commands.
    pub fn start(file: &Path, address: &Address, command: impl FnOnce(&OsStr) -> Command) -> Result<Tgt> {
        let programs = unpack()?;
        let child = command(programs.join("tgtd").as_os_str())
            .args(["-f", "-C", CONTROL_PORT, "--iscsi", &format!("portal=127.0.0.1:{}", address.port)])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run tgtd; ./test installs the libraries it needs")?;
        let tgt = Tgt(child);
        let end = Instant::now() + START_LIMIT;
        while let Err(error) = administer(&programs, "target", "new", &["-T", address.iqn]) {
            ensure!(Instant::now() < end, "tgtd does not answer: {error:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
        let file = file.display().to_string();
        administer(&programs, "logicalunit", "new", &["--lun", "1", "-b", &file])?;
        administer(&programs, "target", "bind", &["-I", "ALL"])?;
        Ok(tgt)
    }
}

impl Drop for Tgt {
    fn drop(&mut self) {
        // It may be gone already, which is just as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The directory of its programs, unpacked once.
fn unpack() -> Result<PathBuf> {
    let directory = workspace::target_directory().join("tgt");
    let programs = directory.join("usr/sbin");
    if programs.join("tgtd").exists() {
        return Ok(programs);
    }
    fs::create_dir_all(&directory)?;
    succeed(Command::new("apt-get").args(["-qq", "download", "tgt"]).current_dir(&directory))?;
    let is_archive = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
    let archive = fs::read_dir(&directory)?.filter_map(|entry| Some(entry.ok()?.path())).find(is_archive);
    let archive = archive.context("apt-get download left no archive")?;
    succeed(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&directory))?;
    Ok(programs)
}

fn administer(programs: &Path, mode: &str, operation: &str, more: &[&str]) -> Result<()> {
    let mut command = Command::new(programs.join("tgtadm"));
    command.args(["-C", CONTROL_PORT, "--lld", "iscsi", "--mode", mode, "--op", operation, "--tid", "1"]);
    succeed(command.args(more))
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {} {}", output.status, errors.trim());
    Ok(())
}
