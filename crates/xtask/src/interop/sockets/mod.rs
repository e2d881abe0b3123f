//! `weft run`: programs of others, unmodified, with both ends of their connections under Weft, with one, and with none.
//!
//! Each scenario is a shell script that runs on this machine's loopback. It makes the same demands of every way; only whether
//! connections were carried differs, which `weft top` tells. How fast anything is decides nothing here.

use super::Scenario;
use super::lab::{Lab, Lacking, tail};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A script may take this long, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(180);

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario("sockets-redis", "redis-server, redis-cli and redis-benchmark, with pipelining", |lab| {
            play(lab, &["redis-server", "redis-cli", "redis-benchmark"], include_str!("redis.sh"))
        }),
        scenario("sockets-nginx", "nginx with workers, keep-alive and sendfile; curl and ab", |lab| {
            play(lab, &["nginx", "curl", "ab"], include_str!("nginx.sh"))
        }),
        scenario("sockets-streams", "netcat and iperf3: 64 MiB compared, parallel streams", |lab| {
            play(lab, &["nc", "iperf3"], include_str!("streams.sh"))
        }),
        scenario(
            "sockets-python",
            "Python's asyncio, selectors, threads and forks; peers that are killed",
            |lab| play(lab, &["python3"], include_str!("python.sh")),
        ),
    ]
}

/// Runs a script for each choice of ends.
fn play(lab: &Lab, programs: &[&str], script: &str) -> Result<()> {
    for program in programs {
        let search = Command::new("sh").args(["-c", &format!("command -v {program}")]).output()?;
        if !search.status.success() {
            return Err(Lacking(format!("no {program}; ./test installs it")).into());
        }
    }
    build(lab)?;
    for ends in ["both", "server", "client", "none"] {
        run(lab, script, ends).with_context(|| format!("under Weft: {ends}"))?;
    }
    Ok(())
}

/// The library lies beside the program that loads it.
fn build(lab: &Lab) -> Result<()> {
    let profile =
        if lab.weft().parent().is_some_and(|folder| folder.ends_with("release")) { "release" } else { "dev" };
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--package", "preload", "--profile", profile])
        .current_dir(workspace::root())
        .status()?;
    ensure!(built.success(), "the preload does not build");
    Ok(())
}

fn run(lab: &Lab, script: &str, ends: &str) -> Result<()> {
    let folder = lab.file("sockets");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("stream.py"), include_str!("stream.py"))?;
    let log = lab.file("sockets.log");
    let output = File::create(&log)?;
    let mut child = Command::new("bash")
        .args(["-c", &[include_str!("common.sh"), script].concat()])
        .current_dir(&folder)
        .env("WEFT", lab.weft())
        .env("ENDS", ends)
        .env("PATH", std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin")
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(status.success(), "{status}\n{}", tail(&fs::read_to_string(&log)?));
            return Ok(());
        }
        if Instant::now() > end {
            // The script's own trap ends what it started.
            Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
            child.wait()?;
            ensure!(false, "it ran out of time\n{}", tail(&fs::read_to_string(&log)?));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
