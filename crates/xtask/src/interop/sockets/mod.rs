//! `weft run`: programs of others, unmodified, with both ends of their connections under Weft, with one, and with none.
//!
//! Each scenario is a shell script that runs on this machine's loopback. It makes the same demands of every way; only whether
//! connections were carried differs, which `weft top` tells. How fast anything is decides nothing here.

mod suites;

use super::Scenario;
use super::lab::{Lab, Lacking, OutOfReach, tail};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A script may take this long, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(180);

/// How a script ends that was not given what it fetches.
const OUT_OF_REACH: i32 = 77;

/// Who runs under Weft, one way after the other.
const WAYS: [&str; 4] = ["both", "server", "client", "none"];

/// What scripts with two network namespaces need.
const NAMESPACES: [&str; 5] = ["python3", "unshare", "nsenter", "ip", "ss"];

/// What scripts find in their folder.
const FILES: [(&str, &str); 13] = [
    ("whole.py", include_str!("whole.py")),
    ("stream.py", include_str!("stream.py")),
    ("ways.h", include_str!("ways.h")),
    ("ways.c", include_str!("ways.c")),
    ("met.c", include_str!("met.c")),
    ("deaths.c", include_str!("deaths.c")),
    ("busy.c", include_str!("busy.c")),
    ("strangers.py", include_str!("strangers.py")),
    ("perils.c", include_str!("perils.c")),
    ("load.py", include_str!("load.py")),
    ("hosts.py", include_str!("hosts.py")),
    ("web.js", include_str!("web.js")),
    ("Streams.java", include_str!("Streams.java")),
];

/// The scenarios.
pub fn scenarios() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    let mut scenarios = vec![
        scenario("sockets-redis", "redis-server, redis-cli and redis-benchmark, with pipelining", |lab| {
            play(lab, &["redis-server", "redis-cli", "redis-benchmark"], include_str!("redis.sh"))
        }),
        scenario("sockets-nginx", "nginx with workers, keep-alive and sendfile; curl, ab and wrk", |lab| {
            play(lab, &["nginx", "curl", "ab", "wrk"], include_str!("nginx.sh"))
        }),
        scenario("sockets-streams", "netcat and iperf3: 64 MiB compared, parallel streams", |lab| {
            play(lab, &["nc", "iperf3"], include_str!("streams.sh"))
        }),
        scenario(
            "sockets-python",
            "Python's asyncio, selectors, threads and forks; peers that are killed",
            |lab| play(lab, &["python3"], include_str!("python.sh")),
        ),
        scenario("sockets-postgres", "PostgreSQL with psql and pgbench, between users", |lab| {
            play(lab, &["postgres", "initdb", "psql", "pgbench", "setpriv"], include_str!("postgres.sh"))
        }),
        scenario("sockets-memcached", "memcached with libmemcached's programs, in both protocols", |lab| {
            play(lab, &["memcached", "memcslap", "memccapable", "memccp"], include_str!("memcached.sh"))
        }),
        scenario(
            "sockets-sockperf",
            "sockperf's round trips and floods: nothing lost or out of order",
            |lab| play(lab, &["sockperf"], include_str!("sockperf.sh")),
        ),
        scenario("sockets-ssh", "OpenSSH: commands, sftp, a forwarded port", |lab| {
            play(lab, &["sshd", "ssh", "sftp", "nc"], include_str!("ssh.sh"))
        }),
        scenario("sockets-load", "ten thousand connections, a gigabyte, slow readers, killed peers", |lab| {
            play(lab, &["python3"], include_str!("load.sh"))
        }),
        scenario(
            "sockets-hosts",
            "two hosts with relays: bytes both ways, killed peers, a silent host",
            |lab| play(lab, &NAMESPACES, concat!(include_str!("cable.sh"), include_str!("hosts.sh"))),
        ),
        scenario(
            "sockets-containers",
            "two containers that share a directory: bytes both ways, killed peers, other users' directories",
            |lab| play(lab, &NAMESPACES, concat!(include_str!("cable.sh"), include_str!("containers.sh"))),
        ),
        scenario(
            "sockets-perils",
            "threads that are cancelled, descriptors closed under a call, handlers that close and fork, early ends",
            |lab| play(lab, &["cc", "python3"], include_str!("perils.sh")),
        ),
        scenario("sockets-node", "Node's http and net", |lab| play(lab, &["node"], include_str!("node.sh"))),
        scenario("sockets-java", "Java's channels, selectors, streams and files", |lab| {
            play(lab, &["java", "javac"], include_str!("java.sh"))
        }),
        scenario("sockets-go", "programs in Go, and without the dynamic linker: on TCP, and right", |lab| {
            play(lab, &["websocketd", "hey", "busybox", "curl", "ab", "nc"], include_str!("go.sh"))
        }),
    ];
    scenarios.extend(of_calls());
    scenarios.extend(suites::scenarios());
    scenarios
}

