//! Processes that may outlive the command that started them, known again by a file that holds their number.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A process known by its number and by a word of its command line, so that a number used anew is not mistaken for it.
#[derive(Debug)]
pub struct Process {
    /// Its number.
    pub id: u32,
    mark: String,
}

impl Process {
    /// The process that `file` speaks of, if it still runs; `mark` stands in its command line.
    pub fn recall(file: &Path, mark: &str) -> Option<Process> {
        let id = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        let process = Process { id, mark: mark.to_owned() };
        process.is_running().then_some(process)
    }

    /// Writes down how to find it again.
    pub fn remember(id: u32, file: &Path, mark: &str) -> Result<Process> {
        fs::write(file, id.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Process { id, mark: mark.to_owned() })
    }

    /// True while it runs; a process that ended and was not yet waited for has no command line any more.
    pub fn is_running(&self) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.id)).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&self.mark)
    }

    /// Asks it to end, and kills it when it does not.
    pub fn stop(&self) {
        for signal in ["-TERM", "-KILL"] {
            if !self.is_running() {
                return;
            }
            let _ = Command::new("kill").args([signal, &self.id.to_string()]).stderr(Stdio::null()).status();
            wait_until(Duration::from_secs(5), || !self.is_running());
        }
    }
}

/// Looks until `condition` holds; false when it does not within `limit`.
pub fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Runs a command to its end.
///
/// # Errors
/// With the command and what it wrote to standard error, when it fails.
pub fn succeed(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
