//! A network namespace with one tap in it: the guest on the far side, this machine's processes on the near one.
//!
//! A sleeping process holds the namespace, so there is nothing to clean up but that process. Who is not root gets the
//! namespace inside a user namespace of his own.

use super::process::{Process, succeed, wait_until};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// This machine's address as the guest sees it.
pub const HOST_ADDRESS: &str = "10.77.0.1";
/// The guest's address, with its prefix length.
pub const GUEST_ADDRESS: &str = "10.77.0.11/24";
/// The tap's name in the namespace.
pub const TAP: &str = "guest0";

/// What stands in the command line of the process that holds the namespace.
const HOLDER: &str = "sleep";

/// The namespace.
pub struct Network {
    holder: Process,
    is_in_user_namespace: bool,
    outlives_us: bool,
}

impl Network {
    /// Makes the namespace with a guest's tap in it, to last `life` at most, and no longer than this command unless
    /// `outlives_us`.
    ///
    /// # Errors
    /// When this machine does not allow namespaces or taps.
    pub fn create(directory: &Path, life: Duration, outlives_us: bool) -> Result<Network> {
        let network = Network::separate(&directory.join("network.pid"), life, outlives_us)?;
        network.configure().inspect_err(|_| network.remove())?;
        Ok(network)
    }

    /// The same with nothing in it; `file` remembers who holds it.
    pub(super) fn separate(file: &Path, life: Duration, outlives_us: bool) -> Result<Network> {
        let is_in_user_namespace = !is_root()?;
        let mut command = start("unshare", outlives_us);
        if is_in_user_namespace {
            command.args(["--user", "--map-root-user"]);
        }
        if outlives_us {
            command.process_group(0);
        }
        let child = command
            .args(["--net", "sleep", &life.as_secs().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run unshare (package util-linux)")?;
        let holder = Process::remember(child.id(), file, HOLDER)?;
        let outside = fs::read_link("/proc/self/ns/net")?;
        let inside = format!("/proc/{}/ns/net", holder.id);
        let is_apart = || holder.is_running() && fs::read_link(&inside).is_ok_and(|inside| inside != outside);
        ensure!(
            wait_until(Duration::from_secs(5), is_apart),
            "this machine does not allow network namespaces"
        );
        Ok(Network { holder, is_in_user_namespace, outlives_us })
    }

    /// The namespace an earlier command made.
    pub fn recall(directory: &Path) -> Option<Network> {
        let holder = Process::recall(&directory.join("network.pid"), HOLDER)?;
        Some(Network { holder, is_in_user_namespace: !is_root().ok()?, outlives_us: true })
    }

    fn configure(&self) -> Result<()> {
        for line in [
            "link set lo up".to_owned(),
            format!("tuntap add {TAP} mode tap vnet_hdr"),
            format!("address add {HOST_ADDRESS}/24 dev {TAP}"),
            format!("link set {TAP} up"),
        ] {
            succeed(self.command("ip").args(line.split(' ')))?;
        }
        Ok(())
    }

    /// Joins taps, made for it, by a bridge.
    pub(super) fn bridge(&self, name: &str, taps: &[&str], mtu: u32) -> Result<()> {
        let mut lines = vec![format!("link add {name} type bridge")];
        for tap in taps {
            lines.push(format!("tuntap add {tap} mode tap vnet_hdr"));
            lines.push(format!("link set {tap} mtu {mtu} master {name} up"));
        }
        lines.push(format!("link set {name} mtu {mtu} up"));
        lines.iter().try_for_each(|line| succeed(self.command("ip").args(line.split(' '))))
    }

    /// A command that will run in the namespace.
    pub fn command(&self, program: &str) -> Command {
        let mut command = start("nsenter", self.outlives_us);
        command.arg("--target").arg(self.holder.id.to_string()).arg("--net");
        if self.is_in_user_namespace {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--").arg(program);
        command
    }

    /// Takes the namespace away, with whatever is left in it.
    pub fn remove(&self) {
        self.holder.stop();
    }
}

/// A command that is asked to end when we end, however that comes about, unless it is to outlive us.
fn start(program: &str, outlives_us: bool) -> Command {
    if outlives_us {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--", program]);
    command
}

fn is_root() -> Result<bool> {
    Ok(fs::metadata("/proc/self")?.uid() == 0)
}
