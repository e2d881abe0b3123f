//! What a daemon costs that has nothing to do: time until it is ready, processor time, memory.

use super::process::{Place, Server};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// The costs of an idle daemon.
#[derive(Clone, Copy, Debug)]
pub struct Daemon {
    /// From the start of the process to its first line, in milliseconds: the median of several starts.
    ready_ms: f64,
    /// Processor time in a second, in milliseconds.
    idle_cpu_ms: f64,
    /// Resident memory, in MiB.
    resident_mib: f64,
}

/// Starts `weft serve` with its defaults a few times and watches the last one.
///
/// # Errors
/// When it cannot be started or /proc does not tell.
pub fn measure(place: Place, weft: &Path) -> Result<Daemon> {
    let arguments = ["serve", "--json", "--listen", "127.0.0.1:0"];
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let server = Server::start(place, weft, &arguments)?;
        times.push(began.elapsed());
        drop(server);
    }
    times.sort();
    let server = Server::start(place, weft, &arguments)?;
    std::thread::sleep(Duration::from_millis(500));
    let before = processor_ms(server.id())?;
    std::thread::sleep(WATCHED);
    let used = processor_ms(server.id())? - before;
    Ok(Daemon {
        ready_ms: times[STARTS / 2].as_secs_f64() * 1e3,
        idle_cpu_ms: used / WATCHED.as_secs_f64(),
        resident_mib: resident_kib(server.id())? / 1024.0,
    })
}

impl Daemon {
    /// For people.
    pub fn sentence(&self) -> String {
        format!(
            "weft serve is ready in {:.1} ms; idle, it uses {:.2} ms of processor a second and {:.1} MiB of memory",
            self.ready_ms, self.idle_cpu_ms, self.resident_mib
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "ready_ms": self.ready_ms,
            "idle_cpu_ms_per_second": self.idle_cpu_ms,
            "resident_mib": self.resident_mib,
        })
    }
}

/// Processor time of all threads of a process so far, in milliseconds (proc(5): the scheduler's own nanoseconds).
fn processor_ms(process: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).context("the daemon is gone")? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().context("an empty schedstat")?;
        nanoseconds += first.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e6)
}

fn resident_kib(process: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("VmRSS is a number")
}

/// Starts that are timed.
const STARTS: usize = 9;

/// How long the idle daemon is watched.
const WATCHED: Duration = Duration::from_secs(5);