/// What calls answer, and who is carried, tried by programs that were written for it.
fn of_calls() -> Vec<Scenario> {
    let scenario = |name, about, run| Scenario { name, about, needs_weft: true, run };
    vec![
        scenario(
            "sockets-ways",
            "connections that are given away with bytes on their way; calls by number, streams, wrong addresses",
            |lab| play(lab, &["cc"], include_str!("ways.sh")),
        ),
        scenario(
            "sockets-met",
            "epoll's ways, urgent bytes, signals, splice, io_uring: the answers of TCP",
            |lab| play(lab, &["cc"], include_str!("met.sh")),
        ),
        scenario(
            "sockets-deaths",
            "processes that are killed in the middle, and what is left to others",
            |lab| play(lab, &["cc"], include_str!("deaths.sh")),
        ),
        scenario(
            "sockets-policy",
            "rules by program, role, place and port, and what --stats tells of them",
            |lab| play_once(lab, &["cc"], include_str!("common.sh"), include_str!("policy.sh")),
        ),
        scenario(
            "sockets-strangers",
            "who meets a program and is somebody else, or says something else: on TCP, at once",
            |lab| play_once(lab, &["cc", "python3"], include_str!("common.sh"), include_str!("strangers.sh")),
        ),
        scenario(
            "sockets-listeners",
            "listeners that were duplicated, inherited, given by others or made before a fork",
            |lab| play(lab, &["cc", "python3"], include_str!("listeners.sh")),
        ),
        scenario("sockets-busy", "more pairs of programs than processors, and pairs that wait", |lab| {
            play_once(lab, &["cc", "taskset"], include_str!("common.sh"), include_str!("busy.sh"))
        }),
    ]
}

/// Runs a script for each choice of ends.
fn play(lab: &Lab, programs: &[&str], script: &str) -> Result<()> {
    prepare(lab, programs)?;
    for ends in WAYS {
        run(lab, include_str!("common.sh"), script, ends).with_context(|| format!("under Weft: {ends}"))?;
    }
    Ok(())
}

/// Runs a script that has another's preamble, and chooses the ends itself.
fn play_once(lab: &Lab, programs: &[&str], preamble: &str, script: &str) -> Result<()> {
    prepare(lab, programs)?;
    run(lab, preamble, script, "both")
}

fn prepare(lab: &Lab, programs: &[&str]) -> Result<()> {
    for program in programs {
        let search = ["-c", &format!("command -v {program}")];
        let search = Command::new("sh").args(search).env("PATH", search_path()).output()?;
        if !search.status.success() {
            return Err(Lacking(format!("no {program}; ./test installs it")).into());
        }
    }
    build(lab)
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

/// Where programs lie, servers too; those of PostgreSQL have a folder for each version.
fn search_path() -> String {
    let mut path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    for version in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        path += &format!(":{}", version.path().join("bin").display());
    }
    path
}

fn run(lab: &Lab, preamble: &str, script: &str, ends: &str) -> Result<()> {
    let folder = lab.file("sockets");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text)?;
    }
    let log = lab.file("sockets.log");
    let output = File::create(&log)?;
    let mut child = Command::new("bash")
        .args(["-c", &[preamble, script].concat()])
        .current_dir(&folder)
        .env("WEFT", lab.weft())
        .env("ENDS", ends)
        .env("KEPT", lab.file("kept"))
        .env("PATH", search_path())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()?;
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait()? {
            if status.code() == Some(OUT_OF_REACH) {
                let said = fs::read_to_string(&log)?;
                return Err(OutOfReach(said.lines().last().unwrap_or_default().into()).into());
            }
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
