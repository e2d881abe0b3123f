//! What a scenario has to work with: the guest, Weft's binary, a directory for what it leaves behind.

mod daemon;

pub use daemon::Daemon;

use super::{Options, TargetKind};
use crate::guest::{Machine, Settings};
use crate::workspace;
use anyhow::{Context, Result, bail, ensure};
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The guest's address, where the kernel's target listens.
pub const GUEST: &str = "10.77.0.11";

/// The whole set-up.
pub struct Lab {
    machine: OnceCell<Machine>,
    prepared: RefCell<BTreeSet<&'static str>>,
    target: TargetKind,
    is_verbose: bool,
    capture: Option<PathBuf>,
    weft: PathBuf,
    peer: OnceCell<PathBuf>,
    profile: &'static str,
    directory: PathBuf,
}

/// Something this machine lacks, so that a scenario cannot run here.
#[derive(Debug)]
pub struct Lacking(pub String);

impl std::fmt::Display for Lacking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot run here: {}", self.0)
    }
}

impl std::error::Error for Lacking {}

/// Something that others' servers did not give, so that a scenario cannot run now.
#[derive(Debug)]
pub struct OutOfReach(pub String);

impl std::fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot run now: {}", self.0)
    }
}

impl std::error::Error for OutOfReach {}

impl Lab {
    /// Builds Weft and makes room for what the scenarios leave behind; the guest comes up when it is first needed.
    pub fn set_up(options: &Options) -> Result<Lab> {
        let profile = if options.release { "release" } else { "dev" };
        if options.target == TargetKind::Weft {
            build(profile, &["--bin", "weft"])?;
        }
        let directory = workspace::target_directory().join("interop");
        fs::create_dir_all(&directory)?;
        Ok(Lab {
            machine: OnceCell::new(),
            prepared: RefCell::default(),
            target: options.target,
            is_verbose: options.verbose,
            capture: options.capture.as_deref().map(std::path::absolute).transpose()?,
            weft: workspace::target_directory().join(if options.release {
                "release/weft"
            } else {
                "debug/weft"
            }),
            peer: OnceCell::new(),
            profile,
            directory,
        })
    }

    /// The guest, booted at the first call.
    pub fn machine(&self) -> Result<&Machine> {
        if let Some(machine) = self.machine.get() {
            return Ok(machine);
        }
        let settings = Settings {
            name: "interop".into(),
            cpus: 2,
            memory_mib: 1024,
            life: Duration::from_secs(4800),
            capture: self.capture.clone(),
            outlives_us: false,
            cables: Vec::new(),
        };
        let machine = Machine::boot(&settings)?;
        Ok(self.machine.get_or_init(|| machine))
    }

    /// The next scenario gets a guest that nothing has happened to.
    pub fn forget_machine(&mut self) {
        self.machine.take();
        self.prepared.take();
    }

    /// Weft's binary.
    pub fn weft(&self) -> &Path {
        &self.weft
    }

    /// The program that stands in for those of rdma-core, built at the first call.
    pub fn peer(&self) -> Result<PathBuf> {
        if let Some(peer) = self.peer.get() {
            return Ok(peer.clone());
        }
        build(self.profile, &["--example", "peer"])?;
        let peer = self.weft.with_file_name("examples").join("peer");
        Ok(self.peer.get_or_init(|| peer).clone())
    }

    /// A path for something a scenario leaves behind.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What the kernel's initiators talk to in this run.
    pub fn target(&self) -> TargetKind {
        self.target
    }

    /// Runs a script in the guest unless this was done before under this name.
    pub fn once(&self, name: &'static str, script: &Script) -> Result<()> {
        if !self.prepared.borrow().contains(name) {
            self.inside(script)?;
            self.prepared.borrow_mut().insert(name);
        }
        Ok(())
    }

    /// Runs a script in the guest; the answer is what it printed.
    ///
    /// # Errors
    /// When the script fails, with the end of what it and the guest's kernel said.
    pub fn inside(&self, script: &Script) -> Result<String> {
        let machine = self.machine()?;
        let log = self.file("guest.log");
        let mut echo =
            Echo { file: File::options().create(true).append(true).open(&log)?, is_shown: self.is_verbose };
        let outcome = machine.run(&script.text(), script.limit, &mut echo)?;
        if outcome.status == 0 {
            return Ok(outcome.output);
        }
        let kernel = machine.run("dmesg | tail -25", Duration::from_secs(20), &mut io::sink());
        let kernel = kernel.map(|outcome| outcome.output).unwrap_or_default();
        let why = if outcome.status == 124 {
            "it ran out of time".into()
        } else {
            format!("status {}", outcome.status)
        };
        bail!("the guest's script failed: {why}\n{}\nthe guest's kernel:\n{}", tail(&outcome.output), kernel)
    }

    /// Runs `weft` beside the guest; the answer is what it printed to standard output.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn weft_says(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.machine()?.beside("timeout");
        command.args(["--signal=KILL", COMMAND_LIMIT]).arg(&self.weft).args(arguments);
        let output = command.output().context("cannot run weft")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if self.is_verbose {
            println!("weft {}\n{text}", arguments.join(" "));
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "weft {}: {}\n{text}{errors}", arguments.join(" "), output.status);
        Ok(text)
    }
}

/// Builds a part of Weft's own crate.
fn build(profile: &str, what: &[&str]) -> Result<()> {
    let built = Command::new("cargo")
        .args(["build", "--quiet", "--package", "weft", "--profile", profile])
        .args(what)
        .current_dir(workspace::root())
        .status()?;
    ensure!(built.success(), "Weft does not build");
    Ok(())
}

/// A shell script for the guest, with the functions that all scripts share and those of its protocol.
pub struct Script {
    variables: String,
    library: &'static str,
    body: &'static str,
    limit: Duration,
}

impl Script {
    /// This script, behind this library.
    pub fn new(library: &'static str, body: &'static str) -> Script {
        Script { variables: String::new(), library, body, limit: Duration::from_secs(60) }
    }

    /// Sets a variable.
    pub fn set(mut self, name: &str, value: &str) -> Script {
        self.variables.push_str(&format!("{name}='{value}'\n"));
        self
    }

    /// How long it may take, in seconds.
    pub fn within(mut self, seconds: u64) -> Script {
        self.limit = Duration::from_secs(seconds);
        self
    }

    fn text(&self) -> String {
        format!("{}{}{}{}", self.variables, include_str!("inside/common.sh"), self.library, self.body)
    }
}

/// A script's output goes into the log, and to the terminal when asked for.
struct Echo {
    file: File,
    is_shown: bool,
}

impl Write for Echo {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_shown {
            io::stdout().write_all(bytes)?;
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

/// The last lines of a text.
pub fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Seconds that a command may take, on a machine that is busy with other things.
const COMMAND_LIMIT: &str = "180";
