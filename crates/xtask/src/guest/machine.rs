//! One guest: QEMU, its directory of jobs, its network.
//!
//! A job is a directory that the guest sees too: a script goes in, output and status come out. Its name is sent down a
//! serial port, so nothing polls inside the emulator and any number of jobs can run at once.

use super::cable::Cable;
use super::network::{GUEST_ADDRESS, Network, TAP};
use super::process::{Process, succeed, wait_until};
use super::{boot, packages};
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

/// How long a boot may take; it takes 6 to 15 s.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// How long past its limit a script's status is waited for.
const JOB_GRACE: Duration = Duration::from_secs(20);

/// How to start a guest.
pub struct Settings {
    /// What it is called; its directory bears the name.
    pub name: String,
    /// Virtual processors.
    pub cpus: u32,
    /// Memory, in MiB.
    pub memory_mib: u32,
    /// After this time it is stopped, whatever happens.
    pub life: Duration,
    /// A pcap file to write what passes its network card into.
    pub capture: Option<PathBuf>,
    /// It stays up when this command ends, or is interrupted.
    pub outlives_us: bool,
    /// Cables to other guests, in place of the card that leads to this machine.
    pub cables: Vec<Cable>,
}

/// A guest that is up. Dropping it stops it.
pub struct Machine {
    directory: PathBuf,
    qemu: Process,
    network: Rc<Network>,
    is_detached: bool,
}

/// How a script ended.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit status; 124 when it ran out of time.
    pub status: i32,
    /// What it wrote, to either stream.
    pub output: String,
}

impl Machine {
    /// Starts a guest and waits until it takes jobs.
    ///
    /// # Errors
    /// When one of that name is up, a part is missing, or the guest does not come up.
    pub fn boot(settings: &Settings) -> Result<Machine> {
        let root = packages::unpack()?;
        let images = boot::images(&root)?;
        let directory = run_directory(&settings.name);
        if Process::recall(&directory.join("qemu.pid"), &mark(&directory)).is_some() {
            bail!("the guest {0} is up already; stop it: cargo xtask guest --name {0} down", settings.name);
        }
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(directory.join("jobs"))?;
        succeed(Command::new("mkfifo").args([directory.join("port.in"), directory.join("port.out")]))?;
        let network = match settings.cables.first() {
            Some(cable) => Rc::clone(&cable.network),
            None => Rc::new(Network::create(&directory, settings.life, settings.outlives_us)?),
        };
        let log = File::create(directory.join("qemu.log"))?;
        let mut command = network.command("timeout");
        command.args([
            "--foreground",
            "--kill-after=5",
            &settings.life.as_secs().to_string(),
            "qemu-system-x86_64",
        ]);
        command.args(qemu_arguments(settings, &directory, &root, &images));
        if settings.outlives_us {
            command.process_group(0);
        }
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let qemu = Process::remember(child.id(), &directory.join("qemu.pid"), &mark(&directory))?;
        let machine = Machine { directory, qemu, network, is_detached: false };
        let ready = machine.directory.join("jobs/ready");
        let start = Instant::now();
        wait_until(BOOT_LIMIT, || {
            ready.exists() || (start.elapsed() > Duration::from_secs(3) && !machine.is_up())
        });
        fs::remove_file(&images.initramfs)?;
        ensure!(ready.exists(), "the guest did not come up:\n{}", machine.last_words());
        Ok(machine)
    }

    /// A guest that an earlier command started.
    ///
    /// # Errors
    /// When no guest of that name is up.
    pub fn attach(name: &str) -> Result<Machine> {
        let directory = run_directory(name);
        let qemu = Process::recall(&directory.join("qemu.pid"), &mark(&directory));
        let network = Network::recall(&directory);
        let (Some(qemu), Some(network)) = (qemu, network) else {
            bail!("the guest {name} is not up; start it: cargo xtask guest --name {name} up");
        };
        Ok(Machine { directory, qemu, network: Rc::new(network), is_detached: false })
    }

    /// Lets go of the guest without stopping it.
    pub fn detach(mut self) {
        self.is_detached = true;
    }

    /// A command of this machine that will run in the guest's network.
    pub fn beside(&self, program: &str) -> Command {
        self.network.command(program)
    }

