//! One program in the guest and one of ours meet.

use super::{captured, script};
use crate::interop::lab::{Lab, tail};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What our servers say when they can be asked.
const READY: [&str; 2] = ["listening at", "serving pings at"];
/// How long our end may take.
const LIMIT: Duration = Duration::from_secs(150);

/// Our end: a program and its arguments.
pub struct Ours<'a> {
    pub program: PathBuf,
    pub arguments: Vec<&'a str>,
}

impl<'a> Ours<'a> {
    /// `weft rdma ping` with these arguments.
    pub fn ping(lab: &Lab, arguments: &[&'a str]) -> Self {
        let arguments = [&["rdma", "ping"], arguments].concat();
        Self { program: lab.weft().to_owned(), arguments }
    }

    /// The peer program with these arguments.
    pub fn peer(lab: &Lab, arguments: &[&'a str]) -> Result<Self> {
        Ok(Self { program: lab.peer()?, arguments: arguments.to_vec() })
    }
}

/// The guest serves and we ask; the answer is what both said.
pub fn ask_guest(lab: &Lab, guest: &str, ours: &Ours<'_>) -> Result<(String, String)> {
    lab.inside(&script(include_str!("inside/serve.sh")).set("COMMAND", guest))?;
    let asked = start(lab, ours)?.finish();
    let served = lab.inside(&script(include_str!("inside/served.sh")).within(90));
    let (asked, served) = match (asked, served) {
        (Ok(asked), Ok(served)) => (asked, served),
        (Err(error), served) => bail!("{error:#}\n{guest}: {}", served.unwrap_or_else(|why| why.to_string())),
        (Ok(asked), Err(error)) => bail!("{guest}: {error:#}\nours:\n{}", tail(&asked)),
    };
    captured::check(lab, &capture(lab))?;
    Ok((served, asked))
}

/// We serve and the guest asks; the answer is what both said.
pub fn serve_guest(lab: &Lab, guest: &str, ours: &Ours<'_>) -> Result<(String, String)> {
    let running = start(lab, ours)?;
    running.wait_until_ready()?;
    let asked = lab.inside(&script(include_str!("inside/ask.sh")).set("COMMAND", guest).within(150));
    let asked = asked.with_context(|| format!("{guest}\nours: {}", running.said()))?;
    let served = running.finish()?;
    captured::check(lab, &capture(lab))?;
    Ok((asked, served))
}

/// Where our end's packets are written.
fn capture(lab: &Lab) -> PathBuf {
    lab.file("rdma.pcap")
}

/// Our end, while it runs. Dropping it kills it.
struct Running {
    child: Child,
    line: String,
    log: PathBuf,
}

fn start(lab: &Lab, ours: &Ours<'_>) -> Result<Running> {
    let log = lab.file("rdma.log");
    let output = File::create(&log)?;
    let mut command: Command = lab.machine()?.beside(&ours.program.display().to_string());
    command.args(&ours.arguments).arg("--capture").arg(capture(lab));
    let child =
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn().context("ours")?;
    Ok(Running { child, line: ours.arguments.join(" "), log })
}

impl Running {
    fn wait_until_ready(&self) -> Result<()> {
        let end = Instant::now() + Duration::from_secs(20);
        while !READY.iter().any(|ready| self.said().contains(ready)) {
            ensure!(Instant::now() < end, "{} does not listen\n{}", self.line, self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<String> {
        let end = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "{}: {status}\n{}", self.line, tail(&self.said()));
                return Ok(self.said());
            }
            ensure!(Instant::now() < end, "{} does not end\n{}", self.line, tail(&self.said()));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, which is just as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