    /// Has it run before everything that is not so, too: on a machine where others work. Needs root.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn run_first(&self) -> Result<()> {
        // The process that we know keeps the time, and QEMU is its child.
        let id = self.qemu.id;
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        for child in children.split_whitespace() {
            succeed(Command::new("chrt").args(["--all-tasks", "--rr", "--pid", "1", child]))?;
        }
        Ok(())
    }

    /// Puts a copy of a program where the guest sees it; says where that is.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn give(&self, program: &Path) -> Result<String> {
        let name = program.file_name().and_then(|name| name.to_str()).context("a program has a name")?;
        fs::copy(program, self.directory.join("jobs").join(name))?;
        Ok(format!("/jobs/{name}"))
    }

    /// Where a file is that a script left in its `/jobs` under this name.
    pub fn left(&self, name: &str) -> PathBuf {
        self.directory.join("jobs").join(name)
    }

    /// Runs a script, copying what it writes to `echo` as it comes.
    ///
    /// # Errors
    /// When the guest dies or hangs; a script that fails is an [`Outcome`].
    pub fn run(&self, script: &str, limit: Duration, echo: &mut dyn Write) -> Result<Outcome> {
        ensure!(self.is_up(), "the guest died:\n{}", self.last_words());
        let name = format!("{}", SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos());
        let job = self.directory.join("jobs").join(&name);
        fs::create_dir(&job)?;
        fs::write(job.join("script"), script)?;
        let mut output = File::create_new(job.join("output")).and_then(|_| File::open(job.join("output")))?;
        let mut port = OpenOptions::new().write(true).open(self.directory.join("port.in"))?;
        writeln!(port, "{name} {}", limit.as_secs())?;
        let mut bytes = Vec::new();
        let status = job.join("status");
        let end = Instant::now() + limit + JOB_GRACE;
        loop {
            let is_over = status.exists();
            let seen = bytes.len();
            output.read_to_end(&mut bytes)?;
            echo.write_all(&bytes[seen..])?;
            echo.flush()?;
            if is_over {
                break;
            }
            ensure!(self.is_up(), "the guest died:\n{}", self.last_words());
            ensure!(Instant::now() < end, "the guest hangs:\n{}", self.last_words());
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = fs::read_to_string(status)?.trim().parse().context("the guest's status is no number")?;
        Ok(Outcome { status, output: String::from_utf8_lossy(&bytes).into_owned() })
    }

    /// True while QEMU runs.
    pub fn is_up(&self) -> bool {
        self.qemu.is_running()
    }

    /// The end of what QEMU and the guest's console said.
    pub fn last_words(&self) -> String {
        let mut words = String::new();
        for name in ["qemu.log", "console.log"] {
            let text = fs::read(self.directory.join(name)).unwrap_or_default();
            words.push_str(&String::from_utf8_lossy(&text[text.len().saturating_sub(3000)..]));
        }
        words
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if !self.is_detached {
            self.qemu.stop();
            if let Some(network) = Rc::get_mut(&mut self.network) {
                network.remove();
            }
        }
    }
}

fn run_directory(name: &str) -> PathBuf {
    super::directory().join("run").join(name)
}

/// What tells this guest's QEMU from any other process.
fn mark(directory: &Path) -> String {
    directory.join("console.log").display().to_string()
}

fn qemu_arguments(settings: &Settings, directory: &Path, root: &Path, images: &boot::Images) -> Vec<String> {
    let path = |path: &Path| path.display().to_string();
    let mut arguments: Vec<String> = "-nodefaults -display none -no-reboot -accel tcg,thread=multi"
        .split(' ')
        // Five-level page walks and carry-less products both cost the emulator dear.
        .chain(["-cpu", "max,la57=off,pclmulqdq=off"])
        .map(str::to_owned)
        .collect();
    let mut add = |option: &str, value: String| arguments.extend([option.to_owned(), value]);
    add("-smp", settings.cpus.to_string());
    add("-m", settings.memory_mib.to_string());
    add("-kernel", path(&images.kernel));
    add("-initrd", path(&images.initramfs));
    // Debian's hardened usercopy takes pages that the kernel's host and target exchange over loopback for an attack.
    // On a busy machine the emulator's timer may come too late for the kernel's test of it, which then gives up.
    let line = "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on hardened_usercopy=off no_timer_check";
    // Who has cables is given addresses by whom they are for.
    let address =
        if settings.cables.is_empty() { format!(" address={GUEST_ADDRESS}") } else { String::new() };
    add("-append", format!("{line}{address}"));
    add("-serial", format!("file:{}", mark(directory)));
    add("-serial", format!("pipe:{}", path(&directory.join("port"))));
    add("-device", "virtio-rng-pci".into());
    if settings.cables.is_empty() {
        add("-netdev", format!("tap,id=net0,ifname={TAP},script=no,downscript=no"));
        add("-device", "virtio-net-pci,netdev=net0,romfile=".into());
    }
    for (number, cable) in settings.cables.iter().enumerate() {
        for (option, value) in cable.qemu_arguments(number) {
            add(option, value);
        }
    }
    for (tag, source, options) in
        [("root", root.into(), "readonly=on,multidevs=remap"), ("jobs", directory.join("jobs"), "")]
    {
        let separator = if options.is_empty() { "" } else { "," };
        let source = path(&source);
        add("-fsdev", format!("local,id={tag},path={source},security_model=none{separator}{options}"));
        add("-device", format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"));
    }
    if let Some(file) = &settings.capture {
        add("-object", format!("filter-dump,id=capture,netdev=net0,file={}", path(file)));
    }
    arguments
}
